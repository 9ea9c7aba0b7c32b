import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.batch.isolation import isolate
from modelyard.graphs.errors import LibraryMissing, PredictionFailed


@settings(deadline=None)
@given(rows=st.integers(0, 80), bad=st.sets(st.integers(0, 79)), odd=st.sets(st.integers(0, 79)))
def test_exactly_the_bad_rows_fail(rows: int, bad: set[int], odd: set[int]) -> None:
    matrix = np.array([[index, math.nan if index in odd else 1.0] for index in range(rows)]).reshape(rows, 2)
    bad = {index for index in bad if index < rows}
    calls = 0

    def predict(part: Any) -> list[float]:
        nonlocal calls
        calls += 1
        for value in part[:, 0]:
            if int(value) in bad:
                raise ValueError(f"row {int(value)}")
        return [float(value) for value in part[:, 0]]

    found = isolate(predict, matrix, most=rows)

    assert {failure.row: failure.reason for failure in found.failures} == {row: f"ValueError: row {row}" for row in bad}
    answered = {int(row): value for places, said in found.answers for row, value in zip(places, said, strict=True)}
    assert answered == {row: float(row) for row in range(rows) if row not in bad}
    assert calls <= 1 + 2 * len(bad) * (math.ceil(math.log2(max(rows, 2))) + 2)


def test_rows_with_nan_are_tried_apart_first() -> None:
    matrix = np.ones((1000, 2))
    matrix[[3, 500, 998], 1] = [np.nan, np.inf, np.nan]
    sizes = []

    def predict(part: Any) -> list[float]:
        sizes.append(len(part))
        if not np.isfinite(part).all():
            raise ValueError("Input contains NaN")
        return [0.0] * len(part)

    found = isolate(predict, matrix, most=10)

    assert sizes[:2] == [1000, 997]
    assert sorted(failure.row for failure in found.failures) == [3, 500, 998]


def test_missing_objects_are_tried_apart_too() -> None:
    matrix = np.array([["a", 1], ["b", None], ["c", 3]], dtype=object)
    sizes = []

    def predict(part: Any) -> list[int]:
        sizes.append(len(part))
        return [value + 0 for value in part[:, 1]]

    found = isolate(predict, matrix, most=10)

    assert sizes[:2] == [3, 2]
    assert [failure.row for failure in found.failures] == [1]


def test_the_search_ends_when_too_many_rows_are_bad() -> None:
    calls = 0

    def predict(part: Any) -> Any:
        nonlocal calls
        calls += 1
        raise ValueError("never")

    found = isolate(predict, np.ones((10_000, 1)), most=2)

    assert len(found.failures) == 3
    assert calls < 40


@pytest.mark.parametrize(
    "error", [MemoryError(), LibraryMissing("lightgbm", "the model", "ml"), PredictionFailed("m", MemoryError())]
)
def test_what_no_row_is_to_blame_for_is_raised(error: Exception) -> None:
    def predict(part: Any) -> Any:
        raise error from error.__cause__ if error.__cause__ else None

    if isinstance(error, PredictionFailed):
        error.__cause__ = MemoryError()
    with pytest.raises(type(error)):
        isolate(predict, np.ones((4, 1)), most=4)


def test_the_reason_is_the_models_own() -> None:
    def predict(part: Any) -> Any:
        try:
            return {}["unknown carrier"]
        except KeyError as error:
            raise PredictionFailed("models:/m/1", error) from error

    (failure,) = isolate(predict, np.ones((1, 1)), most=1).failures

    assert failure.reason == "KeyError: 'unknown carrier'"
