"""Kills a run with SIGKILL at one durable write after another, lets it go on each time, and tells what came of it.

Every write that must survive asks the disk twice: before the new file takes the old one's place, and after. A run that
is killed at each of these moments is killed at every state that it can be found in.

Takes a folder with the project ``traced`` and the moments to kill at (from 1; an empty list for all of them), as
JSON; prints JSON, with the run that nobody kills as moment 0.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard.projects.dispatch import dispatch

GIVEN = {"workflow": "main", "parameters": {"month": 8}}


def in_child(work: Callable[[], None]) -> int:
    """Do something in a process of its own; return how it ended."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told by the exit code
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def run(project: Path, kill_at: int = 0) -> int:
    """Run the workflow under one key; kill it at a moment, or count the moments into a file."""
    fsync, moments = os.fsync, 0

    def counted(handle: Any) -> None:
        nonlocal moments
        moments += 1
        if moments == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(handle)

    def work() -> None:
        os.fsync = counted
        result = dispatch("run", GIVEN, project=str(project), key="k").result
        (project / "result.json").write_text(json.dumps({"result": result, "moments": moments}))

    return in_child(work)


def main(source: Path, moments: list[int]) -> None:
    """Kill at each of the moments."""
    told = {0: observed(source, 0)}
    for moment in moments or range(1, told[0]["moments"] + 1):
        told[moment] = observed(source, moment)
    print(json.dumps(told))


def observed(source: Path, moment: int) -> dict[str, Any]:
    """Return what a run that is killed at a moment leaves when it has gone on."""
    project = source.with_name(f"killed-{moment}")
    shutil.copytree(source, project)
    for file in (project / "tasks").glob("*.py"):
        file.write_text(file.read_text().replace(str(source), str(project)))
    killed = os.WTERMSIG(run(project, moment)) if moment else 0
    ended = run(project)
    left = json.loads((project / "result.json").read_text())
    return {"killed": killed, "ended": ended, "ran": (project / "ran").read_text().split(), **left}


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
