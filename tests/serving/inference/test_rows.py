"""Tensors become the rows that a graph takes, and replies become tensors."""

from typing import Any

import numpy as np
import pytest

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.serving.errors import HttpRefusal
from modelyard.serving.inference import Tensor
from modelyard.serving.inference.rows import rows_of, tensors_of


def told(replies: Any) -> list[tuple[str, str, list[int], Any]]:
    return [(each.name, each.datatype, each.shape, each.array.tolist()) for each in tensors_of(replies)]


def test_columns_become_records_of_plain_values() -> None:
    rows = rows_of(
        [
            Tensor.of("hour", np.array([[19], [7]], dtype=np.int8)),
            Tensor("carrier", "BYTES", np.array([b"UA", "AA"], dtype=object)),
            Tensor.of("late", np.array([True, False])),
        ]
    )
    assert rows == [{"hour": 19, "carrier": "UA", "late": True}, {"hour": 7, "carrier": "AA", "late": False}]
    assert [type(value) for value in rows[0].values()] == [int, str, bool]


def test_a_column_of_vectors_keeps_them() -> None:
    assert rows_of([Tensor.of("id", [1]), Tensor.of("v", np.array([[1.5, 2.5]]))]) == [{"id": 1, "v": [1.5, 2.5]}]


def test_a_lone_matrix_stays_an_array_without_a_copy() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert rows_of([Tensor.of("x", array)]) is array


def test_a_lone_tensor_named_as_a_feature_is_a_column() -> None:
    assert rows_of([Tensor.of("hour", [[19], [7]])], {"hour"}) == [{"hour": 19}, {"hour": 7}]
    assert rows_of([Tensor.of("other", [[19], [7]])], {"hour"}).tolist() == [[19], [7]]


def test_bytes_that_are_no_text_stay_bytes() -> None:
    assert rows_of([Tensor("image", "BYTES", np.array([b"\xff\xd8"], dtype=object))]) == [{"image": b"\xff\xd8"}]


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(HttpRefusal) as raised:
        rows_of([Tensor.of("a", [1, 2]), Tensor.of("b", [1])])
    assert str(raised.value) == "tensor 'b': it has 1 rows, the first tensor 2. Send equal columns."


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (
            [{"label": True, "probability": 0.5}, {"label": False, "probability": None}],
            [("label", "BOOL", [2, 1], [[True], [False]]), ("probability", "FP64", [2, 1], [[0.5], ["nan"]])],
        ),
        ([1, 2], [("output", "INT64", [2], [1, 2])]),
        (["a", "b"], [("output", "BYTES", [2], ["a", "b"])]),
        ([[1.0, 2.0], [3.0, 4.0]], [("output", "FP64", [2, 2], [[1.0, 2.0], [3.0, 4.0]])]),
        (np.array([[1], [2]], dtype=np.int16), [("output", "INT16", [2, 1], [[1], [2]])]),
        ([["a"], ["b"]], [("output", "BYTES", [2, 1], [["a"], ["b"]])]),
        ([{"a": {"b": 1}}], [("a", "BYTES", [1, 1], [['{"b":1}']])]),
        ([[1], [1, 2]], [("output", "BYTES", [2], ["[1]", "[1,2]"])]),
        ([], [("output", "FP64", [0], [])]),
    ],
)
def test_replies_become_tensors(replies: Any, expected: Any) -> None:
    assert repr(told(replies)).replace("nan", "'nan'") == repr(expected)


def test_replies_with_different_fields_are_refused() -> None:
    with pytest.raises(HttpRefusal) as raised:
        tensors_of([{"a": 1}, {"b": 2}])
    assert str(raised.value) == (
        "inference request: the graph's replies have different fields: a; b. "
        "Ask row by row, or give the replies equal fields."
    )


@pytest.mark.parametrize(
    "column",
    [
        np.array([1, 0]),
        np.array([1, 0], dtype=np.uint8),
        np.array([0.5, np.nan]),
        np.array([0.5, 2.0], dtype=np.float32),
        np.array([True, False]),
        np.array(["late", "early"]),
        np.array(["late", "early"], dtype=object),
        np.array([[0.5, 0.5], [0.25, 0.75]]),
    ],
    ids=lambda column: column.dtype.str,
)
def test_columns_of_answers_become_the_tensors_of_their_mappings(column: Any) -> None:
    answers = AnswerColumns({"label": column, "share": np.array([1.0, 0.5])})
    found, expected = tensors_of(answers), tensors_of(list(answers))
    assert [(each.name, each.datatype, each.shape) for each in found] == [
        (each.name, each.datatype, each.shape) for each in expected
    ]
    assert [repr(each.array.tolist()) for each in found] == [repr(each.array.tolist()) for each in expected]
    assert [each.array.dtype for each in found] == [each.array.dtype for each in expected]
