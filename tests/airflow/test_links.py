"""The links of our operators lead to the pages of a server, or to what Airflow itself shows."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseXCom

from modelyard.airflow.links import EndpointLink, ModelLink, RunLink
from modelyard.operators.airflow import (
    DeployOperator,
    EvaluateOperator,
    PredictOperator,
    PromoteOperator,
    RegisterOperator,
    RollbackOperator,
    RunOperator,
    TrainOperator,
    UndeployOperator,
)

SERVER = "https://bot:open-sesame@mlflow.example.com/"
TASK: Any = SimpleNamespace(dag_id="d", run_id="manual__1", task_id="train", map_index=-1)


@pytest.mark.parametrize(
    ("link", "published", "tracking", "address"),
    [
        (EndpointLink(), {"url": "http://127.0.0.1:8000"}, "", "http://127.0.0.1:8000"),
        (EndpointLink(), {}, "", ""),
        (RunLink(), {"run_id": "4711"}, SERVER, "https://mlflow.example.com/#/runs/4711"),
        (RunLink(), {"evaluation": "0815"}, SERVER, "https://mlflow.example.com/#/runs/0815"),
        (RunLink(), {"run_id": "4711"}, "sqlite:///mlflow.db", ""),
        (RunLink(), {}, SERVER, ""),
        (
            RunLink(),
            {"workflow_run": "w1", "url": "https://kfp/#/runs/details/1"},
            SERVER,
            "https://kfp/#/runs/details/1",
        ),
        (ModelLink(), {"model": "models:/a b/3"}, SERVER, "https://mlflow.example.com/#/models/a%20b/versions/3"),
        (
            ModelLink(),
            {"model": "models:/delays/3"},
            "sqlite:///mlflow.db",
            "/modelyard/card?dag_id=d&run_id=manual__1&task_id=train&map_index=-1",
        ),
        (ModelLink(), {"model": "models:/m-4711"}, SERVER, ""),
        (ModelLink(), {}, SERVER, ""),
    ],
)
def test_a_link_leads_to(
    link: Any, published: dict[str, str], tracking: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseXCom, "get_value", lambda *, ti_key, key: published.get(key))
    operator: Any = SimpleNamespace(tracking=tracking)

    assert link.get_link(operator, ti_key=TASK) == address


def test_the_card_is_below_the_address_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseXCom, "get_value", lambda *, ti_key, key: "models:/delays/3")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://tools.example.com/airflow/")
    operator: Any = SimpleNamespace(tracking="")

    assert ModelLink().get_link(operator, ti_key=TASK).startswith("https://tools.example.com/airflow/modelyard/card?d")


def test_operators_have_the_links_that_their_results_allow() -> None:
    found = {
        each.__name__: [type(link).__name__ for link in each.operator_extra_links]
        for each in (
            *(TrainOperator, RegisterOperator, EvaluateOperator),
            *(PromoteOperator, DeployOperator, PredictOperator),
            *(RunOperator, UndeployOperator, RollbackOperator),
        )
    }

    assert found == {
        "TrainOperator": ["RunLink"],
        "RegisterOperator": ["ModelLink"],
        "EvaluateOperator": ["ModelLink", "RunLink"],
        "PromoteOperator": ["ModelLink"],
        "DeployOperator": ["EndpointLink"],
        "PredictOperator": ["ModelLink"],
        "RunOperator": ["RunLink"],
        "UndeployOperator": [],
        "RollbackOperator": ["EndpointLink"],
    }
