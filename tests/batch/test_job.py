import gzip
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from probe_batch import Said, SumModel, files, rows_of, score, scored, store

from modelyard.batch import FeaturesUnknown, OutputColumnTaken, PredictionsWrong, RowsRejected
from modelyard.batch.job import Settings, kept_for_a_retry, score_dataset
from modelyard.data import (
    ColumnAllNull,
    ColumnMissing,
    ColumnTypeWrong,
    DatasetChanged,
    DatasetUnfinished,
    ShardWriter,
    StorageUnavailable,
    open_dataset,
)


def test_each_row_gets_prediction_probabilities_version_and_key(tmp_path: Path, output: str) -> None:
    model = SumModel()

    manifest = score(store(tmp_path / "in" / "t.parquet", rows_of(10)), model, output, batch_rows=4, shard_rows=5)

    assert (manifest.rows, [shard.rows for shard in manifest.files]) == (10, [5, 5])
    rows = scored(output)
    assert rows[:3] == [
        {
            "source": "t.parquet",
            "row": index,
            "prediction": ["early", "late", "late"][index],
            "probability_early": [0.75, 0.25, 0.0][index],
            "probability_late": [0.25, 0.75, 1.0][index],
            "model_version": "models:/sums/3",
        }
        for index in range(3)
    ]
    assert [row["row"] for row in rows] == list(range(10))
    assert model.sizes == [4, 1, 4, 1]


def test_key_columns_take_the_place_of_the_row_number(tmp_path: Path, output: str) -> None:
    dataset = store(tmp_path / "t.parquet", rows_of(4, start=70))

    score(dataset, SumModel(), output, key_columns=("other", "id", "x"), probabilities=False)

    assert list(scored(output)[1]) == ["other", "id", "x", "prediction", "model_version"]
    assert [row["id"] for row in scored(output)] == [70, 71, 72, 73]


@pytest.mark.parametrize(
    ("task", "classes", "type_", "probable"),
    [
        ("regression", (), "double", []),
        ("classification", (False, True), "bool", ["probability_false", "probability_true"]),
        ("classification", (0, 1), "int64", ["probability_0", "probability_1"]),
        ("", (), "string", ["probability_0", "probability_1"]),
    ],
)
def test_predictions_have_the_type_of_the_classes(
    tmp_path: Path, task: str, classes: tuple[Any, ...], type_: str, probable: list[str]
) -> None:
    output = str(tmp_path / "scored")

    score(store(tmp_path / "t.parquet", rows_of(3)), SumModel(task=task, classes=classes), output)

    schema = open_dataset(output).schema
    assert str(schema.field("prediction").type) == type_
    assert [name for name in schema.names if name.startswith("probability")] == probable


def test_a_folder_of_csv_files_is_scored_like_parquet(tmp_path: Path, output: str) -> None:
    folder, model = tmp_path / "in", SumModel()
    folder.mkdir()
    (folder / "a.csv").write_text("id,y,x,other\n" + "".join(f"{i},0.5,{i % 3},t\n" for i in range(7)))
    lines = "id,y,x,other\n" + "".join(f"{i},0.5,{i % 3},t\n" for i in range(7, 10))
    (folder / "b.csv.gz").write_bytes(gzip.compress(lines.encode()))

    score(open_dataset(str(folder)), model, output, batch_rows=4, shard_rows=5, key_columns=("id",))

    expected = str(tmp_path / "expected")
    score(store(tmp_path / "t.parquet", rows_of(10)), SumModel(), expected, key_columns=("id",))
    assert scored(output) == scored(expected)
    assert model.sizes == [4, 1, 2, 3]


def test_the_dataset_may_be_on_an_object_store(tmp_path: Path) -> None:
    with fsspec.open("memory://lake/t.parquet", "wb") as stream:
        pq.write_table(rows_of(5), stream)

    score(open_dataset("memory://lake"), SumModel(), str(tmp_path / "scored"))

    assert [row["row"] for row in scored(str(tmp_path / "scored"))] == [0, 1, 2, 3, 4]


# --- bad rows ---------------------------------------------------------------------------------------------------------


def quarantined(output: str) -> list[tuple[str, int, str, dict[str, Any]]]:
    (folder,) = {name.partition("/")[0] for name in files(output) if name.startswith("_quarantine")}
    rows = open_dataset(f"{output}/{folder}").table().to_pylist()
    return [(row["source"], row["row"], row["reason"], json.loads(row["content"])) for row in rows]


