"""Every static check with its whole message: where, which rule, how to mend it, and the graph drawn."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modelyard.graphs import Graph, GraphInvalid


def same(body: Any) -> Any:
    return body


def text(body: Any) -> str:
    return str(body)


def number(body: int) -> int:
    return body


def items(body: Any) -> list[str]:
    return [str(body)]


def numbers(body: list[int]) -> int:
    return sum(body)


def several(body: Any) -> Iterator[Any]:
    yield body


async def later(body: Any) -> Any:
    return body


def unreachable() -> Graph:
    return Graph.from_spec(
        {
            "name": "g",
            "steps": [
                {"name": "a", "kind": "call", "use": "operator:neg"},
                {"name": "b", "kind": "call", "use": "operator:neg", "after": []},
            ],
        }
    )


def dangling_choice() -> Graph:
    graph = Graph("g")
    graph.to(same, name="a").choice("kind")
    return graph


def undeclared_outlet() -> Graph:
    graph = Graph("g")
    graph.to(same, name="a")
    graph.add_step(same, name="b", after="a:late")
    return graph


def which_outlet() -> Graph:
    graph = Graph("g")
    choice = graph.choice("kind")
    choice.when("x").to(same, name="x")
    graph.add_step(same, name="b", after="kind")
    return graph


def unbounded() -> Graph:
    graph = Graph("g")
    choice = graph.to(same, name="a").choice(bool, name="more")
    choice.when(True).cycle_to("a")
    choice.when(False).to(same, name="end")
    return graph


def cycle_nowhere() -> Graph:
    graph = Graph("g", cycle_bound=3)
    graph.to(same, name="a").cycle_to("b")
    return graph


def no_cycle() -> Graph:
    graph = Graph("g", cycle_bound=3)
    first = graph.to(same, name="a")
    graph.to(same, name="b").cycle_to("a")
    first.respond()
    return graph


def fan_in() -> Graph:
    graph = Graph("g")
    graph.to(same, name="a")
    graph.to(same, name="b")
    graph.add_step(same, name="end", after=["a", "b"])
    return graph


def never_meet() -> Graph:
    graph = Graph("g")
    choice = graph.choice("kind")
    choice.when("a").to(same, name="a").merge(choice.otherwise().to(same, name="b"))
    return graph


def merge_twice() -> Graph:
    graph = Graph("g")
    one = graph.to(same, name="a")
    one.merge(one)
    return graph


def queue_alone() -> Graph:
    graph = Graph("g")
    graph.to(same, name="a").respond().queue(name="later")
    return graph


def reply_behind_queue() -> Graph:
    graph = Graph("g")
    graph.queue(name="later").to(same, name="a").respond()
    return graph


def types() -> Graph:
    graph = Graph("g")
    graph.to(text).to(number)
    return graph


def types_inside() -> Graph:
    graph = Graph("g")
    graph.to(items).to(numbers)
    return graph


def types_cycle() -> Graph:
    graph = Graph("g", cycle_bound=2)
    choice = graph.to(number).to(text).choice(bool, name="more")
    choice.when(True).cycle_to("number")
    choice.when(False).to(same, name="end")
    return graph


def types_join() -> Graph:
    graph = Graph("g")
    graph.parallel(a=same, b=same).to(number)
    return graph


def handler_back() -> Graph:
    graph = Graph("g")
    graph.to(same, name="a").to(same, name="b").on_error(same, continue_at="a")
    return graph


def handler_nowhere() -> Graph:
    graph = Graph("g")
    graph.to(same, name="first").on_error(continue_at="frist")
    return graph


def graph_handler_nowhere() -> Graph:
    graph = Graph("g")
    graph.to(same, name="first")
    graph.on_error(continue_at="frist")
    return graph


def choice_replies() -> Graph:
    graph = Graph("g")
    graph.choice("kind", name="c").when("x").to(same, name="x")
    graph.definition.change("c", respond=True)
    return graph


def two_ends_inside() -> Graph:
    inner = Graph("i")
    inner.to(same, name="a")
    inner.to(same, name="b")
    graph = Graph("g")
    graph.to(inner)
    return graph


def full_paths() -> Graph:
    graph = Graph("g")
    graph.to(same, full_event=True, input_path="a")
    return graph


def empty() -> Graph:
    return Graph("g")


def handler_yields() -> Graph:
    graph = Graph("g")
    graph.to(same).on_error(several)
    return graph


def filter_yields() -> Graph:
    graph = Graph("g")
    graph.filter(several)
    return graph


def yields_settings() -> Graph:
    graph = Graph("g")
    graph.to(several, timeout=1)
    return graph


def async_thread() -> Graph:
    graph = Graph("g")
    graph.to(later, concurrency="thread")
    return graph


REFUSED: list[tuple[Callable[[], Graph], str]] = [
    (
        unreachable,
        "graph g, step b: nothing leads there. Say after which step it comes.\n  input → a\n  nothing → b",
    ),
    (
        dangling_choice,
        "graph g, step kind: the choice has no outlet. Add one: choice.when('…').to(…).\n  input → a\n  a → kind",
    ),
    (
        undeclared_outlet,
        "graph g, step b: 'a' is no choice and has no outlet 'late'.\n  input → a\n  a:late → b",
    ),
    (
        which_outlet,
        "graph g, step b: the choice 'kind' has outlets: say which. kind:yes, say.\n"
        "  input → kind\n"
        "  kind:x → x\n"
        "  kind → b",
    ),
    (
        unbounded,
        "graph g, step more: the cycle to 'a' has no bound. Say cycle_to('a', bound=…), or Graph(…, "
        "cycle_bound=…).\n"
        "  input → a\n"
        "  a → more\n"
        "  more:yes → ↩ a\n"
        "  more:no → end",
    ),
    (
        cycle_nowhere,
        "graph g, step a: the cycle leads to 'b', which is not there.\n  input → a\n  a → ↩ b",
    ),
    (
        no_cycle,
        "graph g, step b: 'a' is not upstream: that is no cycle. Use add_step(after=…).\n"
        "  input → a (responds), b\n"
        "  b → ↩ a",
    ),
    (
        fan_in,
        "graph g, step end: it gets every event twice, from 'a' and 'b', which part at 'the input', and "
        "the reply is due once. Join them with a merge.\n"
        "  input → a, b\n"
        "  a → end\n"
        "  b → end",
    ),
    (
        never_meet,
        "graph g, step merge: 'a' and 'b' never meet: an event takes one outlet of 'kind'. Let them "
        'lead to one step, or say missing="partial".\n'
        "  input → kind\n"
        "  kind:a → a\n"
        "  kind:* → b\n"
        "  a → merge\n"
        "  b → merge",
    ),
    (
        merge_twice,
        "graph g, step merge: it comes after 'a' twice. Name every branch once.\n  input → a\n  a → merge, merge",
    ),
    (
        queue_alone,
        "graph g, step later: nothing takes events out of the queue. Let a step follow it.\n"
        "  input → a (responds)\n"
        "  a → later",
    ),
    (
        reply_behind_queue,
        "graph g, step later: the responder is behind a queue: the reply would wait for somebody else's "
        "work.\n"
        "  input → later\n"
        "  later → a (responds)",
    ),
    (
        types,
        "graph g, step number: it takes int, and 'text' gives str. Put a step in between that converts "
        "it.\n"
        "  input → text\n"
        "  text → number",
    ),
    (
        types_inside,
        "graph g, step numbers: it takes list[int], and 'items' gives list[str]. Put a step in between "
        "that converts it.\n"
        "  input → items\n"
        "  items → numbers",
    ),
    (
        types_cycle,
        "graph g, step number: it takes int, and 'more' gives str. Put a step in between that converts "
        "it.\n"
        "  input → number\n"
        "  number → text\n"
        "  text → more\n"
        "  more:yes → ↩ number\n"
        "  more:no → end",
    ),
    (
        types_join,
        "graph g, step number: it takes int, and 'parallel' gives dict. Put a step in between that "
        "converts it.\n"
        "  input → a, b\n"
        "  a → parallel\n"
        "  b → parallel\n"
        "  parallel → number",
    ),
    (
        handler_back,
        "graph g, step b: the handler continues at 'a', which leads here again: a cycle without a "
        "bound.\n"
        "  input → a\n"
        "  a → b",
    ),
    (
        handler_nowhere,
        "graph g, step first: the handler continues at 'frist', which is not there. Did you mean first?\n"
        "  input → first",
    ),
    (
        graph_handler_nowhere,
        "graph g: the handler continues at 'frist', which is not there. Did you mean first?\n  input → first",
    ),
    (
        choice_replies,
        "graph g, step c: a choice has no result to reply with.\n  input → c (responds)\n  c:x → x",
    ),
    (
        two_ends_inside,
        "graph g, step i: a graph in a graph has one end, or a step that responds.\n  input → i.a, i.b",
    ),
    (
        full_paths,
        "graph g, step same: a step that takes the whole event has no input_path or result_path.\n  input → same",
    ),
    (
        empty,
        "graph g: it has no steps. Add one: graph.to(function).",
    ),
    (
        handler_yields,
        "graph g, step several: an error handler does not yield.",
    ),
    (
        filter_yields,
        "graph g, step several: a filter does not yield.",
    ),
    (
        yields_settings,
        "graph g, step several: a step that yields has no settings of this kind.",
    ),
    (
        async_thread,
        "graph g, step later: a coroutine runs on the event loop: inline.",
    ),
]


@pytest.mark.parametrize(("build", "message"), REFUSED, ids=lambda each: getattr(each, "__name__", ""))
def test_a_graph_that_breaks_a_rule_is_refused_with_the_rule_and_the_graph(
    build: Callable[[], Graph], message: str
) -> None:
    with pytest.raises(GraphInvalid) as caught:
        build().open()
    assert str(caught.value) == message


@pytest.mark.parametrize("given", [[same], (same,), "abc", same])
def test_routes_and_members_that_are_no_mapping_are_refused(given: Any) -> None:
    told = type(given).__name__
    with pytest.raises(GraphInvalid) as caught:
        Graph("g").router(lambda event: "a", name="pick", routes=given)
    assert str(caught.value) == f'graph g, step pick: routes maps names to steps, it is {told}. Say routes={{"a": …}}.'
    with pytest.raises(GraphInvalid) as caught:
        Graph("g").ensemble(lambda answers, failures: 1, name="all", members=given)
    assert str(caught.value) == f'graph g, step all: members maps names to steps, it is {told}. Say members={{"a": …}}.'
