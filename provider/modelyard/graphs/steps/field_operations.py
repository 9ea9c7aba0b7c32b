"""The operations of `Fields`, each on one row: they change a fresh mapping, never a value in it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from modelyard.errors import near_name
from modelyard.graphs.bodies import part_of
from modelyard.graphs.isolation import isolated
from modelyard.graphs.steps.checking import Checked, is_nothing, is_number
from modelyard.graphs.steps.errors import FieldMissing, FieldUnfit

__all__ = ["OPERATIONS", "PARTS", "Operation", "ValueTable", "moment_of", "operation_of"]

Row = dict[str, Any]


class Operation(ABC):
    """One operation of `Fields`; its subclasses check what they are told, and change rows.

    Parameters
    ----------
    checked
        Names the block in errors.
    place
        Where in the arguments it stands.
    told
        What the user said.
    """

    @abstractmethod
    def __init__(self, checked: Checked, place: str, told: Any) -> None: ...

    @abstractmethod
    def row(self, row: Row) -> Row:
        """Return the changed row; the given mapping may be used up."""


def _needed(row: Mapping[str, Any], field: str) -> Any:
    if field not in row:
        raise FieldMissing(field, list(row))
    return row[field]


class Rename(Operation):
    """Old name → new name; order and values stay."""

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        self.names: dict[str, str] = checked.mapping(place, told)
        checked.names(place, list(self.names.values()))

    def row(self, row: Row) -> Row:
        """Return the row under its new names."""
        for name in self.names:
            _needed(row, name)
        renamed = {self.names.get(name, name): value for name, value in row.items()}
        if len(renamed) < len(row):
            taken = next(new for old, new in self.names.items() if new in row and new not in self.names and new != old)
            raise FieldUnfit(taken, "is there already, and another field shall get its name", row[taken])
        return renamed


class Drop(Operation):
    """Names that go; it is no error if they are not there."""

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        self.names = checked.names(place, told)

    def row(self, row: Row) -> Row:
        """Return the row without them."""
        for name in self.names:
            row.pop(name, None)
        return row


class Select(Operation):
    """Names that stay, in this order."""

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        self.names = checked.names(place, told)

    def row(self, row: Row) -> Row:
        """Return only these."""
        return {name: _needed(row, name) for name in self.names}


class Extend(Operation):
    """New name → constant value; a field of this name is replaced."""

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        self.values = checked.mapping(place, told)

    def row(self, row: Row) -> Row:
        """Return the row with the constants."""
        row.update({name: isolated(value) for name, value in self.values.items()})
        return row


class Copy(Operation):
    """New name → field (dotted) whose value it gets."""

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        self.sources = checked.mapping(place, told)
        for name, source in self.sources.items():
            checked.text(f"{place}.{name}", source)

    def row(self, row: Row) -> Row:
        """Return the row with the copies."""
        for name, source in self.sources.items():
            row[name] = isolated(_needed(row, source) if "." not in source else part_of(row, source))
        return row


PARTS: dict[str, Callable[[datetime], int]] = {
    "year": lambda moment: moment.year,
    "quarter": lambda moment: (moment.month + 2) // 3,
    "month": lambda moment: moment.month,
    "week": lambda moment: moment.isocalendar().week,
    "day": lambda moment: moment.day,
    "day_of_year": lambda moment: moment.timetuple().tm_yday,
    "weekday": lambda moment: moment.weekday(),
    "is_weekend": lambda moment: int(moment.weekday() >= 5),
    "hour": lambda moment: moment.hour,
    "minute": lambda moment: moment.minute,
    "second": lambda moment: moment.second,
}
"""Part of a moment → how it is taken; Monday is weekday 0, weeks are those of ISO 8601."""


def moment_of(field: str, value: Any) -> datetime:
    """Return the moment that a field means: a datetime, a date, ISO 8601 text, or seconds since 1970 (UTC).

    Raises
    ------
    FieldUnfit
        It is none of them.
    """
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        if is_number(value):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise FieldUnfit(field, "must be a moment: ISO 8601 text, or seconds since 1970", value)


class Dates(Operation):
    """Field → parts of its date that become fields of their own: ``scheduled`` and ``hour`` make ``scheduled_hour``."""

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        self.parts = {
            field: [
                checked.word(f"{place}.{field}", part, tuple(PARTS))
                for part in checked.names(f"{place}.{field}", parts)
            ]
            for field, parts in checked.mapping(place, told).items()
        }

    def row(self, row: Row) -> Row:
        """Return the row with the parts."""
        for field, parts in self.parts.items():
            moment = moment_of(field, _needed(row, field))
            for part in parts:
                row[f"{field}_{part}"] = PARTS[part](moment)
        return row


def _alike(value: Any) -> Any:
    """Return a key under which True is not 1."""
    return (bool, value) if isinstance(value, bool) else value


class ValueTable:
    """How the values of one field are mapped: exactly, by ranges, or by default.

    Parameters
    ----------
    checked, place, told
        As for `Operation`.
    """

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        known = checked.mapping(place, told, ("map", "ranges", "default", "keep", "into"))
        self.exact = {_alike(key): value for key, value in self._pairs(checked, f"{place}.map", known.get("map", {}))}
        self.ranges = [self._range(checked, f"{place}.ranges", each) for each in known.get("ranges", ())]
        if not self.exact and not self.ranges:
            raise checked.refuse(place, "must have a map or ranges", told)
        self.has_default, self.default = "default" in known, known.get("default")
        self.keep = bool(known.get("keep", False))
        if self.keep and self.has_default:
            raise checked.refuse(place, "must have a default or keep, not both", told)
        self.into = checked.text(f"{place}.into", known.get("into", ""), empty=True)

    @staticmethod
    def _pairs(checked: Checked, place: str, told: Any) -> Iterable[tuple[Any, Any]]:
        if isinstance(told, Mapping):
            # JSON has no other keys, and a graph that is written down and read back must stay the same
            for key in told:
                if not isinstance(key, str):
                    raise checked.refuse(place, "must have texts as keys, or be a list of pairs", told)
            return told.items()
        if not isinstance(told, list | tuple) or not all(
            isinstance(each, list | tuple) and len(each) == 2 for each in told
        ):
            raise checked.refuse(place, "must be a mapping, or a list of pairs", told)
        return [(each[0], each[1]) for each in told]

    @staticmethod
    def _range(checked: Checked, place: str, told: Any) -> tuple[float | None, float | None, Any]:
        if not isinstance(told, list | tuple) or len(told) != 3:
            raise checked.refuse(place, "must be a list of [from, below, value]", told)
        low, high, value = told
        for bound in (low, high):
            if bound is not None and not is_number(bound):
                raise checked.refuse(place, "must have numbers, or null for no bound", told)
        if low is not None and high is not None and low >= high:
            raise checked.refuse(place, "must have ranges that begin below their end", told)
        return low, high, value

    def value(self, field: str, given: Any) -> Any:
        """Return what a value is mapped to.

        Raises
        ------
        FieldUnfit
            It is in no entry of the table, and there is no default.
        """
        try:
            if (key := _alike(given)) in self.exact:
                return isolated(self.exact[key])
        except TypeError:  # a list or mapping is in no table
            pass
        if is_number(given):
            for low, high, value in self.ranges:
                if (low is None or given >= low) and (high is None or given < high):
                    return isolated(value)
        if self.has_default:
            return isolated(self.default)
        if self.keep:
            return given
        raise FieldUnfit(field, "is not in the table of values", given)


class Values(Operation):
    """Field → table of its values."""

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        given = checked.mapping(place, told)
        self.tables = {field: ValueTable(checked, f"{place}.{field}", table) for field, table in given.items()}

    def row(self, row: Row) -> Row:
        """Return the row with the values of the tables."""
        for field, table in self.tables.items():
            row[table.into or field] = table.value(field, _needed(row, field))
        return row


class OneHot(Operation):
    """Field → its categories; the field gives way to one of 0 or 1 for each."""

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        self.categories: dict[str, dict[Any, str]] = {}
        self.strict: dict[str, bool] = {}
        for field, said in checked.mapping(place, told).items():
            where = f"{place}.{field}"
            known = checked.mapping(where, said, ("of", "unknown")) if isinstance(said, Mapping) else {"of": said}
            of = known.get("of")
            if not isinstance(of, list | tuple) or not of:
                raise checked.refuse(where, "must list the categories", said)
            self.categories[field] = {_alike(each): f"{field}_{each}" for each in of}
            if len(set(self.categories[field].values())) < len(of):
                raise checked.refuse(where, "must list categories that make different names", said)
            self.strict[field] = (
                checked.word(f"{where}.unknown", known.get("unknown", "refuse"), ("refuse", "zeros")) == "refuse"
            )

    def row(self, row: Row) -> Row:
        """Return the row with the columns of the categories in the field's place."""
        for field in self.categories:
            _needed(row, field)
        changed: Row = {}
        for name, value in row.items():
            if name in self.categories:
                changed.update(self.columns(name, value))
            else:
                changed[name] = value
        return changed

    def columns(self, field: str, value: Any) -> dict[str, int]:
        """Return the columns of one value."""
        names = self.categories[field]
        try:
            hot = names.get(_alike(value))
        except TypeError:
            hot = None
        if hot is None and self.strict[field]:
            raise FieldUnfit(
                field, f"must be one of {', '.join(str(name)[len(field) + 1 :] for name in names.values())}", value
            )
        return {name: int(name == hot) for name in names.values()}


