"""Draws graphs as text, in errors."""

from collections.abc import Iterable

from modelyard.graphs.definition import Node

__all__ = ["text_drawing"]


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
