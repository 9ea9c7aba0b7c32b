from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.data import ColumnMissing, ColumnTypeWrong, to_matrix


def test_numbers_and_booleans_become_float64_with_nan() -> None:
    table = pa.table(
        {
            "i": pa.array([1, None, 2**40], pa.int64()),
            "u": pa.array([1, 2, None], pa.uint8()),
            "f": pa.array([0.5, float("nan"), None], pa.float32()),
            "b": [True, None, False],
            "d": pa.array([None, 1, 2], pa.decimal128(5, 2)),
            "k": pa.array([7, 7, None]).dictionary_encode(),
        }
    )

    matrix = to_matrix(table, ["k", "i", "u", "f", "b", "d"])

    assert matrix.dtype == np.float64
    nan = float("nan")
    expected = [[7, 1, 1, 0.5, 1, nan], [7, nan, 2, nan, nan, 1], [nan, 2.0**40, nan, nan, 0, 2]]
    np.testing.assert_array_equal(matrix, expected)


def test_text_makes_an_array_of_plain_python_objects() -> None:
    table = pa.table(
        {
            "t": pa.chunked_array([["x", None], ["y"]]),
            "c": pa.array(["a", "a", None]).dictionary_encode(),
            "i": [1, None, 3],
            "f": [0.5, None, 2.0],
            "b": [True, False, None],
        }
    )

    matrix = to_matrix(table, ["t", "i", "f", "b", "c"])

    assert matrix.dtype == object
    assert matrix.tolist() == [["x", 1, 0.5, True, "a"], [None, None, None, False, "a"], ["y", 3, 2.0, None, None]]
    assert [type(value) for value in matrix[0]] == [str, int, float, bool, str]


def test_numbers_beside_text_are_whole_or_not_as_they_were_in_training() -> None:
    table = pa.table({"t": ["x", "y"], "i": [1.0, None], "f": [1, 2], "g": [1.5, 2.0]})

    matrix = to_matrix(table, ["t", "i", "f", "g"], ["string", "int64", "double", "int64"])

    assert [type(value) for value in matrix[0]] == [str, int, float, float]
    assert matrix.tolist() == [["x", 1, 1.0, 1.5], ["y", None, 2.0, 2.0]]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**50), 2**50), st.none() | st.floats(allow_nan=False), st.none() | st.booleans()
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_way_in_gives_the_same_array(rows: list[tuple[Any, ...]]) -> None:
    types = [("i", pa.int64()), ("f", pa.float64()), ("b", pa.bool_())]
    table = pa.table(
        [pa.array(list(column), type_) for column, (_, type_) in zip(zip(*rows, strict=True), types, strict=True)],
        [n for n, _ in types],
    )
    names = ["f", "b", "i"]

    whole = to_matrix(table, names)

    batches = [to_matrix(batch, names) for batch in table.to_batches(max_chunksize=3)]
    np.testing.assert_array_equal(np.concatenate(batches), whole)
    np.testing.assert_array_equal(
        to_matrix(table.to_pydict() | {"b": table["b"], "i": table["i"], "f": table["f"]}, names), whole
    )
    np.testing.assert_array_equal(to_matrix([[row[1], row[2], row[0]] for row in rows], names), whole)


def test_frames_and_arrays_are_taken_too() -> None:
    frame = pd.DataFrame({"x": [1.0, None], "t": ["a", None]})

    assert to_matrix(frame, ["t", "x"]).tolist() == [["a", 1.0], [None, None]]
    np.testing.assert_array_equal(to_matrix(np.array([[1, 2]]), ["a", "b"]), [[1.0, 2.0]])
    assert to_matrix(np.empty((0, 2)), ["a", "b"]).shape == (0, 2)
    assert to_matrix([], ["a", "b"]).shape == (0, 2)


def test_what_is_no_feature_is_refused() -> None:
    table = pa.table({"when": pa.array([0], pa.timestamp("us")), "x": [1]})

    with pytest.raises(ColumnTypeWrong, match=r"'when' is timestamp\[us\], it must be a number, a boolean or text"):
        to_matrix(table, ["when"])
    with pytest.raises(ColumnMissing, match="Known: when, x"):
        to_matrix(table, ["something"])
    with pytest.raises(ColumnMissing, match="flights: there is no column 'z'"):
        to_matrix(pd.DataFrame({"x": [1]}), ["z"], source="flights")
    with pytest.raises(ColumnTypeWrong, match="rows by 2 columns"):
        to_matrix([[1], [2]], ["a", "b"])
