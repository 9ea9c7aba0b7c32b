"""What a launcher is: where the work of an operation runs."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

from modelyard.operations.handles import Handle
from modelyard.operations.invocation import Invocation
from modelyard.operations.journal import Prepare
from modelyard.operations.progress import Progress
from modelyard.operations.states import RunState

__all__ = ["Launcher", "OnLog", "Reach"]

OnLog = Callable[[str], None]
"""Takes one line of the worker's log, without its end."""

Reach = Literal["host", "anywhere"]
"""From where a run can be followed and cancelled: from its own host, or from any."""


class Launcher(Protocol):
    """Starts work, follows it and stops it; the journal is the truth, a launcher keeps nothing that matters."""

    @property
    def reach(self) -> Reach:
        """From where its runs can be followed."""
        ...

    def submit(self, invocation: Invocation, prepare: Prepare | None = None) -> Handle:
        """Start the work of a key, or attach to it; the handle is durable before this returns."""
        ...

    def poll(self, handle: Handle) -> RunState:
        """Return the state of a run now. Never blocks."""
        ...

    def wait(
        self,
        handle: Handle,
        on_log: OnLog | None = None,
        *,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> RunState:
        """Wait until a run has come to an end or the time is over, and return its state."""
        ...

    def cancel(self, handle: Handle) -> RunState:
        """Stop a run: its processes gone, no result visible. One that has ended already stays as it is."""
        ...

    def result(self, handle: Handle) -> dict[str, Any]:
        """Return the result of a run that succeeded, else raise its error."""
        ...
