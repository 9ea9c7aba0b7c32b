"""Compiles a plan into straight-line code, for as long as an event stays on the straight line.

What the generated function cannot say (a handled error, a cycle, what follows the reply) it hands to the interpreter,
with the tokens that are on their way at that place: they are known when the code is written.
"""

import linecache
from collections import deque
from collections.abc import Callable
from itertools import count
from types import CoroutineType
from typing import Any, NamedTuple
from weakref import finalize

from modelyard.graphs.context import Response
from modelyard.graphs.drivers import is_cancelled
from modelyard.graphs.event import Event
from modelyard.graphs.failures import FAILURES, Unawaited
from modelyard.graphs.isolation import isolated
from modelyard.graphs.joins import joined
from modelyard.graphs.parts import Edge, PlanNode
from modelyard.graphs.plan import Plan
from modelyard.graphs.tokens import Token, chosen, split

__all__ = ["compile_plan", "source_of"]

_MOST_STEPS = 200
_NUMBERS = count(1)


class _TooWideError(Exception):
    """The graph is not one for straight-line code."""


class _JumpError(Exception):
    """The event leaves the straight line here; its arguments are what the interpreter goes on with."""


class _Pending(NamedTuple):
    """A token on its way: which edge, and the variable with its body."""

    edge: Edge
    variable: str


_State = tuple[tuple[_Pending, ...], dict[int, dict[int, str]]]


def compile_plan(plan: Plan) -> Callable[[Any, Event | None], Any] | None:
    """Return a function of body and event that gives the reply; None if the plan is run by the interpreter.

    Parameters
    ----------
    plan
        The open graph.
    """
    source = source_of(plan)
    if source is None:
        return None
    name = f"<modelyard graph {plan.graph} #{next(_NUMBERS)}>"
    # An entry without a time stays, for tracebacks and debuggers; it goes with the function, which their frames hold
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space = _names(plan)
    exec(compile(source, name, "exec"), space)  # noqa: S102 (written below, from names and indexes alone)
    function: Callable[[Any, Event | None], Any] = space["run"]
    finalize(function, linecache.cache.pop, name, None).atexit = False
    return function


def source_of(plan: Plan) -> str | None:
    """Return the source of the compiled function; None if the plan is none for straight-line code."""
    many = ("flat_map", "unbatch", "batch", "queue")
    if plan.streams or plan.cycles or plan.entry_region >= 0:
        return None
    for node in plan.nodes:
        if node.yields or node.kind in many or node.region >= 0 or "key" in node.options:
            return None
    try:
        return _Writer(plan).source()
    except _TooWideError:
        return None


