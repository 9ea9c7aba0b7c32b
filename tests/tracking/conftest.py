"""A tracking store of each test's own, and models small enough to fit in no time."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.projects import Environment
from modelyard.tracking import LoggedModelInfo, ModelFacts, Tracking, open_tracking
from modelyard.tracking.connection import prepare_mlflow, unwarned

prepare_mlflow()
with unwarned():  # MLflow warns about its own type hints
    import mlflow.pyfunc  # noqa: F401

MakeEnvironment = Callable[..., Environment]


def make_environment(root: Path, **changes: Any) -> Environment:
    given = {
        "name": "dev",
        "tracking": f"sqlite:///{root}/state/mlflow.db",
        "artifacts": f"{root}/state/artifacts",
        "state_uri": f"{root}/state",
        "deploy": {},
    }
    return Environment(**{**given, **changes})


@pytest.fixture(scope="session")
def new_environment(empty_database: Path) -> MakeEnvironment:
    """Make an environment in a folder, with a database that has a schema and nothing else."""

    def make(root: Path, **changes: Any) -> Environment:
        environment = make_environment(root, **changes)
        shutil.copy(empty_database, environment.open_state() / "mlflow.db")
        return environment

    return make


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a schema, made once: to copy it takes milliseconds, to make it seconds."""
    root = tmp_path_factory.mktemp("schema")
    open_tracking(make_environment(root), "schema")
    return root / "state/mlflow.db"


@pytest.fixture
def environment(tmp_path: Path, new_environment: MakeEnvironment) -> Environment:
    return new_environment(tmp_path)


@pytest.fixture
def unmade(tmp_path: Path) -> Environment:
    """An environment that nobody has used yet: there is no database."""
    return make_environment(tmp_path)


@pytest.fixture
def tracking(environment: Environment) -> Tracking:
    return open_tracking(environment, "flights")


@pytest.fixture(scope="session")
def matrix() -> Any:
    return np.array([[0.0, 1.0], [1.0, 0.0], [0.2, 5.0], [0.9, 2.0], [0.1, 3.0], [0.8, 4.0]])


@pytest.fixture(scope="session")
def estimator(matrix: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(matrix, np.array(["on time", "late", "on time", "late", "on time", "late"]))


FACTS = ModelFacts(
    features=("distance", "hour"),
    dtypes=("double", "int64"),
    task="classification",
    classes=("late", "on time"),
    label="verdict",
)


@pytest.fixture
def facts() -> ModelFacts:
    return FACTS


@pytest.fixture
def stored(tracking: Tracking, estimator: Any, matrix: Any) -> LoggedModelInfo:
    """A model that a finished run stored."""
    with tracking.start_run("train") as run:
        run.log_metrics({"auc": 0.75})
        return run.log_model(estimator, facts=FACTS, input_example=matrix)
