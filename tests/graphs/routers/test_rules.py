"""Routing by content."""

from typing import Any

import pytest

from modelyard.graphs import Graph, GraphInvalid, StepFailed
from modelyard.graphs.routers import ByRules


def saying(value: Any) -> Any:
    return lambda body: value


def by_rules(*rules: Any, **options: Any) -> Graph:
    graph = Graph("g")
    graph.router(ByRules, name="pick", routes={"a": saying("A"), "b": saying("B")}, rules=list(rules), **options)
    return graph


@pytest.mark.parametrize(
    ("op", "value", "holds", "fails"),
    [
        ("==", 3, 3, 4),
        ("!=", "x", "y", "x"),
        ("<", 3, 2, 3),
        ("<=", 3, 3, 4),
        (">", 3, 4, 3),
        (">=", "m", "m", "a"),
        ("in", [1, None], None, 2),
        ("not in", ["x"], "y", "x"),
        ("contains", "x", ["x"], ["y"]),
        ("contains", "lat", "a late one", "early"),
        ("matches", "^N[0-9]+$", "N12", "X12"),
    ],
)
def test_every_operator_holds_or_not(op: str, value: Any, holds: Any, fails: Any) -> None:
    graph = by_rules({"field": "x.y", "op": op, "value": value, "route": "a"}, default="b")
    assert graph.test({"x": {"y": holds}}) == "A"
    assert graph.test({"x": {"y": fails}}) == "B"
    assert graph.test({"x": {}}) == "B"


def test_a_field_may_be_there_or_not() -> None:
    graph = by_rules({"field": "x", "op": "exists", "route": "a"}, {"field": "y", "op": "missing", "route": "b"})
    assert graph.test({"x": None}) == "A"
    assert graph.test({}) == "B"
    with pytest.raises(StepFailed) as caught:
        graph.test({"y": 1})
    assert caught.value.what == "the event does not say its route: no rule holds for it"


def test_the_first_rule_wins_and_conditions_join() -> None:
    old, far = {"field": "age", "op": ">", "value": 60}, {"field": "km", "op": ">", "value": 100}
    graph = by_rules({"all": [old, far], "route": "a"}, {"any": [old, far], "route": "b"}, default="a")
    assert graph.test({"age": 70, "km": 200}) == "A"
    assert graph.test({"age": 70, "km": 20}) == "B"
    assert graph.test({"km": 200}) == "B"
    assert graph.test({"age": 7, "km": 2}) == "A"


def test_a_value_that_cannot_be_compared_is_refused_and_named() -> None:
    with pytest.raises(StepFailed) as caught:
        by_rules({"field": "age", "op": "<", "value": 18, "route": "a"}).test({"age": "young"})
    assert caught.value.what == "the field 'age' is 'young', which cannot be compared: < 18"
    assert caught.value.outcome.http == 422


def test_a_rule_without_an_operator_compares() -> None:
    assert by_rules({"field": "x", "value": 1, "route": "a"}, default="b").test({"x": 1}) == "A"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("x > 1", "rules[0] is a mapping, not 'x > 1'"),
        ({"field": "x", "value": 1}, "rules[0] says no route"),
        ({"field": "x", "value": 1, "route": "c"}, "rules[0].route is a route, 'c' is none: a, b"),
        ({"route": "a"}, "rules[0] has either field, all or any, it has: route"),
        ({"field": "x", "vale": 1, "route": "a"}, "rules[0] has no 'vale'"),
        ({"field": "x", "route": "a"}, "rules[0]: == needs a value"),
        ({"field": "x", "op": "exists", "value": 1, "route": "a"}, "rules[0]: exists has no value"),
        ({"field": "", "value": 1, "route": "a"}, "rules[0].field names a field of the body, it is ''"),
        ({"field": "x", "op": "in", "value": "abc", "route": "a"}, "rules[0].value is a list for 'in', not 'abc'"),
        (
            {"field": "x", "op": ">", "value": None, "route": "a"},
            "rules[0].value is a number or a text for '>', not None",
        ),
        ({"any": [], "route": "a"}, "rules[0].any is a list of at least one condition, not []"),
        ({"all": [{"field": "x"}], "route": "a"}, "rules[0].all[0]: == needs a value"),
        ({"all": [3], "route": "a"}, "rules[0].all[0] is a mapping, not 3"),
    ],
)
def test_rules_that_are_none_are_refused_by_place(rule: Any, told: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        by_rules(rule).open()
    assert (caught.value.what, caught.value.where) == (told, "graph g, step pick")


def test_unknown_operators_and_wrong_expressions_are_refused() -> None:
    with pytest.raises(GraphInvalid, match=r"rules\[0\]\.op is one of ==, .*, missing, not 'contain'.*contains"):
        by_rules({"field": "x", "op": "contain", "value": 1, "route": "a"}).open()
    with pytest.raises(GraphInvalid, match=r"rules\[0\]\.value is no regular expression: "):
        by_rules({"field": "x", "op": "matches", "value": "(", "route": "a"}).open()
    with pytest.raises(GraphInvalid, match="rules is a list of at least one rule"):
        by_rules().open()
