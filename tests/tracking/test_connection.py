import errno
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from local_ports import free_port
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _get_store
from sqlalchemy import event

from modelyard.projects import Environment
from modelyard.tracking import (
    ArtifactsNotAccessible,
    Tracking,
    TrackingDenied,
    TrackingFull,
    TrackingRefused,
    TrackingSchemaOld,
    TrackingUnavailable,
    open_tracking,
)
from modelyard.tracking.connection import unwarned
from modelyard.tracking.errors import shown

MakeEnvironment = Callable[..., Environment]


@contextmanager
def answering(status: int) -> Iterator[str]:
    """Serve one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else status)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 (the base class calls it so)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_server_that_is_down_is_said_at_once_without_its_password(
    tmp_path: Path, new_environment: MakeEnvironment
) -> None:
    port = free_port()
    uri = f"http://ann:s3cret@127.0.0.1:{port}"
    start = time.monotonic()
    with pytest.raises(TrackingUnavailable) as raised:
        open_tracking(new_environment(tmp_path, tracking=uri), "flights")
    assert time.monotonic() - start < 3
    assert str(raised.value) == (
        f"http://127.0.0.1:{port}: the tracking store does not answer (Connection refused). "
        "Start the server, or correct the environment's tracking address."
    )
    assert "s3cret" not in json.dumps(raised.value.facts)


def test_a_server_that_accepts_and_says_nothing_is_given_up_soon(
    tmp_path: Path, new_environment: MakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.tracking.connection.PROBE_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TrackingUnavailable, match="timed out"):
            open_tracking(new_environment(tmp_path, tracking=uri), "flights")


def test_a_server_that_goes_away_is_noticed_in_seconds(tmp_path: Path, new_environment: MakeEnvironment) -> None:
    with answering(200) as uri:
        tracking = open_tracking(new_environment(tmp_path, tracking=uri), "flights")
    start = time.monotonic()
    with pytest.raises(TrackingUnavailable, match=r"^http://127.0.0.1:\d+: .*\(Connection refused\)"):
        tracking.resolve("models:/delays/1")
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(("status", "error"), [(401, TrackingDenied), (403, TrackingDenied), (404, TrackingRefused)])
def test_what_a_server_refuses_is_named(
    tmp_path: Path, new_environment: MakeEnvironment, status: int, error: type
) -> None:
    with answering(status) as uri:
        tracking = open_tracking(new_environment(tmp_path, tracking=uri), "flights")
        with pytest.raises(error) as raised:
            tracking.resolve("models:/delays/1")
    assert str(raised.value).startswith(uri)
    assert "\n" not in str(raised.value)


def test_a_database_that_cannot_be_made_is_said(tmp_path: Path, new_environment: MakeEnvironment) -> None:
    (tmp_path / "file").write_text("")
    environment = new_environment(tmp_path, tracking=f"sqlite:///{tmp_path}/file/mlflow.db")
    with pytest.raises(TrackingUnavailable, match=r"\((Not a directory|File exists): .*/file"):
        open_tracking(environment, "flights")


def test_a_file_that_is_no_database_is_said(tmp_path: Path, new_environment: MakeEnvironment) -> None:
    (tmp_path / "notes.db").write_text("this is not a database at all, it is a text of more than sixteen bytes")
    with pytest.raises(TrackingUnavailable, match="file is not a database"):
        open_tracking(new_environment(tmp_path, tracking=f"sqlite:///{tmp_path}/notes.db"), "flights")


def test_a_database_of_another_mlflow_says_how_to_upgrade(tmp_path: Path, new_environment: MakeEnvironment) -> None:
    environment = new_environment(tmp_path)
    with sqlite3.connect(tmp_path / "state/mlflow.db") as database:
        database.execute("update alembic_version set version_num = 'acf3f17fdcc7'")
    database.close()
    with pytest.raises(TrackingSchemaOld, match=r"mlflow db upgrade sqlite:////.*/mlflow.db"):
        open_tracking(environment, "flights")


def test_an_address_of_no_kind_is_said(tmp_path: Path, new_environment: MakeEnvironment) -> None:
    with pytest.raises(TrackingRefused) as raised:
        open_tracking(new_environment(tmp_path, tracking="htp://mlflow"), "flights").models()
    assert str(raised.value) == (
        "htp://mlflow: MLflow knows no such tracking address; it must begin with "
        "sqlite, postgresql, mysql, mssql, http or https."
    )


def test_a_full_disk_is_said(tracking: Tracking, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*given: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "x.txt"))

    with pytest.raises(TrackingFull) as raised, tracking.start_run("train") as run:  # noqa: PT012 (after the start)
        monkeypatch.setattr("shutil.copyfileobj", full)
        run.log_artifact("x", "x.txt")
    assert raised.value.kind == "exhausted"
    assert str(raised.value).endswith(f"no space is left for {tmp_path}/x.txt. Free some space and try again.")
    assert tracking.client.get_run(run.run_id).info.status == "FAILED"


def test_a_full_database_is_said(tracking: Tracking, environment: Environment) -> None:
    run = tracking.start_run("train")
    engine: Any = _get_store(environment.tracking).engine

    @event.listens_for(engine, "checkout")
    def limit(connection: Any, *others: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(TrackingFull, match="no space is left for the tracking database"):
        run.log_params({f"p{number}": "x" * 5000 for number in range(90)})


def test_artifacts_that_cannot_be_written_are_said(tracking: Tracking, environment: Environment) -> None:
    Path(environment.artifacts or "").write_text("a file where a folder must be")
    with pytest.raises(ArtifactsNotAccessible, match="a file cannot be written"), tracking.start_run("train") as run:
        run.log_artifact("x", "x.txt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://ann:s3cret@mlflow.example/x", "https://mlflow.example/x"),
        ("mysql+pymysql://ann:s%40t@db/mlflow?ssl_key=abc&x=1", "mysql+pymysql://db/mlflow?ssl_key=…&x=1"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("failed:\n  http://u:p@h/?token=abc\tno", "failed: http://h/?token=… no"),
    ],
)
def test_credentials_are_never_shown(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_opening_is_quiet_and_tells_nobody(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from pathlib import Path; from conftest import make_environment\n"
        "from modelyard.tracking import open_tracking\n"
        f"tracking = open_tracking(make_environment(Path({str(tmp_path)!r})), 'flights')\n"
        "with tracking.start_run('train') as run: run.log_metrics({'auc': 0.5})\n"
        "import os, threading; print(os.environ['MLFLOW_DISABLE_TELEMETRY'], threading.active_count())"
    )
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=surroundings)
    assert (done.returncode, done.stdout, done.stderr) == (0, "true 1\n", "")


EIGHT = """
import os, sys; sys.path[:0] = [{path!r}]
from pathlib import Path
from conftest import make_environment
from modelyard.tracking import open_tracking
import mlflow.sklearn, numpy as np
from sklearn.dummy import DummyClassifier

