"""Puts other code into the steps and error handlers of a definition: fakes, for a test."""

from dataclasses import replace
from typing import Any

import msgspec

from modelyard.errors import near_name
from modelyard.graphs.definition import CODE, Definition, Handler, Kind
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.groups import GROUPS
from modelyard.graphs.settings import StepSettings

__all__ = ["replace_code"]


def replace_code(definition: Definition, name: str, fake: Any) -> None:
    """Let `fake` do the work of the step, or of the error handlers, called `name`.

    Raises
    ------
    GraphInvalid
        There is no such step or handler, or it has no code.
    """
    inner, dot, rest = name.partition(".")
    if dot and inner in definition.nodes and definition.nodes[inner].kind == "graph":
        definition.change(inner, use=definition.nodes[inner].use.replacing(**{rest: fake}))
        return
    if dot and inner in definition.nodes and rest in definition.nodes[inner].members:
        _replace_member(definition, inner, rest, fake)
        return
    is_handler = _replace_handlers(definition, name, fake)
    node = definition.nodes.get(name)
    if node is None:
        if is_handler:
            return
        known = [*definition.nodes, *(handler.name for handler in _handlers(definition))]
        raise GraphInvalid(definition.name, f"there is no step or error handler {name!r}", mend=near_name(name, known))
    if node.kind not in (*CODE, "model", "graph"):
        raise GraphInvalid(definition.name, f"a {node.kind} has no code to replace", step=name)
    if node.members:
        definition.change(name, members={}, options={})
    kind: Kind = "call" if node.kind in ("model", "graph", *GROUPS) else node.kind
    full_event = node.full_event or _takes_event(node.use)
    settings = _here(node.settings)
    definition.change(name, kind=kind, use=fake, arguments={}, full_event=full_event, settings=settings)


def _replace_member(definition: Definition, group: str, name: str, fake: Any) -> None:
    members = definition.nodes[group].members
    member = members[name]
    full_event = member.full_event or _takes_event(member.use)
    settings = _here(member.settings)
    faked = replace(member, kind="call", use=fake, arguments={}, full_event=full_event, settings=settings)
    definition.change(group, members={**members, name: faked})


def _handlers(definition: Definition) -> list[Handler]:
    return [each for each in (*(node.on_error for node in definition), definition.handler) if each is not None]


def _replace_handlers(definition: Definition, name: str, fake: Any) -> bool:
    found = False
    for node in list(definition):
        if node.on_error is not None and node.on_error.name == name:
            definition.change(node.name, on_error=replace(node.on_error, use=fake, arguments={}))
            found = True
    if definition.handler is not None and definition.handler.name == name:
        definition.handler = replace(definition.handler, use=fake, arguments={})
        definition.changes += 1
        found = True
    return found


def _takes_event(step: Any) -> bool:
    return callable(getattr(step, "do_event", None)) and not callable(getattr(step, "do", None))


def _here(settings: StepSettings) -> StepSettings:
    """Return the settings for a fake, which no other process would find."""
    if settings.concurrency not in ("process", "dedicated"):
        return settings
    return msgspec.structs.replace(settings, concurrency="thread")
