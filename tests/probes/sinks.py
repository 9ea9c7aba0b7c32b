"""Steps that take down what comes along."""

import threading
from typing import Any


class Sink:
    """Takes down what comes along, and lets tests wait for it."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self._came = threading.Condition()

    def do(self, body: Any) -> Any:
        with self._came:
            self.seen.append(body)
            self._came.notify_all()
        return body

    def wait(self, number: int) -> list[Any]:
        with self._came:
            assert self._came.wait_for(lambda: len(self.seen) >= number, 60), self.seen
            return self.seen
