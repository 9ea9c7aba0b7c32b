"""Runs ensembles: asks every member, and lets the strategy make one answer of theirs."""

import linecache
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any
from weakref import finalize

from modelyard.graphs.event import Event
from modelyard.graphs.group_errors import AnswerWrong, MemberFailed, MembersFailed, RowsFailed
from modelyard.graphs.groups import MEMBER_TRACE, EnsembleStrategy, Member, rows_of
from modelyard.graphs.isolation import isolated
from modelyard.graphs.member_calls import FAULTS, Asking, ask, ask_all, ask_batch, body_of, conclude, conclude_async
from modelyard.graphs.model_members import direct_model
from modelyard.graphs.request_paths import RequestPaths

__all__ = ["EnsembleGroup", "Failing"]

_NUMBERS = count(1)
_NO_FAILURES: Mapping[str, BaseException] = {}


@dataclass(frozen=True, slots=True)
class Failing:
    """What an ensemble does when members fail.

    Parameters
    ----------
    on_member_error
        ``fail``, or ``answer`` from the rest.
    min_members
        With ``answer``: how many must have answered.
    tell
        The field of a mapping reply that then names the members that failed; empty keeps it out of the reply.
    """

    on_member_error: str = "fail"
    min_members: int = 1
    tell: str = "failed"


