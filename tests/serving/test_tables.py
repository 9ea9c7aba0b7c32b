"""Tables in requests: what they hold is known before it is unpacked, and what is wrong with a cell is said."""

import io
from collections.abc import Iterator
from re import escape
from typing import Any, TypedDict

import httpx
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from modelyard.graphs import Graph
from modelyard.graphs.models import Model
from modelyard.graphs.models.signatures import Signature, Tensor
from modelyard.serving.bodies import read_body
from modelyard.serving.errors import RequestMalformed, TableTooLarge
from modelyard.serving.limits import Limits
from modelyard.serving.local import LocalServer
from modelyard.serving.table_bounds import TableBounds
from modelyard.serving.table_sizes import check_values

PARQUET, STREAM, FILE = (f"application/vnd.apache.{each}" for each in ("parquet", "arrow.stream", "arrow.file"))
BOUNDS = TableBounds(100_000, 1_000_000)


def packed(table: pa.Table, media_type: str, codec: str | None = "zstd") -> bytes:
    sink = io.BytesIO()
    if media_type == PARQUET:
        parquet.write_table(table, sink, compression=codec or "none")
        return sink.getvalue()
    make = pa.ipc.new_stream if media_type == STREAM else pa.ipc.new_file
    with make(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def memory_of(raw: bytes, media_type: str) -> int:
    """Return how much Arrow takes to refuse a table."""
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(TableTooLarge):
            read_body(raw, media_type, bounds=BOUNDS)
    finally:
        pa.set_memory_pool(before)
    return int(pool.max_memory() or 0)


SHARED = pa.array(["x" * 10_000], pa.string())
WIDE = pa.table({f"c{number}": pa.array(np.zeros(50_000)) for number in range(4)})
LONG = pa.table({"text": pa.array(["y" * 3_000_000])})
LISTS = pa.table({"many": pa.array([[0] * 400_000], pa.list_(pa.int8()))})
BOMBS = {"wide": WIDE, "long": LONG, "lists": LISTS}


@pytest.mark.parametrize("media_type", [PARQUET, STREAM, FILE])
@pytest.mark.parametrize("bomb", list(BOMBS))
def test_what_a_table_takes_unpacked_is_known_before_it_is(media_type: str, bomb: str) -> None:
    raw = packed(BOMBS[bomb], media_type)
    assert len(raw) < 20_000
    assert memory_of(raw, media_type) < 200_000


@pytest.mark.parametrize("media_type", [PARQUET, STREAM, FILE])
def test_a_value_that_many_rows_share_counts_for_each(media_type: str) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5_000, np.int32)), SHARED)
    raw = packed(pa.table({"text": column}), media_type)
    assert memory_of(raw, media_type) < 400_000  # all of it is 50 MB


@pytest.mark.parametrize(
    "column",
    [
        pa.RunEndEncodedArray.from_arrays(pa.array([5_000], pa.int32()), SHARED),
        pa.DictionaryArray.from_arrays(pa.array([0] * 5_000), pa.array([["z" * 10_000]])),
        pa.StructArray.from_arrays([pa.DictionaryArray.from_arrays(pa.array([0] * 5_000), SHARED)], ["a"]),
        pa.ListViewArray.from_arrays(pa.array([0] * 5_000, pa.int32()), pa.array([1] * 5_000, pa.int32()), SHARED),
        pa.FixedSizeListArray.from_arrays(pa.DictionaryArray.from_arrays(pa.array([0] * 5_000), SHARED), 5),
        pa.array(["w" * 10_000] * 5_000, pa.string_view()),
    ],
    ids=lambda column: str(column.type).partition("<")[0],
)
def test_whatever_lets_rows_share_a_value_is_counted(column: Any) -> None:
    with pytest.raises(TableTooLarge, match=r"^the table has 50\d{6} bytes when it is unpacked, the limit is 1000000"):
        check_values(pa.table({"x": column}), BOUNDS)


@pytest.mark.parametrize("media_type", [PARQUET, STREAM, FILE])
@pytest.mark.parametrize("codec", ["zstd", None])
def test_a_table_within_the_bounds_is_read_whole(media_type: str, codec: str | None) -> None:
    rows = [
        {"n": 1, "t": "a", "b": b"\x00", "l": ["p", None], "s": {"k": "v"}, "d": None},
        {"n": None, "t": None, "b": b"\x01", "l": [], "s": {"k": None}, "d": 2.5},
    ]
    table = pa.Table.from_pylist(rows)
    table = table.append_column("c", table.column("t").dictionary_encode())
    body = read_body(packed(table, media_type, codec), media_type, bounds=BOUNDS)
    assert body.value == [{**row, "c": row["t"]} for row in rows]
    view = table.set_column(1, "t", table.column("t").cast(pa.string_view()))
    assert media_type == PARQUET or read_body(packed(view, media_type), media_type).value == body.value


