"""A distribution that adds operations, as any other could: one says what it received, one behaves as it is told."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations import DatasetRef, ModelRef, OperationContext, operation


class DoorResult(msgspec.Struct, frozen=True):
    """What arrived.

    Attributes
    ----------
    received
        The parameters as they arrived, as JSON with types.
    nothing
        Nothing.
    circumstances
        Project, environment, key, generation, attempt, workflow run and step.
    process
        The process that did it.
    """

    received: str
    nothing: str | None
    circumstances: dict[str, Any]
    process: dict[str, Any]


@operation(kind="door", side_effects="none")
def door(
    context: OperationContext,
    *,
    text: str,
    dataset: DatasetRef = "in.parquet",
    model: ModelRef = "models:/m@champion",
    count: int = 0,
    ratio: float = 0.5,
    flag: bool = False,
    choice: Literal["one", "two"] = "one",
    names: list[str] = [],  # noqa: B006
    table: list[list[int]] = [],  # noqa: B006
    settings: dict[str, Any] = {},  # noqa: B006
    limits: dict[str, float] = {},  # noqa: B006
    maybe_text: str | None = None,
    maybe_count: int | None = None,
    maybe_names: list[str] | None = None,
    anything: Any = None,
) -> DoorResult:
    """Say what came through the door.

    Parameters
    ----------
    text, dataset, model, count, ratio, flag, choice, names, table, settings, limits, maybe_text, maybe_count
        One of every type.
    maybe_names, anything
        Two more.
    """
    received = {
        "text": text,
        "dataset": dataset,
        "model": model,
        "count": count,
        "ratio": ratio,
        "flag": flag,
        "choice": choice,
        "names": names,
        "table": table,
        "settings": settings,
        "limits": limits,
        "maybe_text": maybe_text,
        "maybe_count": maybe_count,
        "maybe_names": maybe_names,
        "anything": anything,
    }
    return DoorResult(
        received=json.dumps(received),
        nothing=None,
        circumstances={
            "project": context.project,
            "environment": context.environment,
            "key": context.key,
            "generation": context.generation,
            "attempt": context.attempt,
            "workflow_run": context.workflow_run,
            "step": context.step,
        },
        process={"pid": os.getpid(), "python": sys.executable, "airflow": "airflow" in sys.modules},
    )


class TooBusy(ModelyardError):
    """Raised on request, for a reason that passes."""

    kind = ErrorKind.UNAVAILABLE


class TooWrong(ModelyardError):
    """Raised on request, for a reason that stays."""

    kind = ErrorKind.INVALID


class ActResult(msgspec.Struct, frozen=True):
    """What was done.

    Attributes
    ----------
    turns
        How many executions there were before this one.
    generation
        The generation of the key.
    model
        A model.
    rows
        A number.
    """

    turns: int
    generation: int
    model: ModelRef
    rows: int


@operation(kind="act", side_effects="storage")
def act(
    context: OperationContext,
    *,
    folder: str,
    behaviour: Literal["succeed", "busy-once", "busy", "wrong", "raise", "wait"] = "succeed",
    lines: list[str] = [],  # noqa: B006
    rows: int = 0,
) -> ActResult:
    """Behave as told, and leave traces of every execution in a folder.

    Parameters
    ----------
    folder
        Where to leave traces, and to look for a file ``go`` that ends waiting.
    behaviour
        What to do.
    lines
        What to log first.
    rows
        What to return.
    """
    traces = Path(folder)
    turns = len(list(traces.glob("turn-*")))
    (traces / f"turn-{turns}").write_text(context.key)
    for line in lines:
        context.log.info(line)
    if behaviour == "busy" or (behaviour == "busy-once" and turns == 0):
        raise TooBusy("the line is busy", where="door", mend="Call again.")
    if behaviour == "wrong":
        raise TooWrong("the number is wrong", where="door", mend="Look it up.")
    if behaviour == "raise":
        raise RuntimeError("a defect of its own")
    if behaviour == "wait":
        _wait(traces)
    return ActResult(turns, context.generation, f"models:/m/{turns + 1}", rows)


def _wait(traces: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    deadline = time.monotonic() + 300
    try:
        (traces / "grandchild").write_text(str(child.pid))
        (traces / "worker.part").write_text(str(os.getpid()))
        (traces / "worker.part").rename(traces / "worker")  # whoever sees it may end this process at once
        while not (traces / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait()
