"""The operation itself: a real project, a real MLflow store, a real scikit-learn model."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from probe_batch import files, scored

from modelyard.batch import OutputOverlaps, RowsRejected, predict
from modelyard.data import (
    ColumnMissing,
    DatasetEmpty,
    DatasetNotFound,
    OutputOccupied,
    StorageFull,
    StorageUnavailable,
    TrainingSet,
    open_dataset,
    storage,
)
from modelyard.operations import OperationContext, ParameterInvalid
from modelyard.projects import open_project
from modelyard.tracking import AliasNotFound, ModelFacts, Tracking, open_tracking

FEATURES = ("carrier", "distance", "night")


def flights(count: int, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    distance = random.uniform(100, 3000, count).round()
    carrier = random.choice(["UA", "B6", "DL"], count)
    night = random.random(count) < 0.3
    late = (distance > 1500) ^ night
    return pa.table(
        {
            "flight_id": [f"f{index}" for index in range(count)],
            "carrier": carrier,
            "distance": pa.array(distance, from_pandas=True),
            "night": night,
            "late": late,
        }
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose registry has two versions of a model that was fitted on text, numbers and booleans."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    root = tmp_path_factory.mktemp("project")
    (root / "modelyard.yaml").write_text("name: flights\n")
    pq.write_table(flights(2_000), root / "train.parquet")
    rows = TrainingSet(open_dataset(str(root / "train.parquet")), "late", FEATURES)
    tracking = tracking_of(root)
    for depth in (2, 3):
        encode = make_column_transformer(
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), [0]), remainder="passthrough"
        )
        estimator = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=10, max_depth=depth))
        estimator.fit(rows.matrix(), rows.labels())
        facts = ModelFacts(FEATURES, rows.dtypes, "matrix", "classification", (False, True), "late")
        with tracking.start_run("train") as run:
            stored = run.log_model(estimator, facts=facts, input_example=rows.head(3).table().select(FEATURES))
        tracking.register(stored.uri, "delays")
    tracking.set_alias("delays", "champion", 1, expected=None)
    return root


def tracking_of(root: Path) -> Tracking:
    opened = open_project(str(root))
    return open_tracking(opened.environment(), opened.name)


@pytest.fixture
def dataset(project: Path) -> Iterator[Path]:
    path = project / "data" / "august.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(flights(500, seed=1), path, row_group_size=120)
    yield path
    path.unlink()


def run(project: Path, folder: Path, *, key: str = "", generation: int = 1, **parameters: Any) -> Any:
    context = OperationContext(project=str(project), folder=folder, key=key, generation=generation)
    return predict(context, **{"model": "models:/delays@champion", "dataset": "data/august.parquet", **parameters})


def test_a_dataset_is_scored_by_an_exact_version(project: Path, dataset: Path, tmp_path: Path) -> None:
    destination = str(tmp_path / "scored")

    result = run(project, tmp_path, destination=destination, key_columns=["flight_id"], shard_rows=200)

    assert (result.model, result.rows, result.rejected, result.shards) == ("models:/delays/1", 500, 0, 3)
    assert (result.dataset, result.quarantine) == (destination, None)
    assert result.rows_per_second > 0
    rows = scored(result.dataset)
    assert list(rows[0]) == ["flight_id", "prediction", "probability_false", "probability_true", "model_version"]
    assert [row["flight_id"] for row in rows] == [f"f{index}" for index in range(500)]
    assert {row["model_version"] for row in rows} == {"models:/delays/1"}
    tracking = tracking_of(project)
    model = tracking.load_model(tracking.resolve("models:/delays/1"))
    table = flights(500, seed=1)
    matrix = np.array([list(row.values()) for row in table.select(FEATURES).to_pylist()], dtype=object)
    expected = model.predict(matrix)
    assert [row["prediction"] for row in rows] == expected.labels.tolist()
    np.testing.assert_array_equal([row["probability_true"] for row in rows], expected.probability)
    truth = table["late"].to_pylist()
    assert np.mean([row["prediction"] == late for row, late in zip(rows, truth, strict=True)]) > 0.9


def test_a_model_may_be_made_of_the_projects_own_classes(
    project: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "own_classes.py").write_text("""
class Threshold:
    classes_ = [False, True]

    def fit(self, matrix, labels):
        return self

    def predict(self, matrix):
        return matrix[:, 0].astype(float) > 1500
