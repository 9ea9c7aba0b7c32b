"""Steps that remember: a map with a state for each key, and a fold."""

import inspect
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

from modelyard.errors import near_name
from modelyard.graphs.bodies import part_of
from modelyard.graphs.calls import resolve
from modelyard.graphs.failures import PathMissing
from modelyard.graphs.isolation import isolated
from modelyard.graphs.steps.checking import Checked, is_nothing, is_number
from modelyard.graphs.steps.errors import FieldUnfit, StateInvalid
from modelyard.graphs.steps.states import KeyedStates, key_of

__all__ = ["Fold", "MapByKey"]


def _function(checked: Checked, use: Any) -> Callable[..., Any]:
    found = resolve(use) if isinstance(use, str) else use
    if not callable(found):
        raise checked.refuse("use", "must be a function, or a dotted path to one", use)
    if inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found):
        raise checked.refuse("use", "must be a plain function: nothing may wait while it holds the state", use)
    return found  # type: ignore[no-any-return]


class MapByKey:
    """A map with a memory: a function of the body and of what it remembered for this key.

    The state lives in one worker process: with several workers each has its own. Events with the same key are worked
    on one after the other. An event that fails leaves the state as it was.

    Parameters
    ----------
    use
        A plain function ``(body, state) -> (result, state)``, or its dotted path (so that the graph can be deployed).
    key
        The body's field (dotted) that tells states apart; empty means one state for all.
    initial
        The state of a key that is new, or was forgotten; each gets a copy.
    limit
        How many keys are kept; the one that was used longest ago is forgotten first.
    seconds
        How long a state is kept after its last event; 0 means for ever.

    Raises
    ------
    PathMissing
        The body has no such key (422).
    StateInvalid
        The function returned something else than a pair (500).

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> def since_last(body, last):
    ...     return body["meter"] - (body["meter"] if last is None else last), body["meter"]
    >>> graph = Graph("meters")
    >>> step = graph.to(MapByKey, use=since_last, key="house").respond()
    >>> [graph.test({"house": house, "meter": meter}) for house, meter in [("a", 10), ("b", 5), ("a", 17)]]
    [0, 0, 7]
    """

    state = "worker"

    def __init__(
        self, *, use: Any, key: str = "", initial: Any = None, limit: int = 10_000, seconds: float = 0.0
    ) -> None:
        checked = Checked("MapByKey")
        self._function = _function(checked, use)
        self._name = use if isinstance(use, str) else getattr(use, "__qualname__", repr(use))
        self._key = checked.text("key", key, empty=True)
        self._initial = initial
        self._states = KeyedStates(
            limit=checked.whole("limit", limit, least=1), seconds=checked.number("seconds", seconds, least=0)
        )

    def do(self, body: Any) -> Any:
        """Return the function's result; what it wants to remember is kept."""
        key = key_of(body, self._key) if self._key else None
        with self._states.lock:
            kept = self._states.find(key)
            state = isolated(self._initial if kept is None else kept[0])
            returned = self._function(body, state)
            if not isinstance(returned, tuple) or len(returned) != 2:
                raise StateInvalid(self._name, returned)
            self._states.put(key, (returned[1],))
        return returned[0]


class Fold:
    """Folds the events of each key into one value, and gives it after each event.

    Say what is folded either with aggregates, or with a function of your own. The result is the folded value alone:
    with the setting ``result_path="seen"`` it goes into the body. The state lives in one worker process.

    Parameters
    ----------
    aggregates
        Name of the result → ``"count"``, or one of ``count``, ``sum``, ``mean``, ``std``, ``min``, ``max``,
        ``first``, ``last``, ``distinct`` with the field (dotted) that it looks at: ``{"sum": "amount"}``. An event
        without the field, or with nothing in it, is passed over; ``std`` is that of the whole population.
    use
        Instead of aggregates: a plain function ``(state, body) -> state``, or its dotted path.
    key
        The body's field (dotted) that tells states apart; empty means one for all.
    initial
        With `use`: the first state of each key.
    size
        With aggregates: only so many latest events of the key count; 0 means all of them.
    limit
        How many keys are kept; the one that was used longest ago is forgotten first.
    seconds
        How long a state is kept after its last event; 0 means for ever.

    Raises
    ------
    PathMissing
        The body has no such key (422).
    FieldUnfit
        A field that is summed or compared is no number (422).

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("spending")
    >>> step = graph.to(
    ...     Fold, key="user", aggregates={"orders": "count", "spent": {"sum": "amount"}}, result_path="so_far"
    ... ).respond()
    >>> for amount in (10, 5):
    ...     reply = graph.test({"user": "ann", "amount": amount})
    >>> reply
    {'user': 'ann', 'amount': 5, 'so_far': {'orders': 2, 'spent': 15}}
    """

    state = "worker"

    def __init__(
        self,
        *,
        aggregates: Mapping[str, Any] | None = None,
        use: Any = None,
        key: str = "",
        initial: Any = None,
        size: int = 0,
        limit: int = 10_000,
        seconds: float = 0.0,
    ) -> None:
        checked = Checked("Fold")
        if (aggregates is None) == (use is None):
            raise checked.refuse("aggregates", "must be given, or use instead of it, and not both", aggregates)
        self._function = None if use is None else _function(checked, use)
        if use is not None and size:
            raise checked.refuse("size", "goes with aggregates, not with use", size)
        self._aggregates = [] if aggregates is None else _aggregates(checked, aggregates)
        self._key = checked.text("key", key, empty=True)
        self._initial = initial
        self._size = checked.whole("size", size, least=0)
        self._states = KeyedStates(
            limit=checked.whole("limit", limit, least=1), seconds=checked.number("seconds", seconds, least=0)
        )

    def do(self, body: Any) -> Any:
        """Return what the events of this key, this one included, have been folded into."""
        key = key_of(body, self._key) if self._key else None
        with self._states.lock:
            kept = self._states.find(key)
            if self._function is not None:
                state = self._function(isolated(self._initial if kept is None else kept[0]), body)
                self._states.put(key, (state,))
                return isolated(state)
            values = [each.value(body) for each in self._aggregates]
            if self._size:
                window = kept[0] if kept else deque(maxlen=self._size)
                window.append(values)
                self._states.put(key, (window,))
                return self._told(
                    [
                        _refolded(each, column)
                        for each, column in zip(self._aggregates, zip(*window, strict=True), strict=True)
                    ]
                )
            states = kept[0] if kept else [each.begin() for each in self._aggregates]
            states = [
                each.add(state, value) for each, state, value in zip(self._aggregates, states, values, strict=True)
            ]
            self._states.put(key, (states,))
            return self._told(states)

    def _told(self, states: Sequence[Any]) -> dict[str, Any]:
        return {each.name: each.tell(state) for each, state in zip(self._aggregates, states, strict=True)}


