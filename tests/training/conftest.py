"""A project with data, training functions good and bad, and a tracking store that is ready."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelyard.operations import OperationContext
from modelyard.projects import open_project
from modelyard.tracking import Tracking, open_tracking
from modelyard.tracking.connection import prepare_mlflow, unwarned

prepare_mlflow()
with unwarned():  # MLflow warns about its own type hints
    import mlflow.pyfunc  # noqa: F401

MakeContext = Callable[..., OperationContext]

CODE = '''
import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder


def late(dataset, parameters):
    return LogisticRegression(C=parameters.get("C", 1.0)).fit(dataset.matrix(), dataset.labels())


def lazy(dataset, parameters):
    from sklearn.dummy import DummyClassifier
    return DummyClassifier(strategy="prior").fit(dataset.matrix(), dataset.labels())


def minutes(dataset, parameters):
    return LinearRegression().fit(dataset.frame(), dataset.labels())


def words(dataset, parameters):
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder
    columns = make_column_transformer((OneHotEncoder(), ["carrier"]), remainder="passthrough")
    return make_pipeline(columns, LogisticRegression()).fit(dataset.frame(), dataset.labels())


def pyfunc(dataset, parameters):
    import mlflow.pyfunc
    import pandas as pd

    class Windy(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: pd.DataFrame, params=None):
            return model_input["wind"] > 0.3

    return Windy()


def several(dataset, parameters):
    from sklearn.ensemble import HistGradientBoostingClassifier
    return HistGradientBoostingClassifier(max_iter=20, categorical_features=[1]).fit(dataset.matrix(), dataset.labels())


class Rule:
    """No scikit-learn at all."""

    classes_ = np.array([False, True])

    def predict(self, rows):
        return rows[:, 0] > 0


def rule(dataset, parameters):
    return Rule()


def a_class(dataset, parameters):
    return LogisticRegression


def nothing(dataset, parameters):
    LogisticRegression().fit(dataset.matrix(), dataset.labels())


def text(dataset, parameters):
    return "model"


def not_fitted(dataset, parameters):
    return make_pipeline(OrdinalEncoder(), LogisticRegression())


def other_columns(dataset, parameters):
    return LogisticRegression().fit(dataset.matrix()[:, :1], dataset.labels())


class Short(Rule):
    def predict(self, rows):
        return np.zeros(3)


def short(dataset, parameters):
    return Short()


class NoNumber(Rule):
    def predict_proba(self, rows):
        return np.full((len(rows), 2), np.nan)


def no_number(dataset, parameters):
    return NoNumber()


def raises(dataset, parameters):
    return _deeper(dataset)


def _deeper(dataset):
    raise KeyError("no such\\nfare")


def one_argument(dataset):
    return None


def cost(truth, predictions):
    """Dollars lost per row."""
    return {"cost": float((truth != predictions.labels).mean()) * 7, "undefined": float("nan")}


def broken_metric(truth, predictions):
    return "high"
'''

YAML = """
name: shop
functions:
  late: {handler: "shop:late"}
  cost: {handler: "shop:cost"}
"""


def rows(count: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    wind, rain = random.normal(size=count), random.normal(size=count)
    score = 1.5 * wind + rain + random.normal(size=count)
    carrier = np.array(["UA", "B6", "DL"])[random.integers(0, 3, count)]
    return pa.table(
        {
            "wind": wind,
            "rain": rain,
            "gates": random.integers(1, 9, count),
            "carrier": carrier,
            "late": score > 0.5,
            "minutes": 10 * score,
            "class": np.where(score > 1, "very", np.where(score > 0, "late", "fine")),
        }
    )


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose database has a schema: to copy it takes milliseconds, to make it seconds."""
    root = tmp_path_factory.mktemp("template") / "shop"
    (root / "data").mkdir(parents=True)
    (root / "modelyard.yaml").write_text(YAML)
    (root / "shop.py").write_text(CODE)
    pq.write_table(rows(400, 0), root / "data" / "train.parquet")
    july = rows(300, 1).replace_schema_metadata({"modelyard.notes": '{"excluded": 1132, "source": "made up"}'})
    pq.write_table(july, root / "data" / "july.parquet")
    project = open_project(str(root))
    open_tracking(project.environment(), project.name)
    return root


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    shutil.copytree(template, root)
    return root


@pytest.fixture
def new_context(shop: Path, tmp_path: Path) -> MakeContext:
    def make(key: str = "", **changes: Any) -> OperationContext:
        return OperationContext(project=str(shop), folder=tmp_path, key=key, **changes)

    return make


@pytest.fixture
def tracking(shop: Path) -> Tracking:
    project = open_project(str(shop))
    return open_tracking(project.environment(), project.name)