def work(number, root):
    tracking = open_tracking(make_environment(root), "flights")
    with tracking.start_run("train", key=f"k{{number}}") as run:
        run.log_metrics({{"number": number}})
        info = run.log_model(DummyClassifier().fit(np.zeros((2, 1)), [0, number + 1]))
    return f"{{run.run_id}} {{tracking.register(info.uri, 'delays').version}}"

work(0, Path({root!r}) / "alone")
gate, children = os.pipe(), []
for number in range(8):
    child = os.fork()
    if not child:
        os.close(gate[1])
        os.read(gate[0], 1)
        print(work(number, Path({root!r})), flush=True)
        os._exit(0)
    children.append(child)
os.close(gate[1])
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


def test_eight_at_once_on_a_store_that_does_not_exist_yet(tmp_path: Path) -> None:
    # Forked from one process that has done the same elsewhere, and so has imported everything: eight interpreters would
    # take their minute to start.
    code = EIGHT.format(path=str(Path(__file__).parent), root=str(tmp_path))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len({run_id for run_id, _ in lines}) == 8
    assert sorted(int(version) for _, version in lines) == [1, 2, 3, 4, 5, 6, 7, 8]
    with unwarned():
        client = MlflowClient(f"sqlite:///{tmp_path}/state/mlflow.db")
        versions = client.search_model_versions("name = 'delays'")
        experiment = client.get_experiment_by_name("flights")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
    assert {each.run_id for each in versions} == {run_id for run_id, _ in lines}
    assert sorted(run.data.metrics["number"] for run in runs) == list(range(8))
    assert {run.info.status for run in runs} == {"FINISHED"}


KILLED = """
import os, signal, sys
sys.path.insert(0, {path!r})
from pathlib import Path
from conftest import make_environment
from sqlalchemy import event
from sqlalchemy.engine import Engine
from modelyard.tracking import open_tracking
from modelyard.tracking.connection import prepare_mlflow
prepare_mlflow()
import mlflow.store.tracking.sqlalchemy_store
steps = 0
def kill(*given):
    global steps
    steps += 1
    if steps == limit:
        os.kill(os.getpid(), signal.SIGKILL)
for limit in (1, 30, 90, 180):
    child = os.fork()
    if not child:
        event.listen(Engine, "after_cursor_execute", kill)
        open_tracking(make_environment(Path({root!r})), "flights")
        os._exit(0)
    print(limit, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), os.path.exists({root!r} + "/state/mlflow.db"))
"""


def test_a_first_user_that_is_killed_leaves_no_half_made_database(tmp_path: Path, unmade: Environment) -> None:
    code = KILLED.format(path=str(Path(__file__).parent), root=str(tmp_path))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["1 -9 False", "30 -9 False", "90 -9 False", "180 -9 False"]
    with open_tracking(unmade, "flights").start_run("train") as run:
        run.log_metrics({"number": 1})
    assert not list((tmp_path / "state").glob(".mlflow.db*"))


def test_a_disk_that_is_full_while_the_database_is_made_leaves_none(
    tmp_path: Path, unmade: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(engine: Any) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 20")
            connection.exec_driver_sql("create table large (text)")
            connection.exec_driver_sql("insert into large values (zeroblob(1000000))")

    monkeypatch.setattr("mlflow.store.db.utils._initialize_tables", limited)
    with pytest.raises(TrackingFull, match=r"mlflow.db: no space is left for the tracking database\. Free some space"):
        open_tracking(unmade, "flights")
    assert [file.name for file in (tmp_path / "state").iterdir() if "mlflow" in file.name] == ["mlflow.db.lock"]
