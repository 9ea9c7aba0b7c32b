"""Starts an operation for a project: what every front door calls."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from modelyard.operations import OperationSpec, ParameterInvalid, Progress
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.handles import Handle
from modelyard.operations.invocation import Invocation
from modelyard.operations.jobs import Job
from modelyard.operations.journal import Journal
from modelyard.operations.keys import RunKey, random_key
from modelyard.operations.launchers import LAUNCHERS, InlineLauncher, OnLog, ProcessLauncher, launcher_of
from modelyard.operations.notes import write_note
from modelyard.operations.states import RunState
from modelyard.projects.environment import Environment
from modelyard.projects.interpreters import function_interpreter
from modelyard.projects.opening import open_project
from modelyard.projects.project import Project
from modelyard.projects.snapshot import read_origin

__all__ = ["PYTHON_VARIABLE", "Completed", "Handle", "acknowledge", "cancel", "dispatch", "journal_of", "submit"]

PYTHON_VARIABLE = "MODELYARD_PYTHON"
"""Names the interpreter of work in a process, on machines whose own is not made for it, such as Airflow's."""

_EXTRAS = {"modelyard.training": ("ml",), "modelyard.batch": ("ml",)}
"""What operations need of us in an environment that is made for a function."""


class Completed(NamedTuple):
    """An operation that succeeded."""

    result: dict[str, Any]
    key: str
    generation: int
    handle: Handle


def dispatch(  # noqa: PLR0913 - the whole of what a door can say, all but the first two by name
    operation: str,
    parameters: Mapping[str, Any],
    *,
    project: str | Path = ".",
    environment: str = "",
    key: str = "",
    workflow_run: str = "",
    step: str = "",
    launcher: Literal["inline", "process"] | str = "inline",
    python: str = "",
    on_log: OnLog | None = None,
    on_start: Callable[[Handle], None] | None = None,
    progress: Progress | None = None,
) -> Completed:
    """Run an operation for a project and return its result; with a key that is at work already, wait for that.

    Parameters
    ----------
    operation
        The operation's name.
    parameters
        Its parameters; what is left out has its default.
    project
        The project's reference.
    environment
        The name of the project's environment; empty is its default.
    key
        What makes two starts the same piece of work. Without one it is made of project, workflow run and step;
        outside a workflow it is random.
    workflow_run, step
        Where in a workflow.
    launcher
        ``inline``: here and now. ``process``: in a process of its own, from a snapshot of the project.
    python
        The interpreter of the process. By default that of the function that a parameter names, else the variable
        MODELYARD_PYTHON, else that of the environment, else the running one.
    on_log
        Takes the lines of the worker's log while it runs.
    on_start
        Takes the handle as soon as there is one, before the wait; inline, when the work has ended.
    progress
        Where the work's progress is told.

    Raises
    ------
    OperationNotFound, ParameterUnknown, ParameterMissing, ParameterInvalid
        What is asked for does not exist or fit; nothing was started.
    ProjectNotFound, ProjectInvalid, EnvironmentNotFound
        The project cannot be opened; nothing was started.
    KeyInUse
        The key is at work on something else.
    ForeignError
        The operation failed in its process; the error has the type, kind and facts of the original.
    OperationCancelled, WorkLost
        Somebody stopped it, or its process is gone without a result.
    Exception
        Whatever the operation raised, inline.
    KeyboardInterrupt
        Ctrl-C: the work is cancelled first.
    """
    if launcher not in LAUNCHERS:
        raise ParameterInvalid("launcher", f"one of {', '.join(LAUNCHERS)}", launcher)
    if python and launcher != "process":
        raise ParameterInvalid("launcher", "process where an interpreter is given", launcher)
    start = _Start(operation, parameters, project, environment, key, workflow_run, step)
    if launcher == "inline":
        return _inline(InlineLauncher(start.journal, progress=progress), start.invocation, on_log, on_start)
    process, handle = start.submit(python)
    if on_start:
        on_start(handle)
    try:
        process.wait(handle, on_log, progress=progress)
    except (KeyboardInterrupt, SystemExit):
        process.cancel(handle)
        raise
    return Completed(process.result(handle), handle.key, handle.generation, handle)


