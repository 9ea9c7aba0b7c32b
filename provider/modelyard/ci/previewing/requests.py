"""Requests for a preview: given in a file, named by the environment, or the model's own examples."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from modelyard.ci.errors import RequestsUnreadable

__all__ = ["PreviewRequest", "read_requests", "smoke_requests"]

_MOST = 10_000


class PreviewRequest(NamedTuple):
    """One request.

    Parameters
    ----------
    body, path
        What is sent, where to.
    status
        The status that must come back; 0 accepts all below 400.
    """

    body: Any
    path: str = "/"
    status: int = 0


def read_requests(path: str) -> list[PreviewRequest]:
    """Return the requests of a file: a JSON list of bodies, or a line of JSON for each.

    A line may be a body, or what ``modelyard graphs test --record`` and an endpoint's record write: an object with an
    ``id`` and a ``body``.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    RequestsUnreadable
        It is missing, or is neither of the two.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestsUnreadable(path, getattr(error, "strerror", None) or str(error)) from error
    try:
        if text.lstrip().startswith("["):
            found = msgspec.json.decode(text)
        else:
            found = [msgspec.json.decode(line) for line in text.splitlines() if line.strip()]
    except msgspec.DecodeError as error:
        raise RequestsUnreadable(path, f"neither a JSON list nor lines of JSON: {error}") from error
    return [_request(each) for each in found[:_MOST]]


def smoke_requests(settings: Any) -> list[PreviewRequest]:
    """Return the requests that an environment names below ``deploy.smoke``.

    Examples
    --------
    >>> smoke_requests([{"body": {"carrier": "EV"}, "status": 422}])
    [PreviewRequest(body={'carrier': 'EV'}, path='/', status=422)]
    >>> smoke_requests(None)
    []
    """
    found = [each for each in settings if isinstance(each, dict)] if isinstance(settings, list) else []
    return [
        PreviewRequest(each.get("body"), str(each.get("path") or "/"), int(each.get("status") or 0)) for each in found
    ]


def _request(value: Any) -> PreviewRequest:
    if isinstance(value, dict) and "body" in value and ("id" in value or set(value) <= {"body", "path", "status"}):
        recorded = int(value.get("status") or 0)
        return PreviewRequest(value["body"], str(value.get("path") or "/"), recorded if recorded != 200 else 0)
    return PreviewRequest(value)
