"""Errors: who handles them, what a handler sees and may do, what the caller gets, in every way of running."""

import asyncio
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from probe_hazards import leave

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs import (
    Context,
    Event,
    EventInvalid,
    Graph,
    HandlerFailed,
    ReplyRepeated,
    Response,
    StepFailed,
    StepTimeout,
)


def fail(body: Any) -> Any:
    raise ValueError(f"bad {body}")


async def fail_later(body: Any) -> Any:
    await asyncio.sleep(0)
    raise ValueError(f"bad {body}")


@pytest.fixture(params=[fail, fail_later], ids=["sync", "async"])
def failing(request: pytest.FixtureRequest) -> Any:
    return request.param


def outcomes(graph: Graph, event: Callable[[], Event]) -> list[Any]:
    """Return what the three ways of running one event give or raise."""
    found: list[Any] = []
    with graph.open() as plan:
        for run in (plan.run, plan.interpret, lambda event: asyncio.run(plan.run_async(event))):
            try:
                found.append(run(event()))
            except ModelyardError as error:
                found.append((type(error), str(error)))
    return found


def test_an_error_without_a_handler_names_graph_step_event_and_cause(failing: Any) -> None:
    graph = Graph("g")
    graph.to(failing, name="f")
    expected = (StepFailed, "graph g, step f, event e1: the step raised ValueError: bad 7.")
    assert outcomes(graph, lambda: Event(7, id="e1")) == [expected] * 3
    with pytest.raises(StepFailed) as caught:
        graph.test(7)
    assert type(caught.value.__cause__) is ValueError
    assert caught.value.facts["cause"] == "ValueError"
    assert caught.value.outcome.http == 500
    assert traceback.extract_tb(caught.value.__cause__.__traceback__)[-1].name in ("fail", "fail_later")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ErrorKind.INVALID, 422),
        (ErrorKind.NOT_FOUND, 404),
        (ErrorKind.DENIED, 403),
        (ErrorKind.CONFLICT, 409),
        (ErrorKind.TIMEOUT, 504),
        (ErrorKind.UNAVAILABLE, 503),
        (ErrorKind.EXHAUSTED, 429),
        (ErrorKind.USER_CODE, 500),
    ],
)
def test_an_error_of_a_kind_keeps_its_status(kind: ErrorKind, status: int) -> None:
    refusal = type("Refusal", (ModelyardError,), {"kind": kind})

    def refuse(body: Any) -> Any:
        raise refusal("no", mend="Try again.")

    graph = Graph("g")
    graph.to(refuse)
    with pytest.raises(StepFailed, match=r"graph g, step refuse, event .*: no\. Try again\.") as caught:
        graph.test()
    assert caught.value.error_kind is kind
    assert caught.value.outcome.http == status


def test_a_handler_sees_the_exception_itself_and_the_origin_in_every_way_of_running(failing: Any) -> None:
    """In MLRun it is the exception in async flows, and a mapping of step to message in sync ones."""
    seen: list[Any] = []

    def answer(event: Event) -> Any:
        seen.append((type(event.error), str(event.error), event.origin, event.body, event.id))
        return {"refused": str(event.error)}

    graph = Graph("g")
    graph.to(lambda body: body + 1, name="first").to(failing, name="f").on_error(answer)
    assert outcomes(graph, lambda: Event(6, id="e1")) == [{"refused": "bad 7"}] * 3
    assert seen == [(ValueError, "bad 7", "f", 7, "e1")] * 3
    assert graph.test(6) == {"refused": "bad 7"}
    assert list(graph.map([6, 7])) == [{"refused": "bad 7"}, {"refused": "bad 8"}]
    assert list(graph.stream(6)) == [{"refused": "bad 7"}]


