"""The flights workflow on three engines: the same metrics, and the same predictions, row for row."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow_home import PYTHON, Runs, needs_main_environment

from modelyard.projects.dispatch import dispatch

REPOSITORY = Path(__file__).parents[2]
KFP_PYTHON = os.environ.get("MODELYARD_TEST_KFP_PYTHON", "")
INPUTS = {"every": 50, "trees": 30}
COMMON = ("msgspec", "fsspec", "gitpython", "pyyaml")
ROWS = (
    "import json, sys, pyarrow.dataset as d; "
    "table = d.dataset(sys.argv[1], format='parquet', exclude_invalid_files=True).to_table(); "
    "print(json.dumps([list(row.values()) for row in table.to_pylist()]))"
)


def _copies(folder: Path) -> dict[str, Path]:
    kept_out = shutil.ignore_patterns(".modelyard", "data", "output", "__pycache__")
    source = REPOSITORY / "examples" / "flights"
    engines = ("local", "airflow", "kfp")
    return {each: Path(shutil.copytree(source, folder / each / "flights", ignore=kept_out)) for each in engines}


def _read(process: "subprocess.Popen[str]") -> str:
    out, errors = process.communicate()
    assert process.returncode == 0, errors[-3000:]
    return out


def _rows(folder: Path) -> list[list[Any]]:
    told = subprocess.run(
        [PYTHON, "-c", ROWS, str(folder / "output/august")], capture_output=True, text=True, check=True
    )
    rows: list[list[Any]] = json.loads(told.stdout)
    return rows


@pytest.mark.slow
@pytest.mark.timeout(600)  # three whole runs, on a machine that may be busy
@needs_main_environment
@pytest.mark.skipif(not Path(KFP_PYTHON).is_file(), reason="MODELYARD_TEST_KFP_PYTHON names no interpreter")
def test_three_engines_give_the_same_metrics_and_the_same_predictions(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    copies = _copies(tmp_path)
    words = [word for name, value in INPUTS.items() for word in ("--param", f"{name}={value}")]
    command = [PYTHON, "-m", "modelyard.cli", "run", "main", "--project", str(copies["local"]), "--json", *words]
    script = [KFP_PYTHON, str(Path(__file__).with_name("flights_on_kfp.py")), str(copies["kfp"]), json.dumps(INPUTS)]
    try:
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as here, subprocess.Popen(script, **pipes) as there:
            run = runs.run(DagBag(copies["airflow"] / "dags").dags["flights-workflow"], conf=INPUTS)
            results = {"local": json.loads(_read(here))["results"]}
            _read(there)
        results["kfp"] = json.loads((tmp_path / "kfp" / "outcome.json").read_bytes())["results"]
        results["airflow"] = {step: runs.xcom(run, step) for step in results["local"]}
        rows = {engine: _rows(folder) for engine, folder in copies.items()}
    finally:
        for folder in copies.values():
            dispatch("undeploy", {"endpoint": "delays"}, project=folder, launcher="process", python=PYTHON)

    assert set(results["local"]) == {"prepare", "train", "register", "evaluate", "promote", "deploy", "predict"}
    for engine in ("airflow", "kfp"):
        for step in ("train", "evaluate"):
            assert results[engine][step]["metrics"] == results["local"][step]["metrics"], (engine, step)
        assert results[engine]["prepare"] == results["local"]["prepare"]
        assert results[engine]["promote"]["gates"] == results["local"]["promote"]["gates"]
        assert rows[engine] == rows["local"]
    assert 0.65 < results["local"]["evaluate"]["metrics"]["roc_auc"] < 0.82
    assert (len(rows["local"]), results["kfp"]["predict"]["rows"]) == (587, 587)


def test_what_the_environments_share_is_of_one_version() -> None:
    def versions(name: str) -> dict[str, str]:
        lines = (REPOSITORY / "constraints" / f"{name}.txt").read_text().splitlines()
        return dict(line.split("==", 1) for line in lines if "==" in line)

    found = {name: versions(name) for name in ("main", "airflow", "kfp")}
    for library in COMMON:
        assert len({each[library] for each in found.values()}) == 1, library
    # What learns and scores is in one environment alone, in which all engines do their work.
    for library in ("numpy", "scikit-learn", "pandas", "pyarrow", "mlflow"):
        assert [name for name, each in found.items() if library in each] == ["main"], library
