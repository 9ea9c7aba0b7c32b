"""Models that are converted to ONNX when they are loaded, and ONNX files as models."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import probe_served
import pytest
import yaml
from probe_models import FEATURES, fitted, save_model, scores_file
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from modelyard.data.digests import digest_of
from modelyard.errors import ErrorKind
from modelyard.graphs import Event, Graph, ModelFilesInvalid, Plan, Resources, StepFailed
from modelyard.graphs.models import CompilationRefused, OnnxModel, open_model
from modelyard.graphs.models.sessions import OnnxClassifier, OnnxEstimator, OnnxLabels

ROWS = [{"a": 1.0, "b": 2.0, "c": 0.5}, {"a": -1.0, "b": 0.0, "c": 0.1}, {"a": 0.2, "b": -2.0, "c": -0.5}]


def data(classes: int = 2) -> tuple[Any, Any]:
    matrix = np.random.default_rng(1).normal(size=(200, 3))
    return matrix, np.digitize(matrix[:, 0] + 0.3 * matrix[:, 1], np.linspace(-0.7, 0.7, classes - 1))


def opened(folder: Path, estimator: Any, *, example: Any = ROWS, **told: Any) -> Plan:
    said = {name: told.pop(name) for name in ("task", "dtypes", "features") if name in told}
    save_model(folder / "live", estimator, **said)
    if example:
        split = {"columns": list(example[0]), "data": [list(row.values()) for row in example]}
        (folder / "live/input_example.json").write_text(json.dumps(split))
    graph = Graph("g")
    graph.model("m", "live", **told)
    return graph.open(Resources(models=probe_served.Folders(folder)))


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        HistGradientBoostingClassifier(max_iter=20),
        RandomForestClassifier(20, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_compiled_model_says_what_the_original_says(tmp_path: Path, estimator: Any, classes: int) -> None:
    matrix, labels = data(classes)
    estimator.fit(matrix, np.array(["early", "late", "never"])[labels])
    plan = opened(tmp_path, estimator, compile="onnx")
    model: Any = plan.models["m"].model()
    assert isinstance(model.loaded.estimator, OnnxClassifier)
    probabilities = estimator.predict_proba(matrix)
    for row, label, probable in zip(matrix[:20], estimator.predict(matrix), probabilities, strict=False):
        said = plan.run(Event(row.tolist()))
        assert said["label"] == label
        assert said["probability"] == pytest.approx(probable[1] if classes == 2 else probable.max(), abs=1e-5)
    many = plan.run(Event(matrix.tolist()))
    assert [each["label"] for each in many] == estimator.predict(matrix).tolist()


def test_true_and_false_stay_what_they_are(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted(), compile="onnx")
    said = plan.run(Event({"a": 2.0, "b": 0.0, "c": 0.0}))
    assert said["label"] is True
    assert said["probability"] == pytest.approx(fitted().predict_proba([[2.0, 0, 0]])[0, 1], abs=1e-9)


@pytest.mark.parametrize("estimator", [LinearRegression(), HistGradientBoostingRegressor(max_iter=5)])
def test_a_regression_is_compiled(tmp_path: Path, estimator: Any) -> None:
    matrix, _ = data()
    estimator.fit(matrix, matrix[:, 0] * 100)
    plan = opened(tmp_path, estimator, compile="onnx", task="regression")
    model: Any = plan.models["m"].model()
    assert type(model.loaded.estimator) is OnnxEstimator
    expected = estimator.predict(matrix[:3])
    assert plan.run(Event(matrix[0].tolist())) == {"label": pytest.approx(expected[0], rel=1e-5)}
    assert [each["label"] for each in plan.run(Event(matrix[:3].tolist()))] == pytest.approx(expected, rel=1e-5)


def test_a_conversion_that_says_something_else_is_refused_with_the_worst_row(tmp_path: Path) -> None:
    class Shifted(LogisticRegression):
        """Says more than its coefficients tell the converter."""

        def predict_proba(self, rows: Any) -> Any:
            found = super().predict_proba(rows)
            shift = np.where(np.asarray(rows)[:, 0] > 0.9, 0.01, 0.0)
            return np.c_[found[:, 0] - shift, found[:, 1] + shift]

    from skl2onnx import update_registered_converter
    from skl2onnx.common._registration import get_converter, get_shape_calculator

    def shape(operator: Any) -> None:
        get_shape_calculator("SklearnLinearClassifier")(operator)

    def convert(scope: Any, operator: Any, container: Any) -> None:
        get_converter("SklearnLinearClassifier")(scope, operator, container)

    update_registered_converter(
        Shifted,
        "ShiftedLogistic",
        shape,
        convert,
        options={
            "zipmap": [True, False, "columns"],
            "nocl": [True, False],
            "output_class_labels": [True, False],
            "raw_scores": [True, False],
        },
    )
    matrix, labels = data()
    from modelyard.graphs.models.compiling import compiled
    from modelyard.graphs.models.files import LoadedModel, ModelCard

    card = ModelCard(FEATURES, ("double",) * 3, "matrix", "classification", (), "", "model.pkl", "pickle")
    estimator = Shifted().fit(matrix, labels)
    model = LoadedModel(estimator, card, "", (0, 1), "models:/shifted/1", tuple(ROWS))
    with pytest.raises(CompilationRefused) as caught:
        compiled(model)
    said = str(caught.value)
    assert said.startswith("models:/shifted/1: the model is not compiled: on ")
    assert "of 259 rows its conversion says something else; the worst is {'a': 1.0, " in said
    assert "a difference of 0.01 (tolerance 1e-05)" in said
    assert caught.value.facts["row"]["a"] == 1.0
    assert caught.value.facts["difference"] == pytest.approx(0.01, abs=1e-6)
    assert caught.value.error_kind is ErrorKind.INVALID
    assert compiled(model, tolerance=0.02).estimator is not estimator


class Unknown(ClassifierMixin, BaseEstimator):
    """No converter knows it."""

    def __init__(self) -> None:
        self.classes_ = np.array([0, 1])

    def fit(self, rows: Any, labels: Any) -> "Unknown":
        return self

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows), dtype=int)


@pytest.mark.parametrize(
    "estimator",
    [
        SVC(),
        SVC(kernel="linear"),
        LinearSVC(),
        RidgeClassifier(),
        SGDClassifier(random_state=0),
        make_pipeline(StandardScaler(), LinearSVC()),
        GridSearchCV(make_pipeline(StandardScaler(), LinearSVC()), {"linearsvc__C": [0.5, 1.0]}, cv=2),
    ],
    ids=lambda estimator: f"{type(estimator).__name__}-{getattr(estimator, 'kernel', '')}",
)
@pytest.mark.parametrize("names", [(0, 1), (False, True), ("early", "late"), ("early", "late", "never")])
def test_a_classifier_without_probabilities_says_its_label_alone(
    tmp_path: Path, estimator: Any, names: tuple[Any, ...]
) -> None:
    matrix, labels = data(len(names))
    estimator.fit(matrix, np.array(names)[labels])
    plain, plan = opened(tmp_path / "a", estimator), opened(tmp_path / "b", estimator, compile="onnx")
    model: Any = plan.models["m"].model()
    assert type(model.loaded.estimator) is OnnxLabels
    for row, expected in zip(matrix[:40].tolist(), estimator.predict(matrix[:40]).tolist(), strict=True):
        said = plan.run(Event(dict(zip("abc", row, strict=True))))
        assert (said, type(said["label"])) == ({"label": expected}, type(names[0]))
        assert said == plain.run(Event(dict(zip("abc", row, strict=True))))
    assert plan.run(Event(matrix[:3].tolist())) == plain.run(Event(matrix[:3].tolist()))


@pytest.mark.parametrize(
    ("estimator", "told", "message"),
    [
        (Unknown(), {}, "it cannot be converted: "),
        (fitted(), {"example": None}, "it came without example rows to compare on, and none are given"),
        (fitted(), {"dtypes": ["double", "double", "string"]}, "it has features that are no numbers"),
    ],
)
def test_what_cannot_be_compiled_is_refused(tmp_path: Path, estimator: Any, told: dict[str, Any], message: str) -> None:
    with pytest.raises(CompilationRefused) as caught:
        opened(tmp_path, estimator, compile="onnx", **told)
    assert message in str(caught.value)
    assert str(caught.value).endswith('Serve it as it is: leave compile="onnx" away.')


def test_rows_to_compare_on_may_be_given(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted(), example=None, compile="onnx", examples=ROWS)
    assert plan.run(Event(ROWS[0]))["label"] is True


def test_a_compiled_model_refuses_what_the_original_refuses(tmp_path: Path) -> None:
    plan = opened(tmp_path, fitted(), compile="onnx")
    with pytest.raises(StepFailed, match=r"the feature 'b' is missing"):
        plan.run(Event({"a": 1, "c": 1}))
    with pytest.raises(StepFailed, match="the feature 'b' must be a number, got 'x'"):
        plan.run(Event({"a": 1, "b": "x", "c": 1}))


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    from modelyard.graphs.models.compiling import _converted
    from modelyard.graphs.models.files import LoadedModel, ModelCard

    card = ModelCard(FEATURES, ("double",) * 3, "matrix", "classification", (), "", "model.pkl", "pickle")
    model = LoadedModel(fitted(), card, "", (False, True))
    file = tmp_path / "model.onnx"
    file.write_bytes(_converted(model, np.zeros((1, 3)), np.float32)._data)
    return file


def test_an_onnx_file_is_a_model(onnx_file: Path) -> None:
    graph = Graph("g")
    told: dict[str, Any] = {"features": ["a", "b", "c"], "classes": [False, True], "examples": [[1.0, 2.0, 3.0]]}
    graph.model("m", OnnxModel, file=str(onnx_file), **told)
    expected = fitted().predict_proba([[2.0, 0, 0]])[0, 1]
    said = graph.test({"a": 2.0, "b": 0.0, "c": 0.0})
    assert said == {"label": True, "probability": pytest.approx(expected, abs=1e-6)}
    assert graph.test([[2.0, 0.0, 0.0]]) == [said]
    described = graph.test(None, path="/v2/models/m", method="GET")
    assert (described["platform"], described["inputs"][0]["name"]) == ("onnx_onnxruntime", "a")
    assert graph.open().models["m"].name == "model.onnx"
    again = Graph.from_spec(graph.to_spec())
    assert again.test({"a": 2.0, "b": 0.0, "c": 0.0}) == said


def test_an_onnx_file_without_names_takes_lists_and_gives_numbers(onnx_file: Path) -> None:
    graph = Graph("g")
    graph.model("m", OnnxModel, file=str(onnx_file))
    assert graph.test([2.0, 0.0, 0.0])["label"] == 1
    with pytest.raises(StepFailed, match="the model has 3 features, the row has 2 values"):
        graph.test([2.0, 0.0])
    with pytest.raises(StepFailed, match="the model does not name its features: send lists of values"):
        graph.test({"a": 1})


def test_scores_of_an_onnx_file_are_not_told_as_probabilities(tmp_path: Path) -> None:
    """The converter names the second output of a support vector machine ``probabilities``; they are scores."""
    from skl2onnx import to_onnx

    matrix, labels = data()
    machine = SVC().fit(matrix, labels)
    file = tmp_path / "svc.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter asks scikit-learn in an old way
        made = to_onnx(machine, matrix[:1].astype(np.float32), options={id(machine): {"zipmap": False}})
    file.write_bytes(made.SerializeToString())
    graph = Graph("g")
    graph.model("m", OnnxModel, file=str(file))
    rows = matrix[:20].tolist()
    assert graph.test(rows) == [{"label": int(each)} for each in machine.predict(rows)]
    described = graph.test(None, path="/v2/models/m", method="GET")
    assert [each["name"] for each in described["outputs"]] == ["label"]


def test_an_onnx_model_runs_in_a_worker_process(onnx_file: Path) -> None:
    graph = Graph("g")
    graph.model("m", OnnxModel, file=str(onnx_file), concurrency="process")
    assert graph.test([2.0, 0.0, 0.0])["label"] == 1


def test_a_registered_model_of_the_onnx_flavour_needs_no_mlflow(tmp_path: Path, onnx_file: Path) -> None:
    folder = tmp_path / "live"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(onnx_file.read_bytes())
    said = {"features": ["a", "b", "c"], "dtypes": ["double"] * 3, "classes": [False, True], "task": "classification"}
    described = {"flavors": {"onnx": {"data": "model.onnx"}, "python_function": {}}, "metadata": {"modelyard": said}}
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    model = open_model(folder, digest=digest_of(folder))
    assert (model.card.format, model.one_call, model.classes) == ("onnx", True, (False, True))
    assert open_model(folder, digest=None).digest == model.digest
    graph = Graph("g")
    graph.model("m", "live")
    said = graph.test({"a": 2.0, "b": 0.0, "c": 0.0}, resources=Resources(models=probe_served.Folders(tmp_path)))
    assert said["label"] is True


def test_what_is_no_onnx_file_is_said(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.model("m", OnnxModel, file=str(tmp_path / "gone.onnx"))
    with pytest.raises(ModelFilesInvalid, match="the file cannot be read: No such file or directory"):
        graph.open()
    (tmp_path / "bad.onnx").write_bytes(b"garbage")
    graph = Graph("g")
    graph.model("m", OnnxModel, file=str(tmp_path / "bad.onnx"))
    with pytest.raises(ModelFilesInvalid, match="the file is no ONNX model: "):
        graph.open()


def test_scores_become_the_class_of_the_greatest(tmp_path: Path) -> None:
    graph = Graph("g")
    graph.model("m", OnnxModel, file=str(scores_file(tmp_path)), classes=["left", "middle", "right"])
    assert graph.test([2.0, 1.0]) == {"label": "left"}
    assert graph.test([[0.0, 1.0], [-3.0, 0.0]]) == [{"label": "middle"}, {"label": "right"}]
    plain = Graph("g")
    plain.model("m", OnnxModel, file=str(scores_file(tmp_path)))
    assert plain.test([[2.0, 1.0]]) == [{"label": [2.0, 1.0, -1.5]}]
    assert plain.test([2.0, 1.0]) == {"label": [2.0, 1.0, -1.5]}
