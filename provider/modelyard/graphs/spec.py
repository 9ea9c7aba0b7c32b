"""A graph as data: what is written to disk, sent to a worker and read back."""

from typing import Any, Literal

import msgspec

__all__ = ["GraphSpec", "StepSpec"]


class StepSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step as data.

    Parameters
    ----------
    name
        Unique in its graph.
    kind
        ``call`` runs project code, ``model`` asks a model.
    use
        The code's dotted path, or the model's reference.
    arguments
        What the code is called or constructed with, besides the body.
    full_event
        Whether the code takes the whole event instead of its body.
    respond
        Whether its result is the reply.
    """

    name: str
    kind: Literal["call", "model"]
    use: str
    arguments: dict[str, Any] = {}
    full_event: bool = False
    respond: bool = False


class GraphSpec(msgspec.Struct, frozen=True):
    """A graph as data; JSON with `msgspec.json.encode`.

    Parameters
    ----------
    name
        The graph's name.
    steps
        The chain, first step first.
    """

    name: str
    steps: tuple[StepSpec, ...]
