"""What the job that reports installs is enough for it."""

import subprocess
from pathlib import Path

import pytest
from loans_project import write_loans


@pytest.mark.slow
def test_a_report_needs_the_extra_ci_alone(ci_alone: Path, tmp_path: Path) -> None:
    write_loans(tmp_path)
    known = {"PATH": "/usr/bin:/bin"}
    ended = {}
    for words in ("ci plan --all", "ci report", "ci gate", "ci run quick"):
        command = [ci_alone / "modelyard", *words.split()]
        ended[words] = subprocess.run(command, cwd=tmp_path, env=known, capture_output=True, text=True, check=False)

    assert {words: each.returncode for words, each in ended.items()} == {
        "ci plan --all": 0,
        "ci report": 0,
        "ci gate": 3,
        "ci run quick": 7,
    }, ended
    # It is not enough to train: so the rest was really missing.
    assert "No module named 'numpy'" in ended["ci run quick"].stderr
