"""Errors of tracking and of the model registry."""

import re
from collections.abc import Sequence

from modelyard.errors import ErrorKind, ModelyardError, near_name
from modelyard.projects.credentials import without_credentials

__all__ = [
    "AliasMoved",
    "AliasNotFound",
    "ArtifactsNotAccessible",
    "MirrorInvalid",
    "MirrorRefused",
    "MirrorUnreachable",
    "ModelNameInvalid",
    "ModelNotFound",
    "ModelNotLoggable",
    "ModelReferenceInvalid",
    "ModelVersionNotFound",
    "RunFinished",
    "RunSuperseded",
    "TrackingDenied",
    "TrackingFull",
    "TrackingRefused",
    "TrackingSchemaOld",
    "TrackingUnavailable",
    "shown",
]

_SECRETS = re.compile(r"(?i)([?&][^=&\s]*(?:password|token|secret|key)[^=&\s]*=)[^&\s]+")


def shown(text: str) -> str:
    """Return an address, or a sentence that holds one, without user names, passwords and tokens.

    Examples
    --------
    >>> shown("cannot reach https://ann:s3cret@mlflow.example/api?token=abc")
    'cannot reach https://mlflow.example/api?token=…'
    """
    return _SECRETS.sub(r"\1…", without_credentials(" ".join(text.split())))


class TrackingUnavailable(ModelyardError):
    """Raised when the tracking server or database does not answer."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, uri: str, reason: str) -> None:
        place = shown(uri)
        mend = (
            "Start the server, or correct the environment's tracking address."
            if place.startswith("http")
            else "Check that the database exists, is writable, and is not in use by something that locks it."
        )
        super().__init__(
            f"the tracking store does not answer ({shown(reason)[:200]})", where=place, mend=mend, facts={"uri": place}
        )


class TrackingDenied(ModelyardError):
    """Raised when the tracking server does not accept the credentials."""

    kind = ErrorKind.DENIED

    def __init__(self, uri: str, reason: str) -> None:
        place = shown(uri)
        super().__init__(
            f"the tracking server refuses access ({shown(reason)[:200]})",
            where=place,
            mend="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
            facts={"uri": place},
        )


class TrackingFull(ModelyardError):
    """Raised when there is no space left for runs or models."""

    kind = ErrorKind.EXHAUSTED

    def __init__(self, uri: str, what: str) -> None:
        place = shown(uri)
        super().__init__(
            f"no space is left for {what}", where=place, mend="Free some space and try again.", facts={"uri": place}
        )


class ArtifactsNotAccessible(ModelyardError):
    """Raised when the folder of the artifacts cannot be written or read."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, uri: str, reason: str, path: str) -> None:
        place = shown(uri)
        super().__init__(
            f"a file cannot be written or read: {reason}",
            where=path or place,
            mend="Check the environment's artifacts folder and its permissions.",
            facts={"uri": place, "path": path},
        )


class TrackingSchemaOld(ModelyardError):
    """Raised when the tracking database was made by another version of MLflow."""

    kind = ErrorKind.CONFLICT

    def __init__(self, uri: str) -> None:
        place = shown(uri)
        super().__init__(
            "the tracking database has the schema of another MLflow version",
            where=place,
            mend=f"Back it up, then run: mlflow db upgrade {place}.",
            facts={"uri": place},
        )


class TrackingRefused(ModelyardError):
    """Raised when MLflow refuses what it is given: a name, a value, a state."""

    kind = ErrorKind.INVALID

    def __init__(self, uri: str, reason: str) -> None:
        place = shown(uri)
        super().__init__(shown(reason)[:400], where=place, facts={"uri": place})


class RunFinished(ModelyardError):
    """Raised when a run is started for work that another attempt has just finished."""

    kind = ErrorKind.CONFLICT

    def __init__(self, run_id: str, key: str, generation: int) -> None:
        super().__init__(
            f"the work {key!r}, generation {generation}, is finished already",
            where=f"run {run_id}",
            mend="Start it again with the same key to get its result.",
            facts={"run_id": run_id, "key": key, "generation": generation},
        )


class RunSuperseded(ModelyardError):
    """Raised when a run ends after a later attempt at the same work has taken over."""

    kind = ErrorKind.CONFLICT

    def __init__(self, run_id: str, later: str) -> None:
        super().__init__(
            f"the run {run_id} is superseded by a later attempt at the same work",
            where=f"run {run_id}",
            mend=f"Look at run {later}." if later else "",
            facts={"run_id": run_id, "superseded_by": later},
        )


class ModelReferenceInvalid(ModelyardError):
    """Raised when a text is no reference to a model."""

    kind = ErrorKind.INVALID

    def __init__(self, reference: str, rule: str = "") -> None:
        super().__init__(
            f"{reference!r} is no model reference{f': {rule}' if rule else ''}",
            mend="Write models:/name@alias, models:/name/3, models:/m-… or runs:/run-id/model.",
            facts={"reference": reference},
        )


