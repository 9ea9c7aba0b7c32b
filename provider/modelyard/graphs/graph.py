"""The graph: steps, models and branches, defined once and run in tests, behind HTTP and in batch."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import yaml

from modelyard.errors import near_name
from modelyard.graphs.assembly import assemble, laid_open
from modelyard.graphs.background import run_in_background
from modelyard.graphs.building import Place, Step, handler_of
from modelyard.graphs.checks import check_shape
from modelyard.graphs.compiled import compile_plan
from modelyard.graphs.definition import CODE, Definition, Kind
from modelyard.graphs.drawing import Drawing
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.event import Event
from modelyard.graphs.mapping import Rows, map_plan
from modelyard.graphs.plan import Plan
from modelyard.graphs.ports import Resources
from modelyard.graphs.runtimes import runtime
from modelyard.graphs.spec import GraphSpec
from modelyard.graphs.spec_writing import definition_of, spec_of
from modelyard.graphs.tracing import Trace, trace_plan

__all__ = ["Graph"]

_ROOT, _POST = "/", "POST"


class Graph(Place):
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

    is_graph = True
    source = ""

    def __init__(self, name: str, *, cycle_bound: int = 0, parameters: Mapping[str, Any] | None = None) -> None:
        if not name or not name.replace("-", "").replace("_", "").isalnum():
            raise GraphInvalid(name, "a graph's name is made of letters, digits, - and _")
        self.definition = Definition(name, cycle_bound, parameters=dict(parameters or {}))
        self._opened: tuple[Resources | None, int, Plan] | None = None
        self._quick: Callable[[Any, Event | None], Any] | None = None
        self._quick_async: Callable[[Any, Event | None], Any] | None = None
        self._at_once: Callable[[Any, Event | None], Any] | None = None
        self._changes = -1

    @property
    def name(self) -> str:
        """The graph's name."""
        return self.definition.name

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the steps, in order."""
        return tuple(self.definition.nodes)

    @property
    def models(self) -> dict[str, str]:
        """The model reference of each model step, those of graphs in the graph as ``graph.step``."""
        found: dict[str, str] = {}
        for node in self.definition:
            if node.kind == "model":
                found[node.name] = node.use
            elif node.kind == "graph":
                found |= {f"{node.name}.{name}": model for name, model in node.use.models.items()}
        return found

    def add_step(
        self, step: Any, *, name: str = "", after: str | Sequence[str] = "", before: str = "", **options: Any
    ) -> Step:
        """Add a step by the names of its neighbours.

        Parameters
        ----------
        step, name, **options
            As for `to`.
        after
            The step, the steps, or the outlet (``choice:outlet``) that it follows; empty is the graph's input.
        before
            The step that it is put in front of: it takes over that step's place, unless `after` says another.

        Raises
        ------
        GraphInvalid
            A neighbour is not there, or the step does not fit.
        """
        sources = (after,) if isinstance(after, str) else tuple(after)
        if before:
            if before not in self.definition.nodes:
                mend = near_name(before, list(self.definition.nodes))
                raise GraphInvalid(self.name, f"there is no step {before!r} to come before", step=name, mend=mend)
            sources = self.definition.nodes[before].after if not any(sources) else sources
        added = self.to(step, name=name, **options)
        self.definition.change(added.name, after=())
        for source in sources:
            origin = source.partition(":")[0]
            if (origin == before and before) or (origin and origin not in self.definition.nodes):
                self.definition.nodes.pop(added.name)
                known = near_name(origin, list(self.definition.nodes))
                raise GraphInvalid(self.name, f"it cannot come after {origin!r}", step=added.name, mend=known)
        self.definition.change(added.name, after=sources)
        if before:
            self.definition.change(before, after=(added.name,))
            self.definition.move_before(added.name, before)
        return added

    def on_error(self, handler: Any = None, *, name: str = "", continue_at: str = "", **arguments: Any) -> Self:
        """Let `handler` look at the errors that no step's own handler takes; see `Step.on_error`."""
        self.definition.handler = handler_of(self.definition, handler, name, continue_at, arguments)
        self.definition.changes += 1
        return self

    def resource(self, name: str, factory: Callable[[], Any]) -> Self:
        """Open something when the graph opens, and close it with the graph: ``context.resource(name)``.

        Parameters
        ----------
        name
            How steps ask for it.
        factory
            Makes it; a context manager, plain or async, is entered and left.
        """
        self.definition.resources[name] = factory
        self.definition.changes += 1
        return self

    def with_models(self, models: Mapping[str, str]) -> "Graph":
        """Return the same graph with other model references in the named model steps.

        Raises
        ------
        GraphInvalid
            One of the names is no model step.
        """
        known = self.models
        for name in models:
            if name not in known:
                told = ", ".join(known) or "none"
                raise GraphInvalid(self.name, "there is no such model step", step=name, mend=f"Model steps: {told}.")
        other = self._copied()
        for node in list(other.definition):
            if node.kind == "model" and node.name in models:
                other.definition.change(node.name, use=models[node.name])
            elif node.kind == "graph":
                own = {name: models[full] for name in node.use.models if (full := f"{node.name}.{name}") in models}
                other.definition.change(node.name, use=node.use.with_models(own))
        return other

    def replacing(self, **fakes: Any) -> "Graph":
        """Return the same graph with other code in the named steps: fakes, for a test.

        Raises
        ------
        GraphInvalid
            There is no such step, or it has no code.

        Examples
        --------
        >>> graph = Graph("g")
        >>> step = graph.model("ask", "models:/delays@champion").to(lambda answer: answer["label"], name="label")
        >>> graph.replacing(ask=lambda body: {"label": "late"}).test({})
        'late'
        """
        other = self._copied()
        for name, fake in fakes.items():
            node = other.definition.nodes.get(name)
            if node is None:
                raise GraphInvalid(self.name, f"there is no step {name!r}", mend=near_name(name, list(self.steps)))
            if node.kind not in (*CODE, "model", "graph"):
                raise GraphInvalid(self.name, f"a {node.kind} has no code to replace", step=name)
            kind: Kind = "call" if node.kind in ("model", "graph") else node.kind
            other.definition.change(name, kind=kind, use=fake, arguments={}, full_event=False)
        return other

    def check(self) -> None:
        """Refuse a graph that breaks a rule, without building any step.

        Raises
        ------
        GraphInvalid
            The first broken rule, with the graph drawn.
        """
        check_shape(laid_open(self.definition)[0])

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
        """
        plan = assemble(self.definition, resources)
        plan.compiled = compile_plan(plan)
        return plan

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
            How the event pretends to have arrived.
        resources
            What the graph needs from the outside.

        Raises
        ------
        StepFailed
            A step raised; the error names graph, step and event.
        """
        quick = self._quick
        if (
            quick is not None
            and path is _ROOT
            and method is _POST
            and headers is None
            and resources is None
            and self._changes == self.definition.changes
        ):
            return quick(body, None)
        plan = self._plan(resources)
        event = Event(body, path=path, method=method, headers=headers)
        if plan.is_async:
            return run_in_background(plan.settle_async(event))
        reply = plan.run(event)
        if plan.queues or plan.crossings:
            run_in_background(plan.drain())
        return reply

    async def run(self, body: Any = None, *, resources: Resources | None = None) -> Any:
        """Return the reply to one event from within a running event loop; see `test` for the rest.

        Raises
        ------
        StepFailed
            A step raised; the error names graph, step and event.
        """
        quick = self._at_once
        if quick is not None and resources is None and self._changes == self.definition.changes:
            return quick(body, None)
        waiting = self._quick_async
        if waiting is not None and resources is None and self._changes == self.definition.changes:
            return await waiting(body, None)
        return await self._plan(resources).run_async(Event(body))

    def stream(self, body: Any = None, *, resources: Resources | None = None) -> Iterator[Any]:
        """Yield the replies to one event as they come."""
        return self._plan(resources).stream(Event(body))

    def stream_async(self, body: Any = None, *, resources: Resources | None = None) -> AsyncIterator[Any]:
        """Yield the replies to one event as they come, from within a running event loop."""
        return self._plan(resources).stream_async(Event(body))

    def map(self, bodies: Iterable[Any], *, resources: Resources | None = None) -> Rows:
        """Return the replies to many events: with whole batches at once where every step can, row by row elsewhere.

        Parameters
        ----------
        bodies
            Bodies, or one NumPy array or Arrow batch whose rows are bodies.
        resources
            What the graph needs from the outside.
        """
        return map_plan(self._plan(resources), bodies)

    def trace(self, body: Any = None, *, resources: Resources | None = None) -> Trace:
        """Return what every step got, gave and took, with the reply or the error."""
        return trace_plan(self._plan(resources), Event(body))

    def show(self) -> Drawing:
        """Return the graph drawn: ``print`` gives Mermaid, a notebook shows SVG."""
        return Drawing(self.name, self.definition.nodes, self.definition.handler)

    def serve(self, *, port: int = 0, host: str = "127.0.0.1", resources: Resources | None = None) -> None:
        """Answer HTTP requests until interrupted (Ctrl+C); for a notebook or an IDE.

        Parameters
        ----------
        port
            0 takes a free one; the address is printed.
        host
            This machine only, unless you say otherwise.
        resources
            What the graph needs from the outside; as for `test`.
        """
        runtime("serve")(self._plan(resources), port=port, host=host)

    def to_spec(self) -> GraphSpec:
        """Return the graph as data.

        Raises
        ------
        GraphInvalid
            A step is not importable by name (a lambda, a function in a function, an object) or has arguments that
            are not JSON.
        """
        return spec_of(self.definition)

    @classmethod
    def from_spec(cls, spec: GraphSpec | Mapping[str, Any] | str) -> "Graph":
        """Return the graph that `spec` describes; the inverse of `to_spec`.

        Parameters
        ----------
        spec
            The specification; the same as plain data; or as YAML or JSON text.

        Raises
        ------
        GraphInvalid
            The data describes no graph.
        """
        if isinstance(spec, str):
            try:
                spec = yaml.safe_load(spec)
            except yaml.YAMLError as error:
                raise GraphInvalid("", f"the specification is not YAML: {error}") from None
            if not isinstance(spec, Mapping):
                raise GraphInvalid("", f"a specification is a mapping, not {type(spec).__name__}")
        definition = definition_of(spec, cls.from_spec)
        graph = cls(definition.name)
        graph.definition = definition
        return graph

    def _copied(self) -> "Graph":
        other = Graph(self.name)
        other.definition = self.definition.copied()
        return other

    def _plan(self, resources: Resources | None) -> Plan:
        changes = self.definition.changes
        if self._opened is None or self._opened[0] is not resources or self._opened[1] != changes:
            needed = runtime("resources")() if resources is None and self.models else resources
            plan = self.open(needed)
            self._opened, self._changes = (resources, changes, plan), changes
            quick = plan.compiled if resources is None and not plan.queues else None
            self._quick, self._quick_async = (None, quick) if plan.is_async else (quick, None)
            self._at_once = quick if not plan.is_async and not plan.early else None
        return self._opened[2]

    def __repr__(self) -> str:
        return f"<graph {self.name}: {' → '.join(self.steps) or 'empty'}>"
