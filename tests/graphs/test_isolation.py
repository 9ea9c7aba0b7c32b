"""Copies share nothing that can change with what they are copies of."""

from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelyard.graphs.failures import BodyUncopyable
from modelyard.graphs.isolation import call_isolated, isolated


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"x": 1, "y": [1, {"z": [True, None, 2.5, "t", b"u"]}, []], 3: {"deep": {"deeper": [[[1]]]}}},
        [[1], [2, [3]], {"x": {"y": [4]}}],
        {"pair": (1, [2]), "set": {1, 2}},
        OrderedDict(b=[1], a=[2]),
    ],
)
def test_equal_and_apart(value: Any) -> None:
    copied = isolated(value)
    assert copied == value
    assert type(copied) is type(value)
    assert changeable(copied).isdisjoint(changeable(value))


def changeable(value: Any) -> set[int]:
    """Return the identities of all dicts, lists and sets in it."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    own = {id(value)} if isinstance(value, dict | list | set) else set()
    return own.union(*map(changeable, inside))


def test_a_body_that_contains_itself() -> None:
    body: dict[str, Any] = {"x": [1]}
    body["self"] = body
    copied = isolated(body)
    assert copied["self"] is copied
    assert copied["x"] == [1]
    assert copied["x"] is not body["x"]


def test_arrays_are_copied_and_arrow_is_shared() -> None:
    array, batch = np.arange(3), pa.record_batch({"x": [1, 2]})
    copied = isolated({"array": array})
    copied["array"][0] = 7
    assert array.tolist() == [0, 1, 2]
    assert isolated(batch) is batch


def test_what_has_no_copy_is_told() -> None:
    with pytest.raises(BodyUncopyable):
        isolated({"lock": Lock()})


def test_an_array_is_lent_until_somebody_writes() -> None:
    array = np.arange(3)
    assert call_isolated(lambda rows: np.shares_memory(rows, array), array)

    def write(rows: Any) -> Any:
        rows += 1
        return rows

    assert call_isolated(write, array).tolist() == [1, 2, 3]
    assert array.tolist() == [0, 1, 2]
    assert array.flags.writeable


def test_an_error_of_the_function_is_its_own() -> None:
    calls = []

    def fail(rows: Any) -> Any:
        calls.append(rows)
        raise ValueError("no such row")

    with pytest.raises(ValueError, match="no such row"):
        call_isolated(fail, np.arange(3))
    assert len(calls) == 1


def test_fortran_order_and_objects_survive_the_copy() -> None:
    array = np.asfortranarray(np.ones((2, 3)))
    assert isolated(array).flags.f_contiguous
    objects = np.array([{"x": 1}], dtype=object)
    isolated(objects)[0]["x"] = 2
    assert objects[0] == {"x": 1}
