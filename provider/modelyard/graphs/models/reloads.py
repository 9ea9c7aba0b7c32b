"""The exchange of a model in two steps: several processes load it, and all of them serve it or none."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from modelyard.graphs.failures import PlanClosed
from modelyard.graphs.models.errors import ReloadRefused
from modelyard.graphs.models.hooks import style_of
from modelyard.graphs.models.loading import loaded

if TYPE_CHECKING:
    from modelyard.graphs.models.server import ModelServer

__all__ = ["Reload", "prepared"]


class Reload(NamedTuple):
    """A model that is loaded and warm beside the one that serves; one of its two functions is to be called, once.

    Parameters
    ----------
    name
        The exact name of the model.
    serve
        Lets new requests go to it; those that are inside the old one finish there.
    drop
        Closes it, and the old one stays.
    """

    name: str
    serve: Callable[[], None]
    drop: Callable[[], None]


def prepared(server: "ModelServer", reference: str = "", *, version: str = "") -> Reload:
    """Return a newly loaded model of a version; nothing goes to it yet.

    Parameters
    ----------
    server
        Who is to serve it.
    reference, version
        As for `ModelServer.reload`.

    Raises
    ------
    PlanClosed, ReloadRefused, VersionUnknown
        As for `ModelServer.reload`.
    """
    version = version or server.serving.default
    server.model(version)
    if server.in_process:
        raise ReloadRefused(server.context.step, "it runs in worker processes, which have copies of it")
    with server._reloading:  # noqa: SLF001 (a part of the server that has a file of its own)
        if server._closed:  # noqa: SLF001
            raise PlanClosed(server.context.graph)
        model = server._new(version, reference)  # noqa: SLF001
        if style_of(model) != server.style:
            raise ReloadRefused(server.context.step, "the new model is called in another way than the old one")
        live = loaded(model, server.style, warm_up=server.serving.warm_up)
    return Reload(model.name, lambda: server._exchange(version, live), live.retire)  # noqa: SLF001
