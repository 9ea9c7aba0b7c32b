"""What is checked of a graph's shape before anything runs; every rule says what is wrong and draws the graph."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

from modelyard.errors import near_name
from modelyard.graphs.definition import Node
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.groups import GROUPS
from modelyard.graphs.text_drawing import text_drawing

__all__ = ["Shape", "check_shape"]

MANY = ("flat_map", "unbatch")
"""Kinds that make several events of one."""


class Shape:
    """The nodes of a graph, sub-graphs laid open, and who leads where.

    Parameters
    ----------
    graph
        The graph's name.
    nodes
        All nodes, by name.
    cycle_bound
        How often a way back may be taken where it does not say.
    """

    def __init__(self, graph: str, nodes: Mapping[str, Node], cycle_bound: int) -> None:
        self.graph = graph
        self.nodes = dict(nodes)
        self.cycle_bound = cycle_bound
        self.followers: dict[str, list[str]] = {"": []}
        for node in self.nodes.values():
            for source in node.after:
                self.followers.setdefault(source, []).append(node.name)

    def next(self, name: str) -> list[str]:
        """Return the names of the steps that follow, through any outlet."""
        node = self.nodes.get(name)
        found = list(self.followers.get(name, ()))
        if node is not None and node.kind == "choice":
            found += [each for source in self.outlets(name) for each in self.followers[source]]
        return found

    def outlets(self, name: str) -> list[str]:
        """Return the outlets of a choice that lead somewhere, as ``choice:outlet``."""
        return [source for source in self.followers if source.startswith(f"{name}:")]

    def reach(self, starts: Iterable[str], up_to: Callable[[str], bool] = lambda name: False) -> set[str]:
        """Return the starts and everything downstream of them, without ways back, up to where `up_to` says."""
        found: set[str] = set()
        waiting = list(starts)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [] if up_to(name) else self.next(name)
        return found

    @property
    def sinks(self) -> list[str]:
        """The steps that nothing follows, neither behind a queue nor a queue themselves."""
        behind = self.reach(
            each for name, node in self.nodes.items() if node.kind == "queue" for each in self.next(name)
        )
        return [
            name
            for name, node in self.nodes.items()
            if not self.next(name) and node.kind not in ("queue", "choice") and name not in behind
        ]

    @property
    def responders(self) -> tuple[str, ...]:
        """The steps whose result is the reply: one, or some of which an event reaches only one; none if not clear."""
        said = [name for name, node in self.nodes.items() if node.respond] or self.sinks
        clear = all(exclusive(self, one, other) for one, other in combinations(said, 2))
        return tuple(said) if clear else ()

    def refuse(self, rule: str, step: str = "", mend: str = "") -> GraphInvalid:
        """Return the error of a rule, with the graph drawn."""
        return GraphInvalid(self.graph, rule, step=step, mend=mend, drawing=text_drawing(self.nodes.values()))


def check_shape(shape: Shape) -> None:
    """Refuse a graph whose shape breaks a rule.

    Raises
    ------
    GraphInvalid
        The first broken rule, with the graph drawn.
    """
    for rule in _RULES:
        rule(shape)


def _not_empty(shape: Shape) -> None:
    if not shape.nodes:
        raise GraphInvalid(shape.graph, "it has no steps", mend="Add one: graph.to(function).")


def _outlets_declared(shape: Shape) -> None:
    for node in shape.nodes.values():
        for source in node.after:
            origin, colon, outlet = source.partition(":")
            if origin and origin not in shape.nodes:
                known = near_name(origin, list(shape.nodes))
                raise shape.refuse(f"it comes after {origin!r}, which is not there", node.name, known)
            is_choice = bool(origin) and shape.nodes[origin].kind == "choice"
            if colon and not is_choice:
                raise shape.refuse(f"{origin!r} is no choice and has no outlet {outlet!r}", node.name)
            if is_choice and not colon:
                raise shape.refuse(f"the choice {origin!r} has outlets: say which", node.name, f"{origin}:yes, say.")
    for name, node in shape.nodes.items():
        ways_back = [cycle for cycle in node.cycles if cycle.outlet]
        if node.kind == "choice" and not shape.outlets(name) and not ways_back:
            raise shape.refuse("the choice has no outlet", name, "Add one: choice.when('…').to(…).")


def _reachable(shape: Shape) -> None:
    found = shape.reach([""])
    for name in shape.nodes:
        if name not in found:
            raise shape.refuse("nothing leads there", name, "Say after which step it comes.")


def _queues_owned(shape: Shape) -> None:
    for name, node in shape.nodes.items():
        for cycle in node.cycles:
            queues = [
                each for each in shape.reach([cycle.to]) if each in shape.nodes and shape.nodes[each].kind == "queue"
            ]
            between = [each for each in queues if name in shape.reach([each])]
            if between:
                rule = f"the cycle to {cycle.to!r} leads through the queue {between[0]!r}, and cannot be counted"
                raise shape.refuse(rule, name, "Lead back from before the queue, or from behind it to behind it.")
    for name, node in shape.nodes.items():
        if node.kind != "queue":
            continue
        if not shape.next(name):
            raise shape.refuse("nothing takes events out of the queue", name, "Let a step follow it.")
        behind = shape.reach([name])
        if any(shape.nodes[each].respond for each in behind):
            raise shape.refuse("the responder is behind a queue: the reply would wait for somebody else's work", name)


def _one_responder(shape: Shape) -> None:
    said = [name for name, node in shape.nodes.items() if node.respond]
    for one, other in combinations(said, 2):
        if not exclusive(shape, one, other):
            raise shape.refuse(f"{one!r} replies already", other, "One step responds.")
    if not said and not shape.responders:
        ends = ", ".join(shape.sinks) or "none"
        rule = f"it branches, and no step responds; its ends: {ends}"
        raise shape.refuse(rule, mend="Say which result is the reply: step.respond().")


def _cycles_bounded(shape: Shape) -> None:
    for name, node in shape.nodes.items():
        for cycle in node.cycles:
            if cycle.to not in shape.nodes:
                raise shape.refuse(f"the cycle leads to {cycle.to!r}, which is not there", name)
            if name not in shape.reach([cycle.to]):
                raise shape.refuse(f"{cycle.to!r} is not upstream: that is no cycle", name, "Use add_step(after=…).")
            if cycle.bound < 1 and shape.cycle_bound < 1:
                mend = f"Say cycle_to({cycle.to!r}, bound=…), or Graph(…, cycle_bound=…)."
                raise shape.refuse(f"the cycle to {cycle.to!r} has no bound", name, mend)


def _continues_forward(shape: Shape) -> None:
    for name, node in shape.nodes.items():
        if node.on_error is None or not node.on_error.continue_at:
            continue
        target = node.on_error.continue_at
        if target not in shape.nodes:
            known = near_name(target, list(shape.nodes))
            raise shape.refuse(f"the handler continues at {target!r}, which is not there", name, known)
        if name in shape.reach([target]):
            raise shape.refuse(
                f"the handler continues at {target!r}, which leads here again: a cycle without a bound", name
            )


def _fan_in_clear(shape: Shape) -> None:
    responders = shape.responders
    if any(node.kind in MANY for node in shape.nodes.values()):
        return
    for name, node in shape.nodes.items():
        if node.kind == "merge" or len(node.after) < 2 or shape.reach([name]).isdisjoint(responders):
            continue
        for one, other in combinations(node.after, 2):
            fork = _fork_of(shape, one, other)
            if fork is not None:
                rule = f"it gets every event twice, from {one!r} and {other!r}, which part at {fork or 'the input'!r}"
                raise shape.refuse(f"{rule}, and the reply is due once", name, "Join them with a merge.")


def _fork_of(shape: Shape, one: str, other: str) -> str | None:
    """Return where two ways part that the same event takes both; None if it takes only one of them."""
    for source, followers in shape.followers.items():
        ways = [shape.reach([each]) for each in followers]
        taken_one = {index for index, way in enumerate(ways) if one.partition(":")[0] in way}
        taken_other = {index for index, way in enumerate(ways) if other.partition(":")[0] in way}
        if one == source and followers:
            taken_one = taken_one or {-1}
        if other == source and followers:
            taken_other = taken_other or {-1}
        if taken_one and taken_other and len(taken_one | taken_other) > 1:
            return source
    return None


def _merges_complete(shape: Shape) -> None:
    for name, node in shape.nodes.items():
        twice = [source for source in node.after if node.after.count(source) > 1]
        if twice:
            raise shape.refuse(f"it comes after {twice[0]!r} twice", name, "Name every branch once.")
    for name, node in shape.nodes.items():
        if node.kind != "merge" or node.options.get("missing") != "error" or "key" in node.options:
            continue
        for one, other in combinations(node.after, 2):
            choice = exclusive(shape, one, other)
            if choice:
                rule = f"{one!r} and {other!r} never meet: an event takes one outlet of {choice!r}"
                raise shape.refuse(rule, name, 'Let them lead to one step, or say missing="partial".')


def exclusive(shape: Shape, one: str, other: str) -> str:
    """Return the choice of which an event takes one outlet to the first and another one to the other; empty if none."""
    ways = (_only_way(shape, one), _only_way(shape, other))
    return next((choice for choice, outlet in ways[0].items() if ways[1].get(choice, outlet) != outlet), "")


def _only_way(shape: Shape, source: str) -> dict[str, str]:
    """Return the outlets that every event has taken which comes out of `source`, along a chain without fan-in."""
    taken: dict[str, str] = {}
    while True:
        origin, colon, outlet = source.partition(":")
        if colon:
            taken[origin] = outlet
        node = shape.nodes.get(origin)
        if node is None or len(node.after) != 1:
            return taken
        source = node.after[0]


def _settings_fit(shape: Shape) -> None:
    for name, node in shape.nodes.items():
        if node.full_event and (node.settings.input_path or node.settings.result_path):
            raise shape.refuse("a step that takes the whole event has no input_path or result_path", name)
        if node.respond and node.kind == "choice":
            raise shape.refuse("a choice has no result to reply with", name)


def _groups_filled(shape: Shape) -> None:
    for name, node in shape.nodes.items():
        if node.kind not in GROUPS:
            continue
        if not node.members:
            rule = "a router has at least one route" if node.kind == "router" else "an ensemble has at least one member"
            raise shape.refuse(rule, name, "Say routes={…} or members={…}, or .member(…).")
        if node.settings.concurrency != "inline":
            raise shape.refuse(f"a {node.kind} runs where its members run", name, "Say concurrency of a member.")
        if node.settings.validate or node.settings.vectorised:
            raise shape.refuse(f"a {node.kind} has no setting validate or vectorised", name)


_RULES: Sequence[Callable[[Shape], None]] = (
    _not_empty,
    _outlets_declared,
    _reachable,
    _queues_owned,
    _one_responder,
    _cycles_bounded,
    _continues_forward,
    _fan_in_clear,
    _merges_complete,
    _settings_fit,
    _groups_filled,
)
