"""What a request asks and what is answered."""

import json
import re
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, None where it is no JSON."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError:
            return None


class Answer(NamedTuple):
    """A reply; None as body is none."""

    status: int
    body: Any = None
    headers: dict[str, str] | None = None


def refused(status: int, message: str, **more: Any) -> Answer:
    """Return an error as forges word it."""
    return Answer(status, {"message": message, **more})


def pattern_of(template: str) -> re.Pattern[str]:
    """Return the pattern of a path such as ``/repos/{owner}``."""
    return re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + "$")


def page_of(asked: Asked, rows: list[Any], size: int, url: str) -> Answer:
    """Return one page of a list, and where the next one is."""
    length = min(int(asked.query.get("per_page", size)), 100)
    number = int(asked.query.get("page", 1))
    start = (number - 1) * length
    more = start + length < len(rows)
    links = {"Link": f'<{url}?per_page={length}&page={number + 1}>; rel="next"'} if more else None
    return Answer(200, rows[start : start + length], links)
