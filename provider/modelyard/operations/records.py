"""Records: what the journal says of one generation of a key."""

from datetime import UTC, datetime

import msgspec

from modelyard.errors import ErrorRecord
from modelyard.operations.states import RunState

__all__ = ["Attempt", "Record"]


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One worker's go at the work.

    Parameters
    ----------
    number
        Counted from 1 within the generation.
    state
        How far it came.
    created, started, finished
        When it was started by a launcher, taken up by its worker, and found at its end.
    error
        Why it did not succeed.
    """

    number: int
    state: RunState
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    error: ErrorRecord | None = None


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One generation of a key: at most one of its attempts succeeds.

    Parameters
    ----------
    key, generation
        Which.
    operation
        The operation of the newest attempt.
    attempts
        All attempts, the newest last.
    acknowledged
        When a door said that it has published the result; the next start opens another generation.
    """

    key: str
    generation: int
    operation: str
    attempts: tuple[Attempt, ...]
    acknowledged: datetime | None = None

    @property
    def newest(self) -> Attempt:
        """The newest attempt."""
        return self.attempts[-1]

    @property
    def state(self) -> RunState:
        """The state of the newest attempt."""
        return self.newest.state

    def begun(self) -> "Record":
        """Return the record after a worker took up the newest attempt."""
        return self._with(msgspec.structs.replace(self.newest, state=RunState.RUNNING, started=_now()))

    def ended(self, state: RunState, error: ErrorRecord | None = None) -> "Record":
        """Return the record after the newest attempt came to an end."""
        return self._with(msgspec.structs.replace(self.newest, state=state, finished=_now(), error=error))

    def seen(self, state: RunState) -> "Record":
        """Return the record as it looks now, where that is not written yet."""
        return self._with(msgspec.structs.replace(self.newest, state=state))

    def with_attempt(self, operation: str) -> "Record":
        """Return the record with one more attempt, queued."""
        attempt = Attempt(self.newest.number + 1, RunState.QUEUED, _now())
        return msgspec.structs.replace(self, operation=operation, attempts=(*self.attempts, attempt))

    def confirmed(self) -> "Record":
        """Return the record after its result was published."""
        return msgspec.structs.replace(self, acknowledged=_now())

    @classmethod
    def first(cls, key: str, generation: int, operation: str) -> "Record":
        """Return the record of a generation with its first attempt, queued."""
        return cls(key, generation, operation, (Attempt(1, RunState.QUEUED, _now()),))

    def _with(self, attempt: Attempt) -> "Record":
        return msgspec.structs.replace(self, attempts=(*self.attempts[:-1], attempt))


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
