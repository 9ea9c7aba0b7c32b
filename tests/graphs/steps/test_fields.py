from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.graphs import Graph, StepFailed
from modelyard.graphs.steps import FieldMissing, Fields, FieldUnfit
from modelyard.graphs.testing import differences


def changed(row: Any, **operations: Any) -> Any:
    return Fields(**operations).do(row)


def test_the_order_of_the_arguments_is_the_order_of_the_work() -> None:
    assert changed({"a": 1, "b": 2}, rename={"a": "b2"}, drop=["b"], extend={"a": 3}) == {"b2": 1, "a": 3}
    assert changed({"a": 1, "b": 2}, extend={"a": 3}, drop=["b"], rename={"a": "b2"}) == {"b2": 3}
    assert Fields(operations=[{"rename": {"a": "b"}}, {"extend": {"a": 0}}, {"rename": {"a": "c"}}]).do({"a": 1}) == {
        "b": 1,
        "c": 0,
    }


def test_the_order_survives_the_specification() -> None:
    graph = Graph("g")
    graph.to(Fields, scale={"x": {"mean": 1, "std": 2}}, rename={"x": "a"}, extend={"x": 9}).respond()
    for again in (Graph.from_spec(graph.to_spec()), graph):
        assert again.test({"x": 5}) == {"a": 2.0, "x": 9}


def test_names() -> None:
    assert changed({"a": 1, "b": 2}, rename={"a": "b", "b": "a"}) == {"b": 1, "a": 2}
    assert changed({"a": 1, "b": 2, "c": 3}, select=["c", "a"]) == {"c": 3, "a": 1}
    assert changed({"a": {"b": [1]}}, copy={"x": "a.b"}) == {"a": {"b": [1]}, "x": [1]}
    with pytest.raises(FieldUnfit, match="b: is there already, and another field shall get its name, got 2"):
        changed({"a": 1, "b": 2}, rename={"a": "b"})
    with pytest.raises(FieldMissing, match=r"the field 'distanc' is missing\. Did you mean distance\?"):
        changed({"distance": 1}, select=["distanc"])


def test_the_parts_of_a_moment() -> None:
    parts = [
        "year",
        "quarter",
        "month",
        "week",
        "day",
        "day_of_year",
        "weekday",
        "is_weekend",
        "hour",
        "minute",
        "second",
    ]
    expected = [2013, 4, 12, 1, 30, 364, 0, 0, 23, 59, 7]
    for moment in (
        "2013-12-30T23:59:07",
        datetime(2013, 12, 30, 23, 59, 7),
        datetime(2013, 12, 30, 23, 59, 7, tzinfo=UTC).timestamp(),
    ):
        row = changed({"t": moment}, dates={"t": parts})
        assert [row[f"t_{part}"] for part in parts] == expected
    assert changed({"t": date(2024, 2, 29)}, dates={"t": ["weekday", "hour"]}) == {
        "t": date(2024, 2, 29),
        "t_weekday": 3,
        "t_hour": 0,
    }
    for wrong in ("yesterday", None, True, [1]):
        with pytest.raises(FieldUnfit, match="t: must be a moment: ISO 8601 text, or seconds since 1970"):
            changed({"t": wrong}, dates={"t": ["year"]})


def test_values_are_mapped_exactly_by_range_or_by_default() -> None:
    table = {"map": [[1, "one"], [True, "yes"]], "ranges": [[None, 0, "negative"], [0, 10, "small"]]}
    assert [changed({"x": x}, values={"x": table})["x"] for x in (1, True, -5, 0, 9.9)] == [
        "one",
        "yes",
        "negative",
        "small",
        "small",
    ]
    with pytest.raises(FieldUnfit, match="x: is not in the table of values, got 10"):
        changed({"x": 10}, values={"x": table})
    assert changed({"x": 10}, values={"x": {**table, "default": "big"}}) == {"x": "big"}
    assert changed({"x": 10}, values={"x": {**table, "keep": True, "into": "y"}}) == {"x": 10, "y": 10}


def test_one_hot() -> None:
    assert changed({"a": 1, "o": "JFK", "b": 2}, one_hot={"o": ["EWR", "JFK"]}) == {
        "a": 1,
        "o_EWR": 0,
        "o_JFK": 1,
        "b": 2,
    }
    with pytest.raises(FieldUnfit, match="o: must be one of EWR, JFK, got 'BER'"):
        changed({"o": "BER"}, one_hot={"o": ["EWR", "JFK"]})
    assert changed({"o": "BER"}, one_hot={"o": {"of": ["EWR", "JFK"], "unknown": "zeros"}}) == {"o_EWR": 0, "o_JFK": 0}


