"""The contract suite for blocks: whatever is put into a graph must behave alike in every way to run it."""

import asyncio
import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from functools import partial
from threading import enumerate as running_threads
from typing import Any, NamedTuple

import msgspec

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs import Event, Graph, GraphInvalid, HandlerFailed, Plan, Resources, StepFailed
from modelyard.graphs.background import run_in_background
from modelyard.graphs.mapping import Rows, map_at_once, map_plan, takes_batches
from modelyard.graphs.spec_text import write_text
from modelyard.graphs.testing.block_case import BlockCase, graph_of
from modelyard.graphs.testing.differences import differences

__all__ = ["ContractBroken", "check_block", "check_case"]


class ContractBroken(AssertionError):
    """Raised when a block breaks the contract; it lists everything that was found.

    Parameters
    ----------
    block
        The block's name.
    findings
        One sentence each.
    """

    def __init__(self, block: str, findings: Sequence[str]) -> None:
        self.findings = list(findings)
        super().__init__("\n".join([f"{block} breaks the contract of blocks:", *(f"  - {each}" for each in findings)]))


class _Outcome(NamedTuple):
    """What one event came to."""

    reply: Any = None
    status: int = 0
    error: str = ""
    kind: str = ""


def check_block(
    use: Any,
    arguments: Mapping[str, Any] | None = None,
    *,
    bodies: Sequence[Any],
    replies: Sequence[Any] | None = None,
    refused: Sequence[tuple[Any, ErrorKind]] = (),
    wrong_arguments: Sequence[Mapping[str, Any]] = (),
    resources: Resources | None = None,
) -> None:
    """Check that a block keeps the contract; see `BlockCase` for the parameters, and for more of them.

    - Every way to run gives the same: compiled and interpreted, plain and asynchronous, streamed, in a batch of bodies
      or of columns, one event after the other and in threads.
    - The graph can be written down, as JSON and YAML, and what is read back does the same.
    - An error is a `StepFailed` that names graph and step, has the declared kind, and survives pickling.
    - The given body is not changed, and neither is the block by somebody who changes its reply.
    - Two graphs share no state; closing ends the threads, and may be done twice.

    Raises
    ------
    ContractBroken
        It does not; every finding is listed.

    Examples
    --------
    >>> from operator import itemgetter
    >>> from modelyard.graphs.steps import Fields
    >>> check_block(Fields, {"drop": ["b"]}, bodies=[{"a": 1, "b": 2}, {"a": 3}], replies=[{"a": 1}, {"a": 3}])
    """
    check_case(
        BlockCase(
            use=use,
            arguments=dict(arguments or {}),
            bodies=bodies,
            replies=replies,
            refused=refused,
            wrong_arguments=wrong_arguments,
            resources=resources,
        )
    )


def check_case(case: BlockCase) -> None:
    """Check one case of a block; see `check_block`.

    Raises
    ------
    ContractBroken
        The block breaks the contract.
    """
    findings: list[str] = []
    for check in _CHECKS:
        try:
            findings += check(case)
        except Exception as error:  # noqa: BLE001 (what a block raises where it must not is a finding, too)
            findings.append(f"{check.__name__.strip('_')}: raised {type(error).__name__}: {error}")
    if findings:
        raise ContractBroken(case.name, findings)


def _all_bodies(case: BlockCase) -> list[Any]:
    return [*case.bodies, *(body for body, _ in case.refused)]


def _replied(plan: Plan, event: Event) -> Any:
    return run_in_background(plan.settle_async(event)) if plan.is_async else plan.run(event)


def _outcome(run: Callable[[Event], Any], body: Any, number: int) -> _Outcome:
    event = Event(deepcopy(body), id=f"event-{number}")
    try:
        reply = run(event)
    except Exception as error:  # noqa: BLE001 (compared below)
        return _failed(error)
    return _Outcome(deepcopy(reply), event.status)


def _failed(error: Exception) -> _Outcome:
    cause = error.cause if isinstance(error, StepFailed | HandlerFailed) else error
    kind = error.error_kind.value if isinstance(error, ModelyardError) else ""
    return _Outcome(None, 0, f"{type(error).__name__} of {type(cause).__name__}", kind)


def _compared(mode: str, expected: Sequence[_Outcome], got: Sequence[_Outcome]) -> list[str]:
    found = []
    for number, (one, other) in enumerate(zip(expected, got, strict=True)):
        found += [f"{mode}, body {number}: {each}" for each in differences(one._asdict(), other._asdict())]
    return found


def _expected(case: BlockCase, graph: Graph | None = None) -> list[_Outcome]:
    with (graph or graph_of(case)).open(case.resources) as plan:
        return [_outcome(partial(_replied, plan), body, number) for number, body in enumerate(_all_bodies(case))]


