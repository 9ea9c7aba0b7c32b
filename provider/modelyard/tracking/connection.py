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

from modelyard.errors import ModelyardError
from modelyard.graphs.errors import LibraryMissing
from modelyard.projects.locks import locked
from modelyard.tracking.errors import TrackingFull, TrackingUnavailable, shown
from modelyard.tracking.translation import root_cause, speaking

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["SETTINGS", "border", "connect", "prepare_mlflow", "unwarned"]

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
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_opened: set[str] = set()


class HasUri(Protocol):
    """Something that speaks to one tracking store."""

    uri: str


SpeakerT = TypeVar("SpeakerT", bound=HasUri)


def prepare_mlflow() -> None:
    """Import MLflow, quiet and quick to give up; to be called before anybody else imports it.

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
        # It logs every database error with a traceback before it raises it.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _import_mlflow() -> None:
    try:
        import mlflow
    except ModuleNotFoundError as error:
        if error.name != "mlflow":
            raise
        raise LibraryMissing("mlflow", "tracking", "ml") from error
    del mlflow


@contextmanager
def unwarned() -> Iterator[None]:
    """Swallow the warnings that MLflow's own use of its libraries causes: the user can do nothing about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def connect(uri: str, state: Path) -> "MlflowClient":
    """Return a client of the tracking store at `uri` that is known to answer.

    Parameters
    ----------
    uri
        A database (``sqlite:////folder/mlflow.db``) or a server (``https://…``).
    state
        Where the lock lies under which a database's schema is made.

    Raises
    ------
    TrackingUnavailable
        Nobody answers; found out in seconds.
    """
    prepare_mlflow()
    with speaking(uri):
        if uri.startswith(("http://", "https://")):
            _probe(uri)
        elif uri.startswith(_DATABASES) and uri not in _opened:
            with _unopened(uri):
                _open_database(uri, state)
        return _client(uri)


def _open_database(uri: str, state: Path) -> None:
    """Let the first one in make the schema.

    MLflow makes and migrates the schema of a new database without a lock of its own: of several first users all but
    one would die in the migration.
    """
    schema = locked(_schema_lock(uri, state), "making the tracking database", timeout=SCHEMA_SECONDS)
    with schema, unwarned():
        file = _file_of(uri)
        if file is not None and (not file.exists() or file.stat().st_size == 0):
            _make_database(file)
        _client(uri).search_registered_models(max_results=1)
    _opened.add(uri)


def _make_database(file: Path) -> None:
    """Make the schema under another name and put it in place whole.

    It takes MLflow dozens of steps and a second, and a process that dies between two of them leaves a database that
    no other can open or mend.
    """
    from mlflow.store.db import utils

    make_engine: Any = utils.create_sqlalchemy_engine
    make_tables: Any = utils._initialize_tables  # noqa: SLF001 (what `mlflow server` does, too)
    making = file.with_name(f".{file.name}.making")
    _remove_database(making)
    engine = make_engine(f"sqlite:///{making}")
    try:
        make_tables(engine)
        engine.dispose()
        making.replace(file)
    finally:
        engine.dispose()
        _remove_database(making)


def _remove_database(file: Path) -> None:
    for ending in ("", "-journal", "-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)


@contextmanager
def _unopened(uri: str) -> Iterator[None]:
    """Turn whatever the database, its driver or the migration raise while it is opened into one line."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, ModelyardError):
        raise
    except ModuleNotFoundError as error:
        raise LibraryMissing(error.name or "a driver", f"the tracking store {shown(uri)}", "") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TrackingUnavailable(uri, f"{error.strerror}: {error.filename}") from error
    except Exception as error:
        cause = root_cause(error)
        if "disk is full" in cause:
            raise TrackingFull(uri, "the tracking database") from error
        raise TrackingUnavailable(uri, cause) from error


def _client(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _schema_lock(uri: str, state: Path) -> Path:
    database = _file_of(uri)
    if database is not None:
        # Beside the database, because environments with other state may share it.
        database.parent.mkdir(parents=True, exist_ok=True)
        return database.with_name(f"{database.name}.lock")
    return state / "locks" / f"schema-{sha256(uri.encode()).hexdigest()[:16]}.lock"


def _file_of(uri: str) -> Path | None:
    """Return the file of an SQLite database, None for other stores."""
    return Path(uri.partition(":///")[2].partition("?")[0]) if uri.startswith("sqlite") else None


def _probe(uri: str) -> None:
    import requests

    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    verify: bool | str = False if insecure else os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True
    try:
        answer = requests.get(f"{uri.rstrip('/')}/health", timeout=PROBE_SECONDS, verify=verify)
    except requests.RequestException as error:
        raise TrackingUnavailable(uri, root_cause(error)) from error
    if answer.status_code in (502, 503, 504):
        raise TrackingUnavailable(uri, f"HTTP status {answer.status_code}")


def border(method: Callable[Concatenate[SpeakerT, P], R]) -> Callable[Concatenate[SpeakerT, P], R]:
    """Wrap a method of something that has a `uri`, so that what it raises is ours."""

    @wraps(method)
    def wrapped(self: SpeakerT, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with speaking(self.uri):
            return method(self, *args, **kwargs)

    return wrapped
