"""Requests as events of the graph: any body at any path, one reply or several, rows of a table."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from modelyard.errors import ModelyardError
from modelyard.graphs import Event, Plan, Response, Rows
from modelyard.graphs.mapping import map_at_once, map_plan
from modelyard.serving.bodies import JSON, Body, read_body
from modelyard.serving.cloud_events import (
    BATCH,
    is_cloud_event,
    read_cloud_batch,
    read_cloud_event,
    written_cloud_batch,
    written_cloud_event,
)
from modelyard.serving.errors import ReplyInvalid, RequestMalformed, RowsExceeded
from modelyard.serving.event_records import Runs
from modelyard.serving.graph_service import RowFailed, RowFiltered
from modelyard.serving.limits import Limits
from modelyard.serving.replies import FAILED, Reply, Streamed, encode, error_reply, event_reply, failed_members
from modelyard.serving.requests import Request
from modelyard.serving.row_columns import columns_of
from modelyard.serving.tables import TABLES, write_table

__all__ = ["EVENT_STREAM", "JSON_LINES", "EventFront"]

EVENT_STREAM = "text/event-stream"
JSON_LINES = "application/x-ndjson"


class EventFront:
    """Makes an event of each request, and a response of the graph's reply.

    Parameters
    ----------
    plan
        The open graph.
    limits
        What a request may hold.
    runs
        Runs events and takes down how they end; None is the plan itself.
    """

    def __init__(self, plan: Plan, limits: Limits, runs: Runs | None = None) -> None:
        self.plan = plan
        self._runs: Runs = runs or plan
        self._limits = limits
        self._takes_rows = _takes_rows(plan)
        self._columns = columns_of(plan)

    async def answer(self, request: Request) -> Reply | Streamed:
        """Return the response to a request."""
        raw = await request.body()
        if is_cloud_event(request):
            if request.media_type == BATCH:
                return await self._batch(read_cloud_batch(request, raw, self._limits.rows), request)
            event = read_cloud_event(request, raw)
            answered = await self._reply(event, request)
            return written_cloud_event(answered, event, self.plan.graph) if isinstance(answered, Reply) else answered
        body = self._read(raw, request)
        if body.rows:
            return await self._table(body, request)
        if self._takes_rows and isinstance(body.value, dict) and isinstance(body.value.get("inputs"), list):
            return await self._answers(body.value["inputs"], self.plan.graph, request)
        return await self._reply(self._event(body.value, request), request)

    async def ask(self, body: Any, request: Request) -> tuple[Event, Any]:
        """Return an event and the graph's reply to it, for who writes responses of another form."""
        event = self._event(body, request)
        return event, await self._run(event, request)

    def stream(self, body: Any, request: Request) -> AsyncIterator[Any]:
        """Yield the graph's replies to an event, for who writes responses of another form."""
        return self._runs.stream_async(self._event(body, request))

    async def respond(self, body: Any, request: Request) -> Reply | Streamed:
        """Return the response to an event whose body somebody else made of the request."""
        return await self._reply(self._event(body, request), request)

    async def rows(self, request: Request, raw: bytes | None) -> Reply | Streamed:
        """Return the response to rows for a model: ``{"inputs": rows}`` gets ``{"outputs": answers}``, one for each.

        What has no ``inputs`` is an event like any other, at the model's path.

        Raises
        ------
        RowsExceeded
            There are more than the limit.
        RowFailed, RowFiltered
            One of the rows has no answer.
        """
        if raw is None:
            raw = await request.body()
        body = self._read(raw, request)
        if body.rows:
            return await self._table(body, request)
        if not isinstance(body.value, dict) or "inputs" not in body.value:
            return await self._reply(self._event(body.value, request), request)
        rows = body.value["inputs"]
        if not isinstance(rows, list):
            raise RequestMalformed(
                f"inputs is a list of rows or tensors, not {type(rows).__name__}", form="a request for a model"
            )
        return await self._answers(rows, request.segments[2], request)

    async def _answers(self, rows: list[Any], model: str, request: Request) -> Reply:
        if len(rows) > self._limits.rows:
            raise RowsExceeded(len(rows), self._limits.rows)
        name = self._event(None, request).id
        told: dict[str, Any] = {"model_name": model, "id": name}
        replies = self._at_once(rows, request)
        if replies is not None:
            return Reply(200, encode({**told, "outputs": replies}))
        answered = await self._each(rows, name, request)
        refused = next((each for each in answered if each.status >= 400), None)
        if refused is not None:
            return refused
        outputs = [msgspec.Raw(each.body) for each in answered]
        failed = {
            member for each in answered for key, value in each.headers if key == FAILED for member in value.split(b", ")
        }
        headers = ((FAILED, b", ".join(sorted(failed))),) if failed else ()
        return Reply(200, msgspec.json.encode({**told, "outputs": outputs}), headers)

    def _at_once(self, rows: list[Any], request: Request) -> list[Any] | None:
        """Return the replies where one call of the models has them all; None if each row is to be an event."""
        plan = self.plan
        plain = (not request.segments or request.segments[3:] == ["infer"]) and not request.header(b"x-model-version")
        if not plain or plan.groups or self._runs is not plan or request.deadline is not None:
            return None
        found = map_at_once(plan, rows)
        if found is None or found.errors or any(isinstance(each, Response) for each in found):
            return None
        return list(found)

    async def _each(self, rows: list[Any], name: str, request: Request) -> list[Reply]:
        """Return the response to each row; they are asked side by side where steps wait for something.

        Raises
        ------
        RowFailed
            A step raised about one of several rows.
        """
        graph = self.plan.graph
        events = [self._event(row, request, name) for row in rows]
        together = await self._together(events, request)
        replies = []
        for index, event in enumerate(events):
            try:
                found = together[index] if together else await self._run(event, request)
                if isinstance(found, BaseException):
                    raise found
                if event.status == 204:
                    raise RowFiltered(graph, event.id)
                replies.append(event_reply(graph, event, found))
            except ModelyardError as error:
                if len(rows) == 1:
                    raise
                raise RowFailed(index, error) from error
        return replies

    async def _batch(self, events: list[Event], request: Request) -> Reply:
        """Return the answers to a batch of CloudEvents: one that fails has its error in its place."""
        together = await self._together(events, request)
        replies = []
        for index, event in enumerate(events):
            try:
                found = together[index] if together else await self._run(event, request)
                failed = isinstance(found, BaseException)
                replies.append(error_reply(found) if failed else event_reply(self.plan.graph, event, found))
            except Exception as error:  # noqa: BLE001 (one bad event does not spoil the others)
                replies.append(error_reply(error))
        return written_cloud_batch(zip(events, replies, strict=True), self.plan.graph)

    async def _together(self, events: list[Event], request: Request) -> list[Any]:
        """Return the replies to events that wait for something side by side; nothing where none does."""
        if not self.plan.is_async:
            return []
        forget = request.watch(_cancel_current())
        try:
            asked = (self._runs.run_async(event) for event in events)
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            forget()

    async def _reply(self, event: Event, request: Request) -> Reply | Streamed:
        if self.plan.streams and (request.accepts(EVENT_STREAM) or request.accepts(JSON_LINES)):
            return await self._streamed(event, events=request.accepts(EVENT_STREAM))
        return event_reply(self.plan.graph, event, await self._run(event, request))

    async def _run(self, event: Event, request: Request) -> Any:
        plan, runs = self.plan, self._runs
        if not plan.is_async:
            return await runs.run_async(event) if plan.early else runs.run(event)
        with_watch = request.watch(_cancel_current())
        try:
            return await runs.run_async(event)
        finally:
            with_watch()

    def _read(self, raw: bytes, request: Request) -> Body:
        return read_body(
            raw, request.media_type, request.content_type, bounds=self._limits.table, columns=self._columns
        )

    async def _table(self, body: Body, request: Request) -> Reply:
        plan, rows = self.plan, body.value
        if body.errors:
            rows = [row for index, row in enumerate(rows) if index not in body.errors]
        if self._runs is not plan:
            found = await self._as_events(rows, request)
        else:
            found = await asyncio.to_thread(map_plan, plan, rows) if plan.is_async else map_plan(plan, rows)
        replies, failed = _told(_with_errors(found, body.errors) if body.errors else found)
        wanted = next((each for each in TABLES if request.accepts(each)), JSON)
        try:
            told = encode(replies) if wanted == JSON else write_table(replies, wanted)
        except TypeError as error:
            raise ReplyInvalid(plan.graph, request.headers.get("x-request-id", ""), str(error)) from error
        headers = ((b"x-rows-failed", str(failed).encode()),) if failed else ()
        return Reply(200, told, headers, content_type=wanted.encode())

    async def _as_events(self, rows: list[Any], request: Request) -> Rows:
        """Return what `map_plan` does, of events each of which has an end of its own."""
        values, errors = list[Any](), dict[int, Exception]()
        for index, row in enumerate(rows):
            try:
                event = Event(row, path=request.path, method=request.method, deadline=request.deadline)
                values.append(await self._run(event, request))
            except Exception as error:  # noqa: BLE001 (one bad row does not spoil the others)
                values.append(None)
                errors[index] = error
        return Rows(values, errors)

    async def _streamed(self, event: Event, *, events: bool) -> Streamed:
        replies = self._runs.stream_async(event)
        write = _as_event if events else _as_line
        begun: list[bytes] = []
        # the first reply is waited for, so that what goes wrong before it has a status of its own
        with suppress(StopAsyncIteration):
            begun.append(write(await anext(replies)))
        failed = ", ".join(failed_members(event.metadata)) if event.metadata else ""
        headers = ((FAILED, failed.encode()),) if failed else ()
        media_type = EVENT_STREAM if events else JSON_LINES
        return Streamed(_pieces(begun, replies, write, events=events), 200, headers, media_type.encode())

    def _event(self, body: Any, request: Request, name: str = "") -> Event:
        return Event(
            body,
            id=name or request.name,
            path=request.path,
            method=request.method,
            headers=request.headers,
            content_type=request.content_type,
            deadline=request.deadline,
        )


