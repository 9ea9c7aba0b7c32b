"""The contract of routers and ensembles: a strategy decides and combines, the engine runs the members.

A group is one step of a graph with members: functions, classes, models or graphs, each with settings of its own. Its
strategy is a class that is built once, when the graph opens, with the arguments that the graph was told; a parameter
called ``members`` gets the members' names, in order, and one called ``context`` the step's context.
"""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar, NamedTuple

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.event import Event

__all__ = ["GROUPS", "MEMBER_TRACE", "NOT_MINE", "EnsembleStrategy", "Member", "RouterStrategy", "rows_of"]

GROUPS = ("router", "ensemble")
"""Kinds of steps that have members."""

NOT_MINE: Any = object()
"""What `RouterStrategy.operate` returns for an event that is to be routed."""

MEMBER_TRACE: ContextVar[Callable[[str, Any, Any, float, BaseException | None], None] | None] = ContextVar(
    "modelyard_member_trace", default=None
)
"""Takes down what a member did (name, input, output, seconds, error), while an event is traced."""


class RouterStrategy:
    """Base of what decides which member an event goes to.

    Override `select_body` if the body is enough to decide, and `select` if it takes the rest of the event as well. The
    other methods are called only if they are overridden, so that what is not used costs nothing. `Graph.router` takes
    a plain function of the event, too.

    Attributes
    ----------
    roles
        Route → what it is there for; it is put into the event's metadata beside the route.
    state
        ``worker`` if the strategy remembers something from event to event: each worker process has its own.
    deterministic
        Whether equal events take equal routes.
    queue_size
        How many events may wait for shadows; one that finds no room is dropped, and counted.

    Examples
    --------
    >>> class Parity(RouterStrategy):
    ...     def select_body(self, body):
    ...         return "odd" if body % 2 else "even"
    >>> Parity().select(Event(3)), Parity().select_batch([1, 2])
    ('odd', ['odd', 'even'])
    """

    roles: Mapping[str, str] = {}
    state: ClassVar[str] = ""
    deterministic: bool = True
    queue_size: int = 1024

    def select(self, event: Event) -> Any:
        """Return the route of an event: the name of a member.

        Several names (a list or tuple) send a copy to each of them; the answer is then a mapping of route to answer.

        Raises
        ------
        RouteMissing
            The event does not say.
        """
        return self.select_body(event.body)

    def select_body(self, body: Any) -> Any:
        """Return the route of an event of which only the body matters."""
        raise NotImplementedError(f"{type(self).__name__} overrides neither select nor select_body")

    def select_batch(self, bodies: Any) -> Sequence[Any]:
        """Return the route of each of many bodies, which are a list, or an array or Arrow batch of rows.

        What one body cannot be told a route for raises; the rows are then asked one by one.
        """
        return [self.select(Event(body)) for body in rows_of(bodies)]

    def shadows(self, event: Event) -> Sequence[str]:
        """Return the members that get a copy of the event, after the one that answers; the reply never waits."""
        return ()

    def observe(self, event: Event, route: str, error: BaseException | None) -> None:
        """Look at how the chosen member did; called before its answer goes on, so it must be quick."""

    def operate(self, event: Event) -> Any:
        """Answer an event that is meant for the router itself, or return `NOT_MINE`."""
        return NOT_MINE


class EnsembleStrategy:
    """Base of what makes one answer out of the members' answers.

    The engine runs the members, each on a copy of the body, and knows what happens when one fails: the strategy sees
    only answers that there are. It raises `AnswerWrong` for an answer that it cannot combine; that member then counts
    as failed. `Graph.ensemble` takes a plain function of the answers and failures, too.

    Attributes
    ----------
    final
        The member that takes what `combine` returns and gives the ensemble's answer; it is not asked with the others.
    takes_columns
        Whether `combine_batch` understands `AnswerColumns`, the arrays in which models answer.
    label_alone
        Whether nothing but the field ``label`` is read of a model's answer, which then need not compute more. A class
        says it for itself: it is not inherited.
    keeps_body
        Whether `final_body` looks at the body that the ensemble got: then no member may have it to change.
    state, deterministic
        As a router's.

    Examples
    --------
    >>> class Largest(EnsembleStrategy):
    ...     def combine(self, answers, failures):
    ...         return max(answers.values())
    >>> Largest().combine({"a": 1, "b": 3}, {})
    3
    """

    final: str = ""
    takes_columns: ClassVar[bool] = False
    label_alone: ClassVar[bool] = False
    keeps_body: bool = False
    state: ClassVar[str] = ""
    deterministic: bool = True

    def combine(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the ensemble's answer.

        Parameters
        ----------
        answers
            Member → answer, in the order of the members, without those that failed.
        failures
            Member → what it raised.

        Raises
        ------
        AnswerWrong
            A member's answer is not of the kind that is combined here.
        """
        raise NotImplementedError(f"{type(self).__name__} does not override combine")

    def final_body(self, body: Any, combined: Any) -> Any:
        """Return what the final member takes.

        Parameters
        ----------
        body
            The body that the ensemble got.
        combined
            What `combine` returned for it.
        """
        return combined

    def combine_batch(self, answers: Mapping[str, Any]) -> Any:
        """Return the ensemble's answers to many bodies, equal to `combine` row by row.

        Parameters
        ----------
        answers
            Member → its answers to all bodies: a list or an array with one row for each; no member failed.

        Raises
        ------
        AnswerWrong
            Some answer is not of the kind that is combined here; the rows are then combined one by one.
        """
        return [
            self.combine(dict(zip(answers, row, strict=True)), {})
            for row in zip(*(rows_of(each) for each in answers.values()), strict=True)
        ]


class Member(NamedTuple):
    """A member that is ready to run.

    Parameters
    ----------
    name
        Unique in its group.
    call
        Takes the body, or the event if `full_event`.
    is_async
        Whether its result is awaited.
    full_event
        Whether it takes the event.
    yields
        Whether it is a generator.
    batch
        What takes many bodies at once, if there is such a thing.
    columns
        What answers many bodies with arrays, or with None if it cannot.
    pure
        Whether it is known to leave the body as it is: no copy is made for it.
    """

    name: str
    call: Callable[[Any], Any]
    is_async: bool = False
    full_event: bool = False
    yields: bool = False
    batch: Callable[[Any], Any] | None = None
    columns: Callable[..., AnswerColumns | None] | None = None
    pure: bool = False


def rows_of(bodies: Any) -> Any:
    """Return many bodies as a sequence of single ones.

    Examples
    --------
    >>> rows_of([1, 2])
    [1, 2]
    """
    if isinstance(bodies, list):
        return bodies
    if isinstance(bodies, AnswerColumns):
        return bodies.tolist()
    return bodies.to_pylist() if hasattr(bodies, "to_pylist") else list(bodies)
