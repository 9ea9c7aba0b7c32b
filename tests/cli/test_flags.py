from typing import Any, Literal

import pytest

from modelyard.cli.errors import FlagInvalid
from modelyard.cli.flags import option_of, value_of
from modelyard.operations import DatasetRef, Parameter, ParameterInvalid
from modelyard.operations.types import type_of

LIST = "What it is.  [repeat, or a JSON list"


def parameter(hint: Any, *, default: Any = None, required: bool = False) -> Parameter:
    return Parameter("some_value", type_of(hint), "What it is", required, default)


@pytest.mark.parametrize(
    ("hint", "given", "value"),
    [
        (str, "", ""),
        (str, "grün ✓", "grün ✓"),
        (str, "7", "7"),
        (int, "0", 0),
        (int, "123456789012345678901234567890", 123456789012345678901234567890),
        (int, "-4", -4),
        (float, "1e-3", 0.001),
        (float, "2", 2.0),
        (bool, "true", True),
        (bool, "False", False),
        (int | None, "null", None),
        (Literal["a", "b"], "b", "b"),
        (DatasetRef, "s3://bucket/x", "s3://bucket/x"),
        (list[str], ("a", "b"), ["a", "b"]),
        (list[str], ('["a", "b"]', "c"), ["a", "b", "c"]),
        (list[str], ("7", "true"), ["7", "true"]),
        (list[str], ("[]",), []),
        (list[int], ("1", "[2, 3]"), [1, 2, 3]),
        (list[list[int]], ("[[1], []]",), [[1], []]),
        (list[Any], ("1", "x", "[null]"), [1, "x", None]),
        (
            dict[str, Any],
            ("a=1", "b=x", 'c="1"', "d=[1, {}]", "e=", "f=null"),
            {"a": 1, "b": "x", "c": "1", "d": [1, {}], "e": "", "f": None},
        ),
        (dict[str, Any], ('{"a": {"b": 1}}', "a=2"), {"a": 2}),
        (dict[str, str], ("a=1", "b=x=y"), {"a": "1", "b": "x=y"}),
        (dict[str, float], ("a=1",), {"a": 1.0}),
        (dict[str, list[int]], ("a=[1]",), {"a": [1]}),
        (Any, "[1, 2]", [1, 2]),
        (Any, "null", None),
        (list[str] | None, ("null",), None),
        (dict[str, int] | None, ("null",), None),
        (list[str], ("null",), ["null"]),
        (str | None, "null", "null"),
        (Any, "[1, 2", "[1, 2"),
    ],
)
def test_text_becomes_a_value_of_the_type(hint: Any, given: Any, value: Any) -> None:
    read = value_of(parameter(hint), given)
    assert read == value
    assert type(read) is type(value)


def test_values_of_a_mapping_stay_text_on_request() -> None:
    assert value_of(parameter(dict[str, Any]), ("a=1", "b=true"), read_values=False) == {"a": "1", "b": "true"}


@pytest.mark.parametrize(
    ("hint", "given", "error", "words"),
    [
        (int, "seven", ParameterInvalid, 'some_value: must be a whole number, got "seven"'),
        (bool, "maybe", ParameterInvalid, 'some_value: must be true or false, got "maybe"'),
        (Literal["a", "b"], "c", ParameterInvalid, 'some_value: must be one of a, b, got "c"'),
        (list[int], ("1", "x"), ParameterInvalid, 'some_value[1]: must be a whole number, got "x"'),
        (list[str], ('["a",',), FlagInvalid, "--some-value: must be a JSON list"),
        (dict[str, Any], ("a",), FlagInvalid, "--some-value: must be name=value or a JSON object, got a"),
        (dict[str, Any], ("=a",), FlagInvalid, "--some-value: must be name=value or a JSON object, got =a"),
        (dict[str, Any], ("{a: 1}",), FlagInvalid, "--some-value: must be a JSON object"),
        (dict[str, float], ("a=x",), ParameterInvalid, 'some_value.a: must be a number, got "x"'),
    ],
)
def test_text_that_cannot_be_read_is_refused(hint: Any, given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as refused:
        value_of(parameter(hint), given)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("declared", "flag", "text"),
    [
        (parameter(str, required=True), "--some-value TEXT", "What it is.  [required]"),
        (parameter(int, default=5), "--some-value INTEGER", "What it is.  [default: 5]"),
        (parameter(bool, default=True), "--some-value true|false", "What it is.  [default: true]"),
        (parameter(Literal["a", "b"], default="a"), "--some-value a|b", "What it is.  [default: a]"),
        (parameter(str, default=""), "--some-value TEXT", "What it is."),
        (
            parameter(list[str], default=["x"]),
            "--some-value LIST",
            'What it is.  [repeat, or a JSON list; default: ["x"]]',
        ),
        (
            parameter(list[int], default=[]),
            "--some-value LIST",
            "What it is.  [repeat, or a JSON list (a whole number)]",
        ),
        (parameter(dict[str, Any], default={}), "--some-value NAME=VALUE", "What it is.  [repeat, or a JSON object]"),
    ],
)
def test_help_names_type_default_and_rule(declared: Parameter, flag: str, text: str) -> None:
    import click

    assert option_of(declared).get_help_record(click.Context(click.Command("x"))) == (flag, text)
