from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from modelyard.data import ColumnAllNull, DatasetEmpty
from modelyard.graphs import LoadedModel, ModelCard
from modelyard.training.scoring import score


class Doubling:
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return rows[:, 0] * 2


def model(*features: str) -> LoadedModel:
    card = ModelCard(features, ("int64",) * len(features), "matrix", "regression", (), "y", "", "")
    return LoadedModel(Doubling(), card, "")


def batches(*parts: dict[str, list[object]]) -> Iterator[pa.RecordBatch]:
    yield from (pa.RecordBatch.from_pydict(part) for part in parts)


def test_all_models_see_the_same_rows_in_one_pass() -> None:
    done: list[int] = []
    found = score(
        [model("a"), model("b")],
        batches(
            {"a": [1, 2], "b": [5, 6], "y": [0.5, 1.5], "c": ["x", None]}, {"a": [3], "b": [7], "y": [2.5], "c": ["z"]}
        ),
        "y",
        columns=["c"],
        advance=done.append,
    )
    assert found.truth.tolist() == [0.5, 1.5, 2.5]
    assert [said.labels.tolist() for said in found.predictions] == [[2, 4, 6], [10, 12, 14]]
    assert found.columns["c"].tolist() == ["x", None, "z"]
    assert (found.unlabelled, done) == (0, [2, 1])


def test_rows_without_a_label_are_counted_and_left_out() -> None:
    rows: dict[str, list[object]] = {"a": [1, 2, 3, 4], "y": [None, 1.0, float("nan"), 2.0]}
    found = score([model("a")], batches(rows, {"a": [9], "y": [None]}), "y")
    assert found.truth.tolist() == [1, 2]
    assert found.predictions[0].labels.tolist() == [4, 8]
    assert found.unlabelled == 3


def test_no_label_at_all_is_an_error() -> None:
    with pytest.raises(ColumnAllNull, match="july: the column 'y' has no value in any row"):
        score([model("a")], batches({"a": [1], "y": [None]}), "y", uri="july")


def test_no_row_at_all_is_an_error() -> None:
    empty = pa.RecordBatch.from_pydict({"a": pa.array([], pa.int64()), "y": pa.array([], pa.float64())})
    with pytest.raises(DatasetEmpty, match="july: the dataset has no rows"):
        score([model("a")], iter([empty]), "y", uri="july")


def test_a_feature_without_any_value_is_an_error_and_one_value_is_enough() -> None:
    gap = pa.RecordBatch.from_pydict({"a": pa.array([None, float("nan")], pa.float64()), "y": [1.0, 2.0]})
    with pytest.raises(ColumnAllNull, match="july: the column 'a' has no value in any row"):
        score([model("a")], iter([gap, gap]), "y", uri="july")
    full = pa.RecordBatch.from_pydict({"a": [3.0], "y": [3.0]})
    assert score([model("a")], iter([gap, full]), "y").truth.tolist() == [1.0, 2.0, 3.0]


def test_gaps_in_some_batches_do_not_change_the_others() -> None:
    first = pa.RecordBatch.from_pydict({"a": [1], "y": [1.0], "c": pa.array([True])})
    second = pa.RecordBatch.from_pydict({"a": [2], "y": [2.0], "c": pa.array([None], pa.bool_())})
    found = score([model("a")], iter([first, second]), "y", columns=["c"])
    assert found.columns["c"].tolist() == [True, None]