class ModelNameInvalid(ModelyardError):
    """Raised when a text cannot be the name of a registered model or of an alias."""

    kind = ErrorKind.INVALID

    def __init__(self, name: str, rule: str, *, what: str = "model name") -> None:
        super().__init__(f"the {what} {name!r} {rule}", facts={"name": name})


class ModelNotFound(ModelyardError):
    """Raised when a reference leads to no model."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, reference: str, *, name: str = "", known: Sequence[str] = (), reason: str = "") -> None:
        super().__init__(
            reason or f"there is no registered model {name!r}",
            where=reference,
            mend=near_name(name, tuple(known)) if name else "Check the identifier, and which environment you are in.",
            facts={"reference": reference},
        )


class ModelVersionNotFound(ModelyardError):
    """Raised when a registered model has no such version."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, reference: str, name: str, version: int, known: Sequence[int]) -> None:
        newest = sorted(known)[-5:]
        super().__init__(
            f"the model {name!r} has no version {version}",
            where=reference,
            mend=f"Newest versions: {', '.join(map(str, newest))}." if newest else "It has no version at all.",
            facts={"reference": reference, "name": name, "version": version},
        )


class AliasNotFound(ModelyardError):
    """Raised when a registered model has no such alias."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, reference: str, name: str, alias: str, known: Sequence[str]) -> None:
        mend = near_name(alias, tuple(known)) if known else "It has none yet: promote a version first."
        super().__init__(
            f"the model {name!r} has no alias {alias!r}",
            where=reference,
            mend=mend,
            facts={"reference": reference, "name": name, "alias": alias},
        )


class AliasMoved(ModelyardError):
    """Raised when an alias is no longer where the one who moves it believes."""

    kind = ErrorKind.CONFLICT

    def __init__(self, name: str, alias: str, expected: int | None, found: int | None) -> None:
        super().__init__(
            f"the alias {alias!r} is {_at(found)}, not {_at(expected)} as expected",
            where=f"models:/{name}@{alias}",
            mend="Somebody else moved it: look at what it points to now and decide again.",
            facts={"name": name, "alias": alias, "expected": expected, "found": found},
        )


class ModelNotLoggable(ModelyardError):
    """Raised when an object is no model that can be stored."""

    kind = ErrorKind.USER_CODE

    def __init__(self, given: object, reason: str) -> None:
        kind = type(given)
        super().__init__(
            f"an object of type {kind.__module__}.{kind.__qualname__} cannot be stored as a model: {reason}",
            mend="Return a fitted estimator with predict(), an mlflow.pyfunc.PythonModel, "
            "or a model of another MLflow flavour.",
            facts={"type": f"{kind.__module__}.{kind.__qualname__}"},
        )


def _at(version: int | None) -> str:
    return "not set" if version is None else f"at version {version}"


class MirrorInvalid(ModelyardError):
    """Raised when an environment names something else than the address of a Model Registry of Kubeflow."""

    kind = ErrorKind.INVALID

    def __init__(self, environment: str, found: object) -> None:
        super().__init__(
            f"the model registry must be an address, got {found!r}",
            where=f"environments.{environment}.kfp.model_registry",
            mend="Write one such as https://registry.example.com.",
        )


class MirrorUnreachable(ModelyardError):
    """Raised when a Model Registry of Kubeflow does not answer; the version is registered in MLflow all the same."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(
            f"Kubeflow's Model Registry does not answer ({shown(reason)[:200]})",
            where=shown(endpoint),
            mend="Register once more when it does: the version in MLflow is there, and stays the same.",
            facts={"endpoint": shown(endpoint)},
        )


class MirrorRefused(ModelyardError):
    """Raised when a Model Registry of Kubeflow refuses a request; the version is registered in MLflow all the same."""

    def __init__(self, endpoint: str, request: str, status: int, reason: str) -> None:
        self.status = status
        super().__init__(
            f"Kubeflow's Model Registry answered {request} with {status}: {reason}",
            where=shown(endpoint),
            mend="Set MODELYARD_MODEL_REGISTRY_TOKEN." if status in (401, 403) else "",
            facts={"endpoint": shown(endpoint), "status": status},
        )

    @property
    def error_kind(self) -> ErrorKind:
        """The kind that the status stands for."""
        known = {
            401: ErrorKind.DENIED,
            403: ErrorKind.DENIED,
            404: ErrorKind.NOT_FOUND,
            409: ErrorKind.CONFLICT,
            429: ErrorKind.EXHAUSTED,
        }
        return known.get(self.status, ErrorKind.UNAVAILABLE if self.status >= 500 else ErrorKind.INVALID)
