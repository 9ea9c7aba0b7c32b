"""What can be a step, and how it is called."""

from typing import Any

import pytest

from modelyard.graphs import Graph


@pytest.mark.parametrize(
    ("step", "body", "reply"),
    [(int, "7", 7), (str, 7, "7"), (list, (1, 2), [1, 2]), ("builtins:float", "0.5", 0.5), (bool, [], False)],
)
def test_a_builtin_type_converts_the_body(step: Any, body: Any, reply: Any) -> None:
    graph = Graph("g")
    graph.to(step)
    assert graph.test(body) == reply
    assert type(graph.test(body)) is type(reply)
    assert graph.map([body, body]).values == [reply, reply]
    assert Graph.from_spec(graph.to_spec()).test(body) == reply


def test_a_builtin_type_takes_arguments_and_decides() -> None:
    graph = Graph("g")
    graph.filter(bool).to(dict, source="a").flat_map(sorted, name="names").to(str)
    assert graph.test({"x": 1}) == ["source", "x"]
    assert graph.test({}) == []