def test_bad_rows_go_to_quarantine_with_row_and_reason(tmp_path: Path, output: str) -> None:
    (tmp_path / "t.csv").write_text("id,x,y\n0,0,0.5\n1,oops,0.5\n2,7,0.5\n3,1,0.5,9\n4,,0.5\n5,1,0.5\n")
    model = SumModel(refuse=lambda matrix: matrix[:, 0] == 7)
    dataset = open_dataset(str(tmp_path / "t.csv"))

    manifest = score(
        dataset, model, output, dtypes=("double", "double"), key_columns=("id",), reject_threshold=0.7, batch_rows=4
    )

    assert [row["id"] for row in scored(output)] == [0, 5]
    assert (manifest.rows, [shard.rows for shard in manifest.quarantine]) == (2, [4])
    assert quarantined(output) == [
        ("t.csv", 1, "'x' must be a number, got 'oops'", {"id": "1", "x": "oops", "y": "0.5"}),
        ("t.csv", 2, "ValueError: this row is not for me", {"x": 7.0, "y": 0.5, "id": 2}),
        ("t.csv", 3, "the line has 4 cells, the header has 3", {"line": "3,1,0.5,9"}),
        ("t.csv", 4, "the model gave a probability that is no number", {"x": None, "y": 0.5, "id": 4}),
    ]


def test_a_prediction_that_is_no_number_is_a_bad_row(tmp_path: Path, output: str) -> None:
    table = pa.table({"x": [1.0, float("inf"), float("nan"), 4.0], "y": [0.0, 0.0, 0.0, float("-inf")]})

    score(store(tmp_path / "t.parquet", table), SumModel(task="regression"), output, reject_threshold=1.0)

    assert [row["prediction"] for row in scored(output)] == [1.0]
    assert [(row, reason) for _, row, reason, _ in quarantined(output)] == [
        (1, "the model predicted inf"),
        (2, "the model predicted nan"),
        (3, "the model predicted -inf"),
    ]
    assert quarantined(output)[0][3] == {"x": "inf", "y": 0.0}


def test_a_model_that_refuses_nan_loses_only_those_rows(tmp_path: Path, output: str) -> None:
    table = pa.table({"x": [1.0 if index % 100 else None for index in range(1_000)], "y": [0.0] * 1_000})
    model = SumModel(refuse=lambda matrix: np.isnan(matrix[:, 0]))

    manifest = score(store(tmp_path / "t.parquet", table), model, output, reject_threshold=0.01)

    assert (manifest.rows, sum(shard.rows for shard in manifest.quarantine)) == (990, 10)
    assert model.sizes[:2] == [1000, 990]


def test_the_threshold_is_taken_as_it_is_written(tmp_path: Path, output: str) -> None:
    table = pa.table({"x": [None if index < 29 else 1.0 for index in range(100)], "y": [0.0] * 100})
    model = SumModel(refuse=lambda matrix: np.isnan(matrix[:, 0]))

    manifest = score(store(tmp_path / "t.parquet", table), model, output, reject_threshold=0.29)

    assert (manifest.rows, sum(shard.rows for shard in manifest.quarantine)) == (71, 29)


def test_too_many_bad_rows_fail_the_run_and_only_they_stay(tmp_path: Path, output: str) -> None:
    dataset = store(tmp_path / "t.parquet", rows_of(100))
    model = SumModel(refuse=lambda matrix: matrix[:, 0] == 2)
    writer = ShardWriter(output, run="00ff", writer="predict")
    settings = Settings(batch_rows=10, shard_rows=20, reject_threshold=0.1)

    with pytest.raises(RowsRejected) as caught, kept_for_a_retry(writer):
        score_dataset(dataset, model, writer, settings, version="models:/sums/3")

    assert caught.value.what == (
        "11 of the first 40 rows are bad, above the threshold 0.1, "
        "such as row 33 of t.parquet: ValueError: this row is not for me"
    )
    assert f"Mend the rows in {writer.quarantine}" in caught.value.mend
    assert files(output) == ["_quarantine-00ff/part-00ff-00000.parquet", "_quarantine-00ff/part-00ff-00001.parquet"]
    assert [row for _, row, _, _ in quarantined(output)] == list(range(2, 35, 3))


def test_no_bad_row_is_allowed_by_default(tmp_path: Path, output: str) -> None:
    model = SumModel(refuse=lambda matrix: matrix[:, 0] == 2)
    with pytest.raises(RowsRejected, match="1 of the first 3 rows are bad, above the threshold 0, such as row 3 of"):
        score(store(tmp_path / "t.parquet", rows_of(3)), model, output)


