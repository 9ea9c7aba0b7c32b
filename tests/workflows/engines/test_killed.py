"""A run that is killed at any moment goes on where it was, and gives what it would have given."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("crash_points.py")


def _killed_at(root: Path, moments: list[int]) -> dict[int, dict[str, Any]]:
    command = [sys.executable, str(SCRIPT), str(root), json.dumps(moments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return {int(moment): told for moment, told in json.loads(ended.stdout.splitlines()[-1]).items()}


def _check(told: dict[int, dict[str, Any]]) -> None:
    whole = told.pop(0)
    assert whole["ran"] == ["one", "two", "three"]
    for moment, each in told.items():
        assert (each["killed"], each["ended"]) == (9, 0), moment
        assert each["result"] == whole["result"], moment
        # What was cut off is done again; what had finished is not.
        assert sorted(set(each["ran"])) == ["one", "three", "two"], moment
        assert len(each["ran"]) <= 4, (moment, each["ran"])


def test_a_run_killed_at_some_moments_gives_the_same_values(traced: Any) -> None:
    _check(_killed_at(traced.root, [1, 6, 13, 20, 27]))


@pytest.mark.slow
def test_a_run_killed_at_every_moment_gives_the_same_values(traced: Any) -> None:
    told = _killed_at(traced.root, [])
    assert len(told) > 30
    _check(told)
