"""Bodies of every type become events, and replies come back in the form that was asked for."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from pyarrow import csv, parquet

from modelyard.graphs import EventInvalid, Graph, Response
from modelyard.serving.bodies import read_body
from modelyard.serving.errors import RowsExceeded
from modelyard.serving.limits import Limits
from modelyard.serving.local import LocalServer
from modelyard.serving.table_bounds import TableBounds

ROWS = [{"hour": 19, "carrier": "UA"}, {"hour": 7, "carrier": "AA"}]
TABLE = pa.Table.from_pylist(ROWS)


def told(event: Any) -> Any:
    body = event.body
    if isinstance(body, dict) and isinstance(body.get("file"), dict):
        body = {**body, "file": {**body["file"], "body": body["file"]["body"].decode()}}
    return {
        "body": f"bytes {len(body)}" if isinstance(body, bytes) else body,
        "path": event.path,
        "id": event.id,
        "key": event.key,
        "type": event.content_type,
        "at": event.timestamp,
        "metadata": event.metadata,
    }


def evening(body: Any) -> Any:
    if body["hour"] < 0:
        raise EventInvalid("is not negative", field="hour")
    return {"evening": body["hour"] >= 18}


async def count(body: Any) -> AsyncIterator[Any]:
    for number in range(body["to"]):
        if number == body.get("fail"):
            raise EventInvalid("fails here", field="fail")
        yield {"number": number}


def server_of(step: Any, limits: Limits | None = None, **options: Any) -> LocalServer:
    graph = Graph("events")
    graph.to(step, **options)
    return LocalServer(graph.open(), limits=limits)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with server_of(told, full_event=True) as server:
        yield server.url


@pytest.fixture(scope="module")
def rows() -> Iterator[str]:
    with server_of(evening, Limits(rows=3)) as server:
        yield server.url


@pytest.fixture(scope="module")
def stream() -> Iterator[str]:
    with server_of(count) as server:
        yield server.url


def written(write: Any) -> bytes:
    sink = io.BytesIO()
    write(sink)
    return sink.getvalue()


def arrow(make: Any) -> bytes:
    def write(sink: Any) -> None:
        with make(sink, TABLE.schema) as writer:
            writer.write_table(TABLE)

    return written(write)


BODIES = {
    "text/csv": written(lambda sink: csv.write_csv(TABLE, sink)),
    "application/vnd.apache.parquet": written(lambda sink: parquet.write_table(TABLE, sink)),
    "application/vnd.apache.arrow.stream": arrow(pa.ipc.new_stream),
    "application/vnd.apache.arrow.file": arrow(pa.ipc.new_file),
}
READ = {
    "text/csv": lambda raw: csv.read_csv(pa.BufferReader(raw)),
    "application/vnd.apache.parquet": lambda raw: parquet.read_table(pa.BufferReader(raw)),
    "application/vnd.apache.arrow.stream": lambda raw: pa.ipc.open_stream(raw).read_all(),
    "application/vnd.apache.arrow.file": lambda raw: pa.ipc.open_file(raw).read_all(),
}


@pytest.mark.parametrize("media_type", list(BODIES))
def test_each_row_of_a_table_is_an_event(rows: str, media_type: str) -> None:
    headers = {"content-type": media_type}
    found = httpx.post(rows, content=BODIES[media_type], headers=headers)
    assert (found.status_code, found.json()) == (200, [{"evening": True}, {"evening": False}])
    back = httpx.post(rows, content=BODIES[media_type], headers={**headers, "accept": media_type})
    assert back.headers["content-type"] == media_type
    assert READ[media_type](back.content).to_pylist() == [{"evening": True}, {"evening": False}]


@pytest.mark.parametrize("media_type", [each for each in BODIES if each != "text/csv"])
def test_few_bytes_with_many_rows_are_refused_before_they_are_unpacked(media_type: str) -> None:
    table = pa.table({"hour": pa.array([0] * 1_000_000, pa.int64())})
    sink = io.BytesIO()
    if media_type.endswith("parquet"):
        parquet.write_table(table, sink, compression="zstd")
    else:
        make = pa.ipc.new_stream if media_type.endswith("stream") else pa.ipc.new_file
        with make(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table, max_chunksize=10_000)
    assert len(sink.getvalue()) < 100_000
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(RowsExceeded, match="the limit is 5000"):
            read_body(sink.getvalue(), media_type, bounds=TableBounds(5_000, 10_000_000))
    finally:
        pa.set_memory_pool(before)
    assert (pool.max_memory() or 0) < 1_000_000  # all of it is 8 MB


def test_a_bad_row_of_a_table_fails_alone(rows: str) -> None:
    found = httpx.post(rows, content=b"hour\n19\n-1\n", headers={"content-type": "text/csv"})
    assert (found.status_code, found.headers["x-rows-failed"]) == (200, "1")
    good, bad = found.json()
    assert good == {"evening": True}
    assert bad["error"]["message"] == "hour: is not negative"
    assert bad["error"]["step"] == "evening"


def test_what_an_error_handler_says_of_a_row_is_its_reply() -> None:
    graph = Graph("strict")
    graph.to(evening).on_error(lambda event: Response({"refused": str(event.error)}, 422), name="refuse")
    with LocalServer(graph.open()) as server:
        found = httpx.post(server.url, content=b"hour\n19\n-1\n", headers={"content-type": "text/csv"})
    assert (found.json(), found.headers["x-rows-failed"]) == (
        [{"evening": True}, {"refused": "hour: is not negative."}],
        "1",
    )


@pytest.mark.parametrize(
    ("media_type", "raw", "status", "message"),
    [
        ("text/csv", b"hour\n1\n2\n3\n4\n", 413, "the request has 4 rows, the limit is 3"),
        ("text/csv", b"hour,at\n1\n", 400, "the body is not CSV: CSV parse error: Expected 2 columns, got 1: 1"),
        ("application/vnd.apache.parquet", b"PAR1", 400, "the body is not Parquet: "),
        ("application/vnd.apache.arrow.file", b"ARROW1", 400, "the body is not Arrow: "),
        ("application/vnd.apache.arrow.stream", b"\0\1\2", 400, "the body is not Arrow: "),
        ("multipart/form-data", b"--x", 400, "the body is not a form: "),
        ("multipart/form-data; boundary=x", b"nothing", 400, "the body is not a form: "),
        ("application/pdf", b"%PDF", 415, "the content type is application/pdf"),
    ],
)
def test_bodies_that_are_not_what_they_say(rows: str, media_type: str, raw: bytes, status: int, message: str) -> None:
    found = httpx.post(rows, content=raw, headers={"content-type": media_type})
    assert found.status_code == status
    assert found.json()["error"]["message"].startswith(message)


def test_forms_images_text_and_bytes_are_events(url: str) -> None:
    files = {"file": ("a.txt", b"hello", "text/plain")}
    form = httpx.post(f"{url}/upload", files=files, data={"name": "Ünï"}).json()
    assert form["body"] == {
        "name": "Ünï",
        "file": {"filename": "a.txt", "content_type": "text/plain", "body": "hello"},
    }
    assert form["path"] == "/upload"
    for media_type, raw, body in (
        ("image/png", b"\x89PNG", "bytes 4"),
        ("application/octet-stream", b"\xff", "bytes 1"),
        ("text/plain; charset=utf-8", "é".encode(), "é"),
        ("application/geo+json", b'{"x": 1}', {"x": 1}),
    ):
        found = httpx.post(url, content=raw, headers={"content-type": media_type}).json()
        assert (found["body"], found["type"]) == (body, media_type)


def test_cloud_events_keep_what_they_say(url: str) -> None:
    attributes = {
        "id": "c1",
        "source": "/sensors/7",
        "type": "com.example.reading",
        "specversion": "1.0",
        "subject": "room",
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "datacontenttype": "application/json",
        "shard": "9",
    }
    event = CloudEvent(attributes, {"x": 1})
    for message in (to_binary_event(event), to_structured_event(event)):
        answer = httpx.post(f"{url}/readings", content=message.body, headers=message.headers)
        reply: Any = from_http_event(HTTPMessage(dict(answer.headers), answer.content))
        assert reply.get_data() == {
            "body": {"x": 1},
            "path": "/readings",
            "id": "c1",
            "key": "room",
            "type": "application/json",
            "at": 1767225600.0,
            "metadata": {"source": "/sensors/7", "type": "com.example.reading", "subject": "room", "shard": "9"},
        }
        assert (reply.get_id(), reply.get_source()) == ("c1-reply", "/graphs/events")
        assert reply.get_type() == "io.modelyard.reply"


def test_a_cloud_event_without_its_attributes_is_refused(url: str) -> None:
    binary = {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s"}
    structured = {"content-type": "application/cloudevents+json"}
    for sent, headers, reason in (
        ({}, binary, "it has no id"),
        ({}, {**binary, "ce-id": "1", "ce-time": "late"}, "Expected 4 digits, got 'late'"),
        ({"specversion": "1.0", "id": "1"}, structured, "it has no source and no type"),
    ):
        found = httpx.post(url, json=sent, headers=headers)
        assert found.status_code == 400
        assert found.json()["error"]["message"] == f"the body is not a CloudEvent: {reason}"


def test_replies_stream_as_events_and_as_lines(stream: str) -> None:
    body = {"to": 3}
    events = httpx.post(stream, json=body, headers={"accept": "text/event-stream"})
    assert events.headers["content-type"] == "text/event-stream"
    assert events.text == 'data: {"number":0}\n\ndata: {"number":1}\n\ndata: {"number":2}\n\n'
    lines = httpx.post(stream, json=body, headers={"accept": "application/x-ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert httpx.post(stream, json=body).json() == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_an_error_before_the_first_reply_has_a_status_and_one_after_it_is_in_the_stream(stream: str) -> None:
    for accept in ("text/event-stream", "application/x-ndjson", "*/*"):
        early = httpx.post(stream, json={"to": 1, "fail": 0}, headers={"accept": accept})
        assert (early.status_code, early.json()["error"]["message"]) == (422, "fail: fails here")
    late = httpx.post(stream, json={"to": 9, "fail": 1}, headers={"accept": "text/event-stream"})
    first, second, rest = late.text.split("\n\n")
    assert (first, rest) == ('data: {"number":0}', "")
    kind, data = second.split("\n")
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["message"] == "fail: fails here"


def test_an_empty_stream_is_empty(stream: str) -> None:
    found = httpx.post(stream, json={"to": 0}, headers={"accept": "text/event-stream"})
    assert (found.status_code, found.text) == (200, "")


def test_who_goes_away_ends_the_work_and_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    inside, ended = Event(), Event()

    async def wait(body: Any) -> Any:
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    graph = Graph("waiting")
    graph.to(wait)
    with LocalServer(graph.open()) as server:
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=60) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
            assert inside.wait(60)
        assert ended.wait(60)
    assert caplog.text == ""


def test_a_deadline_that_is_no_time_is_refused(url: str) -> None:
    for value in ("soon", "0", "-1", "inf", "nan"):
        found = httpx.post(url, json=1, headers={"x-request-timeout": value})
        assert found.status_code == 400
        assert found.json()["error"]["message"] == (
            f"the header x-request-timeout is a number of seconds above 0, not {value!r}"
        )


def test_the_time_that_a_request_waits_for_its_turn_counts(caplog: pytest.LogCaptureFixture) -> None:
    inside, leave = Event(), Event()

    def hold(body: Any) -> Any:
        inside.set()
        assert leave.wait(60)
        return body

    with server_of(hold, Limits(in_flight=1), concurrency="thread") as server, ThreadPoolExecutor(2) as clients:
        first = clients.submit(httpx.post, server.url, json=1, timeout=20)
        assert inside.wait(60)
        second = clients.submit(httpx.post, server.url, json=2, headers={"x-request-timeout": "0.001"}, timeout=20)
        while 'requests_waiting{graph="events",revision=""} 1.0' not in httpx.get(f"{server.url}/metrics").text:
            assert not second.done()
        leave.set()
        assert first.result().json() == 1
        assert (second.result().status_code, second.result().json()["error"]["type"]) == (504, "DeadlineExceeded")
    logged = [record for record in caplog.records if record.name == "modelyard.serving"]
    assert [(record.levelname, record.exc_info) for record in logged] == [("WARNING", None)]
    assert second.result().json()["error"]["message"] in logged[0].message


BATCH = {"content-type": "application/cloudevents-batch+json"}


def cloud(number: int, **more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"c{number}", "source": "/s", "type": "t", **more}


@pytest.mark.parametrize("is_async", [False, True])
def test_each_event_of_a_batch_has_its_answer_in_a_batch(is_async: bool) -> None:
    def said(event: Any) -> Any:
        if event.body == "drop":
            return Response(None, 204)
        if event.body == "text":
            return Response("hello", 200, {"content-type": "text/plain"})
        if event.body == "bytes":
            return Response(b"\xff", 200, {"content-type": "image/png"})
        return {**evening(event.body), "id": event.id, "key": event.key, "metadata": event.metadata}

    async def waited(event: Any) -> Any:
        await asyncio.sleep(0)
        return said(event)

    events = [
        cloud(1, data={"hour": 19}, subject="room"),
        cloud(2, data={"hour": -1}),
        cloud(3, data="drop"),
        cloud(4, data="text", datacontenttype="text/plain"),
        cloud(5, data="bytes", datacontenttype="text/plain"),
    ]
    with server_of(waited if is_async else said, full_event=True) as server:
        found = httpx.post(server.url, content=json.dumps(events), headers=BATCH)
        empty = httpx.post(server.url, content="[]", headers=BATCH)
    assert (found.status_code, found.headers["content-type"], found.headers["x-rows-failed"]) == (
        200,
        "application/cloudevents-batch+json",
        "1",
    )
    first, second, third, fourth, fifth = found.json()
    own = {"specversion": "1.0", "source": "/graphs/events", "type": "io.modelyard.reply"}
    data = {"evening": True, "id": "c1", "key": "room", "metadata": {"source": "/s", "type": "t", "subject": "room"}}
    assert first == {**own, "id": "c1-reply", "datacontenttype": "application/json", "data": data}
    assert (second["id"], second["type"], second["status"]) == ("c2-reply", "io.modelyard.error", 422)
    assert second["data"]["error"]["message"] == "hour: is not negative"
    assert third == {**own, "id": "c3-reply"}
    assert fourth == {**own, "id": "c4-reply", "datacontenttype": "text/plain", "data": "hello"}
    assert fifth == {**own, "id": "c5-reply", "datacontenttype": "image/png", "data_base64": "/w=="}
    assert (empty.status_code, empty.json()) == (200, [])


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        ({"id": "1"}, 400, "the body is not a batch of CloudEvents: it is no list"),
        (
            [cloud(1), {"id": "2"}],
            400,
            "the body is not a batch of CloudEvents (event 1): it has no source and no type",
        ),
        (
            [cloud(1), 7],
            400,
            "the body is not a batch of CloudEvents (event 1): it has no id and no source and no type",
        ),
        ([cloud(number) for number in range(4)], 413, "the request has 4 rows, the limit is 3"),
    ],
)
def test_a_batch_that_is_none_is_refused(rows: str, sent: Any, status: int, message: str) -> None:
    found = httpx.post(rows, content=json.dumps(sent), headers=BATCH)
    assert (found.status_code, found.json()["error"]["message"][: len(message)]) == (status, message)
