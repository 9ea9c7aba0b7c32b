"""The projects and DAG files of the test with a real ``airflow standalone``."""

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from airflow_home import PYTHON

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"
EVERY = 50

PATIENT = '''
"""Trains, and goes on until it is let go."""

import os
import subprocess
import sys
import time
from pathlib import Path


def fit(dataset, parameters):
    from sklearn.dummy import DummyClassifier

    folder = Path(parameters["folder"])
    (folder / f"turn-{len(list(folder.glob('turn-*')))}").touch()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "grandchild").write_text(str(child.pid))
    (folder / "worker.part").write_text(str(os.getpid()))
    (folder / "worker.part").rename(folder / "worker")
    while not (folder / "go").exists():
        time.sleep(0.05)
    child.kill()
    child.wait()
    return DummyClassifier().fit(dataset.matrix(), dataset.labels())
'''

TRAINING = """
from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from modelyard.operators.airflow import TrainOperator
from modelyard.operators.airflow.approval import ApprovedPromoteOperator
from modelyard.workflows import airflow_dag

for name, settings in (("training", {{}}), ("training_deferred", {{"deferrable": True, "same_host": True}})):
    with DAG(name, schedule=None):
        TrainOperator(
            task_id="train",
            project={flights!r},
            function="patient",
            dataset="data/train.parquet",
            label_column="late",
            feature_columns=["distance"],
            parameters={{"folder": "{{{{ dag_run.conf['folder'] }}}}"}},
            retries=1,
            retry_delay=timedelta(seconds=1),
            **settings,
        )

with DAG("asking", schedule=None):
    ApprovedPromoteOperator(
        task_id="promote",
        project={delays!r},
        model="models:/delays/2",
        gates=["roc_auc >= 0.7", "roc_auc >= champion - 0.005"],
        body="Mind the holidays.",
    ) >> EmptyOperator(task_id="after")

asked = {{"promote": {{"body": "Mind the workflow."}}}}
asking_workflow = airflow_dag({delays!r}, dag_id="asking_workflow", approve=asked)
"""

REVIEW = '''
from modelyard.workflows import exit_status, steps, workflow


def told(given):
    return {"given": given}


@workflow
def main(reviewer: str = "everybody"):
    """Promote the second version, if people agree."""
    promoted = steps(name="promote").promote(
        model="models:/delays/2", gates=["roc_auc >= 0.7"], alias="challenger"
    )
    steps(name="after").call(function="review:told", parameters={"given": [promoted.model, reviewer, 2**64 - 1]})
    steps(name="told", on_exit=True).call(function="review:told", parameters={"given": exit_status["error"]})
'''

DELAYS = """
import sys
import numpy as np
from sklearn.dummy import DummyClassifier
from modelyard.projects import open_project
from modelyard.tracking import open_tracking

project = open_project(sys.argv[1])
tracking = open_tracking(project.environment(), project.name)
for _ in range(2):
    with tracking.start_run("train") as run:
        info = run.log_model(DummyClassifier().fit(np.zeros((2, 1)), [0, 1]))
    tracking.register(info.uri, "delays")
tracking.set_alias("delays", "champion", 1, expected=None)
tags = {
    "modelyard.evaluated_model": "models:/delays/2",
    "modelyard.baseline_model": "models:/delays/1",
    "modelyard.baseline": "champion",
}
with tracking.start_run("evaluate", tags=tags) as run:
    run.log_metrics({"roc_auc": 0.75, "log_loss": 0.4, "champion.roc_auc": 0.744, "champion.log_loss": 0.41})
print(run.run_id)
"""

DAILY = """
from datetime import UTC, datetime

from airflow.sdk import CronDataIntervalTimetable

from modelyard.workflows import airflow_dag

dag = airflow_dag(
    "bundle:projects/work",
    "daily",
    dag_id="daily",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2013, 8, 1, tzinfo=UTC),
    end_date=datetime(2013, 8, 2, tzinfo=UTC),
    parameters={"day": "{{ ds }}", "until": "{{ data_interval_end | ds }}"},
)
"""

WORK = '''
from modelyard.workflows import steps, workflow

CODE = "one"


def told(day, until, factor):
    return {"day": day, "until": until, "factor": factor, "code": CODE}


@workflow
def daily(day: str, until: str, factor: int = 2):
    """Say which day it is."""
    given = {"day": day, "until": until, "factor": factor}
    steps(name="told").call(function="work:told", parameters=given)
'''


