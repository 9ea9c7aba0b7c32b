"""The flights project from data to served predictions, each operation started as a door starts it."""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from modelyard.data import ReferenceProfile, open_dataset
from modelyard.projects import open_project
from modelyard.projects.dispatch import acknowledge, dispatch
from modelyard.tracking import Tracking, open_tracking

SOURCE = Path(__file__).parents[2] / "examples" / "flights"
EVERY = 25
TREES = 60


class Flights(NamedTuple):
    """A copy of the project, and what each step returned."""

    root: Path
    results: dict[str, dict[str, Any]]

    def run(self, operation: str, parameters: dict[str, Any], launcher: str = "inline") -> dict[str, Any]:
        """Run an operation; those that import the project's code in a process: this one may know another `flights`."""
        done = dispatch(
            operation, parameters, project=self.root, workflow_run="test", step=operation, launcher=launcher
        )
        acknowledge(done.key, project=self.root, generation=done.generation)
        self.results[operation] = done.result
        return done.result

    @property
    def tracking(self) -> Tracking:
        project = open_project(str(self.root))
        return open_tracking(project.environment(), project.name)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flights]:
    root = tmp_path_factory.mktemp("projects") / "flights"
    shutil.copytree(SOURCE, root, ignore=shutil.ignore_patterns(".modelyard", "data", "output", "__pycache__"))
    flights = Flights(root, {})
    data = flights.run("call", {"function": "prepare", "parameters": {"every": EVERY}}, "process")["value"]
    fitting = {
        "function": "delay-trainer",
        "dataset": data["train"],
        "validation_dataset": data["july"],
        "label_column": "late",
        "feature_columns": data["features"],
        "parameters": {"max_iter": TREES},
    }
    trained = flights.run("train", fitting, "process")
    version = flights.run("register", {"model": trained["model"], "name": "flights-delay"})
    judging = {"model": version["model"], "dataset": data["july"], "metrics": ["caught-in-top-tenth"]}
    judged = flights.run("evaluate", {**judging, "slices": ["carrier", "origin"]}, "process")
    gates = ["roc_auc >= 0.65", "roc_auc >= champion - 0.005"]
    promoting = {"model": version["model"], "evaluation": judged["evaluation"], "gates": gates}
    champion = flights.run("promote", promoting)
    flights.run("deploy", {"graph": "delays", "models": {"model": champion["model"]}}, "process")
    scoring = {"model": champion["model"], "dataset": data["august"], "destination": "output/august"}
    flights.run("predict", {**scoring, "key_columns": ["flight_id"]})
    try:
        yield flights
    finally:
        flights.run("undeploy", {"endpoint": "delays"})


def ask(url: str, body: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def test_the_data_is_counted(flights: Flights) -> None:
    said = flights.results["call"]["value"]
    assert (said["flights"], said["excluded"]) == (336_776, 9_430)
    assert (said["train_rows"], said["july_rows"], said["august_rows"]) == (6_428, 1_132, 1_174)


def test_the_model_is_trained_and_described(flights: Flights) -> None:
    trained = flights.results["train"]
    assert (trained["rows"], trained["held_out_rows"]) == (6_428, 1_132)
    assert 0.7 < trained["metrics"]["roc_auc"] < 0.82
    run = flights.tracking.client.get_run(trained["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["max_iter"] == str(TREES)
    assert run.data.tags["modelyard.function"] == "delay-trainer"
    model = flights.tracking.load_model(flights.tracking.resolve("models:/flights-delay/1"))
    assert model.estimator.n_iter_ == TREES
    assert list(model.features) == flights.results["call"]["value"]["features"]
    assert model.card.dtypes[0] in ("string", "large_string")


def test_the_profiles_describe_features_and_predictions(flights: Flights, tmp_path: Path) -> None:
    client, run_id = flights.tracking.client, flights.results["train"]["run_id"]
    folder = Path(client.download_artifacts(run_id, "profile", str(tmp_path)))
    features = ReferenceProfile.from_json((folder / "features.json").read_text())
    assert features.rows == 6_428
    assert features.column("carrier").kind == "category"
    assert features.column("wind_gust").missing > 4_000
    said = ReferenceProfile.from_json((folder / "predictions.json").read_text())
    mean = said.column("probability").mean
    assert mean is not None
    assert 0.2 < mean < 0.4


def test_the_first_model_becomes_champion_by_its_gates(flights: Flights) -> None:
    judged, champion = flights.results["evaluate"], flights.results["promote"]
    assert judged["rows"] == 1_132
    assert judged["baseline"] is None
    assert 0.15 < judged["metrics"]["caught_in_top_tenth"] < 0.35
    assert judged["metrics"]["roc_auc"] == pytest.approx(flights.results["train"]["metrics"]["roc_auc"])
    page = Path(judged["report"]).read_text()
    assert "Excluded in all of 2013" in page
    assert "9\u202f430" in page
    assert (champion["model"], champion["first"], champion["previous"]) == ("models:/flights-delay/1", True, None)
    assert flights.tracking.resolve("models:/flights-delay@champion").version == 1


def test_a_flight_gets_an_answer_over_http(flights: Flights) -> None:
    url = flights.results["deploy"]["url"]
    assert flights.results["deploy"]["models"] == {"model": "models:/flights-delay/1"}
    flight = {"carrier": "EV", "origin": "EWR", "destination": "ORD", "departure": "2013-08-01T17:30"}
    calm = ask(url, {**flight, "airport_delay": -4.0, "airport_late_share": 0.0, "airport_waiting": 0})
    storm = ask(url, {**flight, "airport_delay": 90.0, "airport_late_share": 0.9, "airport_waiting": 30})
    assert set(calm) == {"late", "probability"}
    assert storm["probability"] > calm["probability"] + 0.1
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, {"carrier": "EV"})
    assert caught.value.code == 422
    assert json.load(caught.value)["error"]["message"] == "origin: is missing. See the example."


def test_online_and_in_batch_the_same_flight_gets_the_same_answer(flights: Flights) -> None:
    scored = open_dataset(str(flights.root / "output/august")).table().to_pylist()
    august = pq.read_table(flights.root / "data/august.parquet").drop_columns(["departure"]).to_pylist()
    assert [row["flight_id"] for row in scored] == [row["flight_id"] for row in august]
    chosen = range(0, len(august), 100)
    answers = ask(flights.results["deploy"]["url"], [august[index] for index in chosen])
    column = next(name for name in scored[0] if name.startswith("probability") and name.lower().endswith("true"))
    for index, answer in zip(chosen, answers, strict=True):
        assert answer["probability"] == pytest.approx(scored[index][column], abs=6e-5)


def test_august_is_scored_whole_by_the_champion(flights: Flights) -> None:
    predicted = flights.results["predict"]
    assert (predicted["rows"], predicted["rejected"], predicted["model"]) == (1_174, 0, "models:/flights-delay/1")
    scored = open_dataset(str(flights.root / "output/august")).table()
    assert scored.num_rows == len(set(scored["flight_id"].to_pylist())) == 1_174
