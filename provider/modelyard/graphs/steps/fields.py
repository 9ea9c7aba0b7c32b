"""Changes the fields of rows: renames, drops, selects, extends, takes dates apart, maps, encodes, imputes, scales."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from modelyard.graphs.steps.checking import Checked
from modelyard.graphs.steps.errors import FieldUnfit
from modelyard.graphs.steps.field_operations import Operation, operation_of

__all__ = ["FieldOperations", "Fields"]


class FieldOperations(TypedDict, total=False):
    """The operations that `Fields` takes by name.

    Attributes
    ----------
    rename
        Old name → new name.
    drop
        Names; those that are not there are no error.
    select
        Names: only they stay, in this order.
    extend
        New name → constant value.
    copy
        New name → field (dotted) whose value it gets.
    dates
        Field → parts: ``year``, ``quarter``, ``month``, ``week`` (ISO), ``day``, ``day_of_year``, ``weekday`` (Monday
        is 0), ``is_weekend``, ``hour``, ``minute``, ``second``. The field is a datetime, ISO 8601 text, or seconds
        since 1970 (UTC); ``scheduled`` and ``hour`` make ``scheduled_hour``, and the field itself stays.
    values
        Field → ``{"map": …, "ranges": …}``: ``map`` is a mapping of texts, or a list of pairs for other values;
        ``ranges`` is a list of ``[from, below, value]``, null being no bound. ``default`` is for all other values,
        ``"keep": true`` leaves them; otherwise they are refused. ``into`` names another field for the result.
    one_hot
        Field → list of its categories, or ``{"of": […], "unknown": "zeros"}``; another value is refused otherwise.
        ``origin`` and ``EWR`` make ``origin_EWR``, and the field itself goes.
    impute
        Field → value where it is missing, null or not a number.
    scale
        Field → ``{"mean": …, "std": …}`` or ``{"min": …, "max": …, "clip": …}``, as known from the training data.
    """

    rename: Mapping[str, str]
    drop: Sequence[str]
    select: Sequence[str]
    extend: Mapping[str, Any]
    copy: Mapping[str, str]
    dates: Mapping[str, Sequence[str]]
    values: Mapping[str, Mapping[str, Any]]
    one_hot: Mapping[str, Any]
    impute: Mapping[str, Any]
    scale: Mapping[str, Mapping[str, Any]]


class Fields:
    """Changes the fields of a row, one operation after the other, in the order in which they are given.

    The body is one row (a mapping) or a list of rows; it is not changed itself. Over an Arrow batch, a pandas frame or
    a structured NumPy array whole columns are worked on, with the same values.

    Parameters
    ----------
    operations
        Operations as a list, where one kind is needed twice: ``[{"rename": {…}}, {"drop": […]}, {"rename": {…}}]``.
    **named
        Operations by name, in the order of the arguments: ``rename``, ``drop``, ``select``, ``extend``, ``copy``,
        ``dates``, ``values``, ``one_hot``, ``impute``, ``scale``; see `FieldOperations`.

    Raises
    ------
    FieldMissing
        A row lacks a field that an operation needs (422).
    FieldUnfit
        A value is none that an operation can work with (422).

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("features")
    >>> step = graph.to(
    ...     Fields,
    ...     dates={"scheduled": ["hour"]},
    ...     values={"distance": {"ranges": [[None, 500, "short"], [500, None, "long"]], "into": "haul"}},
    ...     one_hot={"origin": ["EWR", "JFK"]},
    ...     impute={"seats": 150},
    ...     scale={"distance": {"min": 0, "max": 5000}},
    ...     drop=["scheduled"],
    ... ).respond()
    >>> graph.test({"scheduled": "2013-06-01T17:45", "distance": 2475, "origin": "JFK", "seats": None})
    {'distance': 0.495, 'origin_EWR': 0, 'origin_JFK': 1, 'seats': 150, 'scheduled_hour': 17, 'haul': 'long'}
    """

    def __init__(
        self, *, operations: Sequence[Mapping[str, Any]] | None = None, **named: Unpack[FieldOperations]
    ) -> None:
        checked = Checked("Fields")
        if (operations is None) == (not named):
            raise checked.refuse("operations", "must be given, or operations by name, and not both", operations)
        self._operations: list[Operation] = []
        for each in operations if operations is not None else [named]:
            for name, told in checked.mapping("operations", each).items():
                self._operations.append(operation_of(checked, name, told))
        if not self._operations:
            raise checked.refuse("operations", "must have at least one", operations)

    def do(self, body: Any) -> Any:
        """Return the changed row or rows."""
        if isinstance(body, list):
            return [self._row(row) for row in body]
        return self._row(body)

    def do_batch(self, bodies: Any) -> Any:
        """Return the changed rows: Arrow for Arrow, a frame for a frame, Arrow for an array, a list for a list."""
        if isinstance(bodies, list):
            return [self.do(body) for body in bodies]
        from modelyard.graphs.steps.columns import changed_columns

        return changed_columns(self._operations, bodies)

    def _row(self, row: Any) -> dict[str, Any]:
        if not isinstance(row, Mapping):
            raise FieldUnfit("", "the body must be a mapping of fields, or a list of them", row)
        changed = dict(row)
        for operation in self._operations:
            changed = operation.row(changed)
        return changed
