"""One forge's API over HTTP: retries what may be retried, and names what went wrong."""

import os
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.ci.errors import ForgeDenied, ForgeError, ForgeNotFound, ForgeRefused, ForgeUnreachable
from modelyard.graphs import LibraryMissing

if TYPE_CHECKING:
    import httpx

__all__ = ["Connection", "Patience"]

_LATER = frozenset({429, 500, 502, 503, 504})
_MOST_PAGES = 20


@dataclass(frozen=True)
class Patience:
    """How long to put up with a forge that does not answer.

    Parameters
    ----------
    seconds
        How long all waiting for one request may take.
    tries
        How often it is sent at most.
    pause
        Seconds before the second try; each later pause is twice as long, up to a quarter more by chance.
    timeout
        Seconds that one answer may take.
    sleep
        Waits.
    """

    seconds: float = 60.0
    tries: int = 5
    pause: float = 0.5
    timeout: float = 20.0
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> "Patience":
        """Return the patience that ``MODELYARD_FORGE_PATIENCE`` (seconds) asks for; one answer may take a second."""
        text = variables.get("MODELYARD_FORGE_PATIENCE", "")
        seconds = float(text) if text.replace(".", "", 1).isdigit() else cls.seconds
        return cls(seconds=seconds, timeout=max(1.0, min(cls.timeout, seconds)))


class Connection:
    """Sends requests to a forge.

    Proxies (``HTTPS_PROXY``, ``NO_PROXY``) and certificates (``SSL_CERT_FILE``, GitLab's ``CI_SERVER_TLS_CA_FILE``) are
    honoured. Redirections are not followed: the token goes nowhere else.

    Parameters
    ----------
    api
        The base of the API.
    headers
        What every request carries, the token among it.
    patience
        How long to try.

    Raises
    ------
    LibraryMissing
        httpx is not installed.
    ForgeUnreachable
        The address, the proxy, a certificate or a header is not of the kind that could work.
    """

    def __init__(self, api: str, headers: Mapping[str, str], patience: Patience | None = None) -> None:
        try:
            import httpx
        except ImportError as error:
            raise LibraryMissing("httpx", "reports on requests", "ci") from error
        self.patience = patience or Patience()
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise ForgeUnreachable("the token", "it has characters that no token has")
        try:
            self._client = httpx.Client(
                base_url=f"{api}/",
                headers={"User-Agent": "modelyard", **headers},
                timeout=self.patience.timeout,
                verify=_certificates(),
            )
        except (httpx.InvalidURL, ValueError, OSError) as error:
            raise ForgeUnreachable(api, _worded(error)) from error

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def send(self, method: str, path: str, body: Any = None, *, repeatable: bool = True, **query: Any) -> Any:
        """Send a request and return the JSON of the answer.

        Parameters
        ----------
        method, path, body, query
            The request.
        repeatable
            Whether sending it twice does no harm. One that is not is sent again only if it was certainly not done.

        Raises
        ------
        ForgeUnreachable
            No answer within the patience.
        ForgeDenied, ForgeNotFound, ForgeRefused
            The forge does not do it.
        """
        answer = self._answered(method, path, body, repeatable=repeatable, query=query)
        return _json(f"{method} {path}", answer) if answer.content else None

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """Yield the rows of a list, page after page, up to 2 000.

        Raises
        ------
        ForgeUnreachable, ForgeDenied, ForgeNotFound, ForgeRefused
            As `send`.
        """
        for page in range(1, _MOST_PAGES + 1):
            asked = {**query, "per_page": 100, "page": page}
            answer = self._answered("GET", path, None, repeatable=True, query=asked)
            rows = _json(f"GET {path}", answer)
            if not isinstance(rows, list):
                raise ForgeUnreachable(f"GET {path}", "the answer is no list")
            yield from rows
            if len(rows) < 100:
                return

    def _answered(
        self, method: str, path: str, body: Any, *, repeatable: bool, query: Mapping[str, Any]
    ) -> "httpx.Response":
        call, waited = f"{method} {path}", 0.0
        for number in range(1, self.patience.tries + 1):
            answer, error, asked_for, may_repeat = self._once(method, path, body, query)
            if answer is not None:
                return answer
            assert error is not None  # noqa: S101 - without an answer there is an error
            if not (may_repeat or (repeatable and isinstance(error, ForgeUnreachable))):
                raise error
            pause = asked_for if asked_for is not None else self._pause(number)
            if number == self.patience.tries or waited + pause > self.patience.seconds:
                told = f"{error.what.removeprefix('the forge does not answer: ')}, {_times(number)}"
                hint = f", and asks to come again in {pause:.0f} s" if asked_for is not None else ""
                raise ForgeUnreachable(call, f"{told}{hint}") from error
            self.patience.sleep(pause)
            waited += pause
        raise ForgeUnreachable(call, "no try is allowed")

    def _once(
        self, method: str, path: str, body: Any, query: Mapping[str, Any]
    ) -> tuple["httpx.Response | None", ForgeError | None, float | None, bool]:
        """Return the answer; or the error, the pause that the forge asks for, and whether nothing was done."""
        import httpx

        call = f"{method} {path}"
        try:
            answer = self._client.request(method, path.lstrip("/"), json=body, params=dict(query) or None)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return None, ForgeUnreachable(call, _worded(error)), None, True
        except httpx.HTTPError as error:
            return None, ForgeUnreachable(call, _worded(error)), None, False
        if answer.is_success:
            return answer, None, None, False
        limited = _is_limited(answer)
        failure = _error_of(call, answer)
        return None, failure, _retry_after(answer) if limited or answer.status_code == 503 else None, limited

    def _pause(self, number: int) -> float:
        return float(self.patience.pause * 2 ** (number - 1) * random.uniform(1, 1.25))  # noqa: S311 - no secret


def _certificates() -> "ssl.SSLContext | bool":
    file = os.environ.get("CI_SERVER_TLS_CA_FILE", "")
    if not file:
        return True
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(file)
    return trusted


def _is_limited(answer: "httpx.Response") -> bool:
    """Tell whether a forge said: too many requests. GitHub says so with 403, too."""
    if answer.status_code == 429:
        return True
    headers = answer.headers
    return answer.status_code == 403 and ("retry-after" in headers or headers.get("x-ratelimit-remaining") == "0")


def _retry_after(answer: "httpx.Response") -> float | None:
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    reset = answer.headers.get("x-ratelimit-reset") or answer.headers.get("ratelimit-reset") or ""
    if reset.isascii() and reset.isdigit():
        return max(0.0, float(reset) - time.time())
    return None


def _error_of(call: str, answer: "httpx.Response") -> ForgeError:
    status, said = answer.status_code, _said(answer)
    if status in _LATER or _is_limited(answer):
        return ForgeUnreachable(call, f"status {status}, {said}")
    if status in (401, 403):
        return ForgeDenied(call, status, said)
    if status == 404:
        return ForgeNotFound(call, said)
    return ForgeRefused(call, status, said)


def _said(answer: "httpx.Response") -> str:
    """Return what an error answer says, in one short line."""
    try:
        body = answer.json()
    except ValueError:
        body = answer.text
    if isinstance(body, dict):
        more = body.get("errors")
        body = f"{body.get('message') or body.get('error') or ''}{f', {more}' if more else ''}"
    return " ".join(str(body).split())[:300] or answer.reason_phrase


def _json(call: str, answer: "httpx.Response") -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise ForgeUnreachable(call, "the answer is no JSON; is this the address of an API?") from error


def _worded(error: Exception) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