def _answers(case: BlockCase) -> list[str]:
    outcomes = _expected(case)
    found = [
        f"body {number} is refused: {each.error} ({each.kind})"
        for number, each in enumerate(outcomes[: len(case.bodies)])
        if each.error
    ]
    if case.replies is not None:
        for number, (reply, outcome) in enumerate(zip(case.replies, outcomes, strict=False)):
            found += [f"body {number}: {difference}" for difference in differences(reply, outcome.reply)]
    return found


def _modes(case: BlockCase) -> list[str]:
    if not case.is_deterministic:
        return []
    expected, bodies = _expected(case), _all_bodies(case)
    found = []
    with graph_of(case).open(case.resources) as plan:
        got = [_outcome(plan.interpret, body, number) for number, body in enumerate(bodies)]
        found += _compared("interpreted", expected, got)
    found += _compared("asynchronous", expected, asyncio.run(_asynchronously(case, bodies)))
    with graph_of(case).open(case.resources) as plan:
        got = [_outcome(partial(_streamed, plan), body, number) for number, body in enumerate(bodies)]
        # a stream has no event of its own to say that there is no reply
        plain = [[each._replace(status=0) for each in outcomes] for outcomes in (expected, got)]
        found += _compared("streamed", *plain)
    return found


async def _asynchronously(case: BlockCase, bodies: Sequence[Any]) -> list[_Outcome]:
    outcomes = []
    with graph_of(case).open(case.resources) as plan:
        for number, body in enumerate(bodies):
            event = Event(deepcopy(body), id=f"event-{number}")
            try:
                outcomes.append(_Outcome(deepcopy(await plan.run_async(event)), event.status))
            except Exception as error:  # noqa: BLE001 (compared by the caller)
                outcomes.append(_failed(error))
        await plan.drain()
    return outcomes


def _streamed(plan: Plan, event: Event) -> Any:
    replies = list(plan.stream(event))
    return replies if plan.streams else (replies[0] if replies else None)


def _batches(case: BlockCase) -> list[str]:
    if not case.is_deterministic:
        return []
    found = []
    for mode, bodies in (("batch", list(case.bodies)), ("batch with refused bodies", _all_bodies(case))):
        rows = _mapped(case, deepcopy(bodies))
        got = [
            _failed(rows.errors[row]) if row in rows.errors else _Outcome(reply)
            for row, reply in enumerate(_row_list(rows.values))
        ]
        expected = [each._replace(status=0) for each in _expected(case)[: len(bodies)]]
        found += _compared(mode, expected, got)
    return found + _lengths(case) + _columns(case)


def _lengths(case: BlockCase) -> list[str]:
    """Check that a batch has as many answers as bodies: a graph asks row by row otherwise, and nobody notices."""
    if case.use is None or not hasattr(case.use, "do_batch") or not case.bodies:
        return []
    with graph_of(case).open(case.resources) as plan:
        rows = map_at_once(plan, deepcopy(list(case.bodies))) if takes_batches(plan) else Rows([], vectorised=True)
    return [] if rows is not None else ["batch: do_batch raises for good bodies, or gives another number of answers"]


def _mapped(case: BlockCase, bodies: Any) -> Rows:
    with graph_of(case).open(case.resources) as plan:
        return map_plan(plan, bodies)


def _row_list(values: Any) -> list[Any]:
    """Return the rows of a list, an array or an Arrow table as a list."""
    return values.to_pylist() if hasattr(values, "to_pylist") else list(values)


def _columns(case: BlockCase) -> list[str]:
    """Check a block that takes batches on columns, too, where the bodies can be columns."""
    flat = all(isinstance(body, dict) for body in case.bodies) and len({tuple(body) for body in case.bodies}) == 1
    if not flat or not hasattr(case.use, "do_batch"):
        return []
    try:
        import pyarrow as pa

        batch = pa.RecordBatch.from_pylist(list(case.bodies))
    except (ImportError, ValueError, TypeError):
        return []
    by_rows = _mapped(case, batch.to_pylist())
    found = []
    shapes = {"Arrow batch": batch, "Arrow table": pa.Table.from_batches([batch])}
    for shape, given in shapes.items():
        at_once = _mapped(case, given)
        different = differences(by_rows.values, at_once.values)
        found += [f"{shape}: {difference}" for difference in different]
    return found


def _specification(case: BlockCase) -> list[str]:
    graph = graph_of(case)
    spec = graph.to_spec()
    written = msgspec.json.encode(spec)
    readers: dict[str, Callable[[], Graph]] = {
        "read from JSON": lambda: Graph.from_spec(msgspec.json.decode(written)),
        "read from YAML": lambda: Graph.from_spec(write_text(msgspec.to_builtins(spec))),
        "pickled": lambda: Graph.from_spec(pickle.loads(pickle.dumps(spec))),  # noqa: S301 (made in this line)
    }
    found = []
    for mode, read in readers.items():
        again = read()
        if again.to_spec() != spec:
            told = differences(msgspec.to_builtins(spec), msgspec.to_builtins(again.to_spec()))
            found += [f"{mode}, specification: {each}" for each in told]
        if case.is_deterministic:
            found += _compared(mode, _expected(case, graph), _expected(case, again))
    return found


