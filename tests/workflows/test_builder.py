import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from probe_operations import CATALOGUE

from modelyard.operations import OperationNotFound
from modelyard.workflows import (
    InputReference,
    Reference,
    ResultFieldUnknown,
    Step,
    StepNameTaken,
    TypesMismatch,
    Workflow,
    WorkflowInput,
    WorkflowInvalid,
    steps,
    workflow,
)

define = workflow(catalogue=CATALOGUE)


def test_a_function_becomes_steps_and_references() -> None:
    @define
    def main_job(month: int = 7, label: str = "late") -> None:
        """Train on a month.

        What it is for.

        Parameters
        ----------
        month
            Which month.
        """
        prepared = steps.prepare(function="flights", parameters={"month": month, "labels": [label, "x"]})
        fitted = steps.fit_model(dataset=prepared.value["train"][0], columns=("a", "b"))
        steps(name="again", after=[prepared]).fit_model(
            dataset=Path("data") / "x", settings={"auc": fitted.metrics["auc"]}
        )

    assert isinstance(main_job, Workflow)
    assert (main_job.name, main_job.summary, main_job.description) == (
        "main-job",
        "Train on a month.",
        "What it is for.",
    )
    assert [(each.name, each.type.kind, each.required, each.default, each.doc) for each in main_job.inputs] == [
        ("month", "integer", False, 7, "Which month."),
        ("label", "string", False, "late", ""),
    ]
    assert main_job.steps == (
        Step(
            "prepare",
            "prepare",
            {
                "function": "flights",
                "parameters": {"month": InputReference("month"), "labels": [InputReference("label"), "x"]},
            },
        ),
        Step(
            "fit-model",
            "fit_model",
            {"dataset": Reference("prepare", "value", ("train", 0)), "columns": ["a", "b"]},
        ),
        Step(
            "again",
            "fit_model",
            {"dataset": "data/x", "settings": {"auc": Reference("fit-model", "metrics", ("auc",))}},
            after=("prepare",),
        ),
    )
    assert main_job.step("again").needs == ("fit-model", "prepare")


def test_names_that_are_taken_are_numbered_and_the_function_gives_the_workflow_its_name() -> None:
    @workflow(name="other", catalogue=CATALOGUE)
    def named() -> None:
        steps(name="prepare-2").prepare()
        for _ in range(3):
            steps.prepare()

    assert [step.name for step in named.steps] == ["prepare-2", "prepare", "prepare-3", "prepare-4"]
    assert named.name == "other"


def test_a_required_parameter_has_no_default() -> None:
    @define
    def main(month: int, tags: list[str] | None = None) -> None:
        steps.prepare(parameters={"month": month, "tags": tags})

    month, tags = main.inputs
    assert (month.required, month.default) == (True, None)
    assert (tags.required, tags.default, tags.type.annotation()) == (False, None, "list[str] | None")
    assert isinstance(month, WorkflowInput)


def test_what_is_passed_is_copied() -> None:
    settings: dict[str, Any] = {"a": 1}

    @define
    def main() -> None:
        steps.prepare(parameters=settings)
        settings["a"] = 2

    assert main.steps[0].parameters == {"parameters": {"a": 1}}


def unknown_operation() -> None:
    steps.prepar()


def unknown_parameter() -> None:
    steps.fit_model(datset="x")


def unknown_parameter_with_a_reference() -> None:
    steps.fit_model(dataset="x", colums=steps.prepare().value["columns"])


def unknown_parameter_near_one_that_waits() -> None:
    steps.fit_model(dataset=steps.prepare().dataset, datset="x")


def missing_parameter() -> None:
    steps.fit_model()


def wrong_literal() -> None:
    steps.fit_model(dataset="x", share="lots")


def not_json() -> None:
    steps.prepare(parameters={"x": {1, 2}})


def step_as_value() -> None:
    steps.prepare(parameters={"x": steps.prepare()})


def input_into_text(month: int = 7) -> None:
    steps.prepare(function=f"month-{month}")


def input_as_condition(month: int = 7) -> None:
    if month:
        steps.prepare()


def input_compared(month: int = 7) -> None:
    if month == 7:
        steps.prepare()


def input_counted(months: list[int] = [7]) -> None:  # noqa: B006
    steps.prepare(parameters={"n": len(months)})


def input_looped(months: list[int] = [7]) -> None:  # noqa: B006
    for month in months:
        steps.prepare(parameters={"month": month})


def ill_named_step() -> None:
    steps(name="Step One").prepare()


def without_steps() -> None:
    pass


def after_a_name() -> None:
    steps(after=["prepare"]).prepare()  # type: ignore[list-item]


def untyped_parameter(month=7) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    steps.prepare(parameters={"month": month})


def strange_type(month: complex = 7j) -> None:
    steps.prepare(parameters={"month": month})


def wrong_default(month: int = "July") -> None:  # type: ignore[assignment]
    steps.prepare(parameters={"month": month})


def inside_a_number() -> None:
    steps.prepare(parameters={"x": steps.fit_model(dataset="x").rows["a"]})


