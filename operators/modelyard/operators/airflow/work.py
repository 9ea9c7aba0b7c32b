"""The work of one task while it is under way, and how it is ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from modelyard.errors import ForeignError, ModelyardError

if TYPE_CHECKING:
    from modelyard.operations.handles import Handle

__all__ = ["Work", "handle_facts", "handle_from", "is_finished"]

GRACE = 3.0
"""Seconds for the work to clean up; Airflow kills the task's own process 5 seconds after it has asked it to end."""


class Work:
    """What one try of a task has started; Airflow's signal handler ends it in the midst of anything.

    Parameters
    ----------
    inline
        Whether it runs in the task's own process.
    """

    def __init__(self, *, inline: bool) -> None:
        self.killed = False
        self._inline = inline
        self._handle: Handle | None = None
        self._is_followed = False

    @property
    def handle(self) -> "Handle | None":
        """What was started, if anything was."""
        return self._handle

    @contextmanager
    def following(self) -> Iterator[None]:
        """Open the stretch in which the task waits for its work.

        Raises
        ------
        ForeignError
            What an operation in this process raised, if it is no error of ours: as if it came from another process.
        """
        from modelyard.operations.execution import record_of

        self._is_followed = True
        try:
            yield
        except ModelyardError:
            raise
        except Exception as error:
            raise ForeignError(record_of(error)) from error
        finally:
            self._is_followed = False

    def started(self, handle: "Handle") -> None:
        """Learn what was started; end it at once if the task was killed meanwhile."""
        self._handle = handle
        if self.killed:
            self.end()

    def end(self) -> None:
        """End the work and all its processes.

        Work in this process is interrupted. Work in another is ended by a thread, because a signal may have come where
        this thread holds a lock of the journal; a task that waits for its work waits for the end by that.
        """
        from modelyard.operations.errors import CancelRequested

        self.killed = True
        if self._inline and self._is_followed:
            raise CancelRequested
        if self._handle is None or self._inline:
            return
        ending = Thread(target=_cancel, args=(self._handle,), name="modelyard-cancel")
        ending.start()
        if not self._is_followed:
            ending.join()


def _cancel(handle: "Handle") -> None:
    from modelyard.operations.jobs import Job
    from modelyard.operations.journal import Journal
    from modelyard.operations.launchers import ProcessLauncher

    ProcessLauncher(Journal.of(Job(Path(handle.folder))), grace=GRACE).cancel(handle)


def handle_facts(handle: "Handle") -> dict[str, Any]:
    """Return a handle as JSON."""
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(handle)
    return facts


def handle_from(facts: dict[str, Any]) -> "Handle":
    """Return the handle that JSON describes."""
    import msgspec

    from modelyard.operations.handles import Handle

    return msgspec.convert(facts, Handle)


def is_finished(handle: "Handle") -> bool:
    """Whether the work behind a handle has ended."""
    from modelyard.operations.launchers.registry import launcher_of

    return launcher_of(handle).poll(handle).finished
