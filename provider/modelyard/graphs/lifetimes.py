"""Opens what a graph's steps need when it starts, and closes it when it stops."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from modelyard.graphs.background import run_in_background

__all__ = ["Opened"]


class Opened:
    """The resources of an open graph, and its steps that are context managers themselves.

    Parameters
    ----------
    graph
        The graph's name.
    factories
        Name → what makes the resource: a context manager, plain or async, or anything else.
    """

    def __init__(self, graph: str, factories: Mapping[str, Callable[[], Any]]) -> None:
        self.graph = graph
        self.values: dict[str, Any] = {}
        self.getters = {name: self._getter(name) for name in factories}
        self._factories = factories
        self._owners: list[Any] = []
        self._stack = ExitStack()

    def own(self, step: Any) -> None:
        """Open a step, too, when the graph starts."""
        self._owners.append(step)

    def start(self) -> None:
        """Open everything, resources first; what was opened is closed again if something fails."""
        try:
            for name, factory in self._factories.items():
                self.values[name] = self._entered(factory())
            for step in self._owners:
                self._entered(step)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close everything, in the reverse order."""
        self._stack.close()

    def _entered(self, value: Any) -> Any:
        if hasattr(value, "__aenter__"):
            entered = run_in_background(value.__aenter__())
            self._stack.callback(lambda: run_in_background(value.__aexit__(None, None, None)))
            return entered
        return self._stack.enter_context(value) if hasattr(value, "__enter__") else value

    def _getter(self, name: str) -> Callable[[], Any]:
        return lambda: self.values[name]