def test_a_handler_that_returns_the_event_answers_with_its_body(failing: Any) -> None:
    """In MLRun's sync flows the event becomes its own body: a RecursionError for whoever prints it."""

    def repair(event: Event) -> Event:
        event.body = {"was": event.body}
        return event

    graph = Graph("g")
    first = graph.to(failing, name="f")
    first.to(lambda body: {**body, "next": True}, name="next").respond()
    first.on_error(repair)
    assert outcomes(graph, lambda: Event(7)) == [{"was": 7}] * 3
    first.on_error(repair, continue_at="next")
    assert outcomes(graph, lambda: Event(7)) == [{"was": 7, "next": True}] * 3


def test_a_handler_continues_at_a_step_also_in_graphs_without_coroutines(failing: Any) -> None:
    """MLRun refuses `before` for handlers of sync flows."""
    graph = Graph("g")
    first = graph.to(failing, name="f")
    first.to(lambda body: body * 2, name="double").to(lambda body: body + 1, name="one").respond()
    first.on_error(lambda event: len(str(event.error)), name="length", continue_at="one")
    assert outcomes(graph, lambda: Event(7)) == [6] * 3
    first.on_error(continue_at="double")
    assert outcomes(graph, lambda: Event(7)) == [15] * 3, "without a handler the event goes on as it is"


def test_the_nearest_handler_comes_first_and_may_hand_the_error_on(failing: Any) -> None:
    seen: list[str] = []

    def pass_on(event: Event) -> Any:
        seen.append(f"{event.origin} nearest")
        assert event.error is not None
        raise event.error

    def last(event: Event) -> Any:
        seen.append(f"{event.origin} last")
        return "answered"

    graph = Graph("g").on_error(last)
    graph.to(failing, name="f").on_error(pass_on)
    assert outcomes(graph, lambda: Event(7)) == ["answered"] * 3
    assert seen == ["f nearest", "f last"] * 3
    graph = Graph("g").on_error(pass_on)
    graph.to(failing, name="f").on_error(pass_on)
    expected = (StepFailed, "graph g, step f, event e1: the step raised ValueError: bad 7.")
    assert outcomes(graph, lambda: Event(7, id="e1")) == [expected] * 3


def test_a_handler_of_a_graph_inside_is_nearer_than_that_of_the_graph_around(failing: Any) -> None:
    inner = Graph("inner").on_error(lambda event: "inner")
    inner.to(failing, name="f")
    outer = Graph("outer").on_error(lambda event: "outer")
    outer.to(inner)
    assert outcomes(outer, lambda: Event(7)) == ["inner"] * 3
    inner.definition.handler = None
    assert outcomes(outer, lambda: Event(7)) == ["outer"] * 3


def test_a_failing_handler_is_reported_as_such_once(failing: Any) -> None:
    calls: list[str] = []

    def broken(event: Event) -> Any:
        calls.append("broken")
        raise KeyError("oops")

    graph = Graph("g").on_error(lambda event: calls.append("graph"), name="never")
    graph.to(failing, name="f").on_error(broken)
    told = (
        "graph g, step broken, event e1: the error handler raised KeyError: 'oops', "
        "while it handled ValueError: bad 7, of step f."
    )
    assert outcomes(graph, lambda: Event(7, id="e1")) == [(HandlerFailed, told)] * 3
    assert calls == ["broken"] * 3
    with pytest.raises(HandlerFailed) as caught:
        graph.test(7)
    assert type(caught.value.__cause__) is KeyError
    assert type(caught.value.error) is ValueError
    assert caught.value.facts["origin"] == "f"


def test_a_handler_chooses_the_status_by_the_error_it_raises_or_by_a_response(failing: Any) -> None:
    def refuse(event: Event) -> Any:
        raise EventInvalid(f"cannot take it: {event.error}") from event.error

    def respond(event: Event, context: Context) -> Response:
        return context.response({"error": str(event.error)}, status=418, headers={"x-origin": event.origin})

    graph = Graph("g")
    step = graph.to(failing, name="f").on_error(refuse)
    with pytest.raises(HandlerFailed, match="cannot take it: bad 7") as caught:
        graph.test(7)
    assert caught.value.outcome.http == 422
    step.on_error(respond)
    assert graph.test(7) == Response({"error": "bad 7"}, 418, {"x-origin": "f"})


