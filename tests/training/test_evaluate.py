import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelyard.data import ColumnAllNull, ColumnMissing, ColumnTypeWrong, DatasetEmpty, DatasetNotFound
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs import ModelNotTrusted
from modelyard.operations import OperationContext, ParameterInvalid
from modelyard.projects import FunctionNotFound
from modelyard.tracking import AliasNotFound, Evaluations, ModelNotFound, Tracking
from modelyard.tracking.connection import unwarned
from modelyard.training.errors import (
    BaselineUnlikeModel,
    FeaturesUnknown,
    LabelsUnlikeModel,
    LabelUnknown,
    MetricInvalid,
    ThresholdInvalid,
)
from modelyard.training.evaluate import evaluate
from modelyard.training.register import register
from modelyard.training.train import train

MakeContext = Callable[..., OperationContext]
Registered = Callable[..., str]
JULY = "data/july.parquet"


@pytest.fixture
def registered(new_context: MakeContext) -> Registered:
    """Train and register a model; return its exact reference."""

    def make(function: str = "late", name: str = "delay", label: str = "late", **changes: Any) -> str:
        given = {"feature_columns": ["wind", "rain", "gates"], "dataset": "data/train.parquet", **changes}
        trained = train(new_context(), function=function, label_column=label, **given)
        return register(new_context(), model=trained.model, name=name).model

    return make


def artifact(tracking: Tracking, run_id: str, name: str, folder: Path) -> str:
    return Path(tracking.client.download_artifacts(run_id, name, str(folder))).read_text()


def test_a_first_model_is_judged_alone(
    registered: Registered, new_context: MakeContext, tracking: Tracking, shop: Path, tmp_path: Path
) -> None:
    model = registered()
    result = evaluate(new_context("shop/main/evaluate"), model=model, dataset=JULY, metrics=["cost"])

    assert (result.model, result.baseline, result.baseline_metrics, result.rows) == ("models:/delay/1", None, {}, 300)
    table = pq.read_table(shop / JULY)
    matrix = np.column_stack([table[name].to_numpy() for name in ("wind", "rain", "gates")]).astype(float)
    loaded = tracking.load_model(tracking.resolve(model))
    right = loaded.estimator.score(matrix, table["late"].to_numpy())
    assert result.metrics["accuracy"] == pytest.approx(right)
    assert result.metrics["cost"] == pytest.approx(7 * (1 - right))
    assert "undefined" not in result.metrics

    run = tracking.client.get_run(result.evaluation)
    assert run.info.status == "FINISHED"
    assert run.data.tags["modelyard.evaluated_model"] == "models:/delay/1"
    assert run.data.tags["modelyard.baseline"] == "champion"
    assert "modelyard.baseline_model" not in run.data.tags
    assert run.data.metrics == pytest.approx(result.metrics)
    assert run.inputs is not None
    assert [each.dataset.name for each in run.inputs.dataset_inputs] == ["july.parquet"]

    page = Path(result.report).read_text()
    assert Path(result.report).parent == shop / ".modelyard/reports"
    assert page == artifact(tracking, result.evaluation, "report.html", tmp_path)
    for words in ("There is no champion yet", "delay version 1", "Dollars lost per row", "1\u202f132", "made up"):
        assert words in page


def test_a_second_model_is_judged_beside_the_champion(
    registered: Registered, new_context: MakeContext, tracking: Tracking, tmp_path: Path
) -> None:
    poor, good = registered("shop:lazy"), registered()
    tracking.set_alias("delay", "champion", 1, expected=None)
    result = evaluate(new_context(), model=good, dataset=JULY, slices=["carrier", "gates"], report="pages/july.html")

    assert (result.model, result.baseline) == (good, poor)
    assert result.baseline_metrics["roc_auc"] == 0.5
    assert result.metrics["roc_auc"] > 0.8
    read = Evaluations(tracking).get(result.evaluation)
    assert read is not None
    assert (read.model, read.baseline, read.asked) == (good, poor, "champion")
    assert read.metrics == pytest.approx(result.metrics)
    assert read.baseline_metrics == pytest.approx(result.baseline_metrics)
    page = Path(result.report).read_text()
    assert result.report.endswith("shop/pages/july.html")
    assert "Better than the champion" in page

    found = json.loads(artifact(tracking, result.evaluation, "evaluation.json", tmp_path))
    assert found["comparison"]["verdict"] == "better"
    assert set(found["slices"]) == {"carrier", "gates"}
    assert sum(each["rows"] for each in found["slices"]["carrier"]) == 300
    assert all(each["baseline_metrics"]["roc_auc"] == 0.5 for each in found["slices"]["carrier"])


