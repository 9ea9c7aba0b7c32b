"""Branches, loops, exit handlers, settings and inclusions: what they become, and what is refused."""

import re
from collections.abc import Callable

import pytest
from probe_operations import CATALOGUE

from modelyard.projects import ResourcesDefinition
from modelyard.workflows import (
    Choice,
    Collection,
    Comparison,
    InputReference,
    ItemReference,
    Loop,
    Not,
    Reference,
    ResultMaybeMissing,
    StatusReference,
    Step,
    StepNameTaken,
    TypesMismatch,
    Workflow,
    WorkflowInvalid,
    collect,
    each,
    exit_status,
    include,
    otherwise,
    steps,
    when,
    workflow,
)

define = workflow(catalogue=CATALOGUE)


def test_a_branch_and_the_other_one() -> None:
    @define
    def main(limit: float = 0.7) -> None:
        fitted = steps.fit_model(dataset="x")
        with when(fitted.metrics["auc"] >= limit, name="good"):
            steps(name="yes").prepare()
        with otherwise():
            steps(name="no").prepare()
        with when(~(fitted.task == "regression")):
            steps(name="maybe").prepare()

    condition = Comparison(Reference("fit-model", "metrics", ("auc",)), ">=", InputReference("limit"))
    assert main.body[1] == Choice("good", condition, (Step("yes", "prepare"),), (Step("no", "prepare"),))
    second = main.body[2]
    assert isinstance(second, Choice)
    assert (second.name, second.condition) == (
        "when",
        Not(Comparison(Reference("fit-model", "task"), "==", "regression")),
    )
    assert main.body[1].needs == ("fit-model",)
    assert [step.name for step in main.steps] == ["fit-model", "yes", "no", "maybe"]


def test_a_loop_its_item_and_all_its_results() -> None:
    @define
    def main(names: list[str]) -> None:
        with each(names, parallel=2, name="every") as name:
            with each([{"a": [1]}, {"a": []}]) as inner:
                fitted = steps(name="fit").fit_model(dataset=name, settings={"a": inner["a"][0]})
            steps(name="one").prepare(parameters={"rows": collect(fitted.rows), "name": name})
        steps(name="all").prepare(parameters={"rows": collect(fitted.rows)[0][1]})

    loop = main.body[0]
    assert isinstance(loop, Loop)
    assert (loop.name, loop.items, loop.parallel, loop.needs) == ("every", InputReference("names"), 2, ())
    inner = loop.body[0]
    assert isinstance(inner, Loop)
    assert (inner.name, inner.items, inner.needs) == ("each", [{"a": [1]}, {"a": []}], ("every",))
    assert main.step("fit").parameters == {
        "dataset": ItemReference("every"),
        "settings": {"a": ItemReference("each", ("a", 0))},
    }
    assert main.step("one").parameters["parameters"]["rows"] == Collection(Reference("fit", "rows"))
    assert main.step("all").parameters["parameters"]["rows"] == Collection(Reference("fit", "rows"), (0, 1))
    assert (main.step("one").needs, main.step("all").needs) == (("fit", "every"), ("fit",))


def test_results_that_may_be_missing_have_something_in_their_place() -> None:
    @define
    def main(month: int) -> None:
        with when(month > 6):
            late = steps(name="late").fit_model(dataset="x")
        with otherwise():
            early = steps(name="early").fit_model(dataset="x")
        chosen = late.model.or_else(early.model.or_else("models:/m/1"))
        steps(name="end").prepare(parameters={"model": chosen})

    early = Reference("early", "model", otherwise="models:/m/1")
    assert main.step("end").parameters["parameters"] == {"model": Reference("late", "model", otherwise=early)}
    assert main.step("end").needs == ("late", "early")


def test_settings_of_a_step_and_an_exit_handler() -> None:
    @define
    def main(month: int) -> None:
        steps(
            name="fit",
            retries=2,
            retry_delay=1.5,
            timeout=60,
            resources={"cpu": 2, "memory": "4Gi"},
            launcher="process",
        ).fit_model(dataset="x")
        steps(name="pure", cache=False).prepare()
        steps(name="tell", on_exit=True).prepare(function=exit_status["state"], parameters={"m": month})

    assert main.steps[0] == Step(
        "fit",
        "fit_model",
        {"dataset": "x"},
        retries=2,
        retry_delay=1.5,
        timeout=60,
        resources=ResourcesDefinition(cpu=2, memory="4Gi"),
        launcher="process",
    )
    assert main.steps[1].cache is False
    assert main.on_exit == Step(
        "tell", "prepare", {"function": StatusReference(("state",)), "parameters": {"m": InputReference("month")}}
    )
    assert [step.name for step in main.steps] == ["fit", "pure"]


