from typing import Any

import pytest

from modelyard.workflows import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    ConditionUndecidable,
    InputReference,
    Not,
    Reference,
)
from modelyard.workflows.conditions import condition_references, described, holds

A, B = InputReference("a"), InputReference("b")


def decide(condition: Condition, **values: Any) -> bool:
    return holds(condition, lambda reference: values[str(reference)])


@pytest.mark.parametrize(
    ("left", "operator", "right", "expected"),
    [
        (1, "==", 1.0, True),
        (1, "!=", 1.0, False),
        (2**63, "==", 2**63, True),
        (2**53, "==", 2**53 + 1, False),
        (1, "==", True, False),
        (0, "!=", False, True),
        ("1", "==", 1, False),
        (True, "==", True, True),
        (None, "==", None, True),
        (None, "==", 0, False),
        ([1], "==", [1], True),
        (1, "<", 1.5, True),
        (1, "<=", 1, True),
        (1, ">=", 1, True),
        (1, ">", 1, False),
        ("a", "<", "b", True),
        ("ö", ">", "z", True),
        ("it's", "==", "it's", True),
    ],
)
def test_two_values(left: Any, operator: Any, right: Any, expected: bool) -> None:
    assert decide(Comparison(A, operator, B), a=left, b=right) is expected
    assert decide(Not(Comparison(A, operator, B)), a=left, b=right) is not expected


@pytest.mark.parametrize(("left", "right"), [(1, "1"), (None, 1), (True, False), (True, 1), ([1], [2])])
def test_what_has_no_order_is_refused(left: Any, right: Any) -> None:
    with pytest.raises(ConditionUndecidable) as refused:
        decide(Comparison(A, "<", B), a=left, b=right)
    assert str(refused.value).startswith("a < b cannot be decided: ")
    assert str(refused.value).endswith(" have no order. Compare numbers with numbers, or text with text.")


def test_parts_are_looked_at_only_as_far_as_needed() -> None:
    bad = Comparison(A, "<", None)
    yes, no = Comparison(B, "==", 1), Comparison(B, "==", 2)
    assert decide(AnyOf((yes, bad)), a=1, b=1) is True
    assert decide(AllOf((no, bad)), a=1, b=1) is False
    with pytest.raises(ConditionUndecidable):
        decide(AllOf((yes, bad)), a=1, b=1)


def test_a_condition_in_words_and_its_references() -> None:
    deep = AllOf((Not(AnyOf((Comparison(A, "<", 2), Comparison("x", "!=", B)))), Comparison(A, "==", True)))
    assert described(deep) == 'not (a < 2 or "x" != b) and a == true'
    last = Comparison(Reference("s", "f", ("k", 0), otherwise=B), ">", A)
    assert [str(each) for each in condition_references(AllOf((deep, last)))] == ["a", "b", "a", "s.f.k[0]", "b", "a"]