def _takes_rows(plan: Plan) -> bool:
    """Whether ``{"inputs": rows}`` are rows at any path: the graph begins with a model that knows its features."""
    first = [node for node in plan.definition if node.after == ("",)]
    if len(first) != 1 or first[0].name not in plan.models or first[0].settings.input_path or plan.definition.endpoints:
        return False
    features = [each["name"] for each in plan.models[first[0].name].metadata()["inputs"]]
    return bool(features) and "inputs" not in features


def _cancel_current() -> Callable[[], Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (who awaits is in one)
    return task.cancel


def _with_errors(found: Rows, errors: Mapping[int, Exception]) -> Rows:
    """Return what became of all rows, where some never were events."""
    values, failed = list[Any](), dict[int, Exception](errors)
    for index, value in enumerate(found):
        while len(values) in errors:
            values.append(None)
        if index in found.errors:
            failed[len(values)] = found.errors[index]
        values.append(value)
    return Rows([*values, *(None for index in errors if index >= len(values))], failed)


def _told(rows: Rows) -> tuple[list[Any], int]:
    """Return what each row is told, and how many of them are told that they failed."""
    replies: list[Any] = []
    failed = 0
    for index, reply in enumerate(rows):
        if index in rows.errors:
            told: Any = msgspec.json.decode(error_reply(rows.errors[index]).body)
            failed += 1
        elif isinstance(reply, Response):
            told = reply.body
            failed += reply.status >= 400
        else:
            told = reply
        replies.append(told)
    return replies, failed


def _as_event(reply: Any) -> bytes:
    return b"data: " + encode(reply) + b"\n\n"


def _as_line(reply: Any) -> bytes:
    return encode(reply) + b"\n"


async def _pieces(
    begun: list[bytes], replies: AsyncIterator[Any], write: Callable[[Any], bytes], *, events: bool
) -> AsyncIterator[bytes]:
    for piece in begun:
        yield piece
    try:
        async for reply in replies:
            yield write(reply)
    except ModelyardError as error:
        # the status went out with the first piece: the client learns of it in the stream
        body = error_reply(error).body
        yield b"event: error\ndata: " + body + b"\n\n" if events else body + b"\n"
