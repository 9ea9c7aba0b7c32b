"""An Airflow of the tests' own: one home and one migrated database for the whole session, and what tests do with it.

Import it before anything of Airflow: its settings are read at import.
"""

import atexit
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

HOME = Path(tempfile.mkdtemp(prefix="modelyard-airflow-"))
DAGS = HOME / "dags"
SITE = HOME / "site"
PYTHON = os.environ.get("MODELYARD_TEST_PYTHON", "")
"""The interpreter of the work: the main environment's, where there is no Airflow."""


def _prepare() -> None:
    atexit.register(shutil.rmtree, HOME, ignore_errors=True)
    DAGS.mkdir()
    own = {name for name in os.environ if name.startswith(("AIRFLOW", "MODELYARD"))}
    for name in own:
        if not name.startswith("MODELYARD_TEST_"):
            del os.environ[name]
    os.environ.update(
        AIRFLOW_HOME=str(HOME),
        AIRFLOW__CORE__DAGS_FOLDER=str(DAGS),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME / 'airflow.db'}",
        AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(HOME / "logs"),
        AIRFLOW__API_AUTH__JWT_SECRET="of the tests alone, and long enough for what signs with it: 0123456789ABCDEF",
        AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
    )
    _install_probe()


def _install_probe() -> None:
    """Install the distribution with the probe operations for this process and for its workers."""
    source = Path(__file__).with_name("distribution")
    metadata = SITE / "door_probe-1.0.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(source / "door_probe.py", SITE)
    shutil.copy(source / "entry_points.txt", metadata)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: door-probe\nVersion: 1.0\n")
    sys.path.insert(0, str(SITE))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SITE), os.environ.get("PYTHONPATH", "")]))
    if PYTHON:
        os.environ["MODELYARD_PYTHON"] = PYTHON
    _generate_operators()


def _generate_operators() -> None:
    """Generate the operators ``door_operator.DoorOperator`` and ``act_operator.ActOperator``."""
    from modelyard.operations.catalogue import load_catalogue
    from modelyard.operations.generation import operator_source

    for name in ("door", "act"):
        (SITE / f"{name}_operator.py").write_text(operator_source(load_catalogue().spec(name)))


_prepare()


def pytest_configure(config: pytest.Config) -> None:
    # Airflow's own: its in-process API uses starlette's test client on the httpx that it installs itself.
    config.addinivalue_line("filterwarnings", "ignore:Using `httpx` with `starlette.testclient`")


needs_main_environment = pytest.mark.skipif(
    not Path(PYTHON).is_file(), reason="MODELYARD_TEST_PYTHON names no interpreter for the work: run make test-airflow"
)


@pytest.fixture(scope="session")
def database() -> None:
    """Make the database, once."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()


class Runs:
    """Runs DAGs for real, and reads what Airflow has kept of them."""

    def run(self, dag: Any, *, at: datetime | None = None, conf: dict[str, Any] | None = None) -> Any:
        """Run a DAG by ``dag.test()``; the same `at` again is the same run, as after clearing it."""
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(DAGS, collect_dags=False, bundle_name="dags-folder")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        at = at or datetime.now(UTC)
        return dag.test(logical_date=at, run_after=at, run_conf=conf)

    def states(self, run: Any) -> dict[Any, str]:
        """Return each task's state, by task id, or by task id and map index."""
        return {
            (each.task_id, each.map_index) if each.map_index >= 0 else each.task_id: str(each.state)
            for each in run.get_task_instances()
        }

    def tries(self, run: Any) -> dict[str, int]:
        """Return how often each task was tried."""
        return {each.task_id: each.try_number for each in run.get_task_instances()}

    def xcom(self, run: Any, task: str, key: str = "return_value", index: int = -1) -> Any:
        """Return what a task has published, as the database holds it."""
        return self._kept(run, task, index)[key]

    def xcoms(self, run: Any, task: str, index: int = -1) -> dict[str, Any]:
        """Return all that a task has published; the links that Airflow keeps beside it are no part of that."""
        return {key: value for key, value in self._kept(run, task, index).items() if not key.startswith("_link_")}

    def _kept(self, run: Any, task: str, index: int) -> dict[str, Any]:
        from airflow.models.xcom import XComModel
        from airflow.sdk.serde import deserialize
        from airflow.utils.session import create_session

        with create_session() as session:
            found = session.query(XComModel).filter_by(
                dag_id=run.dag_id, run_id=run.run_id, task_id=task, map_index=index
            )
            return {each.key: deserialize(each.value) for each in found}


@pytest.fixture
def runs(database: None) -> Iterator[Runs]:
    """Return a runner of DAGs, and put back the signal handlers that tasks install."""
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGALRM)}
    yield Runs()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of the test's own."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "modelyard.yaml").write_text("name: doors\n")
    return folder


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Return the folder where the operation ``act`` leaves its traces."""
    folder = tmp_path / "traces"
    folder.mkdir()
    return folder


def eventually(condition: Callable[[], bool], seconds: float = 120) -> bool:
    """Wait until a condition holds; return whether it ever did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
