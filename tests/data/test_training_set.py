from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelyard.data import (
    ColumnAllNull,
    ColumnMissing,
    ColumnTypeWrong,
    DatasetEmpty,
    HoldoutWrong,
    LabelMissing,
    TrainingSet,
    open_dataset,
)


def training_set(folder: Path, table: pa.Table, label: str = "late", features: tuple[str, ...] = ()) -> TrainingSet:
    pq.write_table(table, folder / "t.parquet")
    return TrainingSet(open_dataset(str(folder / "t.parquet")), label, features)


TABLE = pa.table(
    {"x": [1, 2, 3, 4, 5], "late": [True, False, True, False, True], "carrier": ["A", "B", None, "A", "B"]}
)


def test_features_default_to_all_but_the_label(tmp_path: Path) -> None:
    rows = training_set(tmp_path, TABLE)

    assert (rows.feature_columns, rows.dtypes, len(rows)) == (("x", "carrier"), ("int64", "string"), 5)
    assert rows.matrix().tolist() == [[1, "A"], [2, "B"], [3, None], [4, "A"], [5, "B"]]
    assert rows.labels().tolist() == [True, False, True, False, True]
    assert list(rows.frame().columns) == ["x", "carrier"]
    assert rows.table().column_names == ["x", "carrier", "late"]


def test_features_keep_the_order_that_was_asked_for(tmp_path: Path) -> None:
    rows = training_set(tmp_path, TABLE.append_column("z", [[9.0] * 5]), features=("z", "x"))

    np.testing.assert_array_equal(rows.matrix(), [[9, 1], [9, 2], [9, 3], [9, 4], [9, 5]])


def test_the_last_rows_are_held_out(tmp_path: Path) -> None:
    rows = training_set(tmp_path, TABLE, features=("x",))

    train, held = rows.split(0.4)
    assert (train.matrix()[:, 0].tolist(), held.matrix()[:, 0].tolist()) == ([1, 2, 3], [4, 5])
    assert (train.labels().tolist(), held.labels().tolist()) == ([True, False, True], [False, True])

    inner, last = train.split(0.01)
    assert (len(inner), last.matrix().tolist()) == (2, [[3.0]])
    assert [len(part) for part in rows.split(0)] == [5, 0]
    assert rows.head(2).matrix().tolist() == [[1.0], [2.0]]
    assert len(rows.head(99)) == 5


@pytest.mark.parametrize("holdout", [-0.1, 1.0, 0.99, float("nan")])
def test_a_holdout_that_leaves_nothing_is_refused(tmp_path: Path, holdout: float) -> None:
    with pytest.raises(HoldoutWrong, match="of 5 rows"):
        training_set(tmp_path, TABLE).split(holdout)


def test_a_dataset_that_cannot_train_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(ColumnMissing, match=r"no column 'lat'. Did you mean late\?"):
        training_set(tmp_path, TABLE, label="lat")
    with pytest.raises(ColumnMissing, match=r"no column 'carier'. Did you mean carrier\?"):
        training_set(tmp_path, TABLE, features=("carier",))
    with pytest.raises(ColumnTypeWrong, match="'late' is the label"):
        training_set(tmp_path, TABLE, features=("late", "x"))
    with pytest.raises(DatasetEmpty, match="no rows"):
        training_set(tmp_path, TABLE.slice(0, 0))
    with pytest.raises(DatasetEmpty, match="no columns besides the label"):
        training_set(tmp_path, TABLE.select(["late"]))
    with pytest.raises(ColumnAllNull, match="'x' has no value in any row"):
        training_set(tmp_path, TABLE.set_column(0, "x", pa.nulls(5, pa.int64())))
    with pytest.raises(ColumnAllNull, match="'late' has no value in any row"):
        training_set(tmp_path, TABLE.set_column(1, "late", pa.nulls(5)))
    with pytest.raises(ColumnTypeWrong, match=r"'x' is timestamp\[us\]"):
        training_set(tmp_path, TABLE.set_column(0, "x", pa.array(range(5), pa.timestamp("us"))))
    with pytest.raises(
        ColumnTypeWrong, match=r"'late' is list<element: int64>, it must be a number, a boolean or text"
    ):
        training_set(tmp_path, TABLE.set_column(1, "late", pa.array([[1]] * 5)))


def test_a_missing_label_is_counted(tmp_path: Path) -> None:
    rows = training_set(tmp_path, TABLE.set_column(1, "late", pa.array([1, None, 0, None, 1])))

    with pytest.raises(LabelMissing, match="2 of 5 rows have no label in 'late'"):
        rows.labels()
    assert rows.head(1).labels().tolist() == [1]