def test_the_champion_can_be_judged_against_itself(
    registered: Registered, new_context: MakeContext, tracking: Tracking
) -> None:
    registered()
    tracking.set_alias("delay", "champion", 1, expected=None)
    result = evaluate(new_context(), model="models:/delay@champion", dataset=JULY)
    assert result.model == result.baseline == "models:/delay/1"
    assert result.metrics == result.baseline_metrics
    assert "This is the champion itself" in Path(result.report).read_text()


def test_any_model_may_be_the_baseline(registered: Registered, new_context: MakeContext) -> None:
    registered("shop:lazy", name="old")
    result = evaluate(new_context(), model=registered(), dataset=JULY, baseline="models:/old/1")
    assert result.baseline == "models:/old/1"
    alone = evaluate(new_context(), model="models:/delay/1", dataset=JULY, baseline="none")
    assert alone.baseline is None
    assert alone.metrics == pytest.approx(result.metrics)


def test_regression_and_many_classes_work(registered: Registered, new_context: MakeContext) -> None:
    minutes = registered("shop:minutes", "minutes", "minutes")
    result = evaluate(new_context(), model=minutes, dataset=JULY, slices=["late"])
    assert 0.6 < result.metrics["r2"] < 1
    classes = registered("shop:several", "class", "class", feature_columns=["wind", "carrier"])
    result = evaluate(new_context(), model=classes, dataset=JULY, slices=["gates"])
    assert 0.4 < result.metrics["balanced_accuracy"] < 1


def test_a_model_of_mlflows_own_kind_works(registered: Registered, new_context: MakeContext, shop: Path) -> None:
    result = evaluate(new_context(), model=registered("shop:pyfunc", "windy"), dataset=JULY)
    table = pq.read_table(shop / JULY)
    right = (table["wind"].to_numpy() > 0.3) == table["late"].to_numpy()
    assert result.metrics["accuracy"] == pytest.approx(right.mean())
    assert "roc_auc" not in result.metrics


