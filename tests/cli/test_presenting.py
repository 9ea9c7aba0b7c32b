from typing import Any

import pytest

from modelyard.cli.presenting import present, steps_of
from modelyard.operations.catalogue import load_catalogue


def shown(capsys: pytest.CaptureFixture[str], operation: str, result: dict[str, Any]) -> list[str]:
    present(load_catalogue()[operation], result)
    return capsys.readouterr().out.splitlines()


EVALUATION = {
    "evaluation": "e1",
    "model": "models:/delays/2",
    "baseline": "models:/delays/1",
    "metrics": {"auc": 0.744, "brier": 0.1},
    "baseline_metrics": {"auc": 0.706},
    "rows": 10,
    "report": "r.html",
}


def test_metrics_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "evaluate", EVALUATION) == [
        "evaluation  e1",
        "model       models:/delays/2",
        "baseline    models:/delays/1",
        "rows        10",
        "report      r.html",
        "",
        "METRIC  MODEL  BASELINE",
        "auc     0.744  0.706",
        "brier   0.1    -",
    ]


def test_without_a_baseline_there_is_one_column(capsys: pytest.CaptureFixture[str]) -> None:
    alone = {**EVALUATION, "baseline": None, "baseline_metrics": {}}
    assert shown(capsys, "evaluate", alone)[-2:] == ["auc     0.744", "brier   0.1"]


def test_gates_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"model": "models:/d/2", "name": "d", "gates": {"auc >= 0.7": "0.744 >= 0.700: held"}, "first": True}
    assert shown(capsys, "promote", result) == [
        "model  models:/d/2",
        "name   d",
        "first  yes",
        "",
        "GATE        HELD",
        "auc >= 0.7  0.744 >= 0.700: held",
    ]
    assert shown(capsys, "promote", {**result, "gates": {}})[-1] == "first  yes"


def test_steps_show_the_first_of_what_they_left(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}
    result = {
        "workflow_run": "k",
        "steps": {"train": "succeeded", "empty": "succeeded"},
        "results": {
            "train": {"run_id": "r", "digest": "0" * 64, "metrics": metrics, "rows": 0, "profile": "p", "x": 1}
        },
    }
    assert shown(capsys, "run", result)[1:] == [
        "train  succeeded  run_id=r, metrics=a=0.1, b=0.2, c=0.3, …, rows=0, profile=p",
        "empty  succeeded  -",
    ]


def test_steps_are_those_of_a_workflows_error() -> None:
    assert steps_of({"workflow": "main", "steps": {"a": "failed"}}) == {"a": "failed"}
    assert steps_of({"steps": {"a": "failed"}}) == {}
    assert steps_of({"workflow": "main", "steps": ["a", "b"]}) == {}
