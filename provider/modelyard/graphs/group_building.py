"""Makes the nodes of routers and ensembles, and of their members."""

import re
from collections.abc import Mapping
from typing import Any

from modelyard.errors import near_name
from modelyard.graphs.calls import check_step
from modelyard.graphs.definition import Definition, Kind, Node, settings_of
from modelyard.graphs.errors import GraphInvalid

__all__ = ["ENSEMBLE_OPTIONS", "group_node", "group_options", "member_node", "with_member"]

_REFERENCE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
ENSEMBLE_OPTIONS: dict[str, Any] = {"on_member_error": "fail", "min_members": 1, "tell": "failed", "by_path": True}
"""What every ensemble can be told, whatever its strategy."""


def member_node(graph: str, group: str, name: str, given: Any, options: Mapping[str, Any]) -> Node:
    """Return the node of one member.

    Parameters
    ----------
    graph, group
        Where it is.
    name
        Unique in the group.
    given
        A step, a model's reference, a graph, or a mapping: ``use`` or ``model``, and settings and arguments.
    options
        Settings and arguments.

    Raises
    ------
    GraphInvalid
        The name or a setting is wrong, or it is no step.
    """
    place = f"{group}.{name}"
    if not isinstance(name, str) or not name or "/" in name:
        raise GraphInvalid(graph, f"a member's name is a text without a slash, not {name!r}", step=group)
    if isinstance(given, Mapping):
        options = {**{key: value for key, value in given.items() if key not in ("use", "model")}, **options}
        if ("use" in given) == ("model" in given):
            raise GraphInvalid(graph, "a member that is a mapping has use or model", step=place)
    kind, use = _kind(given)
    rest = dict(options)
    if rest.pop("on_error", None) is not None:
        mend = "Give the member a fallback, or let the router or ensemble have the handler."
        raise GraphInvalid(graph, "a member has no error handler", step=place, mend=mend)
    full_event, named = bool(rest.pop("full_event", False)), rest.pop("arguments", {})
    settings, arguments = settings_of(graph, place, rest)
    node = Node(name, kind, use, arguments={**arguments, **named}, full_event=full_event, settings=settings)
    if kind == "call":
        check_step(graph, place, use)
    return node


def _kind(step: Any) -> tuple[Kind, Any]:
    if isinstance(step, Mapping):
        return ("model", step["model"]) if "model" in step else _kind(step["use"])
    if getattr(step, "is_graph", False):
        return "graph", step
    if isinstance(step, str):
        return ("model" if _REFERENCE.match(step) else "call"), step
    is_model = isinstance(step, type) and hasattr(step, "predict") and not hasattr(step, "do_event")
    return ("model" if is_model and not hasattr(step, "do") else "call"), step


def group_node(
    definition: Definition, kind: Kind, strategy: Any, name: str, given: Any, options: Mapping[str, Any]
) -> Node:
    """Return the node of a router or ensemble, with its members.

    Raises
    ------
    GraphInvalid
        An option or a member is wrong.
    """
    graph, rest = definition.name, dict(options)
    if not isinstance(given, Mapping):
        told = "routes" if kind == "router" else "members"
        rule = f"{told} maps names to steps, it is {type(given).__name__}"
        raise GraphInvalid(graph, rule, step=name, mend=f'Say {told}={{"a": …}}.')
    said = {key: rest.pop(key) for key in ENSEMBLE_OPTIONS if key in rest} if kind == "ensemble" else {}
    own = group_options(graph, name, kind, said)
    named = rest.pop("arguments", {})
    settings, arguments = settings_of(graph, name, rest)
    members = {each: member_node(graph, name, each, step, {}) for each, step in given.items()}
    return Node(name, kind, strategy, arguments={**arguments, **named}, options=own, settings=settings, members=members)


def with_member(definition: Definition, group: str, name: str, step: Any, options: Mapping[str, Any]) -> None:
    """Give a router or ensemble one more member.

    Raises
    ------
    GraphInvalid
        There is one of this name already, or it is wrong.
    """
    members = definition.nodes[group].members
    if name in members:
        raise GraphInvalid(definition.name, f"there is a member {name!r} already", step=group)
    member = member_node(definition.name, group, name, step, options)
    definition.change(group, members={**members, name: member})


def group_options(graph: str, name: str, kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return a group's options, checked and complete.

    Raises
    ------
    GraphInvalid
        One is unknown or wrong.
    """
    known = ENSEMBLE_OPTIONS if kind == "ensemble" else {}
    for option in said:
        if option not in known:
            raise GraphInvalid(graph, f"a {kind} has no option {option!r}", step=name, mend=near_name(option, [*known]))
    found = {**known, **said}
    if not found:
        return found
    if found["on_member_error"] not in ("fail", "answer"):
        rule = f"on_member_error is fail or answer, not {found['on_member_error']!r}"
        raise GraphInvalid(graph, rule, step=name)
    if not isinstance(found["min_members"], int) or isinstance(found["min_members"], bool) or found["min_members"] < 1:
        raise GraphInvalid(graph, f"min_members is a number from 1, not {found['min_members']!r}", step=name)
    if found["min_members"] > 1 and found["on_member_error"] == "fail":
        mend = 'Say on_member_error="answer".'
        raise GraphInvalid(graph, "min_members is for ensembles that answer from the rest", step=name, mend=mend)
    if not isinstance(found["tell"], str) or not isinstance(found["by_path"], bool):
        raise GraphInvalid(graph, "tell is a text and by_path yes or no", step=name)
    return found
