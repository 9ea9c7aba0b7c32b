"""Runs routers: asks the strategy for the route, and the member for the answer."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from modelyard.graphs.event import Event
from modelyard.graphs.group_errors import MemberFailed, RouteUnknown, RowsFailed
from modelyard.graphs.groups import MEMBER_TRACE, NOT_MINE, Member, RouterStrategy, rows_of
from modelyard.graphs.isolation import isolated
from modelyard.graphs.member_calls import (
    FAULTS,
    Asking,
    ask,
    ask_all,
    ask_batch,
    body_of,
    conclude,
    conclude_async,
    scattered,
    taken,
)
from modelyard.graphs.shadows import ShadowJob, Shadows

__all__ = ["RouterGroup"]

_Note = dict[str, str]


class RouterGroup:
    """One router of an open graph.

    Parameters
    ----------
    name
        The step's name: under it the event's metadata tells the route.
    strategy
        Decides.
    members
        Route → member.
    shadows
        Runs the copies, if the strategy sends any.

    Attributes
    ----------
    call
        Takes the event.
    direct
        Takes the body, and the event if there is one: for strategies and members that need no event. Or None.
    batch
        Takes many bodies; None if a member waits for something.
    """

    def __init__(
        self, name: str, strategy: RouterStrategy, members: Mapping[str, Member], shadows: Shadows | None = None
    ) -> None:
        self.name = name
        self.strategy = strategy
        self.members = dict(members)
        self.shadows = shadows
        self.is_async = any(member.is_async for member in members.values())
        self.yields = any(member.yields for member in members.values())
        kind = type(strategy)
        self._observes = kind.observe is not RouterStrategy.observe
        self._operates = kind.operate is not RouterStrategy.operate
        self._shadowed = kind.shadows is not RouterStrategy.shadows
        self._simple = not (self._observes or self._operates or self._shadowed)
        by_body = kind.select is RouterStrategy.select
        self._notes: dict[str, _Note] = {
            route: {"route": route, "role": strategy.roles[route]} if route in strategy.roles else {"route": route}
            for route in members
        }
        self.call: Callable[[Event], Any] = self._called()
        simple = self._simple and not self.is_async and not self.yields
        full = any(member.full_event for member in members.values())
        self.direct: Callable[[Any, Event | None], Any] | None = (
            _direct(self, strategy.select_body) if simple and by_body and not full else None
        )
        in_batches = self._simple and not self.is_async and not self.yields
        self.batch: Callable[[Any], Any] | None = self._batch if in_batches else None

    def member(self, route: Any) -> Member:
        """Return the member of a route.

        Raises
        ------
        RouteUnknown
            There is none.
        """
        try:
            return self.members[route]
        except (KeyError, TypeError):
            raise RouteUnknown(route, [*self.members]) from None

    def several(self, event: Event, routes: Any) -> Any:
        """Answer an event that goes to several members, or to none."""
        return conclude(self._asked(event, routes))

    def note(self, event: Event, route: str) -> None:
        """Say in the event's metadata which member it went to."""
        event.metadata[self.name] = self._notes[route].copy()

    def _called(self) -> Callable[[Event], Any]:
        if self.yields:
            return self._stream_async if self.is_async else self._stream
        if self.is_async:
            return lambda event: conclude_async(self._routed(event))
        if self._simple:
            return _plain(self, self.strategy.select)
        return lambda event: conclude(self._routed(event))

    def traced(self, event: Event) -> Any:
        """Answer an event whose way is taken down."""
        return conclude(self._routed(event))

    def _routed(self, event: Event) -> Asking:
        strategy = self.strategy
        if self._operates and (answer := strategy.operate(event)) is not NOT_MINE:
            return answer
        route = strategy.select(event)
        return (yield from self._asked(event, route))

    def _asked(self, event: Event, route: Any) -> Asking:
        if isinstance(route, list | tuple):
            return (yield from self._all(event, route))
        member = self.member(route)
        self.note(event, route)
        names = [each for each in self.strategy.shadows(event) if each != route] if self._shadowed else []
        copies = [self.member(each) for each in names]
        kept = event.branch(isolated(event.body)) if copies else None
        answer, error = None, None
        try:
            answer = yield from ask(member, event)
        except MemberFailed as failed:
            error = failed.cause
            raise
        finally:
            if self._observes:
                self.strategy.observe(event, route, error)
            if kept is not None and self.shadows is not None:
                self.shadows.put(ShadowJob(kept, route, isolated(body_of(answer)), error, copies))
        return answer

    def _all(self, event: Event, routes: Sequence[Any]) -> Asking:
        members = [self.member(route) for route in routes]
        if not members:
            raise RouteUnknown("", [*self.members])
        event.metadata[self.name] = {"routes": [member.name for member in members]}
        answers: dict[str, Any] = {}
        failures: dict[str, BaseException] = {}
        yield from ask_all(members, event, answers, failures)
        for name, error in failures.items():
            raise MemberFailed(name, error) from error
        return answers

    def _stream(self, event: Event) -> Iterator[Any]:
        member = self._streaming(event)
        try:
            value = member.call(event if member.full_event else event.body)
            if member.yields:
                yield from value
            else:
                yield value
        except FAULTS as error:
            raise MemberFailed(member.name, error) from error

    async def _stream_async(self, event: Event) -> AsyncIterator[Any]:
        member = self._streaming(event)
        try:
            value = member.call(event if member.full_event else event.body)
            if member.yields and member.is_async:
                async for each in value:
                    yield each
            elif member.yields:
                for each in value:
                    yield each
            else:
                yield await value if member.is_async else value
        except FAULTS as error:
            raise MemberFailed(member.name, error) from error

    def _streaming(self, event: Event) -> Member:
        route = self.strategy.select(event)
        member = self.member(route)
        self.note(event, route)
        return member

    def _batch(self, bodies: Any) -> Any:
        routes = self.strategy.select_batch(bodies)
        if len(routes) != len(bodies):
            raise ValueError(f"{len(routes)} routes for {len(bodies)} bodies")
        rows: dict[Any, list[int]] = {}
        for index, route in enumerate(routes):
            rows.setdefault(route, []).append(index)
        parts: dict[str, tuple[Sequence[int], Any]] = {}
        errors: dict[int, BaseException] = {}
        for route, own in rows.items():
            member = self.members.get(route)
            if member is None:
                parts[f"{route!r}"] = (own, [None] * len(own))
                errors |= dict.fromkeys(own, RouteUnknown(route, [*self.members]))
                continue
            answers, failed = ask_batch(member, bodies if len(own) == len(bodies) else taken(bodies, own))
            parts[route] = (own, answers)
            errors |= {own[index]: MemberFailed(route, error) for index, error in failed.items()}
        values = scattered(parts, len(bodies))
        if errors:
            raise RowsFailed(rows_of(values), errors)
        return values


