"""The half of the demo that runs in Airflow's environment: ``demo_airflow.py RESULTS LOG``.

AIRFLOW_HOME is an empty folder. What Airflow says goes to the log; people see one line for each task.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DAGS = Path(__file__).parent / "dags"
DAG_ID = "flights"
SETTINGS = {"AIRFLOW__CORE__DAGS_FOLDER": str(DAGS), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}


def main(results: Path, log: Path) -> int:
    """Migrate, run the DAG to its end, write every task's result; return the exit code."""
    os.environ.update(SETTINGS)
    screen = os.fdopen(os.dup(1), "w", buffering=1)

    def say(line: str) -> None:
        print(line, file=screen)

    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        begin = time.perf_counter()
        migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
        if subprocess.run(migrate, check=False).returncode:
            return 1
        say(f"  {'airflow':<22} ready after {time.perf_counter() - begin:.1f} s")
        return run(results, say)


def run(results: Path, say: Callable[[str], None]) -> int:
    """Run the DAG in this process, a line for each task."""
    # Only now: AIRFLOW_HOME and the settings are read at import.
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    bag = DagBag(str(DAGS))
    if bag.import_errors:
        say(f"the DAG does not import: {bag.import_errors}")
        return 1
    dag = bag.dags[DAG_ID]
    begun: dict[str, float] = {}

    def starts(context: Any) -> None:
        begun[context["ti"].task_id] = time.perf_counter()

    def ends(word: str) -> Callable[[Any], None]:
        def tell(context: Any) -> None:
            task = context["ti"].task_id
            say(f"  {task:<22} {word} after {time.perf_counter() - begun[task]:.1f} s")

        return tell

    for task in dag.tasks:
        task.on_execute_callback = [starts]
        task.on_success_callback = [ends("done")]
        task.on_failure_callback = [ends("FAILED")]
    ran = dag.test()
    with create_session() as session:
        rows = session.scalars(XComModel.get_many(run_id=ran.run_id, key="return_value", dag_ids=DAG_ID))
        results.write_text(json.dumps({row.task_id: XComModel.deserialize_value(row) for row in rows}))
    return 0 if str(ran.state) == "success" else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