def _errors(case: BlockCase) -> list[str]:
    found = []
    with graph_of(case).open(case.resources) as plan:
        for number, body in enumerate(case.bodies):  # what a block refuses may depend on what it has seen
            _outcome(partial(_replied, plan), body, number)
        for number, (body, kind) in enumerate(case.refused):
            try:
                reply = _replied(plan, Event(deepcopy(body), id="bad"))
            except StepFailed as error:
                found += _judged(f"refused body {number}", error, kind)
            except Exception as error:  # noqa: BLE001 (this is what is looked for)
                found.append(f"refused body {number}: raises {type(error).__name__}, not StepFailed: {error}")
            else:
                found.append(f"refused body {number}: is answered with {reply!r:.200}")
    for number, arguments in enumerate(case.wrong_arguments):
        try:
            graph_of(case, arguments).open(case.resources).close()
        except GraphInvalid as error:
            if "contract" not in error.where:
                found.append(f"wrong arguments {number}: the error does not name the graph: {error}")
        except Exception as error:  # noqa: BLE001 (this is what is looked for)
            found.append(f"wrong arguments {number}: raises {type(error).__name__}, not GraphInvalid: {error}")
        else:
            found.append(f"wrong arguments {number}: the graph opens with {dict(arguments)!r:.200}")
    return found


def _judged(what: str, error: StepFailed, kind: ErrorKind) -> list[str]:
    found = []
    if error.error_kind is not kind:
        found.append(f"{what}: the error is of the kind {error.error_kind.value}, not {kind.value}: {error}")
    if "graph contract, step " not in error.where:
        found.append(f"{what}: the error does not name graph and step: {error}")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (made in this line)
    if (str(again), again.error_kind) != (str(error), error.error_kind):
        found.append(f"{what}: pickling changes the error: {again}")
    return found


def _isolation(case: BlockCase) -> list[str]:
    found = []
    if not case.changes_body:
        with graph_of(case).open(case.resources) as plan:
            for number, body in enumerate(_all_bodies(case)):
                given = deepcopy(body)
                event = Event(given)
                with suppress(StepFailed):
                    _replied(plan, event)
                found += [f"changes body {number}: {each}" for each in differences(body, given)]
    if not case.is_deterministic:
        return found
    with graph_of(case).open(case.resources) as one, graph_of(case).open(case.resources) as other:
        first = [_outcome(partial(_replied, one), body, number) for number, body in enumerate(_all_bodies(case))]
        second = [_outcome(partial(_replied, other), body, number) for number, body in enumerate(_all_bodies(case))]
        found += _compared("a second graph", first, second)
    with graph_of(case).open(case.resources) as plan:
        got = []
        for number, body in enumerate(_all_bodies(case)):
            event = Event(deepcopy(body), id=f"event-{number}")
            try:
                reply = _replied(plan, event)
            except StepFailed as error:
                got.append(_failed(error))
                continue
            got.append(_Outcome(deepcopy(reply), event.status))
            _spoil(reply)
    return found + _compared("after the replies before were changed", first, got)


def _spoil(value: Any) -> None:
    """Change whatever can be changed in a reply."""
    if isinstance(value, dict):
        for each in list(value.values()):
            _spoil(each)
        value["spoiled"] = True
    elif isinstance(value, list):
        for each in value:
            _spoil(each)
        value.append("spoiled")


def _threads(case: BlockCase) -> list[str]:
    if not case.is_deterministic or case.has_state or not case.bodies:
        return []
    expected, bodies = _expected(case), _all_bodies(case)
    with graph_of(case).open(case.resources) as plan, ThreadPoolExecutor(4) as pool:
        jobs = [(number, body) for _ in range(8) for number, body in enumerate(bodies)]
        got = list(pool.map(lambda job: _outcome(partial(_replied, plan), job[1], job[0]), jobs))
    return _compared("in threads", expected * 8, got)


def _closing(case: BlockCase) -> list[str]:
    graph = graph_of(case)
    graph.open(case.resources).close()  # whatever stays for the whole process, stays from now on
    before = set(running_threads())
    plan = graph_of(case).open(case.resources)
    for number, body in enumerate(case.bodies):
        _outcome(partial(_replied, plan), body, number)
    plan.close()
    plan.close()
    left = [each.name for each in running_threads() if each not in before and each.is_alive() and not each.daemon]
    return [f"closing leaves the thread {name}" for name in left]


_CHECKS = (_answers, _modes, _batches, _specification, _errors, _isolation, _threads, _closing)
