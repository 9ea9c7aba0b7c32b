"""Checks a workflow against what its operations declare, before anything runs."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.errors import ModelyardError
from modelyard.operations import OperationNotFound, OperationSpec, ParameterType, ParameterUnknown
from modelyard.workflows.compatibility import fits, type_inside
from modelyard.workflows.definition import Step, Workflow, WorkflowInput
from modelyard.workflows.errors import (
    ResultFieldUnknown,
    StepNameTaken,
    StepNotFound,
    TypesMismatch,
    WorkflowInvalid,
)
from modelyard.workflows.references import InputReference, Reference, contains_reference

__all__ = ["check_name", "check_step", "check_workflow"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_NAME_LENGTH = 60


def check_name(name: str, what: str, where: str) -> None:
    """Refuse a name that some orchestrator could not take.

    Raises
    ------
    WorkflowInvalid
        The name is empty, too long or has other characters than the rule allows.
    """
    if not _NAME.fullmatch(name) or len(name) > _NAME_LENGTH:
        raise WorkflowInvalid(
            f"the name {name!r} of the {what} does not work everywhere",
            where=where,
            mend=f"Take lower case letters, digits and single - or _ between them, at most {_NAME_LENGTH}.",
        )


def check_workflow(workflow: Workflow, catalogue: Mapping[str, OperationSpec]) -> None:
    """Refuse a workflow that cannot run as it is defined.

    Raises
    ------
    WorkflowInvalid
        A name is taken or ill-formed, a reference leads nowhere or does not fit, steps wait for each other, a
        parameter is unknown, missing or of another type.
    OperationNotFound
        A step calls an operation that no installed distribution declares.
    """
    where = f"workflow {workflow.name}"
    check_name(workflow.name, "workflow", where)
    if not workflow.steps:
        raise WorkflowInvalid("it has no step", where=where, mend="Call at least one operation: steps.call(…).")
    specs: dict[str, OperationSpec] = {}
    for step in workflow.steps:
        check_name(step.name, "step", where)
        if step.name in specs:
            raise StepNameTaken(step.name, where=where)
        specs[step.name] = operation_of(step, catalogue, f"{where}, step {step.name}")
    workflow.ordered()
    inputs = {each.name: each for each in workflow.inputs}
    for step in workflow.steps:
        check_step(step, specs[step.name], specs, inputs, where=f"{where}, step {step.name}")


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


def check_step(
    step: Step,
    spec: OperationSpec,
    specs: Mapping[str, OperationSpec],
    inputs: Mapping[str, WorkflowInput],
    *,
    where: str,
) -> None:
    """Refuse a step whose parameters cannot be what its operation needs.

    Parameters
    ----------
    step, spec
        The step and the specification of its operation.
    specs
        The specifications of the operations of all steps it may refer to, by step name.
    inputs
        The workflow's inputs by name.
    where
        The place, for the error.
    """
    for name in step.after:
        if name not in specs:
            raise StepNotFound(name, list(specs), where=where)
    scope = _Scope(specs, inputs)
    declared = {each.name: each.type for each in spec.parameters}
    waiting = {name: value for name, value in step.parameters.items() if contains_reference(value)}
    _check_literals(spec, step.parameters, waiting, where)
    for name, value in waiting.items():
        scope.check(value, declared[name], f"{where}, parameter {name}")


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


class _Scope:
    """What a step may refer to."""

    def __init__(self, specs: Mapping[str, OperationSpec], inputs: Mapping[str, WorkflowInput]) -> None:
        self.specs = specs
        self.inputs = inputs

    def check(self, value: Any, needed: ParameterType, where: str) -> None:
        """Refuse a value with references inside that can never be of the type `needed`."""
        if isinstance(value, Reference | InputReference):
            given = self.type_of(value, where)
            if not fits(given, needed):
                raise TypesMismatch(where, str(value), given.described(), needed.described())
        elif needed.kind == "any" or not contains_reference(value):
            self._check_plain(value, needed, where)
        elif isinstance(value, list) and needed.kind == "list":
            for index, each in enumerate(value):
                self.check(each, needed.item or ParameterType("any"), f"{where}[{index}]")
        elif isinstance(value, dict) and needed.kind == "mapping":
            for key, each in value.items():
                self.check(each, needed.item or ParameterType("any"), f"{where}.{key}")
        else:
            raise TypesMismatch(where, "it", "a list" if isinstance(value, list) else "a mapping", needed.described())

    def _check_plain(self, value: Any, needed: ParameterType, where: str) -> None:
        if contains_reference(value):
            for each in value.values() if isinstance(value, dict) else value:
                self.check(each, ParameterType("any"), where)
            return
        try:
            needed.coerce(value, where)
        except ModelyardError as error:
            raise WorkflowInvalid(error.what, where=where, facts=error.facts) from error

    def type_of(self, reference: Reference | InputReference, where: str) -> ParameterType:
        """Return the type of what a reference points at."""
        whole = self._whole(reference, where)
        inside = type_inside(whole, reference.path)
        if inside is None:
            raise WorkflowInvalid(
                f"{reference} leads nowhere: {_without_path(reference)} is {whole.described()}",
                where=where,
                mend="Refer to the whole value, or to what it has inside.",
            )
        return inside

    def _whole(self, reference: Reference | InputReference, where: str) -> ParameterType:
        if isinstance(reference, InputReference):
            if reference.name not in self.inputs:
                raise WorkflowInvalid(f"the workflow has no parameter {reference.name!r}", where=where)
            return self.inputs[reference.name].type
        if reference.step not in self.specs:
            raise StepNotFound(reference.step, list(self.specs), where=where)
        spec = self.specs[reference.step]
        for field in spec.results:
            if field.name == reference.field:
                return field.type
        raise ResultFieldUnknown(
            reference.step, spec.name, reference.field, [each.name for each in spec.results], where=where
        )


def _without_path(reference: Reference | InputReference) -> str:
    return reference.name if isinstance(reference, InputReference) else f"{reference.step}.{reference.field}"