def test_handlers_may_be_classes_coroutines_and_take_arguments(failing: Any) -> None:
    class Answer:
        def __init__(self, prefix: str) -> None:
            self.prefix = prefix

        async def do_event(self, event: Event) -> Any:
            await asyncio.sleep(0)
            return f"{self.prefix} {event.origin}"

    graph = Graph("g")
    graph.to(failing, name="f").on_error(Answer, prefix="from")
    assert outcomes(graph, lambda: Event(7)) == ["from f"] * 3


def test_every_kind_of_step_has_handlers() -> None:
    def answer(event: Event) -> Any:
        return f"{event.origin}: {event.error}"

    def fails(body: Any) -> Any:
        if body == "bad":
            raise ValueError("no")
        return body

    kinds: dict[str, Callable[[Graph], Any]] = {
        "filter": lambda graph: graph.filter(fails, name="s"),
        "choice": lambda graph: graph.choice(fails, name="s").when("x").to(str, name="t"),
        "flat_map": lambda graph: graph.flat_map(fails, name="s"),
        "unbatch": lambda graph: graph.to(lambda body: 3, name="three").unbatch(name="s"),
    }
    for kind, add in kinds.items():
        graph = Graph("g").on_error(answer)
        add(graph)
        expected = "s: 'int' object is not iterable" if kind == "unbatch" else "s: no"
        assert graph.test("bad") == ([expected] if kind in ("flat_map", "unbatch") else expected)
    graph = Graph("g").on_error(answer)
    graph.choice("side").when("x").to(lambda body: body, name="t")
    assert graph.test({"side": "y"}) == "side: the choice has no outlet 'y'. Known: x."
    assert graph.test({"side": []}) == "side: the choice named no outlet. Known: x."
    assert graph.test({}) == "side: the body has no 'side': 'side' is missing. Found: nothing."


def test_an_error_after_the_reply_changes_nothing_and_is_reported(failing: Any) -> None:
    graph = Graph("g")
    graph.to(lambda body: body, name="answer").respond().to(failing, name="f")
    with graph.open() as plan:
        assert plan.interpret(Event(7, id="e1")) == 7

        async def scenario() -> Any:
            reply = await plan.run_async(Event(8, id="e2"))
            await plan.drain()
            return reply

        assert asyncio.run(scenario()) == 8
        assert [str(error) for error in plan.reported] == [
            "graph g, step f, event e1: the step raised ValueError: bad 7.",
            "graph g, step f, event e2: the step raised ValueError: bad 8.",
        ]


def test_a_second_reply_is_reported() -> None:
    graph = Graph("g")
    first = graph.choice(lambda body: ["a", "b"], name="both")
    one, other = first.when("a").to(int, name="a"), first.when("b").to(int, name="b")
    graph.add_step(lambda body: body, name="end", after=[one.name, other.name])
    plan = graph.open()
    assert plan.run(Event(7, id="e1")) == 7
    (error,) = plan.reported
    assert isinstance(error, StepFailed)
    assert type(error.cause) is ReplyRepeated
    assert str(error) == (
        "graph g, step end, event e1: end has replied to this event already. Join the branches with a merge before it, "
        "or let a generator step make the graph a stream."
    )


def test_a_failing_branch_does_not_hide_in_a_join(failing: Any) -> None:
    """In MLRun's ensembles and parallel runs an error in one of the branches is left out of the result."""
    graph = Graph("g")
    graph.parallel(a=lambda body: body, b=failing)
    expected = (StepFailed, "graph g, step b, event e1: the step raised ValueError: bad 7.")
    assert outcomes(graph, lambda: Event(7, id="e1")) == [expected] * 3


# --- what is no Exception ---------------------------------------------------------------------------------------------


