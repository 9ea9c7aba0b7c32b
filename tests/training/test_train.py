from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelyard.data import (
    ColumnAllNull,
    ColumnMissing,
    ColumnTypeWrong,
    DatasetEmpty,
    DatasetNotFound,
    HoldoutWrong,
    LabelMissing,
    ReferenceProfile,
)
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations import OperationContext
from modelyard.projects import FunctionNotFound
from modelyard.projects.errors import UserFunctionFailed
from modelyard.tracking import Tracking
from modelyard.training.errors import EstimatorInvalid, LabelConstant, PredictionsNotFinite, TrainerInvalid
from modelyard.training.train import TrainResult, train

MakeContext = Callable[..., OperationContext]
FEATURES = ["wind", "rain", "gates"]
GIVEN: dict[str, Any] = {
    "function": "late",
    "dataset": "data/train.parquet",
    "label_column": "late",
    "feature_columns": FEATURES,
}


def runs(tracking: Tracking) -> list[Any]:
    experiments = tracking.client.search_experiments()
    return list(tracking.client.search_runs([each.experiment_id for each in experiments]))


def datasets(run: Any) -> list[Any]:
    return list(run.inputs.dataset_inputs)


def artifact(tracking: Tracking, run_id: str, name: str, folder: Path) -> bytes:
    return Path(tracking.client.download_artifacts(run_id, name, str(folder))).read_bytes()


