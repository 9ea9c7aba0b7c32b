"""Models from the registry: what they answer, with how many calls, and that one row and many say the same."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import probe_served
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from probe_models import fitted, save_model
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from modelyard.data.digests import digest_of
from modelyard.errors import ErrorKind
from modelyard.graphs import Event, FeatureWrong, Graph, Plan, PredictionFailed, Resources, StepFailed
from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.models import LoadedModel, WarmUpFailed, open_model
from modelyard.graphs.models.labels import decides_by_sign, labels_follow
from modelyard.graphs.models.rows import RowReader, matrix_of

ROW = {"a": 2.0, "b": 0.0, "c": 0.0}
OTHER = {"a": -2.0, "b": 0.5, "c": 0.0}


def data(classes: int = 2, rows: int = 200) -> tuple[Any, Any]:
    matrix = np.random.default_rng(1).normal(size=(rows, 3))
    return matrix, np.digitize(matrix[:, 0] + 0.3 * matrix[:, 1], np.linspace(-0.7, 0.7, classes - 1))


def opened(
    folder: Path, estimator: Any, *, example: Any = None, step: dict[str, Any] | None = None, **said: Any
) -> Plan:
    save_model(folder / "live", estimator, **said)
    if example is not None:
        (folder / "live/input_example.json").write_text(json.dumps(example))
    graph = Graph("g")
    graph.model("m", "live", **(step or {}))
    return graph.open(Resources(models=probe_served.Folders(folder)))


def counted(plan: Plan) -> list[str]:
    """Count the calls of the estimator."""
    calls: list[str] = []
    model: Any = plan.models["m"].model()
    estimator = model.loaded.estimator
    kind = type(estimator)

    def counting(name: str) -> Any:
        original = getattr(kind, name)

        def call(self: Any, rows: Any) -> Any:
            calls.append(name)
            return original(self, rows)

        return call

    names = [name for name in ("predict", "predict_proba") if hasattr(kind, name)]
    told = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    estimator.__class__ = type(kind.__name__, (kind,), told | {name: counting(name) for name in names})
    model.serve(model.loaded)
    return calls


def test_one_row_gives_one_answer_and_a_list_of_rows_a_list(tmp_path: Path) -> None:
    estimator = fitted()
    plan = opened(tmp_path, estimator)
    matrix = matrix_of([ROW, OTHER], ["a", "b", "c"])
    expected = [
        {"label": True, "probability": estimator.predict_proba(matrix)[0, 1]},
        {"label": False, "probability": estimator.predict_proba(matrix)[1, 1]},
    ]
    assert plan.run(Event(ROW)) == expected[0]
    assert plan.run(Event([2.0, 0.0, 0.0])) == expected[0]
    assert plan.run(Event([ROW, OTHER])) == expected
    assert plan.run(Event([])) == []
    with pytest.raises(StepFailed, match=r"row 0: the feature 'b' is missing\. Given: a, c"):
        plan.run(Event({"a": 1, "c": 2}))
    with pytest.raises(StepFailed, match="the model takes a row or a list of rows, not str") as caught:
        plan.run(Event("text"))
    assert caught.value.error_kind is ErrorKind.INVALID


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        RandomForestClassifier(10, random_state=0),
        ExtraTreesClassifier(10, random_state=0),
        GradientBoostingClassifier(n_estimators=5),
        HistGradientBoostingClassifier(max_iter=5),
        DecisionTreeClassifier(max_depth=3),
        GaussianNB(),
        BernoulliNB(),
        MLPClassifier((4,), max_iter=20, random_state=0, tol=10),
        CalibratedClassifierCV(LogisticRegression(), cv=2),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_one_call_gives_the_label_that_predict_gives(tmp_path: Path, estimator: Any, classes: int) -> None:
    matrix, labels = data(classes)
    estimator.fit(matrix, labels)
    folder = save_model(tmp_path / "model", estimator)
    model = open_model(folder, digest=digest_of(folder))
    assert model.one_call
    many = np.concatenate([matrix, np.random.default_rng(2).normal(size=(2000, 3)), np.zeros((1, 3))])
    said = model.predict(many)
    np.testing.assert_array_equal(said.labels, estimator.predict(many))
    np.testing.assert_array_equal(said.probabilities, estimator.predict_proba(many))
    assert said.labels.dtype == estimator.predict(many).dtype


def test_a_classifier_is_asked_once(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted())
    calls = counted(plan)
    plan.run(Event(ROW))
    plan.run(Event([ROW, OTHER]))
    assert calls == ["predict_proba", "predict_proba"]


def test_equally_likely_classes_are_left_to_predict(tmp_path: Path) -> None:
    estimator = fitted()
    estimator.coef_, estimator.intercept_ = np.array([[1e-30, 0.0, 0.0]]), np.array([0.0])
    plan = opened(tmp_path, estimator)
    calls = counted(plan)
    assert estimator.predict_proba([[2.0, 0, 0]]).tolist() == [[0.5, 0.5]]
    assert plan.run(Event(ROW)) == {"label": True, "probability": 0.5}
    assert plan.run(Event([ROW, OTHER])) == [
        {"label": True, "probability": 0.5},
        {"label": False, "probability": 0.5},
    ]
    assert "predict" in calls


class Contrary(LogisticRegression):
    """Says one thing, and the probabilities another."""

    def predict(self, rows: Any) -> Any:
        return ~super().predict(rows)


def test_other_classifiers_are_asked_twice() -> None:
    matrix, labels = data()
    for estimator in (SVC(), KNeighborsClassifier(), Contrary()):
        estimator.fit(matrix, labels > 0)
        assert not labels_follow(estimator, None)
    assert not labels_follow(make_pipeline(StandardScaler(), SVC()).fit(matrix, labels), None)
    disguised = LogisticRegression().fit(matrix, labels > 0)
    disguised.predict = lambda rows: np.zeros(len(rows), dtype=bool)
    assert labels_follow(disguised, None)
    assert not labels_follow(disguised, matrix[:20])


def test_a_model_whose_labels_contradict_its_probabilities_says_its_labels(tmp_path: Path) -> None:
    matrix, labels = data()
    estimator = Contrary().fit(matrix, labels > 0)
    plan = opened(tmp_path, estimator)
    calls = counted(plan)
    said = plan.run(Event(ROW))
    assert (said["label"], said["probability"] > 0.9, calls) == (False, True, ["predict", "predict_proba"])


def test_label_alone_asks_for_labels_alone(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted(), step={"output": "label"})
    calls = counted(plan)
    assert plan.run(Event(ROW)) == {"label": True}
    assert plan.run(Event([ROW, OTHER])) == [{"label": True}, {"label": False}]
    assert calls == ["predict", "predict"]


def test_the_value_itself_is_a_label_and_of_an_array_an_array(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted(), step={"output": "value"})
    assert plan.run(Event(ROW)) is True
    assert plan.run(Event([ROW, OTHER])) == [True, False]
    assert plan.run(Event([])) == []
    graph = Graph("g")
    graph.model("m", "live", output="value")
    resources = Resources(models=probe_served.Folders(tmp_path))
    found = graph.map(matrix_of([ROW, OTHER], ["a", "b", "c"]), resources=resources)
    assert found.vectorised
    assert (found.values.dtype, found.values.tolist()) == (np.dtype(bool), [True, False])
    listed = graph.map([ROW, OTHER], resources=resources)
    assert (listed.vectorised, listed.values) == (True, [True, False])


def test_a_frame_and_an_arrow_batch_are_batches_of_rows(tmp_path: Path) -> None:
    import pandas as pd
    import pyarrow as pa

    plan = opened(tmp_path, fitted())
    graph = Graph("g")
    graph.model("m", "live")
    resources = Resources(models=probe_served.Folders(tmp_path))
    frame = pd.DataFrame([{**ROW, "extra": "x"}, {**OTHER, "extra": "y"}])
    expected = [plan.run(Event(ROW)), plan.run(Event(OTHER))]
    for rows in (frame, pa.Table.from_pandas(frame), pa.RecordBatch.from_pandas(frame)):
        found = graph.map(rows, resources=resources)
        assert found.vectorised
        assert list(found) == expected


def test_probabilities_of_all_classes(tmp_path: Path) -> None:
    matrix, labels = data(3)
    estimator = LogisticRegression().fit(matrix, np.array(["early", "late", "on time"])[labels])
    plan = opened(tmp_path, estimator, step={"output": "probabilities"})
    row = estimator.predict_proba([[2.0, 0, 0]])[0].tolist()
    assert plan.run(Event(ROW)) == {
        "label": "on time",
        "probability": max(row),
        "probabilities": row,
        "classes": ["early", "late", "on time"],
    }


def test_a_regression_answers_with_numbers_alone(tmp_path: Path) -> None:
    estimator = LinearRegression().fit([[0.0, 0, 0], [1.0, 0, 1], [0, 1, 0], [3, 1, 1]], [1.0, 3.0, 2.0, 4.0])
    plan = opened(tmp_path, estimator, task="regression")
    expected = float(estimator.predict([[2.0, 0.0, 0.0]])[0])
    assert plan.run(Event(ROW)) == {"label": pytest.approx(expected)}
    assert plan.run(Event([ROW]))[0] == {"label": pytest.approx(expected)}


def test_the_signature_names_columns_label_and_probability(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted())
    described = plan.models["m"].metadata()
    assert described["platform"] == "mlflow"
    assert described["inputs"] == [{"name": n, "datatype": "FP64", "shape": [-1, 1]} for n in "abc"]
    assert described["outputs"] == [
        {"name": "label", "datatype": "BOOL", "shape": [-1, 1]},
        {"name": "probability", "datatype": "FP64", "shape": [-1, 1]},
    ]


@pytest.mark.parametrize(
    "example",
    [
        {"columns": ["a", "b", "c"], "data": [[1.0, 2.0, 3.0], [0.0, 0.0, None]]},
        {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1.0, 2.0, 3.0]]}},
        [[1.0, 2.0, 3.0]],
        {"inputs": [[1.0, 2.0, 3.0]]},
    ],
)
def test_a_model_is_warmed_up_on_the_example_that_came_with_it(tmp_path: Path, example: Any) -> None:
    estimator = HistGradientBoostingClassifier(max_iter=2).fit(*data())
    plan = opened(tmp_path, estimator, example=example)
    model: Any = plan.models["m"].model()
    first = model.loaded.examples[0]
    assert first in ({"a": 1.0, "b": 2.0, "c": 3.0}, [1.0, 2.0, 3.0])


def test_an_example_that_the_model_refuses_keeps_it_out_of_service(tmp_path: Path) -> None:
    with pytest.raises(WarmUpFailed, match="FeatureMissing: row 0: the feature 'c' is missing"):
        opened(tmp_path, fitted(), example={"columns": ["a", "b"], "data": [[1.0, 2.0]]})
    (tmp_path / "again").mkdir()
    plan = opened(tmp_path / "again", fitted(), example={"columns": ["a"], "data": [[1.0]]}, step={"warm_up": False})
    assert plan.run(Event(ROW))["label"] is True


def outcome(work: Any) -> tuple[Any, Exception | None]:
    """Return what `work` returns, or what it raises."""
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001
        return None, error


VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**3), 10**3),
    st.integers(10**300, 10**400),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
    st.just([1]),
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(st.lists(VALUES, min_size=2, max_size=5), st.booleans(), st.sampled_from([("a", "b", "c"), ("a", "b")]))
def test_one_row_at_a_time_is_read_as_many_are(values: list[Any], named: bool, features: tuple[str, ...]) -> None:
    row: Any = dict(zip("abcde", values, strict=False)) if named else values
    reader = RowReader(features, ["double"] * len(features))
    expected, refusal = outcome(lambda: matrix_of([row], features, ["double"] * len(features)))
    found, other = outcome(lambda: reader.read(row))
    assert (type(other), str(other)) == (type(refusal), str(refusal))
    if refusal is not None:
        return
    np.testing.assert_array_equal(found, expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)


def test_a_missing_value_reaches_the_check_of_the_estimator(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted())
    for value in (None, float("nan")):
        with pytest.raises(StepFailed, match="the model raised ValueError: Input X contains NaN") as caught:
            plan.run(Event({**ROW, "a": value}))
        assert caught.value.error_kind is ErrorKind.INVALID


def test_the_settings_of_scikit_learn_are_left_as_they_were(tmp_path: Path) -> None:
    import sklearn

    seen: list[bool] = []

    class Looking(LogisticRegression):
        def predict_proba(self, rows: Any) -> Any:
            seen.append(sklearn.get_config()["assume_finite"])
            return super().predict_proba(rows)

    plan = opened(tmp_path, fitted())
    model: Any = plan.models["m"].model()
    told = {"__module__": LogisticRegression.__module__, "__qualname__": LogisticRegression.__qualname__}
    model.loaded.estimator.__class__ = type("LogisticRegression", (Looking,), told)
    model.serve(model.loaded)
    plan.run(Event(ROW))
    plan.run(Event([ROW]))
    with pytest.raises(StepFailed):
        plan.run(Event({**ROW, "a": None}))
    assert seen == [True, False, False]
    assert sklearn.get_config()["assume_finite"] is False


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_a_value_beyond_single_precision_reaches_the_check_of_the_trees(tmp_path: Path) -> None:
    plan = opened(tmp_path, RandomForestClassifier(2, random_state=0).fit(*data()))
    with pytest.raises(StepFailed, match="infinity or a value too large"):
        plan.run(Event({**ROW, "a": 1e300}))


def test_a_transformation_that_makes_infinite_values_is_still_noticed(tmp_path: Path) -> None:
    from sklearn.preprocessing import FunctionTransformer

    matrix, labels = data()
    estimator = make_pipeline(FunctionTransformer(np.sqrt), LogisticRegression())
    estimator.fit(np.abs(matrix), labels)
    plan = opened(tmp_path, estimator)
    with pytest.raises(StepFailed, match="NaN"), np.errstate(invalid="ignore"):
        plan.run(Event(OTHER))


def test_a_batch_is_one_call_and_equals_row_by_row(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted())
    graph = Graph("g")
    graph.model("m", "live")
    resources = Resources(models=probe_served.Folders(tmp_path))
    rows = [{"a": value, "b": 0.0, "c": 1.0} for value in np.linspace(-2, 2, 50).tolist()]
    found = graph.map(rows, resources=resources)
    assert found.vectorised
    assert [each["label"] for each in found] == [plan.run(Event(row))["label"] for row in rows]
    one_by_one = [plan.run(Event(row))["probability"] for row in rows]
    assert [each["probability"] for each in found] == pytest.approx(one_by_one, rel=1e-12)
    array = graph.map(matrix_of(rows, ["a", "b", "c"]), resources=resources)
    assert list(array) == list(found)


class Own(ClassifierMixin, BaseEstimator):
    """An estimator without probabilities."""

    def fit(self, rows: Any, labels: Any) -> "Own":
        self.classes_ = np.unique(labels)
        return self

    def predict(self, rows: Any) -> Any:
        return np.where(np.asarray(rows)[:, 0] > 0, "yes", "no")


def test_an_estimator_without_probabilities_answers_with_labels(tmp_path: Path) -> None:
    plan = opened(tmp_path, Own().fit([[0]], ["yes", "no"]))
    assert plan.run(Event(ROW)) == {"label": "yes"}
    assert plan.run(Event([OTHER])) == [{"label": "no"}]
    assert plan.models["m"].metadata()["outputs"] == [{"name": "label", "datatype": "BYTES", "shape": [-1, 1]}]


def test_a_model_of_a_frame_gets_one(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(data()[0], columns=list("abc"))
    estimator = LogisticRegression().fit(frame, data()[1])
    plan = opened(tmp_path, estimator, input="frame")
    assert plan.run(Event(ROW)) == {
        "label": 1,
        "probability": estimator.predict_proba(pd.DataFrame([ROW]))[0, 1],
    }


@pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")
def test_any_other_flavour_goes_through_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    import mlflow.pyfunc

    from modelyard.tracking.loading import open_files

    class Sum(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return np.asarray(model_input).sum(axis=1)

    folder = tmp_path / "sum"
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(str(folder), python_model=Sum(), pip_requirements=["numpy"])
    (folder / "input_example.json").write_text("[[1.0, 2.0]]")
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["metadata"] = {"modelyard": {"features": [], "task": "regression"}}
    (folder / "MLmodel").write_text(yaml.safe_dump(described))

    class Flavours:
        def load(self, reference: str) -> LoadedModel:
            return open_files(folder, digest=digest_of(folder), trust=False, name=reference)

    graph = Graph("g")
    graph.model("m", "models:/sum/1")
    resources = Resources(models=Flavours())
    assert graph.test([1.0, 2.5], resources=resources) == {"label": 3.5}
    assert graph.test([[1.0, 2.5], [0.0, 1.0]], resources=resources) == [{"label": 3.5}, {"label": 1.0}]


def test_a_map_of_one_model_is_columns_that_equal_the_answers_row_by_row(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted())
    graph = Graph("g")
    graph.model("m", "live")
    resources = Resources(models=probe_served.Folders(tmp_path))
    matrix = np.random.default_rng(3).normal(size=(40, 3))
    expected = [plan.run(Event(row)) for row in matrix.tolist()]
    found = graph.map(matrix, resources=resources)
    assert isinstance(found.values, AnswerColumns)
    assert [found.values.columns[name].dtype for name in ("label", "probability")] == [bool, np.float64]
    kept = list(found)
    assert [each["label"] for each in kept] == [each["label"] for each in expected]
    assert [each["probability"] for each in kept] == pytest.approx([each["probability"] for each in expected])
    assert [found[row] for row in range(40)] == kept
    assert pickle.loads(pickle.dumps(found)).values == kept
    matrix[:] = 0.0
    assert list(found) == kept


def test_labels_of_a_table_whose_columns_are_in_another_order(tmp_path: Path) -> None:
    import pandas as pd

    plan = opened(tmp_path, fitted())
    frame = pd.DataFrame([ROW, OTHER])[["c", "b", "a"]]
    server = plan.models["m"]
    assert list(server.do_batch(frame)) == [plan.run(Event(ROW)), plan.run(Event(OTHER))]
    assert list(server.do_columns(frame, label_alone=True) or ()) == [{"label": True}, {"label": False}]


@pytest.mark.parametrize(
    ("estimator", "by_sign"),
    [
        (LogisticRegression(), True),
        (Perceptron(), True),
        (LinearDiscriminantAnalysis(), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), False),
        (SVC(), False),
        (GaussianNB(), False),
    ],
    ids=lambda each: type(each).__name__,
)
def test_the_label_alone_is_that_of_the_answer(tmp_path: Path, estimator: Any, by_sign: bool) -> None:
    matrix, labels = data()
    plan = opened(tmp_path, estimator.fit(matrix, labels))
    model: Any = plan.models["m"].model()
    assert decides_by_sign(model.loaded.estimator) is by_sign
    many = [*matrix.tolist(), [0.0, 0.0, 0.0]]
    expected = [{"label": plan.run(Event(row))["label"]} for row in many]
    assert [model.predict_label(row) for row in many] == expected
    assert model.predict_label(many) == expected
    assert model.predict_label(np.array(many[3])) == expected[3]
    assert {type(each["label"]) for each in (model.predict_label(many[0]), expected[0])} == {type(expected[0]["label"])}


def test_equal_scores_and_three_classes_are_labelled_as_the_estimator_does(tmp_path: Path) -> None:
    matrix, labels = data(3)
    plan = opened(tmp_path, LogisticRegression().fit(matrix, labels))
    model: Any = plan.models["m"].model()
    assert not decides_by_sign(model.loaded.estimator)
    assert [model.predict_label(row)["label"] for row in matrix.tolist()] == model.loaded.estimator.predict(
        matrix
    ).tolist()
    balanced = LogisticRegression(fit_intercept=False).fit(matrix, labels > 0)
    even = opened(tmp_path / "even", balanced).models["m"].model()
    assert decides_by_sign(balanced)
    assert even.predict_label([0.0, 0.0, 0.0]) == {"label": balanced.predict([[0.0, 0.0, 0.0]])[0]}


def test_the_label_alone_of_a_model_that_fails_says_so(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted())
    model: Any = plan.models["m"].model()
    model._score = lambda matrix: 1 / 0
    with pytest.raises(PredictionFailed, match="division by zero"):
        model.predict_label(ROW)
    with pytest.raises(FeatureWrong, match="the model takes a row or a list of rows, not str"):
        model.predict_label("text")
