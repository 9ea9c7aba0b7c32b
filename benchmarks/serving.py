"""What a request costs over HTTP: ours, MLServer, FastAPI, and a bare uvicorn application as the floor."""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from contest import FOLDER as BENCHMARKS
from contest import Contestant, Row, machine, prepare, show
from servers.running import FOLDER, Server, write_models, wrk

ROOT = BENCHMARKS.parent
OURS = "modelyard"
COMPILED = "modelyard, compiled"
TWO = "modelyard, 2 workers"
BARE = "bare uvicorn"
FASTAPI = "FastAPI 0.165.0"
MLSERVER = "MLServer 1.7.1"

_MODELS = ("scikit-learn==1.9.1", "numpy==2.4.6")
_SERVING = ("--editable", f"{ROOT}[serving,onnx]", "--constraints", str(ROOT / "constraints/main.txt"))
"""What a machine has that serves and does nothing else: no pandas, which scikit-learn would load."""
CONTESTANTS = (
    *(
        Contestant(name, script, "serving", _SERVING)
        for name, script in (
            (BARE, "bare_server.py"),
            *dict.fromkeys((OURS, COMPILED, TWO), "modelyard_server.py").items(),
        )
    ),
    Contestant(
        FASTAPI, "fastapi_server.py", "peer-fastapi", ("fastapi==0.165.0", "uvicorn[standard]==0.54.0", *_MODELS)
    ),
    # its inference pool dies on a newer uvloop
    Contestant(
        MLSERVER,
        "mlserver_server.py",
        "peer-mlserver",
        ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop<0.22", *_MODELS),
    ),
)

RATE, P50, P99, CPU = "requests/s", "p50 ms", "p99 ms", "CPU µs/request"
PSS, COLD = "PSS MB", "cold start s"


@dataclass(frozen=True)
class Case:
    """A model, or a graph, behind every contestant's server.

    Parameters
    ----------
    name
        How the table calls it.
    models
        Contestant's name → which model its script is to serve, and what its script is told besides.
    connections
        How many requests are under way at once.
    starts
        Whether the start of the process is timed.
    """

    name: str
    models: Mapping[str, tuple[str, ...]]
    connections: tuple[int, ...] = (1, 32)
    starts: bool = False

    def at(self, connections: int) -> str:
        """Return how the table calls the case at so many connections."""
        return f"{self.name}, {connections} connection{'s' if connections > 1 else ''}"


