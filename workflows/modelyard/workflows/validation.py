"""Checks a workflow against what its operations declare, before anything runs."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.errors import ModelyardError
from modelyard.operations import OperationNotFound, OperationSpec, ParameterType, ParameterUnknown
from modelyard.operations.launchers import LAUNCHERS
from modelyard.workflows.compatibility import fits
from modelyard.workflows.conditions import Condition, comparisons_in, described
from modelyard.workflows.definition import Choice, Loop, Node, Place, Step, Workflow
from modelyard.workflows.errors import StepNameTaken, StepNotFound, TypesMismatch, WorkflowInvalid
from modelyard.workflows.references import contains_reference
from modelyard.workflows.scopes import Scope

__all__ = ["LIST_OF_ANY", "check_block", "check_name", "check_step", "check_workflow", "operation_of"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_NAME_LENGTH = 60
_RESERVED = re.compile(r"root|(condition|condition-branches|exit-handler|for-loop|pipelinechannel|dag)(-.*)?")
"""What orchestrators call parts of their own."""
_CACHEABLE = ("none", "any")
_LONGEST_RETRIES = 100


def check_name(name: str, what: str, where: str) -> None:
    """Refuse a name that some orchestrator could not take.

    Raises
    ------
    WorkflowInvalid
        The name is empty, too long, reserved, or has other characters than the rule allows.
    """
    if not _NAME.fullmatch(name) or len(name) > _NAME_LENGTH:
        raise WorkflowInvalid(
            f"the name {name!r} of the {what} does not work everywhere",
            where=where,
            mend=f"Take lower case letters, digits and single - or _ between them, at most {_NAME_LENGTH}.",
        )
    if what != "workflow" and _RESERVED.fullmatch(name):
        mend = "Take another."
        raise WorkflowInvalid(f"the name {name!r} of the {what} is reserved by an orchestrator", where=where, mend=mend)


def check_workflow(workflow: Workflow, catalogue: Mapping[str, OperationSpec]) -> None:
    """Refuse a workflow that cannot run as it is defined.

    Raises
    ------
    WorkflowInvalid
        A name is taken or ill-formed, a reference leads nowhere, may be missing or does not fit, steps wait for each
        other, a parameter is unknown, missing or of another type.
    OperationNotFound
        A step calls an operation that no installed distribution declares.
    """
    where = f"workflow {workflow.name}"
    check_name(workflow.name, "workflow", where)
    if not workflow.steps:
        raise WorkflowInvalid("it has no step", where=where, mend="Call at least one operation: steps.call(…).")
    names: set[str] = set()
    specs: dict[str, OperationSpec] = {}
    places: dict[str, tuple[Place, ...]] = {}
    for node, around in _everything(workflow):
        check_name(node.name, _kind_of(node), where)
        if node.name in names:
            raise StepNameTaken(node.name, where=where)
        names.add(node.name)
        if isinstance(node, Step) and node is not workflow.on_exit:
            specs[node.name] = operation_of(node, catalogue, f"{where}, step {node.name}")
            places[node.name] = around
    workflow.in_order()
    inputs = {each.name: each for each in workflow.inputs}
    for node, around in _everything(workflow):
        scope = Scope(specs, inputs, places, around, exiting=node is workflow.on_exit)
        if isinstance(node, Step):
            place = f"{where}, step {node.name}"
            check_step(node, operation_of(node, catalogue, place), scope, where=place)
        else:
            check_block(node, scope, where=f"{where}, {_kind_of(node)} {node.name}")
    results = Scope(specs, inputs, places)
    for name, value in workflow.results.items():
        results.check(value, ParameterType("any"), f"{where}, result {name}")


def _everything(workflow: Workflow) -> list[tuple[Node, tuple[Place, ...]]]:
    found = list(workflow.walk())
    return [*found, (workflow.on_exit, ())] if workflow.on_exit else found


def _kind_of(node: Node) -> str:
    return "step" if isinstance(node, Step) else "loop" if isinstance(node, Loop) else "choice"


def operation_of(step: Step, catalogue: Mapping[str, OperationSpec], where: str) -> OperationSpec:
    """Return the specification of a step's operation.

    Raises
    ------
    OperationNotFound
        There is none; the error says where it is called.
    """
    if step.operation not in catalogue:
        error = OperationNotFound(step.operation, sorted(catalogue))
        error.where = where
        raise error
    return catalogue[step.operation]


def check_step(step: Step, spec: OperationSpec, scope: Scope, *, where: str) -> None:
    """Refuse a step whose parameters cannot be what its operation needs, or whose settings cannot be kept.

    Parameters
    ----------
    step, spec
        The step and the specification of its operation.
    scope
        What it may refer to.
    where
        The place, for the error.
    """
    for name in step.after:
        if name not in scope.specs:
            raise StepNotFound(name, list(scope.specs), where=where)
    _check_settings(step, spec, where)
    declared = {each.name: each.type for each in spec.parameters}
    waiting = {name: value for name, value in step.parameters.items() if contains_reference(value)}
    _check_literals(spec, step.parameters, waiting, where)
    for name, value in step.parameters.items():
        scope.check(value, declared[name], f"{where}, parameter {name}")


def _check_settings(step: Step, spec: OperationSpec, where: str) -> None:
    rules = {
        "retries": (0 <= step.retries <= _LONGEST_RETRIES, f"0 to {_LONGEST_RETRIES}"),
        "retry_delay": (step.retry_delay >= 0, "0 seconds or more"),
        "timeout": (step.timeout is None or step.timeout > 0, "more than 0 seconds"),
        "launcher": (
            step.launcher in ("", *LAUNCHERS) and not (step.timeout and step.launcher == "inline"),
            "process where there is a timeout" if step.timeout else f"one of {', '.join(LAUNCHERS)}",
        ),
        "cache": (step.cache is not True or spec.side_effects in _CACHEABLE, _cache_rule(spec)),
    }
    for name, (held, rule) in rules.items():
        if not held:
            raise WorkflowInvalid(
                f"{name} must be {rule}, got {getattr(step, name)!r}", where=where, mend=f"Write steps({name}=…)."
            )


def _cache_rule(spec: OperationSpec) -> str:
    return f"off for {spec.name}, which changes more than its result ({spec.side_effects})"


def check_block(block: Choice | Loop, scope: Scope, *, where: str) -> None:
    """Refuse a choice whose condition nobody can decide, or a loop over something that is no list.

    Parameters
    ----------
    block
        The choice or loop.
    scope
        What it may refer to.
    where
        The place, for the error.
    """
    if isinstance(block, Choice):
        _check_condition(block.condition, scope, where)
        return
    if block.parallel < 0:
        raise WorkflowInvalid(f"parallel must be 0 or more, got {block.parallel}", where=where)
    scope.check(block.items, LIST_OF_ANY, f"{where}, items")


LIST_OF_ANY = ParameterType("list", item=ParameterType("any"))
"""What a loop takes."""

_ORDERED = (("integer", "number"), ("string", "choice", "dataset", "model"))
_COMPARED = (*_ORDERED, ("boolean",))


def _check_condition(condition: Condition, scope: Scope, where: str) -> None:
    for each in comparisons_in(condition):
        place = f"{where}, {described(each)}"
        left, right = (_operand_type(side, scope, place) for side in (each.left, each.right))
        if "any" in (left.kind, right.kind):
            continue
        sorts = _COMPARED if each.operator in ("==", "!=") else _ORDERED
        if not any(left.kind in sort and right.kind in sort for sort in sorts) or not (
            fits(left, right) or fits(right, left)
        ):
            raise TypesMismatch(place, "the other side", right.described(), f"comparable to {left.described()}")


def _operand_type(value: Any, scope: Scope, where: str) -> ParameterType:
    scope.check(value, ParameterType("any"), where)
    found = scope.value_type(value, where)
    return msgspec.structs.replace(found, optional=False)


def _check_literals(spec: OperationSpec, given: dict[str, Any], waiting: dict[str, Any], where: str) -> None:
    """Let the operation itself refuse what is unknown, missing or of another type; what waits is checked elsewhere."""
    known = [each.name for each in spec.parameters]
    filled = tuple(each for each in spec.parameters if each.name not in waiting)
    try:
        for name in given:
            if name not in known:
                raise ParameterUnknown(spec.name, name, known)
        literal = {name: value for name, value in given.items() if name not in waiting}
        msgspec.structs.replace(spec, parameters=filled).bind(literal)
    except ModelyardError as error:
        place = f"{where}, parameter {error.where}" if error.where else where
        raise WorkflowInvalid(error.what, where=place, mend=error.mend, facts=error.facts) from error
