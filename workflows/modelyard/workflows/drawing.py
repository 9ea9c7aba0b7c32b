"""Draws a workflow as Mermaid."""

from collections.abc import Iterator, Sequence

from modelyard.workflows.conditions import described
from modelyard.workflows.definition import Choice, Loop, Node, Step, Workflow, WorkflowInput
from modelyard.workflows.references import AnyReference, Collection, InputReference, Reference

__all__ = ["as_mermaid"]


def as_mermaid(workflow: Workflow) -> str:
    """Return the workflow as a Mermaid flowchart: inputs, steps, branches, loops and what flows along the arrows.

    Examples
    --------
    >>> from modelyard.workflows.references import InputReference
    >>> train = Step("train", "train", {"month": InputReference("month")})
    >>> register = Step("register", "register", {"model": Reference("train", "model")}, after=("train",))
    >>> print(as_mermaid(Workflow("main", (train, register))))
    flowchart TD
        step_0["train"]
        step_1["register"]
        step_0 -->|model| step_1
    """
    drawing = _Drawing(workflow)
    return "\n    ".join(["flowchart TD", *drawing.lines()])


class _Drawing:
    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow
        steps = [*workflow.steps, *([workflow.on_exit] if workflow.on_exit else [])]
        blocks = [node for node, _ in workflow.walk() if not isinstance(node, Step)]
        self._ids = {step.name: f"step_{index}" for index, step in enumerate(steps)}
        self._ids |= {block.name: f"block_{index}" for index, block in enumerate(blocks)}
        self._inputs = {each.name: f"input_{index}" for index, each in enumerate(workflow.inputs)}
        self._nodes: list[Node] = [*steps, *blocks]

    def lines(self) -> Iterator[str]:
        for each in self._workflow.inputs:
            yield f'{self._inputs[each.name]}(["{_input_label(each)}"])'
        yield from self._members(self._workflow.body, "")
        if self._workflow.on_exit:
            step = self._workflow.on_exit
            yield f'{self._ids[step.name]}[/"{_step_label(step)}<br/>at the end"/]'
        for node in self._nodes:
            yield from self._arrows(node)

    def _members(self, nodes: Sequence[Node], indent: str) -> Iterator[str]:
        for node in nodes:
            name = self._ids[node.name]
            if isinstance(node, Step):
                yield f'{indent}{name}["{_step_label(node)}"]'
            elif isinstance(node, Loop):
                yield from self._group(name, f"{node.name}: for each item", node.body, indent)
            else:
                yield f'{indent}{name}{{"{_text(described(node.condition))}"}}'
                yield from self._branch(node, "then", node.then, indent)
                yield from self._branch(node, "otherwise", node.otherwise, indent)

    def _branch(self, choice: Choice, branch: str, members: Sequence[Node], indent: str) -> Iterator[str]:
        if members:
            name = self._ids[choice.name]
            yield from self._group(f"{name}_{branch}", f"{choice.name}: {branch}", members, indent)
            yield f"{indent}{name} -->|{branch}| {name}_{branch}"

    def _group(self, name: str, title: str, members: Sequence[Node], indent: str) -> Iterator[str]:
        yield f'{indent}subgraph {name}["{title}"]'
        yield from self._members(members, f"{indent}    ")
        yield f"{indent}end"

    def _arrows(self, node: Node) -> Iterator[str]:
        target = self._ids[node.name]
        flowing: dict[str, list[str]] = {}
        for each in node.references:
            source, label = self._source(each)
            if source:
                labels = flowing.setdefault(source, [])
                labels.extend([label] if label and label not in labels else [])
        for source, labels in flowing.items():
            yield f"{source} -->|{', '.join(labels)}| {target}" if labels else f"{source} --> {target}"
        for name in node.after if isinstance(node, Step) else ():
            if self._ids[name] not in flowing:
                yield f"{self._ids[name]} -.-> {target}"

    def _source(self, reference: AnyReference) -> tuple[str, str]:
        """Return where a reference's arrow begins, and what flows along it; an item needs none."""
        if isinstance(reference, Reference):
            return self._ids[reference.step], _text(str(reference).removeprefix(f"{reference.step}."))
        if isinstance(reference, Collection):
            return self._ids[reference.of.step], _text(f"all {str(reference.of).removeprefix(f'{reference.of.step}.')}")
        if isinstance(reference, InputReference):
            return self._inputs.get(reference.name, ""), ""
        return "", ""


def _step_label(step: Step) -> str:
    return step.name if step.name == step.operation else f"{step.name}<br/><i>{step.operation}</i>"


def _input_label(each: WorkflowInput) -> str:
    default = "" if each.required else f" = {each.default!r}"
    return _text(f"{each.name}: {each.type.annotation()}{default}")


def _text(text: str) -> str:
    """Escape what Mermaid reads as its own."""
    for character, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("|", "#124;")):
        text = text.replace(character, code)
    return text.replace("[", "#91;").replace("]", "#93;")
