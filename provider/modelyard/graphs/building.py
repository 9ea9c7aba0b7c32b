"""The fluent way to write a graph: places to go on from."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

from modelyard.graphs.attachments import add_cycle, added, as_handler, handler_of, outlet_name, own_name, sources_of
from modelyard.graphs.definition import Definition, Kind, Node
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.group_building import group_node, with_member
from modelyard.graphs.options import across_options

__all__ = ["Choice", "Group", "Outlet", "Place", "Step", "add_cycle", "handler_of", "outlet_name", "own_name"]

Missing = Literal["error", "drop", "partial"]
Into = Literal["mapping", "list", "update"]


class Place:
    """Somewhere in a graph, to go on from: the graph's input, a step, or an outlet of a choice."""

    definition: Definition
    source: str

    def to(self, step: Any, *, name: str = "", full_event: bool = False, **options: Any) -> "Step":
        """Add a step here; a second one at the same place makes a branch.

        Parameters
        ----------
        step
            A function of the body, a class with ``do(body)`` or ``do_event(event)`` (built once, when the graph
            opens), an object with such a method, a dotted path to one of them, or a `Graph`; plain or ``async``, and
            a generator gives several events.
        name
            Unique in the graph; by default the function's or class's own.
        full_event
            Hand the whole event over instead of its body; what the step returns is the next body either way, and an
            event that it returns is the next event.
        **options
            The names of `StepSettings` are settings (``timeout=2.0``, ``retries=3``). Everything else is what the
            function gets besides the body, or the class is built with: JSON values, so that the graph can be
            deployed.

        Raises
        ------
        GraphInvalid
            The name is taken or missing, a setting is wrong, or it is no step.
        """
        kind: Kind = "graph" if getattr(step, "is_graph", False) else "call"
        return self._add(kind, step, name or own_name(step), options, full_event=full_event)

    def model(self, name: str, model: Any = "", **options: Any) -> "Step":
        """Add a model here.

        Parameters
        ----------
        name
            Unique in the graph.
        model
            The model's reference (``models:/name@alias``, ``models:/name/version``), a subclass of
            `modelyard.graphs.models.Model`, a function of the body, or a dotted path (``module:name``) to one of them.
        **options
            Settings, as for `to`; ``versions``, ``default``, ``warm_up``, ``operation_field``, ``version_field``; with
            a class, ``source`` is the reference that it loads. Everything else is what the class is built with.

        Raises
        ------
        GraphInvalid
            The name is taken, or it is no model.
        """
        if not (callable(model) or (isinstance(model, str) and (model or options.get("versions")))):
            rule = f"a model is a reference, a class or a function, not {model!r}"
            raise GraphInvalid(self.definition.name, rule, step=name)
        return self._add("model", model, name, options)

    def filter(self, predicate: Any, *, name: str = "", full_event: bool = False, **options: Any) -> "Step":
        """Let only those events pass that the predicate finds true; the others end here, with status 204.

        Parameters
        ----------
        predicate, name, full_event, **options
            As for `to`.
        """
        return self._add("filter", predicate, name or own_name(predicate), options, full_event=full_event)

    def flat_map(self, function: Any, *, name: str = "", full_event: bool = False, **options: Any) -> "Step":
        """Make several events of one: one for each item that the function returns.

        Parameters
        ----------
        function, name, full_event, **options
            As for `to`.
        """
        return self._add("flat_map", function, name or own_name(function), options, full_event=full_event)

    def choice(self, by: Any, *, name: str = "", full_event: bool = False, **options: Any) -> "Choice":
        """Send each event to one of several outlets.

        Parameters
        ----------
        by
            A field of the body (dotted), or a function of the body; its value names the outlet, and a truth value
            means ``yes`` or ``no``. A list of names sends the event to each of them.
        name
            Unique in the graph; by default the field's or function's name.
        full_event
            Hand the whole event over to the function: its path, headers or key may decide.
        **options
            What the function gets besides.
        """
        default = by.replace(".", "_") if isinstance(by, str) else own_name(by)
        return Choice(self._add("choice", by, name or default, options, full_event=full_event))

    def router(
        self, strategy: Any, *, name: str = "router", routes: Mapping[str, Any] | None = None, **options: Any
    ) -> "Group":
        """Send each event to one of several members, which the strategy chooses.

        Parameters
        ----------
        strategy
            A class of `modelyard.graphs.routers`, one of your own with ``select(event)``, its dotted path, or a
            function of the event that returns the route's name.
        name
            Unique in the graph.
        routes
            Route → member: a step as for `to`, a model's reference (``models:/name@alias``), a `Graph`, or a mapping
            of ``use`` or ``model`` with settings and arguments of its own.
        **options
            Settings of the router, as for `to`, and the strategy's arguments.

        Raises
        ------
        GraphInvalid
            A name is taken or missing, a setting is wrong, or a member is no step.
        """
        return self._group("router", strategy, name, routes or {}, options)

    def ensemble(
        self, strategy: Any, *, name: str = "ensemble", members: Mapping[str, Any] | None = None, **options: Any
    ) -> "Group":
        """Ask several members about each event, and make one answer of theirs.

        Parameters
        ----------
        strategy
            A class of `modelyard.graphs.ensembles`, one of your own with ``combine(answers, failures)``, its dotted
            path, or a function of answers and failures.
        name
            Unique in the graph.
        members
            Name → member, as the routes of `router`.
        **options
            ``on_member_error`` (``fail``, or ``answer`` from the rest), ``min_members`` (how many must then answer),
            ``tell`` (the field of a mapping reply that names those that failed; empty keeps it out), ``by_path``
            (whether a request for ``/<member>/infer`` gets that member's answer alone); settings, as for `to`; and the
            strategy's arguments.

        Raises
        ------
        GraphInvalid
            A name is taken or missing, a setting is wrong, or a member is no step.
        """
        return self._group("ensemble", strategy, name, members or {}, options)

    def merge(
        self,
        *branches: "Place",
        name: str = "merge",
        into: Into = "mapping",
        missing: Missing = "error",
        key: str = "",
        limit: int = 1024,
        seconds: float = 0.0,
    ) -> "Step":
        """Wait for one event from each branch, and join their bodies in the order in which the branches are named.

        Parameters
        ----------
        *branches
            Places whose events meet; this place is the first of them, unless it is the graph itself.
        name
            Unique in the graph.
        into
            ``mapping`` (by the name of the last step of each branch), ``list``, or ``update`` (all mappings in one).
        missing
            What happens where a branch brings nothing: ``error``, ``drop`` the rest, or go on with the ``partial``
            join.
        key
            Join across events rather than within one: a field of the body (dotted), ``$id`` or ``$key`` of the event.
            An event that still waits for its counterpart ends here with status 204; the one that completes the join
            goes on with it. What never joins has nobody to reply to: with ``missing="error"`` it goes to the handlers,
            and to the log.
        limit
            With `key`: how many incomplete joins are kept; the oldest goes by the rule of `missing`.
        seconds
            With `key`: how long one may stay incomplete; 0 is no bound.

        Raises
        ------
        GraphInvalid
            There are fewer than two branches, an option has a value that it cannot have, or the name is taken.
        """
        after = sources_of(self.definition, name, [(each.definition, each.source) for each in (self, *branches)])
        options: dict[str, Any] = {"into": into, "missing": missing}
        options |= across_options(limit, seconds, key=key) if key else across_options(limit, seconds)
        self.definition.add(Node(name, "merge", None, after, options=options))
        return Step(self.definition, name)

    def parallel(self, *, name: str = "parallel", into: Into = "mapping", **branches: Any) -> "Step":
        """Run several steps on the same body, and join their results under the names of the branches."""
        if not branches:
            raise GraphInvalid(self.definition.name, "there is nothing to run", step=name, mend="Say parallel(a=…).")
        ends = [self.to(step, name=each) for each, step in branches.items()]
        options = {"into": into, "missing": "error"}
        self.definition.add(Node(name, "merge", None, tuple(end.source for end in ends), options=options))
        return Step(self.definition, name)

    def batch(
        self,
        size: int = 0,
        *,
        name: str = "batch",
        across: bool = False,
        seconds: float = 0.0,
        key: str = "",
        limit: int = 1024,
    ) -> "Step":
        """Gather bodies into lists of `size`.

        Within one event, those that a step before made of it; what is left at its end is a shorter list. Without a
        size all of them, also if there are none: what is a stream before is one event behind. Across events
        (`across`, or with `seconds` or `key`), whole events: each ends here with status 204, but for the one that
        completes a list, which goes on with it. A list that goes on as it is, because its time is up or the graph
        closes, has nobody to reply to.

        Parameters
        ----------
        size
            How many make a list; 0 are all of one event.
        name
            Unique in the graph.
        across
            Whether different events come into one list.
        seconds
            How long the first of a list waits before the list goes on as it is; 0 is no bound.
        key
            What belongs together: a field of the body (dotted), ``$id`` or ``$key`` of the event; empty puts all
            events together.
        limit
            With `key`: how many lists are open at once; the oldest goes on as it is.

        Raises
        ------
        GraphInvalid
            A number is too small, or the name is taken.
        """
        options: dict[str, Any] = {"size": size}
        across = across or bool(seconds or key)
        options |= across_options(limit, seconds, across=True, key=key) if across else across_options(limit, seconds)
        self.definition.add(Node(name, "batch", None, (self.source,), options=options))
        return Step(self.definition, name)

    def unbatch(self, *, name: str = "unbatch") -> "Step":
        """Make one event of each item of a list."""
        self.definition.add(Node(name, "unbatch", None, (self.source,)))
        return Step(self.definition, name)

    def queue(self, *, name: str = "queue", size: int = 1024, wait: float = 0.0) -> "Step":
        """Hand events over to a worker of their own: what follows has nothing to do with the reply.

        Parameters
        ----------
        name
            Unique in the graph.
        size
            How many events may wait.
        wait
            Seconds that an event waits for room before `QueueFull`; 0 fails at once.
        """
        self.definition.add(Node(name, "queue", None, (self.source,), options={"size": size, "wait": wait}))
        return Step(self.definition, name)

    def _group(
        self, kind: Kind, strategy: Any, name: str, members: Mapping[str, Any], options: Mapping[str, Any]
    ) -> "Group":
        rest = dict(options)
        handler = as_handler(rest.pop("on_error", None))
        node = group_node(self.definition, kind, strategy, name, members, rest)
        self.definition.add(replace(node, after=(self.source,), on_error=handler))
        return Group(self.definition, name)

    def _add(self, kind: Kind, use: Any, name: str, options: Mapping[str, Any], *, full_event: bool = False) -> "Step":
        return Step(
            self.definition, added(self.definition, self.source, kind, use, name, options, full_event=full_event)
        )


