import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import probe_steps
import pytest
import yaml
from probe_models import fitted, save_model
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

from modelyard.data.digests import digest_of
from modelyard.errors import ErrorKind
from modelyard.graphs import (
    FlavorUnsupported,
    LibraryMissing,
    ModelDigestWrong,
    ModelFilesInvalid,
    ModelNotTrusted,
    PredictionFailed,
    Predictions,
    open_model,
    read_card,
)

ROWS = np.array([[2.0, 0.0, 0.0], [-2.0, 0.0, 0.0]])


OWN_MODULE = """
class Own:
    def predict(self, rows):
        return rows[:, 0]
"""


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("file_format", ["pickle", "cloudpickle", "skops"])
def test_every_format_predicts_what_the_estimator_does(tmp_path: Path, file_format: str) -> None:
    estimator = fitted()
    folder = save_model(tmp_path / "model", estimator, file_format=file_format)
    model = open_model(folder, digest=digest_of(folder))
    predictions = model.predict(ROWS)
    assert predictions.labels.tolist() == [True, False]
    np.testing.assert_array_equal(predictions.probabilities, estimator.predict_proba(ROWS))
    np.testing.assert_array_equal(predictions.probability, estimator.predict_proba(ROWS)[:, 1])
    assert (model.classes, model.features, model.task) == ((False, True), ("a", "b", "c"), "classification")
    assert model.digest == digest_of(folder)


