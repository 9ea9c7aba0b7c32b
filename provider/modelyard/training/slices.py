"""Splits the rows of an evaluation by the values of a column, and measures each part."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelyard.training.metrics import metrics_of
from modelyard.training.outcomes import Classified, Outcomes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Slice", "SliceTable", "slice_by"]

_MOST_VALUES = 15
_BINS = 5


class Slice(NamedTuple):
    """The rows with one value, or one range of values.

    Parameters
    ----------
    value
        The value or range, as people write it.
    rows
        How many rows it has.
    share
        Its part of all rows, from 0 to 1.
    level
        The mean truth: of two classes the share that is positive, of a regression the mean; None otherwise.
    level_is_share
        Whether that is a share.
    metrics, baseline_metrics
        The metrics on these rows alone; undefined ones are missing.
    """

    value: str
    rows: int
    share: float
    level: float | None
    level_is_share: bool
    metrics: dict[str, float]
    baseline_metrics: dict[str, float]


class SliceTable(NamedTuple):
    """All slices of one column, the largest first; ranges from the lowest."""

    column: str
    slices: tuple[Slice, ...]


def slice_by(column: str, values: "NDArray[Any]", candidate: Outcomes, baseline: Outcomes | None = None) -> SliceTable:
    """Measure candidate and baseline on the rows of each value of a column.

    Text, booleans and numbers with few values are taken as they are (the 14 most frequent, the rest as ``other``);
    other numbers and times are cut into five ranges with about the same number of rows.

    Parameters
    ----------
    column
        The column's name.
    values
        One per row.
    candidate, baseline
        The same rows.
    """
    slices = []
    for value, mask in _parts(values):
        part = candidate.take(mask)
        other = metrics_of(baseline.take(mask)) if baseline is not None else {}
        rows = int(mask.sum())
        share, classified = rows / len(values), isinstance(part, Classified)
        slices.append(Slice(value, rows, share, _level(part), classified, metrics_of(part), other))
    return SliceTable(column, tuple(slices))


def _level(part: Outcomes) -> float | None:
    if isinstance(part, Classified) and not part.binary:
        return None
    return float(part.truth.mean())


def _parts(values: "NDArray[Any]") -> "Iterator[tuple[str, NDArray[np.bool_]]]":
    missing = _missing(values)
    present = values[~missing]
    if _is_scale(present):
        yield from _ranges(values, present, missing)
    else:
        yield from _categories(values, missing)
    if missing.any():
        yield "missing", missing


def _missing(values: "NDArray[Any]") -> "NDArray[np.bool_]":
    if values.dtype.kind in "fmM":
        return np.asarray(values != values)  # noqa: PLR0124 (only NaN and NaT differ from themselves)
    if values.dtype == object:
        return np.array([each is None or each != each for each in values], dtype=bool)  # noqa: PLR0124
    return np.zeros(len(values), dtype=bool)


def _is_scale(present: "NDArray[Any]") -> bool:
    return present.dtype.kind in "iufmM" and len(np.unique(present)) > _MOST_VALUES


def _categories(values: "NDArray[Any]", missing: "NDArray[np.bool_]") -> "Iterator[tuple[str, NDArray[np.bool_]]]":
    text = np.full(len(values), None, dtype=object)
    text[~missing] = _texts(values[~missing].tolist())
    names, counts = np.unique(text[~missing].astype(str), return_counts=True)
    order = np.lexsort((names, -counts))
    kept = names[order][: _MOST_VALUES - 1 if len(names) > _MOST_VALUES else _MOST_VALUES]
    if values.dtype.kind in "iufb":
        kept = np.array(sorted(kept, key=_number))
    for name in kept:
        yield str(name), text == name
    rest = ~np.isin(text.astype(str), kept) & ~missing
    if rest.any():
        yield f"other ({len(names) - len(kept)} values)", rest


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float(text == "true")


def _texts(values: list[Any]) -> list[str]:
    """Write values with as few digits as tell them apart."""
    distinct, digits = set(values), 6
    while digits < 17 and len({_written(each, digits) for each in distinct}) < len(distinct):
        digits += 1
    return [_written(each, digits) for each in values]


def _written(value: Any, digits: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _ranges(
    values: "NDArray[Any]", present: "NDArray[Any]", missing: "NDArray[np.bool_]"
) -> "Iterator[tuple[str, NDArray[np.bool_]]]":
    ordered = np.sort(present)
    lowest = ordered[0]
    bins, heap = _BINS, int(np.searchsorted(ordered, lowest, side="right"))
    if heap > len(ordered) / bins:  # many rows share the lowest value, such as no rain at all
        yield _names_of([lowest])[0], ~missing & (values == lowest)
        ordered, bins = ordered[heap:], bins - 1
    edges = np.unique(ordered[[round(len(ordered) * step / bins) for step in range(1, bins)]])
    bounds: list[Any] = [ordered[0], *edges[edges > ordered[0]], ordered[-1]]
    names = _names_of(bounds)
    for index, (low, high) in enumerate(pairwise(bounds)):
        last = index == len(bounds) - 2
        mask = ~missing & (values >= low) & ((values <= high) if last else (values < high))
        yield f"{names[index]} to {'' if last else 'under '}{names[index + 1]}" if low != high else names[index], mask


def _names_of(bounds: list[Any]) -> list[str]:
    """Write the bounds with as few digits as tell them apart."""
    if isinstance(bounds[0], np.datetime64):
        written = [str(each.astype("datetime64[m]")).replace("T", " ") for each in bounds]
        return [each.removesuffix(" 00:00") for each in written]
    if isinstance(bounds[0], np.timedelta64):
        return [str(each) for each in bounds]
    names: list[str] = []
    for digits in (4, 6, 9, 17):
        names = [_number_name(float(each), digits) for each in bounds]
        if len(set(names)) == len(set(bounds)):
            break
    return names


def _number_name(value: float, digits: int) -> str:
    return f"{value:,.{digits}g}".replace(",", "\u202f") if abs(value) < 10**digits else f"{value:.{digits}g}"