class Step(Place):
    """One step of a graph, to continue from."""

    def __init__(self, definition: Definition, name: str) -> None:
        self.definition = definition
        self.source = name
        self.name = name

    def respond(self) -> Self:
        """Make this step's result the reply; what follows it runs after the reply was handed out."""
        self.definition.change(self.name, respond=True)
        return self

    def on_error(self, handler: Any = None, *, name: str = "", continue_at: str = "", **arguments: Any) -> Self:
        """Let `handler` look at this step's errors.

        Parameters
        ----------
        handler
            A step that takes the event, with ``error`` and ``origin``; what it returns is the reply, or goes on at
            `continue_at`. It may raise ``event.error`` again. Without one the event goes on as it is.
        name
            How errors call it.
        continue_at
            The step that gets what the handler returned.
        **arguments
            What the handler gets besides.

        Raises
        ------
        GraphInvalid
            Neither a handler nor a step to continue at is given.
        """
        self.definition.change(self.name, on_error=handler_of(self.definition, handler, name, continue_at, arguments))
        return self

    def cycle_to(self, name: str, *, bound: int = 0) -> Self:
        """Send this step's result back to an earlier step as well; after a choice, use its outlet.

        Parameters
        ----------
        name
            The step to go back to.
        bound
            How often one event may go this way; 0 takes the graph's `cycle_bound`.
        """
        add_cycle(self.definition, self.source, name, bound)
        return self

    def __repr__(self) -> str:
        return f"<step {self.name} of graph {self.definition.name}>"


