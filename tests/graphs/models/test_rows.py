from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.data import to_matrix
from modelyard.errors import ErrorKind
from modelyard.graphs import FeatureMissing, FeatureWrong, matrix_of
from modelyard.graphs.models.rows import is_row


@pytest.mark.parametrize(
    ("body", "one"),
    [
        ({"a": 1}, True),
        ({}, True),
        ([1, "x", None], True),
        ([[1]], False),
        ([{"a": 1}], False),
        ([], False),
        ("text", False),
        (3, False),
        (None, False),
    ],
)
def test_one_row_or_several(body: Any, one: bool) -> None:
    assert is_row(body) is one


def test_numbers_make_floats_and_nothing_is_nan() -> None:
    matrix = matrix_of([{"a": 1, "b": True, "x": "ignored"}, [None, False]], ["a", "b"], ["int64", "bool"])
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix, [[1.0, 1.0], [np.nan, 0.0]])


def test_text_makes_objects_and_nothing_is_none() -> None:
    rows = [{"n": 1, "f": 1, "t": "x"}, {"n": 2.0, "f": None, "t": None}]
    matrix = matrix_of(rows, ["n", "f", "t"], ["int64", "double", "string"])
    assert matrix.tolist() == [[1, 1.0, "x"], [2, None, None]]
    assert [type(value) for value in matrix[0]] == [int, float, str]
    assert type(matrix[1][0]) is int


TYPES = {
    pa.int64(): st.integers(-(2**53), 2**53),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=5),
    pa.dictionary(pa.int32(), pa.string()): st.text(max_size=5),
}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.lists(st.sampled_from(list(TYPES)), min_size=1, max_size=4), st.integers(1, 5))
def test_a_row_gives_the_array_that_training_made_of_it(data: st.DataObject, types: list[Any], rows: int) -> None:
    names = [f"f{index}" for index in range(len(types))]
    columns = {
        name: data.draw(st.lists(st.none() | TYPES[type_], min_size=rows, max_size=rows))
        for name, type_ in zip(names, types, strict=True)
    }
    schema = pa.schema(list(zip(names, types, strict=True)))
    table = pa.table(
        [
            pa.array(columns[name], type_.value_type).dictionary_encode()
            if pa.types.is_dictionary(type_)
            else pa.array(columns[name], type_)
            for name, type_ in zip(names, types, strict=True)
        ],
        schema=schema,
    )
    dtypes = [str(type_) for type_ in types]
    trained = to_matrix(table, names, dtypes)
    served = matrix_of([{name: columns[name][row] for name in names} for row in range(rows)], names, dtypes)
    assert served.dtype == trained.dtype
    assert [[type(value) for value in row] for row in served.tolist()] == [
        [type(value) for value in row] for row in trained.tolist()
    ]
    if served.dtype == object:
        assert served.tolist() == trained.tolist()
    else:
        np.testing.assert_array_equal(served, trained)


def test_without_types_the_values_decide() -> None:
    assert matrix_of([[1, None]], []).dtype == np.float64
    assert matrix_of([[1, "x"]], []).tolist() == [[1, "x"]]
    assert matrix_of([{"a": 1}], ["a"]).tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([{"a": 1}], FeatureMissing, "row 0: the feature 'b' is missing. Given: a."),
        ([{}], FeatureMissing, "row 0: the feature 'a' is missing. The row is empty."),
        ([{"a": 1, "b": "x"}], FeatureWrong, "row 0: the feature 'b' must be a number, got 'x'."),
        ([[1, 2], [1, [2]]], FeatureWrong, "row 1: the feature 'b' must be a number, got [2]."),
        ([[1, 2, 3]], FeatureWrong, "row 0: the model has 2 features, the row has 3 values."),
        (["text"], FeatureWrong, "row 0: a row is a mapping or a list, not str."),
        ([[1, float("inf")]], FeatureWrong, "row 0: the feature 'b' must be a number, got inf."),
        ([[1, 10**400]], FeatureWrong, f"row 0: the feature 'b' must be a number, got {str(10**400)[:80]}."),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows: Any, error: type[FeatureWrong], message: str) -> None:
    with pytest.raises(error) as caught:
        matrix_of(rows, ["a", "b"], ["double", "double"])
    assert str(caught.value) == message
    assert caught.value.error_kind is ErrorKind.INVALID


def test_lists_of_unknown_width_must_agree() -> None:
    with pytest.raises(FeatureWrong, match="row 1: the first row has 2 values, this one has 1"):
        matrix_of([[1, 2], [1]], [])
    with pytest.raises(FeatureWrong, match="the model has 3 features, the row has 2 values"):
        matrix_of([[1, 2]], [], width=3)
    with pytest.raises(FeatureWrong, match="does not name its features: send lists"):
        matrix_of([{"a": 1}], [])
    with pytest.raises(FeatureWrong, match=r"the feature 'b' must be a plain value, got \{'x': 1\}"):
        matrix_of([["t", {"x": 1}]], ["a", "b"], ["string", "string"])
