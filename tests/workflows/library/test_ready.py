"""The ready workflows, on real data, from rows to a served model and scored files."""

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import ErrorKind
from modelyard.projects.dispatch import acknowledge, dispatch
from modelyard.workflows import StepFailed, Workflow
from modelyard.workflows.library import batch_predict, train_register_deploy, tune_then_train
from modelyard.workflows.library.choosing import MetricMissing, best_trial

EXAMPLE = Path(__file__).parents[3] / "docs/airflow/example_dags"
WORKFLOWS = {
    "train": "modelyard.workflows.library:train_register_deploy",
    "tune": "modelyard.workflows.library:tune_then_train",
    "score": "modelyard.workflows.library:batch_predict",
}
GIVEN = {
    "function": "wine:fit",
    "dataset": "wines.csv",
    "test_dataset": "wines.csv",
    "label_column": "grower",
    "model_name": "wine-grower",
}


@pytest.fixture
def wines(tmp_path: Path) -> Path:
    """A project whose workflows are the ready ones."""
    root = tmp_path / "wines"
    root.mkdir()
    shutil.copy(EXAMPLE / "wine.py", root)
    lines = "".join(f"  {name}: {handler}\n" for name, handler in WORKFLOWS.items())
    (root / "modelyard.yaml").write_text(f"name: wines\nworkflows:\n{lines}")
    run(root, "call", {"function": "wine:write_data", "parameters": {"path": str(root / "wines.csv")}})
    return root


def run(root: Path, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    completed = dispatch(operation, parameters, project=root)
    acknowledge(completed)
    return dict(completed.result)


def test_each_says_what_it_takes() -> None:
    for each in (train_register_deploy, tune_then_train, batch_predict):
        assert isinstance(each, Workflow)
        assert each.summary
        assert [one.name for one in each.inputs if not one.doc] == []
    assert [step.name for step in tune_then_train.steps] == [
        *("try", "choose", "final-train", "final-register", "final-evaluate", "final-promote", "final-deploy")
    ]


@pytest.mark.parametrize(
    ("metrics", "greater", "expected"),
    [
        ([{"auc": 0.7}, {"auc": 0.8}], True, (1, 0.8, [0.7, 0.8])),
        ([{"auc": 0.7}, {"auc": 0.8}], False, (0, 0.7, [0.7, 0.8])),
        ([{}, {"auc": 0.8}, {"auc": 0.8}], True, (1, 0.8, [None, 0.8, 0.8])),
    ],
)
def test_the_best_trial(metrics: list[dict[str, float]], greater: bool, expected: tuple[int, float, list[Any]]) -> None:
    trials = [{"depth": index} for index in range(len(metrics))]
    index, value, values = expected
    assert best_trial(trials, metrics, "auc", greater) == {
        "parameters": {"depth": index},
        "value": value,
        "trial": index,
        "values": values,
    }


def test_a_metric_that_no_trial_has() -> None:
    with pytest.raises(MetricMissing, match=r"^metric: no trial has the metric 'auk'\. Did you mean auc\?$"):
        best_trial([{}], [{"auc": 1.0}], "auk", greater_is_better=True)


def test_train_register_and_promote_without_a_graph_to_deploy(wines: Path) -> None:
    given = {**GIVEN, "parameters": {"trees": 10}, "gates": ["accuracy >= 0.9"], "holdout": 0.25}
    result = run(wines, "run", {"workflow": "train", "parameters": given})

    assert result["steps"] == {
        **dict.fromkeys(("train", "register", "evaluate", "promote"), "succeeded"),
        "deploy": "skipped",
    }
    assert (result["results"]["train"]["rows"], result["results"]["train"]["held_out_rows"]) == (134, 44)
    assert result["results"]["promote"]["model"] == "models:/wine-grower/1"
    assert result["results"]["evaluate"]["metrics"]["accuracy"] > 0.9

    with pytest.raises(StepFailed) as failed:
        run(wines, "run", {"workflow": "train", "parameters": {**given, "gates": ["accuracy >= 1.1"]}})
    assert failed.value.error_kind is ErrorKind.GATE_FAILED
    assert failed.value.facts["steps"]["promote"] == "failed"
    assert failed.value.facts["steps"]["deploy"] == "blocked"


@pytest.mark.slow
def test_tune_deploy_and_score_in_partitions(wines: Path) -> None:
    sets = [{"trees": 1}, {"trees": 30}]
    given = {**GIVEN, "parameter_sets": sets, "metric": "accuracy", "graph": "wine:graph"}
    try:
        tuned = run(wines, "run", {"workflow": "tune", "parameters": given})
        assert set(tuned["steps"].values()) == {"succeeded"}
        chosen = tuned["results"]["choose"]["value"]
        tried = [tuned["results"][f"try[{index}]"]["metrics"]["accuracy"] for index in (0, 1)]
        assert chosen["values"] == tried
        assert chosen["parameters"] == sets[tried.index(max(tried))]
        url = tuned["results"]["final-deploy"]["url"]
        wine = {"alcohol": 14.2, "malic_acid": 1.7, "color_intensity": 5.6, "hue": 1.04}
        request = urllib.request.Request(url, json.dumps(wine).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert reply.status == 200
    finally:
        run(wines, "undeploy", {"endpoint": "wines"})
    partitions = [{"dataset": "wines.csv", "destination": f"scored/{name}"} for name in ("a", "b")]
    given = {"model": "models:/wine-grower@champion", "partitions": partitions}
    scored = run(wines, "run", {"workflow": "score", "parameters": given})
    assert scored["results"]["summary"]["value"] == {
        "rows": 356,
        "rejected": 0,
        "partitions": 2,
        "destinations": [scored["results"][f"predict[{index}]"]["dataset"] for index in (0, 1)],
    }
    assert (wines / "scored/b/_manifest.json").is_file()
    nothing = run(wines, "run", {"workflow": "score", "parameters": {**given, "partitions": []}})
    assert nothing["results"]["summary"]["value"]["rows"] == 0
