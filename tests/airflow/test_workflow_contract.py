"""Workflows as DAGs keep the contract of all engines."""

import re
from pathlib import Path
from typing import Any

import pytest
from airflow_home import Runs
from workflow_cases import CASES, Case
from workflow_contract import Observed, check, prepared

from modelyard.workflows import airflow_dag
from modelyard.workflows.engines.airflow.definitions import find_workflow
from modelyard.workflows.engines.airflow_outcomes import outcome_of_run
from modelyard.workflows.engines.airflow_plan import Plan


class Airflow:
    """Runs a workflow as a DAG, by ``dag.test()``."""

    name = "airflow"
    goes_on = True

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    def run(self, project: Path, workflow: str, inputs: dict[str, Any]) -> Observed:
        """Run a workflow."""
        name = f"contract.flows:{workflow}"
        dag = airflow_dag(str(project), name, dag_id=f"contract-{project.parent.name}", launcher="inline")
        run = self.runs.run(dag, conf=inputs)
        states = {
            (each.task_id, -1 if each.map_index is None else each.map_index): each.state and str(each.state)
            for each in run.get_task_instances()
        }
        outcome = outcome_of_run(Plan(find_workflow(str(project), name).workflow.in_order()), states, self._pull(run))
        assert str(run.state) == ("failed" if outcome.failures else "success")
        return outcome

    def _pull(self, run: Any) -> Any:
        def pull(task: str, index: int | None, key: str) -> Any:
            if index is None:
                return None
            return self.runs.xcoms(run, task, index).get(key)

        return pull


@pytest.mark.parametrize("case", CASES, ids=lambda case: re.sub(r"\W+", "-", case.name))
def test_contract(case: Case, tmp_path: Path, runs: Runs) -> None:
    project, inputs = prepared(case, tmp_path)
    engine = Airflow(runs)
    check(case, engine, engine.run(project, case.workflow, inputs))
