"""Runs many events: with whole batches at once where every step can, row by row elsewhere."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.background import run_in_background
from modelyard.graphs.event import Event
from modelyard.graphs.group_errors import RowsFailed
from modelyard.graphs.groups import GROUPS
from modelyard.graphs.isolation import isolated
from modelyard.graphs.parts import PlanNode
from modelyard.graphs.plan import Plan

__all__ = ["Rows", "answers_one", "map_at_once", "map_plan", "takes_batches"]

_KINDS = ("call", "model", *GROUPS)


@dataclass(frozen=True, slots=True)
class Rows:
    """The replies to many events.

    Parameters
    ----------
    values
        One for each body, in order: None where there is an error. An array where the last step gave one; models and
        ensembles of models give their mappings as `AnswerColumns`.
    errors
        Row → what was raised instead of a reply.
    vectorised
        Whether the steps saw whole batches.
    filtered
        The rows that ended without a reply, because a filter or a merge let them; where the reply itself is None, the
        row is none of them.

    Examples
    --------
    >>> rows = Rows([1, None], {1: ValueError("no")})
    >>> rows[0], len(rows), [type(error).__name__ for error in rows.errors.values()]
    (1, 2, ['ValueError'])
    """

    values: Any
    errors: dict[int, Exception] = field(default_factory=dict)
    vectorised: bool = False
    filtered: frozenset[int] = frozenset()

    def __getitem__(self, row: int) -> Any:
        number = range(len(self))[row]
        if number in self.errors:
            raise self.errors[number]
        return self.values[number]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)


def map_plan(plan: Plan, bodies: Iterable[Any], at_once: int = 1) -> Rows:
    """Return the replies to `bodies`, of which `at_once` may be under way together where steps wait for something."""
    rows: Any = bodies if hasattr(bodies, "__len__") else list(bodies)
    found = map_at_once(plan, rows)
    return _by_rows(plan, _items(rows), at_once) if found is None else found


def map_at_once(plan: Plan, rows: Any) -> Rows | None:
    """Return the replies to rows, or None where that takes going row by row.

    Parameters
    ----------
    plan
        The open graph.
    rows
        Bodies in a list, an array or an Arrow batch.
    """
    chain = _vectorised_chain(plan)
    return _vectorised(plan, chain, rows) if chain and len(rows) else None


def takes_batches(plan: Plan) -> bool:
    """Whether every step of the plan takes whole batches, so that `map_plan` need not go row by row."""
    return bool(_vectorised_chain(plan))


def answers_one(plan: Plan) -> Callable[[Any], Any] | None:
    """Return what replies to one body as `map_at_once` does to many, without an event; None if there is no such way.

    The body is the call's own: it may be changed. Whatever a step raises comes as it is; an event then shows what the
    graph makes of it.

    Parameters
    ----------
    plan
        The open graph.
    """
    calls = [node.single for node in _vectorised_chain(plan)]
    if not calls or None in calls:
        return None
    if len(calls) == 1:
        return calls[0]

    def answer(body: Any) -> Any:
        for call in calls:
            assert call is not None  # noqa: S101 (looked at above)
            body = call(body)
        return body

    return answer


class _WrittenError(Exception):
    """A step has tried to write into the rows that it was given."""


def _vectorised(plan: Plan, chain: list[PlanNode], rows: Any) -> Rows | None:
    """Return what `_at_once` does; the rows stay as they are, whatever a step does to what it is given."""
    np = sys.modules.get("numpy")
    if np is None or not isinstance(rows, np.ndarray) or rows.dtype.hasobject:
        return _at_once(plan, chain, rows.copy() if _is_frame(rows) else isolated(rows))
    lent = rows.view()
    lent.flags.writeable = False  # a copy would cost more than many a model, and hardly any step writes
    try:
        found = _at_once(plan, chain, lent)
    except _WrittenError:
        return _at_once(plan, chain, rows.copy())
    if found is not None and isinstance(found.values, np.ndarray) and np.may_share_memory(found.values, rows):
        return replace(found, values=found.values.copy())
    return found


def _items(rows: Any) -> Sequence[Any]:
    if hasattr(rows, "to_pylist"):
        return rows.to_pylist()  # type: ignore[no-any-return]
    if _is_frame(rows):
        return rows.to_dict("records")  # type: ignore[no-any-return]
    return list(rows)


def _is_frame(rows: Any) -> bool:
    return hasattr(rows, "columns") and hasattr(rows, "to_dict")


def _vectorised_chain(plan: Plan) -> list[PlanNode]:
    """Return the steps of a chain of which every one takes batches; nothing if it is no such chain."""
    chain: list[PlanNode] = []
    edges = plan.entry
    while edges:
        if len(edges) != 1 or edges[0].cycle >= 0:
            return []
        node = plan.nodes[edges[0].to]
        if node.batch is None or node.kind not in _KINDS or node.wrapped or node.yields:
            return []
        if node.full_event and node.kind not in (*GROUPS, "model"):
            return []
        chain.append(node)
        if node.respond and node.edges:
            return []
        edges = node.edges
    return chain


def _at_once(plan: Plan, chain: list[PlanNode], rows: Any) -> Rows | None:
    """Return the replies to all rows, or None if a step failed or gave another number of rows."""
    values = rows
    there, others, errors = list(range(len(rows))), dict[int, Any](), dict[int, Exception]()
    for node in chain:
        assert node.batch is not None  # noqa: S101 (the chain is made of such nodes)
        given = values
        try:
            values = node.batch(given.tolist() if isinstance(given, AnswerColumns) else given)
            if len(values) != len(there):
                return None
        except RowsFailed as failed:
            bodies = _items(given)
            for index, error in failed.errors.items():
                try:
                    others[there[index]] = _recovered(plan, node, bodies[index], error)
                except Exception as raised:  # noqa: BLE001 (one bad row does not spoil the others)
                    errors[there[index]] = raised
            good = [index for index in range(len(there)) if index not in failed.errors]
            there, values = [there[index] for index in good], [failed.values[index] for index in good]
            if not values:
                break
        except Exception as error:  # the rows one by one will show which one it is
            if "read-only" in str(error):
                raise _WrittenError from error
            return None
    if len(there) == len(rows):
        return Rows(values, vectorised=True)
    found = dict(zip(there, _items(values), strict=True)) | others
    return Rows([found.get(row) for row in range(len(rows))], dict(sorted(errors.items())), vectorised=True)


def _recovered(plan: Plan, node: PlanNode, body: Any, error: BaseException) -> Any:
    """Return what comes of one row that failed in the midst of a batch: the reply of a handler, or the error."""
    event = Event(body)
    failure = (node, event, error)
    if plan.is_async:
        return run_in_background(plan.resume_async(event, (), {}, failure))
    return plan.resume(event, (), {}, failure)


def _by_rows(plan: Plan, rows: Sequence[Any], at_once: int) -> Rows:
    if plan.is_async:
        return run_in_background(_by_rows_async(plan, rows, max(1, at_once)))  # type: ignore[no-any-return]
    values: list[Any] = []
    errors: dict[int, Exception] = {}
    filtered: list[int] = []
    compiled = plan.compiled
    quick = compiled if all(node.kind in _KINDS for node in plan.nodes) else None  # nothing lets an event end
    for index, row in enumerate(rows):
        try:
            body = isolated(row)
            if quick is not None:
                values.append(quick(body, None))
                continue
            event = Event(body)
            values.append(plan.run(event))
            if _ended(event, values[-1]):
                filtered.append(index)
        except Exception as error:  # noqa: BLE001 (one bad row does not spoil the others)
            values.append(None)
            errors[index] = error
    if plan.queues or plan.crossings:
        plan.settle()
    return Rows(values, errors, filtered=frozenset(filtered))


def _ended(event: Event, reply: Any) -> bool:
    """Whether an event went without a reply: the engine says so in its status."""
    return reply is None and event.status == 204


async def _by_rows_async(plan: Plan, rows: Sequence[Any], at_once: int) -> Rows:
    values: list[Any] = [None] * len(rows)
    errors: dict[int, Exception] = {}
    filtered: set[int] = set()
    numbers = iter(range(len(rows)))

    async def work() -> None:
        for index in numbers:
            try:
                event = Event(isolated(rows[index]))
                values[index] = await plan.settle_async(event)
                if _ended(event, values[index]):
                    filtered.add(index)
            except Exception as error:  # noqa: BLE001 (one bad row does not spoil the others)
                errors[index] = error

    await asyncio.gather(*(work() for _ in range(min(at_once, len(rows)))))
    return Rows(values, dict(sorted(errors.items())), filtered=frozenset(filtered))
