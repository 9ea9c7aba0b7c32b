"""Every static check, with its message and the graph drawn."""

from typing import Any

import pytest

from modelyard.graphs import Event, Graph, GraphInvalid, OpeningFailed, Retry, StepFailed, StepNotFound
from modelyard.graphs.spec import StepSpec


def same(body: Any) -> Any:
    return body


def text(body: Any) -> str:
    return str(body)


def number(body: int) -> int:
    return body


def refused(graph: Graph) -> str:
    with pytest.raises(GraphInvalid) as caught:
        graph.open()
    return str(caught.value)


def test_a_branching_graph_without_a_responder() -> None:
    graph = Graph("g")
    graph.to(same, name="a").to(same, name="b")
    graph.to(same, name="c")
    assert refused(graph) == (
        "graph g: it branches, and no step responds; its ends: b, c. Say which result is the reply: step.respond().\n"
        "  input → a, c\n"
        "  a → b"
    )


def test_two_responders() -> None:
    graph = Graph("g")
    graph.to(same, name="a").respond().to(same, name="b").respond()
    assert refused(graph) == (
        "graph g, step b: 'a' replies already. One step responds.\n  input → a (responds)\n  a → b (responds)"
    )


def test_an_unreachable_step() -> None:
    spec = {
        "name": "g",
        "steps": [
            {"name": "a", "kind": "call", "use": "operator:neg"},
            {"name": "b", "kind": "call", "use": "operator:neg", "after": []},
        ],
    }
    assert "graph g, step b: nothing leads there. Say after which step it comes.\n" in refused(Graph.from_spec(spec))


def test_a_dangling_choice_and_undeclared_outlets() -> None:
    graph = Graph("g")
    graph.to(same, name="a").choice("kind")
    assert "graph g, step kind: the choice has no outlet. Add one: choice.when('…').to(…)." in refused(graph)
    graph = Graph("g")
    graph.to(same, name="a")
    graph.add_step(same, name="b", after="a:late")
    assert "graph g, step b: 'a' is no choice and has no outlet 'late'.\n" in refused(graph)
    graph = Graph("g")
    choice = graph.choice("kind")
    choice.when("x").to(same, name="x")
    graph.add_step(same, name="b", after="kind")
    assert "graph g, step b: the choice 'kind' has outlets: say which. kind:yes, say." in refused(graph)


def test_cycles() -> None:
    graph = Graph("g")
    choice = graph.to(same, name="a").choice(bool, name="more")
    choice.when(True).cycle_to("a")
    choice.when(False).to(same, name="end")
    message = refused(graph)
    assert message.startswith(
        "graph g, step more: the cycle to 'a' has no bound. Say cycle_to('a', bound=…), or Graph(…, cycle_bound=…).\n"
    )
    assert "  more:yes → ↩ a\n" in message
    graph = Graph("g", cycle_bound=3)
    graph.to(same, name="a").cycle_to("b")
    assert "the cycle leads to 'b', which is not there" in refused(graph)
    graph = Graph("g", cycle_bound=3)
    first = graph.to(same, name="a")
    graph.to(same, name="b").cycle_to("a")
    first.respond()
    assert "step b: 'a' is not upstream: that is no cycle. Use add_step(after=…)." in refused(graph)


def test_an_ambiguous_fan_in() -> None:
    graph = Graph("g")
    graph.to(same, name="a")
    graph.to(same, name="b")
    graph.add_step(same, name="end", after=["a", "b"])
    assert refused(graph).startswith(
        "graph g, step end: it gets every event twice, from 'a' and 'b', which part at 'the input', and the reply is "
        "due once. Join them with a merge.\n"
    )
    graph = Graph("g")
    choice = graph.choice("kind")
    choice.when("a").to(same, name="a")
    choice.otherwise().to(same, name="b")
    graph.add_step(same, name="end", after=["a", "b"])
    assert graph.test({"kind": "x"}) == {"kind": "x"}


def test_a_merge_that_can_never_complete() -> None:
    graph = Graph("g")
    choice = graph.choice("kind")
    one = choice.when("a").to(same, name="a")
    other = choice.otherwise().to(same, name="b")
    one.merge(other)
    assert "step merge: 'a' and 'b' never meet: an event takes one outlet of 'kind'" in refused(graph)


