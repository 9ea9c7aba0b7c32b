"""One operation in a CI job: variables in, outputs and the page of the job out."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_lines import Command
from loans_project import write_loans

Job = Callable[..., dict[str, str]]


@pytest.fixture
def loans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, github_job: Job) -> Path:
    github_job()
    folder = tmp_path / "loans"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return write_loans(folder)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def give(**inputs: str) -> None:
        for name, value in inputs.items():
            monkeypatch.setenv(f"MODELYARD_INPUT_{name.upper()}", value)

    return give


def outputs(tmp_path: Path) -> dict[str, str]:
    text = (tmp_path / "runner/output").read_text()
    return dict(re.findall(r"^([\w-]+)<<(?:modelyard-\w+)\n(.*?)\nmodelyard-\w+$", text, re.MULTILINE | re.DOTALL))


@pytest.mark.usefixtures("loans")
def test_a_model_is_trained_and_handed_on(command: Command, given: Callable[..., None], tmp_path: Path) -> None:
    given(function="prepare", parameters="rows=300")
    assert command("ci", "operation", "call").code == 0
    assert json.loads(outputs(tmp_path)["value"])["train"] == "data/train.parquet"

    given(function="fit", dataset="data/train.parquet", label_column="late", feature_columns="income\n age \n")
    given(parameters="", experiment="", holdout="0.5")
    ended = command("ci", "operation", "train")

    assert ended.code == 0, ended.err
    found = outputs(tmp_path)
    assert (found["rows"], found["held-out-rows"], found["model-version"]) == ("150", "150", "")
    assert found["model-uri"].startswith("models:/m-")
    assert json.loads(Path(found["metrics-file"]).read_text()) == json.loads(found["metrics"])
    assert json.loads(Path(found["result-file"]).read_text())["run_id"] == found["run-id"]
    page = (tmp_path / "runner/summary.md").read_text()
    assert "### train" in page
    assert "| held out rows | <code>150</code> |" in page

    given(model=found["model-uri"], name="loans", **dict.fromkeys(("function", "dataset", "label_column"), ""))
    given(feature_columns="", holdout="")
    assert command("ci", "operation", "register").code == 0
    assert (outputs(tmp_path)["model-uri"], outputs(tmp_path)["model-version"]) == ("models:/loans/1", "1")


def test_an_error_is_shown_at_the_line_that_raised_it(
    command: Command, given: Callable[..., None], loans: Path, tmp_path: Path
) -> None:
    path = loans / "loans/data.py"
    path.write_text(path.read_text().replace("    from pathlib import Path\n\n    import", "    1 / 0\n    import", 1))
    given(function="prepare")

    ended = command("ci", "operation", "call")

    assert ended.code == 7
    remark = next(line for line in ended.err.splitlines() if line.startswith("::error"))
    assert remark.startswith("::error file=loans/data.py,line=8,title=call failed::")
    assert "ZeroDivisionError" in remark
    assert '/loans/data.py", line 8, in prepare\n    1 / 0\n' in ended.err
    assert not (tmp_path / "runner/output").exists()


@pytest.mark.usefixtures("loans")
def test_text_from_outside_stays_text(command: Command, given: Callable[..., None], tmp_path: Path) -> None:
    evil = "x' ; touch pwned ; echo '$(touch pwned)\n::set-output name=endpoint::y"
    given(endpoint=evil)

    ended = command("ci", "operation", "undeploy", "--dry-run")

    assert json.loads(ended.out) == {"operation": "undeploy", "parameters": {"endpoint": evil, "target": ""}}
    assert not list(tmp_path.glob("**/pwned"))


@pytest.mark.usefixtures("loans")
def test_what_is_wrong_is_named_before_anything_runs(command: Command, given: Callable[..., None]) -> None:
    given(functoin="fit")
    ended = command("ci", "operation", "call")
    assert ended.code == 2
    assert "functoin" in ended.err
    assert "Did you mean function?" in ended.err


@pytest.mark.usefixtures("loans")
def test_what_is_needed_is_named(command: Command, given: Callable[..., None]) -> None:
    given(function="fit", dataset="", label_column="late")
    ended = command("ci", "operation", "train")
    assert ended.code == 2
    assert "dataset" in ended.err


@pytest.mark.usefixtures("loans")
def test_a_mapping_is_json_or_lines(command: Command, given: Callable[..., None]) -> None:
    given(function="prepare", parameters='{"rows": 7, "deep": {"a": [1, null]}}')
    shown = json.loads(command("ci", "operation", "call", "--dry-run").out)
    assert shown["parameters"]["parameters"] == {"rows": 7, "deep": {"a": [1, None]}}

    given(parameters="rows=7\nnote=a=b\nbig=12345678901234567890")
    shown = json.loads(command("ci", "operation", "call", "--dry-run").out)
    assert shown["parameters"]["parameters"] == {"rows": 7, "note": "a=b", "big": 12345678901234567890}