def _plain(group: RouterGroup, select: Callable[[Event], Any]) -> Callable[[Event], Any]:
    """Return the call of a router that only routes, to members that wait for nothing."""
    name, trace = group.name, MEMBER_TRACE.get
    table = {route: (member.call, member.full_event) for route, member in group.members.items()}
    roles, notes = bool(group.strategy.roles), {route: {**note} for route, note in group._notes.items()}  # noqa: SLF001

    def call(event: Event) -> Any:
        if trace() is not None:
            return group.traced(event)
        route = select(event)
        try:
            function, full = table[route]
        except (KeyError, TypeError):
            return group.several(event, route)
        event.metadata[name] = notes[route].copy() if roles else {"route": route}
        try:
            return function(event if full else event.body)
        except FAULTS as error:
            raise MemberFailed(route, error) from error

    return call


def _direct(group: RouterGroup, select: Callable[[Any], Any]) -> Callable[[Any, Event | None], Any]:
    """Return the same for a strategy that looks at nothing but the body."""
    table = {route: member.call for route, member in group.members.items()}

    def call(body: Any, event: Event | None) -> Any:
        route = select(body)
        try:
            function = table[route]
        except (KeyError, TypeError):
            event = Event(body) if event is None else event
            event.body = body
            return group.several(event, route)
        if event is not None:
            group.note(event, route)
        try:
            return function(body)
        except FAULTS as error:
            raise MemberFailed(route, error) from error

    return call