class Group(Step):
    """A router or an ensemble, to give members to and to continue from."""

    def member(self, name: str, step: Any, **options: Any) -> Self:
        """Add a member.

        Parameters
        ----------
        name
            Unique in the group: the route's name.
        step
            As the routes of `Place.router`.
        **options
            Settings and arguments of this member.

        Raises
        ------
        GraphInvalid
            The name is taken, a setting is wrong, or it is no step.
        """
        with_member(self.definition, self.name, name, step, options)
        return self


class Outlet(Place):
    """One outlet of a choice."""

    def __init__(self, definition: Definition, source: str) -> None:
        self.definition = definition
        self.source = source

    def cycle_to(self, name: str, *, bound: int = 0) -> None:
        """Send what leaves here back to an earlier step; see `Step.cycle_to`."""
        add_cycle(self.definition, self.source, name, bound)


class Choice:
    """A choice; `when` leads to its outlets."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self.name = step.name

    def when(self, outlet: Any) -> Outlet:
        """Return the place where events go for which the choice said `outlet`; True is ``yes``, False is ``no``."""
        return Outlet(self._step.definition, f"{self.name}:{outlet_name(outlet)}")

    def otherwise(self) -> Outlet:
        """Return the place where all other events go."""
        return Outlet(self._step.definition, f"{self.name}:*")

    def on_error(self, handler: Any = None, *, name: str = "", continue_at: str = "", **arguments: Any) -> Self:
        """Let `handler` look at the choice's own errors; see `Step.on_error`."""
        self._step.on_error(handler, name=name, continue_at=continue_at, **arguments)
        return self
