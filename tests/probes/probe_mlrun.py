"""Classes and functions as people write them for MLRun's graphs; they run there and here."""

from typing import Any

try:
    from mlrun.serving import V2ModelServer as Server
except ImportError:
    Server = object  # type: ignore[assignment, misc]


class Scale:
    """Has a context, a name and arguments."""

    def __init__(self, context: Any, name: str | None = None, factor: int = 1, _shift: Any = None) -> None:
        self.context, self.name, self.factor, self.shift = context, name, factor, _shift

    def do(self, x: Any) -> Any:
        """Multiply."""
        return {"by": self.name, "value": x * self.factor + self.context.get_param("offset", 0)}


class Marked:
    """Takes the event, through a method of its own name."""

    def mark(self, event: Any) -> Any:
        """Note where the event came from."""
        event.body = {**event.body, "path": event.path}
        return event


class Whole:
    """Takes the event because its method is do_event."""

    def __init__(self, key: str) -> None:
        self.key = key

    def do_event(self, event: Any) -> Any:
        """Note something."""
        event.body = {**event.body, self.key: True}
        return event


def fails(body: dict[str, Any]) -> dict[str, Any]:
    """Divide."""
    return {**body, "quotient": 10 / body["x"]}


def caught(body: dict[str, Any]) -> dict[str, Any]:
    """Answer instead of a failed step."""
    return {"caught": body["x"]}


def caught_event(event: Any) -> Any:
    """Answer instead of a failed step."""
    event.body = {"caught": event.body["x"], "error": str(event.error)}
    return event


def low(body: dict[str, Any]) -> dict[str, Any]:
    """Take the low road."""
    return {**body, "road": "low"}


def high(body: dict[str, Any]) -> dict[str, Any]:
    """Take the high road."""
    return {**body, "road": "high"}


def with_context(body: dict[str, Any], context: Any) -> dict[str, Any]:
    """Read a parameter."""
    return {**body, "offset": context.get_param("offset")}


def large(body: dict[str, Any]) -> bool:
    """Whether x is large."""
    return bool(body["x"] > 1)


def counted(body: dict[str, Any]) -> dict[str, Any]:
    """Count a round."""
    rounds = body.get("rounds", 0) + 1
    return {**body, "rounds": rounds, "next": "again" if rounds < 3 else "done"}


def same(body: Any) -> Any:
    """Return the body."""
    return body


class Halver(Server):  # type: ignore[valid-type, misc]
    """A model server."""

    def load(self) -> None:
        """Nothing to load."""

    def predict(self, request: dict[str, Any]) -> list[float]:
        """Halve each input."""
        return [value / 2 for value in request["inputs"]]


class Doubler(Server):  # type: ignore[valid-type, misc]
    """A model server."""

    def load(self) -> None:
        """Nothing to load."""

    def predict(self, request: dict[str, Any]) -> list[float]:
        """Double each input."""
        return [value * 2.0 for value in request["inputs"]]


class Chooser:
    """Chooses its outlets itself."""

    def do(self, body: Any) -> Any:
        return body

    def select_outlets(self, body: Any) -> list[str]:
        return ["a"]
