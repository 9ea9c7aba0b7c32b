"""Draws a workflow as Mermaid."""

from collections.abc import Iterator

from modelyard.workflows.definition import Step, Workflow, WorkflowInput
from modelyard.workflows.references import Reference, references_in

__all__ = ["as_mermaid"]


def as_mermaid(workflow: Workflow) -> str:
    """Return the workflow as a Mermaid flowchart: inputs, steps and what flows along the arrows.

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
    steps = {step.name: f"step_{index}" for index, step in enumerate(workflow.steps)}
    inputs = {each.name: f"input_{index}" for index, each in enumerate(workflow.inputs)}
    lines = [f'{inputs[each.name]}(["{_input_label(each)}"])' for each in workflow.inputs]
    lines += [f'{steps[step.name]}["{_step_label(step)}"]' for step in workflow.steps]
    for step in workflow.steps:
        lines += _arrows(step, steps, inputs)
    return "\n    ".join(["flowchart TD", *lines])


def _arrows(step: Step, steps: dict[str, str], inputs: dict[str, str]) -> Iterator[str]:
    flowing: dict[str, list[str]] = {}
    for each in references_in(step.parameters):
        if isinstance(each, Reference):
            labels = flowing.setdefault(steps[each.step], [])
            label = _text(str(each).removeprefix(f"{each.step}."))
            labels.extend([label] if label not in labels else [])
        elif each.name in inputs:
            flowing.setdefault(inputs[each.name], [])
    for source, labels in flowing.items():
        yield f"{source} -->|{', '.join(labels)}| {steps[step.name]}" if labels else f"{source} --> {steps[step.name]}"
    for name in step.after:
        if steps[name] not in flowing:
            yield f"{steps[name]} -.-> {steps[step.name]}"


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
