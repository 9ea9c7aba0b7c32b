"""Every example DAG is read without errors and runs as a user would run it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow_home import Runs, needs_main_environment
from asset_runs import events, make_known, run_triggered
from lineage_log import listening, names, of_task

EXAMPLES = Path(__file__).parents[2] / "docs/airflow/example_dags"


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """Return a copy of the examples, which keep their state beside them."""
    return Path(
        shutil.copytree(EXAMPLES, tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__", ".modelyard"))
    )


def test_all_examples_are_read_without_errors(examples: Path) -> None:
    bag = DagBag(examples)

    assert bag.import_errors == {}
    assert set(bag.dags) == {"example_wine", "example_rescore", "example_decorator", "example_mapping"}


@needs_main_environment
def test_functions_of_the_dag_file_run_in_the_projects_interpreter(runs: Runs, examples: Path) -> None:
    run = runs.run(DagBag(examples / "example_decorator.py").get_dag("example_decorator"))
    day = run.logical_date.date()

    assert runs.xcom(run, "growers") == ["grower-0, 4 columns", "grower-1, 4 columns"]
    assert [runs.xcom(run, "greeting", index=index) for index in (0, 1)] == [
        f"grower-0, 4 columns on {day}",
        f"grower-1, 4 columns on {day}",
    ]


@pytest.mark.slow
@needs_main_environment
def test_trainings_and_predictions_are_mapped_and_summed_up(runs: Runs, examples: Path, tmp_path: Path) -> None:
    dag = DagBag(examples / "example_mapping.py").get_dag("example_mapping")
    run = runs.run(dag, conf={"folder": str(tmp_path)})
    each = [runs.xcom(run, "tune_each", index=index) for index in (0, 1)]
    accuracy = [one["metrics"]["accuracy"] for one in each]
    tuned, scored = runs.xcom(run, "tune"), runs.xcom(run, "scored")

    assert set(runs.states(run).values()) == {"success"}
    assert accuracy[1] > accuracy[0]
    assert (tuned["count"], [row["index"] for row in tuned["rows"]]) == (2, [1, 0])
    assert (tuned["best"]["trees"], tuned["best"]["metrics.accuracy"]) == (20, accuracy[1])
    assert tuned["best"]["result"] == each[1]
    assert scored["rows"] == [
        {"index": at, "partition": name, "rows": 178, "rejected": 0, "dataset": str(tmp_path / "scored" / name)}
        for at, name in enumerate(("north", "south"))
    ]
    assert scored["table"].splitlines()[0] == "| index | partition | rows | rejected | dataset |"
    assert runs.xcom(run, "best", "digest") == each[1]["digest"]
    assert {runs.xcom(run, "predict", "model", index) for index in (0, 1)} == {"models:/wine-best/1"}


@needs_main_environment
def test_wine_goes_from_data_to_scored_files(runs: Runs, examples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wine"
    folder.mkdir()
    dag = DagBag(examples / "example_wine.py").get_dag("example_wine")
    rescore = DagBag(examples / "example_rescore.py").get_dag("example_rescore")
    make_known(rescore)
    with listening(tmp_path) as lineage:
        run = runs.run(dag, conf={"folder": str(folder), "trees": 20})
    results: dict[str, Any] = {task: runs.xcom(run, task) for task in dag.task_dict if task != "predict"}

    assert set(runs.states(run).values()) == {"success"}
    assert results["data"] == {"value": {"rows": 178}}
    assert (results["train"]["rows"], results["train"]["held_out_rows"]) == (134, 44)
    assert results["register"]["model"] == "models:/wine-grower/1"
    assert results["evaluate"]["model"] == "models:/wine-grower/1"
    assert results["evaluate"]["metrics"]["accuracy"] > 0.8
    assert (results["promote"]["first"], results["promote"]["alias"]) == (True, "champion")
    assert results["deploy"]["models"] == {"grower": "models:/wine-grower/1"}
    assert runs.xcom(run, "deploy", "_link_EndpointLink") == results["deploy"]["url"]
    assert (results["ready"]["url"], results["ready"]["state"]) == (results["deploy"]["url"], "running")
    assert results["undeploy"] == {"endpoint": "wines", "removed": True}
    for index, name in enumerate(("scored-a", "scored-b")):
        assert runs.xcom(run, "predict", "rows", index) == 178
        assert json.loads((folder / name / "_manifest.json").read_text())

    told = events(run)
    assert set(told) == {
        "modelyard://model/wine-grower",
        "modelyard://model/wine-grower@champion",
        "modelyard://endpoint/wines",
    }
    version, champion, endpoint = (told[each] for each in sorted(told, key=lambda uri: (uri[12] != "m", uri)))
    assert (version["version"], version["model"], version["metrics"]) == (
        1,
        "models:/wine-grower/1",
        results["train"]["metrics"],
    )
    assert (champion["metrics"], champion["gates"]) == (results["evaluate"]["metrics"], results["promote"]["gates"])
    assert set(champion["gates"]) == {"accuracy >= 0.8", "accuracy >= champion - 0.02"}
    assert (champion["operation"], champion["project"]) == ("promote", "wine")
    assert (endpoint["url"], endpoint["revision"]) == (results["deploy"]["url"], results["deploy"]["revision"])

    completed = {
        task: of_task(lineage(), "example_wine", task)["COMPLETE"]
        for task in ("train", "register", "evaluate", "promote", "deploy")
    }
    model = results["train"]["model"].removeprefix("models:/")
    data, version = ("file", str(folder / "wine.csv")), ("modelyard", "model/wine-grower")
    assert {task: (sorted(set(names(each["inputs"]))), names(each["outputs"])) for task, each in completed.items()} == {
        "train": ([data], [("modelyard", f"model/{model}")]),
        "register": ([("modelyard", f"model/{model}")], [version]),
        "evaluate": ([data, version], []),
        "promote": ([version], [version]),
        "deploy": ([version], [("modelyard", "endpoint/wines")]),
    }
    columns = completed["train"]["inputs"][0]["facets"]["schema"]["fields"]
    assert [(each["name"], each["type"]) for each in columns[:2]] == [("alcohol", "double"), ("malic_acid", "double")]
    assert completed["register"]["outputs"][0]["facets"]["version"]["datasetVersion"] == "1"
    assert completed["train"]["run"]["facets"]["modelyard_run"]["run"] == results["train"]["run_id"]
    assert completed["promote"]["run"]["facets"]["modelyard_run"]["gates"] == results["promote"]["gates"]
    assert completed["promote"]["run"]["facets"]["modelyard_run"]["metrics"] == results["evaluate"]["metrics"]

    shutil.copy(folder / "wine.csv", examples)
    rescored = run_triggered(rescore)
    assert runs.states(rescored) == {"predict": "success"}
    assert runs.xcom(rescored, "predict", "model") == "models:/wine-grower/1"
    assert events(rescored)["modelyard://dataset/wines/rescored"]["rows"] == 178
