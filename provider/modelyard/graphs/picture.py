"""What is to be drawn of a graph: boxes and arrows, graphs in graphs as frames, whatever draws them."""

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from modelyard.graphs.calls import resolve
from modelyard.graphs.checks import Shape
from modelyard.graphs.definition import CODE, Definition, Handler, Node
from modelyard.graphs.errors import GraphInvalid, StepNotFound
from modelyard.graphs.nesting import laid_open

__all__ = ["INPUT", "REPLY", "Arrow", "Box", "Picture", "picture_of"]

INPUT, REPLY = "input", "reply"
_BORDERS = {"process": " ⧉ process", "dedicated": " ⧉ own process", "thread": " ∥ thread"}


class Box(NamedTuple):
    """One box.

    Parameters
    ----------
    id
        Letters, digits and ``_``; unique in the picture.
    label
        The step's name, and where it runs if that is not here.
    kind
        That of the step; ``handler``, ``any`` (whatever step), or ``end`` for the input and the reply.
    note
        What is said besides: where it keeps its state.
    members
        Of a router or ensemble.
    frame
        The names of the graphs in which it is, from the outside in.
    apart
        Whether it runs in another process.
    responds
        Whether its result is the reply.
    """

    id: str
    label: str
    kind: str
    note: str = ""
    members: tuple["Box", ...] = ()
    frame: tuple[str, ...] = ()
    apart: bool = False
    responds: bool = False


class Arrow(NamedTuple):
    """One arrow between two boxes, by their ids."""

    origin: str
    target: str
    label: str = ""
    style: Literal["way", "back", "error", "handled", "reply"] = "way"


class Picture(NamedTuple):
    """Boxes and arrows, in the order in which they are drawn."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def picture_of(definition: Definition) -> Picture:
    """Return what is to be drawn of a definition, also of one that breaks a rule."""
    try:
        nodes = laid_open(definition)[0].nodes
    except GraphInvalid:
        nodes = definition.nodes
    painter = _Painter(definition, nodes.values())
    return Picture(tuple(painter.boxes()), tuple(painter.arrows()))


class _Painter:
    def __init__(self, definition: Definition, nodes: Iterable[Node]) -> None:
        self._definition = definition
        self._nodes = {node.name: node for node in nodes}
        self._ids = _unique_ids(self._nodes)
        self._responders = Shape(definition.name, self._nodes, definition.cycle_bound).responders
        self._frames = dict(_frames(definition, (), ()))

    def boxes(self) -> Iterator[Box]:
        yield Box(INPUT, INPUT, "end")
        for node in self._nodes.values():
            yield self._box(self._ids[node.name], node, self._frame(node.name))
        for node in self._nodes.values():
            if node.on_error:
                yield Box(f"{self._ids[node.name]}_error", node.on_error.name, "handler", frame=self._frame(node.name))
        for own, frame, handler in self._graph_handlers():
            what = f"any step of {'.'.join(frame)}" if frame else "any step"
            yield Box(f"any{own}", what, "any", frame=frame)
            yield Box(f"graph_error{own}", handler.name, "handler", frame=frame)
        if any(arrow.target == REPLY for arrow in self.arrows()):
            yield Box(REPLY, REPLY, "end")

    def arrows(self) -> Iterator[Arrow]:
        for node in self._nodes.values():
            yield from self._arrows_of(node)
        for own, frame, handler in self._graph_handlers():
            yield Arrow(f"any{own}", f"graph_error{own}", "error", "error")
            yield self._handled(f"graph_error{own}", handler, "".join(f"{name}." for name in frame))

    def _arrows_of(self, node: Node) -> Iterator[Arrow]:
        own = self._ids[node.name]
        for source in node.after:
            origin, _, outlet = source.partition(":")
            yield Arrow(self._ids.get(origin, INPUT), own, "otherwise" if outlet == "*" else outlet)
        for cycle in node.cycles:
            bound = f"at most {cycle.bound} times" if cycle.bound else "again"
            label = f"{cycle.outlet}, {bound}" if cycle.outlet else bound
            yield Arrow(own, self._ids.get(cycle.to, INPUT), label, "back")
        if node.on_error:
            yield Arrow(own, f"{own}_error", "error", "error")
            yield self._handled(f"{own}_error", node.on_error, "")
        if node.name in self._responders:
            yield Arrow(own, REPLY, style="reply")

    def _handled(self, own: str, handler: Handler, prefix: str) -> Arrow:
        target = self._ids.get(f"{prefix}{handler.continue_at}") if handler.continue_at else REPLY
        return Arrow(own, target or REPLY, style="handled")

    def _box(self, own: str, node: Node, frame: tuple[str, ...] = ()) -> Box:
        members = tuple(self._box(f"{own}__{index}", member) for index, member in enumerate(node.members.values()))
        name = node.name
        for graph in frame:
            name = name.removeprefix(f"{graph}.")
        apart = node.settings.concurrency in ("process", "dedicated")
        label = name + _BORDERS.get(node.settings.concurrency, "")
        return Box(own, label, node.kind, _memory(node), members, frame, apart, node.name in self._responders)

    def _frame(self, name: str) -> tuple[str, ...]:
        return self._frames.get(name, ())

    def _graph_handlers(self) -> Iterator[tuple[str, tuple[str, ...], Handler]]:
        for frame, definition in _definitions(self._definition, (), ()):
            if definition.handler is not None and any(self._frame(name)[: len(frame)] == frame for name in self._nodes):
                own = re.sub(r"\W", "_", "".join(f"_{name}" for name in frame))
                yield own, frame, definition.handler


def _definitions(
    definition: Definition, frame: tuple[str, ...], around: tuple[Definition, ...]
) -> Iterator[tuple[tuple[str, ...], Definition]]:
    yield frame, definition
    for node in definition:
        if node.kind == "graph" and not isinstance(node.use, str) and node.use.definition not in (*around, definition):
            yield from _definitions(node.use.definition, (*frame, node.name), (*around, definition))


def _frames(
    definition: Definition, frame: tuple[str, ...], around: tuple[Definition, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for inside, each in _definitions(definition, frame, around):
        for node in each:
            yield "".join(f"{name}." for name in inside) + node.name, inside


def _unique_ids(names: Iterable[str]) -> dict[str, str]:
    """Return an id for each name: letters, digits and ``_``, and no two the same."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^0-9A-Za-z_]", "_", f"n_{name}")
        own, number = plain, 1
        while own in taken:
            number += 1
            own = f"{plain}_{number}"
        taken.add(own)
        found[name] = own
    return found


def _memory(node: Node) -> str:
    """Return where a step keeps what it remembers, as its class declares it: a word, or a function of its arguments."""
    use = node.use
    if isinstance(use, str) and node.kind in CODE and not (node.kind == "choice" and ":" not in use):
        try:
            use = resolve(use)
        except (StepNotFound, ImportError):
            return ""
    told = getattr(use, "state", "") if inspect.isclass(use) else ""
    where = told(dict(node.arguments)) if callable(told) else told
    return f"(state per {where})" if isinstance(where, str) and where else ""
