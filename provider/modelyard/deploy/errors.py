"""Errors of deploying."""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ErrorRecord, ForeignError, ModelyardError, near_name
from modelyard.serving.errors import AddressInvalid, PortTaken

__all__ = [
    "DeploymentWithdrawn",
    "EndpointBusy",
    "EndpointNameInvalid",
    "EndpointNotFound",
    "RevisionNotReady",
    "ServingEnvironmentInvalid",
    "SettingInvalid",
    "SupervisorLost",
    "TargetNotFound",
    "restored",
]


class TargetNotFound(ModelyardError):
    """Raised when there is no such kind of place to deploy to."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(
            f"there is no deployment target {name!r}",
            where="deploy.target",
            mend=near_name(name, tuple(known)),
            facts={"target": name},
        )


class SettingInvalid(ModelyardError):
    """Raised when the environment's deploy settings break a rule."""

    kind = ErrorKind.INVALID

    def __init__(self, setting: str, rule: str, known: Sequence[str] = ()) -> None:
        mend = near_name(setting, tuple(known)) if known else ""
        super().__init__(rule, where=f"deploy.{setting}", mend=mend, facts={"setting": setting})


class EndpointNameInvalid(ModelyardError):
    """Raised when a name cannot be an endpoint's."""

    kind = ErrorKind.INVALID

    def __init__(self, name: str) -> None:
        super().__init__(
            f"an endpoint's name is made of at most 63 letters, digits, - and _, and begins with one of the first two, "
            f"got {name!r}",
            where="endpoint",
        )


class EndpointNotFound(ModelyardError):
    """Raised when there is no such endpoint."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no endpoint {name!r}", mend=near_name(name, tuple(known)), facts={"endpoint": name})


class EndpointBusy(ModelyardError):
    """Raised when another process is deploying or removing the same endpoint for too long."""

    kind = ErrorKind.CONFLICT

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(
            f"another deployment has been at work for more than {seconds:g} s",
            where=f"endpoint {name}",
            mend="Wait for it, or end it.",
            facts={"endpoint": name},
        )


class RevisionNotReady(ModelyardError):
    """Raised when the workers of a new revision do not get ready; what answered before still does.

    Parameters
    ----------
    endpoint, revision
        Which.
    reason
        What the supervisor saw.
    log
        The worker's last lines.
    cause
        The kind of what went wrong inside the worker.
    """

    kind = ErrorKind.USER_CODE

    def __init__(
        self,
        endpoint: str,
        revision: str,
        reason: str,
        log: Sequence[str],
        cause: ErrorKind = ErrorKind.USER_CODE,
    ) -> None:
        said = f" The worker's last lines: {' / '.join(line.strip() for line in log[-6:])}" if log else ""
        facts = {"endpoint": endpoint, "revision": revision, "reason": reason, "log": list(log), "cause": str(cause)}
        super().__init__(
            f"the revision {revision} did not get ready: {reason}",
            where=f"endpoint {endpoint}",
            mend=f"Nothing was changed.{said}",
            facts=facts,
        )
        self._kind: ErrorKind = cause

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of what went wrong inside the worker."""
        return self._kind


class DeploymentWithdrawn(ModelyardError):
    """Raised when a deployment was given up before its revision got traffic."""

    kind = ErrorKind.CANCELLED

    def __init__(self, endpoint: str, revision: str) -> None:
        super().__init__(
            f"the deployment of revision {revision} was withdrawn",
            where=f"endpoint {endpoint}",
            facts={"endpoint": endpoint, "revision": revision},
        )


class SupervisorLost(ModelyardError):
    """Raised when the process that keeps the endpoint does not stay up."""

    kind = ErrorKind.LOST

    def __init__(self, endpoint: str, log: Sequence[str]) -> None:
        said = f" Its last lines: {' / '.join(line.strip() for line in log)}" if log else ""
        super().__init__(
            "the endpoint's supervisor ended without an answer",
            where=f"endpoint {endpoint}",
            mend=f"Deploy again.{said}",
            facts={"endpoint": endpoint, "log": list(log)},
        )


class ServingEnvironmentInvalid(ModelyardError):
    """Raised when the interpreter that should serve cannot."""

    kind = ErrorKind.INVALID

    def __init__(self, python: str, reason: str, mend: str = "") -> None:
        super().__init__(reason, where=f"deploy.python {python}", mend=mend, facts={"python": python})


def restored(record: ErrorRecord) -> ModelyardError:
    """Return the error that a supervisor reported, as the class that callers catch.

    Examples
    --------
    >>> restored(PortTaken("127.0.0.1", 80).record())
    PortTaken('the port 80 on 127.0.0.1 is taken')
    """
    facts = record.facts
    if record.type == "PortTaken":
        return PortTaken(facts["host"], facts["port"])
    if record.type == "AddressInvalid":
        return AddressInvalid(facts["host"], facts["port"], facts["reason"])
    if record.type == "RevisionNotReady":
        return RevisionNotReady(
            facts["endpoint"], facts["revision"], facts["reason"], facts["log"], ErrorKind(facts["cause"])
        )
    return ForeignError(record)