class Projects(NamedTuple):
    """Where all of them are."""

    flights: Path
    delays: Path
    repository: Path
    dags: Path

    @property
    def bundles(self) -> list[dict[str, Any]]:
        """What Airflow is to read DAG files from."""
        local = "airflow.dag_processing.bundles.local.LocalDagBundle"
        git = "airflow.providers.git.bundles.git.GitDagBundle"
        return [
            {"name": "flights", "classpath": local, "kwargs": {"path": str(self.flights / "dags")}},
            {"name": "training", "classpath": local, "kwargs": {"path": str(self.dags)}},
            {
                "name": "work",
                "classpath": git,
                "kwargs": {
                    "repo_url": str(self.repository),
                    "tracking_ref": "main",
                    "subdir": "dags",
                    "refresh_interval": 2,
                },
            },
        ]

    def prepare(self) -> str:
        """Make the flights' data, and the versions of delays; return the evaluation of the second."""
        words = ["call", "prepare", "--parameters", f"every={EVERY}", "--project", str(self.flights)]
        subprocess.run([PYTHON, "-m", "modelyard.cli", *words], check=True, capture_output=True)
        done = subprocess.run([PYTHON, "-c", DELAYS, str(self.delays)], check=True, capture_output=True, text=True)
        return done.stdout.split()[-1]

    def rewrite(self, old: str, new: str) -> str:
        """Change the code of the project in the repository, and return the commit."""
        code = self.repository / "projects/work/work.py"
        code.write_text(code.read_text().replace(old, new))
        return committed(self.repository, "Change the code")


def make_projects(home: Path) -> Projects:
    """Write all projects and DAG files into a folder."""
    kept_out = shutil.ignore_patterns(".modelyard", "data", "output", "__pycache__")
    flights = Path(shutil.copytree(FLIGHTS, home / "flights", ignore=kept_out))
    (flights / "patient.py").write_text(PATIENT)
    definition = flights / "modelyard.yaml"
    definition.write_text(
        definition.read_text().replace("functions:\n", "functions:\n  patient: {handler: patient:fit}\n")
    )
    delays = home / "delays"
    delays.mkdir()
    (delays / "modelyard.yaml").write_text("name: delays\nworkflows: {main: review:main}\n")
    (delays / "review.py").write_text(REVIEW)
    dags = home / "training"
    dags.mkdir()
    (dags / "training.py").write_text(TRAINING.format(flights=str(flights), delays=str(delays)))
    repository = home / "repository"
    (repository / "projects/work").mkdir(parents=True)
    (repository / "dags").mkdir()
    (repository / "dags/daily.py").write_text(DAILY)
    (repository / "projects/work/work.py").write_text(WORK)
    state = f"environments: {{dev: {{state: {home / 'work-state'}}}}}\n"
    (repository / "projects/work/modelyard.yaml").write_text(f"name: work\nworkflows: {{daily: work:daily}}\n{state}")
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    committed(repository, "First")
    return Projects(flights, delays, repository, dags)


def committed(repository: Path, message: str) -> str:
    """Commit everything and return the commit."""
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", message], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def tracked(project: Path, key: str) -> list[tuple[str, int, int]]:
    """Return the MLflow runs of a key: status, generation, and how many models it has logged."""
    query = """
        select r.status, g.value, (select count(*) from logged_models m where m.source_run_id = r.run_uuid)
        from runs r
        join tags t on t.run_uuid = r.run_uuid and t.key = 'modelyard.key' and t.value = ?
        join tags g on g.run_uuid = r.run_uuid and g.key = 'modelyard.generation'
        order by r.start_time
    """
    return [(status, int(generation), models) for status, generation, models in _rows(project, query, key)]


def registered(project: Path, name: str) -> tuple[dict[str, int], dict[str, Any]]:
    """Return the aliases of a model, and what its newest version says of promotions and rejections."""
    aliases = dict(_rows(project, "select alias, version from registered_model_aliases where name = ?", name))
    query = """
        select key, value from model_version_tags
        where name = ? and version = (select max(version) from model_versions where name = model_version_tags.name)
    """
    tags = dict(_rows(project, query, name))
    said = {
        key: json.loads(tags[key]) for key in tags if key.startswith(("modelyard.promotion.", "modelyard.rejection."))
    }
    return {alias: int(version) for alias, version in aliases.items()}, said


def _rows(project: Path, query: str, *values: str) -> list[Any]:
    # A second reader of SQLite: MLflow itself would take seconds to import.
    with sqlite3.connect(f"file:{project / '.modelyard/mlflow.db'}?mode=ro", uri=True, timeout=30) as database:
        return database.execute(query, values).fetchall()
