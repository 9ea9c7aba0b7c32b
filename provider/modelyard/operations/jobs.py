"""Jobs: the folder of one attempt, and what it tells about the worker."""

import os
import shutil
from pathlib import Path
from typing import TypeVar

import msgspec

from modelyard.operations.atomic import write_atomically
from modelyard.operations.errors import JournalDamaged
from modelyard.operations.handles import Handle, Sight
from modelyard.operations.invocation import Invocation
from modelyard.operations.locks import FileLock, is_locked
from modelyard.operations.processes import booted_at, host_name
from modelyard.operations.results import WorkResult, encode_result, read_result

__all__ = ["STALE_AFTER", "Job"]

STALE_AFTER = 60.0
"""Seconds without a heartbeat after which a worker that cannot be seen otherwise is taken for gone."""

_RESERVE = 128 * 1024
"""Bytes kept free for the result file, so that a run which fills the disk can still say so."""

_TAKING = 30.0
"""Seconds to wait for the lock on ``alive``: whoever looks at it holds it for a moment."""

StructT = TypeVar("StructT", bound=msgspec.Struct)


class Job:
    """The folder of one attempt: request, handle, heartbeat, log and result.

    ::

        request.json    the invocation
        handle.json     who works on it, written by the one who started the worker and by the worker itself
        alive           locked by the worker for as long as it lives
        heartbeat       touched by the worker every second
        cancel          there if somebody wants it to stop
        log             what the worker and its children print
        result.json     how it ended: there once, whole, at the end
        scratch/        the operation's own; project/: the snapshot it runs from. Both go at the end.

    Parameters
    ----------
    folder
        The attempt's folder, ``<journal>/<key>/<generation>/<attempt>``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.scratch = folder / "scratch"
        self.snapshot = folder / "project"
        self.alive = FileLock(folder / "alive", timeout=_TAKING)

    @property
    def generation(self) -> int:
        """The generation it belongs to."""
        return int(self.folder.parent.name)

    @property
    def attempt(self) -> int:
        """Its number among the attempts of its generation."""
        return int(self.folder.name)

    def write_request(self, invocation: Invocation) -> None:
        """Write what is to be done."""
        write_atomically(self.folder / "request.json", _indented(invocation))

    def request(self) -> Invocation:
        """Return what is to be done.

        Raises
        ------
        JournalDamaged
            There is no request, or it cannot be read.
        """
        found = _read(self.folder / "request.json", Invocation)
        if found is None:
            raise JournalDamaged(str(self.folder / "request.json"), "there is none")
        return found

    def write_handle(self, handle: Handle) -> None:
        """Write who works on it."""
        write_atomically(self.folder / "handle.json", _indented(handle))

    def handle(self) -> Handle | None:
        """Return who works on it, if that is known.

        Raises
        ------
        JournalDamaged
            The file cannot be read.
        """
        return _read(self.folder / "handle.json", Handle)

    def reserve(self) -> None:
        """Take the space that the result may need."""
        with (self.folder / "reserve").open("wb") as file:
            file.write(bytes(_RESERVE))

    def write_result(self, ended: WorkResult) -> None:
        """Write how it ended, into the reserved space if there is no other."""
        (self.folder / "reserve").unlink(missing_ok=True)
        write_atomically(self.folder / "result.json", encode_result(ended))

    def result(self) -> WorkResult | None:
        """Return how it ended; None where it has not.

        Raises
        ------
        ResultUnreadable
            The file is there, but is no result.
        """
        return read_result(self.folder / "result.json")

    def beat(self) -> None:
        """Say that the worker lives.

        Raises
        ------
        FileNotFoundError
            The job's folder is gone.
        """
        heartbeat = self.folder / "heartbeat"
        heartbeat.touch()
        os.utime(heartbeat)

    def request_cancel(self) -> None:
        """Say that it shall stop."""
        (self.folder / "cancel").touch()

    @property
    def cancel_requested(self) -> bool:
        """Whether it shall stop."""
        return (self.folder / "cancel").exists()

    def is_alive(self, stale_after: float = STALE_AFTER) -> bool:
        """Whether a worker is at it, or on its way to it.

        Under the same kernel the lock on ``alive`` tells, and before the worker has taken it, its process. Elsewhere,
        as on another host that shares the folder, a heartbeat that is not stale tells as well.
        """
        if is_locked(self.alive.path):
            return True
        handle = self.handle()
        if handle is None:
            return False
        sight = handle.sight()
        if sight is Sight.HIDDEN and not handle.same_kernel:
            return not self._is_stale(handle, stale_after)
        return sight is Sight.ALIVE

    def _is_stale(self, handle: Handle, stale_after: float) -> bool:
        last = self._last_sign()
        if handle.host == host_name() and last < booted_at():
            return True
        return self._now() - last > stale_after

    def _last_sign(self) -> float:
        for name in ("heartbeat", "handle.json"):
            try:
                return (self.folder / name).stat().st_mtime
            except FileNotFoundError:
                continue
        return 0.0

    def _now(self) -> float:
        """Return the time by the clock that stamps the heartbeat: a file server's own may differ from ours."""
        probe = self.folder / ".clock"
        probe.touch()
        os.utime(probe)
        return probe.stat().st_mtime

    def last_lines(self, count: int = 3, length: int = 300) -> str:
        """Return the end of the log in one line."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
        return " / ".join(lines[-count:])[-length:]

    def tidy(self) -> None:
        """Remove what is of no use after the end: scratch, snapshot, reserve, half-written files."""
        for folder in (self.scratch, self.snapshot):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.folder / "reserve", self.folder / ".clock", *self.folder.glob(".*.tmp")):
            file.unlink(missing_ok=True)


def _indented(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _read(path: Path, kind: type[StructT]) -> StructT | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise JournalDamaged(str(path), str(error)) from error
