"""The benchmark of serving runs against real servers, compares the answers, and judges them round by round."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


def run(*arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "serving.py"), "--without-peers", *arguments]
    environment = {**os.environ, "PATH": path}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    found = importlib.util.spec_from_file_location("serving", FOLDER / "serving.py")
    assert found is not None
    assert found.loader is not None
    module = sys.modules["serving"] = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    yield module
    for name in set(sys.modules) - before:
        if name in ("serving", "contest") or name.startswith("servers"):
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk, which sends the load, is not installed")
def test_rows_and_table(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    done = run("--rounds", "1", "--seconds", "1", "--case", "vote of 3", "--json", str(file))
    assert done.returncode in (0, 1), done.stderr
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    plain = {(row["case"], row["unit"], row["contestant"]): row["value"] for row in rows if row["target"] is None}
    per_load = [
        (f"vote of 3, {connections}", unit)
        for connections in ("1 connection", "32 connections")
        for unit in ("requests/s", "p50 ms", "p99 ms", "CPU µs/request")
    ]
    expected = [*per_load, ("vote of 3", "PSS MB")]
    assert set(plain) == {(*each, name) for each in expected for name in ("bare uvicorn", "modelyard")}
    assert all(value > 0 for value in plain.values())
    judged = [row for row in rows if row["target"]]
    assert [(row["case"], row["target"]) for row in judged] == [
        ("vote of 3, 32 connections", "contract ≤ 1.2× bare uvicorn"),
        ("vote of 3, 32 connections", "goal ≤ 1.1× bare uvicorn"),
    ]
    # a ratio is rounded after it was judged
    assert judged[0]["ratio"] == 1.2 or judged[0]["met"] is (judged[0]["ratio"] < 1.2)
    assert done.returncode == (0 if judged[0]["met"] else 1)
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(rows)


def test_quotients_are_judged_round_by_round(serving: ModuleType) -> None:
    rates = {("c", "requests/s", "we"): [100.0, 300.0, 200.0], ("c", "requests/s", "they"): [10.0, 100.0, 25.0]}
    rows = serving.judge(rates, [serving.Bound("c", "requests/s", "we", "they", 8, 10)])
    assert [(row.contestant, row.value, row.ratio, row.target, row.met, row.broken) for row in rows] == [
        ("we", 200.0, None, None, None, False),
        ("they", 25.0, None, None, None, False),
        ("we", 200.0, 8.0, "contract ≥ 8× they", True, False),
        ("we", 200.0, 8.0, "goal ≥ 10× they", False, False),
    ]
    most = serving.judge(rates, [serving.Bound("c", "requests/s", "we", "they", 7.9, at_most=True)])
    assert [(row.target, row.met, row.broken) for row in most[2:]] == [("contract ≤ 7.9× they", False, True)]
    assert len(serving.judge(rates, [serving.Bound("c", "requests/s", "we", "absent", 1)])) == 2


def test_every_bound_names_a_figure_that_is_taken(serving: ModuleType) -> None:
    names = {case.name for case in serving.CASES}
    loads = {case.at(connections): case for case in serving.CASES for connections in case.connections}
    for bound in serving.BOUNDS:
        assert bound.case in names | set(loads), bound
        case = loads.get(bound.case) or next(case for case in serving.CASES if case.name == bound.case)
        assert {bound.subject, bound.peer} <= set(case.models), bound


def test_an_unknown_case_is_named() -> None:
    done = run("--case", "vote of 4")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "serving.py: error: there is no case 'vote of 4'; there are logistic regression, boosted trees, vote of 3, "
        "a step of 5 ms"
    )


def test_a_missing_load_generator_is_named(tmp_path: Path) -> None:
    done = run(path=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == ("wrk, which sends the load, is not installed: apt-get install wrk, or brew install wrk\n")
