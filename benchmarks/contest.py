"""Runs contestants against each other: one process each, in turn, in one run, and judges the medians.

A contestant is a script that takes the names of cases and speaks a line protocol on standard input and output: it
prints those of them that it has with what they answer to the same few inputs as a JSON mapping, then answers each line
``CASE COUNT`` with one number: the CPU seconds (user and system, all threads) that COUNT events took. Set-up and
warm-up are its own affair and are not timed. Nothing is timed before the answers of all contestants to a case have been
found equal.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ENVIRONMENTS = FOLDER.parent / ".venvs"

Counts = Mapping[str, Mapping[str, int]]
"""Case → contestant's name (or ``*``) → how many events make one measurement."""

Measured = dict[tuple[str, str], list[float]]
"""(case, contestant's name) → CPU seconds per event, one for each measurement."""

_TIGHT = 5


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
        The virtual environment it runs in; without requirements, where the benchmark itself runs.
    requirements
        What `prepare` installs there; nothing means that the environment is the project's own.
    """

    name: str
    script: str
    environment: str = "main"
    requirements: tuple[str, ...] = ()

    @property
    def is_peer(self) -> bool:
        """Whether it is somebody else's."""
        return self.environment.startswith("peer-")

    @property
    def python(self) -> Path:
        """The interpreter."""
        return ENVIRONMENTS / self.environment / "bin/python" if self.requirements else Path(sys.executable)

    @property
    def stamp(self) -> Path:
        """The file that says what has been installed."""
        return ENVIRONMENTS / self.environment / "prepared.json"


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
    """One line of the outcome: what a contestant's events cost, or how that compares with a contract or a goal."""

    case: str
    contestant: str
    value: float
    unit: str
    ratio: float | None = None
    target: str | None = None
    met: bool | None = None

    @property
    def broken(self) -> bool:
        """Whether a contract is not met; a goal that is not is no failure."""
        return self.met is False and self.target is not None and self.target.startswith("contract")


