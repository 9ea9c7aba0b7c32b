import pytest

from modelyard.deploy import TARGETS, TargetNotFound, find_target
from modelyard.deploy.local.target import LocalTarget


def test_targets_are_found_by_name() -> None:
    assert isinstance(find_target("local"), LocalTarget)
    assert all(find_target(name) for name in TARGETS)


def test_an_unknown_target_is_said_with_the_nearest() -> None:
    message = r"deploy\.target: there is no deployment target 'lokal'\. Did you mean local\?"
    with pytest.raises(TargetNotFound, match=message):
        find_target("lokal")
