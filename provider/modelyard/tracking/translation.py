"""Turns what MLflow and the libraries below it raise into errors of this package."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError
from modelyard.tracking.errors import (
    ArtifactsNotAccessible,
    TrackingDenied,
    TrackingFull,
    TrackingRefused,
    TrackingSchemaOld,
    TrackingUnavailable,
)

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException

__all__ = ["is_not_found", "root_cause", "speaking"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def speaking(uri: str) -> Iterator[None]:
    """Turn foreign errors into ours while the context is open.

    Parameters
    ----------
    uri
        The store that is spoken to, for the message.
    """
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise _translated(uri, error) from error
    except requests.RequestException as error:
        raise TrackingUnavailable(uri, root_cause(error)) from error
    except OSError as error:
        if error.errno in _FULL:
            raise TrackingFull(uri, str(error.filename or "artifacts")) from error
        raise ArtifactsNotAccessible(uri, error.strerror or str(error), str(error.filename or "")) from error


def is_not_found(error: "MlflowException") -> bool:
    """Return whether MLflow says that something does not exist."""
    return error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


def root_cause(error: BaseException) -> str:
    """Return the innermost reason, which is the one a person can use, such as ``Connection refused``."""
    innermost = error
    while True:
        reason = getattr(innermost, "reason", None)
        inner = reason if isinstance(reason, BaseException) else innermost.__cause__ or innermost.__context__
        if inner is None or inner is innermost or isinstance(inner, ModelyardError):
            return getattr(innermost, "strerror", None) or str(innermost) or type(innermost).__name__
        innermost = inner


def _translated(uri: str, error: Any) -> ModelyardError:
    text = str(error)
    code, status = str(error.error_code), error.get_http_status_code()
    cause = error.__cause__ or error.__context__
    if (isinstance(cause, OSError) and cause.errno in _FULL) or "disk is full" in text or "No space left" in text:
        return TrackingFull(uri, "the tracking database" if "sqlite" in text else "artifacts")
    if "unsupported URI" in text:
        schemes = "sqlite, postgresql, mysql, mssql, http or https"
        return TrackingRefused(uri, f"MLflow knows no such tracking address; it must begin with {schemes}")
    if "out-of-date database schema" in text or "locate revision" in text:
        return TrackingSchemaOld(uri)
    if status in (401, 403) or "error code 401" in text or "error code 403" in text:
        return TrackingDenied(uri, text)
    if text.startswith("API request to") and ("failed with" in text and "failed with error code 4" not in text):
        return TrackingUnavailable(uri, root_cause(error) if cause else text)
    if code == "TEMPORARILY_UNAVAILABLE" or "OperationalError" in text:
        return TrackingUnavailable(uri, root_cause(error))
    return TrackingRefused(uri, text)
