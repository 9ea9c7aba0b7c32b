"""Steps that graphs of tests find by their dotted paths."""

import asyncio
from typing import Any

from modelyard.graphs import Event, EventInvalid


def parse(body: Any) -> Any:
    return body["row"]


def scale(body: Any, factor: float = 1.0) -> Any:
    return body * factor


async def wait(body: Any, seconds: float = 0.0) -> Any:
    await asyncio.sleep(seconds)
    return body


def refuse(body: Any) -> Any:
    raise EventInvalid("must be a time such as 17:45", field="scheduled", mend="Send HH:MM.")


def describe(event: Event) -> Any:
    return {"id": event.id, "path": event.path, "agent": event.headers.get("user-agent", ""), "body": event.body}


class Counter:
    """Counts its events."""

    def __init__(self, start: int = 0) -> None:
        self.count = start

    def do(self, body: Any) -> Any:
        self.count += 1
        return {"count": self.count, "body": body}


class Whole:
    async def do_event(self, event: Event) -> Any:
        return event.path


class Nothing:
    """No step: it has no method do."""