""")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(project))
        import own_classes

        facts = ModelFacts(("distance",), ("double",), "matrix", "classification", (False, True), "late")
        tracking = tracking_of(project)
        with tracking.start_run("train") as started:
            stored = started.log_model(own_classes.Threshold(), facts=facts, input_example=np.array([[1.0]]))
        tracking.register(stored.uri, "threshold")
    del sys.modules["own_classes"]
    before = list(sys.path)

    result = run(project, tmp_path, destination=str(tmp_path / "scored"), model="models:/threshold/1")

    distance = flights(500, seed=1)["distance"].to_pylist()
    assert [row["prediction"] for row in scored(result.dataset)] == [value > 1500 for value in distance]
    assert sys.path == before
    (project / "own_classes.py").unlink()
    del sys.modules["own_classes"]


def test_the_manifest_says_what_was_done(project: Path, dataset: Path, tmp_path: Path) -> None:
    run(project, tmp_path, destination=str(tmp_path / "scored"), key="flights/r1/predict")

    manifest = json.loads((tmp_path / "scored" / "_manifest.json").read_text())

    facts = manifest["metadata"]
    assert (manifest["writer"], facts["model"], facts["key"]) == ("predict", "models:/delays/1", "flights/r1/predict")
    assert facts["digest"] == tracking_of(project).resolve("models:/delays/1").digest
    assert facts["dataset"]["hash"] == open_dataset(str(dataset)).content_hash()
    assert (facts["dataset"]["rows"], facts["dataset"]["uri"]) == (500, str(dataset))
    assert facts["project"]["name"] == "flights"


def test_a_retry_of_the_same_key_gives_the_same_work(project: Path, dataset: Path, tmp_path: Path) -> None:
    destination = str(tmp_path / "scored")
    first = run(project, tmp_path, destination=destination, key="k")
    written = (tmp_path / "scored" / files(destination)[-1]).stat().st_mtime_ns

    again = run(project, tmp_path, destination=destination, key="k")
    assert again == first
    assert (tmp_path / "scored" / files(destination)[-1]).stat().st_mtime_ns == written

    run(project, tmp_path, destination=destination, key="k", generation=2)
    assert (tmp_path / "scored" / files(destination)[-1]).stat().st_mtime_ns > written
    assert len(files(destination)) == 2


def test_a_newer_model_replaces_the_output(project: Path, dataset: Path, tmp_path: Path) -> None:
    destination = "memory://predict/scored"
    run(project, tmp_path, destination=destination, shard_rows=200)

    result = run(project, tmp_path, destination=destination, model="models:/delays/2")

    assert (result.model, result.shards) == ("models:/delays/2", 1)
    assert {row["model_version"] for row in scored(destination)} == {"models:/delays/2"}
    assert len(scored(destination)) == 500
    assert len(files(destination)) == 2


def test_csv_gives_the_same_predictions(project: Path, dataset: Path, tmp_path: Path) -> None:
    table = flights(500, seed=1)
    lines = [",".join(map(str, row.values())) for row in table.drop_columns(["late"]).to_pylist()]
    (tmp_path / "a.csv").write_text("flight_id,carrier,distance,night\n" + "\n".join(lines))

    options = {"key_columns": ["flight_id"]}
    run(project, tmp_path, destination=str(tmp_path / "one"), dataset=str(tmp_path / "a.csv"), **options)
    run(project, tmp_path, destination=str(tmp_path / "two"), **options)

    assert scored(str(tmp_path / "one")) == scored(str(tmp_path / "two"))


def test_bad_cells_are_rejected_up_to_the_threshold(project: Path, tmp_path: Path) -> None:
    lines = [f"f{index},UA,{'far' if index == 7 else 900},true" for index in range(50)]
    (tmp_path / "a.csv").write_text("flight_id,carrier,distance,night\n" + "\n".join(lines))
    options = {"destination": str(tmp_path / "scored"), "dataset": str(tmp_path / "a.csv")}

    with pytest.raises(RowsRejected, match="'distance' must be a number, got 'far'") as caught:
        run(project, tmp_path, **options)
    left = open_dataset(caught.value.facts["quarantine"]).table().to_pylist()
    assert [(row["source"], row["row"], row["column"]) for row in left] == [("a.csv", 7, "distance")]

    result = run(project, tmp_path, **options, reject_threshold=0.02)

    assert (result.rows, result.rejected) == (49, 1)
    assert open_dataset(result.quarantine).table(["content"]).to_pylist() == [
        {"content": '{"flight_id": "f7", "carrier": "UA", "distance": "far", "night": "true"}'}
    ]
    assert 7 not in {row["row"] for row in scored(result.dataset)}


@pytest.mark.parametrize(
    ("error", "match", "parameters"),
    [
        (
            DatasetNotFound,
            r"there is no dataset here\. Did you mean august\.parquet\?",
            {"dataset": "data/augst.parquet"},
        ),
        (DatasetNotFound, "no dataset here", {"dataset": "memory://nowhere.parquet"}),
        (DatasetEmpty, "the dataset has no rows", {"dataset": "empty.parquet"}),
        (ColumnMissing, r"no column 'carrier'\. Did you mean carriers\?", {"dataset": "other.csv"}),
        (ColumnMissing, "no column 'id'", {"key_columns": ["id"]}),
        (AliasNotFound, "challenger", {"model": "models:/delays@challenger"}),
        (ParameterInvalid, "batch_rows: must be a whole number above 0, got 0", {"batch_rows": 0}),
        (ParameterInvalid, "shard_rows", {"shard_rows": -1}),
        (ParameterInvalid, "reject_threshold: must be a share from 0 to 1, got 1.5", {"reject_threshold": 1.5}),
        (OutputOverlaps, "lie in one folder", {"dataset": "data", "destination": "data/scored"}),
        (OutputOccupied, r"holds thesis\.txt, which is no earlier output", {"destination": "mine"}),
        (OutputOccupied, "holds a file, which is no earlier output", {"destination": "mine/thesis.txt"}),
    ],
)
def test_what_cannot_work_is_one_clear_line_and_leaves_nothing(
    project: Path, dataset: Path, tmp_path: Path, error: type[Exception], match: str, parameters: dict[str, Any]
) -> None:
    pq.write_table(flights(0), project / "empty.parquet")
    (project / "mine").mkdir(exist_ok=True)
    (project / "mine" / "thesis.txt").touch()
    (project / "other.csv").write_text("carriers,distance,night\nUA,1,true\n")
    before = sorted(path for path in project.rglob("*") if ".modelyard" not in path.parts)

    with pytest.raises(error, match=match) as caught:
        run(project, tmp_path, **{"destination": str(tmp_path / "scored"), **parameters})

    assert "\n" not in str(caught.value)
    assert not (tmp_path / "scored").exists()
    assert sorted(path for path in project.rglob("*") if ".modelyard" not in path.parts) == before


@pytest.mark.parametrize("full", [0, 1, 2, 4, 6, 8, 10])
def test_a_disk_that_fills_up_is_named_and_left_clean(
    project: Path, dataset: Path, tmp_path: Path, full: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses all writes after some: of the progress record, of a shard, of the manifest."""
    import os

    real, calls = os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > full:
            raise OSError(28, os.strerror(28))
        real(descriptor)

    monkeypatch.setattr(storage.os, "fsync", fsync)
    with pytest.raises(StorageFull, match=r"the storage is full \(No space left on device\)"):
        run(project, tmp_path, destination=str(tmp_path / "deep" / "scored"), shard_rows=250)

    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_down_keeps_what_is_done(
    project: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = fsspec.filesystem("memory")
    destination = "memory://down/scored"
    real = fs.pipe_file

    def pipe_file(path: str, value: bytes, **options: Any) -> None:
        if path.endswith(("00001.json", "_manifest.json")):
            raise ConnectionError("the store hung up")
        real(path, value, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(fs), "pipe_file", lambda self, *args, **options: pipe_file(*args, **options))
        with pytest.raises(StorageUnavailable, match="the store hung up"):
            run(project, tmp_path, destination=destination, shard_rows=200, key="k")
    assert len([name for name in files(destination) if name.startswith("part-")]) == 2

    result = run(project, tmp_path, destination=destination, shard_rows=200, key="k")

    assert (result.rows, result.shards) == (500, 3)
    assert [row["row"] for row in scored(destination)] == list(range(500))
    assert len(files(destination)) == 4