def test_an_included_workflow_is_renamed_and_filled_in() -> None:
    @define
    def child(dataset: str, share: float = 0.5, names: list[str] = ["a", "b"]) -> dict[str, object]:  # noqa: B006
        first = steps.fit_model(dataset=dataset, share=share)
        with when(first.rows > 3), each(names) as name:
            steps(name="deep", after=first).prepare(parameters={"name": name, "second": names[1]})
        return {"model": first.model, "fixed": 7}

    @define
    def main(path: str) -> None:
        one = include(child, {"dataset": path})
        two = include(child, {"dataset": "y", "names": ["c", "d"]}, name="other")
        steps(name="end").prepare(parameters={"x": one["model"], "y": two["model"], "f": one["fixed"]})

    assert [step.name for step in main.steps] == [
        *("child-fit-model", "child-deep", "other-fit-model", "other-deep", "end")
    ]
    assert main.step("child-fit-model").parameters == {"dataset": InputReference("path"), "share": 0.5}
    assert main.step("other-deep") == Step(
        "other-deep",
        "prepare",
        {"parameters": {"name": ItemReference("other-each"), "second": "d"}},
        after=("other-fit-model",),
    )
    assert main.step("end").parameters["parameters"] == {
        "x": Reference("child-fit-model", "model"),
        "y": Reference("other-fit-model", "model"),
        "f": 7,
    }
    choice = main.body[1]
    assert isinstance(choice, Choice)
    assert (choice.name, choice.condition) == ("child-when", Comparison(Reference("child-fit-model", "rows"), ">", 3))


def test_a_workflow_comes_back_from_json_the_same() -> None:
    @define
    def main(path: str, names: list[str] = ["ä"]) -> dict[str, object]:  # noqa: B006
        """Everything."""
        first = steps(retries=1, resources={"gpu": 1}).fit_model(dataset=path)
        go = (first.rows > 3) & ~((first.task == "it's") | (path != ""))
        with when(go), each([names[0], {"n": [1, None, 2**70]}]) as name:
            inner = steps(name="inner").prepare(parameters={"name": name, "deep": [{"a": first.metrics}]})
        with otherwise():
            other = steps(name="other").prepare()
        steps(name="end").prepare(
            parameters={"all": collect(inner.value["x"].or_else(0)).or_else(other.value.or_else({}))}
        )
        steps(name="tell", on_exit=True).prepare(function=exit_status["error"])
        return {"model": first.model}

    again = Workflow.decoded(main.encoded())
    assert again == main
    assert again.encoded() == main.encoded()


def loose_result() -> None:
    fitted = steps.fit_model(dataset="x")
    with when(fitted.rows > 3):
        maybe = steps(name="maybe").prepare()
    steps(name="end").prepare(parameters={"x": maybe.value})


def other_branch() -> None:
    fitted = steps.fit_model(dataset="x")
    with when(fitted.rows > 3):
        maybe = steps(name="maybe").prepare()
    with otherwise():
        steps(name="end").prepare(parameters={"x": maybe.value})


def standby_of_another_type() -> None:
    fitted = steps.fit_model(dataset="x")
    with when(fitted.rows > 3):
        maybe = steps(name="maybe").fit_model(dataset="x")
    steps(name="end").fit_model(dataset="x", share=maybe.rows.or_else("none"))


def never_skipped(month: int) -> None:
    steps.prepare(parameters={"m": month.or_else(3)})  # type: ignore[attr-defined]


def one_of_many(names: list[str]) -> None:
    with each(names) as name:
        turn = steps(name="turn").prepare(parameters={"n": name})
    steps(name="end").prepare(parameters={"x": turn.value})


def many_of_one() -> None:
    steps(name="end").prepare(parameters={"x": collect(steps.prepare().value)})