_NOTHING: Any = object()
_LARGEST = 1.7e308
"""Greater whole numbers have no place in double precision."""
_WORDS = ("count", "sum", "mean", "std", "min", "max", "first", "last", "distinct")
_OF_NUMBERS = ("sum", "mean", "std", "min", "max")


class _Aggregate:
    """One aggregate: how it begins, takes a value, and is told."""

    def __init__(self, name: str, word: str, field: str) -> None:
        self.name, self.word, self.field = name, word, field

    def value(self, body: Any) -> Any:
        if not self.field:
            return True
        try:
            value = part_of(body, self.field)
        except PathMissing:
            return _NOTHING
        if is_nothing(value):
            return _NOTHING
        if self.word in _OF_NUMBERS and not is_number(value):
            raise FieldUnfit(self.field, f"must be a number for the aggregate {self.name!r}", value)
        if self.word in ("mean", "std") and abs(value) > _LARGEST:
            raise FieldUnfit(self.field, f"must be a number of double precision for the aggregate {self.name!r}", value)
        return key_of(value, "") if self.word == "distinct" else isolated(value)

    def begin(self) -> Any:
        return {"count": 0, "sum": 0, "mean": (0, 0.0, 0.0), "std": (0, 0.0, 0.0), "distinct": frozenset()}.get(
            self.word
        )

    def add(self, state: Any, value: Any) -> Any:
        if value is _NOTHING:
            return state
        word = self.word
        if word == "count":
            return state + 1
        if word == "sum":
            return state + value
        if word in ("mean", "std"):
            return _welford(state, value)
        if word == "distinct":
            return state | {value}
        if state is None:
            return (value,)
        if word == "first":
            return state
        return (value if word == "last" else min(state[0], value) if word == "min" else max(state[0], value),)

    def tell(self, state: Any) -> Any:
        if self.word in ("count", "sum"):
            return state
        if self.word == "mean":
            return state[1] if state[0] else None
        if self.word == "std":
            return sqrt(state[2] / state[0]) if state[0] else None
        if self.word == "distinct":
            return len(state)
        return None if state is None else state[0]


def _welford(state: tuple[int, float, float], value: float) -> tuple[int, float, float]:
    """Take one value into count, mean and sum of squared deviations (Welford 1962)."""
    count, mean, squares = state
    count += 1
    change = value - mean
    mean += change / count
    return count, mean, squares + change * (value - mean)


def _refolded(aggregate: _Aggregate, values: Sequence[Any]) -> Any:
    state = aggregate.begin()
    for value in values:
        state = aggregate.add(state, value)
    return state


def _aggregates(checked: Checked, given: Mapping[str, Any]) -> list[_Aggregate]:
    found = []
    for name, said in checked.mapping("aggregates", given).items():
        place = f"aggregates.{name}"
        if said == "count":
            found.append(_Aggregate(name, "count", ""))
            continue
        if isinstance(said, str):
            raise checked.refuse(place, f"must be 'count', or one of {', '.join(_WORDS)} with its field", said)
        words = checked.mapping(place, said)
        if len(words) != 1:
            raise checked.refuse(place, "must be 'count', or one aggregate with its field", said)
        [(word, field)] = words.items()
        if word not in _WORDS:
            raise checked.refuse(place, "is no aggregate", said, mend=near_name(word, _WORDS))
        found.append(_Aggregate(name, word, checked.text(f"{place}.{word}", field)))
    if not found:
        raise checked.refuse("aggregates", "must name at least one", dict(given))
    return found
