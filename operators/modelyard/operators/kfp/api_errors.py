"""Errors of a KFP server's API and of the runs behind it."""

from modelyard.errors import ErrorKind, ModelyardError, near_name
from modelyard.operations import RunState

__all__ = [
    "ApiRefused",
    "ApiUnreachable",
    "ArgumentInvalid",
    "PackageUnreadable",
    "PipelineNotFound",
    "RunFailed",
    "StateUnknown",
    "VersionNotFound",
]

_KINDS = {
    400: ErrorKind.INVALID,
    401: ErrorKind.DENIED,
    403: ErrorKind.DENIED,
    404: ErrorKind.NOT_FOUND,
    409: ErrorKind.CONFLICT,
    429: ErrorKind.EXHAUSTED,
}


class ApiUnreachable(ModelyardError):
    """Raised when a KFP server does not answer."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(
            f"the KFP server does not answer: {reason}",
            where=endpoint,
            mend="Name it with KF_PIPELINES_ENDPOINT, and check that it can be reached from here.",
            facts={"endpoint": endpoint},
        )


class ApiRefused(ModelyardError):
    """Raised when a KFP server refuses a request."""

    def __init__(self, endpoint: str, request: str, status: int, reason: str) -> None:
        self.status = status
        super().__init__(
            f"the KFP server answered {request} with {status}: {reason}",
            where=endpoint,
            facts={"endpoint": endpoint, "status": status},
        )

    @property
    def error_kind(self) -> ErrorKind:
        """The kind that the status stands for."""
        return _KINDS.get(self.status, ErrorKind.UNAVAILABLE if self.status >= 500 else ErrorKind.INVALID)


class RunFailed(ModelyardError):
    """Raised when a run of a pipeline has failed or was ended."""

    def __init__(self, run_id: str, state: RunState, message: str) -> None:
        self.state = state
        super().__init__(
            f"the run is {state}{f': {message}' if message else ''}",
            where=run_id,
            mend="The logs of its tasks are on KFP's page of the run.",
            facts={"run_id": run_id, "state": str(state)},
        )

    @property
    def error_kind(self) -> ErrorKind:
        """Whether somebody ended it, or it failed."""
        return ErrorKind.CANCELLED if self.state is RunState.CANCELLED else ErrorKind.USER_CODE


class StateUnknown(ModelyardError):
    """Raised when a KFP server names a state that this version does not know: no reason to wait for ever."""

    kind = ErrorKind.INTERNAL

    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(
            f"the server says that the run is {state!r}, which means nothing here",
            where=run_id,
            mend="Take a newer modelyard.",
            facts={"run_id": run_id, "state": state},
        )


class PipelineNotFound(ModelyardError):
    """Raised when a KFP server has no pipeline of a name."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, endpoint: str, name: str) -> None:
        super().__init__(
            f"the KFP server has no pipeline {name!r}", where=endpoint, mend="Upload it.", facts={"pipeline": name}
        )


class VersionNotFound(ModelyardError):
    """Raised when a pipeline has no version of a name, or none at all."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, pipeline_id: str, version: str, known: list[str]) -> None:
        super().__init__(
            f"the pipeline has no version {version!r}" if version else "the pipeline has no version",
            where=pipeline_id,
            mend=near_name(version, known) if version else "Upload one.",
            facts={"pipeline_id": pipeline_id, "version": version},
        )


class PackageUnreadable(ModelyardError):
    """Raised when a file is no compiled pipeline."""

    kind = ErrorKind.INVALID

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"the file is no compiled pipeline: {reason}",
            where=path,
            mend="Make it with modelyard workflows compile --engine kfp, or with KFP's compiler.",
        )


class ArgumentInvalid(ModelyardError):
    """Raised when an argument does not fit the parameters that a pipeline declares."""

    kind = ErrorKind.INVALID

    def __init__(self, pipeline: str, name: str, rule: str, mend: str = "") -> None:
        super().__init__(f"{name}: {rule}", where=f"pipeline {pipeline}", mend=mend, facts={"argument": name})
