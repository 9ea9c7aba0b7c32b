"""The graph: steps, models and branches, defined once and run in tests, behind HTTP and in batch."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from threading import RLock
from typing import Any, Self

from modelyard.graphs.assembly import assemble
from modelyard.graphs.background import run_in_background
from modelyard.graphs.compiled import compile_plan
from modelyard.graphs.drafts import Draft
from modelyard.graphs.event import Event
from modelyard.graphs.lifetimes import close_at_exit
from modelyard.graphs.mapping import Rows, map_plan
from modelyard.graphs.plan import Plan
from modelyard.graphs.ports import Resources
from modelyard.graphs.runtimes import runtime
from modelyard.graphs.tracing import Trace, trace_plan

__all__ = ["Graph"]

_ROOT, _POST = "/", "POST"


class Graph(Draft):
    """A serving graph: what happens to an event between request and reply, and afterwards.

    Parameters
    ----------
    name
        How errors, endpoints and metrics call it.
    cycle_bound
        How often an event may take a way back that has no bound of its own; 0 demands one of each.
    parameters
        What steps read as ``context.parameters``.

    Examples
    --------
    >>> graph = Graph("doubling")
    >>> step = graph.to(lambda body: body["x"], name="parse").to(lambda x: {"double": 2 * x}, name="answer").respond()
    >>> graph.test({"x": 21})
    {'double': 42}
    """

    def __init__(self, name: str, *, cycle_bound: int = 0, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__(name, cycle_bound=cycle_bound, parameters=parameters)
        self._opened: tuple[Resources | None, int, Plan] | None = None
        self._quick: Callable[[Any, Event | None], Any] | None = None
        self._quick_async: Callable[[Any, Event | None], Any] | None = None
        self._at_once: Callable[[Any, Event | None], Any] | None = None
        self._changes = -1
        self._opening = RLock()

    def open(self, resources: Resources | None = None) -> Plan:
        """Check the graph, build the classes, load the models, and return what runs events.

        Parameters
        ----------
        resources
            What the graph needs from the outside.

        Raises
        ------
        GraphInvalid
            It breaks a rule, or a step does not fit.
        ResourceMissing
            It needs something from the outside that was not handed over.
        OpeningFailed
            A resource, or a step that is a context manager, could not be opened.
        """
        plan = assemble(self.definition, resources)
        plan.open()
        plan.compiled = compile_plan(plan)
        return plan

    async def open_async(self, resources: Resources | None = None) -> Plan:
        """Do what `open` does on the running event loop: async resources belong to it. Close with ``close_async``.

        Parameters
        ----------
        resources
            What the graph needs from the outside.

        Raises
        ------
        GraphInvalid, ResourceMissing, OpeningFailed
            As for `open`.
        """
        plan = assemble(self.definition, resources)
        await plan.open_async()
        plan.compiled = compile_plan(plan)
        return plan

    def close(self) -> None:
        """Close what `test`, `run`, `map`, `stream` and `trace` have opened; a second time does nothing."""
        with self._opening:
            opened, self._opened = self._opened, None
            self._quick = self._quick_async = self._at_once = None
        if opened is not None:
            opened[2].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def test(
        self,
        body: Any = None,
        *,
        path: str = _ROOT,
        method: str = _POST,
        headers: Mapping[str, str] | None = None,
        resources: Resources | None = None,
    ) -> Any:
        """Return the reply to one event, computed here: breakpoints in steps work.

        The graph opens at the first call and stays open. Without `resources`, models come from the registry of the
        project in the current folder. What follows the reply has run when this returns; an event that is filtered out
        gives None, a graph that streams a list of replies.

        Parameters
        ----------
        body
            What the first step takes.
        path, method, headers
            How the event pretends to have arrived; the case of header names does not matter.
        resources
            What the graph needs from the outside.

        Raises
        ------
        StepFailed
            A step raised; the error names graph, step and event.
        """
        quick = self._quick
        if quick is not None and resources is None and self._changes == self.definition.changes:
            if path is _ROOT and method is _POST and headers is None:
                return quick(body, None)  # an event is made only where the graph asks for one
            return quick(body, Event(body, path=path, method=method, headers=_lower_case(headers)))
        plan = self._plan(resources)
        event = Event(body, path=path, method=method, headers=_lower_case(headers))
        if plan.is_async:
            return run_in_background(plan.settle_async(event))
        reply = plan.run(event)
        if plan.queues or plan.crossings or plan.inner:
            plan.settle()
        return reply

    async def run(
        self,
        body: Any = None,
        *,
        path: str = _ROOT,
        method: str = _POST,
        headers: Mapping[str, str] | None = None,
        resources: Resources | None = None,
    ) -> Any:
        """Return the reply to one event from within a running event loop; see `test` for the rest.

        Parameters
        ----------
        body, path, method, headers, resources
            As for `test`.

        Raises
        ------
        StepFailed
            A step raised; the error names graph, step and event.
        """
        bare = path is _ROOT and method is _POST and headers is None and resources is None
        quick, waiting = self._at_once, self._quick_async
        if bare and quick is not None and self._changes == self.definition.changes:
            return quick(body, None)
        if bare and waiting is not None and self._changes == self.definition.changes:
            return await waiting(body, None)
        event = Event(body, path=path, method=method, headers=_lower_case(headers))
        return await self._plan(resources).run_async(event)

    def stream(
        self,
        body: Any = None,
        *,
        path: str = _ROOT,
        method: str = _POST,
        headers: Mapping[str, str] | None = None,
        resources: Resources | None = None,
    ) -> Iterator[Any]:
        """Yield the replies to one event as they come.

        Parameters
        ----------
        body, path, method, headers, resources
            As for `test`.
        """
        event = Event(body, path=path, method=method, headers=_lower_case(headers))
        return self._plan(resources).stream(event)

    def stream_async(
        self,
        body: Any = None,
        *,
        path: str = _ROOT,
        method: str = _POST,
        headers: Mapping[str, str] | None = None,
        resources: Resources | None = None,
    ) -> AsyncIterator[Any]:
        """Yield the replies to one event as they come, from within a running event loop.

        Parameters
        ----------
        body, path, method, headers, resources
            As for `test`.
        """
        event = Event(body, path=path, method=method, headers=_lower_case(headers))
        return self._plan(resources).stream_async(event)

    def map(self, bodies: Iterable[Any], *, at_once: int = 1, resources: Resources | None = None) -> Rows:
        """Return the replies to many events: with whole batches at once where every step can, row by row elsewhere.

        Parameters
        ----------
        bodies
            Bodies, or one NumPy array or Arrow batch whose rows are bodies.
        at_once
            How many rows may be under way together where steps wait for something; then a step may see them in
            another order. The replies keep theirs.
        resources
            What the graph needs from the outside.
        """
        return map_plan(self._plan(resources), bodies, at_once)

    def trace(
        self,
        body: Any = None,
        *,
        path: str = _ROOT,
        method: str = _POST,
        headers: Mapping[str, str] | None = None,
        resources: Resources | None = None,
    ) -> Trace:
        """Return what every step and error handler got, gave and took, with the reply or the error.

        Parameters
        ----------
        body, path, method, headers, resources
            As for `test`.
        """
        event = Event(body, path=path, method=method, headers=_lower_case(headers))
        return trace_plan(self._plan(resources), event)

    def serve(
        self,
        *,
        port: int = 0,
        grpc_port: int | None = None,
        host: str = "127.0.0.1",
        resources: Resources | None = None,
    ) -> None:
        """Answer requests over HTTP, and over gRPC if asked to, until interrupted (Ctrl+C); for a notebook or an IDE.

        Parameters
        ----------
        port
            0 takes a free one; the address is printed.
        grpc_port
            Answer the Open Inference Protocol over gRPC there, too; 0 takes a free one.
        host
            This machine only, unless you say otherwise.
        resources
            What the graph needs from the outside; as for `test`.
        """
        needed = runtime("resources")() if resources is None and self.models else resources
        runtime("serve")(self, needed, port=port, host=host, grpc_port=grpc_port)

    def _plan(self, resources: Resources | None) -> Plan:
        changes, opened = self.definition.changes, self._opened
        if opened is not None and opened[0] is resources and opened[1] == changes:
            return opened[2]
        with self._opening:  # two threads that ask first do not open twice
            opened = self._opened
            if opened is None or opened[0] is not resources or opened[1] != changes:
                self._open_anew(resources, changes)
                if opened is not None:
                    opened[2].close()
            assert self._opened is not None  # noqa: S101 (it was just set)
            return self._opened[2]

    def _open_anew(self, resources: Resources | None, changes: int) -> None:
        needed = runtime("resources")() if resources is None and self.models else resources
        plan = self.open(needed)
        close_at_exit(plan)
        self._opened, self._changes = (resources, changes, plan), changes
        quick = plan.compiled if resources is None and not plan.queues and not plan.inner else None
        self._quick, self._quick_async = (None, quick) if plan.is_async else (quick, None)
        self._at_once = quick if not plan.is_async and not plan.early else None


def _lower_case(headers: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return headers with names in lower case, as servers hand them on."""
    return None if headers is None else {name.lower(): value for name, value in headers.items()}