def _ill__named() -> None:
    steps.prepare()


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (unknown_operation, OperationNotFound, "there is no operation 'prepar'. Did you mean prepare?"),
        (unknown_parameter, WorkflowInvalid, "has no parameter 'datset'. Did you mean dataset?"),
        (unknown_parameter_with_a_reference, WorkflowInvalid, "has no parameter 'colums'. Did you mean columns?"),
        (unknown_parameter_near_one_that_waits, WorkflowInvalid, "has no parameter 'datset'. Did you mean dataset?"),
        (missing_parameter, WorkflowInvalid, "parameter dataset: fit_model needs dataset: The dataset."),
        (wrong_literal, WorkflowInvalid, 'parameter share: must be a number, got "lots"'),
        (not_json, WorkflowInvalid, "parameter parameters.x: set is not JSON"),
        (
            step_as_value,
            WorkflowInvalid,
            "<step prepare> is a step, not a value. Pass one of its results: value, dataset.",
        ),
        (input_into_text, WorkflowInvalid, "month is known only when the workflow runs: it cannot be put into text"),
        (input_as_condition, WorkflowInvalid, "it cannot be a condition of Python while it is defined"),
        (input_compared, WorkflowInvalid, "a comparison is decided only when the workflow runs"),
        (input_counted, WorkflowInvalid, "it cannot be counted while it is defined"),
        (input_looped, WorkflowInvalid, "it cannot be looped over while it is defined"),
        (ill_named_step, WorkflowInvalid, "the name 'Step One' of the step does not work everywhere"),
        (without_steps, WorkflowInvalid, "it has no step"),
        (after_a_name, WorkflowInvalid, "after takes steps, got str"),
        (untyped_parameter, WorkflowInvalid, "parameter month: a workflow's parameters have a name and a type"),
        (strange_type, WorkflowInvalid, "has no image in every door"),
        (wrong_default, WorkflowInvalid, 'parameter month: must be a whole number, got "July"'),
        (inside_a_number, WorkflowInvalid, "fit-model.rows.a leads nowhere: fit-model.rows is a whole number"),
        (_ill__named, WorkflowInvalid, "the name '-ill--named' of the workflow does not work everywhere"),
    ],
)
def test_a_definition_that_cannot_hold_is_refused(
    function: Callable[..., None], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as refused:
        define(function)
    assert words in str(refused.value)


def test_the_error_names_the_line() -> None:
    with pytest.raises(WorkflowInvalid) as refused:
        define(unknown_parameter)
    line = unknown_parameter.__code__.co_firstlineno + 1
    assert (
        refused.value.where
        == f"workflow unknown-parameter, step fit-model (workflows/test_builder.py:{line}), parameter datset"
    )


def test_an_unknown_result_suggests_the_near_one() -> None:
    def main() -> None:
        steps.prepare(parameters={"x": steps.fit_model(dataset="x").metrcs})

    with pytest.raises(ResultFieldUnknown, match=re.escape("fit_model has no result 'metrcs'. Did you mean metrics?")):
        define(main)


def test_a_name_given_twice_is_refused() -> None:
    def main() -> None:
        steps(name="a").prepare()
        steps(name="a").prepare()

    with pytest.raises(StepNameTaken, match="there is a step 'a' already"):
        define(main)


def test_steps_outside_a_workflow_are_refused() -> None:
    with pytest.raises(WorkflowInvalid, match=r"steps.prepare is called outside a workflow"):
        steps.prepare()


def test_a_failed_definition_leaves_no_trace() -> None:
    with pytest.raises(WorkflowInvalid):
        define(missing_parameter)
    with pytest.raises(WorkflowInvalid, match="outside a workflow"):
        steps.prepare()


@pytest.mark.parametrize(
    ("field", "parameter"),
    [
        ("model", "dataset"),
        ("rows", "dataset"),
        ("metrics", "columns"),
        ("columns", "settings"),
        ("model", "share"),
    ],
)
def test_a_result_that_never_fits_is_refused(field: str, parameter: str) -> None:
    def main() -> None:
        fitted = steps.fit_model(dataset="x")
        steps.fit_model(**{"dataset": "x", parameter: getattr(fitted, field)})

    with pytest.raises(TypesMismatch, match=f"parameter {parameter}: must be .*, but fit-model.{field} is "):
        define(main)


@pytest.mark.parametrize(
    ("field", "path", "parameter"),
    [
        ("rows", (), "share"),
        ("task", (), "task"),
        ("columns", (), "columns"),
        ("metrics", (), "settings"),
        ("metrics", ("auc",), "share"),
        ("columns", (0,), "dataset"),
    ],
)
def test_a_result_that_may_fit_is_taken(field: str, path: tuple[str | int, ...], parameter: str) -> None:
    @define
    def main() -> None:
        value = getattr(steps.fit_model(dataset="x"), field)
        for key in path:
            value = value[key]
        steps.fit_model(**{"dataset": "x", parameter: value})

    assert main.steps[1].parameters[parameter] == Reference("fit-model", field, path)


def test_references_inside_a_list_are_checked_by_its_items() -> None:
    def main() -> None:
        fitted = steps.fit_model(dataset="x")
        steps.fit_model(dataset="x", columns=["a", fitted.rows])

    with pytest.raises(
        TypesMismatch, match=r"parameter columns\[1\]: must be text, but fit-model.rows is a whole number"
    ):
        define(main)


def test_a_value_shows_what_it_is() -> None:
    shown = []

    @define
    def main(month: int = 7) -> None:
        prepared = steps.prepare(parameters={"month": month})
        shown.extend([repr(month), repr(prepared), repr(prepared.value["a"][0])])

    assert shown == [
        "<month, known when the workflow runs>",
        "<step prepare>",
        "<prepare.value.a[0], known when the workflow runs>",
    ]
