"""Asks an endpoint requests, one after the other, and compares the answers of two."""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from modelyard.ci.previewing.requests import PreviewRequest
from modelyard.ci.previews import ShadowRecord
from modelyard.graphs import LibraryMissing

__all__ = ["Answered", "ask", "compared", "latencies"]

_TIMEOUT = 30.0
_JSON = {"content-type": "application/json"}
_EQUAL = 1e-9


class Answered(NamedTuple):
    """What came of one request.

    Parameters
    ----------
    status
        The HTTP status; 0 if there was no answer.
    body
        The answer: JSON, or text.
    seconds
        How long it took.
    failed
        Whether it is not what had to come.
    """

    status: int
    body: Any
    seconds: float
    failed: bool


def ask(url: str, requests: Sequence[PreviewRequest]) -> list[Answered]:
    """Send requests to an endpoint, in turn, over one connection; what does not answer has failed.

    Parameters
    ----------
    url
        Where it answers.
    requests
        The requests.

    Raises
    ------
    LibraryMissing
        httpx is not installed.
    """
    try:
        import httpx
    except ImportError as error:
        raise LibraryMissing("httpx", "previews", "ci") from error
    answers = []
    with httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False) as client:
        for each in requests:
            started = time.perf_counter()
            try:
                # By msgspec, which writes null for a number that is none: rows of a model have gaps.
                reply = client.post(each.path, content=msgspec.json.encode(each.body), headers=_JSON)
            except httpx.HTTPError as error:
                answers.append(Answered(0, type(error).__name__, time.perf_counter() - started, True))
                continue
            seconds = time.perf_counter() - started
            wrong = reply.status_code != each.status if each.status else reply.status_code >= 400
            answers.append(Answered(reply.status_code, _content(reply), seconds, wrong))
    return answers


def _content(reply: Any) -> Any:
    try:
        return reply.json()
    except ValueError:
        return reply.text


def latencies(answers: Sequence[Answered]) -> dict[str, float]:
    """Return the median and the 95th percentile of the latency, in milliseconds.

    Examples
    --------
    >>> latencies([Answered(200, None, second / 1000, False) for second in range(1, 101)])
    {'p50': 50.0, 'p95': 95.0}
    """
    known = sorted(each.seconds * 1000 for each in answers if each.status)
    if not known:
        return {}
    return {f"p{share}": round(known[math.ceil(len(known) * share / 100) - 1], 4) for share in (50, 95)}


def compared(answers: Sequence[Answered], baseline: Sequence[Answered]) -> ShadowRecord:
    """Return how the answers of two endpoints to the same requests differ.

    Examples
    --------
    >>> mine, theirs = ([Answered(200, {"p": p}, 0.1, False)] for p in (0.5, 0.75))
    >>> compared(mine, theirs).largest_difference
    0.25
    """
    pairs = list(zip(answers, baseline, strict=True))
    both = [(one, other) for one, other in pairs if not one.failed and not other.failed]
    distances = [_distance(one.body, other.body) for one, other in both]
    return ShadowRecord(
        requests=len(pairs),
        same=sum(1 for each in distances if each is not None and each <= _EQUAL),
        errors=sum(1 for one, _ in pairs if one.failed),
        baseline_errors=sum(1 for _, other in pairs if other.failed),
        largest_difference=round(max((each for each in distances if each is not None), default=0.0), 6),
    )


def _distance(one: Any, other: Any) -> float | None:
    """Return the largest difference of two numbers at the same place; None if something else differs."""
    if _is_number(one) and _is_number(other):
        return float(abs(one - other))
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        inner = [_distance(one[name], other[name]) for name in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        inner = [_distance(*pair) for pair in zip(one, other, strict=True)]
    else:
        return 0.0 if one == other else None
    known = [each for each in inner if each is not None]
    return max(known, default=0.0) if len(known) == len(inner) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