def test_nothing_runs_before_somebody_vouches_for_it(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    folder = save_model(tmp_path / "model", Trap(mark))
    with pytest.raises(ModelNotTrusted, match="no digest of it is registered") as caught:
        open_model(folder, digest=None)
    assert caught.value.error_kind is ErrorKind.DENIED
    with pytest.raises(ModelDigestWrong, match="not the registered 000000"):
        open_model(folder, digest="0" * 64)
    assert not mark.exists()
    open_model(folder, digest=None, trust=True)
    assert mark.exists()


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", fitted())
    digest = digest_of(folder)
    (folder / "model.pkl").write_bytes(pickle.dumps(fitted(flip=True)))
    with pytest.raises(ModelDigestWrong) as caught:
        open_model(folder, digest=digest)
    assert caught.value.facts["expected"] == digest


def test_skops_files_need_nobody_unless_they_ask_for_more(tmp_path: Path) -> None:
    plain = save_model(tmp_path / "plain", fitted(), file_format="skops")
    assert open_model(plain, digest=None).predict(ROWS).labels.tolist() == [True, False]
    matrix = np.random.default_rng(0).normal(size=(60, 3))
    boosting = HistGradientBoostingClassifier(max_iter=3).fit(matrix, matrix[:, 0] > 0)
    trees = save_model(tmp_path / "trees", boosting, file_format="skops")
    assert open_model(trees, digest=None).predict(ROWS).labels.tolist() == [True, False]
    own = save_model(tmp_path / "own", FunctionTransformer(probe_steps.scale), file_format="skops")
    described = yaml.safe_load((own / "MLmodel").read_text())
    described["flavors"]["sklearn"]["skops_trusted_types"] = ["probe_steps.scale"]
    (own / "MLmodel").write_text(yaml.safe_dump(described))
    with pytest.raises(ModelNotTrusted, match=r"probe_steps\.scale"):
        open_model(own, digest=None)
    assert open_model(own, digest=digest_of(own)).estimator.func is probe_steps.scale


def test_a_regression_has_no_probabilities(tmp_path: Path) -> None:
    estimator = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    folder = save_model(tmp_path / "model", estimator, features=("x",), task="regression")
    model = open_model(folder, digest=digest_of(folder))
    predictions = model.predict(np.array([[2.0]]))
    assert predictions.labels.tolist() == pytest.approx([5.0])
    assert predictions.probabilities is None
    assert predictions.probability is None
    assert model.classes == ()


def test_with_many_classes_the_probability_is_that_of_the_likeliest() -> None:
    predictions = Predictions(np.array(["x"]), np.array([[0.2, 0.5, 0.3]]))
    assert predictions.probability is not None
    assert predictions.probability.tolist() == [0.5]


def test_a_model_that_wants_a_frame_gets_one(tmp_path: Path) -> None:
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame({"word": ["x", "y"] * 4, "number": [1.0, 2.0] * 4})
    columns = make_column_transformer((OneHotEncoder(), ["word"]), remainder="passthrough")
    estimator = make_pipeline(columns, LogisticRegression()).fit(frame, frame["word"] == "x")
    folder = save_model(
        tmp_path / "model", estimator, features=("word", "number"), dtypes=["string", "double"], input="frame"
    )
    model = open_model(folder, digest=digest_of(folder))
    matrix = np.array([["x", 1.0], ["y", 2.0]], dtype=object)
    assert model.predict(matrix).labels.tolist() == [True, False]


def test_what_the_folder_does_not_say_comes_from_signature_and_estimator(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", fitted())
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described.pop("metadata")
    described["signature"] = {"inputs": json.dumps([{"type": "double", "name": name} for name in "xyz"])}
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    card = read_card(folder)
    assert (card.features, card.dtypes, card.input) == (("x", "y", "z"), ("double",) * 3, "frame")
    described["signature"] = {"inputs": json.dumps([{"type": "tensor", "tensor-spec": {"shape": [-1, 3]}}])}
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    card = read_card(folder)
    assert (card.features, card.input) == ((), "matrix")
    assert open_model(folder, digest=digest_of(folder)).classes == (False, True)


def test_modules_that_came_with_the_model_are_found(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", fitted())
    (folder / "code").mkdir()
    (folder / "code/brought_along.py").write_text(OWN_MODULE)
    (folder / "model.pkl").write_bytes(b"cbrought_along\nOwn\n)\x81.")
    described = yaml.safe_load((folder / "MLmodel").read_text())
    described["flavors"]["sklearn"]["code"] = "code"
    (folder / "MLmodel").write_text(yaml.safe_dump(described))
    before = list(sys.path)
    model = open_model(folder, digest=digest_of(folder))
    assert model.predict(ROWS).labels.tolist() == [2.0, -2.0]
    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, ModelFilesInvalid, "there is no MLmodel file"),
        ("a: [", ModelFilesInvalid, "not YAML"),
        ("flavors: {python_function: {}, xgboost: {}}", FlavorUnsupported, "it has: python_function, xgboost"),
        ("just text", FlavorUnsupported, "it has: none"),
        ("flavors: {sklearn: {pickled_model: gone.pkl}}", ModelFilesInvalid, "'gone.pkl' is not there"),
        ("flavors: {sklearn: {pickled_model: ../x.pkl}}", ModelFilesInvalid, "'../x.pkl' is not there"),
        ("flavors: {sklearn: {serialization_format: joblib}}", ModelFilesInvalid, "'joblib' is not one of pickle"),
    ],
)
def test_what_is_no_model_is_said(tmp_path: Path, text: str | None, error: type[Exception], message: str) -> None:
    (tmp_path / "x.pkl").write_bytes(b"")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(b"")
    if text is not None:
        (folder / "MLmodel").write_text(text)
    with pytest.raises(error, match=message):
        open_model(folder, digest=None, trust=True)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", ModelFilesInvalid, "cannot be restored"),
        (b"garbage", ModelFilesInvalid, "cannot be restored"),
        (b"csklearn.linear_model\nNoSuchModel\n.", ModelFilesInvalid, "NoSuchModel"),
        (b"cno_such_library.models\nModel\n.", LibraryMissing, "needs no_such_library, which is not installed"),
    ],
)
def test_what_cannot_be_unpickled_is_said(tmp_path: Path, content: bytes, error: type[Exception], message: str) -> None:
    folder = save_model(tmp_path / "model", fitted())
    (folder / "model.pkl").write_bytes(content)
    with pytest.raises(error, match=message):
        open_model(folder, digest=digest_of(folder))


def test_a_model_that_raises_is_named(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", fitted())
    model = open_model(folder, digest=digest_of(folder), name="models:/delays/3")
    with pytest.raises(PredictionFailed, match=r"models:/delays/3: the model raised ValueError: .*NaN") as caught:
        model.predict(np.array([[np.nan, 0, 0]]))
    assert caught.value.error_kind is ErrorKind.INVALID
    assert "\n" not in str(caught.value)


def test_loading_needs_neither_mlflow_nor_pandas_nor_arrow(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", fitted())
    code = f"""
import sys
from pathlib import Path
from modelyard.graphs import Graph, open_model
loaded = [name for name in ("numpy", "pandas", "pyarrow") if name in sys.modules]
model = open_model(Path({str(folder)!r}), digest={digest_of(folder)!r})
import numpy
assert model.predict(numpy.zeros((1, 3))).labels.shape == (1,)
print(*loaded, *[name for name in ("mlflow", "uvicorn", "skops") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
