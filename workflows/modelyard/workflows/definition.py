"""A workflow as data: inputs, steps and what flows between them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.operations import ParameterMissing, ParameterType, ParameterUnknown
from modelyard.workflows.errors import StepNotFound, WorkflowCyclic
from modelyard.workflows.references import Reference, as_json, references_in

__all__ = ["Step", "Workflow", "WorkflowInput"]


class WorkflowInput(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parameter of a workflow."""

    name: str
    type: ParameterType
    required: bool = False
    default: Any = None
    doc: str = ""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of an operation.

    Parameters
    ----------
    name
        Unique within the workflow: lower case letters, digits, ``-`` and ``_``.
    operation
        The operation's name in the catalogue.
    parameters
        Values, with `Reference` and `InputReference` at any depth where a run fills something in.
    after
        Steps that must have succeeded before, although nothing flows from them.
    """

    name: str
    operation: str
    parameters: dict[str, Any] = {}
    after: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the steps that this one waits for, each once."""
        flowing = [each.step for each in references_in(self.parameters) if isinstance(each, Reference)]
        return tuple(dict.fromkeys([*flowing, *self.after]))


class Workflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """An immutable workflow, made by `modelyard.workflows.workflow`; every engine gives it the same meaning."""

    name: str
    steps: tuple[Step, ...]
    inputs: tuple[WorkflowInput, ...] = ()
    summary: str = ""
    description: str = ""

    def step(self, name: str) -> Step:
        """Return the step of that name.

        Raises
        ------
        StepNotFound
            There is none; the nearest name is suggested.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise StepNotFound(name, [step.name for step in self.steps], where=f"workflow {self.name}")

    def bind(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all inputs, checked and with their defaults; text is read where the input is not text.

        Raises
        ------
        ParameterUnknown, ParameterMissing, ParameterInvalid
            What is given does not fit; the error names the input, the rule and the value.
        """
        known = [each.name for each in self.inputs]
        for name in given:
            if name not in known:
                raise ParameterUnknown(f"workflow {self.name}", name, known)
        bound = {}
        for each in self.inputs:
            if each.name in given:
                bound[each.name] = each.type.coerce(given[each.name], each.name)
            elif each.required:
                raise ParameterMissing(f"workflow {self.name}", each.name, each.doc or each.type.described())
            else:
                bound[each.name] = msgspec.json.decode(msgspec.json.encode(each.default))
        return bound

    def ordered(self) -> tuple[Step, ...]:
        """Return the steps, each after all that it needs, otherwise as they were defined.

        Raises
        ------
        WorkflowCyclic
            Steps wait for each other.
        StepNotFound
            A step waits for one that is not there.
        """
        done: dict[str, Step] = {}
        for step in self.steps:
            self._visit(step, done, [])
        return tuple(done.values())

    def _visit(self, step: Step, done: dict[str, Step], path: list[str]) -> None:
        if step.name in path:
            raise WorkflowCyclic(self.name, [*path[path.index(step.name) :], step.name])
        if step.name in done:
            return
        for name in step.needs:
            self._visit(self.step(name), done, [*path, step.name])
        done[step.name] = step

    def as_json(self) -> dict[str, Any]:
        """Return the workflow for programs: plain JSON, references as ``{"$from": "train.model"}``."""
        plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, steps=()))
        plain["steps"] = [
            {
                "name": step.name,
                "operation": step.operation,
                "parameters": as_json(step.parameters),
                "after": list(step.after),
                "needs": list(step.needs),
            }
            for step in self.steps
        ]
        return plain
