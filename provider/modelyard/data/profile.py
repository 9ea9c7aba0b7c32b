"""Profiles: what the columns of a dataset look like, in a few kilobytes that can be added up."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from modelyard.data.dataset import Dataset
from modelyard.data.errors import ColumnMissing, ColumnTypeWrong, LibraryMissing, ProfileMismatch
from modelyard.data.matrix import to_matrix
from modelyard.data.schemas import kind_of, value_type
from modelyard.data.tallies import (
    CategoryTally,
    Frequent,
    Moments,
    NumberTally,
    new_sketch,
    quantile_edges,
    sketch_from,
    sketch_text,
)

__all__ = ["ColumnProfile", "ReferenceProfile", "profile_of"]

BINS = 20
CATEGORIES = 50


class ColumnProfile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one column looks like.

    Parameters
    ----------
    name
        The column.
    type
        The Arrow name of its type.
    kind
        ``number``, or ``category`` for text and booleans.
    count
        How many rows were seen.
    missing
        How many of them have no value, nan included.
    infinite
        How many are infinite; they count in nothing below.
    mean, std
        The mean and the standard deviation of the sample; None if there is no value, or they are beyond all measure.
    min, max
        The least and the greatest value.
    edges
        The fixed borders of the bins, ascending.
    bins
        How many values lie below the first edge, from each edge up to the next, and from the last on.
    sketch
        A KLL sketch of the values (Apache DataSketches, base64), from which any quantile can be told.
    categories
        How often each of the known categories occurs, the most frequent of the reference first.
    other
        How many values are none of the known categories.
    """

    name: str
    type: str
    kind: Literal["number", "category"]
    count: int
    missing: int
    infinite: int = 0
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    edges: tuple[float, ...] = ()
    bins: tuple[int, ...] = ()
    sketch: str = ""
    categories: dict[str, int] = {}
    other: int = 0

    @property
    def values(self) -> int:
        """How many rows have a value that counts."""
        return self.count - self.missing - self.infinite

    def quantile(self, rank: float) -> float | None:
        """Return the value below which the share `rank` of the values lies, within 1.7 % of rank; None if none is."""
        sketch = sketch_from(self.sketch)
        return None if sketch.is_empty() else float(sketch.get_quantile(rank))

    def merge(self, other: "ColumnProfile") -> "ColumnProfile":
        """Return the profile of the rows of both.

        Raises
        ------
        ProfileMismatch
            They count different things.
        """
        for fact in ("name", "kind", "edges"):
            if getattr(self, fact) != getattr(other, fact):
                raise ProfileMismatch(self.name, fact)
        if list(self.categories) != list(other.categories):
            raise ProfileMismatch(self.name, "categories")
        counts = {
            "count": self.count + other.count,
            "missing": self.missing + other.missing,
            "infinite": self.infinite + other.infinite,
            "other": self.other + other.other,
        }
        if self.kind == "category":
            added = {name: count + other.categories[name] for name, count in self.categories.items()}
            return msgspec.structs.replace(self, **counts, categories=added)
        sketch = sketch_from(self.sketch)
        sketch.merge(sketch_from(other.sketch))
        return msgspec.structs.replace(
            self,
            **counts,
            **_merged_moments(self, other),
            min=_of_both(min, self.min, other.min),
            max=_of_both(max, self.max, other.max),
            bins=tuple(left + right for left, right in zip(self.bins, other.bins, strict=True)),
            sketch=sketch_text(sketch),
        )