def collected_inside(names: list[str]) -> None:
    with each(names):
        turn = steps(name="turn").prepare()
        steps(name="end").prepare(parameters={"x": collect(turn.value)})


def collected_with_gaps(numbers: list[int]) -> None:
    with each(numbers) as number, when(number > 3):
        turn = steps(name="turn").prepare()
    steps(name="end").prepare(parameters={"x": collect(turn.value)})


def skipped_loop(numbers: list[int], go: bool) -> None:
    with when(go), each(numbers):
        turn = steps(name="turn").prepare()
    steps(name="end").prepare(parameters={"x": collect(turn.value)})


def item_outside(names: list[str]) -> None:
    with each(names) as name:
        steps.prepare()
    steps(name="end").prepare(parameters={"x": name})


def items_of_another_type(names: list[str]) -> None:
    with each(names) as name:
        steps.fit_model(dataset="x", share=name)


def looped_over_a_number(month: int) -> None:
    with each(month):  # type: ignore[arg-type]
        steps.prepare()


def empty_branch(go: bool) -> None:
    with when(go):
        pass


def otherwise_alone() -> None:
    steps.prepare()
    with otherwise():
        steps(name="b").prepare()


def condition_known_now() -> None:
    with when(3 > 2):  # type: ignore[arg-type]
        steps.prepare()


def incomparable(month: int) -> None:
    with when(month == "July"):
        steps.prepare()


def text_in_order_with_truth(go: bool) -> None:
    with when(go > True):
        steps.prepare()


def model_as_truth() -> None:
    with when(steps.fit_model(dataset="x").metrics):
        steps(name="b").prepare()


def both_with_and(month: int) -> None:
    with when(month > 3 and month < 5):
        steps.prepare()


def status_too_early() -> None:
    steps.prepare(parameters={"s": exit_status["state"]})


def status_misspelled() -> None:
    steps.prepare()
    steps(name="end", on_exit=True).prepare(parameters={"s": exit_status["stat"]})


def exit_with_a_result() -> None:
    first = steps.prepare()
    steps(name="end", on_exit=True).prepare(parameters={"s": first.value})


def two_exits() -> None:
    steps.prepare()
    steps(name="end", on_exit=True).prepare()
    steps(name="again", on_exit=True).prepare()


def exit_in_a_branch(go: bool) -> None:
    with when(go):
        steps(name="end", on_exit=True).prepare()


def reserved_step() -> None:
    steps(name="for-loop-1").prepare()


def reserved_key() -> None:
    steps.prepare(parameters={"$": 1})


def name_of_a_block(go: bool) -> None:
    with when(go, name="same"):
        steps(name="same").prepare()


def too_many_retries() -> None:
    steps(retries=-1).prepare()


def no_time() -> None:
    steps(timeout=0).prepare()


def late_inline() -> None:
    steps(timeout=5, launcher="inline").prepare()


def unknown_launcher() -> None:
    steps(launcher="moon").prepare()


def cached_training() -> None:
    steps(cache=True).fit_model(dataset="x")


def odd_resources() -> None:
    steps(resources={"cpus": 2}).prepare()


def returns_a_list() -> list[int]:
    steps.prepare()
    return [1]


def returns_what_may_be_missing(go: bool) -> dict[str, object]:
    with when(go):
        maybe = steps.prepare()
    return {"x": maybe.value}


@define
def child(dataset: str) -> None:
    steps.fit_model(dataset=dataset)


def includes_without() -> None:
    include(child)


def includes_with_more() -> None:
    include(child, {"dataset": "x", "datset": "y"})


def includes_another_type() -> None:
    include(child, {"dataset": steps.fit_model(dataset="x").rows})