class Running:
    """A contestant's process."""

    def __init__(self, contestant: Contestant, cases: Collection[str]) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        self.contestant = contestant
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 (it lives as long as the process)
        self._process = subprocess.Popen(
            [str(contestant.python), str(FOLDER / "contestants" / contestant.script), *cases],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        self.answers: dict[str, Any] = self._answer()

    def measure(self, case: str, count: int) -> float:
        """Return the CPU seconds per event over `count` events of `case`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{case} {count}\n")
        self._process.stdin.flush()
        return float(self._answer()) / count

    def close(self) -> None:
        """End the process."""
        with self._errors, self._process:
            pass  # closes the pipes, which ends it, and waits for it

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        status = self._process.wait()
        self._errors.seek(0)
        said = "".join(self._errors.readlines()[-20:])
        self.close()
        raise SystemExit(f"{self.contestant.name} ended without an answer (status {status}):\n{said}")


def prepare(contestants: Sequence[Contestant]) -> None:
    """Make the environments that are missing or hold something else than what is required."""
    installer = Path(sys.executable).with_name("uv")
    for each in contestants:
        wanted = json.dumps(each.requirements)
        if not each.requirements or (each.stamp.exists() and each.stamp.read_text() == wanted):
            continue
        print(f"preparing {each.environment}: {', '.join(each.requirements)}", file=sys.stderr)
        folder = ENVIRONMENTS / each.environment
        subprocess.run([installer, "venv", "-q", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([installer, "pip", "install", "-q", "-p", each.python, *each.requirements], check=True)
        each.stamp.write_text(wanted)


@contextmanager
def running(contestants: Sequence[Contestant], cases: Collection[str]) -> Iterator[list[Running]]:
    """Start the contestants for these cases, refuse those that disagree, and end them."""
    with ExitStack() as stack:
        started = []
        for contestant in contestants:
            each = Running(contestant, cases)
            stack.callback(each.close)
            started.append(each)
        agree(started)
        yield started


def agree(started: Sequence[Running]) -> None:
    """Refuse contestants that give different answers to the same inputs of a case."""
    for each in started:
        for case, answer in each.answers.items():
            first = next(other for other in started if case in other.answers)
            if not _same(first.answers[case], answer):
                told = f"{first.contestant.name} says {first.answers[case]!r}, {each.contestant.name} says {answer!r}"
                raise SystemExit(f"{case}: {told:.1000}")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6)
    return type(one) is type(other) and bool(one == other)


def hold(
    contestants: Sequence[Contestant],
    counts: Counts,
    rounds: int,
    most: int | None = None,
    tight: Collection[str] = (),
) -> Measured:
    """Measure every case of every contestant in every round, in turn.

    Parameters
    ----------
    contestants
        Who takes part.
    counts
        How many events make one measurement.
    rounds
        How often.
    most
        The most events of one measurement, whatever `counts` says.
    tight
        The cases that are decided by a few hundredths: they are measured several times in each round.
    """
    with running(contestants, counts) as started:
        measured: Measured = {
            (case, each.contestant.name): [] for case in counts for each in started if case in each.answers
        }
        for number in range(rounds):
            for case, sizes in counts.items():
                for _ in range(_TIGHT if case in tight else 1):
                    # Who goes first changes each time, so that nobody always follows the same neighbour
                    started.append(started.pop(0))
                    for each in started:
                        if case in each.answers:
                            size = sizes.get(each.contestant.name, sizes["*"])
                            found = each.measure(case, min(size, most or size))
                            measured[case, each.contestant.name].append(found)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return measured


def judge(measured: Measured, targets: Sequence[Target]) -> list[Row]:
    """Return the medians, and for each contract and goal the median of the ratios, pair by pair.

    A target whose contestants did not take part is left out.
    """
    rows = [
        Row(case, name, statistics.median(values) * 1e6, "CPU µs/event") for (case, name), values in measured.items()
    ]
    for target in targets:
        ours = measured.get((target.case, target.subject))
        theirs = measured.get((target.case, target.peer))
        if ours and theirs:
            rows += _judged(target, ours, theirs)
    return rows


def _judged(target: Target, ours: Sequence[float], theirs: Sequence[float]) -> Iterator[Row]:
    pairs = list(zip(ours, theirs, strict=True))
    ratio = statistics.median(our / their if target.at_most else their / our for our, their in pairs)
    value = statistics.median(ours) * 1e6
    bounds = {"contract": target.ratio, "goal": target.goal}
    for what, bound in bounds.items():
        if bound is not None:
            met = ratio <= bound if target.at_most else ratio >= bound
            text = f"≤ {bound:g}× {target.peer}" if target.at_most else f"≥ {bound:g}× less than {target.peer}"
            yield Row(target.case, target.subject, value, "CPU µs/event", round(ratio, 3), f"{what} {text}", met)


def show(rows: Sequence[Row]) -> None:
    """Print the rows as a Markdown table."""
    print("| case | contestant | value | unit | ratio | target | met |")
    print("|---|---|---:|---|---:|---|---|")
    order = list(dict.fromkeys(row.case for row in rows))
    for row in sorted(rows, key=lambda each: (order.index(each.case), each.target is not None)):
        ratio = "" if row.ratio is None else f"{row.ratio:.3f}×" if row.ratio < 2 else f"{row.ratio:.1f}×"
        met = "" if row.met is None else ("yes" if row.met else "**no**")
        cells = (row.case, row.contestant, _digits(row.value), row.unit, ratio, row.target or "", met)
        print(f"| {' | '.join(cells)} |")


def _digits(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def machine() -> str:
    """Return what the figures were taken on, in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def arguments(description: str) -> argparse.Namespace:
    """Parse what every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--prepare", action="store_true", help="make the peers' environments and stop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON, too")
    parser.add_argument("--rounds", type=int, default=9, help="how often each case is measured (default: 9)")
    parser.add_argument("--case", action="append", default=[], help="this case alone; several times for several")
    parser.add_argument("--most", type=int, metavar="N", help="at most N events in one measurement: a quick try")
    parser.add_argument("--without-peers", action="store_true", help="leave out who needs an environment of its own")
    wanted = parser.parse_args()
    if wanted.rounds < 1 or (wanted.most is not None and wanted.most < 1):
        parser.error("--rounds and --most are at least 1")
    return wanted


def run(description: str, contestants: Sequence[Contestant], counts: Counts, targets: Sequence[Target]) -> None:
    """Be the script: prepare, measure, judge, show, write; exit with 1 if a contract is not met."""
    wanted = arguments(description)
    if wanted.without_peers:
        contestants = [each for each in contestants if not each.requirements]
    prepare(contestants)
    if wanted.prepare:
        return
    chosen = wanted.case or list(counts)
    if unknown := sorted(set(chosen) - set(counts)):
        raise SystemExit(f"there is no case {unknown[0]!r}; there are {', '.join(counts)}")
    tight = {target.case for target in targets if target.at_most}
    measured = hold(contestants, {case: counts[case] for case in chosen}, wanted.rounds, wanted.most, tight)
    rows = judge(measured, targets)
    print(machine(), end="\n\n")
    show(rows)
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n")
    sys.exit(1 if any(row.broken for row in rows) else 0)
