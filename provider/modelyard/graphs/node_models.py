"""Which model references a step has, its own and those of its members and inner graph."""

from collections.abc import Mapping
from dataclasses import replace

from modelyard.graphs.definition import Node
from modelyard.graphs.models.nodes import model_references, with_model_references

__all__ = ["references_of", "with_references"]


def references_of(node: Node) -> dict[str, str]:
    """Return name → model reference: ``step``, or ``group.member``, or ``graph.step``, or ``step.version``.

    Examples
    --------
    >>> late = Node("late", "model", "models:/late@champion")
    >>> references_of(Node("pick", "router", members={"late": late}))
    {'pick.late': 'models:/late@champion'}
    """
    if node.kind == "model":
        own = model_references(node.use, node.arguments)
        return {f"{node.name}.{name}" if name else node.name: model for name, model in own.items()}
    if node.kind == "graph":
        return {f"{node.name}.{name}": model for name, model in node.use.models.items()}
    return {
        f"{node.name}.{name}": model
        for member in node.members.values()
        for name, model in references_of(member).items()
    }


def with_references(node: Node, models: Mapping[str, str]) -> Node:
    """Return the node with other references, by the names that `references_of` gives them."""
    if node.kind == "model":
        mine = {name[len(node.name) + 1 :]: model for name, model in models.items() if name.startswith(f"{node.name}.")}
        mine |= {"": models[node.name]} if node.name in models else {}
        use, arguments = with_model_references(node.use, node.arguments, mine)
        return replace(node, use=use, arguments=arguments)
    inner = {name[len(node.name) + 1 :]: model for name, model in models.items() if name.startswith(f"{node.name}.")}
    if node.kind == "graph":
        own = {name: inner[name] for name in node.use.models if name in inner}
        return replace(node, use=node.use.with_models(own)) if own else node
    if not node.members or not inner:
        return node
    return replace(node, members={name: with_references(member, inner) for name, member in node.members.items()})