def leave_now(body: Any) -> Any:
    sys.exit(2)


async def leave_later(body: Any) -> Any:
    await asyncio.sleep(0)
    sys.exit(2)


async def cancel_own_work(body: Any) -> Any:
    work = asyncio.ensure_future(asyncio.sleep(30))
    await asyncio.sleep(0)
    work.cancel()
    await work


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        (leave_now, {}),
        (leave_later, {}),
        (leave_now, {"concurrency": "thread"}),
        (leave, {"concurrency": "process", "timeout": 60}),
    ],
    ids=["sync", "async", "thread", "process"],
)
def test_a_step_that_leaves_the_program_has_failed_and_nobody_leaves(step: Any, settings: dict[str, Any]) -> None:
    graph = Graph("g")
    graph.to(step, name="s", **settings)
    for _ in range(2):
        with pytest.raises(StepFailed, match=r"graph g, step s, event .*: the step raised SystemExit: 2") as caught:
            graph.test(7)
        assert caught.value.outcome.http == 500
    assert graph.replacing(s=lambda body: body).test(7) == 7
    handled = graph.replacing()
    handled.on_error(lambda event: f"{event.origin}: {type(event.error).__name__}")
    assert handled.test(7) == "s: SystemExit"


def test_a_branch_that_leaves_the_program_fails_the_event_only() -> None:
    graph = Graph("g")
    graph.parallel(a=leave_later, b=fail_later)
    with pytest.raises(StepFailed, match=r"step a, event .*: the step raised SystemExit: 2"):
        graph.test(7)
    assert graph.replacing(a=lambda body: 1, b=lambda body: 2).test(7) == {"a": 1, "b": 2}


def test_own_work_that_was_cancelled_is_a_failure_and_no_cancelled_request() -> None:
    graph = Graph("g")
    graph.to(cancel_own_work)
    expected = (StepFailed, "graph g, step cancel_own_work, event e1: the step raised CancelledError.")
    assert outcomes(graph, lambda: Event(7, id="e1")) == [expected] * 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, type("Custom", (BaseException,), {})])
def test_an_interrupt_goes_through_untouched_and_the_next_event_is_served(error: type[BaseException]) -> None:
    """Ctrl+C, and what test frameworks raise, is nobody's to handle."""
    seen: list[Any] = []

    def interrupted(body: Any) -> Any:
        if body == "interrupt":
            raise error
        return body

    async def interrupted_later(body: Any) -> Any:
        await asyncio.sleep(0)
        return interrupted(body)

    for step in (interrupted, interrupted_later):
        graph = Graph("g").on_error(seen.append, name="handler")
        graph.to(step, name="s", fallback=0, retries={"base": 0})
        with pytest.raises(error):
            graph.test("interrupt")
        assert graph.test("next") == "next"
    graph = Graph("g")
    graph.parallel(a=interrupted_later, b=lambda body: body)
    with pytest.raises(error):
        graph.test("interrupt")
    assert graph.test("next") == {"a": "next", "b": "next"}
    assert seen == []


def test_a_worker_behind_a_queue_outlives_whatever_a_step_raises() -> None:
    seen: list[Any] = []

    def step(body: Any) -> Any:
        if body == "exit":
            sys.exit(1)
        if body == "interrupt":
            raise KeyboardInterrupt
        seen.append(body)

    graph = Graph("g")
    graph.to(lambda body: body, name="answer").respond().queue().to(step)
    for body in ("exit", "interrupt", "last"):
        assert graph.test(body) == body
    assert seen == ["last"]


# --- policies and handlers together -----------------------------------------------------------------------------------


def test_retries_come_before_the_fallback_and_the_fallback_before_the_handler() -> None:
    calls: list[str] = []

    def step(body: Any) -> Any:
        calls.append("step")
        raise ValueError("no")

    def fallback(body: Any) -> Any:
        calls.append("fallback")
        raise LookupError("neither")

    graph = Graph("g")
    graph.to(step, retries={"attempts": 2, "base": 0}, fallback=fallback).on_error(lambda event: str(event.error))
    assert graph.test() == "neither"
    assert calls == ["step", "step", "fallback"]