# --- datasets and models that do not fit ------------------------------------------------------------------------------


def check_refused(error: type[Exception], match: str, dataset: Any, tmp_path: Path, **options: Any) -> None:
    model = options.pop("model", None) or SumModel()
    writer = ShardWriter(str(tmp_path / "scored"), run="00ff", writer="predict")
    dtypes = options.pop("dtypes", ("double", "double"))
    with pytest.raises(error, match=match) as caught, kept_for_a_retry(writer):
        score_dataset(dataset, model, writer, Settings(**options), version="models:/sums/3", dtypes=dtypes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "scored").exists()


def test_a_dataset_that_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    table = rows_of(4)
    path = tmp_path / "t.parquet"
    check_refused(ColumnMissing, r"no column 'x'. Known", store(path, table.drop_columns(["x"])), tmp_path)
    check_refused(ColumnMissing, r"'flight_id'", store(path, table), tmp_path, key_columns=("flight_id",))
    texts = table.set_column(1, "x", pa.array(["a", "b", "c", "d"]))
    check_refused(ColumnTypeWrong, "'x' is string, it must be a number, as in train", store(path, texts), tmp_path)
    check_refused(
        ColumnTypeWrong, "'x' is double, it must be text", store(path, table), tmp_path, dtypes=("string", "double")
    )
    null = table.set_column(1, "x", pa.nulls(4, pa.float64()))
    check_refused(ColumnAllNull, "'x' has no value in any row", store(path, null), tmp_path)
    check_refused(ColumnAllNull, "'x'", store(path, null, write_statistics=False), tmp_path, reject_threshold=1.0)
    check_refused(ColumnAllNull, "'x'", store(path, table.set_column(1, "x", pa.nulls(4))), tmp_path)
    taken = table.append_column("prediction", [[1, 2, 3, 4]])
    check_refused(OutputColumnTaken, "'prediction'", store(path, taken), tmp_path, key_columns=("prediction",))
    check_refused(FeaturesUnknown, "does not say", store(path, table), tmp_path, model=SumModel(features=()))


def test_a_text_column_where_numbers_are_needed_is_no_matter_of_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\na,1\nb,2\n")
    dataset = open_dataset(str(tmp_path / "t.csv"))
    check_refused(ColumnTypeWrong, "'x' is text, it must be a number", dataset, tmp_path, reject_threshold=1.0)


def test_digits_in_a_text_file_are_text_where_the_model_wants_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,0.5\n2,0.5\n")
    seen = []

    class Listening(SumModel):
        def predict(self, matrix: Any) -> Any:
            seen.extend(matrix.tolist())
            return super().predict(matrix)

    score(open_dataset(str(tmp_path / "t.csv")), Listening(), str(tmp_path / "scored"), dtypes=("string", "double"))

    assert seen == [["1", 0.5], ["2", 0.5]]


class Stubborn(SumModel):
    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def predict(self, matrix: Any) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (Said(np.zeros(2)), r"one label per row, gave the shape \(2,\) for 4 rows"),
        (Said(np.zeros((4, 2))), r"one label per row, gave the shape \(4, 2\) for 4 rows"),
        (Said(np.array(["early"] * 4), np.zeros((4, 3))), r"2 probabilities per row, gave the shape \(4, 3\)"),
        (Said(np.array(["early", 1, None, 2.0], dtype=object)), "must predict string, gave 'early' and others"),
    ],
)
def test_a_model_that_answers_something_else_fails_the_run(tmp_path: Path, answer: Said, rule: str) -> None:
    dataset = store(tmp_path / "t.parquet", rows_of(4))
    check_refused(PredictionsWrong, rule, dataset, tmp_path, model=Stubborn(answer), reject_threshold=1.0)


def test_a_dataset_that_changes_meanwhile_is_not_shown(tmp_path: Path) -> None:
    dataset = store(tmp_path / "t.parquet", rows_of(4))

    class Meddling(SumModel):
        def predict(self, matrix: Any) -> Any:
            store(tmp_path / "t.parquet", rows_of(4, start=9))
            return super().predict(matrix)

    check_refused(DatasetChanged, "changed while it was being read", dataset, tmp_path, model=Meddling())


# --- kills and retries ------------------------------------------------------------------------------------------------


