"""Builds the strategy and the runner of a router or ensemble, when a graph opens."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.graphs.calls import resolve
from modelyard.graphs.context import Context
from modelyard.graphs.definition import Node
from modelyard.graphs.ensemble_group import EnsembleGroup, Failing
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.groups import EnsembleStrategy, Member, RouterStrategy
from modelyard.graphs.ports import Resources
from modelyard.graphs.request_paths import RequestPaths
from modelyard.graphs.router_group import RouterGroup
from modelyard.graphs.shadows import Shadows

__all__ = ["Group", "Surroundings", "built_group"]

Group = RouterGroup | EnsembleGroup

_BASES: dict[str, type] = {"router": RouterStrategy, "ensemble": EnsembleStrategy}
_METHOD = {"router": "select", "ensemble": "combine"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a group is built in."""

    graph: str
    context: Context
    ports: Resources | None


def built_group(node: Node, members: Mapping[str, Member], surroundings: Surroundings) -> Group:
    """Return what runs a router or ensemble.

    Raises
    ------
    GraphInvalid
        The strategy is none, cannot be built with the arguments, or does not fit the members.
    """
    graph = surroundings.graph
    strategy = _strategy(node, surroundings, [*members])
    if node.kind == "router":
        for route in strategy.roles:
            if route not in members:
                raise GraphInvalid(graph, f"{route!r} is no route of it", step=node.name)
        shadows = None
        if type(strategy).shadows is not RouterStrategy.shadows:
            roles = strategy.roles
            shadows = Shadows(graph, node.name, strategy.queue_size, roles, surroundings.ports)
        return RouterGroup(node.name, strategy, members, shadows)
    options = dict(node.options)
    by_path = options.pop("by_path", True)
    failing = Failing(**options)
    if strategy.final and strategy.final not in members:
        known = ", ".join(members)
        raise GraphInvalid(
            graph, f"the final member {strategy.final!r} is not there", step=node.name, mend=f"Members: {known}."
        )
    asked = [name for name in members if name != strategy.final]
    if not 1 <= failing.min_members <= len(asked):
        rule = f"min_members is between 1 and {len(asked)}, not {failing.min_members}"
        raise GraphInvalid(graph, rule, step=node.name)
    streaming = [name for name, member in members.items() if member.yields]
    if streaming:
        raise GraphInvalid(graph, "a member of an ensemble does not yield", step=f"{node.name}.{streaming[0]}")
    paths = RequestPaths(members, "/v2/models") if by_path else None
    return EnsembleGroup(node.name, strategy, members, failing, paths)


def _strategy(node: Node, surroundings: Surroundings, members: list[str]) -> Any:
    graph, use = surroundings.graph, resolve(node.use) if isinstance(node.use, str) else node.use
    method = _METHOD[node.kind]
    if not inspect.isclass(use):
        return _function(node, use, graph)
    if not callable(getattr(use, method, None)):
        raise GraphInvalid(graph, f"the class {use.__name__} has no method {method}", step=node.name)
    arguments = _injected(use, node.arguments, {"members": tuple(members), "context": surroundings.context})
    try:
        inspect.signature(use).bind(**arguments)
    except TypeError as error:
        raise GraphInvalid(
            graph,
            f"its arguments do not fit: {error}",
            step=node.name,
            mend=f"Its signature is {inspect.signature(use)}.",
        ) from None
    try:
        built = use(**arguments)
    except GraphInvalid:
        raise
    except (TypeError, ValueError, ModelyardError) as error:
        what, mend = (error.what, error.mend) if isinstance(error, ModelyardError) else (str(error), "")
        raise GraphInvalid(graph, what, step=node.name, mend=mend) from error
    return built if isinstance(built, _BASES[node.kind]) else _adapted(node.kind, built)


def _injected(use: type, arguments: Mapping[str, Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(use).parameters
    return {**{name: value for name, value in offered.items() if name in parameters}, **arguments}


def _function(node: Node, use: Any, graph: str) -> Any:
    if isinstance(use, _BASES[node.kind]):
        return use
    if not callable(use):
        rule = f"a {node.kind}'s strategy is a class or a function, not {type(use).__name__}"
        raise GraphInvalid(graph, rule, step=node.name)
    arguments = dict(node.arguments)
    if node.kind == "router":
        return _SelectFunction(use, arguments)
    return _CombineFunction(use, arguments)


def _adapted(kind: str, built: Any) -> Any:
    """Return a strategy of a class that has the methods, but not the base."""
    if kind == "router":
        return _SelectFunction(built.select, {})
    return _CombineFunction(built.combine, {})


class _SelectFunction(RouterStrategy):
    """A function of the event that says the route."""

    def __init__(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        self._function, self._arguments = function, dict(arguments)

    def select(self, event: Any) -> Any:
        return self._function(event, **self._arguments)


class _CombineFunction(EnsembleStrategy):
    """A function of answers and failures that says the answer."""

    def __init__(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        self._function, self._arguments = function, dict(arguments)

    def combine(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        return self._function(answers, failures, **self._arguments)