def test_each_attempt_and_the_fallback_get_the_body_as_it_came() -> None:
    def step(body: Any) -> Any:
        body["tries"] += 1
        if body["tries"] < 3:
            raise ValueError(body["tries"])
        return body

    for settings in ({"base": 0}, {"base": 0.0001}):
        graph = Graph("g")
        graph.to(step, retries={"attempts": 4, **settings}, fallback=lambda body: body)
        body = {"tries": 0}
        assert graph.test(body) == {"tries": 0}
        assert graph.test({"tries": 2}) == {"tries": 3}


def test_a_fallback_value_is_each_events_own() -> None:
    graph = Graph("g")
    graph.to(fail, fallback={"seen": []}).to(lambda body: (body["seen"].append(1), body)[1], name="next")
    assert graph.test(1) == {"seen": [1]}
    assert graph.test(1) == {"seen": [1]}


def test_a_timeout_is_an_error_like_any_other() -> None:
    async def slow(body: Any) -> Any:
        await asyncio.sleep(30)

    graph = Graph("g")
    graph.to(slow, timeout=0.001).on_error(lambda event: type(event.error).__name__)
    assert graph.test() == StepTimeout.__name__


def test_a_response_goes_to_the_caller_and_its_body_to_what_follows() -> None:
    seen: list[Any] = []
    for step in (lambda body: Response({"x": body}, 201), _created):
        for more in (False, True):
            graph = Graph("g")
            graph.to(step, name="s").respond().to(seen.append, name="after")
            if more:
                graph.add_step(lambda event: event, name="first", before="s", full_event=True)
            assert graph.test(7) == Response({"x": 7}, 201)
    assert seen == [{"x": 7}] * 4


async def _created(body: Any) -> Response:
    return Response({"x": body}, 201)


def test_a_coroutine_that_nobody_awaited_is_told() -> None:
    async def ask(body: Any) -> Any:
        return body

    graph = Graph("g")
    graph.to(lambda body: ask(body), name="ask").to(lambda body: body + 1, name="next")  # noqa: PLW0108 (what users write)
    with graph.open() as plan:
        for run in (plan.run, plan.interpret):
            with pytest.raises(StepFailed) as caught:
                run(Event(7, id="e1"))
            assert str(caught.value) == (
                "graph g, step next, event e1: the step raised TypeError: unsupported operand type(s) for +: "
                "'coroutine' and 'int'. It got a coroutine that nobody awaited: declare the step before it with "
                "async def."
            )


async def _later(body: Any) -> Any:
    return body


def _forgetful(given: Any) -> Any:
    return _later(given)


@pytest.mark.parametrize("way", ["plain", "thread", "cycle"])
@pytest.mark.parametrize("whole", [False, True], ids=["body", "event"])
def test_a_coroutine_is_no_reply(way: str, whole: bool) -> None:
    graph = Graph("g", cycle_bound=1)
    settings = {"concurrency": "thread"} if way == "thread" else {}
    step = graph.to(_forgetful, name="forgot", full_event=whole, **settings)
    step.on_error(lambda event: [event.origin, str(event.error)], name="tell")
    if way == "cycle":  # what has a cycle is not compiled
        step.choice(lambda body: False, name="again").when(True).cycle_to("forgot")
    step.respond()
    assert graph.test(1) == [
        "forgot",
        "the step gave the coroutine _later instead of a result: nobody awaited it. "
        "Declare the step with async def, and await in it.",
    ]


def test_an_error_whose_text_cannot_be_had_is_told_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fails(body: Any) -> Any:
        raise Mute

    graph = Graph("g")
    graph.to(fails)
    with pytest.raises(StepFailed, match=r"the step raised Mute: \(its text cannot be had: RuntimeError\)"):
        graph.test()
