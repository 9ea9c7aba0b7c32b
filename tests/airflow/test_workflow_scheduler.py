"""Workflows on a real scheduler, started and followed through the REST API by ``modelyard run --engine airflow``."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_home import PYTHON, needs_main_environment
from airflow_scheduler import Scheduler
from workflow_cases import CASES, FOLDER, Case
from workflow_contract import Observed, check, prepared

from modelyard.operations.keys import random_key
from modelyard.workflows.engines.airflow.definitions import find_workflow
from modelyard.workflows.engines.airflow_submission import submit
from modelyard.workflows.engines.remote import RunRequest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_main_environment]

NAMES = (
    "nested loops",
    "condition inside a loop",
    "skipped loop",
    "values of all sorts",
    "failure in a loop",
    "failure with an exit handler",
    "retry, then success",
)
CHOSEN = [case for case in CASES if case.name in NAMES]
DAG_FILE = """
from modelyard.workflows import airflow_dag

{dags}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(CHOSEN[0], tmp_path_factory.mktemp("contract"))[0]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Scheduler]:
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    dags = [
        f'{name} = airflow_dag("{project}", "contract.flows:{name}", launcher="inline", is_paused_upon_creation=False)'
        for name in sorted({case.workflow for case in CHOSEN})
    ]
    (home / "dags" / "contract.py").write_text(DAG_FILE.format(dags="\n".join(dags)))
    made = Scheduler(home)
    try:
        made.start()
        yield made
    finally:
        made.stop()


class OnScheduler:
    """Runs workflows on a real Airflow."""

    name = "airflow"
    goes_on = True

    def run(self, project: Path, workflow: str, inputs: dict[str, Any]) -> Observed:
        """Run a workflow of the project."""
        name = f"contract.flows:{workflow}"
        flow = find_workflow(str(project), name).workflow
        request = RunRequest(
            workflow=flow,
            name=name,
            inputs=flow.bind(inputs),
            project=str(project),
            project_name="contract",
            workflow_run=random_key(),
            follow=True,
        )
        outcome = submit(request).outcome
        assert outcome is not None
        return outcome


@pytest.fixture
def address(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_AIRFLOW_URL", scheduler.url)


@pytest.mark.usefixtures("address")
@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name.replace(" ", "-"))
def test_contract(case: Case, project: Path, tmp_path: Path) -> None:
    inputs = {name: str(tmp_path) if value == FOLDER else value for name, value in case.inputs.items()}
    engine = OnScheduler()
    check(case, engine, engine.run(project, case.workflow, inputs))


@pytest.mark.usefixtures("address")
def test_the_command_starts_a_run_and_continues_one_that_failed(project: Path, tmp_path: Path) -> None:
    def typed(failures: int) -> subprocess.CompletedProcess[str]:
        words = ["run", "contract.flows:retried", "--engine", "airflow", "--json", "--key", "one", "--follow"]
        given = ["--parameters", json.dumps({"folder": str(tmp_path), "failures": failures}), "--project", str(project)]
        command = [PYTHON, "-m", "modelyard.cli", *words, *given]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)

    failed = typed(4)
    assert failed.returncode == 7, failed.stderr
    assert "step tried: failed" in failed.stderr
    assert "step then: blocked" in failed.stderr
    assert "try 3 fails" in failed.stderr

    again = typed(4)
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout)
    assert result["workflow_run"] == "modelyard__one"
    assert result["steps"] == {"tried": "succeeded", "then": "succeeded", "told": "succeeded"}
    assert result["results"]["tried"] == {"value": {"tries": 5}}
    assert (tmp_path / "notes").read_text().split() == ["try"] * 5
