"""What a worker does for its supervisor besides answering requests, and what it has done by all workers."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any
from urllib.parse import unquote

from modelyard.errors import ErrorKind, ErrorRecord, ForeignError, ModelyardError
from modelyard.graphs.failures import PlanClosed
from modelyard.graphs.models.reloads import Reload
from modelyard.serving.application import Application
from modelyard.serving.asgi import Message
from modelyard.serving.control import Call, Report, Told

__all__ = ["Relay", "ask_here"]

LIMIT = 60.0
"""Seconds that a request of the supervisor may take."""
_LOG = logging.getLogger("modelyard.serving.worker")


class Relay:
    """One worker's part in what concerns all of them.

    Parameters
    ----------
    application
        What the worker serves.
    send
        Tells the supervisor.
    tried
        Says what else the worker answers with at the moment, if it tries other models.
    """

    def __init__(
        self,
        application: Application,
        send: Callable[[Report], None],
        tried: Callable[[], Application | None] = lambda: None,
    ) -> None:
        self._application = application
        self._tried = tried
        self._send = send
        self._prepared: dict[int, list[Reload]] = {}
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Told]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, model: str, reference: str, version: str) -> None:
        """Have a model loaded anew by all workers, this one among them, and return when all serve it.

        Raises
        ------
        ForeignError
            It failed, in some worker at least.
        """
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send(Report("call", call=Call(number, "load", model, reference, version)))
        try:
            told = await waiting
        finally:
            del self._waiting[number]
        if told.error:
            raise ForeignError(told.error)

    def settle(self, told: Told) -> None:
        """Take what became of what this worker called for."""
        waiting = self._waiting.get(told.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(told)

    def begin(self, call: Call) -> None:
        """Do what the supervisor calls for, beside everything else, and tell what became of it."""
        task = asyncio.create_task(self._do(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        """Wait for nothing any more: nobody will tell."""
        error = ErrorRecord("WorkerEnding", ErrorKind.UNAVAILABLE, "the worker ends", mend="Ask again.")
        for number in list(self._waiting):
            self.settle(Told(number, error))
        while self._prepared:
            _drop(self._prepared.popitem()[1])

    async def _do(self, call: Call) -> None:
        try:
            told = Told(call.id)
            if call.action == "prepare":
                await self._prepare(call)
            elif call.action == "serve":
                await asyncio.to_thread(_serve, self._prepared.pop(call.ticket))
            elif call.action == "drop":
                await asyncio.to_thread(_drop, self._prepared.pop(call.ticket, []))
            else:
                async with asyncio.timeout(LIMIT):
                    told = await ask_here(self._application, call)
        except Exception as error:  # noqa: BLE001 (the supervisor is told, whatever happens)
            told = Told(call.id, _record(error, call))
        self._send(Report("told", told=told))

    async def _prepare(self, call: Call) -> None:
        """Load a model for all that answers here: while another version of it is tried, that is two."""
        tried, ready = self._tried(), list[Reload]()
        self._prepared[call.ticket], wanted = ready, False
        try:
            for each in (self._application, *((tried,) if tried else ())):
                ready.append(await each.service.prepare(call.model, call.reference, call.version))
            wanted = call.ticket in self._prepared  # or nobody waited for it so long
        finally:
            if not wanted:
                self._prepared.pop(call.ticket, None)
                _drop(ready)


def _serve(ready: list[Reload]) -> None:
    for each in ready:
        with suppress(PlanClosed):  # what was tried is no longer
            each.serve()


def _drop(ready: list[Reload]) -> None:
    while ready:
        ready.pop().drop()


async def ask_here(application: Application, call: Call) -> Told:
    """Return the response of an application to a request that no connection carries.

    Parameters
    ----------
    application
        What answers; it asks for no token.
    call
        The request.
    """
    path, _, query = call.target.partition("?")
    told: dict[str, Any] = {"pieces": []}
    given: list[Message] = [{"type": "http.request", "body": call.body, "more_body": False}]

    async def receive() -> Message:
        if given:
            return given.pop()
        await asyncio.Event().wait()  # who asks does not go away
        raise AssertionError("nothing more comes")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            told["status"], told["headers"] = message["status"], message["headers"]
        else:
            told["pieces"].append(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "method": call.method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in call.headers],
    }
    await application.unguarded()(scope, receive, send)
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in told["headers"])
    return Told(call.id, None, told["status"], headers, b"".join(told["pieces"]))


def _record(error: Exception, call: Call) -> ErrorRecord:
    if isinstance(error, ModelyardError):
        return error.record()
    if isinstance(error, TimeoutError):
        return ErrorRecord("TimeoutError", ErrorKind.TIMEOUT, f"the answer took more than {LIMIT:g} s")
    _LOG.error("cannot %s %s", call.action, call.model or call.target, exc_info=error)
    told = "the new model cannot be loaded; see the endpoint's log, and the old one stays"
    return ErrorRecord(type(error).__name__, ErrorKind.USER_CODE, told, where=f"model {call.model}")
