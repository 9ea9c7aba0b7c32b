"""Asks members about one event, one after the other or concurrently, each on a copy that is its own."""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from time import perf_counter
from typing import Any

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.event import Event
from modelyard.graphs.group_errors import MemberFailed, RowsFailed
from modelyard.graphs.groups import MEMBER_TRACE, Member, rows_of
from modelyard.graphs.isolation import call_isolated, isolated

__all__ = [
    "FAULTS",
    "Asking",
    "ask",
    "ask_all",
    "ask_batch",
    "body_of",
    "conclude",
    "conclude_async",
    "scattered",
    "taken",
]

FAULTS = (Exception, SystemExit)
"""What a member may raise without taking more than itself along."""

Asking = Generator[Any, Any, Any]
"""Hands out what must be awaited, and is sent the result; one text for sync and async members."""


def conclude(asking: Asking) -> Any:
    """Return what `asking` comes to, where no member waits for anything."""
    try:
        demand = next(asking)
    except StopIteration as end:
        return end.value
    raise AssertionError(f"a group without coroutines waits for {demand!r}")


async def conclude_async(asking: Asking) -> Any:
    """Return what `asking` comes to, awaiting what must be awaited."""
    try:
        demand = next(asking)
        while True:
            try:
                result = await demand
            except FAULTS as error:
                demand = asking.throw(error)
            else:
                demand = asking.send(result)
    except StopIteration as end:
        return end.value
    finally:
        asking.close()


def ask(member: Member, event: Event) -> Asking:
    """Return one member's answer; the event is the member's own.

    Raises
    ------
    MemberFailed
        It raised.
    """
    trace = MEMBER_TRACE.get()
    given = isolated(event.body) if trace else None
    begin = perf_counter()
    try:
        value = member.call(event if member.full_event else event.body)
        if member.is_async:
            value = yield value
    except FAULTS as error:
        if trace:
            trace(member.name, given, None, perf_counter() - begin, error)
        raise MemberFailed(member.name, error) from error
    if trace:
        trace(member.name, given, isolated(body_of(value)), perf_counter() - begin, None)
    return value


def body_of(value: Any) -> Any:
    """Return what a member said, also where it said it as an event."""
    return value.body if isinstance(value, Event) else value


def ask_all(
    members: Sequence[Member],
    event: Event,
    answers: dict[str, Any],
    failures: dict[str, BaseException],
    *,
    keep: bool = False,
) -> Generator[Any, Any, None]:
    """Ask several members; what they say goes into `answers`, what they raise into `failures`.

    Those that wait for something run concurrently, and begin before the others. With `keep` the event's own body stays
    as it is; otherwise the last member may have it.
    """
    concurrent = [member for member in members if member.is_async]
    last = "" if keep or concurrent or not members else members[-1].name
    inputs = {member.name: _own(member, event, keep=member.name != last) for member in members}
    tasks = [asyncio.ensure_future(conclude_async(ask(member, inputs[member.name]))) for member in concurrent]
    found: dict[str, Any] = {}
    try:
        if tasks and len(tasks) < len(members):
            yield asyncio.sleep(0)  # lets them begin
        for member in members:
            if not member.is_async:
                try:
                    found[member.name] = yield from ask(member, inputs[member.name])
                except MemberFailed as failed:
                    found[member.name] = failed
        if tasks:
            results = yield asyncio.gather(*tasks, return_exceptions=True)
            found |= {member.name: result for member, result in zip(concurrent, results, strict=True)}
    finally:
        for task in tasks:
            task.cancel()
    for member in members:
        value = found[member.name]
        if isinstance(value, MemberFailed):
            failures[member.name] = value.cause
        elif isinstance(value, BaseException):
            raise value
        else:
            answers[member.name] = body_of(value)


def _own(member: Member, event: Event, *, keep: bool) -> Event:
    body = isolated(event.body) if keep and not member.pure else event.body
    return event.branch(body)


def ask_batch(
    member: Member, bodies: Any, *, columns: bool = False, label_alone: bool = False
) -> tuple[Any, dict[int, BaseException]]:
    """Return a member's answers to many bodies, and what it raised: at once if it can, else row by row.

    Parameters
    ----------
    member
        One that waits for nothing.
    bodies
        They stay as they are.
    columns
        Whether the answers may be `AnswerColumns`.
    label_alone
        Whether these need no other field than ``label``.
    """
    if member.batch is not None:
        try:
            answers: Any = None
            if label_alone and member.columns is not None:
                answers = member.columns(bodies, label_alone=True)
            if answers is None:
                answers = member.batch(bodies) if member.pure else call_isolated(member.batch, bodies)
            if len(answers) == len(bodies):
                return answers if columns or not isinstance(answers, AnswerColumns) else answers.tolist(), {}
        except RowsFailed as failed:
            return failed.values, failed.errors
        except Exception:  # noqa: BLE001, S110 (the rows one by one will show which one it is)
            pass
    values: list[Any] = []
    errors: dict[int, BaseException] = {}
    for index, body in enumerate(rows_of(bodies)):
        try:
            own = body if member.pure else isolated(body)
            value = member.call(Event(own) if member.full_event else own)
            values.append(body_of(value))
        except FAULTS as error:
            values.append(None)
            errors[index] = error
    return values, errors


def taken(bodies: Any, rows: Sequence[int]) -> Any:
    """Return some of many bodies, in the given order.

    Examples
    --------
    >>> taken(["a", "b", "c"], [2, 0])
    ['c', 'a']
    """
    if isinstance(bodies, list | tuple):
        return [bodies[row] for row in rows]
    if hasattr(bodies, "take") and hasattr(bodies, "schema"):
        return bodies.take(rows)
    return bodies[list(rows)]


def scattered(parts: Mapping[str, tuple[Sequence[int], Any]], count: int) -> Any:
    """Return the answers to parts of a batch in the order of the whole; arrays of one kind stay an array."""
    if len(parts) == 1:
        return next(iter(parts.values()))[1]
    kinds = {(getattr(answers, "dtype", None), getattr(answers, "shape", ())[1:]) for _, answers in parts.values()}
    if len(kinds) == 1 and (kind := kinds.pop())[0] is not None:
        import numpy as np

        whole = np.empty((count, *kind[1]), dtype=kind[0])
        for rows, answers in parts.values():
            whole[list(rows)] = answers
        return whole
    values: list[Any] = [None] * count
    for rows, answers in parts.values():
        for row, answer in zip(rows, rows_of(answers), strict=True):
            values[row] = answer
    return values