class ReferenceProfile(msgspec.Struct, frozen=True):
    """What a dataset looks like: one profile for each column.

    Parameters
    ----------
    rows
        How many rows were seen.
    columns
        The columns' profiles, in their order.
    format
        The version of this description.

    Examples
    --------
    >>> import pyarrow as pa
    >>> july = profile_of(pa.table({"delay": [1.0, 5.0, None], "carrier": ["UA", "B6", "UA"]}))
    >>> july.column("delay").mean, july.column("delay").missing, july.column("carrier").categories
    (3.0, 1, {'UA': 2, 'B6': 1})
    >>> august = profile_of(pa.table({"delay": [9.0], "carrier": ["AA"]}), like=july)
    >>> both = july.merge(august)
    >>> both.column("delay").mean, both.column("carrier").other, both.rows
    (5.0, 1, 4)
    >>> ReferenceProfile.from_json(both.to_json()) == both
    True
    """

    rows: int
    columns: tuple[ColumnProfile, ...]
    format: str = "modelyard.profile/1"

    def column(self, name: str) -> ColumnProfile:
        """Return the profile of one column.

        Raises
        ------
        ColumnMissing
            It is not in the profile.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise ColumnMissing("profile", name, [column.name for column in self.columns])

    def merge(self, other: "ReferenceProfile") -> "ReferenceProfile":
        """Return the profile of the rows of both; the order does not matter.

        Counts, bins, categories and extremes are exact, moments are exact but for rounding, and the sketch keeps
        its bound on the error.

        Raises
        ------
        ProfileMismatch
            They do not have the same columns, bins and categories: make one with ``like=`` the other.
        """
        if [column.name for column in self.columns] != [column.name for column in other.columns]:
            raise ProfileMismatch("", "columns")
        merged = [mine.merge(theirs) for mine, theirs in zip(self.columns, other.columns, strict=True)]
        return ReferenceProfile(self.rows + other.rows, tuple(merged))

    def to_json(self) -> str:
        """Return the profile as JSON text."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "ReferenceProfile":
        """Return the profile that a JSON text holds.

        Raises
        ------
        ProfileMismatch
            The text holds none, or one of a later version.
        """
        try:
            profile = msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise ProfileMismatch("", f"form ({error})") from error
        if profile.format != "modelyard.profile/1":
            raise ProfileMismatch("", f"version ({profile.format})")
        return profile


def profile_of(
    data: "pa.Table | pa.RecordBatch | Dataset | Mapping[str, Any] | Iterable[pa.RecordBatch]",
    columns: Sequence[str] | None = None,
    *,
    like: ReferenceProfile | None = None,
    bins: int = BINS,
) -> ReferenceProfile:
    """Return what the columns look like.

    Without `like` the data is passed over twice: first to find bins that hold equally many values, and the most
    frequent categories, then to count.

    Parameters
    ----------
    data
        An Arrow table, a dataset, record batches, or columns by name; numbers, booleans and text.
    columns
        Which columns; all if None, or those of `like`.
    like
        Count in the bins and categories of this profile, so that the two can be merged and compared.
    bins
        How many bins a column of numbers gets at most.

    Raises
    ------
    ColumnMissing
        A column is not there.
    ColumnTypeWrong
        A column is neither number, boolean nor text.
    LibraryMissing
        The library of the sketches is not installed.
    """
    try:
        import datasketches
    except ModuleNotFoundError as error:
        raise LibraryMissing("datasketches", "a profile") from error
    del datasketches
    if like is not None and columns is None:
        columns = [column.name for column in like.columns]
    batches = _Batches(data, columns)
    layouts = _layouts(batches, bins) if like is None else {name: like.column(name) for name in batches.types()}
    return _counted(batches, layouts)


class _Batches:
    """Record batches of the wanted columns that can be passed over more than once."""

    def __init__(self, data: Any, columns: Sequence[str] | None) -> None:
        if isinstance(data, pa.RecordBatch):
            data = pa.Table.from_batches([data])
        elif isinstance(data, Mapping):
            data = pa.table(dict(data))
        elif not isinstance(data, pa.Table | Dataset):
            data = pa.Table.from_batches(list(data))
        self._data: Any = data
        names = self._data.schema.names if columns is None else columns
        for name in names:
            if name not in self._data.schema.names:
                raise ColumnMissing(self.uri, name, self._data.schema.names)
        self.names = list(names)

    @property
    def uri(self) -> str:
        """How errors call the data."""
        return self._data.uri if isinstance(self._data, Dataset) else "the data"

    def types(self) -> dict[str, pa.DataType]:
        """Return the type of each column."""
        found = {}
        for name in self.names:
            type_ = value_type(self._data.schema.field(name).type)
            if kind_of(type_) == "other":
                raise ColumnTypeWrong(self.uri, name, str(type_), "a number, a boolean or text")
            found[name] = type_
        return found

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        if isinstance(self._data, Dataset):
            return self._data.batches(self.names)
        return iter(self._data.select(self.names).to_batches())


