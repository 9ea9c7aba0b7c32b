"""With a real ``airflow standalone``: approval, deferral, assets, kills, retries, clearing, backfill, git bundles.

All tests share one Airflow, which takes a minute to come up on a busy machine.
"""

import json
import os
import signal
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from airflow_home import eventually, needs_main_environment
from airflow_standalone import Standalone, alive, fields_of, group_of
from standalone_projects import EVERY, Projects, make_projects, registered, tracked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_main_environment]

DAGS = ["flights_reviewed", "flights_batch", "training", "training_deferred", "asking", "asking_workflow", "daily"]


class Training(NamedTuple):
    """One run of a DAG that trains until it is let go."""

    dag: str
    run: str
    folder: Path

    @property
    def key(self) -> str:
        """The key of its work."""
        return f"{self.dag}/{self.run}/train"

    def process(self, name: str = "worker") -> int:
        """Return the number of a process of the work."""
        return int((self.folder / name).read_text())

    @property
    def turns(self) -> int:
        """How often the work was started."""
        return len(list(self.folder.glob("turn-*")))


class Stage(NamedTuple):
    """A running Airflow, its projects, and the runs that were begun at once."""

    airflow: Standalone
    projects: Projects
    evaluation: str
    flights_run: str
    asking_run: str
    folder: Path

    def train(self, dag: str) -> Training:
        """Start a run, and return it when the training is under way."""
        folder = self.folder / f"traces-{dag}-{len(list(self.folder.glob('traces-*')))}"
        folder.mkdir()
        run = Training(dag, self.airflow.begin(dag, folder=str(folder)), folder)
        self.airflow.await_task(dag, run.run, "train", "running", "deferred")

        def under_way() -> bool:
            state = self.airflow.task(dag, run.run, "train")["state"]
            assert state in ("running", "deferred"), self.airflow.told(dag, run.run, "train")
            return (folder / "worker").exists()

        self.airflow.await_(under_way, "the training is under way", 120)
        return run


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("standalone")
    projects = make_projects(home)
    (home / "dags").mkdir()
    airflow = Standalone(home, projects.bundles)
    try:
        airflow.start()
        # While Airflow comes up.
        evaluation = projects.prepare()
        airflow.ready(DAGS)
        runs = airflow.begin("asking"), airflow.begin("flights_reviewed", every=EVERY, trees=30)
        yield Stage(airflow, projects, evaluation, runs[1], runs[0], home)
    finally:
        for folder in home.glob("traces-*"):
            (folder / "go").touch()
        airflow.stop()


@pytest.mark.parametrize("dag", ["training", "training_deferred"])
def test_marking_a_task_failed_ends_its_work_within_five_seconds(stage: Stage, dag: str) -> None:
    training = stage.train(dag)
    if dag == "training_deferred":
        stage.airflow.await_task(dag, training.run, "train", "deferred")
    group = group_of(training.process())
    assert {training.process(), training.process("grandchild")} <= set(group)
    began = time.monotonic()
    stage.airflow.mark(dag, training.run, "train", "failed")

    assert eventually(lambda: not any(map(alive, group)), 30), stage.airflow.told(dag, training.run, "train")
    # Five seconds on a machine that is not busy: the work's own processes take part of them.
    assert time.monotonic() - began < 5 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert stage.airflow.await_run(dag, training.run) == "failed"
    assert eventually(lambda: tracked(stage.projects.flights, training.key) == [("KILLED", 1, 0)])
    assert training.turns == 1


def test_a_task_whose_worker_is_killed_in_mid_training_attaches_and_trains_once(stage: Stage) -> None:
    training = stage.train("training")
    worker = training.process()
    task = int(fields_of(worker)[1])
    for pid in (int(fields_of(task)[1]), task):
        os.kill(pid, signal.SIGKILL)

    def tried_again() -> bool:
        found = stage.airflow.task("training", training.run, "train")
        return found["try_number"] == 2 and found["state"] == "running"

    stage.airflow.await_(tried_again, "the task is tried again", 120)
    assert alive(worker)
    (training.folder / "go").touch()
    # A task that is cleared while its run is being ended may be left lying by Airflow.
    assert stage.airflow.await_run("training", training.run) == "success"
    assert training.turns == 1
    assert tracked(stage.projects.flights, training.key) == [("FINISHED", 1, 1)]
    first = stage.airflow.xcom("training", training.run, "train")
    assert first["rows"] > 2000
    assert stage.airflow.xcom("training", training.run, "train", "model") == first["model"]

    # Clearing the succeeded task trains anew.
    stage.airflow.clear("training", training.run, "train")
    stage.airflow.await_(lambda: training.turns == 2, "the work is done anew", 120)
    stage.airflow.await_task("training", training.run, "train", "success")
    assert tracked(stage.projects.flights, training.key) == [("FINISHED", 1, 1), ("FINISHED", 2, 1)]
    assert stage.airflow.xcom("training", training.run, "train", "model") != first["model"]


