"""Which failures of a task are tried again, and after how long: by the kind of the error."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations import ParameterInvalid

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["KindRetryPolicy", "WorkFailed", "code_retries", "infrastructure_retries", "kind_of"]


class WorkFailed(AirflowException):
    """Raised when a task's work has failed and may have another try.

    Parameters
    ----------
    message
        What happened, in one line.
    kind
        The kind of the error.
    """

    def __init__(self, message: str, kind: ErrorKind) -> None:
        super().__init__(message)
        self.kind = kind


class KindRetryPolicy(RetryPolicy):
    """Tries the kinds of error again that it names, and fails a task at once for every other kind.

    A task's ``retries`` say how often at most. What has no kind, such as an error of another operator, is left to them.

    Parameters
    ----------
    delays
        The kinds to try again, as `ErrorKind` or by their names, each with the time to wait before; None waits the
        task's ``retry_delay``.

    Raises
    ------
    ParameterInvalid
        There is no such kind, or the time is none.

    Examples
    --------
    >>> policy = KindRetryPolicy({"unavailable": timedelta(minutes=2)})
    >>> decision = policy.evaluate(ConnectionRefusedError("no answer"), 1, 3)
    >>> str(decision.retry_delay), decision.reason
    ('0:02:00', 'unavailable')
    """

    def __init__(self, delays: Mapping[Any, timedelta | None]) -> None:
        if not isinstance(delays, Mapping):
            raise ParameterInvalid("delays", "a mapping of kinds of errors to times", delays)
        for kind, delay in delays.items():
            if kind not in list(ErrorKind):
                raise ParameterInvalid("delays", f"of the kinds {', '.join(ErrorKind)}", kind)
            if not isinstance(delay, timedelta | None):
                raise ParameterInvalid(f"delays.{kind}", "a timedelta, or nothing", delay)
        self.delays: dict[ErrorKind, timedelta | None] = {ErrorKind(kind): delay for kind, delay in delays.items()}

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: "Context | None" = None
    ) -> RetryDecision:
        """Return whether a failure is tried again.

        Parameters
        ----------
        exception
            What the task failed with.
        try_number, max_tries, context
            Not needed: Airflow itself counts.
        """
        del try_number, max_tries, context
        kind = kind_of(exception)
        if kind is None:
            return RetryDecision.default()
        if kind in self.delays:
            return RetryDecision.retry(self.delays[kind], reason=str(kind))
        return RetryDecision.fail(reason=str(kind))

    def serialize(self) -> dict[str, Any]:
        """Return the policy as JSON."""
        return {str(kind): delay.total_seconds() if delay is not None else None for kind, delay in self.delays.items()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> "KindRetryPolicy":
        """Return the policy that JSON describes."""
        return cls({kind: timedelta(seconds=delay) if delay is not None else None for kind, delay in data.items()})


def infrastructure_retries(
    *,
    unavailable: timedelta | None = timedelta(minutes=1),
    exhausted: timedelta | None = timedelta(minutes=10),
    lost: timedelta | None = timedelta(0),
    timeout: timedelta | None = None,
) -> KindRetryPolicy:
    """Return the preset for work that depends on services: what may pass is tried again, after a time that suits it.

    Parameters
    ----------
    unavailable
        How long to wait for a server or file system that does not answer.
    exhausted
        How long to wait for space, memory or quota.
    lost
        How long to wait after the process or host of the work is gone.
    timeout
        How long to wait after a limit of time was reached; None: the task's ``retry_delay``.

    Examples
    --------
    >>> sorted(infrastructure_retries().delays)
    [<ErrorKind.EXHAUSTED: 'exhausted'>, <ErrorKind.LOST: 'lost'>, <ErrorKind.TIMEOUT: 'timeout'>, \
<ErrorKind.UNAVAILABLE: 'unavailable'>]
    """
    return KindRetryPolicy({"unavailable": unavailable, "exhausted": exhausted, "lost": lost, "timeout": timeout})


def code_retries(delay: timedelta | None = None) -> KindRetryPolicy:
    """Return the preset for functions that sometimes fail and succeed the next time, as those that call other services.

    What `infrastructure_retries` tries again is, and also an exception in the project's own code.

    Parameters
    ----------
    delay
        How long to wait after an exception in the project's code; None: the task's ``retry_delay``.

    Examples
    --------
    >>> ErrorKind.USER_CODE in code_retries().delays
    True
    """
    return KindRetryPolicy({**infrastructure_retries().delays, "user_code": delay})


def kind_of(exception: BaseException) -> ErrorKind | None:
    """Return the kind of an exception; None where nobody has said it.

    Examples
    --------
    >>> kind_of(MemoryError()), kind_of(KeyError("x"))
    (<ErrorKind.EXHAUSTED: 'exhausted'>, None)
    """
    if isinstance(exception, WorkFailed):
        return exception.kind
    if isinstance(exception, ModelyardError):
        return exception.error_kind
    if isinstance(exception, TimeoutError | AirflowTaskTimeout):
        return ErrorKind.TIMEOUT
    if isinstance(exception, ConnectionError):
        return ErrorKind.UNAVAILABLE
    return ErrorKind.EXHAUSTED if isinstance(exception, MemoryError) else None