def test_gaps_are_filled_and_numbers_scaled() -> None:
    impute = {"a": 1, "b": 2, "c": 3, "d": 4}
    assert changed({"a": None, "b": float("nan"), "c": 0}, impute=impute) == {"a": 1, "b": 2, "c": 0, "d": 4}
    assert changed({"x": 7}, scale={"x": {"mean": 5, "std": 4}}) == {"x": 0.5}
    assert changed({"x": 7}, scale={"x": {"min": 5, "max": 6}}) == {"x": 2.0}
    assert changed({"x": 7}, scale={"x": {"min": 5, "max": 6, "clip": True}}) == {"x": 1.0}
    for wrong in (None, "7", True, float("nan")):
        with pytest.raises(FieldUnfit, match="x: must be a number"):
            changed({"x": wrong}, scale={"x": {"min": 5, "max": 6}})
    with pytest.raises(FieldUnfit, match="x: must be a number of double precision"):
        changed({"x": 10**400}, scale={"x": {"mean": 0, "std": 1}})


OPERATIONS = {
    "dates": {"at": ["year", "quarter", "week", "weekday", "is_weekend", "hour", "second", "day_of_year"]},
    "copy": {"where": "origin"},
    "one_hot": {"origin": {"of": ["EWR", "JFK"], "unknown": "zeros"}},
    "impute": {"seats": 150, "wind": 0.5},
    "values": {
        "seats": {"ranges": [[None, 100, "small"], [100, None, "big"]], "into": "size"},
        "where": {"map": {"EWR": "NJ"}, "keep": True},
    },
    "scale": {"distance": {"min": 0, "max": 5000, "clip": True}},
    "rename": {"distance": "far"},
    "extend": {"tag": "x", "list": [1, 2]},
    "drop": ["at"],
}

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),
            "origin": st.sampled_from(["EWR", "JFK", "BER"]),
            "seats": st.none() | st.integers(0, 500),
            "wind": st.none() | st.floats(allow_nan=True, allow_infinity=False),
            "distance": st.integers(-10, 10_000),
        }
    ),
    min_size=1,
    max_size=8,
)


@given(ROWS)
def test_columns_give_what_rows_give(rows: list[dict[str, Any]]) -> None:
    block = Fields(**OPERATIONS)  # type: ignore[arg-type]
    schema = pa.schema(
        [
            ("at", pa.timestamp("us")),
            ("origin", pa.string()),
            ("seats", pa.int64()),
            ("wind", pa.float64()),
            ("distance", pa.int64()),
        ]
    )
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    by_rows = [block.do(row) for row in batch.to_pylist()]
    at_once = block.do_batch(batch)
    assert isinstance(at_once, pa.RecordBatch)
    assert at_once.schema.names == list(by_rows[0])
    assert differences(by_rows, at_once) == []
    coded = batch.set_column(1, "origin", batch.column("origin").dictionary_encode())
    assert differences(by_rows, block.do_batch(pa.table(coded))) == []


def test_frames_and_structured_arrays() -> None:
    graph = Graph("g")
    graph.to(Fields, scale={"x": {"min": 0, "max": 10}}, one_hot={"o": ["a", "b"]}).respond()
    frame = pd.DataFrame({"x": [1, 5], "o": ["a", "b"]})
    rows = graph.map(frame)
    assert rows.vectorised
    assert isinstance(rows.values, pd.DataFrame)
    assert rows.values.to_dict("records") == [{"x": 0.1, "o_a": 1, "o_b": 0}, {"x": 0.5, "o_a": 0, "o_b": 1}]
    bad = graph.map(pd.DataFrame({"x": [1, 5], "o": ["a", "z"]}))
    assert (bad.vectorised, bad.values[0], list(bad.errors)) == (False, {"x": 0.1, "o_a": 1, "o_b": 0}, [1])
    array = np.array([(1, "a"), (5, "b")], dtype=[("x", "i8"), ("o", "U1")])
    assert graph.map(array).values.to_pylist() == rows.values.to_dict("records")


def test_one_bad_row_does_not_spoil_the_batch() -> None:
    graph = Graph("g")
    graph.to(Fields, name="scaled", scale={"x": {"min": 0, "max": 10}}).respond()
    rows = graph.map(pa.RecordBatch.from_pylist([{"x": 1}, {"x": None}, {"x": 3}]))
    assert (rows.values, list(rows.errors)) == ([{"x": 0.1}, None, {"x": 0.3}], [1])
    assert isinstance(rows.errors[1], StepFailed)
    assert "graph g, step scaled" in str(rows.errors[1])


def test_constants_are_not_shared_between_replies() -> None:
    block = Fields(extend={"tags": []}, impute={"more": {"a": []}})
    first = block.do({})
    first["tags"].append("spoiled")
    first["more"]["a"].append("spoiled")
    assert block.do({}) == {"tags": [], "more": {"a": []}}
