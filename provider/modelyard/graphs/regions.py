"""Finds the branches that may run concurrently: those that all meet in one merge, with nothing in between but steps."""

from collections.abc import Sequence

from modelyard.graphs.parts import Edge, PlanNode

__all__ = ["edges_of", "region_of"]


def edges_of(node: PlanNode) -> tuple[Edge, ...]:
    """Return all edges out of a node, through any outlet."""
    return (*node.edges, *(edge for edges in node.outlets.values() for edge in edges))


def region_of(nodes: Sequence[PlanNode], edges: Sequence[Edge], fork: PlanNode | None) -> int:
    """Return the merge at which the branches behind `edges` meet; -1 if they should run one after the other.

    Parameters
    ----------
    nodes
        All nodes of the plan.
    edges
        Where the branches begin.
    fork
        The node they come from; None is the graph's input.
    """
    if len(edges) < 2 or (fork is not None and (fork.kind == "choice" or fork.yields)):
        return -1
    for merge in (node for node in nodes if node.kind == "merge" and "key" not in node.options):
        inside = _between(nodes, edges, merge.index)
        if inside is not None and any(nodes[index].is_async for index in inside):
            into = [edge for index in inside for edge in edges_of(nodes[index])] + list(edges)
            if len([edge for edge in into if edge.to == merge.index]) == len(merge.inlets):
                return merge.index if _closed(nodes, inside, fork, edges) else -1
    return -1


def _between(nodes: Sequence[PlanNode], edges: Sequence[Edge], merge: int) -> set[int] | None:
    inside: set[int] = set()
    waiting = [edge.to for edge in edges if edge.to != merge]
    while waiting:
        index = waiting.pop()
        if index in inside:
            continue
        node = nodes[index]
        leaving = edges_of(node)
        many = node.yields or node.kind in ("flat_map", "unbatch", "batch", "queue")
        handled = any(handler.continue_at >= 0 for handler in node.handlers)
        keyed = node.kind == "merge" and "key" in node.options
        if many or handled or keyed or node.respond or not leaving or any(edge.cycle >= 0 for edge in leaving):
            return None
        inside.add(index)
        waiting += [edge.to for edge in leaving if edge.to != merge]
    return inside


def _closed(nodes: Sequence[PlanNode], inside: set[int], fork: PlanNode | None, edges: Sequence[Edge]) -> bool:
    """Whether nothing from outside leads into the branches."""
    entered = {edge.to for edge in edges}
    for node in nodes:
        if node.index in inside or node is fork:
            continue
        if any(edge.to in inside for edge in edges_of(node)):
            return False
    return fork is None or entered == {edge.to for edge in fork.edges}
