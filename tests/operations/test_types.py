import re
from typing import Annotated, Any, Literal, Optional

import jsonschema
import msgspec
import pytest

from modelyard.operations import DatasetRef, ModelRef, ParameterInvalid
from modelyard.operations.errors import DeclarationInvalid
from modelyard.operations.types import ParameterType, type_of

NESTED = dict[str, list[dict[str, float | None]]]


@pytest.mark.parametrize(
    ("hint", "annotation", "words"),
    [
        (str, "str", "text"),
        (int, "int", "a whole number"),
        (float, "float", "a number"),
        (bool, "bool", "true or false"),
        (Any, "Any", "any JSON value"),
        (object, "Any", "any JSON value"),
        (DatasetRef, "str", "a dataset's path or URI"),
        (ModelRef | None, "str | None", "a model's URI, or nothing"),
        (Optional[int], "int | None", "a whole number, or nothing"),  # noqa: UP045 - people write it
        (Literal["a", 'b"c'], 'Literal["a", "b\\"c"]', 'one of a, b"c'),
        (list[int], "list[int]", "a list of a whole number"),
        (list, "list[Any]", "a list"),
        (tuple[str, ...], "list[str]", "a list of text"),
        (dict[str, Any], "dict[str, Any]", "a mapping"),
        (dict, "dict[str, Any]", "a mapping"),
        (dict[str, float], "dict[str, float]", "a mapping to a number"),
        (
            NESTED,
            "dict[str, list[dict[str, float | None]]]",
            "a mapping to a list of a mapping to a number, or nothing",
        ),
        (Annotated[int, "something"], "int", "a whole number"),
    ],
)
def test_a_hint_has_its_image_as_source_and_words(hint: Any, annotation: str, words: str) -> None:
    type_ = type_of(hint)

    assert (type_.annotation(), type_.described()) == (annotation, words)
    assert msgspec.json.decode(msgspec.json.encode(type_), type=ParameterType) == type_


@pytest.mark.parametrize(
    "hint",
    [bytes, set[int], int | str, int | str | None, Literal[1, 2], dict[int, str], complex, type(None), tuple[int, str]],
)
def test_a_hint_without_an_image_in_every_door_is_refused(hint: Any) -> None:
    with pytest.raises(DeclarationInvalid, match=r"^train\.x: the type .* has no image in every door"):
        type_of(hint, "train.x")


@pytest.mark.parametrize(
    ("hint", "given", "got"),
    [
        (str, "", ""),
        (str, "None", "None"),
        (str, "7", "7"),
        (str, "ünï — 漢字", "ünï — 漢字"),
        (Optional[str], None, None),  # noqa: UP045
        (int, 0, 0),
        (int, 2**70, 2**70),
        (int, "-12", -12),
        (Optional[int], "", None),  # noqa: UP045
        (Optional[int], "None", None),  # noqa: UP045
        (float, 3, 3.0),
        (float, "1e-3", 0.001),
        (float, "7", 7.0),
        (bool, False, False),
        (bool, "True", True),
        (bool, "0", False),
        (bool, "no", False),
        (Literal["auto", "regression"], "auto", "auto"),
        (list[int], [1, "2", 3], [1, 2, 3]),
        (list[int], "[1, 2]", [1, 2]),
        (list[int], (), []),
        (list[list[str]], [["a"], []], [["a"], []]),
        (dict[str, float], {"a": 1}, {"a": 1.0}),
        (dict[str, float], '{"a": 1}', {"a": 1.0}),
        (dict[str, Any], {"a": [None, {"b": ""}]}, {"a": [None, {"b": ""}]}),
        (Any, None, None),
        (Any, "7", "7"),
        (Any, [1, 10**400], [1, 10**400]),
        (DatasetRef, "s3://b/d.parquet", "s3://b/d.parquet"),
    ],
)
def test_values_arrive_as_they_are_or_as_text(hint: Any, given: Any, got: Any) -> None:
    value = type_of(hint).coerce(given, "x")

    assert value == got
    assert type(value) is type(got)
    jsonschema.validate(value, type_of(hint).schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("hint", "given", "rule"),
    [
        (int, True, "a whole number, got true"),
        (int, 1.5, "a whole number, got 1.5"),
        (int, "1.5", "a whole number, got 1.5"),
        (int, "", 'a whole number, got ""'),
        (int, None, "a whole number, got null"),
        (float, False, "a number, got false"),
        (float, "many", 'a number, got "many"'),
        (bool, 1, "true or false, got 1"),
        (bool, "maybe", 'true or false, got "maybe"'),
        (float, float("nan"), "a number, got NaN"),
        (float, "NaN", "a number, got NaN"),
        (float, "-Infinity", "a number, got -Infinity"),
        (float, "1e999", "a number, got Infinity"),
        (float, 10**400, "a number, got 1000000"),
        (Any, {"a": [float("inf")]}, 'any JSON value, got {"a": [Infinity]}'),
        (Any, {"a": {1: 2}}, "any JSON value, got {"),
        (dict[str, Any], {"a": b"bytes"}, "any JSON value, got "),
        (str, 7, "text, got 7"),
        (Literal["a", "b"], "c", 'one of a, b, got "c"'),
        (list[int], {"a": 1}, 'a list of a whole number, got {"a": 1}'),
        (list[int], "null", 'a list of a whole number, got "null"'),
        (dict[str, Any], [1], "a mapping, got [1]"),
        (dict[str, Any], {1: 2}, "a mapping, got {"),
        (DatasetRef, 7, "a dataset's path or URI, got 7"),
    ],
)
def test_what_does_not_fit_names_rule_and_value(hint: Any, given: Any, rule: str) -> None:
    with pytest.raises(ParameterInvalid) as raised:
        type_of(hint).coerce(given, "rows")
    assert re.match(rf"rows(\.a)?: must be {re.escape(rule)}", str(raised.value))


def test_the_place_inside_a_value_is_named() -> None:
    with pytest.raises(ParameterInvalid, match=r"^grid\.depth\[1\]: must be a whole number, got \"deep\""):
        type_of(dict[str, list[int]]).coerce({"depth": [1, "deep"]}, "grid")


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(ParameterInvalid) as raised:
        type_of(int).coerce("x" * 500, "rows")
    assert len(str(raised.value)) < 150


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (int, {"type": "integer"}),
        (Optional[bool], {"anyOf": [{"type": "boolean"}, {"type": "null"}]}),  # noqa: UP045
        (Literal["a", "b"], {"enum": ["a", "b"]}),
        (Any, {}),
        (list[float], {"type": "array", "items": {"type": "number"}}),
        (dict[str, Any], {"type": "object", "additionalProperties": {}}),
        (DatasetRef, {"type": "string", "format": "dataset-reference"}),
        (ModelRef, {"type": "string", "format": "model-reference"}),
    ],
)
def test_a_type_has_a_json_schema(hint: Any, schema: dict[str, Any]) -> None:
    assert type_of(hint).schema() == schema
