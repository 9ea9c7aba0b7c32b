"""How a workflow's parts are called in Airflow, and where a task stands in its loops; needs no Airflow itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from modelyard.workflows.conditions import holds
from modelyard.workflows.definition import Choice, Loop, Node, Place, Workflow
from modelyard.workflows.filling import Filling, Found, Position
from modelyard.workflows.references import AnyReference, contains_reference
from modelyard.workflows.scopes import loops_of
from modelyard.workflows.validation import LIST_OF_ANY

__all__ = ["FAILURE_KEY", "TABLE_KEY", "Plan", "Pull", "Pulled"]

TABLE_KEY = "table"
"""The key under which the task of a loop publishes positions and items."""

FAILURE_KEY = "failure"
"""The key under which a failed task publishes why."""

Pull = Callable[[str, int | None, str], Any]
"""Returns what a task has published: task id, map index (None for all, as a list), key. None where there is nothing."""


@dataclass(frozen=True)
class Plan:
    """A workflow as it becomes tasks.

    Parameters
    ----------
    workflow
        The workflow, in order.
    prefix
        What stands before each task id, such as ``group.``.
    given
        Values and templates for inputs that no trigger form asks for.
    asks
        Whether a trigger form asks for the others; else they have their defaults.
    """

    workflow: Workflow
    prefix: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    asks: bool = True

    @cached_property
    def places(self) -> dict[str, tuple[Place, ...]]:
        """The blocks around each step, choice and loop."""
        return {node.name: around for node, around in self.workflow.walk()}

    def task_id(self, name: str) -> str:
        """Return the id of the task of a step, a choice or a loop."""
        return f"{self.prefix}{name}"

    def loops(self, name: str) -> tuple[Loop, ...]:
        """Return the loops around a step or block, the outermost first."""
        return loops_of(self.places.get(name, ()))

    def static_items(self, loop: Loop) -> list[Any] | None:
        """Return the items of a loop that are known now; those of others are found by a task."""
        known = isinstance(loop.items, list) and not contains_reference(loop.items) and not self.loops(loop.name)
        return loop.items if known else None

    def is_leaf(self, loop: Loop) -> bool:
        """Return whether a loop stands in no other, and none stands in it."""
        return not self.loops(loop.name) and not _has_loop(loop.body)

    def gates(self, name: str) -> list[Place]:
        """Return the branches inside loops that a step or a loop stands in; those outside have tasks of their own."""
        around = self.places.get(name, ())
        first = next((index for index, place in enumerate(around) if isinstance(place.block, Loop)), len(around))
        return [place for place in around[first:] if isinstance(place.block, Choice)]

    def is_due(self, name: str, position: Position, filling: Filling) -> bool:
        """Return whether the branches inside loops that a step or loop stands in are taken at a position."""
        for place in self.gates(name):
            choice = place.block
            assert isinstance(choice, Choice)  # noqa: S101 - what gates returns
            at = position[: len(self.loops(choice.name))]

            def fill(reference: AnyReference, choice: Choice = choice, at: Position = at) -> Any:
                return filling.value(reference, choice.name, at)

            if holds(choice.condition, fill) is not (place.branch == "then"):
                return False
        return True

    def table(self, loop: Loop, found: "Pulled", filling: Filling) -> list[tuple[Position, Any]]:
        """Return the positions of a loop's turns, of all turns of the loops around it, each with its item."""
        around = self.loops(loop.name)
        table: list[tuple[Position, Any]] = []
        for at in found.positions(around[-1]) if around else [()]:
            if self.is_due(loop.name, at, filling):
                value = filling.value(loop.items, loop.name, at)
                items = LIST_OF_ANY.coerce(value, f"loop {loop.name}")
                table += [((*at, index), item) for index, item in enumerate(items)]
        return table


def _has_loop(nodes: Sequence[Node]) -> bool:
    for node in nodes:
        if isinstance(node, Loop):
            return True
        if isinstance(node, Choice) and (_has_loop(node.then) or _has_loop(node.otherwise)):
            return True
    return False


class Pulled(Found):
    """What the tasks of a run have published.

    Parameters
    ----------
    plan
        The workflow as tasks.
    pull
        Reads what a task has published.
    own
        The loops around the one who asks: of a step in others it will want all results.
    """

    def __init__(self, plan: Plan, pull: Pull, own: Sequence[Loop] = ()) -> None:
        self._plan = plan
        self._pull = pull
        self._own = {loop.name for loop in own}
        self._tables: dict[str, list[tuple[Position, Any]] | None] = {}
        self._all: dict[str, dict[int, Any]] = {}

    def result(self, step: str, position: Position) -> Mapping[str, Any] | None:
        """Return the result of a step; None where it was skipped."""
        loops = self._plan.loops(step)
        task = self._plan.task_id(step)
        if not loops:
            return self._mapping(self._pull(task, -1, "return_value"))
        index = self.index(loops, position)
        if loops[-1].name not in self._own:
            known = self._known(task, len(self.positions(loops[-1])))
            if known is not None:
                return self._mapping(known[index])
        return self._mapping(self._pull(task, index, "return_value"))

    @staticmethod
    def _mapping(value: Any) -> Mapping[str, Any] | None:
        return value if isinstance(value, Mapping) else None

    def _known(self, task: str, count: int) -> dict[int, Any] | None:
        """Return the results of all turns, read at once; None where some have none."""
        if task not in self._all:
            values = self._pull(task, None, "return_value") or []
            self._all[task] = dict(enumerate(values)) if len(values) == count and None not in values else {}
        return self._all[task] or None

    def items(self, loop: str, position: Position) -> Sequence[Any] | None:
        """Return the items of a loop; None where it was skipped."""
        table = self._table(loop)
        return None if table is None else [item for at, item in table if at[:-1] == position]

    def positions(self, loop: Loop) -> list[Position]:
        """Return the positions of all turns of a loop."""
        return [at for at, _ in self._table(loop.name) or []]

    def index(self, loops: Sequence[Loop], position: Position) -> int:
        """Return the map index of a task at a position of the loops around it."""
        return position[0] if len(loops) == 1 else self.positions(loops[-1]).index(position)

    def _is_taken(self, name: str) -> bool:
        """Return whether the branches outside loops that a block stands in were taken."""
        for place in self._plan.places[name]:
            if isinstance(place.block, Choice):
                decision = self._pull(self._plan.task_id(place.block.name), -1, "return_value")
                if decision is None or decision["holds"] is not (place.branch == "then"):
                    return False
        return True

    def _table(self, name: str) -> list[tuple[Position, Any]] | None:
        if name not in self._tables:
            loop = next(node for node, _ in self._plan.workflow.walk() if node.name == name)
            assert isinstance(loop, Loop)  # noqa: S101 - loops have names of their own
            items = self._plan.static_items(loop)
            if items is not None:
                known: list[tuple[Position, Any]] = [((index,), item) for index, item in enumerate(items)]
                self._tables[name] = known if self._is_taken(name) else None
            else:
                rows = self._pull(self._plan.task_id(name), -1, TABLE_KEY)
                self._tables[name] = None if rows is None else [(tuple(at), item) for at, item in rows]
        return self._tables[name]
