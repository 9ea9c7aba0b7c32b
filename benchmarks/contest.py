"""Runs contestants against each other: one process each, in turn, in one run, and judges the medians.

A contestant is a script that speaks a line protocol on standard input and output: it prints the names of the cases
that it can run as a JSON list, then answers each line ``CASE COUNT`` with one number: the CPU seconds (user and system,
all threads) that COUNT events took. Set-up and warm-up are its own affair and are not timed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ENVIRONMENTS = FOLDER.parent / ".venvs"


@dataclass(frozen=True)
class Contestant:
    """Somebody who takes part.

    Parameters
    ----------
    name
        How the table calls it.
    script
        Its file under ``contestants/``.
    environment
        The virtual environment it runs in.
    requirements
        What `--prepare` installs there; nothing means that the environment is the project's own.
    """

    name: str
    script: str
    environment: str = "main"
    requirements: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """The interpreter."""
        return ENVIRONMENTS / self.environment / "bin/python"


@dataclass(frozen=True)
class Target:
    """What a case must reach: the subject's cost against a peer's.

    Parameters
    ----------
    case
        The case's name.
    subject, peer
        Names of contestants.
    ratio
        The bound.
    at_most
        Whether the subject's cost divided by the peer's must stay at or below `ratio`; otherwise the peer's divided by
        the subject's must reach it.
    goal
        Worth reaching, not promised.
    """

    case: str
    subject: str
    peer: str
    ratio: float
    at_most: bool = False
    goal: float | None = None


@dataclass(frozen=True)
class Row:
    """One line of the outcome."""

    case: str
    contestant: str
    value: float
    unit: str
    ratio: float | None = None
    target: str | None = None
    met: bool | None = None


class Running:
    """A contestant's process."""

    def __init__(self, contestant: Contestant) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        self.contestant = contestant
        self._process = subprocess.Popen(
            [str(contestant.python), str(FOLDER / "contestants" / contestant.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.cases: list[str] = self._answer()

    def measure(self, case: str, count: int) -> float:
        """Return the CPU seconds per event over `count` events of `case`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{case} {count}\n")
        self._process.stdin.flush()
        return float(self._answer()) / count  # type: ignore[arg-type]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _answer(self) -> list[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))  # type: ignore[no-any-return]
        raise SystemExit(f"{self.contestant.name} ended without an answer: run {self._process.args} by hand")


def prepare(contestants: Sequence[Contestant]) -> None:
    """Make the environments that are missing."""
    installer = Path(sys.executable).with_name("uv")
    for each in contestants:
        if each.requirements and not each.python.exists():
            print(f"preparing {each.environment}: {', '.join(each.requirements)}")
            folder = ENVIRONMENTS / each.environment
            subprocess.run([installer, "venv", "-q", "--python", "3.11", folder], check=True)
            subprocess.run([installer, "pip", "install", "-q", "-p", each.python, *each.requirements], check=True)


def hold(
    contestants: Sequence[Contestant],
    counts: Mapping[str, Mapping[str, int]],
    rounds: int,
) -> dict[tuple[str, str], list[float]]:
    """Measure every case of every contestant in every round, in turn.

    Parameters
    ----------
    contestants
        Who takes part.
    counts
        Case → contestant's name (or ``*``) → how many events make one measurement.
    rounds
        How often.

    Returns
    -------
    dict
        (case, contestant's name) → CPU seconds per event, one for each round.
    """
    running = [Running(each) for each in contestants]
    measured: dict[tuple[str, str], list[float]] = {}
    try:
        for number in range(rounds):
            for case, sizes in counts.items():
                for each in running:
                    if case in each.cases:
                        size = sizes.get(each.contestant.name, sizes["*"])
                        measured.setdefault((case, each.contestant.name), []).append(each.measure(case, size))
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    finally:
        for each in running:
            each.close()
    return measured


def judge(measured: Mapping[tuple[str, str], Sequence[float]], targets: Sequence[Target]) -> list[Row]:
    """Return the medians, and for each target the median of the ratios round by round."""
    rows = [
        Row(case, name, statistics.median(values) * 1e6, "CPU µs/event") for (case, name), values in measured.items()
    ]
    for target in targets:
        ours, theirs = measured[target.case, target.subject], measured[target.case, target.peer]
        if target.at_most:
            ratio = statistics.median(our / their for our, their in zip(ours, theirs, strict=True))
            met, sign = ratio <= target.ratio, "≤"
        else:
            ratio = statistics.median(their / our for our, their in zip(ours, theirs, strict=True))
            met, sign = ratio >= target.ratio, "≥"
        goal = f" (goal {target.goal:g}×)" if target.goal else ""
        text = f"{sign} {target.ratio:g}×{goal} against {target.peer}"
        value = statistics.median(ours) * 1e6
        rows.append(Row(target.case, target.subject, value, "CPU µs/event", round(ratio, 3), text, met))
    return rows


def show(rows: Sequence[Row]) -> None:
    """Print the rows as a Markdown table."""
    print("| case | contestant | value | unit | ratio | target | met |")
    print("|---|---|---:|---|---:|---|---|")
    for row in sorted(rows, key=lambda each: (each.case, each.target is not None, each.contestant)):
        ratio = "" if row.ratio is None else f"{row.ratio:g}×"
        met = "" if row.met is None else ("yes" if row.met else "**no**")
        cells = (row.case, row.contestant, f"{row.value:.3g}", row.unit, ratio, row.target or "", met)
        print(f"| {' | '.join(cells)} |")


def arguments(description: str) -> argparse.Namespace:
    """Parse what every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--prepare", action="store_true", help="make the peers' environments and stop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON, too")
    parser.add_argument("--rounds", type=int, default=9, help="how often each case is measured (default: 9)")
    return parser.parse_args()


def run(
    description: str,
    contestants: Sequence[Contestant],
    counts: Mapping[str, Mapping[str, int]],
    targets: Sequence[Target],
) -> None:
    """Be the script: prepare, measure, judge, show, write; exit with 1 if a target is not met."""
    wanted = arguments(description)
    prepare(contestants)
    if wanted.prepare:
        return
    rows = judge(hold(contestants, counts, wanted.rounds), targets)
    show(rows)
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n")
    sys.exit(0 if all(row.met is not False for row in rows) else 1)
