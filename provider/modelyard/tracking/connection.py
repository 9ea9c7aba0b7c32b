"""The border to MLflow: opened quietly, quickly and once, its errors turned into ours."""

import errno
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from modelyard.tracking.errors import (
    TrackingDenied,
    TrackingFull,
    TrackingRefused,
    TrackingSchemaOld,
    TrackingUnavailable,
)
from modelyard.tracking.leases import lease

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["border", "connect", "prepare_mlflow", "speaking", "unwarned"]

P = ParamSpec("P")
R = TypeVar("R")

SETTINGS = {
    # Minutes of silent retries are worse than an error with a mend: the orchestrator retries the whole operation.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_PRINT_MODEL_URLS_ON_CREATION": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
}
"""What is set for MLflow in this process, unless the user has set it already."""

PROBE_SECONDS = 5.0
SCHEMA_SECONDS = 300.0
_opened: set[str] = set()


class HasUri(Protocol):
    """Something that speaks to one tracking store."""

    @property
    def uri(self) -> str:
        """The store's address."""


def prepare_mlflow() -> None:
    """Make MLflow quiet and quick to give up; to be called before its first import.

    Raises
    ------
    LibraryMissing
        MLflow is not installed here.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if "mlflow" not in sys.modules:
        with unwarned():
            _import_mlflow()
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _import_mlflow() -> None:
    from modelyard.graphs.errors import LibraryMissing

    try:
        import mlflow
    except ModuleNotFoundError as error:
        if error.name != "mlflow":
            raise
        raise LibraryMissing("mlflow", "tracking", "ml") from error
    del mlflow


def connect(uri: str, state: Path) -> "MlflowClient":
    """Return a client of the tracking store at `uri` that is known to answer.

    Parameters
    ----------
    uri
        A database (``sqlite:////folder/mlflow.db``) or a server (``https://…``).
    state
        Where the lease lies under which a database's schema is made.

    Raises
    ------
    TrackingUnavailable
        Nobody answers; found out in seconds.
    """
    prepare_mlflow()
    with speaking(uri):
        if uri.startswith(("http://", "https://")):
            _probe(uri)
            return _client(uri)
        if uri in _opened:
            return _client(uri)
        # MLflow makes and migrates the schema of a new database without a lock of its own: of several first users
        # all but one would die in the migration.
        with lease(_schema_lock(uri, state), "the schema of the tracking database", seconds=SCHEMA_SECONDS), unwarned():
            client = _client(uri)
            client.search_registered_models(max_results=1)
            _opened.add(uri)
            return client


@contextmanager
def unwarned() -> Iterator[None]:
    """Swallow the warnings that MLflow's own use of its libraries causes: the user can do nothing about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _client(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _schema_lock(uri: str, state: Path) -> Path:
    if uri.startswith("sqlite:///"):
        database = Path(uri.removeprefix("sqlite:///").partition("?")[0])
        database.parent.mkdir(parents=True, exist_ok=True)
        return database.with_name(f"{database.name}.lock")
    return state / "locks" / f"schema-{sha256(uri.encode()).hexdigest()[:16]}.lock"


def _probe(uri: str) -> None:
    import requests

    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    verify: bool | str = False if insecure else os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True
    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=PROBE_SECONDS, verify=verify)
    except requests.RequestException as error:
        raise TrackingUnavailable(uri, _root_cause(error)) from error
    if answer.status_code in (502, 503, 504):
        raise TrackingUnavailable(uri, f"HTTP status {answer.status_code}")


def _root_cause(error: BaseException) -> str:
    """Return the innermost reason, which is the one a person can use ("Connection refused")."""
    seen: BaseException = error
    while True:
        inner = seen.__cause__ or seen.__context__
        reason = getattr(seen, "reason", None)
        if isinstance(reason, BaseException):
            inner = reason
        if inner is None or inner is seen:
            break
        seen = inner
    return getattr(seen, "strerror", None) or str(seen) or type(seen).__name__


@contextmanager
def speaking(uri: str) -> Iterator[None]:
    """Turn what MLflow and its libraries raise into errors of this package.

    Parameters
    ----------
    uri
        The store that is spoken to, for the message.
    """
    prepare_mlflow()
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise _translated(uri, error) from error
    except requests.RequestException as error:
        raise TrackingUnavailable(uri, _root_cause(error)) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TrackingFull(uri, str(error.filename or "artifacts")) from error
        raise


def _translated(uri: str, error: Any) -> Exception:
    text = str(error)
    status = error.get_http_status_code()
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT):
        return TrackingFull(uri, "artifacts")
    if "disk is full" in text or "No space left on device" in text:
        return TrackingFull(uri, "the tracking database")
    if "out-of-date database schema" in text or "Can't locate revision" in text:
        return TrackingSchemaOld(uri)
    if status in (401, 403) or "error code 401" in text or "error code 403" in text:
        return TrackingDenied(uri, text)
    if error.error_code == "TEMPORARILY_UNAVAILABLE" or "API request to" in text and "failed with" in text:
        return TrackingUnavailable(uri, text if "(" not in text[:40] else text.rpartition("(")[0])
    return TrackingRefused(uri, text)


def border(method: "Callable[Concatenate[Any, P], R]") -> "Callable[Concatenate[Any, P], R]":
    """Wrap a method of something that has a `uri`, so that what it raises is ours."""

    @wraps(method)
    def wrapped(self: HasUri, *args: P.args, **kwargs: P.kwargs) -> R:
        with speaking(self.uri):
            return method(self, *args, **kwargs)

    return wrapped
