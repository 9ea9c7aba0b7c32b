"""Asks an endpoint's workers, in the name of who may: what concerns all of them, and what any of them knows."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from modelyard.deploy.local.worker_group import WorkerGroup
from modelyard.errors import ErrorKind, ForeignError
from modelyard.serving.control import Call, Told
from modelyard.serving.errors import HttpRefusal
from modelyard.serving.inference.http import protocol_error
from modelyard.serving.inference.service import text_of
from modelyard.serving.replies import Reply
from modelyard.serving.requests import Request

__all__ = ["Administration", "WorkersAbsent"]

_LOG = logging.getLogger("modelyard.deploy.local")
_INDEX = "/v2/repository/index"
_KEPT = ("content-type", "accept", "x-request-id", "x-request-timeout", "content-encoding")
_OWN = (b"content-type", b"content-length", b"transfer-encoding", b"connection")


class WorkersAbsent(HttpRefusal):
    """Raised when no worker of an endpoint serves now."""

    kind = ErrorKind.UNAVAILABLE
    status = 503

    def __init__(self) -> None:
        super().__init__("no worker serves now", mend="A request at the endpoint's own port wakes it up.")


class Elsewhere(HttpRefusal):
    """Raised when a browser asks in the name of a page of somebody else."""

    kind = ErrorKind.DENIED
    status = 403

    def __init__(self) -> None:
        super().__init__("a page of another site may not ask here", mend="Ask from the page of this port.")


class Administration:
    """Answers what is asked of an endpoint as a whole.

    Parameters
    ----------
    group
        Tells the workers that answer; None if there are none.
    """

    def __init__(self, group: Callable[[], WorkerGroup | None]) -> None:
        self._group = group

    async def answer(self, request: Request) -> Reply:
        """Return the response to a request.

        ``POST /v2/repository/models/NAME/load`` reaches every worker, ``POST /v2/repository/index`` tells the state of
        all of them; any other request is answered by the next one.
        """
        try:
            return await self._found(request)
        except Exception as error:  # noqa: BLE001 (a client gets JSON, whatever happens)
            return protocol_error(error, request)

    async def _found(self, request: Request) -> Reply:
        if request.header(b"sec-fetch-site") in ("cross-site", "same-site"):
            raise Elsewhere
        group = self._group()
        if group is None or not group.size:
            raise WorkersAbsent
        body = await request.received()
        parts = request.segments
        if request.method == "POST" and parts[:3] == ["v2", "repository", "models"] and parts[4:] == ["load"]:
            return await _load(group, parts[3], request.unpacked(body))
        call = _call(request, body)
        if request.path == _INDEX and request.method == "POST":
            return _merged([_reply(each) for each in await group.ask(call)])
        for told in await group.ask(call, one=True):
            return _reply(told)
        raise WorkersAbsent


async def _load(group: WorkerGroup, model: str, body: bytes) -> Reply:
    try:
        asked = msgspec.json.decode(body, type=dict[str, Any]) if body else {}
        given = msgspec.convert(asked.get("parameters", {}), dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise HttpRefusal(f"a repository request is an object: {error}", mend="Send {} or nothing.") from None
    told = await group.load(Call(0, "load", model, text_of(given, "reference"), text_of(given, "version")))
    if told.error:
        raise ForeignError(told.error)
    return Reply(200, b"")


def _call(request: Request, body: bytes) -> Call:
    headers = tuple((name, request.headers[name]) for name in _KEPT if name in request.headers)
    return Call(0, "ask", method=request.method, target=request.target, headers=headers, body=body)


def _reply(told: Told) -> Reply:
    if told.error:
        raise ForeignError(told.error)
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told.headers]
    kind = next((value for name, value in fields if name == b"content-type"), b"application/json")
    return Reply(told.status, told.body, tuple(each for each in fields if each[0] not in _OWN), content_type=kind)


def _merged(replies: list[Reply]) -> Reply:
    """Return the states of models: a model is as the worker says that is worst off."""
    if not replies:
        raise WorkersAbsent
    worst = ("UNAVAILABLE", "LOADING", "READY")
    found: dict[tuple[str, str], dict[str, str]] = {}
    for reply in replies:
        if reply.status != 200:
            return reply
        for state in msgspec.json.decode(reply.body, type=list[dict[str, str]]):
            key = (state["name"], state.get("version", ""))
            known = found.setdefault(key, state)
            if worst.index(state["state"]) < worst.index(known["state"]):
                found[key] = state
    return Reply(200, msgspec.json.encode(list(found.values())))