class Impute(Operation):
    """Field → value where it is missing, null or not a number."""

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        self.values = checked.mapping(place, told)

    def row(self, row: Row) -> Row:
        """Return the row without gaps."""
        for field, value in self.values.items():
            if is_nothing(row.get(field)):
                row[field] = isolated(value)
        return row


class Scale(Operation):
    """Field → ``mean`` and ``std``, or ``min`` and ``max`` (with ``clip``): the numbers of the training data."""

    def __init__(self, checked: Checked, place: str, told: Any) -> None:
        self.scales: dict[str, tuple[float, float, bool]] = {}
        for field, said in checked.mapping(place, told).items():
            where = f"{place}.{field}"
            known = checked.mapping(where, said, ("mean", "std", "min", "max", "clip"))
            if set(known) == {"mean", "std"}:
                middle = checked.number(f"{where}.mean", known["mean"])
                self.scales[field] = middle, checked.number(f"{where}.std", known["std"], above=0), False
            elif set(known) - {"clip"} == {"min", "max"}:
                low = checked.number(f"{where}.min", known["min"])
                self.scales[field] = (
                    low,
                    checked.number(f"{where}.max", known["max"], above=low) - low,
                    bool(known.get("clip")),
                )
            else:
                raise checked.refuse(where, "must have mean and std, or min and max", said)

    def row(self, row: Row) -> Row:
        """Return the row with scaled numbers."""
        for field, (offset, width, clip) in self.scales.items():
            value = _needed(row, field)
            if not is_number(value) or is_nothing(value):
                raise FieldUnfit(field, "must be a number", value)
            try:
                scaled = (float(value) - offset) / width
            except OverflowError:
                raise FieldUnfit(field, "must be a number of double precision", value) from None
            row[field] = min(max(scaled, 0.0), 1.0) if clip else scaled
        return row


OPERATIONS: dict[str, type[Operation]] = {
    "rename": Rename,
    "drop": Drop,
    "select": Select,
    "extend": Extend,
    "copy": Copy,
    "dates": Dates,
    "values": Values,
    "one_hot": OneHot,
    "impute": Impute,
    "scale": Scale,
}


def operation_of(checked: Checked, name: str, told: Any) -> Operation:
    """Return the operation of a name.

    Raises
    ------
    ArgumentInvalid
        There is none, or it is told what it cannot be told.
    """
    if name not in OPERATIONS:
        raise checked.refuse("operations", f"has no operation {name!r}", told, mend=near_name(name, list(OPERATIONS)))
    return OPERATIONS[name](checked, name, told)
