"""Errors of graphs and of the models in them."""

from collections.abc import Sequence
from inspect import iscoroutine

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = [
    "EventInvalid",
    "FeatureMissing",
    "FeatureWrong",
    "FlavorUnsupported",
    "GraphInvalid",
    "LibraryMissing",
    "ModelDigestWrong",
    "ModelFilesInvalid",
    "ModelNotTrusted",
    "OpeningFailed",
    "PredictionFailed",
    "ResourceMissing",
    "StepFailed",
    "StepNotFound",
]


class ModelFilesInvalid(ModelyardError):
    """Raised when a folder does not hold a model that can be loaded."""

    kind = ErrorKind.INVALID

    def __init__(self, folder: str, rule: str) -> None:
        super().__init__(
            rule, where=folder, mend="Log the model again with the train operation.", facts={"folder": folder}
        )


class FlavorUnsupported(ModelFilesInvalid):
    """Raised when a model is of an MLflow flavour that only MLflow itself can load."""

    def __init__(self, folder: str, flavors: Sequence[str]) -> None:
        has = ", ".join(flavors) or "none"
        super().__init__(folder, f"the model needs the flavour sklearn or onnx, it has: {has}")
        self.mend = "Load it where MLflow is installed, or fit a model that follows scikit-learn."


class ModelNotTrusted(ModelyardError):
    """Raised when loading a model would run code that nobody vouches for."""

    kind = ErrorKind.DENIED

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(
            f"the model is not loaded, because loading it may run any code and {reason}",
            where=folder,
            mend="Register it in this environment's registry, or say trust if you know where it comes from.",
            facts={"folder": folder},
        )


class ModelDigestWrong(ModelNotTrusted):
    """Raised when the files of a model are not the ones that were registered."""

    def __init__(self, folder: str, expected: str, found: str) -> None:
        super().__init__(folder, f"its files have the digest {found[:16]}…, not the registered {expected[:16]}…")
        self.facts.update(expected=expected, found=found)


class LibraryMissing(ModelyardError):
    """Raised when a library that the model or server needs is not installed."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, library: str, purpose: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed",
            mend=f'Install it: pip install "modelyard[{extra}]".' if extra else f"Install {library} there.",
            facts={"library": library, "extra": extra},
        )


class FeatureMissing(ModelyardError):
    """Raised when a row lacks a feature of the model."""

    kind = ErrorKind.INVALID

    def __init__(self, feature: str, given: Sequence[str], row: int) -> None:
        super().__init__(
            f"the feature {feature!r} is missing",
            where=f"row {row}",
            mend=f"Given: {', '.join(given)}." if given else "The row is empty.",
            facts={"feature": feature, "row": row},
        )


class FeatureWrong(ModelyardError):
    """Raised when a row does not fit the model: a value, the number of values, or an unknown name."""

    kind = ErrorKind.INVALID

    def __init__(self, rule: str, row: int, *, name: str = "", known: Sequence[str] = ()) -> None:
        mend = near_name(name, tuple(known)) if name and known else ""
        super().__init__(rule, where=f"row {row}", mend=mend, facts={"row": row})


class PredictionFailed(ModelyardError):
    """Raised when the model itself raised while predicting; a ValueError is taken for bad input."""

    kind = ErrorKind.USER_CODE

    def __init__(self, model: str, cause: BaseException) -> None:
        said = str(cause).partition("\n")[0]
        super().__init__(
            f"the model raised {type(cause).__name__}: {said}", where=model, mend="Check the row against the model."
        )
        self._is_input = isinstance(cause, ValueError)

    @property
    def error_kind(self) -> ErrorKind:
        """Bad input where the model says so, a defect of the model otherwise."""
        return ErrorKind.INVALID if self._is_input else type(self).kind


class GraphInvalid(ModelyardError):
    """Raised when a graph's definition breaks a rule."""

    kind = ErrorKind.INVALID

    def __init__(self, graph: str, rule: str, *, step: str = "", mend: str = "", drawing: str = "") -> None:
        places = [f"{what} {name}" for what, name in (("graph", graph), ("step", step)) if name]
        super().__init__(rule, where=", ".join(places), mend=mend, facts={"graph": graph, "step": step})
        self.drawing = drawing

    def __str__(self) -> str:
        said = super().__str__()
        return f"{said}\n{self.drawing}" if self.drawing else said