def test_queues() -> None:
    graph = Graph("g")
    graph.to(same, name="a").respond().queue(name="later")
    assert "step later: nothing takes events out of the queue. Let a step follow it." in refused(graph)
    graph = Graph("g")
    graph.queue(name="later").to(same, name="a").respond()
    assert "step later: the responder is behind a queue: the reply would wait" in refused(graph)


def test_types_of_neighbours() -> None:
    graph = Graph("g")
    graph.to(text).to(number)
    assert refused(graph).startswith(
        "graph g, step number: it takes int, and 'text' gives str. Put a step in between that converts it.\n"
    )


def test_an_event_is_an_envelope_and_no_type_of_a_body() -> None:
    def enveloped(event: Event) -> Event:
        event.body = int(event.body) + 1
        return event

    graph = Graph("g")
    graph.to(text).to(enveloped, full_event=True).to(number)
    assert graph.test(41) == 42


def test_a_timeout_on_an_inline_function() -> None:
    graph = Graph("g")
    graph.to(same, timeout=1.0)
    assert refused(graph) == (
        "graph g, step same: a plain function that runs inline cannot be timed out. "
        'Say concurrency="thread" (it is abandoned) or "process" (it is killed).'
    )


def test_handlers_that_lead_back_or_nowhere() -> None:
    graph = Graph("g")
    graph.to(same, name="a").to(same, name="b").on_error(same, continue_at="a")
    assert "step b: the handler continues at 'a', which leads here again: a cycle without a bound" in refused(graph)
    graph = Graph("g")
    graph.to(same, name="first").on_error(continue_at="frist")
    assert "the handler continues at 'frist', which is not there. Did you mean first?" in refused(graph)
    with pytest.raises(GraphInvalid, match="an error handler is a step, or says where to continue_at"):
        graph.on_error()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retries": 0}, "retries needs attempts ≥ 1"),
        ({"concurrency": "fibre"}, "concurrency is inline, thread, process or dedicated, not 'fibre'"),
        ({"timeout": -1}, "timeout is at least 0, not -1"),
        ({"timeout": float("nan")}, "timeout is at least 0, not nan"),
        ({"timeout": "1"}, "the setting timeout: Expected `float`, got `str`, not '1'"),
        ({"max_in_flight": True}, "the setting max_in_flight: Expected `int`, got `bool`, not True"),
        ({"input_path": 5}, "the setting input_path: Expected `str`, got `int`, not 5"),
        ({"retries": "3"}, r"the setting retries: Expected `object`, got `str`, not '3'\. Say retries=Retry\(…\)\."),
        ({"arguments": 5}, "arguments are a mapping of names to values, not 5"),
        ({"cache": {"size": 0}}, "cache needs size ≥ 1"),
        ({"circuit_breaker": {"failures": 0}}, "circuit_breaker needs failures ≥ 1"),
        ({"retries": {"attemps": 3}}, r"Object contains unknown field `attemps`\. Did you mean attempts\?"),
        ({"retries": {"attempts": "x"}}, "Expected `int`, got `str`"),
    ],
)
def test_settings_are_checked_when_they_are_said(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphInvalid, match=f"graph g, step same: .*{message}"):
        Graph("g").to(same, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validate": True}, "validate needs an annotation of what the step takes"),
        ({"full_event": True, "input_path": "a"}, "a step that takes the whole event has no input_path"),
        ({"concurrency": "process", "name": "lambda"}, "the step cannot be sent to a process"),
        ({"retries": {"on": ["print"]}}, "retries on 'print', which is no exception"),
        ({"retries": {"on": ["Nope"]}}, "retries on 'Nope', which is no exception. Name a built-in one, or"),
    ],
)
def test_settings_that_do_not_fit_the_step(settings: dict[str, Any], message: str) -> None:
    graph = Graph("g")
    graph.to(lambda body: body, **{"name": "s", **settings})
    assert message in refused(graph)


class _Refused(Exception):
    """An error of a user's own."""


