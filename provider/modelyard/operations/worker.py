"""The process that runs one job: ``python -m modelyard.operations.worker JOBFOLDER``.

It says who it is before anything else, locks the job's ``alive`` for as long as it lives, runs the operation if its
attempt is still the newest, publishes how that ended, and ends what it leaves behind in its process group.
"""

import faulthandler
import io
import logging
import os
import signal
import sys
from pathlib import Path

from modelyard.errors import ForeignError, outcome_of
from modelyard.operations.execution import Ended, carry_out
from modelyard.operations.handles import handle_of
from modelyard.operations.jobs import Job
from modelyard.operations.processes import end_group
from modelyard.operations.progress_relay import ProgressWriter
from modelyard.operations.switches import SignalSwitch

__all__ = ["main"]

_LEFTOVER_GRACE = 2.0
_NOT_OURS = 75


def main(folder: Path) -> int:
    """Run the job of a folder; return the exit code of how it ended."""
    switch = SignalSwitch()
    switch.install()
    log = _logging()
    job = Job(folder)
    if not folder.is_dir():
        log.warning("the job's folder %s is gone", folder)
        return _NOT_OURS
    key = job.request().key
    handle = handle_of(
        os.getpid(), launcher="process", key=key, generation=job.generation, attempt=job.attempt, folder=folder
    )
    try:
        job.write_handle(handle)
    except FileNotFoundError:  # somebody else's job ended meanwhile, and what is half-written was cleared away
        log.info("attempt %d is not wanted any more", job.attempt)
        return _NOT_OURS
    job.alive.take()
    progress = ProgressWriter(job.folder / "progress.json")
    ended = carry_out(job, switch, progress=progress, log=log, trace=sys.stderr.write)
    # From here on nothing is left to be stopped, and the group's own end must not end this process.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if handle.group == os.getpid():
        end_group(handle.group, grace=_LEFTOVER_GRACE, spare=os.getpid())
    return _told(ended, log)


def _told(ended: Ended | None, log: logging.Logger) -> int:
    if ended is None:
        return _NOT_OURS
    error = ended.result.error
    if error is None:
        return 0
    log.error("%s", ForeignError(error))
    return outcome_of(error.kind).exit_code


def _logging() -> logging.Logger:
    """Have everything that is printed or logged reach the job's log at once, whatever the locale is."""
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    log = logging.getLogger("modelyard")
    log.setLevel(logging.INFO)
    return log


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
