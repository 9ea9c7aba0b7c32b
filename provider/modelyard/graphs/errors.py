"""Errors of graphs and of the models in them."""

from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError, near_name

__all__ = [
    "FeatureMissing",
    "FeatureWrong",
    "LibraryMissing",
    "ModelDigestWrong",
    "ModelFilesInvalid",
    "ModelNotTrusted",
    "PredictionFailed",
]


class ModelFilesInvalid(ModelyardError):
    """Raised when a folder does not hold a model that can be loaded."""

    kind = ErrorKind.INVALID

    def __init__(self, folder: str, rule: str) -> None:
        super().__init__(
            rule, where=folder, mend="Log the model again with the train operation.", facts={"folder": folder}
        )


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
    """Raised when the model itself raised while predicting."""

    kind = ErrorKind.USER_CODE

    def __init__(self, model: str, cause: BaseException) -> None:
        super().__init__(
            f"the model raised {type(cause).__name__}: {cause}", where=model, mend="Check the row against the model."
        )