def test_a_parameter_of_the_wrong_type_is_refused_where_the_run_is_started(stage: Stage) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        stage.airflow.begin("flights_reviewed", every="some")
    assert caught.value.code == 400
    assert "'some' is not of type 'integer'" in json.load(caught.value)["detail"]


def test_people_reject_and_approve_by_the_rest_api(stage: Stage) -> None:
    airflow, delays, run = stage.airflow, stage.projects.delays, stage.asking_run
    question = airflow.question("asking", run, "promote")
    assert question["subject"] == "Promote models:/delays/2 to champion?"
    assert question["options"] == ["Approve", "Reject"]
    assert question["body"].splitlines() == [
        "Mind the holidays.",
        "",
        "`models:/delays/2` is to become **champion** of delays, in the place of `models:/delays/1`.",
        "",
        "| metric | champion (1) | challenger (2) | difference |",
        "|---|---:|---:|---:|",
        "| roc_auc | 0.744 | 0.75 | +0.006 |",
        "| log_loss | 0.41 | 0.4 | -0.01 |",
        "",
        "| gate | outcome |",
        "|---|---|",
        "| `roc_auc >= 0.7` | 0.75 >= 0.7: held |",
        "| `roc_auc >= champion - 0.005` | 0.75 >= 0.739 (champion 0.744 - 0.005): held |",
        "",
        f"- Evaluation (MLflow run): `{stage.evaluation}`",
    ]
    assert registered(delays, "delays") == ({"champion": 1}, {})

    airflow.answer("asking", run, "promote", "Reject", "worse at JFK")
    assert airflow.await_run("asking", run) == "success"
    assert airflow.states("asking", run) == {"promote": "skipped", "after": "skipped"}
    aliases, said = registered(delays, "delays")
    rejection = said["modelyard.rejection.champion"]
    assert rejection.pop("at").endswith("+00:00")
    assert (aliases, said) == (
        {"champion": 1},
        {
            "modelyard.rejection.champion": {
                "model": "models:/delays/2",
                "current": "models:/delays/1",
                "by": "Anonymous",
                "reason": "worse at JFK",
                "evaluation": stage.evaluation,
                "workflow_run": f"asking/{run}",
            }
        },
    )
    assert airflow.xcom("asking", run, "promote") == {
        "model": "models:/delays/1",
        "alias": "champion",
        "approved": False,
        "by": "Anonymous",
        "reason": "worse at JFK",
    }

    run = airflow.begin("asking")
    airflow.question("asking", run, "promote")
    airflow.answer("asking", run, "promote", "Approve", "better at EWR")
    assert airflow.await_run("asking", run) == "success"
    assert airflow.states("asking", run) == {"promote": "success", "after": "success"}
    aliases, said = registered(delays, "delays")
    promotion = said["modelyard.promotion.champion"]
    assert aliases == {"champion": 2}
    assert (promotion["by"], promotion["evaluation"], promotion["done"]) == ("Anonymous", stage.evaluation, True)
    result = airflow.xcom("asking", run, "promote")
    assert list(result.pop("gates")) == ["roc_auc >= 0.7", "roc_auc >= champion - 0.005"]
    assert result == {
        "model": "models:/delays/2",
        "name": "delays",
        "alias": "champion",
        "previous": "models:/delays/1",
        "first": False,
        "approved": True,
        "by": "Anonymous",
        "reason": "better at EWR",
    }


def test_people_reject_and_approve_a_step_of_a_workflow(stage: Stage) -> None:
    airflow, delays, dag = stage.airflow, stage.projects.delays, "asking_workflow"
    rejected, approved = airflow.begin(dag), airflow.begin(dag, reviewer="bea")
    question = airflow.question(dag, rejected, "promote")
    assert question["subject"] == "Promote models:/delays/2 to challenger?"
    assert question["body"].splitlines()[:1] == ["Mind the workflow."]
    airflow.answer(dag, rejected, "promote", "Reject", "not now")
    assert airflow.await_run(dag, rejected) == "failed"
    states = {"promote": "failed", "after": "upstream_failed", "told": "success", "told-done": "success"}
    assert airflow.states(dag, rejected) == states
    message = "models:/delays/2 was rejected by Anonymous: not now."
    assert airflow.xcom(dag, rejected, "promote", "failure") == {"kind": "gate_failed", "message": message}
    assert airflow.xcom(dag, rejected, "told", "value") == {"given": f"promote: {message}"}
    assert "challenger" not in registered(delays, "delays")[0]

    airflow.question(dag, approved, "promote")
    airflow.answer(dag, approved, "promote", "Approve", "better")
    assert airflow.await_run(dag, approved) == "success"
    assert set(airflow.states(dag, approved).values()) == {"success"}
    assert airflow.xcom(dag, approved, "after", "value") == {"given": ["models:/delays/2", "bea", 2**64 - 1]}
    assert registered(delays, "delays")[0]["challenger"] == 2
    # The step has declared the alias as its asset, and the event says what has moved.
    (event,) = airflow.asset_events(dag, approved)
    assert (event["uri"], event["source_task_id"]) == ("modelyard://model/delays@challenger", "promote")
    assert (event["extra"]["model"], event["extra"]["by"]) == ("models:/delays/2", "Anonymous")


