"""The health of endpoints: their own word for it, asked over HTTP."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["with_health"]

_SECONDS = 2.0
_AT_ONCE = 8


def with_health(endpoints: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return endpoints with their ``health``.

    It is ``ready``, ``not ready``, or ``no answer`` within two seconds from here; ``idle`` for one that waits for a
    request with no worker, which a question would wake; ``stopped`` for one whose supervisor is gone.

    Parameters
    ----------
    endpoints
        Records of endpoints.
    """
    found = list(endpoints)
    if not found:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(found))) as askers:
        return [{**each, "health": health} for each, health in zip(found, askers.map(_health, found), strict=True)]


def _health(endpoint: dict[str, Any]) -> str:
    import httpx

    if endpoint["state"] in ("idle", "stopped"):
        return str(endpoint["state"])
    try:
        reply = httpx.get(f"{endpoint['url'].rstrip('/')}/v2/health/ready", timeout=_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL):
        return "no answer"
    return "ready" if reply.is_success else "not ready"
