"""What the tasks of a workflow do in their pods: each looks how far the run has come, and takes it one step further.

Values do not flow through KFP, which bends them, but through the environment's state location: one file for each step
that is over. KFP is told the order, which branch is taken, and how many items a loop has.
"""

import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelyard.errors import ForeignError, ModelyardError
from modelyard.operations import NoProgress
from modelyard.operations.atomic import write_atomically
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.keys import RunKey, folder_name
from modelyard.operators.kfp.artifacts import write_artifacts
from modelyard.operators.kfp.carrying import check_library, terminable
from modelyard.operators.kfp.encoding import whole
from modelyard.operators.kfp.placement import check_placement, is_pod
from modelyard.projects import open_project
from modelyard.projects.project import Project
from modelyard.workflows.conditions import holds
from modelyard.workflows.definition import Choice, Loop, Workflow
from modelyard.workflows.engines.progression import Progression, Ready
from modelyard.workflows.engines.step_ends import StepEnd, ended, follow, give_up
from modelyard.workflows.engines.work import Work
from modelyard.workflows.errors import WorkflowInvalid
from modelyard.workflows.filling import Filling, Position
from modelyard.workflows.outcome import WorkflowOutcome, instance_name

__all__ = ["KfpRun", "begin", "decide", "do_step", "finish", "list_items"]

_LOG = logging.getLogger("modelyard.workflows")


class _Begun(msgspec.Struct, frozen=True):
    workflow: str
    inputs: dict[str, Any]


class KfpRun:
    """One run of a workflow, as it lies in the state location.

    Parameters
    ----------
    state
        The environment's state folder.
    name
        The run's name.
    """

    def __init__(self, state: Path, name: str) -> None:
        self.folder = state / "workflows" / "kfp" / folder_name(name)
        self.name = name

    def begin(self, workflow: str, inputs: Mapping[str, Any]) -> None:
        """Write down what runs, unless that is done."""
        self._write("begun.json", _Begun(workflow, dict(inputs)))

    def begun(self) -> tuple[Workflow, dict[str, Any]]:
        """Return the workflow and its inputs.

        Raises
        ------
        WorkflowInvalid
            The run has not begun, or its state lies elsewhere.
        """
        try:
            begun = msgspec.json.decode((self.folder / "begun.json").read_bytes(), type=_Begun)
        except FileNotFoundError:
            raise WorkflowInvalid(
                f"nothing is known of the run {self.name}",
                where=str(self.folder),
                mend="Let every pod see the same state location.",
            ) from None
        return Workflow.decoded(begun.workflow.encode()), begun.inputs

    def end(self, name: str) -> StepEnd | None:
        """Return how a step ended; None where it has not."""
        path = self.folder / "steps" / f"{name}.json"
        return msgspec.json.decode(path.read_bytes(), type=StepEnd) if path.exists() else None

    def write_end(self, name: str, end: StepEnd) -> None:
        """Write down how a step ended."""
        self._write(f"steps/{name}.json", end)

    def outcome(self) -> WorkflowOutcome | None:
        """Return what the run has left; None where it is not over."""
        path = self.folder / "outcome.json"
        return msgspec.json.decode(path.read_bytes(), type=WorkflowOutcome) if path.exists() else None

    def write_outcome(self, outcome: WorkflowOutcome) -> None:
        """Write down what the run has left."""
        self._write("outcome.json", outcome)

    def _write(self, name: str, content: msgspec.Struct) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, msgspec.json.encode(content))

    def progression(self) -> tuple[Progression, dict[str, Ready]]:
        """Return how far the run has come, and the steps that may start now, by name."""
        progression = Progression(*self.begun())
        return progression, follow(progression, self.end)


