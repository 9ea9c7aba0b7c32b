"""The journal is the truth: what a try leaves in Airflow is gone at the next, and the result is there all the same."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from act_operator import ActOperator
from airflow.sdk import DAG
from airflow_home import Runs, needs_main_environment

from modelyard.operators.airflow import OperationOperator

pytestmark = needs_main_environment


def test_a_try_that_dies_before_its_result_is_published_does_no_work_twice(
    runs: Runs, project: Path, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, tries = OperationOperator._publish, []

    def dies_at_first(ti: Any, done: Any, result: Any, fields: Any) -> None:
        tries.append(ti.try_number)
        if ti.try_number == 1:
            ti.xcom_push("left_by_the_first_try", result["rows"])
            raise ConnectionError("the API server does not answer")
        publish(ti, done, result, fields)

    monkeypatch.setattr(OperationOperator, "_publish", staticmethod(dies_at_first))
    with DAG("unpublished", schedule=None) as dag:
        ActOperator(
            task_id="act",
            project=str(project),
            folder=str(traces),
            rows=5,
            retries=1,
            retry_delay=timedelta(0),
        )
    run = runs.run(dag)

    result = {"turns": 0, "generation": 1, "model": "models:/m/1", "rows": 5}
    assert (runs.states(run), tries) == ({"act": "success"}, [1, 2])
    published = {key: value for key, value in runs.xcoms(run, "act").items() if not key.startswith("_link_")}
    assert published == {**result, "return_value": result}
    assert [each.name for each in traces.glob("turn-*")] == ["turn-0"]