def _category(type_: pa.DataType) -> bool:
    return kind_of(type_) in ("text", "boolean")


def _layouts(batches: _Batches, bins: int) -> dict[str, ColumnProfile]:
    """Return empty profiles that say in which bins and categories to count, after one pass over the data."""
    types = batches.types()
    looking: dict[str, Any] = {name: Frequent() if _category(type_) else new_sketch() for name, type_ in types.items()}
    for batch in batches:
        for name, seen in looking.items():
            if isinstance(seen, Frequent):
                seen.look(_plain(batch.column(name)))
            else:
                values = to_matrix(batch, [name])[:, 0]
                seen.update(values[np.isfinite(values)])
    layouts = {}
    for name, seen in looking.items():
        if isinstance(seen, Frequent):
            known = dict.fromkeys(seen.first(CATEGORIES), 0)
            layouts[name] = ColumnProfile(name, str(types[name]), "category", 0, 0, categories=known)
        else:
            edges = tuple(quantile_edges(seen, bins).tolist())
            layouts[name] = ColumnProfile(name, str(types[name]), "number", 0, 0, edges=edges)
    return layouts


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _counted(batches: _Batches, layouts: Mapping[str, ColumnProfile]) -> ReferenceProfile:
    types = batches.types()
    tallies: dict[str, NumberTally | CategoryTally] = {}
    for name, layout in layouts.items():
        if (layout.kind == "category") != _category(types[name]) and types[name] != pa.null():
            raise ProfileMismatch(name, "kind")
        category = layout.kind == "category"
        tallies[name] = CategoryTally(tuple(layout.categories)) if category else NumberTally(np.array(layout.edges))
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        for name, tally in tallies.items():
            if isinstance(tally, CategoryTally):
                tally.look(_plain(batch.column(name)))
            else:
                tally.look(to_matrix(batch, [name])[:, 0])
    return ReferenceProfile(rows, tuple(_finished(layouts[name], tally) for name, tally in tallies.items()))


def _finished(layout: ColumnProfile, tally: NumberTally | CategoryTally) -> ColumnProfile:
    if isinstance(tally, CategoryTally):
        return msgspec.structs.replace(
            layout, count=tally.rows, missing=tally.missing, categories=tally.counts, other=tally.other
        )
    seen = tally.moments.count > 0
    return ColumnProfile(
        name=layout.name,
        type=layout.type,
        kind="number",
        count=tally.rows,
        missing=tally.missing,
        infinite=tally.infinite,
        mean=_finite(tally.moments.mean) if seen else None,
        std=_finite(tally.moments.std) if seen else None,
        min=tally.least if seen else None,
        max=tally.most if seen else None,
        edges=layout.edges,
        bins=tuple(tally.bins.tolist()),
        sketch=sketch_text(tally.sketch),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _of_both(choose: Any, left: float | None, right: float | None) -> float | None:
    known = [value for value in (left, right) if value is not None]
    return choose(known) if known else None


def _merged_moments(left: ColumnProfile, right: ColumnProfile) -> dict[str, float | None]:
    if any(each.values and (each.mean is None or each.std is None) for each in (left, right)):
        return {"mean": None, "std": None}
    moments = Moments.of(left.values, left.mean, left.std)
    moments.add(Moments.of(right.values, right.mean, right.std))
    seen = moments.count > 0
    return {"mean": _finite(moments.mean) if seen else None, "std": _finite(moments.std) if seen else None}