class _Place:
    """Where a task works: project, environment, run."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        check_library(str(given.get("library") or ""))
        logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
        self.project: Project = open_project(given.get("project") or ".")
        self.environment = self.project.environment(given.get("environment") or "")
        if is_pod():
            check_placement("", {}, self.environment)
        self.run = KfpRun(self.environment.open_state(), f"kfp-{given['run']}")

    def work(self, ready: Ready) -> Work:
        if is_pod():
            check_placement(ready.step.operation, ready.parameters, self.environment)
        step, bracket, position = ready.name.partition("[")
        return Work(
            step=ready.step,
            name=ready.name,
            parameters=ready.parameters,
            key=f"{RunKey(self.project.name, self.run.name, step).text}{bracket}{position}",
            launcher=ready.step.launcher or "process",
            project=self.project.reference,
            environment=self.environment.name,
            workflow_run=self.run.name,
            log=_LOG,
            progress=NoProgress(),
        )


def begin(given: Mapping[str, Any], workflow: str, inputs: Mapping[str, Any]) -> None:
    """Check the inputs and write down what runs.

    Parameters
    ----------
    given
        ``project``, ``environment``, ``run`` and ``library``, as every function here takes them.
    workflow
        The workflow, as `Workflow.encoded` writes it.
    inputs
        Its inputs as KFP has them. For those that KFP would bend, ``exact`` has as JSON text what stands in their place
        there, and what is meant by it.

    Raises
    ------
    ParameterMissing, ParameterInvalid, ParameterUnknown
        An input does not fit.
    """
    definition = Workflow.decoded(workflow.encode())
    exact = json.loads(given.get("exact") or "{}")
    found = {}
    for each in definition.inputs:
        value = whole(inputs[each.name], each.type)
        standing, meant = exact.get(each.name, (None, None))
        if each.name in exact and value == standing:
            value = meant
        elif each.type.kind == "any":
            value = _json_or_text(value)
        found[each.name] = value
    _Place(given).run.begin(workflow, definition.bind(found))


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def decide(given: Mapping[str, Any], name: str, position: str) -> bool:
    """Return whether the condition of a choice holds.

    Raises
    ------
    ConditionUndecidable, ValueMissing
        It cannot be decided.
    """
    place = _Place(given)
    workflow, inputs = place.run.begun()
    progression, _ = place.run.progression()
    choice = next(node for node, _ in workflow.walk() if node.name == name)
    assert isinstance(choice, Choice)  # noqa: S101 - narrows the type for the checker
    filling, at = Filling(progression.workflow, inputs, progression), _position(position)
    return holds(choice.condition, lambda reference: filling.value(reference, name, at))


def list_items(given: Mapping[str, Any], name: str, position: str) -> list[str]:
    """Return the positions of the items of a loop: ``["[0]", "[1]"]``.

    Raises
    ------
    ParameterInvalid, ValueMissing
        What it loops over is no list.
    """
    place = _Place(given)
    workflow, inputs = place.run.begun()
    progression, _ = place.run.progression()
    loop = next(node for node, _ in workflow.walk() if node.name == name)
    assert isinstance(loop, Loop)  # noqa: S101 - narrows the type for the checker
    at = _position(position)
    items = progression.items(name, at)
    if items is None:
        # Its list cannot be filled in: asked directly, it says why.
        Filling(progression.workflow, inputs, progression).value(loop.items, name, at)
        raise progression.errors[instance_name(name, at)]
    return [f"{position}[{index}]" for index in range(len(items))]


def do_step(given: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Do one step and return its state and its result as JSON text.

    A step that has ended is not done again: a pod that takes the place of one that died takes the result. A step that
    failed is done again where a person has resumed the run.

    Raises
    ------
    ModelyardError
        The step failed, or cannot start because something that it needs has failed.
    """
    place = _Place(given)
    instance = instance_name(name, _position(given.get("position") or ""))
    task = str(given.get("task") or "")
    end = place.run.end(instance)
    if end is not None and end.error is not None and end.task == task:
        raise ForeignError(end.error)
    if end is None or end.error is not None:
        end = _ended(place, instance, task)
    spec = load_catalogue().spec(place.run.begun()[0].step(name).operation)
    write_artifacts(spec, end.result or {}, given)
    return "succeeded", msgspec.json.encode(end.result).decode()


def _ended(place: _Place, instance: str, task: str) -> StepEnd:
    (place.run.folder / "steps" / f"{instance}.json").unlink(missing_ok=True)
    progression, waiting = place.run.progression()
    if instance not in waiting:
        if instance in progression.errors:
            raise _kept(place, instance, task, progression.errors[instance])
        state = progression.states.get(instance, "queued")
        raise WorkflowInvalid(
            f"the step {instance} cannot start: it is {state}",
            where=place.run.name,
            mend="Let every pod see the same state location.",
        )
    try:
        with terminable():
            result = place.work(waiting[instance]).run()
    except ModelyardError as error:
        raise _kept(place, instance, task, error) from error
    end = StepEnd(result, None, task)
    place.run.write_end(instance, end)
    return end


def _kept(place: _Place, instance: str, task: str, error: ModelyardError) -> ModelyardError:
    place.run.write_end(instance, StepEnd(None, error.record(), task))
    return error


def finish(given: Mapping[str, Any], state: str, message: str) -> str:
    """Write down what the run has left, run its exit handler, and return the outcome as JSON text.

    Parameters
    ----------
    given
        As for `begin`.
    state, message
        What KFP says of how the run ended.

    Raises
    ------
    ModelyardError
        The exit handler failed.
    """
    place = _Place(given)
    workflow, inputs = place.run.begun()
    progression, waiting = place.run.progression()
    give_up(progression, waiting, place.run.end, f"KFP ended it: {message or state or 'no reason is known'}")

    def do(ready: Ready) -> dict[str, Any]:
        with terminable():
            return place.work(ready).run()

    outcome, error = ended(workflow, inputs, progression, place.run.name, do)
    place.run.write_outcome(outcome)
    if error is not None:
        raise error
    return msgspec.json.encode(outcome).decode()


def _position(text: str) -> Position:
    """Return a position from its text.

    Examples
    --------
    >>> _position(""), _position("[0][12]")
    ((), (0, 12))
    """
    return tuple(int(each) for each in text.replace("[", " ").replace("]", " ").split())