class EnsembleGroup:
    """One ensemble of an open graph.

    Parameters
    ----------
    name
        The step's name: under it the event's metadata tells who answered and who failed.
    strategy
        Combines.
    members
        Name → member, in order.
    failing
        What happens when members fail.
    paths
        Tells which member a request's path asks for alone; None if that is not wanted.

    Attributes
    ----------
    call
        Takes the event.
    direct
        Takes the body, and the event if there is one; None if a member waits for something.
    batch
        Takes many bodies; None if a member waits for something.
    partial
        How many events and rows were answered without some of the members.
    """

    def __init__(
        self,
        name: str,
        strategy: EnsembleStrategy,
        members: Mapping[str, Member],
        failing: Failing,
        paths: RequestPaths | None,
    ) -> None:
        self.name = name
        self.strategy = strategy
        self.members = dict(members)
        self.failing = failing
        self._final = members[strategy.final] if strategy.final else None
        self._asked = tuple(member for member in members.values() if member is not self._final)
        self._names = [member.name for member in self._asked]
        self._needed = len(self._asked) if failing.on_member_error == "fail" else failing.min_members
        self._paths = paths
        self._keeps = strategy.keeps_body
        own = vars(type(strategy)).get("label_alone", False)  # a subclass may read more than its base
        self._label_alone = bool(own) and getattr(strategy, "field", "") == "label"
        self._models = {member.name: direct_model(member, label_alone=self._label_alone) for member in self._asked}
        self.partial = 0
        self.is_async = any(member.is_async for member in members.values())
        self.yields = False
        self.direct: Callable[[Any, Event | None], Any] | None = None if self.is_async else self._written()
        self.call: Callable[[Event], Any] = self._call_async if self.is_async else self._call
        self.batch: Callable[[Any], Any] | None = None if self.is_async else self._batch

    def _call(self, event: Event) -> Any:
        if MEMBER_TRACE.get() is None and self.direct is not None:
            return self.direct(event.body, event)
        return conclude(self._answered(event))

    async def _call_async(self, event: Event) -> Any:
        return await conclude_async(self._answered(event))

    def _answered(self, event: Event) -> Asking:
        if event.path != "/" and (member := self.alone(event)) is not None:
            return (yield from ask(member, event))
        answers: dict[str, Any] = {}
        failures: dict[str, BaseException] = {}
        yield from ask_all(self._asked, event, answers, failures, keep=self._keeps)
        return (yield from self._concluded(event, answers, failures))

    def alone(self, event: Event) -> Member | None:
        """Return the member that the event's path asks for, and say so in its metadata."""
        name = self._paths.find(event.path) if self._paths is not None else None
        if name is None:
            return None
        event.metadata[self.name] = {"answered": [name], "failed": {}}
        return self.members[name]

    def asks_all(self, event: Event) -> bool:
        """Whether an event is for the ensemble rather than for one member."""
        return self._paths is None or self._paths.find(event.path) is None

    def is_plain(self, event: Event) -> bool:
        """Whether an event asks each model for nothing but a prediction of its default version."""
        return all(model is None or model.asks_default(event) for model in self._models.values())

    def told(self) -> dict[str, Any]:
        """Return what the metadata of an event says that all members answered."""
        return {"answered": list(self._names), "failed": {}}

    def rest(self, body: Any, event: Event | None, answers: dict[str, Any], error: BaseException) -> Any:
        """Go on after a member failed: ask those behind it, and judge."""
        at = len(answers)
        event = Event(body) if event is None else event
        failures: dict[str, BaseException] = {self._names[at]: error}
        later: dict[str, Any] = {}
        event.body = body
        conclude(ask_all(self._asked[at + 1 :], event, later, failures, keep=self._keeps))
        return conclude(self._concluded(event, answers | later, failures))

    def judge(self, body: Any, event: Event | None, answers: dict[str, Any], wrong: AnswerWrong) -> Any:
        """Go on after the strategy refused an answer."""
        failures: dict[str, BaseException] = {wrong.member: wrong}
        left = {name: answer for name, answer in answers.items() if name != wrong.member}
        event = Event(body) if event is None else event
        event.body = body
        return conclude(self._concluded(event, left, failures))

    def finish(self, body: Any, event: Event | None, row: Any) -> Any:
        """Ask the final member about what the strategy made of the answers."""
        event = Event(body) if event is None else event
        event.body = body
        return conclude(self._final_answer(event, row))

    def _concluded(self, event: Event, answers: dict[str, Any], failures: dict[str, BaseException]) -> Asking:
        reply = self.combined(answers, failures)
        told = {name: str(error) for name, error in failures.items()}
        event.metadata[self.name] = {"answered": list(answers), "failed": told}
        self.partial += bool(failures)
        if self._final is not None:
            reply = yield from self._final_answer(event, reply)
        return self._telling(reply, failures) if failures else reply

    def _final_answer(self, event: Event, row: Any) -> Asking:
        assert self._final is not None  # noqa: S101 (who calls has looked)
        given = self.strategy.final_body(event.body, row)
        return body_of((yield from ask(self._final, event.branch(given))))

    def combined(self, answers: dict[str, Any], failures: dict[str, BaseException]) -> Any:
        """Return the strategy's answer; members whose answers it refuses move over to the failures.

        Raises
        ------
        MembersFailed
            Too many failed.
        """
        while True:
            if not answers or len(answers) < self._needed:
                order = {name: failures[name] for name in self._names if name in failures}
                raise MembersFailed(order, self._names, max(self._needed, 1))
            try:
                return self.strategy.combine(answers, failures)
            except AnswerWrong as wrong:
                if wrong.member not in answers:
                    raise
                failures[wrong.member] = wrong
                del answers[wrong.member]

    def _telling(self, reply: Any, failures: Mapping[str, BaseException]) -> Any:
        if not self.failing.tell:
            return reply
        if isinstance(reply, dict):
            return reply | {self.failing.tell: [name for name in self._names if name in failures]}
        if isinstance(reply, list):
            return [self._telling(each, failures) for each in reply]
        return reply

    def _batch(self, bodies: Any) -> Any:
        columns, label_alone = self.strategy.takes_columns, self._label_alone
        found = {
            member.name: ask_batch(member, bodies, columns=columns, label_alone=label_alone) for member in self._asked
        }
        count = len(bodies)
        if not any(errors for _, errors in found.values()):
            answers = {name: values for name, (values, _) in found.items()}
            try:
                replies = self.strategy.combine_batch(answers)
                if len(replies) == count:
                    return replies if self._final is None else self._final_batch(bodies, replies, {})
            except AnswerWrong:  # by rows, then
                pass
        return self._by_rows(bodies, found)

    def _by_rows(self, bodies: Any, found: Mapping[str, tuple[Any, dict[int, BaseException]]]) -> Any:
        values: list[Any] = []
        wrong: dict[int, BaseException] = {}
        told: dict[int, dict[str, BaseException]] = {}
        columns = {name: rows_of(answers) for name, (answers, _) in found.items()}
        for row in range(len(bodies)):
            failures = {name: errors[row] for name, (_, errors) in found.items() if row in errors}
            answers = {name: column[row] for name, column in columns.items() if name not in failures}
            try:
                values.append(self.combined(answers, failures))
            except Exception as error:  # noqa: BLE001 (one bad row does not spoil the others)
                values.append(None)
                wrong[row] = error
            if failures:
                told[row] = failures
        if self._final is not None:
            values = rows_of(self._final_batch(bodies, values, wrong))
        self.partial += len(told)
        values = [self._telling(value, told[row]) if row in told else value for row, value in enumerate(values)]
        if wrong:
            raise RowsFailed(values, wrong)
        return values

    def _final_batch(self, bodies: Any, rows: Any, wrong: dict[int, BaseException]) -> Any:
        assert self._final is not None  # noqa: S101 (who calls has looked)
        if self._keeps:
            pairs = zip(rows_of(bodies), rows_of(rows), strict=True)
            rows = [None if row in wrong else self.strategy.final_body(*pair) for row, pair in enumerate(pairs)]
        good = [row for row in range(len(rows)) if row not in wrong]
        given = rows if len(good) == len(rows) else [rows[row] for row in good]
        answers, failed = ask_batch(self._final, given, columns=True)
        if not failed and not wrong:
            return answers
        values: list[Any] = [None] * len(rows)
        for row, answer in zip(good, rows_of(answers), strict=True):
            values[row] = answer
        own = {good[index]: MemberFailed(self._final.name, error) for index, error in failed.items()}
        if not wrong and own:
            raise RowsFailed(values, own)
        wrong |= own
        return values

    def _written(self) -> Callable[[Any, Event | None], Any]:
        """Write the straight line: one call per member, and the combination."""
        asked = self._asked
        names = [f"a{index}" for index in range(len(asked))]
        lines = ["def direct(body, event):"]
        if any(member.full_event and self._models[member.name] is None for member in asked):
            lines += ["    if event is None:", "        event = Event(body)"]
        lines += [
            "    if event is not None and event.path != '/' and (member := group.alone(event)) is not None:",
            "        return alone(member, event, body)",
        ]
        if any(self._models.values()):
            lines += ["    plain = event is None or event.path == '/' and not event.headers or group.is_plain(event)"]
        lines += ["    n = 0", "    try:"]
        for index, member in enumerate(asked):
            last = index + 1 == len(asked) and not self._keeps
            own = "body" if member.pure or last else "isolated(body)"
            given = f"event.branch({own})" if member.full_event else own
            call = f"body_of(f{index}({given}))" if member.full_event else f"f{index}({given})"
            if self._models[member.name] is not None:
                call = f"body_of(m{index}({own}) if plain else f{index}({given}))"
            lines += [f"        a{index} = {call}", f"        n = {index + 1}"]
        lines += ["    except FAULTS as error:"]
        for index in range(len(asked)):
            known = ", ".join(f"{asked[each].name!r}: a{each}" for each in range(index))
            lines += [f"        if n == {index}:", f"            return group.rest(body, event, {{{known}}}, error)"]
        answers = ", ".join(f"{member.name!r}: {name}" for member, name in zip(asked, names, strict=True))
        finish = "reply" if self._final is None else "group.finish(body, event, reply)"
        lines += [
            "        raise",
            f"    answers = {{{answers}}}",
            "    if event is not None:",
            f"        event.metadata[{self.name!r}] = {{'answered': {self._names!r}, 'failed': {{}}}}",
            "    try:",
            "        reply = combine(answers, none)",
            "    except AnswerWrong as wrong:",
            "        if wrong.member not in answers:",
            "            raise",
            "        return group.judge(body, event, answers, wrong)",
            f"    return {finish}",
        ]
        space: dict[str, Any] = {
            "AnswerWrong": AnswerWrong,
            "Event": Event,
            "FAULTS": FAULTS,
            "alone": _alone,
            "body_of": body_of,
            "combine": self.strategy.combine,
            "group": self,
            "isolated": isolated,
            "none": _NO_FAILURES,
        } | {f"f{index}": member.call for index, member in enumerate(asked)}
        models = enumerate(self._models.values())
        space |= {f"m{index}": model.answer for index, model in models if model is not None}
        return _compiled(self.name, "\n".join(lines) + "\n", space)


def _alone(member: Member, event: Event, body: Any) -> Any:
    event.body = body
    try:
        return member.call(event if member.full_event else body)
    except FAULTS as error:
        raise MemberFailed(member.name, error) from error


def _compiled(name: str, source: str, space: dict[str, Any]) -> Callable[[Any, Event | None], Any]:
    file = f"<modelyard ensemble {name} #{next(_NUMBERS)}>"
    # An entry without a time is kept until the process ends, and so is what tracebacks and debuggers show
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), space)  # noqa: S102 (written above, from quoted names and indexes alone)
    function: Callable[[Any, Event | None], Any] = space["direct"]
    finalize(function, linecache.cache.pop, file, None).atexit = False
    return function
