"""How far a run has come: which steps may start, which never will, and what each has left."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from modelyard.errors import ModelyardError
from modelyard.workflows.conditions import holds
from modelyard.workflows.definition import Choice, Loop, Node, Step, Workflow
from modelyard.workflows.filling import Filling, Position
from modelyard.workflows.outcome import Failure, InstanceState, WorkflowOutcome, instance_name
from modelyard.workflows.references import AnyReference
from modelyard.workflows.validation import LIST_OF_ANY

__all__ = ["Progression", "Ready"]


class Ready(NamedTuple):
    """A step that may start."""

    step: Step
    position: Position
    parameters: dict[str, Any]
    """With all references filled in."""

    @property
    def name(self) -> str:
        """Its name, with the positions of its items."""
        return instance_name(self.step.name, self.position)


class Progression:
    """Follows one run of a workflow; it starts nothing itself.

    A step may start when everything beside it that it needs is over. A choice or a loop waits for all that its
    condition, its list and its steps need from outside; who needs one of its steps waits for the whole. What needs
    something that failed is blocked; everything else goes on.

    Parameters
    ----------
    workflow
        A workflow that was checked.
    inputs
        All of its inputs.
    """

    def __init__(self, workflow: Workflow, inputs: Mapping[str, Any]) -> None:
        self.workflow = workflow.in_order()
        self.states: dict[str, InstanceState] = {}
        self.ready: list[Ready] = []
        self._results: dict[str, dict[str, Any]] = {}
        self._items: dict[tuple[str, Position], list[Any]] = {}
        self._failures: dict[str, ModelyardError] = {}
        self._open: dict[str, Callable[[bool], None]] = {}
        self._filling = Filling(self.workflow, inputs, self)
        self._ranks = {node.name: rank for rank, (node, _) in enumerate(self.workflow.walk())}
        self._over = False
        _Body(self, self.workflow.body, (), self._ended).advance()

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self._over

    @property
    def errors(self) -> dict[str, ModelyardError]:
        """What failed and why, in the order of the workflow."""
        return {name: self._failures[name] for name in sorted(self._failures, key=self._rank)}

    def result(self, step: str, position: Position) -> Mapping[str, Any] | None:
        """Return the result of a step; None where it has none."""
        return self._results.get(instance_name(step, position))

    def items(self, loop: str, position: Position) -> Sequence[Any] | None:
        """Return the items of a loop; None where it never began."""
        return self._items.get((loop, position))

    def take(self) -> list[Ready]:
        """Return the steps that may start, each once."""
        taken, self.ready = self.ready, []
        return taken

    def succeeded(self, name: str, result: dict[str, Any]) -> None:
        """Learn that a step has a result."""
        self.states[name] = "succeeded"
        self._results[name] = result
        self._open.pop(name)(True)

    def failed(self, name: str, error: ModelyardError, state: InstanceState = "failed") -> None:
        """Learn that a step failed for good."""
        self.states[name] = state
        self._failures[name] = error
        self._open.pop(name)(False)

    def outcome(self) -> WorkflowOutcome:
        """Return what the run has left so far."""
        failures = [Failure(name, error.error_kind, str(error)) for name, error in self.errors.items()]
        states = {name: str(self.states[name]) for name in sorted(self.states, key=self._rank)}
        results = {name: self._results[name] for name in sorted(self._results, key=self._rank)}
        return WorkflowOutcome(states, results, tuple(failures))

    def _rank(self, name: str) -> tuple[int, ...]:
        """Return where in the workflow a name stands."""
        step, *position = name.replace("]", "").split("[")
        return (self._ranks[step], *map(int, position))

    def _ended(self, good: bool) -> None:
        del good
        self._over = True

    def start(self, node: Node, position: Position, then: Callable[[bool], None]) -> None:
        """Begin a node whose needs are met; `then` learns whether it went well, when it is over."""
        name = instance_name(node.name, position)
        self._open[name] = then
        try:
            if isinstance(node, Step):
                parameters = self._filling.value(node.parameters, node.name, position)
                self.ready.append(Ready(node, position, parameters))
            elif isinstance(node, Choice):
                self._decide(node, position)
            else:
                self._loop(node, position)
        except ModelyardError as error:
            if not isinstance(node, Step):
                self.mark(_members(node), position, "blocked")
            self.failed(name, error)

    def _decide(self, choice: Choice, position: Position) -> None:
        def fill(reference: AnyReference) -> Any:
            return self._filling.value(reference, choice.name, position)

        taken, left = choice.then, choice.otherwise
        if not holds(choice.condition, fill):
            taken, left = left, taken
        self.mark(left, position, "skipped")
        _Body(self, taken, position, self._open.pop(instance_name(choice.name, position))).advance()

    def _loop(self, loop: Loop, position: Position) -> None:
        value = self._filling.value(loop.items, loop.name, position)
        items = self._items[loop.name, position] = LIST_OF_ANY.coerce(value, f"loop {loop.name}")
        _Turns(self, loop, position, len(items), self._open.pop(instance_name(loop.name, position))).advance()

    def block(self, node: Node, position: Position) -> None:
        """Mark a node that will never begin, because something that it needs failed."""
        self.mark((node,), position, "blocked")

    def mark(self, nodes: Sequence[Node], position: Position, state: InstanceState) -> None:
        """Mark the steps of nodes that will not run; those in a loop whose items nobody knows, by their name alone."""
        for node in nodes:
            if isinstance(node, Step):
                self.states[instance_name(node.name, position)] = state
            else:
                self.mark(_members(node), position, state)


def _members(block: Choice | Loop) -> tuple[Node, ...]:
    return block.body if isinstance(block, Loop) else (*block.then, *block.otherwise)


class _Body:
    """Some nodes side by side, at one position."""

    def __init__(
        self, run: Progression, nodes: Sequence[Node], position: Position, then: Callable[[bool], None]
    ) -> None:
        self._run = run
        self._position = position
        self._then = then
        self._waiting = {node.name: node for node in nodes}
        self._left = len(nodes)
        self._bad: set[str] = set()
        self._done: set[str] = set()
        inner = {node.name: {node.name, *_names(node)} for node in nodes}
        owner = {name: node for node, names in inner.items() for name in names}
        self._needs = {node.name: {owner[name] for name in node.needs if name in owner} for node in nodes}

    def advance(self) -> None:
        """Begin what may begin."""
        moved = True
        while moved:
            moved = False
            for name in [each for each in self._waiting if self._needs[each] <= self._done]:
                if name in self._waiting:
                    self._begin(self._waiting.pop(name))
                    moved = True
        if self._left == 0 and self._then is not _told:
            then, self._then = self._then, _told
            then(not self._bad)

    def _begin(self, node: Node) -> None:
        if self._needs[node.name] & self._bad:
            self._run.block(node, self._position)
            self._count(node.name, good=False)
        else:
            self._run.start(node, self._position, lambda good: self._over(node.name, good=good))

    def _over(self, name: str, *, good: bool) -> None:
        self._count(name, good=good)
        self.advance()

    def _count(self, name: str, *, good: bool) -> None:
        self._left -= 1
        self._done.add(name)
        if not good:
            self._bad.add(name)


class _Turns:
    """The turns of a loop, no more at a time than it allows."""

    def __init__(
        self, run: Progression, loop: Loop, position: Position, count: int, then: Callable[[bool], None]
    ) -> None:
        self._run = run
        self._loop = loop
        self._position = position
        self._next = 0
        self._count = count
        self._active = 0
        self._good = True
        self._then = then

    def advance(self) -> None:
        """Begin the next turns; tell when all are over."""
        while self._next < self._count and (not self._loop.parallel or self._active < self._loop.parallel):
            index, self._next = self._next, self._next + 1
            self._active += 1
            _Body(self._run, self._loop.body, (*self._position, index), self._turned).advance()
        if self._next == self._count and self._active == 0 and self._then is not _told:
            then, self._then = self._then, _told
            then(self._good)

    def _turned(self, good: bool) -> None:
        self._active -= 1
        self._good = self._good and good
        self.advance()


def _told(good: bool) -> None:
    """Stand in for what was told already."""
    del good


def _names(node: Node) -> set[str]:
    if isinstance(node, Step):
        return set()
    return {name for member in _members(node) for name in {member.name, *_names(member)}}