def _same(model: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys((BARE, OURS, FASTAPI, MLSERVER), (model,))


LINEAR = Case("logistic regression", {**_same("linear"), COMPILED: ("compiled",)}, starts=True)
BOOSTED = Case("boosted trees", _same("boosted"))
VOTE = Case("vote of 3", _same("vote"))
SLOW = Case("a step of 5 ms", {OURS: ("slow",), TWO: ("slow", "2")}, (8,))
CASES = (LINEAR, BOOSTED, VOTE, SLOW)


@dataclass(frozen=True)
class Bound:
    """What the subject must reach against a peer: their quotient, round by round.

    Parameters
    ----------
    case, unit
        Which figure.
    subject, peer
        Names of contestants.
    contract, goal
        The bounds.
    at_most
        Whether the quotient must stay at or below them.
    """

    case: str
    unit: str
    subject: str
    peer: str
    contract: float
    goal: float | None = None
    at_most: bool = False


BOUNDS = (
    *(Bound(case.at(32), CPU, OURS, BARE, 1.2, 1.1, at_most=True) for case in (LINEAR, BOOSTED, VOTE)),
    Bound(LINEAR.at(32), RATE, OURS, MLSERVER, 8, 10),
    Bound(LINEAR.at(32), RATE, OURS, FASTAPI, 5.5, 6.5),
    Bound(VOTE.at(32), RATE, OURS, MLSERVER, 10, 12),
    Bound(VOTE.at(32), RATE, OURS, FASTAPI, 8, 9.5),
    Bound(LINEAR.at(1), RATE, OURS, MLSERVER, 2, 2.5),
    Bound(LINEAR.at(1), RATE, OURS, FASTAPI, 1.2, 1.4),
    Bound(LINEAR.at(1), RATE, COMPILED, MLSERVER, 4.5, 6),
    Bound(LINEAR.at(1), RATE, COMPILED, FASTAPI, 2.5, 3.5),
    Bound(SLOW.at(8), RATE, TWO, OURS, 1.7, 1.9),
    *(
        Bound(case.at(32), P99, OURS, peer, 1, at_most=True)
        for case in (LINEAR, BOOSTED, VOTE)
        for peer in (MLSERVER, FASTAPI)
    ),
    *(Bound(case.name, PSS, OURS, FASTAPI, 1.3, at_most=True) for case in (LINEAR, BOOSTED, VOTE)),
    Bound(LINEAR.name, COLD, OURS, FASTAPI, 1.2, at_most=True),
)

Measured = dict[tuple[str, str, str], list[float]]
"""(case, unit, contestant's name) → the figures, one for each round."""


class Contest:
    """Measures cases.

    Parameters
    ----------
    contestants
        Who takes part.
    folder
        Where models and bundles are.
    rounds, seconds
        How often, and how long, each case is measured.
    """

    def __init__(self, contestants: Sequence[Contestant], folder: Path, rounds: int, seconds: int) -> None:
        self.measured: Measured = {}
        self._contestants = contestants
        self._folder = folder
        self._rounds, self._seconds = rounds, seconds

    def hold(self, case: Case) -> None:
        """Start the servers of a case, refuse those that disagree, and measure them in turn."""
        taking_part = [each for each in self._contestants if each.name in case.models]
        with ExitStack() as stack:
            servers = []
            for each in taking_part:
                servers.append(self._started(each, case))
                stack.callback(servers[-1].close)
            _agree(case, servers)
            for server in servers:
                server.load(max(case.connections), 1)  # code and memory are warm after that
            for number in range(self._rounds):
                for connections in case.connections:
                    servers.append(servers.pop(0))  # nobody always follows the same neighbour
                    for server in servers:
                        self._note(case.at(connections), server, connections)
                print(f"{case.name}: round {number + 1} of {self._rounds}", file=sys.stderr)
            for server in servers:
                self._keep(case.name, PSS, server.name, server.memory())
        if case.starts:
            self._time_starts(case, taking_part)

    def _started(self, contestant: Contestant, case: Case) -> Server:
        model, *rest = case.models[contestant.name]
        command = [str(contestant.python), str(FOLDER / contestant.script), str(self._folder), model]
        return Server(contestant.name, command, self._folder / "requests.jsonl", rest)

    def _note(self, case: str, server: Server, connections: int) -> None:
        load = server.load(connections, self._seconds)
        for unit, value in ((RATE, load.rate), (P50, load.p50), (P99, load.p99), (CPU, load.cpu)):
            self._keep(case, unit, server.name, value)

    def _time_starts(self, case: Case, contestants: Sequence[Contestant]) -> None:
        for _ in range(self._rounds):
            for each in contestants:
                server = self._started(each, case)
                self._keep(case.name, COLD, each.name, server.cold)
                server.close()

    def _keep(self, case: str, unit: str, name: str, value: float) -> None:
        self.measured.setdefault((case, unit, name), []).append(value)


def _agree(case: Case, servers: Sequence[Server]) -> None:
    first, *others = servers
    labels = first.labels()
    for each in others:
        if (found := each.labels()) != labels:
            raise SystemExit(f"{case.name}: {first.name} says {labels}, {each.name} says {found}")


def judge(measured: Measured, bounds: Sequence[Bound]) -> list[Row]:
    """Return the medians, and for each contract and goal the median of the quotients, round by round.

    A bound whose contestants did not take part is left out.
    """
    rows = [Row(case, name, statistics.median(values), unit) for (case, unit, name), values in measured.items()]
    for bound in bounds:
        ours = measured.get((bound.case, bound.unit, bound.subject))
        theirs = measured.get((bound.case, bound.unit, bound.peer))
        if ours and theirs:
            rows += _judged(bound, ours, theirs)
    return rows


def _judged(bound: Bound, ours: Sequence[float], theirs: Sequence[float]) -> Iterator[Row]:
    ratio = statistics.median(our / their for our, their in zip(ours, theirs, strict=True))
    for what, limit in (("contract", bound.contract), ("goal", bound.goal)):
        if limit is not None:
            met = ratio <= limit if bound.at_most else ratio >= limit
            target = f"{what} {'≤' if bound.at_most else '≥'} {limit:g}× {bound.peer}"
            yield Row(bound.case, bound.subject, statistics.median(ours), bound.unit, round(ratio, 3), target, met)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", action="store_true", help="make the peers' environments and stop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON, too")
    parser.add_argument("--rounds", type=int, default=7, help="how often each case is measured (default: 7)")
    parser.add_argument("--seconds", type=int, default=2, help="how long each measurement takes (default: 2)")
    parser.add_argument("--case", action="append", default=[], help="this case alone; several times for several")
    parser.add_argument(
        "--without-peers", action="store_true", help="leave out who is not ours, and make no environment"
    )
    wanted = parser.parse_args()
    if wanted.rounds < 1 or wanted.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    known = [case.name for case in CASES]
    if unknown := sorted(set(wanted.case) - set(known)):
        parser.error(f"there is no case {unknown[0]!r}; there are {', '.join(known)}")
    return wanted


def main() -> int:
    """Prepare, measure, judge, show, write; return 1 if a contract is not met."""
    wanted = arguments()
    contestants = [replace(each, requirements=()) for each in CONTESTANTS if not each.is_peer]
    if not wanted.without_peers:
        contestants = list(CONTESTANTS)
    prepare(contestants)
    if wanted.prepare:
        return 0
    wrk()
    with tempfile.TemporaryDirectory(prefix="serving-") as folder:
        write_models(Path(folder))
        contest = Contest(contestants, Path(folder), wanted.rounds, wanted.seconds)
        for case in CASES:
            if not wanted.case or case.name in wanted.case:
                contest.hold(case)
    rows = judge(contest.measured, BOUNDS)
    print(machine(), end="\n\n")
    show(rows)
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n")
    return 1 if any(row.broken for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
