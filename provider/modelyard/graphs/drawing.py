"""Draws graphs: as text in errors, as Mermaid in documents, as SVG in notebooks."""

import inspect
import re
from collections.abc import Iterable, Mapping
from html import escape

from modelyard.graphs.calls import resolve
from modelyard.graphs.definition import CODE, Handler, Node
from modelyard.graphs.errors import StepNotFound

__all__ = ["Drawing", "text_drawing"]

_SHAPES = {
    "choice": ("{", "}"),
    "merge": ("[[", "]]"),
    "queue": ("[(", ")]"),
    "model": ("([", "])"),
    "filter": ("{{", "}}"),
}


def text_drawing(nodes: Iterable[Node]) -> str:
    """Return one line for each step that others follow.

    Examples
    --------
    >>> print(text_drawing([Node("a", "call"), Node("b", "call", after=("a",), respond=True)]))
      input → a
      a → b (responds)
    """
    lines: dict[str, list[str]] = {"": []}
    groups = []
    for node in nodes:
        if node.members:
            groups.append(f"\n  {node.name} ({node.kind}): {', '.join(node.members)}")
        shown = f"{node.name} (responds)" if node.respond else node.name
        for source in node.after or ("nothing",):
            lines.setdefault(source, []).append(shown)
        for cycle in node.cycles:
            source = f"{node.name}:{cycle.outlet}" if cycle.outlet else node.name
            lines.setdefault(source, []).append(f"↩ {cycle.to}")
    ways = "\n".join(f"  {source or 'input'} → {', '.join(names)}" for source, names in lines.items() if names)
    return ways + "".join(groups)


class Drawing:
    """A drawn graph; in a notebook it shows itself.

    Parameters
    ----------
    name
        The graph's name.
    nodes
        Its steps.
    handler
        The handler of the whole graph.
    """

    def __init__(self, name: str, nodes: Mapping[str, Node], handler: Handler | None) -> None:
        self.name = name
        self._nodes = dict(nodes)
        self._handler = handler

    @property
    def mermaid(self) -> str:
        """The graph as Mermaid, which GitHub and GitLab render; error edges are dashed."""
        ids = {name: re.sub(r"\W", "_", f"n_{name}") for name in self._nodes}
        lines = ["flowchart LR", "    input((input))"]
        for name, node in self._nodes.items():
            lines += _box(ids[name], node)
        for name, node in self._nodes.items():
            for source in node.after:
                origin, _, outlet = source.partition(":")
                arrow = f'-- "{outlet}" -->' if outlet else "-->"
                lines.append(f"    {ids.get(origin, 'input')} {arrow} {ids[name]}")
            for cycle in node.cycles:
                bound = f"at most {cycle.bound} times" if cycle.bound else "again"
                lines.append(f'    {ids[name]} -. "{bound}" .-> {ids.get(cycle.to, "input")}')
            if node.on_error:
                lines += _error_lines(ids[name], f"{ids[name]}_error", node.on_error, ids)
            if node.respond:
                lines.append(f"    {ids[name]} ==> reply((reply))")
        if self._handler:
            lines += _error_lines("any", "graph_error", self._handler, ids, 'any(("any step"))')
        return "\n".join(lines) + "\n"

    @property
    def svg(self) -> str:
        """The graph as SVG, in layers from left to right."""
        layer = _layers(self._nodes)
        rows: dict[int, int] = {}
        place: dict[str, tuple[int, int]] = {}
        for name in self._nodes:
            row = rows.get(layer[name], 0)
            rows[layer[name]] = row + 1
            place[name] = (20 + 190 * layer[name], 20 + 70 * row)
        width, height = 190 * (max(layer.values(), default=0) + 1) + 20, 70 * max(rows.values(), default=1) + 30
        drawn = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
            'font-size="12"><defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>'
        ]
        for name, node in self._nodes.items():
            x, y = place[name]
            origins = [source.partition(":")[0] for source in node.after]
            drawn += [_line(place[origin], (x, y), "") for origin in origins if origin in place]
            drawn += [_line((x, y + 20), place[c.to], ' stroke-dasharray="4"') for c in node.cycles if c.to in place]
            fill = "#d5f0d8" if node.respond else "#eef2fb"
            dash = ' stroke-dasharray="5 3"' if node.settings.concurrency in ("process", "dedicated") else ""
            drawn.append(
                f'<rect x="{x}" y="{y}" width="150" height="40" rx="6" fill="{fill}" stroke="#555"{dash}/>'
                f'<text x="{x + 75}" y="{y + 24}" text-anchor="middle">{escape(name[:22])}</text>'
                f'<text x="{x + 75}" y="{y + 36}" text-anchor="middle" font-size="9">{escape(_small(node))}</text>'
            )
        return "".join(drawn) + "</svg>"

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.mermaid


def _box(own: str, node: Node) -> list[str]:
    if not node.members:
        begin, end = _SHAPES.get(node.kind, ("[", "]"))
        return [f'    {own}{begin}"{_label(node)}"{end}']
    lines = [f'    subgraph {own}["{_label(node)} ({node.kind})"]']
    for index, member in enumerate(node.members.values()):
        lines += [f"    {line}" for line in _box(f"{own}__{index}", member)]
    return [*lines, "    end"]


def _label(node: Node) -> str:
    border = {"process": " ⧉ process", "dedicated": " ⧉ own process", "thread": " ∥ thread"}
    return node.name + border.get(node.settings.concurrency, "") + _memory(node)


def _small(node: Node) -> str:
    """Return what is said of a step in small letters: its members, and where it keeps its state."""
    members = f"{node.kind}: {', '.join(node.members)}" if node.members else ""
    return f"{members[:34]}{_memory(node)}".strip()


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
    return f" (state per {where})" if isinstance(where, str) and where else ""


def _error_lines(source: str, own: str, handler: Handler, ids: Mapping[str, str], first: str = "") -> list[str]:
    lines = [f'    {first or source} -. "error" .-> {own}["{handler.name}"]']
    if handler.continue_at in ids:
        lines.append(f"    {own} -.-> {ids[handler.continue_at]}")
    return lines


def _layers(nodes: Mapping[str, Node]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, node in nodes.items():
        sources = [source.partition(":")[0] for source in node.after]
        found[name] = max((found.get(source, -1) + 1 for source in sources), default=0)
    return found


def _line(begin: tuple[int, int], end: tuple[int, int], style: str) -> str:
    (x1, y1), (x2, y2) = begin, end
    return (
        f'<path d="M{x1 + 150},{y1 + 20} C{x1 + 170},{y1 + 20} {x2 - 20},{y2 + 20} {x2},{y2 + 20}" fill="none" '
        f'stroke="#555" marker-end="url(#tip)"{style}/>'
    )
