"""The README's example does what it says, typed as it stands there."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
COMMANDS = re.findall(r"^\$ (modelyard .*)$", README, re.MULTILINE)


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_two_commands_of_a_newcomer_are_named() -> None:
    assert "$ make demo" in README
    assert "`make test`" in README


def test_the_pages_it_points_at_exist() -> None:
    root = Path(__file__).parents[2]
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)

    assert [link for link in links if not (root / link).exists()] == []


def test_the_workflow_for_requests_is_the_example_that_is_executed() -> None:
    example = (Path(__file__).parents[2] / "examples/github/pull-request.yml").read_text()

    assert example in _blocks("yaml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    from sklearn.datasets import load_iris

    data = load_iris(as_frame=True)
    rows = data.frame[["petal length (cm)", "petal width (cm)"]].set_axis(["petal_length", "petal_width"], axis=1)
    rows["species"] = [data.target_names[each] for each in data.target]
    rows.sample(frac=1, random_state=0).to_csv(tmp_path / "iris.csv", index=False)
    (tmp_path / "iris.py").write_text(_blocks("python")[0])
    (tmp_path / "modelyard.yaml").write_text(_blocks("yaml")[0])
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("jq") is None, reason="the README's commands use jq, which is not here")
def test_the_example_goes_from_data_to_a_served_prediction(project: Path) -> None:
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def typed(command: str) -> str:
        ran = subprocess.run(
            command, shell=True, cwd=project, env=variables, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
        return ran.stdout

    assert [command.split()[1] for command in COMMANDS] == ["train", "register", "evaluate", "promote", "deploy"]
    try:
        for command in COMMANDS:
            typed(command)
        url = json.loads(typed("modelyard endpoints show iris --json"))["url"]
        request = urllib.request.Request(url, b'{"length": 4.9, "width": 1.8}', {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert json.loads(reply.read()) == {"species": "virginica", "sure": 0.64}
        assert json.loads(typed("modelyard models list --json"))[0]["aliases"] == {"champion": 1}
    finally:
        typed("modelyard undeploy iris")


def test_the_graph_on_the_page_is_that_of_the_flights() -> None:
    shown = next(block for block in _blocks("python") if block.startswith("trial.to("))
    written = (Path(__file__).parents[2] / "examples/flights/flights/trial.py").read_text()
    assert "".join(shown.split()).rstrip(",") in "".join(written.split())
