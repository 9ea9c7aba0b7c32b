"""A type checker sees the mistakes in a DAG file, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
DAG_FILE = """
from airflow.sdk import DAG

from modelyard.operators.airflow import DeployOperator, PredictOperator, TrainOperator

with DAG("typed") as dag:
    train = TrainOperator(
        task_id="train",
        function="fit",
        dataset="{{ params.dataset }}",
        label_column=dag.param("label"),
        holdout="{{ params.holdout }}",
        parameters={"depth": dag.param("depth"), "deep": ["{{ ds }}"]},
        retries=2,
        environment="prod",
    )
    DeployOperator(task_id="deploy", graph="g", models={"model": train.output["model"]}, port=train.output["rows"])
    PredictOperator.partial(task_id="predict", model=train.output["model"]).expand(dataset=["a", "b"])
    TrainOperator(task_id="a", function=1, dataset="d", label_column="l")  # wrong: arg-type
    TrainOperator(task_id="b", function="f", dataset="d")  # wrong: call-arg
    TrainOperator(task_id="c", function="f", dataset="d", label_column="l", retrys=3)  # wrong: call-arg
    TrainOperator(task_id="d", function="f", dataset="d", label_column="l", launcher="cloud")  # wrong: arg-type
    TrainOperator(task_id="e", function="f", dataset="d", label_column="l", holdout=[0.2])  # wrong: arg-type
"""


@pytest.mark.slow
def test_mypy_finds_the_wrong_lines_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "typed.py"
    file.write_text(DAG_FILE)
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", REPOSITORY / ".mypy_cache/airflow", file],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {(int(line), code) for line, code in re.findall(r"typed\.py:(\d+): error: .*\[(.+)\]", result.stdout)}
    lines = DAG_FILE.splitlines()
    meant = {(number, line.split("# wrong: ")[1]) for number, line in enumerate(lines, 1) if "# wrong: " in line}

    assert found == meant, result.stdout + result.stderr
