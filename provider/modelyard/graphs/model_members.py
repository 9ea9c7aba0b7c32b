"""Members that are models: an ensemble asks them about the body itself, where the event asks for nothing special."""

from collections.abc import Callable
from typing import Any, NamedTuple

from modelyard.graphs.event import Event
from modelyard.graphs.groups import Member
from modelyard.graphs.models.server import ModelServer

__all__ = ["DirectModel", "direct_model"]


class DirectModel(NamedTuple):
    """How to ask a model without an event of its own.

    Parameters
    ----------
    answer
        Takes the body; gives what the member says to an event that asks for a prediction of the default version.
    asks_default
        Whether an event asks for just that.
    """

    answer: Callable[[Any], Any]
    asks_default: Callable[[Event], bool]


def direct_model(member: Member, *, label_alone: bool = False) -> DirectModel | None:
    """Return how to ask a member directly; None if it is no model, or has more around it than the model.

    Parameters
    ----------
    member
        The member.
    label_alone
        Whether its answers need no other field than ``label``.
    """
    server = getattr(member.call, "__self__", None)
    if not isinstance(server, ModelServer) or member.call != server.do_event or server.looks_at_body:
        return None
    if member.is_async or member.yields:
        return None
    return DirectModel(server.do_label if label_alone else server.do, server.asks_default)