class StepNotFound(ModelyardError):
    """Raised when a step's dotted path leads nowhere."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, path: str, reason: str, known: Sequence[str] = (), name: str = "") -> None:
        mend = near_name(name, tuple(known)) if known else "Write it as package.module:name."
        super().__init__(f"there is no step {path!r}: {reason}", mend=mend, facts={"step": path})


class ResourceMissing(ModelyardError):
    """Raised when a graph opens without something from the outside that it needs."""

    kind = ErrorKind.INVALID

    def __init__(self, graph: str, step: str, resource: str) -> None:
        super().__init__(
            f"the step needs {resource}, and the graph was opened without",
            where=f"graph {graph}, step {step}",
            mend=f"Hand it over: Resources({resource}=…).",
            facts={"graph": graph, "step": step, "resource": resource},
        )


class OpeningFailed(ModelyardError):
    """Raised when a resource of a graph, or a step that is a context manager, cannot be opened."""

    kind = ErrorKind.USER_CODE

    def __init__(self, graph: str, what: str, cause: Exception) -> None:
        said = str(cause) if isinstance(cause, ModelyardError) else f"{type(cause).__name__}: {cause}"
        super().__init__(
            f"{what} could not be opened: {said}",
            where=f"graph {graph}",
            facts={"graph": graph, "cause": type(cause).__name__},
        )
        self.cause = cause

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of the cause, where it has one."""
        return self.cause.error_kind if isinstance(self.cause, ModelyardError) else type(self).kind


class EventInvalid(ModelyardError):
    """Raised by a project's own step to refuse an event that breaks a rule; the sender gets the rule and status 422.

    Examples
    --------
    >>> print(EventInvalid("must be a time such as 17:45", field="scheduled", mend="Send HH:MM."))
    scheduled: must be a time such as 17:45. Send HH:MM.
    """

    kind = ErrorKind.INVALID

    def __init__(self, rule: str, *, field: str = "", mend: str = "") -> None:
        super().__init__(rule, where=field, mend=mend, facts={"field": field} if field else {})


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as again:  # noqa: BLE001 (an error that cannot be told is one still)
        return f"(its text cannot be had: {type(again).__name__})"


class StepFailed(ModelyardError):
    """Raised when a step raised: it names graph, step and event, and keeps the cause and its kind.

    Parameters
    ----------
    graph, step, event
        Where it happened: the names, and the event's id.
    cause
        What the step raised.
    body
        What the step got; a coroutine that nobody awaited is told.
    """

    kind = ErrorKind.USER_CODE

    def __init__(self, graph: str, step: str, event: str, cause: BaseException, body: object = None) -> None:
        if isinstance(cause, ModelyardError):
            place = f"{cause.where}: " if cause.where else ""
            what, mend, facts = f"{place}{cause.what}", cause.mend, cause.facts
        else:
            said = _text_of(cause)
            what, mend, facts = f"the step raised {type(cause).__name__}{said and ': '}{said}", "", {}
            if iscoroutine(body):
                body.close()
                mend = "It got a coroutine that nobody awaited: declare the step before it with async def."
        super().__init__(
            what,
            where=f"graph {graph}, step {step}, event {event}",
            mend=mend,
            facts={**facts, "graph": graph, "step": step, "event": event, "cause": type(cause).__name__},
        )
        self.cause = cause

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of the cause, where it has one: a refused row stays a refused row."""
        return self.cause.error_kind if isinstance(self.cause, ModelyardError) else type(self).kind
