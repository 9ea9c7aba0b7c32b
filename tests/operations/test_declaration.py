import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jsonschema
import msgspec
import pytest

from modelyard.operations import (
    DatasetRef,
    ModelRef,
    OperationContext,
    OperationSpec,
    ParameterInvalid,
    ParameterMissing,
    ParameterUnknown,
    ResultInvalid,
    operation,
)
from modelyard.operations.errors import DeclarationInvalid


class Fitted(msgspec.Struct, frozen=True):
    """What was fitted.

    Attributes
    ----------
    model
        The model.
    metrics
        Its metrics.
    """

    model: ModelRef
    metrics: dict[str, float]


@operation(kind="fit", side_effects="tracking")
def fit(
    context: OperationContext,
    *,
    function: str,
    dataset: DatasetRef,
    grid: dict[str, list[int]] = {},  # noqa: B006
    task: Literal["auto", "regression"] = "auto",
    limit: int | None = None,
    fast: bool = False,
) -> Fitted:
    """Fit a function.

    With care.

    Parameters
    ----------
    function
        The function.
    dataset
        The data.
    grid
        Sizes to try.
    task
        What for.
    limit
        How many rows at most.
    fast
        Whether to hurry.

    Examples
    --------
    $ modelyard fit --function f --dataset d
    """
    grid.setdefault("touched", []).append(1)
    return Fitted(f"models:/{function}/{context.attempt}", {"rows": float(limit or 0)})


@pytest.fixture
def context(tmp_path: Path) -> OperationContext:
    return OperationContext(project=".", folder=tmp_path)


def test_the_signature_and_the_docstring_are_the_only_places() -> None:
    spec = fit.spec

    assert (spec.name, spec.summary, spec.description) == ("fit", "Fit a function.", "With care.")
    assert spec.examples == ("modelyard fit --function f --dataset d",)
    assert spec.implementation.endswith("test_declaration:fit")
    assert (spec.side_effects, spec.result_type) == ("tracking", "Fitted")
    told = [(each.name, each.type.annotation(), each.required, each.default, each.doc) for each in spec.parameters]
    assert told == [
        ("function", "str", True, None, "The function."),
        ("dataset", "str", True, None, "The data."),
        ("grid", "dict[str, list[int]]", False, {}, "Sizes to try."),
        ("task", 'Literal["auto", "regression"]', False, "auto", "What for."),
        ("limit", "int | None", False, None, "How many rows at most."),
        ("fast", "bool", False, False, "Whether to hurry."),
    ]
    assert [(each.name, each.type.kind, each.doc) for each in spec.results] == [
        ("model", "model", "The model."),
        ("metrics", "mapping", "Its metrics."),
    ]


def test_a_specification_is_data() -> None:
    assert msgspec.json.decode(msgspec.json.encode(fit.spec), type=OperationSpec) == fit.spec