def submit(
    operation: str,
    parameters: Mapping[str, Any],
    *,
    project: str | Path = ".",
    environment: str = "",
    key: str = "",
    workflow_run: str = "",
    step: str = "",
    python: str = "",
) -> Handle:
    """Start an operation in a process of its own, or attach to the work of its key, and return at once.

    Parameters and errors are those of `dispatch`, as far as they are about the start.

    Returns
    -------
    Handle
        Where the work is: follow it with `modelyard.operations.launchers.launcher_of`, end it with `cancel`.
    """
    return _Start(operation, parameters, project, environment, key, workflow_run, step).submit(python)[1]


class _Start:
    """What is known before anything starts: everything that can be refused has been."""

    def __init__(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        project: str | Path,
        environment: str,
        key: str,
        workflow_run: str,
        step: str,
    ) -> None:
        self._spec = load_catalogue().spec(operation)
        bound = self._spec.bind(parameters)
        self._project = open_project(project)
        self._environment = self._project.environment(environment)
        self.journal = Journal(self._environment.open_state() / "journal")
        made = RunKey(self._project.name, workflow_run, step).text if workflow_run and step else random_key()
        self.invocation = Invocation(
            operation=operation,
            parameters=bound,
            project=self._project.reference,
            environment=self._environment.name,
            key=key or made,
            workflow_run=workflow_run,
            step=step,
        )

    def submit(self, python: str) -> tuple[ProcessLauncher, Handle]:
        """Start it in a process."""
        bound = self.invocation.parameters
        interpreter = python or _interpreter(self._spec, bound, self._project, self._environment)
        process = ProcessLauncher(self.journal, python=interpreter)
        return process, process.submit(
            self.invocation, lambda job, request: _from_snapshot(self._project, job, request)
        )


def _inline(
    inline: InlineLauncher,
    invocation: Invocation,
    on_log: OnLog | None,
    on_start: Callable[[Handle], None] | None,
) -> Completed:
    handle = inline.submit(invocation)
    if on_start:
        on_start(handle)
    inline.wait(handle, on_log)
    return Completed(inline.result(handle), handle.key, handle.generation, handle)


def _from_snapshot(project: Project, job: Job, request: Invocation) -> Invocation:
    folder = project.snapshot(job.snapshot)
    origin = read_origin(folder)
    stamp = msgspec.to_builtins(origin.stamp) if origin else {}
    write_note(job.folder, "project", {"name": project.name, **stamp})
    return msgspec.structs.replace(request, project=str(folder))


def _interpreter(spec: OperationSpec, bound: Mapping[str, Any], project: Project, environment: Environment) -> str:
    python = os.environ.get(PYTHON_VARIABLE) or environment.python
    name = bound.get("function")
    extras = _EXTRAS.get(".".join(spec.implementation.split(".")[:2]), ())
    if isinstance(name, str) and name:
        definition = project.function(name)
        return function_interpreter(definition, python, project.root, extras=extras)
    return python or ""


def acknowledge(
    done: Completed | str, *, project: str | Path = ".", environment: str = "", generation: int = 0
) -> bool:
    """Say that the result of a key is published, so that its next start runs anew.

    Parameters
    ----------
    done
        What `dispatch` returned; then nothing else is needed. Or the key.
    project, environment
        As for `dispatch`.
    generation
        The generation, as `Completed.generation` says it; 0 is the newest.

    Returns
    -------
    bool
        Whether that generation has succeeded and is acknowledged now.
    """
    if isinstance(done, Completed):
        return Journal.of(Job(Path(done.handle.folder))).acknowledge(done.key, done.generation)
    return journal_of(project, environment).acknowledge(done, generation)


def cancel(handle: Handle) -> RunState:
    """Stop the run behind a handle; return its state, which is ``cancelled`` unless it had ended before."""
    return launcher_of(handle).cancel(handle)


def journal_of(project: str | Path = ".", environment: str = "") -> Journal:
    """Return the journal of a project's environment."""
    return Journal(open_project(project).environment(environment).state / "journal")
