"""Runs an operation for the command line: dispatch, publish the result, acknowledge."""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from modelyard.cli.documents import write_json
from modelyard.cli.errors import FileUnwritable
from modelyard.cli.moments import duration
from modelyard.cli.options import Settings
from modelyard.cli.presenting import present, steps_of
from modelyard.cli.reporting import Reporter, reporting
from modelyard.cli.signals import termination_cancels
from modelyard.errors import ModelyardError
from modelyard.operations import OperationSpec
from modelyard.operations.keys import random_key
from modelyard.operations.results import write_result
from modelyard.operations.states import RunState
from modelyard.projects.dispatch import Completed, acknowledge, dispatch

__all__ = ["execute"]


def execute(spec: OperationSpec, parameters: dict[str, Any], settings: Settings) -> None:
    """Run an operation, write the result file, show the result, and only then acknowledge the key.

    Parameters
    ----------
    spec, parameters
        What to run, checked.
    settings
        How to run it and what to write.

    Raises
    ------
    FileUnwritable
        The result file could not be written; found out before anything runs.
    """
    result_file = Path(settings.result_file) if settings.result_file else None
    if result_file:
        _check_writable(result_file)
    with reporting(quiet=settings.quiet, debug=settings.debug) as reporter, termination_cancels():
        started = time.monotonic()
        completed = _dispatched(spec, parameters, settings, reporter)
        reporter.line(f"{spec.name} succeeded in {duration(time.monotonic() - started)}")
    if result_file:
        write_result(result_file, RunState.SUCCEEDED, result=completed.result)
    if settings.json:
        write_json(completed.result)
    else:
        present(spec, completed.result)
    sys.stdout.flush()
    acknowledge(
        completed.key, project=settings.project, environment=settings.environment, generation=completed.generation
    )


def _dispatched(spec: OperationSpec, parameters: dict[str, Any], settings: Settings, reporter: Reporter) -> Completed:
    key = settings.key or random_key()
    try:
        return dispatch(
            spec.name,
            parameters,
            project=settings.project,
            environment=settings.environment,
            key=key,
            launcher=settings.launcher,
            python=settings.python,
            on_log=reporter.line,
            progress=reporter,
        )
    except ModelyardError as error:
        steps = steps_of(error.facts)
        for step, state in steps.items():
            reporter.line(f"step {step}: {state}")
        if steps:
            reporter.line(f"The same command with --key {key} continues where this run stopped.")
        raise


def _check_writable(path: Path) -> None:
    """Find out before hours of work that its result has no place."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    except OSError as error:
        raise FileUnwritable("--result-file", str(path), error.strerror or str(error)) from error
    os.close(handle)
    Path(name).unlink()
    if path.is_dir():
        raise FileUnwritable("--result-file", str(path), "it is a folder")
