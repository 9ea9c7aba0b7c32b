"""Cuts a workflow down to what a request needs: train and measure, nothing that others would see."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from modelyard.workflows import Choice, Loop, Node, Reference, Step, Workflow
from modelyard.workflows.references import references_in

__all__ = ["Judged", "SlimWorkflow", "slim", "with_baseline"]

KEPT = frozenset({"call", "ingest", "train", "tune", "register", "evaluate"})
"""Operations that a request may run: they make and measure, and change nothing that anybody relies on."""

_GOALS = (frozenset({"evaluate"}), frozenset({"register"}), frozenset({"train", "tune"}))


class Judged(NamedTuple):
    """A step that measures a model.

    Parameters
    ----------
    step
        The step.
    model
        Where its model comes from; None if that is no result of a step.
    gates
        The gates of the promotions that judge by it, as the workflow has them: values or references.
    """

    step: Step
    model: Reference | None
    gates: tuple[Any, ...]


class SlimWorkflow(NamedTuple):
    """What a request runs of a workflow.

    Parameters
    ----------
    workflow
        What runs.
    left_out
        The steps that do not.
    judged
        The steps that measure.
    """

    workflow: Workflow
    left_out: tuple[str, ...]
    judged: tuple[Judged, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing runs."""
        return not self.workflow.body


def slim(workflow: Workflow, targets: Iterable[str] = ()) -> SlimWorkflow:
    """Return what a request runs of a workflow: the steps that measure a model, and what they need.

    Where nothing measures, it is the steps that register, else those that train. Steps that promote, deploy, predict
    or notify never run, nor does what needs them.

    Parameters
    ----------
    workflow
        The workflow.
    targets
        The steps to reach, instead of those that measure.
    """
    body = _pruned(workflow.body)
    wanted = set(targets) or _goals(body)
    needed = _needed(body, wanted)
    kept = msgspec.structs.replace(
        workflow, body=_selected(body, needed), results={}, on_exit=None, inputs=workflow.inputs
    )
    names = {step.name for step in kept.steps}
    left_out = tuple(step.name for step in workflow.steps if step.name not in names)
    judged = tuple(_judged(step, workflow) for step in kept.steps if step.operation == "evaluate")
    return SlimWorkflow(kept, left_out, judged)


def with_baseline(workflow: Workflow, baselines: Mapping[str, str]) -> Workflow:
    """Return a workflow whose steps compare with other baselines: step → alias, model or ``none``."""

    def changed(node: Node) -> Node:
        if isinstance(node, Step):
            if node.name not in baselines:
                return node
            return msgspec.structs.replace(node, parameters={**node.parameters, "baseline": baselines[node.name]})
        if isinstance(node, Loop):
            return msgspec.structs.replace(node, body=tuple(map(changed, node.body)))
        return msgspec.structs.replace(
            node, then=tuple(map(changed, node.then)), otherwise=tuple(map(changed, node.otherwise))
        )

    return msgspec.structs.replace(workflow, body=tuple(map(changed, workflow.body)))


def _pruned(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return nodes without those that a request must not run, and without what needs them."""
    dropped = {step.name for step in Workflow("all", tuple(nodes)).steps if step.operation not in KEPT}
    body = tuple(nodes)
    while True:
        body = _without(body, dropped)
        left = {inner.name for inner, _ in Workflow("all", body).walk()}
        gone = {inner.name for inner, _ in Workflow("all", tuple(nodes)).walk()} - left
        if gone <= dropped:
            return body
        dropped |= gone


def _without(nodes: Sequence[Node], dropped: set[str]) -> tuple[Node, ...]:
    kept: list[Node] = []
    for node in nodes:
        if isinstance(node, Step):
            if node.name in dropped or set(_flowing(node.references)) & dropped:
                continue
            kept.append(msgspec.structs.replace(node, after=tuple(each for each in node.after if each not in dropped)))
        elif not set(_flowing(node.references)) & dropped:
            block: Node
            if isinstance(node, Loop):
                block = msgspec.structs.replace(node, body=_without(node.body, dropped))
                empty = not block.body
            else:
                then, otherwise = _without(node.then, dropped), _without(node.otherwise, dropped)
                block = msgspec.structs.replace(node, then=then, otherwise=otherwise)
                empty = not (then or otherwise)
            if not empty:
                kept.append(block)
    return tuple(kept)


def _flowing(references: Iterable[Any]) -> list[str]:
    """Return the steps and loops whose values references take."""
    found = []
    for each in references:
        step = getattr(each, "step", None) or getattr(getattr(each, "of", None), "step", None)
        found.append(step or getattr(each, "loop", ""))
    return [name for name in found if name]


def _goals(body: Sequence[Node]) -> set[str]:
    steps = Workflow("all", tuple(body)).steps
    for operations in _GOALS:
        found = {step.name for step in steps if step.operation in operations}
        if found:
            return found
    return set()


def _needed(body: Sequence[Node], wanted: set[str]) -> set[str]:
    """Return the names of steps and blocks that lead to the wanted steps, those included."""
    around = {node.name: [place.block for place in places] for node, places in Workflow("all", tuple(body)).walk()}
    nodes = {node.name: node for node, _ in Workflow("all", tuple(body)).walk()}
    waiting, needed = [name for name in wanted if name in nodes], set[str]()
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        node = nodes[name]
        waiting += [*node.needs] if isinstance(node, Step) else _flowing(node.references)
        for block in around[name]:
            waiting += [block.name, *_flowing(block.references)]
        waiting = [each for each in waiting if each in nodes]
    return needed


def _selected(nodes: Sequence[Node], needed: set[str]) -> tuple[Node, ...]:
    kept: list[Node] = []
    for node in nodes:
        if node.name not in needed:
            continue
        if isinstance(node, Loop):
            kept.append(msgspec.structs.replace(node, body=_selected(node.body, needed)))
        elif isinstance(node, Choice):
            branches = {"then": _selected(node.then, needed), "otherwise": _selected(node.otherwise, needed)}
            kept.append(msgspec.structs.replace(node, **branches))
        else:
            kept.append(msgspec.structs.replace(node, after=tuple(each for each in node.after if each in needed)))
    return tuple(kept)


def _judged(step: Step, workflow: Workflow) -> Judged:
    model = _source(step.parameters.get("model"))
    gates = []
    for each in workflow.steps:
        if each.operation != "promote":
            continue
        evaluation = _source(each.parameters.get("evaluation"))
        promoted = _source(each.parameters.get("model"))
        same = promoted is not None and model is not None and promoted.step == model.step
        if (evaluation.step == step.name) if evaluation else same:
            gates.append(each.parameters.get("gates", []))
    return Judged(step, model, tuple(gates))


def _source(value: Any) -> Reference | None:
    found = [each for each in references_in(value) if isinstance(each, Reference)] if value is not None else []
    return found[0] if len(found) == 1 else None
