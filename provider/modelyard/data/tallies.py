"""Counts over a column that can be taken in parts and added up."""

import base64
import math
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

if TYPE_CHECKING:
    from numpy.typing import NDArray

pc: Any = pyarrow.compute  # its functions are made at run time: no type checker knows them

__all__ = [
    "CategoryTally",
    "Frequent",
    "Moments",
    "NumberTally",
    "new_sketch",
    "quantile_edges",
    "sketch_from",
    "sketch_text",
]

SKETCH_SIZE = 200
"""The KLL parameter k: ranks are right within 1.7 % (99 % of the time), in about 4 KB."""
FREQUENT_SIZE = 14
"""Up to 2**14 * 0.75 different texts are counted exactly when the most frequent ones are looked for."""


class Moments:
    """Count, mean and spread, updated in parts without loss (Chan, Golub and LeVeque)."""

    def __init__(self, count: int = 0, mean: float = 0.0, squares: float = 0.0) -> None:
        self.count = count
        self.mean = mean
        self.squares = squares

    @classmethod
    def of(cls, count: int, mean: float | None, std: float | None) -> "Moments":
        """Return the moments that a mean and a standard deviation stand for."""
        return cls(count, mean or 0.0, (std or 0.0) ** 2 * max(count - 1, 0))

    def look(self, values: "NDArray[np.float64]") -> None:
        """Take more values into account."""
        if len(values):
            mean = float(values.mean())
            self.add(Moments(len(values), mean, float(((values - mean) ** 2).sum())))

    def add(self, other: "Moments") -> None:
        """Take the values into account that `other` has seen."""
        count = self.count + other.count
        if not count:
            return
        apart = other.mean - self.mean
        self.squares += other.squares + apart**2 * self.count * other.count / count
        self.mean += apart * other.count / count
        self.count = count

    @property
    def std(self) -> float:
        """The standard deviation of the sample; 0 for a single value."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0


class NumberTally:
    """What is counted of a column of numbers: all but nan and infinity go into the moments."""

    def __init__(self, edges: "NDArray[np.float64]") -> None:
        self.edges = edges
        self.rows = self.missing = self.infinite = 0
        self.moments = Moments()
        self.least, self.most = math.inf, -math.inf
        self.bins = np.zeros(len(edges) + 1, dtype=np.int64)
        self.sketch = new_sketch()

    def look(self, values: "NDArray[np.float64]") -> None:
        """Take more values into account; nan is missing."""
        present = values[~np.isnan(values)]
        finite = present[np.isfinite(present)]
        self.rows += len(values)
        self.missing += len(values) - len(present)
        self.infinite += len(present) - len(finite)
        if len(finite):
            with np.errstate(over="ignore", invalid="ignore"):  # a sum of huge numbers: told as no mean
                self.moments.look(finite)
            self.least, self.most = min(self.least, float(finite.min())), max(self.most, float(finite.max()))
            self.bins += np.bincount(np.searchsorted(self.edges, finite, side="right"), minlength=len(self.bins))
            self.sketch.update(finite)


class CategoryTally:
    """What is counted of a column of texts or booleans: how often each known category occurs."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self.rows = self.missing = self.other = 0
        self.counts = dict.fromkeys(known, 0)

    def look(self, column: pa.Array) -> None:
        """Take more values into account; null is missing."""
        self.rows += len(column)
        self.missing += column.null_count
        for value, count in _counted(column):
            if value in self.counts:
                self.counts[value] += count
            else:
                self.other += count


def _counted(column: pa.Array) -> list[tuple[str, int]]:
    counts = pc.value_counts(column).to_pylist()
    return [(_text(each["values"]), each["counts"]) for each in counts if each["values"] is not None]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Frequent:
    """The most frequent values of a column; approximate above 12,000 different ones."""

    def __init__(self) -> None:
        self._sketch = _sketches().frequent_strings_sketch(FREQUENT_SIZE)

    def look(self, column: pa.Array) -> None:
        """Take more values into account."""
        for value, count in _counted(column):
            self._sketch.update(value, count)

    def first(self, most: int) -> tuple[str, ...]:
        """Return the most frequent values, the most frequent first."""
        items = self._sketch.get_frequent_items(_sketches().frequent_items_error_type.NO_FALSE_NEGATIVES)
        return tuple(item[0] for item in sorted(items, key=lambda item: (-item[1], item[0]))[:most])


def quantile_edges(sketch: Any, bins: int) -> "NDArray[np.float64]":
    """Return the borders of about `bins` ranges that hold equally many of the values that a sketch has seen."""
    if sketch.is_empty():
        return np.empty(0, dtype=np.float64)
    return np.unique(np.array(sketch.get_quantiles([rank / bins for rank in range(1, bins)]), dtype=np.float64))


def new_sketch() -> Any:
    """Return an empty KLL sketch."""
    return _sketches().kll_doubles_sketch(SKETCH_SIZE)


def sketch_text(sketch: Any) -> str:
    """Return a sketch as text."""
    return base64.b64encode(sketch.serialize()).decode()


def sketch_from(text: str) -> Any:
    """Return the sketch that a text holds; an empty text is an empty sketch."""
    return _sketches().kll_doubles_sketch.deserialize(base64.b64decode(text)) if text else new_sketch()


def _sketches() -> Any:
    """Return the library of the sketches, whose names no type checker knows."""
    return import_module("datasketches")