class Interrupted(SumModel):
    """Fails after some calls, as a lost connection does."""

    def __init__(self, calls: int, error: Exception) -> None:
        super().__init__()
        self.left, self.error = calls, error

    def predict(self, matrix: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().predict(matrix)


def test_after_a_passing_failure_the_work_goes_on_where_it_was(tmp_path: Path, output: str) -> None:
    dataset = store(tmp_path / "t.parquet", rows_of(20), row_group_size=7)
    settings = Settings(batch_rows=3, shard_rows=5)
    writer = ShardWriter(output, run="00ff", writer="predict")
    broken = Interrupted(7, StorageUnavailable("s3://lake", "connection lost"))
    with pytest.raises(StorageUnavailable), kept_for_a_retry(writer):
        score_dataset(dataset, broken, writer, settings, version="models:/sums/3")
    with pytest.raises(DatasetUnfinished):
        open_dataset(output)

    again, model = ShardWriter(output, run="00ff", writer="predict"), SumModel()
    rows = score_dataset(dataset, model, again, settings, version="models:/sums/3")
    again.commit()

    assert (rows, model.sizes) == (5, [3, 2])
    assert [row["row"] for row in scored(output)] == list(range(20))
    once = str(tmp_path / "once")
    score(dataset, SumModel(), once, batch_rows=3, shard_rows=5)
    fs, path = fsspec.url_to_fs(output)
    for name in files(once):
        if name.startswith("part-"):
            assert fs.cat_file(f"{path}/{name}") == (tmp_path / "once" / name).read_bytes()


CHILD = """
    import sys
    from probe_batch import SumModel, score
    from modelyard.data import open_dataset
    source, output, run, rests_after = sys.argv[1:]
    model = SumModel(refuse=lambda matrix: matrix[:, 0] == 777, rests_after=int(rests_after) or None)
    score(open_dataset(source), model, output, run=run, batch_rows=500, shard_rows=1_000, reject_threshold=0.01)
"""


def child(source: Path, folder: Path, run: str, parts: int = 0) -> subprocess.Popen[bytes]:
    """Score in a process that goes no further than some parts, so that there is time to kill it; 0 means to the end."""
    more = parts - len(list(folder.glob(f"part-{run}-*.parquet")))
    rests_after = 2 * (more + 6) if parts else 0  # a part has two batches, and some are done again
    paths = [str(Path(__file__).parents[1] / "probes"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    words = [str(source), str(folder), run, str(rests_after)]
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(CHILD), *words], env=environment)


def wait_for_parts(process: subprocess.Popen[bytes], folder: Path, run: str, parts: int) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and len(list(folder.glob(f"part-{run}-*.parquet"))) < parts:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_killed_at_random_moments_each_row_comes_once(tmp_path: Path) -> None:
    rows = 40_000
    table = rows_of(rows)
    values = table["x"].to_numpy().copy()
    values[::1_000] = 777  # bad rows
    store(tmp_path / "t.parquet", table.set_column(1, "x", pa.array(values)), row_group_size=3_333)
    folder = tmp_path / "scored"
    randomly = random.Random(time.time_ns())
    kills, parts = 0, 0
    while True:
        parts += randomly.randint(1, 14)
        process = child(tmp_path / "t.parquet", folder, "00ff", parts)
        wait_for_parts(process, folder, "00ff", parts)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        kills += 1
        if not (folder / "_manifest.json").exists():
            with pytest.raises(DatasetUnfinished):
                open_dataset(str(folder))

    assert kills >= 2
    numbers = open_dataset(str(folder)).table(["row"])["row"].to_numpy()
    bad = [row for _, row, _, _ in quarantined(str(folder))]
    assert bad == list(range(0, rows, 1_000))
    assert numbers.tolist() == [row for row in range(rows) if row % 1_000]
    left = [name for name in files(str(folder)) if name.startswith((".", "_progress"))]
    assert left == []


def test_killed_while_replacing_an_output_the_old_one_stays_whole(tmp_path: Path) -> None:
    dataset = store(tmp_path / "t.parquet", rows_of(20_000))
    folder = tmp_path / "scored"
    score(dataset, SumModel(), str(folder), run="aaaa", shard_rows=5_000)

    process = child(tmp_path / "t.parquet", folder, "bbbb", 3)
    wait_for_parts(process, folder, "bbbb", 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    shown = open_dataset(str(folder))
    assert shown.manifest is not None
    assert (shown.manifest.run, shown.num_rows) == ("aaaa", 20_000)

    assert child(tmp_path / "t.parquet", folder, "bbbb").wait() == 0
    shown = open_dataset(str(folder))
    assert shown.manifest is not None
    assert (shown.manifest.run, shown.num_rows) == ("bbbb", 20_000)
    assert all("aaaa" not in name for name in files(str(folder)))
