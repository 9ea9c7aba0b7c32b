"""Steps for worker processes whose bodies, results and errors do not all get over the border."""

import time
from typing import Any

from modelyard.graphs import EventInvalid


class Ambiguous(Exception):
    """Cannot be built of its ``args``, as many errors of libraries cannot."""

    def __init__(self, text: str, detail: int) -> None:
        super().__init__(text)
        self.detail = detail


class Trap:
    """Can be written, and not be read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _spring, ()


def _spring() -> None:
    raise RuntimeError("a trap")


def perform(body: Any) -> Any:
    """Fail as the body says."""
    if body == "ambiguous":
        raise Ambiguous("one", 2)
    if body == "lambda":
        return lambda: body
    if body == "trap":
        return Trap()
    if body == "stop":
        return next(iter([]))
    if body == "value":
        raise ValueError(body)
    if body == "refuse":
        raise EventInvalid(f"must be kind, got {body!r}", field="body", mend="Ask again.")
    time.sleep(0.1)
    return body