def included_result_missing() -> None:
    steps.prepare(parameters={"x": include(child, {"dataset": "x"})["model"]})


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (
            loose_result,
            ResultMaybeMissing,
            "maybe.value may be missing: it is there only where fit-model.rows > 3. "
            "Say what stands for it otherwise: ….or_else(…).",
        ),
        (other_branch, ResultMaybeMissing, "it is there only where fit-model.rows > 3"),
        (standby_of_another_type, WorkflowInvalid, 'where maybe.rows is skipped: must be a number, got "none"'),
        (never_skipped, WorkflowInvalid, "month is never skipped"),
        (one_of_many, ResultMaybeMissing, "turn.value is not one value: turn runs once for each item of each"),
        (many_of_one, WorkflowInvalid, "prepare.value is one value, not many"),
        (collected_inside, WorkflowInvalid, "turn.value is one value, not many"),
        (collected_with_gaps, ResultMaybeMissing, "turn.value may be missing: it is there only where item of each > 3"),
        (skipped_loop, ResultMaybeMissing, "all turn.value may be missing: it is there only where go == true"),
        (item_outside, WorkflowInvalid, "item of each is known only inside that loop"),
        (items_of_another_type, TypesMismatch, "must be a number, but item of each is text"),
        (looped_over_a_number, TypesMismatch, "must be a list, but month is a whole number"),
        (empty_branch, WorkflowInvalid, "the block has no step"),
        (otherwise_alone, WorkflowInvalid, "otherwise follows no when"),
        (condition_known_now, WorkflowInvalid, "a condition must be known only when the workflow runs, got True"),
        (
            incomparable,
            TypesMismatch,
            'month == "July": must be comparable to a whole number, but the other side is text',
        ),
        (text_in_order_with_truth, TypesMismatch, "must be comparable to true or false"),
        (model_as_truth, TypesMismatch, "must be comparable to a mapping to a number"),
        (both_with_and, WorkflowInvalid, "Write: with when(…): …; join comparisons in brackets by &, | and ~."),
        (status_too_early, WorkflowInvalid, "only the exit handler can know how the workflow ended"),
        (status_misspelled, WorkflowInvalid, "exit_status has no 'stat'. Known: state, error, workflow_run."),
        (exit_with_a_result, WorkflowInvalid, "an exit handler cannot take prepare.value: the step may have failed"),
        (two_exits, WorkflowInvalid, "there is an exit handler already: end"),
        (exit_in_a_branch, WorkflowInvalid, "an exit handler belongs to the whole workflow"),
        (reserved_step, WorkflowInvalid, "the name 'for-loop-1' of the step is reserved by an orchestrator"),
        (reserved_key, WorkflowInvalid, "the key '$' is reserved for references"),
        (name_of_a_block, StepNameTaken, "there is a step 'same' already"),
        (too_many_retries, WorkflowInvalid, "retries must be 0 to 100, got -1"),
        (no_time, WorkflowInvalid, "timeout must be more than 0 seconds, got 0"),
        (late_inline, WorkflowInvalid, "launcher must be process where there is a timeout, got 'inline'"),
        (unknown_launcher, WorkflowInvalid, "launcher must be one of inline, process, got 'moon'"),
        (
            cached_training,
            WorkflowInvalid,
            "cache must be off for fit_model, which changes more than its result (tracking)",
        ),
        (odd_resources, WorkflowInvalid, "resources do not fit: Object contains unknown field `cpus`"),
        (returns_a_list, WorkflowInvalid, "a workflow returns a mapping of names to values, got list"),
        (returns_what_may_be_missing, ResultMaybeMissing, "result x: prepare.value may be missing"),
        (includes_without, WorkflowInvalid, "workflow child needs dataset"),
        (includes_with_more, WorkflowInvalid, "workflow child has no parameter 'datset'. Did you mean dataset?"),
        (includes_another_type, TypesMismatch, "must be text, but fit-model.rows is a whole number"),
        (included_result_missing, WorkflowInvalid, "workflow child returns no 'model'. None is defined."),
    ],
)
def test_a_definition_that_cannot_hold_is_refused(
    function: Callable[..., object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as refused:
        define(function)
    assert words in str(refused.value)
    assert re.search(r"workflows/test_blocks\.py:\d+|workflow [a-z-]+", str(refused.value))


def test_every_refusal_names_the_line() -> None:
    with pytest.raises(
        ResultMaybeMissing, match=r"^workflow loose-result, step end \(workflows/test_blocks.py:\d+\), "
    ):
        define(loose_result)


def test_outside_of_a_workflow_nothing_can_be_called() -> None:
    for call in (lambda: when(True).__enter__(), lambda: each([1]).__enter__(), lambda: include(child)):  # type: ignore[arg-type]
        with pytest.raises(WorkflowInvalid, match="is called outside a workflow"):
            call()
