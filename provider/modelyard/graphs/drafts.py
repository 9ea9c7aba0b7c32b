"""A graph on paper: what can be said and asked of it before it opens."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import msgspec

from modelyard.errors import near_name
from modelyard.graphs.attachments import bound_of
from modelyard.graphs.building import Place, Step, handler_of
from modelyard.graphs.checks import check_shape
from modelyard.graphs.definition import Definition
from modelyard.graphs.drawing import Drawing
from modelyard.graphs.endpoints import Chat, add_endpoint
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.nesting import laid_open
from modelyard.graphs.node_models import references_of, with_references
from modelyard.graphs.replacing import replace_code
from modelyard.graphs.spec import GraphSpec
from modelyard.graphs.spec_text import read_text, write_text
from modelyard.graphs.spec_writing import definition_of, spec_of

__all__ = ["Draft"]


class Draft(Place):
    """What `Graph` can do without running: steps by name, handlers, resources, variants, the drawing, the data.

    Parameters
    ----------
    name, cycle_bound, parameters
        As for `Graph`.
    """

    is_graph = True
    source = ""

    def __init__(self, name: str, *, cycle_bound: int = 0, parameters: Mapping[str, Any] | None = None) -> None:
        if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum():
            raise GraphInvalid("", f"a graph's name is made of letters, digits, - and _, not {name!r}")
        bound = bound_of(name, "cycle_bound", cycle_bound)
        self.definition = Definition(name, bound, parameters=dict(parameters or {}))

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
        """The model reference of each model step: ``step``, ``group.member``, or ``graph.step`` of an inner graph."""
        try:
            return {name: model for node in self.definition for name, model in references_of(node).items()}
        except RecursionError:
            raise GraphInvalid(self.name, f"the graph {self.name!r} is a part of itself") from None

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
        sources: tuple[Any, ...] = tuple(after) if isinstance(after, list | tuple) else (after,)
        if not sources or not all(isinstance(each, str) for each in sources):
            rule = f"after takes the names of steps, not {after!r}"
            raise GraphInvalid(self.name, rule, step=name, mend="A place knows its own: step.name.")
        if before:
            if before not in self.definition.nodes:
                mend = near_name(before, list(self.definition.nodes))
                raise GraphInvalid(self.name, f"there is no step {before!r} to come before", step=name, mend=mend)
            sources = self.definition.nodes[before].after if not any(sources) else sources
        added = self.to(step, name=name, **options)
        self.definition.change(added.name, after=())
        for source in sources:
            origin = source.partition(":")[0]
            if origin == before and before:
                self.definition.nodes.pop(added.name)
                raise GraphInvalid(self.name, f"it cannot come after and before {before!r}", step=added.name)
            if origin and origin not in self.definition.nodes:
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
            Makes it; a context manager, plain or async, is entered and left, and a coroutine awaited. An async one
            belongs to the event loop of `open_async`; `open` and `test` use a loop in the background.
        """
        self.definition.resources[name] = factory
        self.definition.changes += 1
        return self

    def api(
        self,
        path: str,
        *,
        method: str = "POST",
        action: str = "allow",
        parameters: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        mandatory: Sequence[str] = (),
        reply: Mapping[str, Any] | None = None,
        description: str = "",
    ) -> Self:
        """Declare where the graph answers over HTTP. What is not declared then gets 404, or 405.

        The event's body is a mapping of the parameters and of the request's body: of its fields as they are, or of
        those that `body` names.

        Parameters
        ----------
        path
            ``/flights/{id}``; a last part ``*`` is anything below. Of several that fit, the most literal wins.
        method
            ``GET``, ``POST``, ``PUT``, ``PATCH``, ``DELETE``, or ``WEBSOCKET``: each message of such a connection is an
            event; ``*`` forbids them all.
        action
            ``allow``, or ``forbid``: such a request gets 403.
        parameters, query
            Name → type, for the names in the path and in the query: ``"integer"``, ``int``, or a `Parameter`.
        body
            Field of the event's body, dotted → its place in the request's body (``$.flight.hour``), or a `BodyField`.
        mandatory
            The fields of `body` without which a request gets 422.
        reply
            Field of the response, dotted → its place in the graph's reply. The pieces of a stream stay as they are.
        description
            For the documents.

        Raises
        ------
        GraphInvalid
            Something of it is wrong, or it is declared already.

        Examples
        --------
        >>> from modelyard.graphs import Graph
        >>> graph = Graph("g").api("/flights/{id}", method="get", query={"day": int})
        >>> graph.definition.endpoints[0].query["day"].type
        'integer'
        """
        known = self.definition.endpoints
        endpoint = add_endpoint(
            self.name,
            known,
            path,
            method=method,
            action=action,
            parameters=parameters,
            query=query,
            body=body,
            mandatory=mandatory,
            reply=reply,
            description=description,
        )
        self.definition.endpoints = (*known, endpoint)
        self.definition.changes += 1
        return self

    def chat(self, model: str, *, owner: str = "modelyard") -> Self:
        """Declare that the graph answers chat completions, as OpenAI's clients ask for them.

        The event's body is the request: ``messages`` and whatever else the client said. The reply is a text, or a
        mapping with ``content`` and, if known, ``usage`` and ``finish_reason``; a step that yields such replies makes
        a stream.

        Parameters
        ----------
        model
            What clients call it.
        owner
            Who owns it, as the list of models has it.

        Raises
        ------
        GraphInvalid
            The model has no name.
        """
        if not model:
            raise GraphInvalid(self.name, "a graph that chats has a name for its model", mend="Say chat(model='…').")
        self.definition.chat = Chat(model, owner)
        self.definition.changes += 1
        return self

    def with_models(self, models: Mapping[str, str]) -> Self:
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
            other.definition.nodes[node.name] = with_references(node, models)
        return other

    def replacing(self, **fakes: Any) -> Self:
        """Return the same graph with other code in the named steps and error handlers: fakes, for a test.

        A fake is called as the step was: with the body, or with the event if that is what the step asked for. It runs
        in this process; what it was to be built with is left out.

        Parameters
        ----------
        **fakes
            The name of a step or of an error handler, and the code; ``**{"inner.parse": …}`` for one in a graph
            inside.

        Raises
        ------
        GraphInvalid
            There is no such step or handler, or it has no code.

        Examples
        --------
        >>> from modelyard.graphs import Graph
        >>> graph = Graph("g")
        >>> step = graph.model("ask", "models:/delays@champion").to(lambda answer: answer["label"], name="label")
        >>> graph.replacing(ask=lambda body: {"label": "late"}).test({})
        'late'
        """
        other = self._copied()
        for name, fake in fakes.items():
            replace_code(other.definition, name, fake)
        return other

    def check(self) -> None:
        """Refuse a graph that breaks a rule, without building any step.

        Raises
        ------
        GraphInvalid
            The first broken rule, with the graph drawn.
        """
        shape = laid_open(self.definition)[0]
        check_shape(shape)
        for member in (member for node in shape.nodes.values() for member in node.members.values()):
            if member.kind == "graph":
                member.use.check()

    def show(self) -> Drawing:
        """Return the graph drawn: ``print`` gives Mermaid, a notebook shows SVG."""
        return Drawing(self.definition)

    def to_spec(self) -> GraphSpec:
        """Return the graph as data.

        Raises
        ------
        GraphInvalid
            A step is not importable by name (a lambda, a function in a function, an object) or has arguments that
            are not JSON.
        """
        return spec_of(self.definition)

    def to_yaml(self) -> str:
        """Return the graph as YAML text, which `from_spec` reads back exactly.

        Raises
        ------
        GraphInvalid
            As for `to_spec`.

        Examples
        --------
        >>> from modelyard.graphs import Graph
        >>> graph = Graph("g")
        >>> step = graph.to("operator:neg", timeout=2, concurrency="thread")
        >>> print(graph.to_yaml(), end="")
        name: g
        steps:
        - name: neg
          kind: call
          use: operator:neg
          settings:
            timeout: 2
            concurrency: thread
        """
        return write_text(msgspec.to_builtins(self.to_spec()))

    @classmethod
    def from_spec(cls, spec: GraphSpec | Mapping[str, Any] | str) -> Self:
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
            spec = read_text(spec)
        definition = definition_of(spec, cls.from_spec)
        graph = cls(definition.name)
        graph.definition = definition
        return graph

    def _copied(self) -> Self:
        other = type(self)(self.name)
        other.definition = self.definition.copied()
        return other

    def __repr__(self) -> str:
        return f"<graph {self.name}: {' → '.join(self.steps) or 'empty'}>"
