"""Errors of model servers."""

from collections.abc import Mapping, Sequence

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = [
    "CompilationRefused",
    "ExplanationUnavailable",
    "ModelNotLoaded",
    "ModelNotReady",
    "ModelUnknown",
    "ModelsFailed",
    "OperationUnknown",
    "ReloadRefused",
    "RemoteModelFailed",
    "VersionUnknown",
    "WarmUpFailed",
]


class ModelNotLoaded(ModelyardError):
    """Raised when a model's own `load` raised."""

    kind = ErrorKind.USER_CODE

    def __init__(self, model: str, cause: BaseException) -> None:
        super().__init__(
            f"the model cannot be loaded: {type(cause).__name__}: {cause}",
            where=model,
            facts={"cause": type(cause).__name__},
        )
        self.cause = cause


class ModelNotReady(ModelyardError):
    """Raised when a model is asked before it is ready."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, model: str, reason: str = "its ready() says no") -> None:
        super().__init__(f"the model is not ready: {reason}", where=model, mend="Ask again later.")


class ModelUnknown(ModelyardError):
    """Raised when a selection names a model that a runner does not have, or none where it must name one."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, runner: str, name: object, known: Sequence[str]) -> None:
        rule = f"the selection names the model {name!r}, which is not there" if name else "the selection names no model"
        mend = near_name(str(name), tuple(known)) if name else f"Known: {', '.join(sorted(known))}."
        super().__init__(rule, where=runner, mend=mend, facts={"model": str(name), "known": list(known)})


class OperationUnknown(ModelyardError):
    """Raised when a model is asked for something that it does not offer."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, model: str, operation: str, known: Sequence[str]) -> None:
        super().__init__(
            f"the model has no operation {operation!r}",
            where=model,
            mend=near_name(operation, tuple(known)),
            facts={"operation": operation, "known": list(known)},
        )


class VersionUnknown(ModelyardError):
    """Raised when a version of a model is asked for that is not there."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, model: str, version: str, known: Sequence[str]) -> None:
        super().__init__(
            f"the model has no version {version!r}",
            where=model,
            mend=near_name(version, tuple(known)),
            facts={"version": version, "known": list(known)},
        )


class WarmUpFailed(ModelyardError):
    """Raised when a model fails on its own example: it is not put into service."""

    kind = ErrorKind.USER_CODE

    def __init__(self, model: str, cause: BaseException) -> None:
        super().__init__(
            f"the model fails on its own example: {type(cause).__name__}: {cause}",
            where=model,
            mend="Mend the model or its input example, or say warm_up=False.",
            facts={"cause": type(cause).__name__},
        )
        self.cause = cause


class ReloadRefused(ModelyardError):
    """Raised when a model cannot be exchanged while it runs; what runs goes on running."""

    kind = ErrorKind.INVALID

    def __init__(self, model: str, rule: str, mend: str = "Open the graph again.") -> None:
        super().__init__(f"the model cannot be reloaded: {rule}", where=model, mend=mend)


class CompilationRefused(ModelyardError):
    """Raised when a model cannot be compiled, or its compiled form says something else than the model."""

    kind = ErrorKind.INVALID

    def __init__(self, model: str, rule: str, *, row: object = None, difference: float | None = None) -> None:
        facts = {"row": row, "difference": difference} if row is not None else {}
        super().__init__(
            f"the model is not compiled: {rule}",
            where=model,
            mend='Serve it as it is: leave compile="onnx" away.',
            facts=facts,
        )


class ExplanationUnavailable(ModelyardError):
    """Raised when a model's answers cannot be explained."""

    kind = ErrorKind.INVALID

    def __init__(self, model: str, rule: str) -> None:
        super().__init__(f"the model's answers cannot be explained: {rule}", where=model)


class RemoteModelFailed(ModelyardError):
    """Raised when a model elsewhere cannot be reached, or says no; a refused request stays a refused request."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, url: str, said: str, status: int = 0) -> None:
        answered = f"answered {status}" if status else "does not answer"
        super().__init__(
            f"the remote model {answered}: {said}",
            where=url,
            mend="Look into the log of that server." if status >= 500 or not status else "",
            facts={"url": url, "status": status},
        )
        self.status = status

    @property
    def error_kind(self) -> ErrorKind:
        """Not found and invalid where the other side says so; unavailable otherwise."""
        if self.status == 404:
            return ErrorKind.NOT_FOUND
        return ErrorKind.INVALID if 400 <= self.status < 500 else type(self).kind


class ModelsFailed(ModelyardError):
    """Raised when models of a runner raised: it names each of them with its own error."""

    kind = ErrorKind.USER_CODE

    def __init__(self, failures: Mapping[str, Exception]) -> None:
        told = "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in failures.items())
        count = "one model" if len(failures) == 1 else f"{len(failures)} models"
        super().__init__(f"{count} failed: {told}", facts={"models": list(failures)})
        self.failures = dict(failures)

    @property
    def error_kind(self) -> ErrorKind:
        """The kind that all of them share; an error of the models' code otherwise."""
        kinds = {each.error_kind if isinstance(each, ModelyardError) else self.kind for each in self.failures.values()}
        return kinds.pop() if len(kinds) == 1 else type(self).kind
