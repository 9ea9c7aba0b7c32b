"""What an environment and a deployer say about a rollout, as the steps that come of it."""

from random import Random
from typing import Any

import pytest

from modelyard.deploy.rollout import Gates, Rollout, Stage, judge, read_rollout
from modelyard.serving.splits import Figures


@pytest.mark.parametrize(
    ("settings", "traffic", "shadow", "steps"),
    [
        (None, {}, True, (Stage(100.0, 60.0),)),
        ({"seconds": 0.2}, {}, True, (Stage(100.0, 0.2),)),
        ({"shadow": True, "seconds": 3}, {}, False, (Stage(100.0, 3.0),)),
        ({"steps": [], "seconds": 3}, {}, True, (Stage(100.0, 3.0),)),
        ({"steps": [{"share": 5}]}, {}, True, (Stage(5.0, 60.0),)),
        ({"traffic": {"champion": 80}, "seconds": 2}, {}, True, (Stage(20.0, 2.0),)),
        ({"traffic": {"champion": 80}, "seconds": 2}, {"challenger": 30}, False, (Stage(30.0, 2.0),)),
    ],
)
def test_each_way_to_ask_for_a_rollout_gives_its_steps(
    settings: Any, traffic: dict[str, float], shadow: bool, steps: tuple[Stage, ...]
) -> None:
    wanted = shadow or bool(settings and settings.get("shadow"))
    assert read_rollout(settings, traffic, shadow=shadow) == Rollout(steps, wanted)


@pytest.mark.parametrize("settings", [None, {}, {"seconds": 3}, {"steps": []}, {"traffic": {"challenger": 100}}])
def test_what_gets_everything_at_once_is_no_rollout(settings: Any) -> None:
    assert read_rollout(settings, {}, shadow=False) is None


@pytest.mark.parametrize("rate", [0.005, 0.02])
def test_clients_that_make_mistakes_roll_no_equal_revision_back(rate: float) -> None:
    random = Random(7)
    verdicts = []
    for _ in range(100):
        champion, challenger = Figures(), Figures()
        for number in range(1, 50_000):
            side = challenger if random.random() < 0.1 else champion
            side.add(0.004, failed=random.random() < rate)
            if number % 20 == 0 and (said := errors_of(champion, challenger)) is not None:
                verdicts.append(said)
                break

    assert verdicts.count(False) <= 1
    assert verdicts.count(True) >= 99


def test_a_challenger_that_fails_more_often_is_found_out_soon() -> None:
    champion, challenger = Figures(), Figures()
    for _ in range(900):
        champion.add(0.004, failed=False)
    tried = 0
    while errors_of(champion, challenger) is None:
        tried += 1
        challenger.add(0.004, failed=tried % 10 == 0)

    assert errors_of(champion, challenger) is False
    assert 20 <= tried <= 70


def test_one_failure_with_nothing_to_compare_with_decides_nothing() -> None:
    champion, challenger = Figures(), Figures()
    challenger.add(0.004, failed=True)

    assert errors_of(champion, challenger) is None


def errors_of(champion: Figures, challenger: Figures) -> bool | None:
    return next(each.passed for each in judge(Gates(), champion, challenger) if each.gate == "error_rate")
