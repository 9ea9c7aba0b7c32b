"""Which errors are tried again: without a policy, and with the presets."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from act_operator import ActOperator
from airflow.sdk import DAG
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow_home import Runs, needs_main_environment

from modelyard.airflow.retrying import KindRetryPolicy, WorkFailed, code_retries, infrastructure_retries
from modelyard.errors import ErrorKind, outcome_of
from modelyard.operations import ParameterInvalid
from modelyard.operators.airflow import CallOperator
from modelyard.projects.errors import FunctionNotFound

FLAKY = '''
from pathlib import Path


def flaky(folder):
    """Fail the first time."""
    tries = len(list(Path(folder).iterdir()))
    (Path(folder) / f"try-{tries}").touch()
    if not tries:
        raise RuntimeError("the service was asleep")
    return {"tries": tries + 1}
'''


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_the_presets_try_again_what_may_pass_and_fail_the_rest_at_once(kind: ErrorKind) -> None:
    error = WorkFailed("a failure", kind)
    plain, code = infrastructure_retries().evaluate(error, 1, 3), code_retries().evaluate(error, 1, 3)

    assert plain.action is (RetryAction.RETRY if outcome_of(kind).retry else RetryAction.FAIL)
    assert code.action is (RetryAction.RETRY if kind == "user_code" else plain.action)
    assert plain.reason == str(kind)


def test_each_kind_waits_for_its_own_time() -> None:
    policy = infrastructure_retries(unavailable=timedelta(seconds=5), timeout=timedelta(hours=1))
    waits = {kind: policy.evaluate(WorkFailed("", ErrorKind(kind)), 1, 3).retry_delay for kind in policy.delays}

    assert waits == {
        "unavailable": timedelta(seconds=5),
        "exhausted": timedelta(minutes=10),
        "lost": timedelta(0),
        "timeout": timedelta(hours=1),
    }
    assert code_retries(timedelta(7)).delays[ErrorKind.USER_CODE] == timedelta(7)
    assert KindRetryPolicy.deserialize(policy.serialize()).delays == policy.delays


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (ConnectionResetError("gone"), RetryAction.RETRY),
        (AirflowTaskTimeout("late"), RetryAction.RETRY),
        (MemoryError(), RetryAction.RETRY),
        (FunctionNotFound("fit", ["train"]), RetryAction.FAIL),
        (KeyError("of another operator"), RetryAction.DEFAULT),
    ],
)
def test_errors_that_are_not_of_our_work_have_kinds_where_they_are_plain(error: Any, action: RetryAction) -> None:
    assert infrastructure_retries().evaluate(error, 1, 3).action is action


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ParameterInvalid, match=r'delays: must be of the kinds invalid, not_found, .*, got "sleepy"'):
        KindRetryPolicy({"sleepy": None})
    with pytest.raises(ParameterInvalid, match=r"delays: must be a mapping of kinds of errors to times, got 3\."):
        KindRetryPolicy(3)  # type: ignore[arg-type]
    with pytest.raises(ParameterInvalid, match=r"delays\.lost: must be a timedelta, or nothing, got 60\."):
        infrastructure_retries(lost=60)  # type: ignore[arg-type]


@needs_main_environment
def test_the_policy_decides_in_a_run(runs: Runs, project: Path, tmp_path: Path) -> None:
    (project / "flaky.py").write_text(FLAKY)
    folders = {}
    for name in ("busy", "wrong", "flaky", "flaky_by_default"):
        folders[name] = tmp_path / name
        folders[name].mkdir()
    ours = infrastructure_retries(unavailable=timedelta(0))
    # An hour, so that a run which does not take the policy's delay is cut off by the test's own limit.
    slow: dict[str, Any] = {"project": str(project), "retries": 2, "retry_delay": timedelta(hours=1)}
    with DAG("policies", schedule=None, default_args=slow) as dag:
        ActOperator(task_id="busy", folder=str(folders["busy"]), behaviour="busy-once", retry_policy=ours)
        ActOperator(task_id="wrong", folder=str(folders["wrong"]), behaviour="wrong", retry_policy=ours)
        for name, policy in (("flaky", code_retries(timedelta(0))), ("flaky_by_default", ours)):
            CallOperator(
                task_id=name,
                function="flaky:flaky",
                parameters={"folder": str(folders[name])},
                retry_policy=policy,
            )
    run = runs.run(dag)

    assert runs.states(run) == {
        "busy": "success",
        "wrong": "failed",
        "flaky": "success",
        "flaky_by_default": "failed",
    }
    assert runs.tries(run) == {"busy": 2, "wrong": 1, "flaky": 2, "flaky_by_default": 1}
    assert runs.xcom(run, "flaky", "value") == {"tries": 2}