@pytest.mark.parametrize("on", [(_Refused,), _Refused, [_Refused]])
def test_retries_take_the_classes_of_exceptions_too(on: Any) -> None:
    retry = Retry(on=on, base=0.0)
    assert retry.on == (f"{__name__}:_Refused",)
    tries = []

    def step(body: Any) -> Any:
        tries.append(body)
        raise _Refused if len(tries) < 2 else KeyError

    graph = Graph("g")
    graph.to(step, retries=retry)
    with pytest.raises(StepFailed, match="KeyError"):
        graph.test(1)
    assert tries == [1, 1]


_SPEC = {"name": "g", "steps": [{"name": "neg", "kind": "call", "use": "operator:neg"}]}


def _merged(**options: Any) -> None:
    graph = Graph("g")
    graph.to(same, name="a").merge(graph.to(same, name="b"), **options)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (lambda: Graph(5), "a graph's name is made of letters, digits, - and _, not 5."),  # type: ignore[arg-type]
        (lambda: Graph("g", cycle_bound="3"), "graph g: cycle_bound is a whole number, at least 0, not '3'."),  # type: ignore[arg-type]
        (lambda: Graph("g").to(same, name=5), "graph g: a step's name is text on one line, without spaces around: 5."),  # type: ignore[arg-type]
        (
            lambda: Graph("g").to(same, name="a\nb"),
            "graph g: a step's name is text on one line, without spaces around: 'a\\nb'.",
        ),
        (
            lambda: Graph("g").to(same, name=" "),
            "graph g: a step's name is text on one line, without spaces around: ' '.",
        ),
        (
            lambda: Graph("g").to(same).cycle_to("same", bound=2.5),  # type: ignore[arg-type]
            "graph g: bound is a whole number, at least 0, not 2.5.",
        ),
        (
            lambda: Graph("g").add_step(same, name="b", after=5),  # type: ignore[arg-type]
            "graph g, step b: after takes the names of steps, not 5. A place knows its own: step.name.",
        ),
        (lambda: _merged(seconds=5), "graph g, step merge: seconds is for a merge with key."),
        (lambda: _merged(limit=5), "graph g, step merge: limit is for a merge with key."),
        (lambda: Graph("g").batch(2, limit=5), "graph g, step batch: limit is for a batch with across."),
        (
            lambda: Graph.from_spec({**_SPEC, "on_error": {}}),
            "graph g: an error handler is a step, or says where to continue_at.",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_said(said: Any, message: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        said()
    assert str(caught.value) == message


def test_what_a_class_raises_when_it_is_built_names_its_step() -> None:
    class Absent:
        def __init__(self) -> None:
            raise ConnectionError("nobody there")

        def do(self, body: Any) -> Any:
            return body

    graph = Graph("g")
    graph.to(Absent, name="ask")
    with pytest.raises(OpeningFailed) as caught:
        graph.open()
    assert str(caught.value) == "graph g: the step 'ask' could not be opened: ConnectionError: nobody there."
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_a_path_that_leads_nowhere_names_its_step() -> None:
    graph = Graph("g")
    graph.to("nowhere:nobody", name="ask")
    with pytest.raises(StepNotFound) as caught:
        graph.open()
    assert str(caught.value) == (
        "graph g, step ask: there is no step 'nowhere:nobody': no module named 'nowhere'. "
        "Write it as package.module:name."
    )


def test_names_and_options() -> None:
    graph = Graph("g")
    with pytest.raises(GraphInvalid, match="a step's name has no colon"):
        graph.to(same, name="a:b")
    graph.to(same, name="parse")
    with pytest.raises(GraphInvalid, match=r"it cannot come after 'prase'\. Did you mean parse\?"):
        graph.add_step(same, name="b", after="prase")
    assert graph.steps == ("parse",)
    step = StepSpec("m", "merge", after=("a", "b"), options={"missing": "ignore"})
    with pytest.raises(GraphInvalid, match="missing is one of error, drop, partial, not 'ignore'"):
        Graph.from_spec({"name": "g", "steps": [{"name": "a", "kind": "batch", "options": {"size": 2}}, _plain(step)]})


def _plain(step: StepSpec) -> dict[str, Any]:
    return {"name": step.name, "kind": step.kind, "after": ["a"], "options": step.options}