class _Writer:
    """Writes the function of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._whole = any(node.full_event and node.direct is None for node in plan.nodes)
        self._lines: list[str] = []
        self._states: list[tuple[PlanNode, str, _State]] = []
        self._variables = count(1)
        self._wait = "await " if plan.is_async else ""

    def source(self) -> str:
        """Return the text."""
        plan = self._plan
        handled = any(node.handlers for node in plan.nodes)
        simple = not handled
        self._lines = [f"{'async ' if plan.is_async else ''}def run(body, event=None):"]
        if self._whole:
            self._lines += ["    if event is None:", "        event = Event(body)"]
        start = "event" if self._whole else "body"
        pending: list[_Pending] = []
        self._fan_out(pending, plan.entry, start, 1)  # no step has failed if the body cannot be copied
        self._lines += ["    i = 0", "    try:"]
        self._walk(tuple(pending), {}, 2)
        self._line(1, "except Jump as jump:")
        self._line(2, f"return {self._wait}resume(*jump.args)")
        self._line(1, "except FAILURES as error:")
        if plan.is_async:
            self._line(2, "if is_cancelled(error):")
            self._line(3, "raise")
        self._write_failures(simple=simple)
        return "\n".join(self._lines) + "\n"

    def _write_failures(self, *, simple: bool) -> None:
        for index, (node, variable, state) in enumerate(self._states):
            body = f"{variable}.body" if self._whole else variable
            self._line(2, f"if i == {index}:")
            if simple or not node.handlers:
                self._line(3, f"raise failed({node.index}, {self._event(variable)}, {body}, error)")
            else:
                self._base(3, variable)
                tokens, joins = self._handed(state)
                failure = f"(nodes[{node.index}], {variable if self._whole else 'base'}, error)"
                self._line(3, f"return {self._wait}resume(base, {tokens}, {joins}, {failure})")
        self._line(2, "raise")

    def _event(self, variable: str) -> str:
        return variable if self._whole else f"event or Event({variable})"

    def _base(self, depth: int, variable: str) -> None:
        self._line(depth, "base = event" if self._whole else f"base = tokened(event, {variable})")

    def _jump(self, depth: int, tokens: str, joins: str) -> None:
        self._line(depth, f"raise Jump(base, {tokens}, {joins})")

    def _handed(self, state: _State) -> tuple[str, str]:
        """Return the tokens and joins at one place, as the expressions that make them."""
        pending, arrived = state
        tokens = "".join(
            f"token({each.edge.to}, {each.edge.inlet}, base, {each.variable}), " for each in reversed(pending)
        )
        joins = ""
        for merge, inlets in arrived.items():
            size = len(self._plan.nodes[merge].inlets)
            bodies = [
                f"deque(({self._body(inlets[inlet])},))" if inlet in inlets else "deque()" for inlet in range(size)
            ]
            joins += f"{merge}: [{', '.join(bodies)}], "
        return f"({tokens})", f"{{{joins}}}"

    def _body(self, variable: str) -> str:
        return f"{variable}.body" if self._whole else variable

    def _line(self, depth: int, text: str) -> None:
        self._lines.append("    " * depth + text)

    def _fresh(self) -> str:
        return f"v{next(self._variables)}"

    def _fan_out(self, pending: list[_Pending], edges: tuple[Edge, ...], variable: str, depth: int) -> None:
        """Put tokens for the edges on the stack; all but the last get copies."""
        found = []
        for edge in edges[:-1]:
            copy = self._fresh()
            made = f"{variable}.branch(isolated({variable}.body))" if self._whole else f"isolated({variable})"
            self._line(depth, f"{copy} = {made}")
            found.append(_Pending(edge, copy))
        if edges:
            found.append(_Pending(edges[-1], variable))
        pending.extend(reversed(found))

    def _walk(self, pending: tuple[_Pending, ...], arrived: dict[int, dict[int, str]], depth: int) -> None:
        """Write what happens from here to the end of the event."""
        while pending:
            token, pending = pending[-1], pending[:-1]
            node = self._plan.nodes[token.edge.to]
            if len(self._states) > _MOST_STEPS or depth > 15:
                raise _TooWideError
            if node.kind == "merge":
                there = arrived.get(node.index, {})
                if token.edge.inlet in there:
                    raise _TooWideError
                inlets = {**there, token.edge.inlet: token.variable}
                arrived = {**arrived, node.index: inlets}
                if len(inlets) < len(node.inlets):
                    continue
                arrived = {index: each for index, each in arrived.items() if index != node.index}
                variable = self._merged(node, inlets, token.variable, (pending, arrived), depth)
            elif node.kind == "filter":
                self._mark(node, token.variable, (pending, arrived), depth)
                self._line(depth, f"if {self._called(node, token.variable)}:")
                self._pass_on(node, token.variable, pending, arrived, depth + 1)
                variable = ""
            elif node.kind == "choice":
                self._choose(node, token.variable, pending, arrived, depth)
                return
            else:
                self._mark(node, token.variable, (pending, arrived), depth)
                variable = self._called_into(node, token.variable, depth)
            if variable:
                self._pass_on(node, variable, pending, arrived, depth)
                return
        self._finish(arrived, depth)

    def _pass_on(
        self,
        node: PlanNode,
        variable: str,
        pending: tuple[_Pending, ...],
        arrived: dict[int, dict[int, str]],
        depth: int,
    ) -> None:
        if node.respond:
            self._reply(node, variable, pending, arrived, depth)
            return
        onwards = list(pending)
        self._fan_out(onwards, node.edges, variable, depth)
        self._walk(tuple(onwards), arrived, depth)

    def _reply(
        self,
        node: PlanNode,
        variable: str,
        pending: tuple[_Pending, ...],
        arrived: dict[int, dict[int, str]],
        depth: int,
    ) -> None:
        if node.kind == "call":  # what gives a coroutine in the midst of a line is told by the step that gets it
            self._line(depth, f"if {self._body(variable)}.__class__ is Coroutine:")
            self._line(depth + 1, f"raise Unawaited({self._body(variable)})")
        if not node.edges and not pending and not arrived:
            self._line(depth, f"return {self._body(variable)}")
            return
        if arrived:
            raise _TooWideError
        reply = self._fresh()
        self._line(depth, f"{reply} = {self._body(variable)}")
        onwards = list(pending)
        if node.edges:
            copy = self._fresh()
            bare = f"isolated({reply}.body if {reply}.__class__ is Response else {reply})"
            made = f"{variable}.branch({bare})" if self._whole else bare
            self._line(depth, f"{copy} = {made}")
            self._fan_out(onwards, node.edges, copy, depth)
        self._base(depth, variable)
        tokens, _ = self._handed((tuple(onwards), {}))
        self._line(depth, f"follow(base, {tokens})")
        self._line(depth, f"return {reply}")

    def _choose(
        self,
        node: PlanNode,
        variable: str,
        pending: tuple[_Pending, ...],
        arrived: dict[int, dict[int, str]],
        depth: int,
    ) -> None:
        self._mark(node, variable, (pending, arrived), depth)
        said = self._fresh()
        self._line(depth, f"{said} = chosen(nodes[{node.index}], {self._called(node, variable)})")
        for name, edges in node.outlets.items():
            self._line(depth, f"if {said} is o{node.index}_{list(node.outlets).index(name)}:")
            onwards = list(pending)
            self._fan_out(onwards, edges, variable, depth + 1)
            self._walk(tuple(onwards), arrived, depth + 1)
        # several outlets at once: the interpreter goes on from here
        self._base(depth, variable)
        tokens, joins = self._handed((pending, arrived))
        given = variable if self._whole else "base"
        self._jump(depth, f"(*split({said}, {given}, late=False), *{tokens})", joins)

    def _merged(self, node: PlanNode, inlets: dict[int, str], last: str, state: _State, depth: int) -> str:
        self._mark(node, last, state, depth)
        bodies = [self._body(inlets[index]) for index in range(len(node.inlets))]
        into = node.options["into"]
        if into == "mapping":
            made = "{" + ", ".join(f"{name!r}: {body}" for name, body in zip(node.inlets, bodies, strict=True)) + "}"
        elif into == "list":
            made = f"[{', '.join(bodies)}]"
        else:
            made = f"joined({node.inlets!r}, ({', '.join(bodies)},), {into!r})"
        if self._whole:
            self._line(depth, f"{last}.body = {made}")
            return last
        variable = self._fresh()
        self._line(depth, f"{variable} = {made}")
        return variable

    def _mark(self, node: PlanNode, variable: str, state: _State, depth: int) -> None:
        self._states.append((node, variable, state))
        if len(self._states) > 1:
            self._line(depth, f"i = {len(self._states) - 1}")

    def _called(self, node: PlanNode, variable: str) -> str:
        if node.direct is not None and not self._whole:
            return f"(d{node.index}({variable}, event))"
        argument = variable if node.full_event else self._body(variable)
        return f"({'await ' if node.is_async else ''}f{node.index}({argument}))"

    def _called_into(self, node: PlanNode, variable: str, depth: int) -> str:
        made = self._called(node, variable)
        result = self._fresh()
        self._line(depth, f"{result} = {made[1:-1]}")
        if self._whole and node.full_event:
            self._line(depth, f"if {result}.__class__ is not Event:")
            self._line(depth + 1, f"{variable}.body = {result}")
            self._line(depth + 1, f"{result} = {variable}")
        elif self._whole:
            self._line(depth, f"{variable}.body = {result}")
            self._line(depth, f"{result} = {variable}")
        return result

    def _finish(self, arrived: dict[int, dict[int, str]], depth: int) -> None:
        if arrived:
            first = next(iter(next(iter(arrived.values())).values()))
            self._base(depth, first)
            _, joins = self._handed(((), arrived))
            self._jump(depth, "()", joins)
        else:
            self._line(depth, "if event is not None:")
            self._line(depth + 1, "event.status = 204")
            self._line(depth, "return None")


def _names(plan: Plan) -> dict[str, Any]:
    def tokened(event: Event | None, body: Any) -> Event:
        if event is None:
            return Event(body)
        event.body = body
        return event

    def token(to: int, inlet: int, base: Event, given: Any) -> Token:
        return Token(Edge(to, inlet), given if isinstance(given, Event) else base.branch(given))

    space: dict[str, Any] = {
        "Jump": _JumpError,
        "Event": Event,
        "Response": Response,
        "Coroutine": CoroutineType,
        "Unawaited": Unawaited,
        "FAILURES": FAILURES,
        "chosen": chosen,
        "deque": deque,
        "failed": plan.failed,
        "is_cancelled": is_cancelled,
        "follow": plan.follow_async if plan.is_async else plan.follow,
        "isolated": isolated,
        "joined": joined,
        "nodes": plan.nodes,
        "resume": plan.resume_async if plan.is_async else plan.resume,
        "split": split,
        "token": token,
        "tokened": tokened,
    }
    for node in plan.nodes:
        space[f"f{node.index}"] = node.call
        space[f"d{node.index}"] = node.direct
        for position, edges in enumerate(node.outlets.values()):
            space[f"o{node.index}_{position}"] = edges
    return space
