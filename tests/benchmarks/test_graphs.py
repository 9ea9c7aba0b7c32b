"""The benchmark of the graph engine runs, compares the answers, and writes its rows."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "benchmarks"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "graphs.py"), "--without-peers", "--rounds", "1", "--most", "3", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_rows_and_table(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    done = run("--case", "chain", "--case", "vote of 3 models, 1 row", "--json", str(file))
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    assert [(row["case"], row["contestant"], row["target"]) for row in rows] == [
        ("chain", "plain Python", None),
        ("chain", "modelyard", None),
        ("vote of 3 models, 1 row", "plain Python", None),
        ("vote of 3 models, 1 row", "modelyard", None),
        ("vote of 3 models, 1 row", "modelyard", "contract ≤ 1.05× plain Python"),
        ("vote of 3 models, 1 row", "modelyard", "goal ≤ 1.02× plain Python"),
    ]
    assert {tuple(row) for row in rows} == {("case", "contestant", "value", "unit", "ratio", "target", "met")}
    assert all(row["value"] > 0 and row["unit"] == "CPU µs/event" for row in rows)
    contract, goal = rows[-2:]
    # a ratio is rounded after it was judged
    assert contract["ratio"] == 1.05 or contract["met"] is (contract["ratio"] < 1.05)
    assert goal["ratio"] == 1.02 or goal["met"] is (goal["ratio"] < 1.02)
    assert done.returncode == (0 if contract["met"] else 1), done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert table[0] == "| case | contestant | value | unit | ratio | target | met |"
    assert len(table) == 2 + len(rows)


def test_an_unknown_case_is_named() -> None:
    done = run("--case", "chian")
    assert done.returncode == 1
    assert done.stderr.startswith("there is no case 'chian'; there are chain, ")
