"""Looking into a graph: traces, fakes, tracebacks and what a debugger sees."""

import asyncio
import linecache
import sys
import traceback
from typing import Any

import pytest

from modelyard.graphs import Event, Graph, GraphInvalid, StepFailed


def parse(body: Any) -> Any:
    return body["x"]


async def double(body: Any) -> Any:
    await asyncio.sleep(0)
    return body * 2


def broken(body: Any) -> Any:
    raise ValueError("no")


def test_a_trace_tells_what_every_step_and_handler_got_gave_and_took() -> None:
    graph = Graph("g")
    graph.to(parse).to(double).to(broken).on_error(lambda event: "answer", name="handler")
    trace = graph.trace({"x": 3})
    assert [(each.step, each.input, each.output) for each in trace.steps] == [
        ("parse", {"x": 3}, 3),
        ("double", 3, 6),
        ("broken", 6, None),
        ("handler", 6, "answer"),
    ]
    assert [str(each.error) for each in trace.steps if each.error] == ["no"]
    assert all(each.seconds >= 0 for each in trace.steps)
    assert (trace.reply, trace.error, trace.reported) == ("answer", None, ())
    told = str(trace)
    assert "broken" in told
    assert "✗ ValueError: no" in told
    assert told.endswith("reply: 'answer'")


def test_a_trace_keeps_what_a_step_got_although_the_step_changes_it() -> None:
    def change(body: Any) -> Any:
        body["x"] = "changed"
        return body

    graph = Graph("g")
    graph.to(change)
    (step,) = graph.trace({"x": 1}).steps
    assert (step.input, step.output) == ({"x": 1}, {"x": "changed"})


def test_a_trace_takes_what_cannot_be_copied_as_it_is() -> None:
    import threading

    lock = threading.Lock()
    graph = Graph("g")
    graph.to(lambda body: {"lock": lock}, name="made").to(lambda body: 1, name="end")
    assert graph.trace(0).steps[0].output == {"lock": lock}


def test_a_trace_has_path_method_and_headers() -> None:
    graph = Graph("g")
    graph.to(lambda event: (event.path, event.method, event.headers["a"]), name="tell", full_event=True)
    assert graph.trace(0, path="/p", method="PUT", headers={"a": "b"}).reply == ("/p", "PUT", "b")


def test_a_trace_tells_the_error_that_the_caller_would_have_got() -> None:
    graph = Graph("g")
    graph.to(parse)
    trace = graph.trace({})
    assert isinstance(trace.error, StepFailed)
    assert str(trace).endswith(": the step raised KeyError: 'x'.")
    graph = Graph("g")
    graph.to(lambda body: body, name="answer").respond().to(broken)
    trace = graph.trace(1)
    assert (trace.reply, [type(each) for each in trace.reported]) == (1, [StepFailed])


def test_fakes_take_the_place_of_steps_handlers_and_workers() -> None:
    graph = Graph("g")
    step = graph.to("operator:neg", name="negative", concurrency="process", timeout=5).to(broken, name="broken")
    step.on_error("probe_steps:describe", name="handler")
    fake = graph.replacing(negative=lambda body: body + 1, handler=lambda event: (event.origin, event.body))
    assert fake.test(1) == ("broken", 2)
    assert graph.definition.nodes["negative"].use == "operator:neg"
    whole = Graph("g")
    whole.to(lambda event: event.path, name="s", full_event=True)
    assert whole.replacing(s=lambda event: f"fake {event.path}").test(1, path="/p") == "fake /p"
    with pytest.raises(GraphInvalid) as caught:
        graph.replacing(negativ=lambda body: body)
    assert str(caught.value) == "graph g: there is no step or error handler 'negativ'. Did you mean negative?"
    joined = Graph("g")
    joined.parallel(a=parse, b=parse)
    with pytest.raises(GraphInvalid, match="graph g, step parallel: a merge has no code to replace"):
        joined.replacing(parallel=parse)


def frames(error: BaseException | None) -> list[str]:
    assert error is not None
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_traceback_leads_from_the_users_code_through_a_readable_line(is_async: bool) -> None:
    async def later(body: Any) -> Any:
        return broken(body)

    graph = Graph("g")
    graph.to(parse).to(later if is_async else broken, name="bad")
    with pytest.raises(StepFailed) as caught:
        graph.test({"x": 1})
    cause = caught.value.__cause__
    assert frames(cause) == (["run", "later", "broken"] if is_async else ["run", "broken"])
    line = traceback.extract_tb(cause.__traceback__ if cause else None)[0]
    assert line.filename.startswith("<modelyard graph g #")
    assert line.line == ("v2 = await f1(v1)" if is_async else "v2 = f1(v1)")
    assert linecache.getline(line.filename, line.lineno or 0).strip() == line.line


def test_a_debugger_stops_in_a_step_in_the_callers_thread() -> None:
    stops: list[tuple[str, int]] = []

    def watch(frame: Any, kind: str, argument: Any) -> Any:
        if kind == "call" and frame.f_code.co_name in ("parse", "run"):
            stops.append((frame.f_code.co_name, frame.f_back is not None))
        return watch

    graph = Graph("g")
    graph.to(parse)
    plan = graph.open()
    before = sys.gettrace()
    sys.settrace(watch)
    try:
        assert plan.run(Event({"x": 4})) == 4
    finally:
        sys.settrace(before)
    assert [name for name, _ in stops] == ["run", "run", "parse"]