def test_a_model_that_mlflow_logged_by_itself_works(
    new_context: MakeContext, tracking: Tracking, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    from sklearn.linear_model import LinearRegression

    table = pq.read_table(shop / "data/train.parquet").to_pandas()
    named = LinearRegression().fit(table[["wind", "rain"]], table["minutes"])
    nameless = LinearRegression().fit(table[["wind"]].to_numpy(), table["minutes"])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    place = tracking.client.create_experiment("by hand", artifact_location=str(shop / "by-hand"))
    with unwarned(), mlflow.start_run(experiment_id=place):  # of pandas 3, about MLflow
        kept: dict[str, Any] = {"pip_requirements": ["scikit-learn"], "serialization_format": "pickle"}
        kept["input_example"] = table[["wind", "rain"]].head(3)
        first = mlflow.sklearn.log_model(named, name="named", **kept)
        kept["input_example"] = None
        second = mlflow.sklearn.log_model(nameless, name="nameless", **kept)
    given: dict[str, Any] = {"dataset": JULY, "label_column": "minutes", "trust": True}
    result = evaluate(new_context(), model=first.model_uri, **given)
    assert 0.6 < result.metrics["r2"] < 1
    with pytest.raises(FeaturesUnknown, match="does not name its features"):
        evaluate(new_context(), model=second.model_uri, **given)
    with pytest.raises(LabelUnknown, match="does not say which column is its label"):
        evaluate(new_context(), model=first.model_uri, dataset=JULY, trust=True)


def test_the_threshold_decides_what_is_positive(registered: Registered, new_context: MakeContext) -> None:
    model = registered()
    low, high = (evaluate(new_context(), model=model, dataset=JULY, threshold=each).metrics for each in (0.1, 0.9))
    assert low["recall"] > 0.9 > 0.6 > high["recall"]
    assert low["roc_auc"] == high["roc_auc"]


def test_rows_without_a_label_are_left_out_and_counted(
    registered: Registered, new_context: MakeContext, shop: Path
) -> None:
    table = pq.read_table(shop / JULY)
    late = [None if index < 40 else value for index, value in enumerate(table["late"].to_pylist())]
    pq.write_table(table.set_column(table.schema.get_field_index("late"), "late", pa.array(late)), shop / JULY)
    result = evaluate(new_context(), model=registered(), dataset=JULY)
    assert result.rows == 260
    assert "Left out, no label" in Path(result.report).read_text()


def test_the_same_key_is_done_once(registered: Registered, new_context: MakeContext, tracking: Tracking) -> None:
    model = registered()
    first = evaluate(new_context("shop/main/evaluate"), model=model, dataset=JULY)
    again = evaluate(new_context("shop/main/evaluate", attempt=2), model=model, dataset=JULY)
    assert again == first
    found = tracking.client.search_runs(["1"], "tags.`modelyard.operation` = 'evaluate'")
    assert [run.info.run_id for run in found] == [first.evaluation]


def test_a_model_that_nobody_vouches_for_is_not_loaded(new_context: MakeContext) -> None:
    given = {"feature_columns": ["wind"], "dataset": "data/train.parquet"}
    trained = train(new_context(), function="late", label_column="late", **given)
    with pytest.raises(ModelNotTrusted):
        evaluate(new_context(), model=trained.model, dataset=JULY)
    result = evaluate(new_context(), model=trained.model, dataset=JULY, trust=True)
    assert result.model == trained.model
    assert "not registered under a name" in Path(result.report).read_text()
    with pytest.raises(BaselineUnlikeModel, match="is not registered, so it has no alias 'challenger'"):
        evaluate(new_context(), model=trained.model, dataset=JULY, trust=True, baseline="challenger")


BAD: list[tuple[str, dict[str, Any], type[ModelyardError], str]] = [
    ("unknown model", {"model": "models:/dely/1"}, ModelNotFound, "Did you mean delay?"),
    ("unknown alias", {"baseline": "challengr"}, AliasNotFound, "no alias 'challengr'"),
    ("unknown metric", {"metrics": ["cots"]}, FunctionNotFound, "Did you mean cost?"),
    ("unknown slice", {"slices": ["carier"]}, ColumnMissing, "Did you mean carrier?"),
    ("unknown label", {"label_column": "lat"}, ColumnMissing, "Did you mean late?"),
    ("label of another kind", {"label_column": "carrier"}, LabelsUnlikeModel, "are B6, DL, UA, but the model predicts"),
    ("no such data", {"dataset": "data/jly.parquet"}, DatasetNotFound, "Did you mean july.parquet?"),
    ("feature missing", {"dataset": "data/short.parquet"}, ColumnMissing, "there is no column 'wind'"),
    ("feature of another type", {"dataset": "data/words.parquet"}, ColumnTypeWrong, "a number, as in training"),
    ("no label", {"dataset": "data/none.parquet"}, ColumnAllNull, "'late' has no value in any row"),
    ("feature without values", {"dataset": "data/calm.parquet"}, ColumnAllNull, "'wind' has no value in any row"),
    ("no rows", {"dataset": "data/empty.parquet"}, DatasetEmpty, "the dataset has no rows"),
    ("threshold", {"threshold": 1.5}, ThresholdInvalid, "must be between 0 and 1, got 1.5"),
    ("metric gives text", {"metrics": ["shop:broken_metric"]}, MetricInvalid, "must be a number, got str"),
    ("report elsewhere", {"report": "s3://lake/july.html"}, ParameterInvalid, "report: must be a path, got"),
    ("report on a file", {"report": "shop.py/report.html"}, ParameterInvalid, "a path where a file can be written"),
    (
        "baseline of another task",
        {"baseline": "models:/minutes/1"},
        BaselineUnlikeModel,
        "the baseline does regression",
    ),
]


def test_bad_input_is_one_line_that_says_how_to_mend_it(
    registered: Registered, new_context: MakeContext, shop: Path, tracking: Tracking
) -> None:
    table = pq.read_table(shop / JULY)
    wind = table.schema.get_field_index("wind")
    pq.write_table(table.drop_columns(["wind"]), shop / "data/short.parquet")
    pq.write_table(table.set_column(wind, "wind", pa.array(["x"] * 300)), shop / "data/words.parquet")
    pq.write_table(table.set_column(wind, "wind", pa.array([None] * 300, pa.float64())), shop / "data/calm.parquet")
    pq.write_table(table.slice(0, 0), shop / "data/empty.parquet")
    late = table.schema.get_field_index("late")
    pq.write_table(table.set_column(late, "late", pa.array([None] * 300, pa.bool_())), shop / "data/none.parquet")
    model = registered()
    registered("shop:minutes", "minutes", "minutes")
    for case, changes, error, said in BAD:
        with pytest.raises(error) as caught:
            evaluate(new_context(), **{"model": model, "dataset": JULY, **changes})
        assert said in str(caught.value), case
        assert "\n" not in str(caught.value), case
        assert caught.value.error_kind is not ErrorKind.INTERNAL, case
    states = {run.info.status for run in tracking.client.search_runs(["1"], "tags.`modelyard.operation` = 'evaluate'")}
    assert states <= {"FAILED"}
    assert not (shop / ".modelyard/reports").exists()
