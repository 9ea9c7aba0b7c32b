from typing import Any

import pyarrow as pa
import pytest

from modelyard.graphs import Graph, StepFailed
from modelyard.graphs.steps import ArgumentInvalid, BodyInvalid, Validate


def told(body: Any, **arguments: Any) -> list[str]:
    return [f"{each.field} {each.rule}".strip() for each in Validate(**arguments).findings(body)]


@pytest.mark.parametrize(
    ("rule", "good", "bad", "said"),
    [
        ({"type": "number"}, [1, 1.5], ["1", True, [1]], "must be a number"),
        ({"type": "integer"}, [1], [1.0, True], "must be an integer"),
        ({"type": "text"}, ["", "x"], [1], "must be a text"),
        ({"type": "boolean"}, [True], [1, "yes"], "must be a boolean"),
        ({"type": "list"}, [[], [1]], ["ab", {}], "must be a list"),
        ({"type": "mapping"}, [{}], [[]], "must be a mapping"),
        ({"min": 0}, [0, 5], [-0.1, "5"], "must be at least 0"),
        ({"above": 0}, [0.1], [0], "must be above 0"),
        ({"max": 1.5}, [1.5], [1.6], "must be at most 1.5"),
        ({"below": 1}, [0], [1], "must be below 1"),
        ({"pattern": "[0-2][0-9]:[0-5][0-9]"}, ["17:45"], ["17:45h", "x17:45", 17], "must match [0-2][0-9]:[0-5][0-9]"),
        ({"one_of": ["a", 1]}, ["a", 1], ["b", True, None], "must be one of a, 1"),
        ({"min_length": 2}, ["ab", [1, 2]], ["a", 5], "must have a length of at least 2"),
        ({"max_length": 1}, ["", [1]], ["ab"], "must have a length of at most 1"),
    ],
)
def test_rules(rule: dict[str, Any], good: list[Any], bad: list[Any], said: str) -> None:
    for value in good:
        assert told({"x": value}, rules={"x": rule}) == []
    for value in bad:
        assert told({"x": value}, rules={"x": rule}) == ["x must have a value" if value is None else f"x {said}"]


def test_what_is_missing_or_null() -> None:
    rules = {"a": {}, "b": {"required": False}, "c.d": {"null": True}}
    assert told({"a": 1, "c": {"d": None}}, rules=rules) == []
    assert told({"a": None, "b": float("nan")}, rules=rules) == [
        "a must have a value",
        "b must have a value",
        "c.d is missing",
    ]
    assert told([1], rules=rules) == ["must be a mapping of fields"]
    assert told({"a": 1, "z": 2}, rules={"a": {}}, extra="refuse") == ["z is not a known field"]


def test_every_broken_rule_is_told_with_its_value() -> None:
    graph = Graph("g")
    graph.to(Validate, name="check", rules={"distance": {"min": 0}, "origin": {"one_of": ["EWR"]}}).respond()
    with pytest.raises(StepFailed) as caught:
        graph.test({"distance": -1})
    assert caught.value.outcome.http == 422
    assert isinstance(caught.value.cause, BodyInvalid)
    assert caught.value.facts["reasons"] == [
        {"field": "distance", "rule": "must be at least 0", "value": -1},
        {"field": "origin", "rule": "is missing", "value": None},
    ]
    assert "the body breaks 2 rules: distance must be at least 0, got -1; origin is missing, got None." in str(
        caught.value
    )


def test_a_json_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": {"type": "integer"}}},
        "required": ["id"],
    }
    assert told({"id": 1, "rows": [1]}, schema=schema) == []
    assert told({"rows": [1, "x"]}, schema=schema) == [
        "breaks the schema: 'id' is a required property",
        "rows.1 breaks the schema: 'x' is not of type 'integer'",
    ]


def test_a_schema_fetches_nothing_from_the_network() -> None:
    with pytest.raises(ArgumentInvalid, match=r"Validate\.schema: must hold what its \$ref names: .*, got 'http://127"):
        told(1, schema={"$ref": "http://127.0.0.1:9/schema.json"})


def test_a_reference_leads_to_what_the_schema_holds() -> None:
    schema = {"$defs": {"side": {"type": "number"}}, "properties": {"a": {"$ref": "#/$defs/side"}}}
    assert told({"a": 1}, schema=schema) == []
    assert told({"a": "x"}, schema=schema) == ["a breaks the schema: 'x' is not of type 'number'"]
    below = {"$id": "urn:whole", "properties": {"a": {"items": {"$ref": "#/$defs/nothing"}}}}
    with pytest.raises(ArgumentInvalid, match=r"must hold what its \$ref names: .*, got '#/\$defs/nothing'"):
        told(1, schema=below)
    assert told({"type": 3}, schema={"$ref": "https://json-schema.org/draft/2020-12/schema"}) != []


@pytest.mark.parametrize(
    "rules", [{"min": 5, "max": 1}, {"above": 1, "below": 1}, {"min": 1, "below": 1}, {"above": 1, "max": 1}]
)
def test_bounds_that_leave_no_room_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(ArgumentInvalid, match=r"Validate\.rules\.x\.(max|below): must leave room above (min|above), "):
        Validate(rules={"x": rules})
    assert told({"x": 1}, rules={"x": {"min": 1, "max": 1}}) == []
    with pytest.raises(ArgumentInvalid, match=r"max_length: must be a whole number, at least 3, got 2"):
        Validate(rules={"x": {"min_length": 3, "max_length": 2}})


def test_bad_rows_go_to_quarantine_with_their_reasons() -> None:
    kept: list[Any] = []
    graph = Graph("g")
    check = graph.choice(Validate, name="check", rules={"x": {"type": "number"}}, on_invalid="route")
    check.when("valid").to(lambda body: body["x"] * 2, name="double").respond()
    check.when("invalid").to(kept.append, name="keep")
    rows = graph.map([{"x": 1}, {"x": "2"}, {}])
    assert (list(rows.values), rows.errors) == ([2, None, None], {})
    assert kept == [
        {"body": {"x": "2"}, "reasons": [{"field": "x", "rule": "must be a number", "value": "2"}]},
        {"body": {}, "reasons": [{"field": "x", "rule": "is missing", "value": None}]},
    ]


def test_a_good_batch_comes_back_as_it_is() -> None:
    batch = pa.RecordBatch.from_pylist([{"x": 1}, {"x": 2}])
    assert Validate(rules={"x": {"type": "number"}}).do_batch(batch) is batch
    tagged = Validate(rules={"x": {"max": 1}}, on_invalid="tag", tag="why").do_batch(batch)
    assert tagged == [{"x": 1, "why": []}, {"x": 2, "why": [{"field": "x", "rule": "must be at most 1", "value": 2}]}]


def test_a_part_of_the_body_is_checked() -> None:
    graph = Graph("g")
    graph.to(
        Validate, name="check", rules={"x": {"max": 1}}, on_invalid="tag", input_path="a", result_path="a"
    ).respond()
    assert graph.test({"a": {"x": 1}, "b": 2}) == {"a": {"x": 1, "invalid": []}, "b": 2}
