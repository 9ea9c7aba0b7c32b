"""A model small enough to know every answer, and datasets to score with it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelyard.batch.job import Settings, score_dataset
from modelyard.data import Dataset, Manifest, ShardWriter, open_dataset


class Said(NamedTuple):
    """What a model says."""

    labels: Any
    probabilities: Any = None


def _never(matrix: Any) -> Any:
    return np.zeros(len(matrix), dtype=bool)


@dataclass
class SumModel:
    """Says whether x + y is above 1; raises at rows that it is told to refuse, and rests after some whole batches."""

    features: tuple[str, ...] = ("x", "y")
    task: str = "classification"
    classes: tuple[Any, ...] = ("early", "late")
    refuse: Callable[[Any], Any] = _never
    rests_after: int | None = None
    sizes: list[int] = field(default_factory=list)

    def predict(self, matrix: Any) -> Any:
        """Return label and probabilities of each row."""
        self.sizes.append(len(matrix))
        if self.rests_after is not None and self.sizes.count(self.sizes[0]) > self.rests_after:
            threading.Event().wait()
        if self.refuse(matrix).any():
            raise ValueError("this row is not for me")
        total = matrix.astype(float).sum(axis=1)
        if self.task == "regression":
            return Said(total)
        late = np.clip(total / 2, 0, 1)
        names = np.array(self.classes or ("early", "late"))
        return Said(names[(late > 0.5).astype(int)], np.column_stack([1 - late, late]))


def rows_of(count: int, start: int = 0) -> pa.Table:
    """Rows whose answers are easy to tell: x is the number of the row modulo 3, y is a half."""
    numbers = np.arange(start, start + count)
    return pa.table({"id": numbers, "x": (numbers % 3).astype(float), "y": np.full(count, 0.5), "other": ["t"] * count})


def store(path: Path, table: pa.Table, **options: Any) -> Dataset:
    """Write a table and open it as a dataset."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return open_dataset(str(path))


def score(
    dataset: Dataset, model: Any, output: str, run: str = "00ff", dtypes: tuple[str, ...] = (), **settings: Any
) -> Manifest:
    """Score a dataset and show the result."""
    writer = ShardWriter(output, run=run, writer="predict")
    score_dataset(dataset, model, writer, Settings(**settings), version="models:/sums/3", dtypes=dtypes)
    return writer.commit()


def files(output: str) -> list[str]:
    """The names of all files below a folder."""
    fs, path = fsspec.url_to_fs(output)
    return sorted(name.removeprefix(f"{path}/") for name in fs.find(path))


def scored(output: str) -> list[dict[str, Any]]:
    """The rows that an output shows."""
    rows: list[dict[str, Any]] = open_dataset(output).table().to_pylist()
    return rows
