"""Errors of deploying."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from modelyard.errors import ErrorKind, ErrorRecord, ForeignError, ModelyardError, near_name
from modelyard.serving.errors import AddressInvalid, PortTaken

__all__ = [
    "DeploymentWithdrawn",
    "EndpointBusy",
    "EndpointNameInvalid",
    "EndpointNotFound",
    "ReloadIncomplete",
    "RevisionNotFound",
    "RevisionNotReady",
    "RolloutFailed",
    "ServingEnvironmentInvalid",
    "SettingInvalid",
    "SupervisorLost",
    "TargetNotFound",
    "located",
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

    def __init__(self, setting: str, rule: str, known: Sequence[str] = (), *, place: str = "") -> None:
        mend = near_name(setting.rpartition(".")[2], tuple(known)) if known else ""
        where = f"{place}: deploy.{setting}" if place else f"deploy.{setting}"
        super().__init__(rule, where=where, mend=mend, facts={"setting": setting})
        self._given = (setting, rule, tuple(known))

    def at(self, places: Mapping[str, str]) -> "SettingInvalid":
        """Return the same error with the line of modelyard.yaml that it is about.

        Parameters
        ----------
        places
            ``file:line`` by the path of the field below the environment.

        Examples
        --------
        >>> str(SettingInvalid("workers", "must be from 1 to 64, got 0").at({"deploy.workers": "modelyard.yaml:9"}))
        'modelyard.yaml:9: deploy.workers: must be from 1 to 64, got 0.'
        """
        setting, rule, known = self._given
        path = f"deploy.{setting}"
        while path and path not in places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return SettingInvalid(setting, rule, known, place=places[path]) if path else self


@contextmanager
def located(places: Mapping[str, str]) -> Iterator[None]:
    """Let a `SettingInvalid` that is raised in the block name the line of modelyard.yaml."""
    try:
        yield
    except SettingInvalid as error:
        raise error.at(places) from None


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


class RevisionNotFound(ModelyardError):
    """Raised when an endpoint has no such earlier revision any more."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, endpoint: str, revision: str, known: Sequence[str]) -> None:
        what = f"there is no revision {revision!r}" if revision else "there is no earlier revision"
        mend = f"Kept: {', '.join(known)}." if known else "Deploy what shall answer."
        super().__init__(what, where=f"endpoint {endpoint}", mend=mend, facts={"endpoint": endpoint})


class RolloutFailed(ModelyardError):
    """Raised when a revision was tried on live traffic and rolled back.

    Parameters
    ----------
    endpoint, revision
        Which.
    reason
        What decided it.
    """

    kind = ErrorKind.GATE_FAILED

    def __init__(self, endpoint: str, revision: str, reason: str) -> None:
        super().__init__(
            f"the revision {revision} was rolled back: {reason}",
            where=f"endpoint {endpoint}",
            mend="The revision before answers everything.",
            facts={"endpoint": endpoint, "revision": revision, "reason": reason},
        )


class ReloadIncomplete(ModelyardError):
    """Raised when some of an endpoint's workers could not load a model anew: all of them serve the old one then."""

    kind = ErrorKind.CONFLICT

    def __init__(self, model: str, workers: int, failed: Mapping[int, str]) -> None:
        told = "; ".join(f"worker {pid}: {reason}" for pid, reason in failed.items()) or "none of them is up"
        super().__init__(
            f"{len(failed) or workers} of {workers} workers did not load {model} anew: {told}",
            mend="The old one answers everywhere; mend what they say, and ask again.",
            facts={"model": model, "workers": workers, "failed": len(failed)},
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