def test_the_flights_are_trained_reviewed_and_scored_when_the_champion_changes(stage: Stage) -> None:
    airflow, flights, run = stage.airflow, stage.projects.flights, stage.flights_run
    question = airflow.question("flights_reviewed", run, "promote")
    assert registered(flights, "flights-delay")[0] == {}
    judged = airflow.xcom("flights_reviewed", run, "evaluate")
    lines = question["body"].splitlines()
    assert lines[2] == "`models:/flights-delay/1` is to become **champion** of flights-delay, which has none yet."
    assert f"| roc_auc | {judged['metrics']['roc_auc']:.6g} |" in lines
    assert f"- Report with plots: `{judged['report']}`" in lines
    assert Path(judged["report"]).is_file()
    for task in ("train", "evaluate"):
        # The triggerer has followed the work: it writes a log of its own.
        assert "the triggerer follows it" in airflow.log("flights_reviewed", run, task)
        assert airflow.log("flights_reviewed", run, task, part="trigger")

    airflow.answer("flights_reviewed", run, "promote", "Approve")
    assert airflow.await_run("flights_reviewed", run) == "success"
    assert set(airflow.states("flights_reviewed", run).values()) == {"success"}
    aliases, said = registered(flights, "flights-delay")
    assert aliases == {"champion": 1}
    assert said["modelyard.promotion.champion"]["workflow_run"] == f"flights_reviewed/{run}"

    def started() -> list[str]:
        found = airflow.call("GET", "/api/v2/dags/flights_batch/dagRuns")["dag_runs"]
        return [each["dag_run_id"] for each in found if each["run_type"] == "asset_triggered"]

    airflow.await_(lambda: bool(started()), "the asset has started the batch", 120)
    (batch,) = started()
    assert airflow.await_run("flights_batch", batch) == "success"
    scored = airflow.xcom("flights_batch", batch, "predict")
    assert (scored["rows"], scored["model"]) == (587, "models:/flights-delay/1")
    assert (flights / "output/batch/_manifest.json").is_file()


def test_a_backfill_of_a_git_bundle_runs_the_code_of_its_version(stage: Stage) -> None:
    airflow = stage.airflow

    def told(run: str) -> object:
        return airflow.xcom("daily", run, "told", "value")

    body = {"dag_id": "daily", "from_date": "2013-08-01T00:00:00Z", "to_date": "2013-08-02T00:00:00Z"}
    airflow.call("POST", "/api/v2/backfills", {**body, "max_active_runs": 2, "dag_run_conf": {"factor": 3}})

    def runs() -> dict[str, str]:
        found = airflow.call("GET", "/api/v2/dags/daily/dagRuns")["dag_runs"]
        return {each["logical_date"][:10]: each["dag_run_id"] for each in found if each["run_type"] == "backfill"}

    airflow.await_(lambda: len(runs()) == 2, "the backfill has two runs", 60)
    first, second = runs()["2013-08-01"], runs()["2013-08-02"]
    assert airflow.await_run("daily", first) == airflow.await_run("daily", second) == "success"
    assert told(first) == {"day": "2013-08-01", "until": "2013-08-02", "factor": 3, "code": "one"}
    assert told(second) == {"day": "2013-08-02", "until": "2013-08-03", "factor": 3, "code": "one"}

    commit = stage.projects.rewrite('CODE = "one"', 'CODE = "two"')
    airflow.await_(
        lambda: airflow.call("GET", "/api/v2/dags/daily")["bundle_version"] == commit, "Airflow sees the commit", 120
    )
    airflow.clear("daily", first, "told")
    airflow.await_(lambda: airflow.task("daily", first, "told")["try_number"] == 2, "it is tried again", 60)
    airflow.await_task("daily", first, "told", "success")
    assert told(first) == {"day": "2013-08-01", "until": "2013-08-02", "factor": 3, "code": "one"}