def test_a_classifier_is_trained_measured_and_recorded(
    new_context: MakeContext, tracking: Tracking, tmp_path: Path, shop: Path
) -> None:
    result = train(new_context("flights/main/train"), **GIVEN, parameters={"C": 0.5}, tags={"team": "ops"})

    assert (result.rows, result.held_out_rows) == (320, 80)
    assert result.metrics["roc_auc"] > 0.85
    assert set(result.metrics) >= {"accuracy", "brier", "log_loss", "f1"}
    run = tracking.client.get_run(result.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == pytest.approx(result.metrics)
    assert run.data.params == {"C": "0.5", "label_column": "late", "features": "3"}
    assert run.data.tags["modelyard.function"] == "late"
    assert run.data.tags["modelyard.key"] == "flights/main/train"
    assert run.data.tags["team"] == "ops"
    (used,) = datasets(run)
    assert used.dataset.name == "train.parquet"
    assert str(shop / "data/train.parquet") in used.dataset.source
    assert [tag.value for tag in used.tags] == ["training"]

    resolved = tracking.resolve(result.model)
    assert resolved.run_id == result.run_id
    assert resolved.digest == result.digest
    assert tracking.resolve(f"runs:/{result.run_id}/model").model_id == resolved.model_id
    model = tracking.load_model(resolved, trust=True)
    assert (model.features, model.card.dtypes) == (tuple(FEATURES), ("double", "double", "int64"))
    assert (model.task, model.classes, model.card.label, model.card.input) == (
        "classification",
        (False, True),
        "late",
        "matrix",
    )
    assert model.estimator.C == 0.5

    features = ReferenceProfile.from_json(artifact(tracking, result.run_id, "profile/features.json", tmp_path))
    assert (features.rows, [column.name for column in features.columns]) == (320, FEATURES)
    said = ReferenceProfile.from_json(artifact(tracking, result.run_id, "profile/predictions.json", tmp_path))
    assert (said.rows, [column.name for column in said.columns]) == (80, ["prediction", "probability"])
    assert result.profile == f"runs:/{result.run_id}/profile"


def test_the_last_rows_are_held_out_and_not_trained_on(new_context: MakeContext, tracking: Tracking) -> None:
    result = train(new_context(), **GIVEN, holdout=0.5)
    model = tracking.load_model(tracking.resolve(result.model), trust=True)
    table = pq.read_table(Path(new_context().project) / "data/train.parquet")
    from sklearn.linear_model import LogisticRegression

    matrix = np.column_stack([table[name].to_numpy() for name in FEATURES]).astype(float)
    expected = LogisticRegression().fit(matrix[:200], table["late"].to_numpy()[:200])
    assert model.estimator.coef_ == pytest.approx(expected.coef_)
    assert result.metrics["accuracy"] == pytest.approx(expected.score(matrix[200:], table["late"].to_numpy()[200:]))


def test_another_dataset_may_be_measured_on(new_context: MakeContext, tracking: Tracking) -> None:
    result = train(new_context(), **GIVEN, validation_dataset="data/july.parquet")
    assert (result.rows, result.held_out_rows) == (400, 300)
    inputs = datasets(tracking.client.get_run(result.run_id))
    assert {tag.value for each in inputs for tag in each.tags} == {"training", "validation"}


def test_nothing_may_be_held_out(new_context: MakeContext) -> None:
    result = train(new_context(), **GIVEN, holdout=0)
    assert (result.rows, result.held_out_rows, result.metrics) == (400, 0, {})


def test_a_regressor_on_a_frame_is_recognised(new_context: MakeContext, tracking: Tracking) -> None:
    given = {**GIVEN, "function": "shop:minutes", "label_column": "minutes"}
    result = train(new_context(), **given)
    assert set(result.metrics) == {"mae", "rmse", "median_ae", "mape", "r2"}
    assert result.metrics["r2"] > 0.6
    model = tracking.load_model(tracking.resolve(result.model), trust=True)
    assert (model.task, model.card.input, model.classes) == ("regression", "frame", ())


def test_text_features_and_several_classes_work(new_context: MakeContext, tracking: Tracking) -> None:
    given = {**GIVEN, "function": "shop:several", "label_column": "class", "feature_columns": ["wind", "carrier"]}
    result = train(new_context(), **given)
    model = tracking.load_model(tracking.resolve(result.model), trust=True)
    assert model.classes == ("fine", "late", "very")
    assert 0.4 < result.metrics["balanced_accuracy"] < 1


def test_text_in_a_frame_works(new_context: MakeContext, tracking: Tracking) -> None:
    given = {**GIVEN, "function": "shop:words", "feature_columns": ["carrier", "wind", "rain"]}
    result = train(new_context(), **given)
    assert result.metrics["roc_auc"] > 0.8
    model = tracking.load_model(tracking.resolve(result.model), trust=True)
    assert (model.card.input, model.card.dtypes) == ("frame", ("string", "double", "double"))


def test_csv_is_as_good(new_context: MakeContext, shop: Path) -> None:
    from pyarrow import csv

    csv.write_csv(pq.read_table(shop / "data/train.parquet"), shop / "data/train.csv")
    one, other = (train(new_context(), **{**GIVEN, "dataset": f"data/train.{form}"}) for form in ("csv", "parquet"))
    assert one.metrics == pytest.approx(other.metrics)


def test_an_object_that_only_predicts_is_enough(new_context: MakeContext, tracking: Tracking) -> None:
    result = train(new_context(), **{**GIVEN, "function": "shop:rule"})
    assert result.metrics["accuracy"] > 0.7
    assert "roc_auc" not in result.metrics
    model = tracking.load_model(tracking.resolve(result.model), trust=True)
    assert model.predict(np.array([[1.0, 0, 0], [-1.0, 0, 0]])).labels.tolist() == [True, False]


def test_the_same_key_is_done_once(new_context: MakeContext, tracking: Tracking) -> None:
    first = train(new_context("shop/nightly/train"), **GIVEN)
    again = train(new_context("shop/nightly/train", attempt=2), **GIVEN)
    assert again == first
    assert isinstance(again, TrainResult)
    other = train(new_context("shop/nightly/train", generation=2), **GIVEN)
    assert other.run_id != first.run_id
    assert len(runs(tracking)) == 2


def test_an_unfinished_attempt_is_superseded(new_context: MakeContext, tracking: Tracking) -> None:
    dead = tracking.start_run("train late", key="shop/nightly/train")
    result = train(new_context("shop/nightly/train", attempt=2), **GIVEN)
    left = tracking.client.get_run(dead.run_id)
    assert left.info.status == "KILLED"
    assert left.data.tags["modelyard.superseded_by"] == result.run_id


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        ("a_class", EstimatorInvalid, "shop:a_class: it returned the class LogisticRegression. Return an object: "),
        ("nothing", EstimatorInvalid, "shop:nothing: it returned nothing. Return the fitted estimator."),
        ("text", EstimatorInvalid, "shop:text: it returned an object of type str, which has no predict."),
        ("not_fitted", EstimatorInvalid, "shop:not_fitted: it returned a Pipeline that is not fitted."),
        ("other_columns", EstimatorInvalid, "shop:other_columns: its model cannot predict the rows it was trained on"),
        ("short", EstimatorInvalid, "shop:short: its model predicts an array of shape (3,) for 100 rows."),
        ("no_number", PredictionsNotFinite, "the model predicts NaN or infinity for 80 of 80 rows, the first is row 0"),
        ("raises", UserFunctionFailed, "shop.py:{line}: shop:raises raised KeyError: 'no such\\nfare'."),
        ("one_argument", TrainerInvalid, "shop:one_argument: it cannot be called with a dataset and parameters"),
    ],
)
def test_what_a_function_does_wrong_is_one_line_that_names_it(
    function: str, error: type[ModelyardError], said: str, new_context: MakeContext, tracking: Tracking, shop: Path
) -> None:
    code = (shop / "shop.py").read_text().splitlines()
    line = next(index for index, text in enumerate(code, 1) if "raise KeyError" in text)
    with pytest.raises(error) as caught:
        train(new_context(), **{**GIVEN, "function": f"shop:{function}"})
    assert str(caught.value).startswith(said.replace("{line}", str(line)))
    assert "\n" not in str(caught.value)
    assert caught.value.kind is ErrorKind.USER_CODE
    assert [run.info.status for run in runs(tracking)] == ([] if function == "one_argument" else ["FAILED"])
    assert tracking.client.search_logged_models(["0", "1"]) == []