def test_the_schemas_accept_what_the_operation_takes_and_gives(context: OperationContext) -> None:
    parameters, result = fit.spec.parameter_schema(), fit.spec.result_schema()
    for schema in (parameters, result):
        jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"function": "f", "dataset": "d", "limit": None}, parameters)
    jsonschema.validate(msgspec.to_builtins(fit(context, function="f", dataset="d")), result)
    for wrong in ({"function": "f"}, {"function": "f", "dataset": "d", "lmit": 1}, {"function": 7, "dataset": "d"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, parameters)
    assert parameters["properties"]["task"] == {
        "enum": ["auto", "regression"],
        "description": "What for.",
        "default": "auto",
    }
    assert parameters["required"] == ["function", "dataset"]


def test_binding_fills_in_defaults_that_nobody_shares() -> None:
    bound = fit.spec.bind({"function": "f", "dataset": "d", "limit": "7", "fast": "true"})

    assert bound == {"function": "f", "dataset": "d", "grid": {}, "task": "auto", "limit": 7, "fast": True}
    bound["grid"]["x"] = [1]
    assert fit.spec.bind({"function": "f", "dataset": "d"})["grid"] == {}


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (
            {"function": "f", "dataset": "d", "limt": 1},
            ParameterUnknown,
            "limt: fit has no parameter 'limt'. Did you mean limit?",
        ),
        ({"function": "f"}, ParameterMissing, "dataset: fit needs dataset: The data."),
        (
            {"function": "f", "dataset": "d", "task": "guess"},
            ParameterInvalid,
            'task: must be one of auto, regression, got "guess".',
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_happens(
    given: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as raised:
        fit.spec.bind(given)
    assert str(raised.value) == text


def test_an_operation_is_still_a_function(context: OperationContext) -> None:
    result = fit(context, function="f", dataset="d", limit="3")

    assert result == Fitted("models:/f/1", {"rows": 3.0})
    assert fit(context, function="f", dataset="d").metrics == {"rows": 0.0}
    assert (fit.__name__, repr(fit)) == ("fit", "<operation fit>")


def declare(function: Callable[..., Any]) -> None:
    operation(kind="odd", side_effects="none")(function)


def test_what_cannot_be_an_operation_says_why() -> None:
    class Loose(msgspec.Struct):
        """Loose."""

    class Silent(msgspec.Struct, frozen=True):
        """Silent."""

        rows: int

    def no_struct(context: OperationContext) -> int:
        """Nothing."""
        return 1

    def loose(context: OperationContext) -> Loose:
        """Nothing."""
        return Loose()

    def silent(context: OperationContext) -> Silent:
        """Nothing."""
        return Silent(1)

    def no_context(*, rows: int) -> Fitted:
        """Nothing."""
        raise NotImplementedError

    def positional(context: OperationContext, rows: int) -> Fitted:
        """Nothing."""
        raise NotImplementedError

    def untyped(context, *, rows) -> Fitted:  # type: ignore[no-untyped-def] # noqa: ANN001
        """Nothing."""
        raise NotImplementedError

    def undocumented(context: OperationContext, *, rows: int) -> Fitted:
        """Nothing."""
        raise NotImplementedError

    def reserved(context: OperationContext, *, pool: int) -> Fitted:
        """Nothing."""
        raise NotImplementedError

    def bad_default(context: OperationContext, *, rows: int = "many") -> Fitted:  # type: ignore[assignment]
        """Nothing.

        Parameters
        ----------
        rows
            Rows.
        """
        raise NotImplementedError

    rules = {
        no_struct: "odd: an operation returns a frozen msgspec.Struct",
        loose: "odd: an operation returns a frozen msgspec.Struct",
        no_context: "odd: the first parameter is the OperationContext",
        positional: "odd.rows: parameters are keyword-only and typed",
        untyped: "odd.rows: parameters are keyword-only and typed",
        undocumented: "odd.rows: the docstring does not describe the parameter",
        reserved: "odd.pool: the name 'pool' belongs to airflow",
    }
    for function, rule in rules.items():
        with pytest.raises(DeclarationInvalid) as raised:
            declare(function)
        assert str(raised.value) == f"{rule}. See docs/operations.md for what an operation may declare."
    with pytest.raises(DeclarationInvalid, match=r"^Silent\.rows: the docstring does not describe the field"):
        declare(silent)
    with pytest.raises(ParameterInvalid, match=r"^odd\.rows: must be a whole number, got \"many\""):
        declare(bad_default)


class Anything(msgspec.Struct, frozen=True):
    """Anything.

    Attributes
    ----------
    value
        Anything.
    """

    value: Any


@operation(kind="give", side_effects="none")
def give(context: OperationContext, *, size: int) -> Anything:
    """Give something of a size.

    Parameters
    ----------
    size
        The size; below zero something else.
    """
    return Anything("x" * size) if size >= 0 else {"value": 1}  # type: ignore[return-value]


def test_a_result_is_what_was_declared_and_fits_into_every_exchange(context: OperationContext) -> None:
    assert len(json.dumps(msgspec.to_builtins(give(context, size=47_900)))) < 48_000
    with pytest.raises(ResultInvalid, match=r"^result of give: must be at most 48000 bytes of JSON, got 48012"):
        give(context, size=48_000)
    with pytest.raises(ResultInvalid, match=r"^result of give: must be Anything, got dict"):
        give(context, size=-1)
