"""Reading DAG files is cheap, counted in what it imports, and free of errors, as Airflow's own command tells it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest
from airflow_home import HOME

EXAMPLES = Path(__file__).parents[2] / "docs/airflow/example_dags"
READ = """
import sys
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, Param, task
before = set(sys.modules)
bag = DagBag({folder!r})
assert bag.import_errors == {{}}, bag.import_errors
print("IMPORTED", *sorted(set(sys.modules) - before))
"""
LISTED = """
from airflow.cli.cli_parser import get_parser
for command in (["reserialize"], ["list-import-errors", "-o", "json"], ["list", "-o", "json"]):
    arguments = get_parser().parse_args(["dags", *command])
    print("ASKED")
    arguments.func(arguments)
"""


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """Return a copy of the example DAGs with their project."""
    return Path(
        shutil.copytree(EXAMPLES, tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__", ".modelyard"))
    )


def test_reading_the_examples_imports_little(examples: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ.format(folder=str(examples))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    imported = done.stdout.split("IMPORTED ")[1].split()
    # Airflow's own are what it takes for its classes; the projects' code is not read at all.
    others = [each for each in imported if not each.startswith(("airflow", "unusual_prefix"))]

    assert len(others) < 120, others
    assert {each.partition(".")[0] for each in others} & {
        *("mlflow", "sklearn", "numpy", "pandas", "pyarrow", "git", "httpx", "fastapi", "wine"),
    } == set()
    assert [
        each for each in others if each.startswith(("modelyard.deploy", "modelyard.serving", "modelyard.graphs"))
    ] == []


def test_airflow_lists_the_examples_and_no_import_errors(examples: Path, database: None, tmp_path: Path) -> None:
    # Not a copy of the file: what was written last may stand in another one.
    with closing(connect(HOME / "airflow.db")) as ours, closing(connect(tmp_path / "airflow.db")) as copy:
        ours.backup(copy)
    environment = {
        **os.environ,
        "AIRFLOW__CORE__DAGS_FOLDER": str(examples),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
    }
    done = subprocess.run(
        [sys.executable, "-c", LISTED], capture_output=True, text=True, check=False, env=environment, timeout=240
    )
    assert done.returncode == 0, done.stderr
    errors, listed = done.stdout.split("ASKED\n")[2:]

    assert "example_wine" in {each["dag_id"] for each in json.loads(listed[listed.index("[{") :])}
    assert errors.strip().splitlines()[-1] in ("[]", "No data found")
