"""Writes definitions as specifications, and reads them back; code is named by its path, never evaluated."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

import msgspec

from modelyard.graphs.building import own_name
from modelyard.graphs.calls import dotted_path
from modelyard.graphs.definition import CODE, Cycle, Definition, Handler, Node
from modelyard.graphs.endpoints import add_endpoint
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.group_building import group_options
from modelyard.graphs.groups import GROUPS
from modelyard.graphs.settings import StepSettings, nearest_field
from modelyard.graphs.spec import CycleSpec, GraphSpec, HandlerSpec, StepSpec

__all__ = ["definition_of", "spec_of"]


def spec_of(definition: Definition) -> GraphSpec:
    """Return a definition as data.

    Raises
    ------
    GraphInvalid
        A step is not importable by name, or has arguments that are not JSON.
    """
    if definition.resources:
        names = ", ".join(definition.resources)
        rule = f"resources ({names}) are code, and cannot be written down: let a step open them in its class"
        raise GraphInvalid(definition.name, rule)
    steps, before = [], ""
    for node in definition:
        steps.append(_step(definition.name, node, before))
        before = node.name
    handler = _handler(definition.name, definition.handler) if definition.handler else None
    parameters = _json(definition.name, "parameters", definition.parameters)
    bound = definition.cycle_bound
    return GraphSpec(definition.name, tuple(steps), handler, bound, parameters, definition.endpoints, definition.chat)


def _step(graph: str, node: Node, before: str) -> StepSpec:
    is_code = (node.kind in CODE or (node.kind == "model" and callable(node.use))) and not (
        node.kind == "choice" and isinstance(node.use, str)
    )
    settings = node.settings
    for field in ("condition", "fallback"):
        given = getattr(settings, field)
        code = given.use if field == "fallback" and given else given if field == "condition" else None
        if code is not None and not isinstance(code, str):
            path = _path(graph, node.name, code)
            changed = path if field == "condition" else msgspec.structs.replace(given, use=path)
            settings = msgspec.structs.replace(settings, **{field: changed})
    if settings.fallback:
        _json(graph, node.name, settings.fallback.value)
    return StepSpec(
        node.name,
        node.kind,
        _path(graph, node.name, node.use) if is_code else (node.use if isinstance(node.use, str) else ""),
        _json(graph, node.name, dict(node.arguments)),
        node.full_event,
        node.respond,
        None if node.after == (before,) else node.after,
        settings if settings != StepSettings() else None,
        _handler(graph, node.on_error) if node.on_error else None,
        tuple(CycleSpec(each.to, each.bound, each.outlet) for each in node.cycles),
        dict(node.options),
        _inside(node),
        tuple(_member(graph, node, member) for member in node.members.values()),
    )


def _inside(node: Node) -> GraphSpec | None:
    return spec_of(node.use.definition) if node.kind == "graph" and not isinstance(node.use, str) else None


def _member(graph: str, group: Node, member: Node) -> StepSpec:
    spec = _step(graph, replace(member, name=f"{group.name}.{member.name}"), "")
    return msgspec.structs.replace(spec, name=member.name)


def _handler(graph: str, handler: Handler) -> HandlerSpec:
    path = _path(graph, handler.name, handler.use) if handler.use is not None else ""
    own = own_name(path) if path else "continue"
    name = "" if handler.name == own else handler.name
    return HandlerSpec(path, name, handler.continue_at, _json(graph, handler.name, dict(handler.arguments)))


def _path(graph: str, name: str, step: Any) -> str:
    path = dotted_path(step)
    if not path:
        raise GraphInvalid(
            graph,
            "the step cannot be found again in another process",
            step=name,
            mend="Make it a function or class at the top of a module, or give its dotted path.",
        )
    return path


def _json(graph: str, name: str, value: Any, place: str = "") -> Any:
    """Return a value as JSON has it; what JSON would change or lose is refused."""
    where = f" ({place})" if place else ""
    rule = ""
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: _json(graph, name, each, f"{place}.{key}".lstrip(".")) for key, each in value.items()}
        rule = "a mapping's keys are text"
    elif type(value) in (list, tuple):
        return [_json(graph, name, each, f"{place}[{index}]") for index, each in enumerate(value)]
    elif type(value) is float and not isfinite(value):
        rule = f"{value} is no number in JSON"
    elif value is None or type(value) in (str, int, float, bool):
        return value
    else:
        rule = f"not {type(value).__name__}"
    raise GraphInvalid(graph, f"the arguments must be JSON values{where}: {rule}", step=name)


def definition_of(spec: GraphSpec | Mapping[str, Any], inner: Callable[[GraphSpec], Any]) -> Definition:
    """Return the definition that a specification describes.

    Parameters
    ----------
    spec
        The specification, or the same as plain data.
    inner
        Makes the graph of a specification inside.

    Raises
    ------
    GraphInvalid
        The data describes no graph.
    """
    try:
        known = spec if isinstance(spec, GraphSpec) else msgspec.convert(spec, GraphSpec)
    except msgspec.ValidationError as error:
        name = str(spec.get("name", "")) if isinstance(spec, Mapping) else ""
        rule = f"the specification is not one of a graph: {error}"
        raise GraphInvalid(
            name, rule, mend=nearest_field(str(error), GraphSpec, StepSpec, HandlerSpec, CycleSpec)
        ) from None
    definition = Definition(known.name, known.cycle_bound, parameters=dict(known.parameters))
    before = ""
    for step in known.steps:
        definition.add(_node(known.name, step, before, inner))
        before = step.name
    definition.handler = _read_handler(known.name, "", known.on_error)
    for endpoint in known.endpoints:
        given = {field: getattr(endpoint, field) for field in endpoint.__struct_fields__}
        definition.endpoints += (add_endpoint(known.name, definition.endpoints, **given),)
    definition.chat = known.chat
    return definition


def _node(graph: str, step: StepSpec, before: str, inner: Callable[[GraphSpec], Any]) -> Node:
    options = dict(step.options)
    return Node(
        step.name,
        step.kind,
        inner(step.graph) if step.graph else step.use,
        (before,) if step.after is None else step.after,
        dict(step.arguments),
        group_options(graph, step.name, step.kind, options) if step.kind in GROUPS else options,
        step.full_event,
        step.respond,
        step.settings or StepSettings(),
        _read_handler(graph, step.name, step.on_error),
        tuple(Cycle(each.to, each.bound, each.outlet) for each in step.cycles),
        {member.name: _read_member(graph, step, member, inner) for member in step.members},
    )


def _read_member(graph: str, group: StepSpec, member: StepSpec, inner: Callable[[GraphSpec], Any]) -> Node:
    place = f"{group.name}.{member.name}"
    if member.kind not in ("call", "model", "graph"):
        raise GraphInvalid(graph, f"a member is a call, a model or a graph, not a {member.kind}", step=place)
    if member.members or member.cycles or member.respond or member.on_error or member.after:
        raise GraphInvalid(graph, "a member has no neighbours, handlers or members of its own", step=place)
    if [each.name for each in group.members].count(member.name) > 1:
        raise GraphInvalid(graph, f"there is a member {member.name!r} already", step=group.name)
    return _node(graph, member, "", inner)


def _read_handler(graph: str, step: str, spec: HandlerSpec | None) -> Handler | None:
    if spec is None:
        return None
    if not spec.use and not spec.continue_at:
        raise GraphInvalid(graph, "an error handler is a step, or says where to continue_at", step=step)
    name = spec.name or (own_name(spec.use) if spec.use else "continue")
    return Handler(spec.use or None, name, spec.continue_at, dict(spec.arguments))
