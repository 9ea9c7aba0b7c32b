"""Keeps an operation's result with its run, so that a retry of finished work returns what the first try did."""

import tempfile
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from modelyard.operations import OperationContext
from modelyard.tracking import TrackedRun, Tracking

__all__ = ["FILE", "keep_result", "kept_result", "result_of"]

FILE = "result.json"
ResultT = TypeVar("ResultT", bound=msgspec.Struct)


def keep_result(run: TrackedRun, result: msgspec.Struct) -> None:
    """Store the result among the run's artifacts; to be called last."""
    run.log_artifact(msgspec.json.encode(result), FILE)


def kept_result(
    tracking: Tracking, context: OperationContext, kind: type[ResultT], *, experiment: str = ""
) -> ResultT | None:
    """Return the result of the finished run of this key and generation, or None if there is none."""
    found: Any = tracking.finished_run(context.key, context.generation, experiment=experiment)
    if found is None:
        return None
    result = result_of(tracking, found.info.run_id, kind)
    context.log.info("this work is finished already: run %s", found.info.run_id)
    return result


def result_of(tracking: Tracking, run_id: str, kind: type[ResultT]) -> ResultT:
    """Return the result that is kept with a run."""
    with tempfile.TemporaryDirectory(prefix="modelyard-result-") as scratch:
        file = tracking.client.download_artifacts(run_id, FILE, scratch)
        return msgspec.json.decode(Path(file).read_bytes(), type=kind)
