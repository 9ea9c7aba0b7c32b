"""Asks another service over HTTP: kept connections, retries, templates without evaluation, batches in order."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from modelyard.graphs.background import background_loop
from modelyard.graphs.context import Context
from modelyard.graphs.errors import LibraryMissing
from modelyard.graphs.event import Event
from modelyard.graphs.isolation import isolated
from modelyard.graphs.steps.checking import Checked
from modelyard.graphs.steps.errors import CallFailed, FieldUnfit, StepClosed
from modelyard.graphs.steps.templates import fields_in, filled, text_filled

__all__ = ["HttpCall"]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_WITH_BODY = ("POST", "PUT", "PATCH")
_LOOP = "http-calls"


class HttpCall:
    """Sends a request for each body, and gives what the service answers.

    Address, headers and body are templates: ``{user.id}`` stands for that field of the body, percent-encoded in the
    address; the host never comes from a body, redirects are not followed, and nothing is evaluated. Connections are
    kept open. An attempt that gets no connection, takes too long or gets one of the statuses `retry_on` is repeated
    after a random wait that doubles each time, or as long as ``Retry-After`` says. The event's id goes along as
    ``x-request-id``. With the setting ``result_path`` the answer goes into the body.

    Parameters
    ----------
    url
        The service: ``https://host:port/prefix``.
    path
        Template of the rest of the path.
    query
        Name → template of a parameter of the address.
    method
        ``GET``, ``HEAD``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
    json
        Template of the JSON that is sent; a text that is one field alone becomes its value. By default ``POST``,
        ``PUT`` and ``PATCH`` send the whole body.
    headers
        Name → template.
    secrets
        Name of a header → template of secrets: ``{"authorization": "Bearer {API_TOKEN}"}`` asks the graph's secrets
        for ``API_TOKEN`` when it opens. The value appears in no specification and in no error.
    answer
        ``json`` (what the reply's JSON means), ``text``, or ``whole`` (a mapping of ``status``, ``headers``, ``body``).
    seconds
        How long one attempt may take.
    attempts
        How often it is tried in total.
    back_off
        Seconds that the first wait lasts at most.
    retry_on
        The statuses that are tried again.
    statuses
        Status → what is answered instead of an error: ``{"404": null}``.
    each
        Whether the body is a list with a request for each item; the answers come in the same order.
    parallel
        With `each`: how many requests of one body run at once.
    connections
        How many connections are open at most.

    Raises
    ------
    PathMissing
        The body lacks a field that a template names (422).
    CallFailed
        There is no good reply; a status of 400 to 499 is told as such (401 and 403 → 403, 404, 408 → 504, 409, 429,
        others → 422), an attempt that took too long is 504, everything else is 503.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("enrich")
    >>> step = graph.to(
    ...     HttpCall, url="http://127.0.0.1:9", path="/users/{id}", method="GET", attempts=1, result_path="user"
    ... ).respond()
    >>> graph.test({"id": 7})
    Traceback (most recent call last):
    modelyard.graphs.errors.StepFailed: ...: GET http://127.0.0.1:9/users/7: there is no connection ...
    """

    def __init__(  # noqa: PLR0913 (keywords alone, each with a default that works)
        self,
        *,
        url: str,
        path: str = "",
        query: Mapping[str, str] | None = None,
        method: str = "POST",
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        answer: str = "json",
        seconds: float = 10.0,
        attempts: int = 3,
        back_off: float = 0.1,
        retry_on: Sequence[int] = (429, 502, 503, 504),
        statuses: Mapping[str, Any] | None = None,
        each: bool = False,
        parallel: int = 8,
        connections: int = 100,
        context: Context | None = None,
    ) -> None:
        checked = Checked("HttpCall")
        self._url = _address(checked, url)
        self._path = _templates(checked, {"path": checked.text("path", path, empty=True)}, "")["path"]
        self._query = _templates(checked, checked.mapping("query", query or {}), "query.")
        self._method = checked.word("method", method, _METHODS)
        self._json = json
        self._headers = _templates(checked, checked.mapping("headers", headers or {}), "headers.")
        self._secrets = _secret_headers(checked, secrets or {}, context)
        self._answer = checked.word("answer", answer, ("json", "text", "whole"))
        self._seconds = checked.number("seconds", seconds, above=0)
        self._attempts = checked.whole("attempts", attempts, least=1)
        self._back_off = checked.number("back_off", back_off, least=0)
        self._retry_on = frozenset(checked.whole("retry_on", each_status, least=100) for each_status in retry_on)
        self._statuses = _statuses(checked, statuses or {})
        self._each = each
        self._parallel = checked.whole("parallel", parallel, least=1)
        self._connections = checked.whole("connections", connections, least=1)
        self._client: Any = None
        self._closed = False
        _httpx()

    async def do_event(self, event: Event) -> Any:
        """Return the answer to the body, or the answers to its items."""
        if self._closed:
            raise StepClosed("HttpCall")
        # Connections belong to the loop that opened them. With one loop for all calls of the process they are shared
        # by whoever asks, and can be closed whatever became of the loop that asked.
        work = self._answers(event.body, event.id) if self._each else self._asked(event.body, event.id)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, background_loop(_LOOP)))

    async def _answers(self, body: Any, event: str) -> list[Any]:
        if not isinstance(body, list | tuple):
            raise FieldUnfit("", "the body must be a list with a request for each item", body)
        gate = asyncio.Semaphore(self._parallel)

        async def one(item: Any) -> Any:
            async with gate:
                return await self._asked(item, event)

        tasks = [asyncio.ensure_future(one(item)) for item in body]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            # if one has failed, nobody waits for the others any more
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def __enter__(self) -> "HttpCall":
        return self

    def __exit__(self, *error: object) -> None:
        self._closed = True
        if self._client is not None:
            asyncio.run_coroutine_threadsafe(self._client.aclose(), background_loop(_LOOP)).result()

    def _connected(self) -> Any:
        """Return the client; it is made at the first request, on the loop of the calls."""
        if self._client is None:
            httpx = _httpx()
            limits = httpx.Limits(max_connections=self._connections, max_keepalive_connections=self._connections)
            # nothing of the machine's proxies and passwords: what is not declared is not used
            self._client = httpx.AsyncClient(limits=limits, timeout=self._seconds, trust_env=False)
        return self._client

    async def _asked(self, body: Any, event: str) -> Any:
        httpx = _httpx()
        address = self._url + text_filled(self._path, body, _quoted)
        request: dict[str, Any] = {"headers": self._filled_headers(body, event)}
        if self._query:
            request["params"] = {name: text_filled(template, body) for name, template in self._query.items()}
        if self._json is not None or self._method in _WITH_BODY:
            request["content"] = _encoded(body if self._json is None else filled(self._json, body))
            request["headers"].setdefault("content-type", "application/json")
        for attempt in range(1, self._attempts + 1):
            wait, failed = 0.0, None
            try:
                async with asyncio.timeout(self._seconds):
                    reply = await self._connected().request(self._method, address, **request)
            except (TimeoutError, httpx.TimeoutException):
                reason = f"there was no reply within {self._seconds:g} s"
                failed = CallFailed(self._method, address, reason, attempts=attempt, timed_out=True)
            except httpx.TransportError as error:
                told = str(error) or type(error).__name__
                failed = CallFailed(self._method, address, f"there is no connection ({told})", attempts=attempt)
            else:
                if str(reply.status_code) in self._statuses:
                    return isolated(self._statuses[str(reply.status_code)])
                if reply.status_code < 300:
                    return self._told(reply, address)
                failed = _refused(self._method, address, reply, attempt)
                if reply.status_code not in self._retry_on:
                    raise failed
                wait = _retry_after(reply)
            if attempt == self._attempts:
                raise failed
            await asyncio.sleep(wait or random.uniform(0.0, min(10.0, self._back_off * 2.0 ** (attempt - 1))))  # noqa: S311
        raise AssertionError  # the last attempt returns or raises

    def _filled_headers(self, body: Any, event: str) -> dict[str, str]:
        headers = {"x-request-id": event}
        for name, template in self._headers.items():
            value = text_filled(template, body)
            if not value.isascii() or not value.isprintable():
                raise FieldUnfit(f"headers.{name}", "must be printable ASCII", value)
            headers[name.lower()] = value
        return headers | self._secrets

    def _told(self, reply: Any, address: str) -> Any:
        if self._answer == "text":
            return reply.text
        if self._answer == "json" or reply.headers.get("content-type", "").startswith("application/json"):
            try:
                body = msgspec.json.decode(reply.content) if reply.content else None
            except msgspec.DecodeError as error:
                raise CallFailed(self._method, address, f"the reply is no JSON ({error})", status=502) from None
        else:
            body = reply.text
        if self._answer == "json":
            return body
        return {"status": reply.status_code, "headers": dict(reply.headers), "body": body}


def _httpx() -> Any:
    try:
        import httpx
    except ImportError:
        raise LibraryMissing("httpx", "HttpCall", "steps") from None
    return httpx


def _address(checked: Checked, url: Any) -> str:
    parts = urlsplit(checked.text("url", url))
    if parts.scheme not in ("http", "https") or not parts.hostname or "{" in url or parts.query or parts.fragment:
        raise checked.refuse("url", "must be a plain http or https address", url)
    if parts.username or parts.password:
        raise checked.refuse(
            "url", "must be without a password", f"{parts.scheme}://…@{parts.hostname}", mend="Use secrets."
        )
    return str(url).rstrip("/")


def _templates(checked: Checked, given: Mapping[str, Any], prefix: str) -> dict[str, str]:
    for name, template in given.items():
        fields_in(checked, f"{prefix}{name}", checked.text(f"{prefix}{name}", template, empty=True))
    if prefix == "" and given["path"] and not given["path"].startswith("/"):
        raise checked.refuse("path", "must begin with /", given["path"])
    return dict(given)


def _secret_headers(checked: Checked, given: Mapping[str, Any], context: Context | None) -> dict[str, str]:
    found = {}
    for header, template in checked.mapping("secrets", given).items():
        names = fields_in(checked, f"secrets.{header}", checked.text(f"secrets.{header}", template))
        if not names:
            raise checked.refuse(f"secrets.{header}", "must name a secret in braces, such as {API_TOKEN}", "…")
        if context is None:
            raise checked.refuse("secrets", "need a graph that knows secrets", header)
        found[header.lower()] = text_filled(template, {name: context.secret(name) for name in names})
    return found


def _statuses(checked: Checked, given: Mapping[str, Any]) -> dict[str, Any]:
    for status in checked.mapping("statuses", given):
        if not status.isdecimal() or not 100 <= int(status) <= 599:
            raise checked.refuse("statuses", "must have statuses such as '404' as keys", status)
    return dict(given)


def _quoted(value: Any) -> str:
    text = quote(str(value), safe="")
    if not text:  # the address of all things instead of one: what DELETE does with that, nobody wants to see
        raise FieldUnfit("", "a field of the body in the address must not be empty", value)
    # dots alone would be taken for a way up
    return text.replace(".", "%2E") if set(text) == {"."} else text


def _encoded(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except TypeError as error:
        raise FieldUnfit("", f"cannot be sent as JSON ({error})", value) from None


def _refused(method: str, address: str, reply: Any, attempts: int) -> CallFailed:
    said = " ".join(reply.text[:200].split())
    reason = f"the reply has the status {reply.status_code}{': ' + said if said else ''}"
    return CallFailed(method, address, reason, status=reply.status_code, attempts=attempts)


def _retry_after(reply: Any) -> float:
    told = reply.headers.get("retry-after", "")
    return min(60.0, float(told)) if told.isdecimal() else 0.0