def test_an_estimator_of_another_task_is_refused(new_context: MakeContext) -> None:
    with pytest.raises(EstimatorInvalid, match="it returned LogisticRegression, which does classification, but the"):
        train(new_context(), **GIVEN, task="regression")


BAD: list[tuple[str, dict[str, Any], type[ModelyardError], str]] = [
    ("unknown label", {"label_column": "lade"}, ColumnMissing, "there is no column 'lade'. Did you mean late?"),
    ("unknown feature", {"feature_columns": ["wimd"]}, ColumnMissing, "Did you mean wind?"),
    ("label as feature", {"feature_columns": ["late"]}, ColumnTypeWrong, "'late' is the label, it must be no feature"),
    ("no such file", {"dataset": "data/trian.parquet"}, DatasetNotFound, "Did you mean train.parquet?"),
    ("no rows", {"dataset": "data/empty.parquet"}, DatasetEmpty, "the dataset has no rows"),
    ("one label", {"dataset": "data/one.parquet"}, LabelConstant, "has one value only, True, in all 20 rows"),
    ("one label left", {"dataset": "data/sorted.parquet"}, LabelConstant, "False, in all 16 training rows"),
    ("label gaps", {"dataset": "data/gaps.parquet"}, LabelMissing, "2 of 20 rows have no label in 'late'"),
    ("nothing in a feature", {"dataset": "data/null.parquet"}, ColumnAllNull, "'wind' has no value in any row"),
    ("a time as feature", {"dataset": "data/times.parquet"}, ColumnTypeWrong, "'wind' is timestamp[us], it must be"),
    ("nothing to train on", {"holdout": 0.999}, HoldoutWrong, "cannot hold out 0.999 of 400 rows"),
    ("no share", {"holdout": 1.5}, HoldoutWrong, "cannot hold out 1.5 of 400 rows"),
    ("unknown function", {"function": "lat"}, FunctionNotFound, "Did you mean late?"),
    ("other validation", {"validation_dataset": "data/words.parquet"}, ColumnTypeWrong, "a number, as in training"),
]


@pytest.mark.parametrize(("changes", "error", "said"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_bad_input_is_named_before_any_work(
    changes: dict[str, Any],
    error: type[ModelyardError],
    said: str,
    new_context: MakeContext,
    tracking: Tracking,
    shop: Path,
) -> None:
    good = pq.read_table(shop / "data/train.parquet").slice(0, 20)
    late = [index >= 16 for index in range(20)]
    tables = {
        "empty": good.slice(0, 0),
        "one": changed(good, late=pa.array([True] * 20)),
        "sorted": changed(good, late=pa.array(late)),
        "gaps": changed(good, late=pa.array([None, None, *late[2:]])),
        "null": changed(good, wind=pa.array([None] * 20, pa.float64())),
        "times": changed(good, wind=pa.array(range(20), pa.timestamp("us"))),
        "words": changed(good, wind=pa.array(["x"] * 20)),
    }
    for name, table in tables.items():
        pq.write_table(table, shop / "data" / f"{name}.parquet")
    with pytest.raises(error) as caught:
        train(new_context("shop/main/train"), **{**GIVEN, **changes})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert runs(tracking) == []


def changed(table: pa.Table, **columns: pa.Array) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return table


def test_the_declaration_fits_every_door() -> None:
    names = [parameter.name for parameter in train.spec.parameters]
    assert names == [
        *("function", "dataset", "label_column", "feature_columns", "validation_dataset", "holdout", "parameters"),
        *("task", "experiment", "tags"),
    ]
    assert train.spec.examples == (
        "modelyard train --function delay-trainer --dataset data/train.parquet --label-column late",
    )
    msgspec.json.encode(train.spec)
