"""What every component does in its pod: receive, run the operation, write artifacts, answer."""

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from types import FrameType
from typing import Any

from modelyard.operations import OperationSpec
from modelyard.operators.kfp.artifacts import write_artifacts
from modelyard.operators.kfp.encoding import outgoing, received
from modelyard.operators.kfp.errors import LibraryDiffers
from modelyard.operators.kfp.placement import check_placement, is_pod

__all__ = ["carry", "check_library", "terminable"]

_TERMINATED = 128 + signal.SIGTERM


def carry(operation: str, given: Mapping[str, Any]) -> tuple[Any, ...]:
    """Run an operation for a component and return its outputs.

    The work has a key of the pipeline's run and the task's name: a pod that takes the place of one that died attaches
    to the work, or takes its result. SIGTERM, which a pod gets when its run is terminated, cancels it.

    Parameters
    ----------
    operation
        The operation's name.
    given
        All arguments of the component's function.

    Raises
    ------
    LibraryDiffers
        The pipeline was compiled with another version.
    StateNotShared, TargetNotReachable
        What it would leave behind would end with the pod.
    ModelyardError
        Whatever the operation raised.
    """
    check_library(str(given.get("library") or ""))
    from modelyard.operations.catalogue import load_catalogue

    spec = load_catalogue().spec(operation)
    result = _done(spec, received(spec, given), given)
    write_artifacts(spec, result, given)
    return outgoing(spec, result)


def _done(spec: OperationSpec, parameters: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    from modelyard.projects import open_project
    from modelyard.projects.dispatch import dispatch

    project = open_project(given.get("project") or ".")
    environment = project.environment(given.get("environment") or "")
    if is_pod():
        check_placement(spec.name, parameters, environment)
    with terminable():
        done = dispatch(
            spec.name,
            parameters,
            project=project.reference,
            environment=environment.name,
            key=given.get("key") or "",
            workflow_run=given.get("workflow_run") or "",
            step=given.get("step") or "",
            launcher="process",
            on_log=_tell,
        )
    # The key is never acknowledged: the run's id is part of it, and never comes again.
    return done.result


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end a wait by `SystemExit`, upon which `modelyard.projects.dispatch.dispatch` cancels the work."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_: int, __: FrameType | None) -> None:
        raise SystemExit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def check_library(compiled: str) -> None:
    """Refuse to work for a pipeline that another version of the library has compiled.

    Parameters
    ----------
    compiled
        The version that compiled it; empty where nobody knows.

    Raises
    ------
    LibraryDiffers
        This is another.
    """
    found = version("modelyard") if compiled else ""
    if compiled != found:
        raise LibraryDiffers(compiled, found)
