"""A member that fails is never counted, and never hidden."""

import asyncio
import sys
from typing import Any

import pytest

from modelyard.errors import ErrorKind
from modelyard.graphs import Event, EventInvalid, Graph, GraphInvalid, StepFailed
from modelyard.graphs.ensembles import Mean, Vote


def saying(value: Any) -> Any:
    return lambda body: value


def failing(body: Any) -> Any:
    raise ValueError("broken")


async def failing_later(body: Any) -> Any:
    await asyncio.sleep(0)
    raise ValueError("broken")


@pytest.mark.parametrize(
    ("broken", "settings"), [(failing, {}), (failing, {"concurrency": "thread"}), (failing_later, {})]
)
def test_one_failure_fails_the_ensemble_however_its_members_run(broken: Any, settings: Any) -> None:
    """MLRun answers 250 with threads, which is the half of one member's 500, and 400 without."""
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": saying(500)}).member("b", broken, **settings)
    with pytest.raises(StepFailed) as caught:
        graph.test({})
    assert caught.value.what == "1 of 2 members failed: b: it raised ValueError: broken"
    assert caught.value.facts["failed"] == {"b": "ValueError"}
    assert caught.value.facts["step"] == "mean"


@pytest.mark.parametrize("policy", ["fail", "answer"])
def test_all_failing_is_an_error_that_carries_each_ones_cause(policy: str) -> None:
    """MLRun answers 0.0 with status 200."""

    def other(body: Any) -> Any:
        raise KeyError("x")

    graph = Graph("g")
    graph.ensemble(Mean, members={"a": failing, "b": other}, on_member_error=policy)
    with pytest.raises(StepFailed) as caught:
        graph.test({})
    told = "a: it raised ValueError: broken; b: it raised KeyError: 'x'"
    count = "2 of 2 members failed" + (", and 1 must answer" if policy == "answer" else "")
    assert caught.value.what == f"{count}: {told}"
    causes = caught.value.cause.failures  # type: ignore[attr-defined]
    assert [type(cause) for cause in causes.values()] == [ValueError, KeyError]


def test_the_rest_answers_and_says_so_in_reply_and_metadata() -> None:
    seen: list[Event] = []
    graph = Graph("g")
    members = {"a": saying({"label": "x"}), "b": failing, "c": saying({"label": "x"})}
    step = graph.ensemble(Vote, name="vote", members=members, on_member_error="answer")

    def see(event: Event) -> Any:
        seen.append(event)
        return event.body

    step.to(see, full_event=True)
    assert graph.test({}) == {"label": "x", "share": 1.0, "failed": ["b"]}
    assert seen[0].metadata["vote"] == {"answered": ["a", "c"], "failed": {"b": "broken"}}


def test_the_reply_has_no_such_field_when_all_answer_or_it_is_not_wanted() -> None:
    graph = Graph("g")
    members = {"a": saying({"label": "x"}), "b": lambda body: failing(body) if body["fail"] else {"label": "x"}}
    graph.ensemble(Vote, members=members, on_member_error="answer", tell="")
    assert graph.test({"fail": False}) == {"label": "x", "share": 1.0}
    assert graph.test({"fail": True}) == {"label": "x", "share": 1.0}


def test_values_that_are_no_mappings_keep_their_form_and_rows_are_told_each() -> None:
    graph = Graph("g")
    graph.ensemble(Mean, members={"a": saying(3.0), "b": failing}, on_member_error="answer")
    assert graph.test({}) == 3.0
    graph = Graph("rows")
    graph.ensemble(Mean, members={"a": saying([{"label": 1}, {"label": 2}]), "b": failing}, on_member_error="answer")
    assert graph.test({}) == [{"label": 1.0, "failed": ["b"]}, {"label": 2.0, "failed": ["b"]}]


def test_too_few_answers_are_an_error() -> None:
    graph = Graph("g")
    members = {"a": saying(1), "b": failing, "c": failing}
    graph.ensemble(Mean, members=members, on_member_error="answer", min_members=2)
    with pytest.raises(StepFailed) as caught:
        graph.test({})
    told = "2 of 3 members failed, and 2 must answer: b: it raised ValueError: broken; c: it raised ValueError: broken"
    assert caught.value.what == told


def test_the_error_has_the_kind_that_the_causes_have_in_common() -> None:
    def refusing(body: Any) -> Any:
        raise EventInvalid("must be positive", field="x")

    graph = Graph("g")
    graph.ensemble(Mean, members={"a": refusing, "b": refusing})
    with pytest.raises(StepFailed, match="a: must be positive; b: must be positive") as caught:
        graph.test({})
    assert caught.value.error_kind is ErrorKind.INVALID
    graph = Graph("mixed")
    graph.ensemble(Mean, members={"a": refusing, "b": failing})
    with pytest.raises(StepFailed) as caught:
        graph.test({})
    assert caught.value.error_kind is ErrorKind.USER_CODE


def test_a_member_that_exits_takes_only_itself_along() -> None:
    async def exiting_later(body: Any) -> Any:
        await asyncio.sleep(0)
        sys.exit(3)

    for exiting in (lambda body: sys.exit(3), exiting_later):
        graph = Graph("g")
        graph.ensemble(Mean, members={"a": saying(1.5), "b": exiting}, on_member_error="answer")
        assert graph.test({}) == 1.5


def test_a_members_own_settings_work_before_it_counts_as_failed() -> None:
    tries: list[int] = []

    def seldom(body: Any) -> float:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError
        return 5.0

    graph = Graph("g")
    step = graph.ensemble(Mean, members={"a": {"use": failing, "fallback": 1.0}})
    step.member("b", seldom, retries={"attempts": 3, "base": 0.0})
    assert graph.test({}) == 3.0
    assert len(tries) == 3


def test_an_error_handler_of_the_ensemble_sees_the_failures() -> None:
    graph = Graph("g")
    step = graph.ensemble(Mean, name="mean", members={"a": failing, "b": saying(1)})
    step.on_error(lambda event: {"origin": event.origin, "failed": sorted(event.error.failures)}, name="handle")
    assert graph.test({}) == {"origin": "mean", "failed": ["a"]}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"on_member_error": "ignore"}, "on_member_error is fail or answer, not 'ignore'"),
        ({"on_member_error": "answer", "min_members": 0}, "min_members is a number from 1, not 0"),
        ({"min_members": 2}, 'min_members is for ensembles that answer from the rest. Say on_member_error="answer".'),
        ({"tell": None}, "tell is a text and by_path yes or no"),
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any], told: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        Graph("g").ensemble(Mean, name="mean", members={"a": failing}, **options)
    assert str(caught.value).startswith(f"graph g, step mean: {told}")


def test_more_answers_than_members_cannot_be_asked_for() -> None:
    graph = Graph("g")
    graph.ensemble(Mean, name="mean", members={"a": failing}, on_member_error="answer", min_members=2)
    with pytest.raises(GraphInvalid, match="min_members is between 1 and 1, not 2"):
        graph.open()
