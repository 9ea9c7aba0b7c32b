"""Log lines as JSON objects, each with the graph, step and event that it is about."""

import logging
from datetime import UTC, datetime
from typing import Any

import orjson

from modelyard.errors import ModelyardError

__all__ = ["JsonLines"]

_FACTS = ("graph", "step", "event", "revision")


class JsonLines(logging.Formatter):
    """Writes each record as one line of JSON.

    A line holds ``time``, ``level``, ``logger`` and ``message``; of an error also ``error``, its type, and
    ``traceback``; and ``graph``, ``step`` and ``event`` where the error or the record's ``extra`` names them. Bodies of
    requests are in none of them, unless a step's own error says what it was given.

    Parameters
    ----------
    **always
        What every line says besides.

    Examples
    --------
    >>> record = logging.makeLogRecord({"msg": "took %s", "args": (3,), "event": "e7"})
    >>> told = orjson.loads(JsonLines(graph="delays").format(record))
    >>> told["message"], told["graph"], told["event"]
    ('took 3', 'delays', 'e7')
    """

    def __init__(self, **always: str) -> None:
        super().__init__()
        self._always = always

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._always,
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            told["error"] = type(error).__name__
            told["traceback"] = self.formatException((type(error), error, error.__traceback__))
            facts = error.facts if isinstance(error, ModelyardError) else {}
            told |= {name: str(facts[name]) for name in _FACTS if facts.get(name)}
        told |= {name: str(record.__dict__[name]) for name in _FACTS if name in record.__dict__}
        return orjson.dumps(told).decode()
