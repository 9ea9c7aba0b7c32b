"""What an environment and a deployer say about a rollout, as the steps that come of it."""

from typing import Any

import pytest

from modelyard.deploy.rollout import Rollout, Stage, read_rollout


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
