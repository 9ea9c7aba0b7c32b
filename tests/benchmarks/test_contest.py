"""How a contest is judged: medians, contracts and goals, and contestants that disagree."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def contest() -> Iterator[ModuleType]:
    found = importlib.util.spec_from_file_location("contest", FOLDER / "contest.py")
    assert found is not None
    assert found.loader is not None
    module = sys.modules["contest"] = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    yield module
    del sys.modules["contest"]


def speaking(contest: ModuleType, folder: Path, name: str, answer: str, seconds: float) -> object:
    script = folder / f"{name}.py"
    script.write_text(
        f"import sys\nprint('answer {answer}', flush=True)\n"
        f"for line in sys.stdin:\n    print('answer', {seconds} * int(line.split()[-1]), flush=True)\n"
    )
    return contest.Contestant(name, str(script))


def test_medians_of_ratios_round_by_round(contest: ModuleType) -> None:
    measured = {("chain", "we"): [1e-6, 2e-6, 4e-6], ("chain", "they"): [20e-6, 50e-6, 40e-6]}
    target = contest.Target("chain", "we", "they", 20, goal=25)
    rows = contest.judge(measured, [target, contest.Target("chain", "we", "absent", 1)])
    assert [(row.contestant, row.value, row.ratio, row.target, row.met, row.broken) for row in rows] == [
        ("we", 2.0, None, None, None, False),
        ("they", 40.0, None, None, None, False),
        ("we", 2.0, 20.0, "contract ≥ 20× less than they", True, False),
        ("we", 2.0, 20.0, "goal ≥ 25× less than they", False, False),
    ]


def test_a_contract_that_is_not_met_is_broken(contest: ModuleType) -> None:
    measured = {("batch", "we"): [1.2, 1.2, 1.0], ("batch", "they"): [1.0, 1.0, 1.0]}
    rows = contest.judge(measured, [contest.Target("batch", "we", "they", 1.1, at_most=True, goal=1.03)])
    assert [(row.ratio, row.target, row.met, row.broken) for row in rows[2:]] == [
        (1.2, "contract ≤ 1.1× they", False, True),
        (1.2, "goal ≤ 1.03× they", False, False),
    ]


def test_costs_per_event_of_everybody_in_every_round(contest: ModuleType, tmp_path: Path) -> None:
    we = speaking(contest, tmp_path, "we", '{"chain": [1, [2.0]], "own": 0}', 0.5)
    they = speaking(contest, tmp_path, "they", '{"chain": [1, [2.0000001]]}', 3.0)
    counts = {"chain": {"*": 100, "they": 10}, "own": {"*": 1}}
    measured = contest.hold([we, they], counts, rounds=2, most=50, tight={"own"})
    assert measured == {("chain", "we"): [0.5, 0.5], ("chain", "they"): [3.0, 3.0], ("own", "we"): [0.5] * 10}


@pytest.mark.parametrize("other", ['{"chain": [1, [3]]}', '{"chain": [1]}', '{"chain": [1, ["2"]]}'])
def test_contestants_that_disagree_are_not_timed(contest: ModuleType, tmp_path: Path, other: str) -> None:
    we = speaking(contest, tmp_path, "we", '{"chain": [1, [2]]}', 0.5)
    they = speaking(contest, tmp_path, "they", other, 0.5)
    with pytest.raises(SystemExit, match=r"^chain: we says \[1, \[2\]\], they says \[1"):
        contest.hold([we, they], {"chain": {"*": 1}}, rounds=1)


def test_a_contestant_that_dies_shows_its_last_words(contest: ModuleType, tmp_path: Path) -> None:
    script = tmp_path / "dying.py"
    script.write_text("raise SystemExit('out of luck')")
    with pytest.raises(SystemExit, match=r"^it ended without an answer \(status 1\):\nout of luck"):
        contest.hold([contest.Contestant("it", str(script))], {"chain": {"*": 1}}, rounds=1)
