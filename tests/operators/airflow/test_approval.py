"""Promotion with the consent of people, without a scheduler; with one see tests/airflow/test_standalone.py."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.serialization.serialized_objects import DagSerialization

from modelyard.airflow.approval_page import approval_page
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations import ParameterInvalid
from modelyard.operations.handles import Handle
from modelyard.operators.airflow import PromoteOperator
from modelyard.operators.airflow.approval import ApprovedPromoteOperator
from modelyard.projects.dispatch import Completed

REVIEW: dict[str, Any] = {
    "model": "models:/delays/2",
    "name": "delays",
    "alias": "champion",
    "current": "models:/delays/1",
    "evaluation": "e1",
    "baseline": "models:/delays/1",
    "metrics": {"roc_auc": 0.75},
    "baseline_metrics": {"roc_auc": 0.744},
    "gates": {"roc_auc >= 0.7": "0.75 >= 0.7: held"},
    "report": "/state/report.html",
    "artifact": "",
}
PROMOTED = {"model": "models:/delays/2", "alias": "champion", "previous": "models:/delays/1"}
REJECTED = {"model": "models:/delays/2", "current": "models:/delays/1"}


class Away(ModelyardError):
    """Raised in the place of a tracking server that does not answer."""

    kind = ErrorKind.UNAVAILABLE


class Moved(ModelyardError):
    """Raised in the place of a champion that has moved."""

    kind = ErrorKind.CONFLICT


class Store(dict[str, Any]):
    """Airflow's task state, which outlives a try."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Task:
    """A task whose work is not done but written down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.published: dict[str, Any] = {}
        self.done: list[tuple[str, dict[str, Any], str]] = []
        self.authors: list[str] = []
        self.error: ModelyardError | None = None
        self.store = Store()
        self.folder = folder
        task = self

        def dispatched(
            self: Any, context: Any, place: Any, work: Any, operation: str, parameters: Any, part: str = ""
        ) -> Completed:
            task.done.append((operation, dict(parameters), part))
            task.authors.append(os.environ.get("MODELYARD_USER", ""))
            if task.error is not None:
                raise task.error
            answers = {"/review": {"value": REVIEW}, "/reject": {"value": REJECTED}, "": PROMOTED}
            handle = Handle(
                launcher="process",
                key="k",
                generation=1,
                attempt=1,
                folder=str(folder),
                host="",
                boot="",
                pid=1,
                start="",
            )
            return Completed(dict(answers[part]), "k", 1, handle)

        monkeypatch.setattr(ApprovedPromoteOperator, "_dispatched", dispatched)
        monkeypatch.setattr("modelyard.projects.dispatch.acknowledge", lambda done: True)
        monkeypatch.setenv("MODELYARD_USER", "the scheduler")

    def operator(self, **arguments: Any) -> ApprovedPromoteOperator:
        with DAG("approving", schedule=None) as dag:
            made = ApprovedPromoteOperator(
                task_id="promote", project=str(self.folder), model="models:/delays@challenger", outlets=[], **arguments
            )
        dag.fileloc = str(self.folder / "dag.py")
        return made

    @property
    def context(self) -> Any:
        ti = SimpleNamespace(xcom_push=self.published.__setitem__)
        dag = SimpleNamespace(fileloc=str(self.folder / "dag.py"))
        return {"ti": ti, "dag": dag, "task_state_store": self.store, "outlet_events": {}}


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch, project: Path) -> Task:
    return Task(monkeypatch, project)


def _answer(option: str, reason: str = "", *, timedout: bool = False) -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": {"reason": reason} if reason else {},
        "responded_at": datetime(2026, 1, 2, tzinfo=UTC),
        "responded_by_user": None if timedout else {"id": "7", "name": "bea"},
        "timedout": timedout,
    }


def test_the_page_shows_the_metrics_of_the_gates_first_and_says_what_is_left_out() -> None:
    metrics = {f"m{number:02}": number / 100 for number in range(31)}
    review = {
        **REVIEW,
        "current": "",
        "baseline": "",
        "metrics": metrics,
        "baseline_metrics": {},
        "gates": {"m30 >= 0.1": "0.3 >= 0.1: held"},
        "artifact": "s3://ml/e1/report.html",
    }
    lines = approval_page(review, "Mind the *holidays*.\n").splitlines()

    assert lines[:8] == [
        "Mind the *holidays*.",
        "",
        "`models:/delays/2` is to become **champion** of delays, which has none yet.",
        "",
        "| metric | challenger (2) |",
        "|---|---:|",
        "| m30 | 0.3 |",
        "| m00 | 0 |",
    ]
    assert lines[-9:] == [
        "Left out: 1 more metrics; the report has them all.",
        "",
        "| gate | outcome |",
        "|---|---|",
        "| `m30 >= 0.1` | 0.3 >= 0.1: held |",
        "",
        "- Report with plots: `/state/report.html`",
        "- The same as an artifact: `s3://ml/e1/report.html`",
        "- Evaluation (MLflow run): `e1`",
    ]


def test_the_page_names_a_baseline_that_is_not_the_champion_and_escapes_what_would_break_a_table() -> None:
    review = {**REVIEW, "baseline": "models:/other/9", "metrics": {"a|b": 0.5}, "baseline_metrics": {}}
    assert "| a\\|b | 0.5 |" in approval_page(review)
    review["baseline_metrics"] = {"c": 1.0}
    page = approval_page(review)
    assert "| metric | baseline (9) | challenger (2) | difference |" in page
    assert "| a\\|b |  | 0.5 |  |" in page


def test_a_page_without_an_evaluation_says_so() -> None:
    page = approval_page({**REVIEW, "metrics": {}, "gates": {}, "evaluation": "", "report": ""})
    assert page.splitlines()[-1] == "No evaluation of this version was found."


def test_it_takes_all_that_promote_takes_and_never_defers() -> None:
    with DAG("takes", schedule=None, params={"of_the_dag": 3}) as dag:
        operator = ApprovedPromoteOperator(
            task_id="promote",
            model="models:/delays/2",
            gates=["roc_auc >= 0.7"],
            defaults="Reject",
            response_timeout=timedelta(hours=1),
            same_host=True,
        )
    assert isinstance(operator, PromoteOperator)
    assert (operator.deferrable, operator.gates, operator.alias) == (False, ["roc_auc >= 0.7"], "champion")
    assert set(PromoteOperator.template_fields) < set(operator.template_fields)
    assert operator.output["reason"].key == "reason"
    # The form of the question asks for no parameter of the DAG.
    assert list(operator.params) == ["reason"]
    data = DagSerialization.to_dict(dag)
    DagSerialization.validate_schema(data)
    with pytest.raises(ParameterInvalid, match='defaults: must be Approve or Reject, got "Perhaps"'):
        ApprovedPromoteOperator(task_id="wrong", model="models:/delays/2", defaults="Perhaps")
    with pytest.raises(ParameterInvalid, match="launcher"):
        ApprovedPromoteOperator(task_id="wrong", model="models:/delays/2", launcher="pigeon")  # type: ignore[arg-type]


def test_approval_promotes_exactly_what_was_shown_in_the_name_of_who_approved(task: Task) -> None:
    operator = task.operator(gates=["roc_auc >= 0.7"])
    result = operator.execute_complete(task.context, _answer("Approve", "better at JFK"), REVIEW)

    (done,) = task.done
    assert done == (
        "promote",
        {"model": "models:/delays/2", "evaluation": "e1", "gates": ["roc_auc >= 0.7"], "alias": "champion"},
        "",
    )
    assert task.authors == ["bea"]
    assert result == {**PROMOTED, "approved": True, "by": "bea", "reason": "better at JFK"}
    assert task.published == {**result, "return_value": result}
    assert task.store == {}


def test_a_version_that_has_the_alias_already_is_promoted_without_a_question(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REVIEW, "current", "models:/delays/2")
    result = task.operator().execute(task.context)
    assert [(name, part) for name, _, part in task.done] == [("call", "/review"), ("promote", "")]
    assert (result["approved"], result["by"]) == (True, "")
    assert task.authors[-1] == "the scheduler"


def test_rejection_is_recorded_then_the_task_is_skipped(task: Task) -> None:
    with pytest.raises(AirflowSkipException, match=r"models:/delays/2 was rejected by bea: worse at JFK"):
        task.operator().execute_complete(task.context, _answer("Reject", "worse at JFK"), REVIEW)

    facts = {"model": "models:/delays/2", "alias": "champion", "evaluation": "e1"}
    asked = {
        "function": "modelyard.training.review:reject",
        "parameters": {**facts, "by": "bea", "reason": "worse at JFK"},
    }
    assert task.done == [("call", asked, "/reject")]
    assert task.published["model"] == "models:/delays/1"
    assert task.published["approved"] is False


def test_rejection_fails_the_task_where_that_is_asked_for(task: Task) -> None:
    with pytest.raises(AirflowFailException, match=r"models:/delays/2 was rejected by bea\.$"):
        task.operator(fail_on_reject=True).execute_complete(task.context, _answer("Reject"), REVIEW)


def test_silence_counts_as_the_default_or_fails(task: Task) -> None:
    operator = task.operator(response_timeout=timedelta(minutes=5), defaults="Reject")
    with pytest.raises(AirflowSkipException, match="was rejected: nobody answered within 0:05:00"):
        operator.execute_complete(task.context, _answer("Reject", timedout=True), REVIEW)
    event = {"error": "no answer", "error_type": "timeout"}
    with pytest.raises(AirflowFailException, match="nobody has answered within 0:05:00"):
        operator.execute_complete(task.context, event, REVIEW)


def test_an_approval_outlives_a_try_that_could_not_carry_it_out(task: Task) -> None:
    task.error = Away("the tracking server does not answer")
    with pytest.raises(AirflowException) as caught:
        task.operator().execute_complete(task.context, _answer("Approve", "good"), REVIEW)
    assert not isinstance(caught.value, AirflowFailException)
    assert task.store["modelyard_approval"]["answer"] == {"by": "bea", "reason": "good"}

    task.error = None
    task.done.clear()
    result = task.operator().execute(task.context)
    assert [each[0] for each in task.done] == ["promote"]
    assert (result["approved"], result["by"], result["reason"]) == (True, "bea", "good")
    assert task.store == {}


def test_a_promotion_that_cannot_be_made_any_more_forgets_the_approval(task: Task) -> None:
    task.error = Moved("the champion has moved")
    with pytest.raises(AirflowFailException, match="the champion has moved"):
        task.operator().execute_complete(task.context, _answer("Approve"), REVIEW)
    assert task.store == {}


def test_what_the_gates_refuse_nobody_is_asked_about(task: Task) -> None:
    task.error = Moved("gate: failed")
    with pytest.raises(AirflowFailException, match="gate: failed"):
        task.operator().execute(task.context)
    assert [(name, part) for name, _, part in task.done] == [("call", "/review")]
