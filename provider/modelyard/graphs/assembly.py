"""Compiles a definition into a plan: lays sub-graphs open, checks, builds the steps, wires the nodes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from modelyard.errors import near_name
from modelyard.graphs.batched_steps import batched_ensemble, batched_model
from modelyard.graphs.bodies import part_of
from modelyard.graphs.calls import StepCall, step_call
from modelyard.graphs.checks import MANY, check_shape
from modelyard.graphs.context import Context
from modelyard.graphs.definition import Definition, Handler, Node
from modelyard.graphs.ensemble_group import EnsembleGroup
from modelyard.graphs.errors import GraphInvalid
from modelyard.graphs.group_assembly import Group, Surroundings, built_group
from modelyard.graphs.groups import GROUPS, Member
from modelyard.graphs.isolation import isolated
from modelyard.graphs.lifetimes import Opened
from modelyard.graphs.member_graphs import MemberGraph
from modelyard.graphs.models.nodes import model_call
from modelyard.graphs.models.server import ModelServer
from modelyard.graphs.nesting import Scope, laid_open
from modelyard.graphs.observing import observed, observed_async
from modelyard.graphs.parts import CycleLimit, Edge, PlanHandler, PlanNode
from modelyard.graphs.plan import Plan, Wiring
from modelyard.graphs.policies import Policies
from modelyard.graphs.ports import Channel, Resources
from modelyard.graphs.queues import EventQueue
from modelyard.graphs.recording import recorded_model
from modelyard.graphs.regions import region_of
from modelyard.graphs.router_group import RouterGroup
from modelyard.graphs.row_counts import counted
from modelyard.graphs.settings import StepSettings
from modelyard.graphs.typing_checks import check_types, types_of

__all__ = ["assemble"]


class _Assembly:
    """Builds the nodes of one plan."""

    def __init__(self, definition: Definition, resources: Resources | None) -> None:
        self.definition = definition
        self.resources = resources
        self.batching = resources.batching if resources else None
        self.shape, self.flat = laid_open(definition)
        check_shape(self.shape)
        self.index = {name: position for position, name in enumerate(self.shape.nodes)}
        self.models: dict[str, ModelServer] = {}
        self.opened = Opened(definition.name, self.flat.resources)
        told = resources or Resources()
        self.policies = Policies(definition.name, threads=told.threads, processes=told.processes)
        self.cycles: list[CycleLimit] = []
        self.queues: dict[int, EventQueue] = {}
        self.built: dict[int, PlanHandler] = {}
        self.groups: dict[str, Group] = {}
        self.inner: list[Plan] = []

    def plan(self) -> Plan:
        """Return the plan; nothing of it is open yet."""
        calls = {name: self._call(node) for name, node in self.shape.nodes.items()}
        check_types(self.shape, calls)
        handlers = {name: self._handlers(name) for name in self.shape.nodes}
        nodes = [self._node(node, calls[name], handlers[name]) for name, node in self.shape.nodes.items()]
        entry = self._edges("", ())
        nodes = [replace(node, region=region_of(nodes, node.edges, node)) for node in nodes]
        wiring = Wiring(
            entry=entry,
            entry_region=region_of(nodes, entry, None),
            cycles=tuple(self.cycles),
            streams=self._streams(nodes),
            is_async=any(node.is_async or any(each.is_async for each in node.handlers) for node in nodes),
            early=self._answers_early(),
            closers=(self.policies.close,),
            opened=self.opened,
        )
        plan = Plan(self.definition.name, nodes, wiring, self.models)
        plan.definition = self.definition
        plan.types = types_of(self.shape, calls, handled=any(self.flat.handlers.values()))
        for index, queue in self.queues.items():
            queue.work = plan.worker(nodes[index])
            plan.queues.append(queue)
        plan.groups = self.groups
        plan.inner = [inner for inner in self.inner if inner.is_async or inner.queues or inner.crossings or inner.inner]
        plan.queues += [each.shadows for each in self.groups.values() if isinstance(each, RouterGroup) and each.shadows]
        return plan

    def _call(self, node: Node) -> StepCall:
        if node.kind in GROUPS:
            return self._group(node)
        if node.kind == "graph":
            return self._member_graph(node)
        if node.kind == "model":
            return self._model(node)
        if node.kind in ("merge", "batch", "unbatch"):
            return StepCall(_same)
        if node.kind == "queue":
            return self._queue(node)
        if node.kind == "choice" and isinstance(node.use, str) and ":" not in node.use:
            return StepCall(lambda body: part_of(body, node.use))
        call = self._step(node.name, node.use, node.arguments, full_event=node.full_event)
        if node.kind in ("filter", "choice") and call.yields:
            raise GraphInvalid(self.definition.name, f"a {node.kind} does not yield", step=node.name)
        self._check_kind(node, call.owner)
        return call

    def _queue(self, node: Node) -> StepCall:
        channels: Mapping[str, Channel] = self.resources.channels if self.resources else {}
        channel = channels.get(node.name)
        if channel is None:
            index = self.index[node.name]
            channel = self.queues[index] = EventQueue(node.name, node.options["size"], node.options["wait"])
        put = channel.put
        return StepCall(lambda event: put(event.branch(isolated(event.body))), full_event=True)

    def _check_kind(self, node: Node, owner: Any) -> None:
        """Refuse a class in a place that it is not made for: a predicate as a step would answer True or False."""
        kinds = getattr(owner, "kinds", (node.kind,))
        if isinstance(kinds, tuple) and node.kind not in kinds:
            ways = " or ".join(f"graph.{'to' if kind == 'call' else kind}(…)" for kind in kinds)
            rule = f"{type(owner).__name__} with these arguments goes with {ways}"
            raise GraphInvalid(self.definition.name, rule, step=node.name)

    def _context(self, name: str, scope: Scope | None = None) -> Context:
        parameters, resources = scope or self.flat.scope_of(name)
        getters = {short: self.opened.getters[name] for short, name in resources.items()}
        return Context(self.definition.name, name, parameters, self.resources, getters)

    def _model(self, node: Node) -> StepCall:
        context = self._context(node.name)
        concurrency = node.settings.concurrency
        call = model_call(self.definition.name, node.use, node.arguments, context, concurrency=concurrency)
        self.models[node.name] = call.owner
        self.opened.own(node.name, call.owner)
        if self.batching is not None:
            call = batched_model(call, node.name, node.settings, self.batching)
        recorder = self.resources.recorder if self.resources else None
        # what runs in another process cannot be wrapped: it is sent there as it is
        return recorded_model(call, node.name, recorder) if recorder and not call.owner.in_process else call

    def _group(self, node: Node) -> StepCall:
        batching = self.batching
        if node.kind == "ensemble":
            self.batching = None  # the ensemble gathers for all its members
        members = {name: self._member(node.name, member) for name, member in node.members.items()}
        self.batching = batching
        context = self._context(node.name)
        resources = self.resources
        if resources and resources.recorder and all(member.kind == "model" for member in node.members.values()):
            resources = replace(resources, recorder=None)  # each of them is recorded already, whoever asks it
        surroundings = Surroundings(self.definition.name, context, resources)
        group = self.groups[node.name] = built_group(node, members, surroundings)
        self.opened.own(node.name, group.strategy)
        recorder = self.resources.recorder if self.resources else None
        batch = group.batch if recorder is None else None  # a record names its event: rows alone have none
        call = StepCall(group.call, group.is_async, full_event=True, yields=group.yields, batch=batch)
        if batching is None or not isinstance(group, EnsembleGroup):
            return call
        return batched_ensemble(group, call, node.settings, batching)

    def _member(self, group: str, node: Node) -> Member:
        placed = replace(node, name=f"{group}.{node.name}")
        call = self._call(placed)
        wrapped = self.policies.wrapped(placed, call)
        batch = self._in_batches(placed, call)
        plain = StepSettings(vectorised=node.settings.vectorised)
        in_thread = msgspec.structs.replace(plain, concurrency="thread")
        if call.is_async or node.settings not in (plain, in_thread):
            batch = None  # what is asked for is asked for each row
        owner = getattr(call.function, "__self__", None)
        pure, columns = bool(getattr(owner, "leaves_body", False)), getattr(owner, "do_columns", None)
        return Member(
            node.name,
            wrapped.function,
            wrapped.is_async,
            wrapped.full_event,
            wrapped.yields,
            batch,
            columns if batch is not None else None,
            pure=pure,
        )

    def _member_graph(self, node: Node) -> StepCall:
        resources = self.resources and replace(self.resources, batching=self.batching)
        inner = MemberGraph(self.definition.name, node.name, assemble(node.use.definition, resources))
        self.inner.append(inner.plan)
        self.models |= {f"{node.name}.{name}": model for name, model in inner.plan.models.items()}
        self.opened.own(node.name, inner)
        return inner.call

    def _step(
        self, name: str, use: Any, arguments: Mapping[str, Any], *, full_event: bool, scope: Scope | None = None
    ) -> StepCall:
        context = self._context(name, scope)
        call = step_call(self.definition.name, name, use, arguments, full_event=full_event, context=context)
        if call.owner is not None:
            self.opened.own(name, call.owner)
        return call

    def _in_batches(self, node: Node, call: StepCall) -> Callable[[Any], Any] | None:
        batch = call.batch or (call.function if node.settings.vectorised else None)
        # groups and models count what their members and hooks say
        return counted(batch, self.definition.name, node.name) if batch and node.kind == "call" else batch

    def _node(self, node: Node, call: StepCall, handlers: tuple[PlanHandler, ...]) -> PlanNode:
        batch = None if node.settings.validate else self._in_batches(node, call)
        wrapped = self.policies.wrapped(node, call)
        choice = node.kind == "choice"
        group = self.groups.get(node.name)
        direct = group.direct if group and not node.settings.wraps and call.function == group.call else None
        single = _single(call, group) if batch is not None and not node.settings.wraps else None
        if self.resources and self.resources.observer and not wrapped.yields:
            observe = self.resources.observer.step(node.name)
            around = observed_async if wrapped.is_async else observed
            wrapped = wrapped._replace(function=around(wrapped.function, observe))
            batch, direct, single = (each and observed(each, observe) for each in (batch, direct, single))
        return PlanNode(
            index=self.index[node.name],
            name=node.name,
            kind=node.kind,
            call=wrapped.function,
            is_async=wrapped.is_async,
            full_event=wrapped.full_event,
            yields=wrapped.yields,
            respond=node.name in self.shape.responders,
            edges=() if choice else self._edges(node.name, node.cycles),
            outlets=self._outlets(node) if choice else {},
            handlers=handlers,
            inlets=tuple(node.inlets) if node.kind == "merge" else (),
            collects=self._collects(node, call),
            options=node.options,
            batch=batch,
            wrapped=node.settings.wraps,
            direct=direct,
            single=single,
        )

    def _outlets(self, node: Node) -> dict[str, tuple[Edge, ...]]:
        names = [source.partition(":")[2] for source in self.shape.outlets(node.name)]
        names += [cycle.outlet for cycle in node.cycles if cycle.outlet not in names]
        return {
            name: self._edges(f"{node.name}:{name}", [cycle for cycle in node.cycles if cycle.outlet == name])
            for name in names
        }

    def _edges(self, source: str, cycles: Iterable[Any]) -> tuple[Edge, ...]:
        edges = []
        for name in self.shape.followers.get(source, ()):
            node = self.shape.nodes[name]
            edges.append(Edge(self.index[name], node.after.index(source) if node.kind == "merge" else 0))
        for cycle in cycles:
            self.cycles.append(CycleLimit(f"{source} → {cycle.to}", cycle.bound or self.shape.cycle_bound))
            edges.append(Edge(self.index[cycle.to], 0, len(self.cycles) - 1))
        return tuple(edges)

    def _handlers(self, name: str) -> tuple[PlanHandler, ...]:
        found = []
        for handler, scope in self.flat.handlers[name]:
            if handler.continue_at and handler is not self.shape.nodes[name].on_error:
                if handler.continue_at not in self.index:
                    known = near_name(handler.continue_at, list(self.index))
                    rule = f"the handler continues at {handler.continue_at!r}, which is not there"
                    raise self.shape.refuse(rule, mend=known)
                if name in self.shape.reach([handler.continue_at]):
                    continue  # it would lead here again
            found.append(self._handler(handler, scope))
        return tuple(found)

    def _handler(self, handler: Handler, scope: Scope) -> PlanHandler:
        known = self.built.get(id(handler))
        if known is None:
            call: Callable[[Any], Any] | None = None
            is_async = False
            if handler.use is not None:
                step = self._step(handler.name, handler.use, handler.arguments, full_event=True, scope=scope)
                if step.yields:
                    raise GraphInvalid(self.definition.name, "an error handler does not yield", step=handler.name)
                call, is_async = step.function, step.is_async
            known = PlanHandler(handler.name, call, is_async, self.index.get(handler.continue_at, -1))
            self.built[id(handler)] = known
        return known

    def _answers_early(self) -> bool:
        shape = self.shape
        ends = [name for name in shape.nodes if not shape.next(name) and shape.nodes[name].kind != "choice"]
        return set(ends) != set(shape.responders)

    def _streams(self, nodes: list[PlanNode]) -> bool:
        """Whether a step that makes several events of one leads to the responder, or is it."""
        responders = [name for name in self.shape.responders if not self._collecting(name)]
        many = [node.name for node in nodes if node.yields or node.kind in MANY]
        return any(not self.shape.reach([name], up_to=self._collecting).isdisjoint(responders) for name in many)

    def _collecting(self, name: str) -> bool:
        """Whether a step gathers everything that one event became."""
        node = self.shape.nodes[name]
        return node.kind == "batch" and not node.options["size"]

    def _collects(self, node: Node, call: StepCall) -> tuple[int, ...]:
        if not (call.yields or node.kind in MANY):
            return ()
        return tuple(
            self.index[name]
            for name in self.shape.reach([node.name], up_to=self._collecting)
            if name != node.name and self._collecting(name)
        )


def assemble(definition: Definition, resources: Resources | None) -> Plan:
    """Return the plan of a definition; what its steps need is still to be opened.

    Raises
    ------
    GraphInvalid
        It breaks a rule.
    ResourceMissing
        It needs something from the outside that was not handed over.
    """
    return _Assembly(definition, resources).plan()


def _single(call: StepCall, group: RouterGroup | EnsembleGroup | None) -> Callable[[Any], Any] | None:
    """Return what takes one body of a step that takes many, too; None if it wants the event, or waits."""
    if group is not None:
        direct = group.direct
        return None if direct is None else lambda body: direct(body, None)
    if isinstance(call.owner, ModelServer):
        return call.owner.do  # the rows of several events are gathered by the call, and not by this
    return None if call.is_async or call.full_event else call.function


def _same(body: Any) -> Any:
    return body