def test_the_limit_and_the_size_are_said() -> None:
    graph = Graph("echo")
    graph.to(lambda body: body, name="echo")
    with LocalServer(graph.open(), limits=Limits(body=50_000)) as server:
        found = httpx.post(server.url, content=packed(WIDE, STREAM), headers={"content-type": STREAM})
    assert (found.status_code, found.headers["connection"]) == (413, "close")
    told = found.json()["error"]
    assert told["message"] == "the table has 1600000 bytes when it is unpacked, the limit is 400000"
    assert told["facts"] == {"bytes": 1_600_000, "limit": 400_000}


class Delay(Model):
    """Says what it got."""

    def signature(self) -> Signature:
        kinds = (("hour", "INT64"), ("far", "FP64"), ("late", "BOOL"), ("at", "BYTES"))
        return Signature(tuple(Tensor(name, kind, (-1, 1)) for name, kind in kinds), ())

    def predict(self, inputs: Any) -> Any:
        return inputs


@pytest.fixture(scope="module")
def delays() -> Iterator[str]:
    graph = Graph("delays")
    graph.model("delay", Delay)
    with LocalServer(graph.open()) as server:
        yield server.url


def asked(url: str, raw: bytes) -> tuple[list[Any], str]:
    found = httpx.post(url, content=raw, headers={"content-type": "text/csv"})
    assert found.status_code == 200
    return found.json(), found.headers.get("x-rows-failed", "0")


GOOD = {"hour": 19, "far": 2.0, "late": True, "at": "007"}


def test_columns_have_the_types_of_the_signature(delays: str) -> None:
    raw = b"hour,far,late,at,more\n19,2,true,007,1\n,,,,2\n"
    empty = {"hour": None, "far": None, "late": None, "at": ""}
    assert asked(delays, raw) == ([{**GOOD, "more": 1}, {**empty, "more": 2}], "0")


def test_a_bad_cell_is_named_and_spoils_its_row_alone(delays: str) -> None:
    raw = b"hour,far,late,at\n19,2,true,007\nsoon,2,true,007\n19.0,2e0, true,007\n19,far,true,\n"
    (good, soon, whole, far), failed = asked(delays, raw)
    assert (good, whole, failed) == (GOOD, GOOD, "2")
    assert soon["error"] == {
        "type": "CellInvalid",
        "kind": "invalid",
        "message": "row 1: the column 'hour' has numbers (INT64), not 'soon'",
        "mend": "Put one there, or nothing.",
        "facts": {"row": 1, "column": "hour", "value": "soon"},
    }
    assert far["error"]["message"] == "row 3: the column 'far' has numbers (FP64), not 'far'"
    everywhere, failed = asked(f"{delays}/v2/models/delay/infer", b"hour,far,late,at\n1,1,maybe,x\n")
    assert (everywhere[0]["error"]["message"], failed) == (
        "row 0: the column 'late' has truth values (BOOL), not 'maybe'",
        "1",
    )


class Flight(TypedDict):
    hour: int
    carrier: str | None


def test_columns_have_the_types_that_the_first_step_takes() -> None:
    def flown(flight: Flight) -> Any:
        return flight

    graph = Graph("flown")
    graph.to(flown, validate=True)
    with LocalServer(graph.open()) as server:
        (good, bad), failed = asked(server.url, b"hour,carrier\n19,7\nlate,AA\n")
    assert (good, failed) == ({"hour": 19, "carrier": "7"}, "1")
    assert bad["error"]["message"] == "row 1: the column 'hour' has numbers (INT64), not 'late'"


TWICE = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])


@pytest.mark.parametrize(
    ("media_type", "raw", "message"),
    [
        ("text/csv", b"a,a\n1,2\n", "the body is not CSV: it has two columns 'a'"),
        ("text/csv", "a\né\n".encode("latin-1"), "the body is not CSV: the column 'a' is not UTF-8 text"),
        (STREAM, packed(TWICE, STREAM), "the body is not Arrow: it has two columns 'a'"),
        (PARQUET, packed(TWICE, PARQUET), "the body is not Parquet: it has two columns 'a'"),
    ],
)
def test_what_a_row_cannot_hold_is_refused(media_type: str, raw: bytes, message: str) -> None:
    with pytest.raises(RequestMalformed, match=escape(message)):
        read_body(raw, media_type)
