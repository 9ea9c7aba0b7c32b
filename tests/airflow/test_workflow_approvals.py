"""Which steps of a workflow ask people first, and what their tasks are then."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization

from modelyard.operators.airflow.approval import ApprovedPromoteOperator
from modelyard.workflows import StepNotFound, WorkflowInvalid, airflow_dag, airflow_group
from modelyard.workflows.engines.airflow.operators import StepTask

FLOWS = '''
from modelyard.workflows import exit_status, otherwise, steps, when, workflow


@workflow
def main(model: str = "models:/delays/2"):
    """Promote."""
    judged = steps.evaluate(model=model, dataset="data.parquet")
    promoted = steps.promote(model=judged.model, evaluation=judged.evaluation, gates=["roc_auc >= 0.7"])
    steps.deploy(graph="delays", models={"model": promoted.model})
    steps(name="told", on_exit=True).call(function="work:told", parameters={"state": exit_status["state"]})
'''


@pytest.fixture
def work(tmp_path: Path) -> str:
    """Return a project with a workflow that promotes."""
    (tmp_path / "modelyard.yaml").write_text("name: work\nworkflows: {main: flows:main}\n")
    (tmp_path / "flows.py").write_text(FLOWS)
    return str(tmp_path)


def test_a_step_that_asks_is_the_approving_operator_with_the_steps_parameters(work: str) -> None:
    settings = {"body": "Mind the holidays.", "assigned_users": [{"id": "7", "name": "bea"}]}
    dag = airflow_dag(work, approve={"promote": settings})
    plain: Any = airflow_dag(work).task_dict["promote"]
    asking: Any = dag.task_dict["promote"]

    assert isinstance(asking, ApprovedPromoteOperator)
    assert isinstance(asking, StepTask)
    assert not isinstance(plain, ApprovedPromoteOperator)
    assert (asking.body, asking.assigned_users, asking.fail_on_reject) == (*settings.values(), True)
    assert [str(getattr(asking, name)) for name in ("model", "evaluation", "gates", "alias")] == [
        str(getattr(plain, name)) for name in ("model", "evaluation", "gates", "alias")
    ]
    assert set(asking.template_fields) == {*plain.template_fields, "subject", "body"}
    assert (asking.retries, asking.trigger_rule, asking.project) == (plain.retries, "none_failed", plain.project)
    assert {name: task.upstream_task_ids for name, task in dag.task_dict.items()} == {
        name: task.upstream_task_ids for name, task in airflow_dag(work).task_dict.items()
    }
    data = DagSerialization.to_dict(dag)
    DagSerialization.validate_schema(data)


def test_a_group_asks_as_well(work: str) -> None:
    with DAG("asks", schedule=None) as dag:
        airflow_group(work, group_id="inner", approve=["promote"])
    assert isinstance(dag.task_dict["inner.promote"], ApprovedPromoteOperator)


def test_only_promoting_steps_can_ask(work: str) -> None:
    with pytest.raises(StepNotFound, match=r"there is no step 'promot' in the workflow\. Did you mean promote\?"):
        airflow_dag(work, approve=["promot"])
    with pytest.raises(WorkflowInvalid, match="the step deploy does not promote: deploy"):
        airflow_dag(work, approve=["deploy"])


def test_a_rejection_fails_the_step_and_publishes_why(
    work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking: Any = airflow_dag(work, approve=["promote"]).task_dict["promote"]
    published: dict[str, Any] = {}
    called: list[Any] = []

    class Ti:
        xcom_push = staticmethod(published.__setitem__)

    def rejected(self: Any, context: Any, place: Any, work: Any, function: str, parameters: Any) -> dict[str, Any]:
        called.append((function, parameters["reason"]))
        return {"current": "models:/delays/1"}

    monkeypatch.setattr(ApprovedPromoteOperator, "_called", rejected)
    context: Any = {"ti": Ti(), "dag": asking.dag}
    event = {
        "chosen_options": ["Reject"],
        "params_input": {"reason": "no"},
        "responded_at": datetime(2026, 1, 2, tzinfo=UTC),
        "responded_by_user": None,
    }
    review = {"model": "models:/delays/2", "alias": "champion", "evaluation": "e1"}
    with pytest.raises(AirflowFailException, match="models:/delays/2 was rejected: no"):
        asking.execute_complete(context, event, review)

    assert called == [("reject", "no")]
    assert published["failure"] == {"kind": "gate_failed", "message": "models:/delays/2 was rejected: no."}
