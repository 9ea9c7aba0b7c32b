"""What every deployment target promises, as tests that a target's own module inherits.

A subclass names the target and makes orders for it; everything else is asked through the `Target` protocol and HTTP.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.deploy import EndpointNotFound, RevisionNotFound, RevisionNotReady, SettingInvalid, Target
from modelyard.deploy.targets import Order

__all__ = ["TargetContract"]

BROKEN = "raise RuntimeError('the steps are broken')"
SLOW_GATES = {"requests": 10**6, "latency": 1000}


class TargetContract:
    """The promises; ``target`` and ``order`` are the subclass's."""

    target: Target

    def order(self, state: Path, word: str = "one", **changes: Any) -> Order:
        """Return the order of a revision whose replies hold ``word``."""
        raise NotImplementedError

    def ask(self, url: str) -> Any:
        return httpx.post(url, json={"x": 1}, timeout=30).json()["word"]

    def test_what_was_deployed_answers_and_the_same_again_changes_nothing(self, state: Path) -> None:
        first = self.target.deploy(self.order(state))
        assert (first.changed, first.previous, first.rollout) == (True, None, "")
        assert self.ask(first.url) == "one"
        again = self.target.deploy(self.order(state))
        assert (again.changed, again.url, again.manifest.revision) == (False, first.url, first.manifest.revision)

    def test_an_update_and_a_rollback_under_load_lose_nothing(self, state: Path) -> None:
        first = self.target.deploy(self.order(state, "one"))
        with self.asked(first.url) as answers:
            second = self.target.deploy(self.order(state, "two"))
            assert (second.url, second.previous) == (first.url, first.manifest.revision)
            back = self.target.rollback(self.order(state), "")
            assert (back.manifest.revision, back.changed) == (first.manifest.revision, True)
        assert set(answers) == {"one", "two"}
        assert self.ask(first.url) == "one"

    def test_what_does_not_get_ready_never_answers(self, state: Path) -> None:
        url = self.target.deploy(self.order(state)).url
        with self.asked(url) as answers, pytest.raises(RevisionNotReady):
            self.target.deploy(self.order(state, "two", module=BROKEN))
        assert set(answers) == {"one"}

    def test_a_part_of_the_traffic_until_somebody_decides(self, state: Path) -> None:
        first = self.target.deploy(self.order(state))
        settings = {**self.order(state).settings, "rollout": {"gates": SLOW_GATES}}
        tried = self.order(state, "two", settings=settings, traffic={"champion": 50, "challenger": 50})
        assert self.target.deploy(tried).rollout == "canary"
        assert {self.ask(first.url) for _ in range(40)} == {"one", "two"}
        status = self.target.rollout("delays", state)
        assert status is not None
        assert (status.state, status.share) == ("running", 50)
        assert self.target.rollback(self.order(state), "").changed
        assert {self.ask(first.url) for _ in range(10)} == {"one"}
        self.target.deploy(tried)
        assert self.target.promote("delays", state, "somebody")
        assert {self.ask(first.url) for _ in range(10)} == {"two"}

    def test_what_is_not_there_is_said(self, state: Path) -> None:
        with pytest.raises(EndpointNotFound):
            self.target.rollback(self.order(state), "")
        with pytest.raises(EndpointNotFound):
            self.target.scale("delays", state, {"min": 1})
        self.target.deploy(self.order(state))
        with pytest.raises(RevisionNotFound, match="there is no earlier revision"):
            self.target.rollback(self.order(state), "")
        assert not self.target.promote("delays", state, "somebody")
        assert self.target.rollout("delays", state) is None

    def test_workers_are_scaled_within_bounds(self, state: Path) -> None:
        self.target.deploy(self.order(state))
        assert self.target.scale("delays", state, {"min": 2, "max": 2})
        assert not self.target.scale("delays", state, {"min": 2, "max": 2})
        with pytest.raises(SettingInvalid):
            self.target.scale("delays", state, {"min": 3})

    def test_settings_are_checked_without_deploying(self, tmp_path: Path) -> None:
        settings = dict(self.order(tmp_path).settings)
        self.target.check(settings, tmp_path)
        with pytest.raises(SettingInvalid, match="no setting 'wokers'"):
            self.target.check({**settings, "wokers": 2}, tmp_path)

    def test_undeploying_leaves_nothing_and_again_is_no_error(self, state: Path) -> None:
        url = self.target.deploy(self.order(state)).url
        assert self.target.undeploy("delays", state, 30)
        assert not self.target.undeploy("delays", state, 30)
        with pytest.raises(httpx.ConnectError):
            self.ask(url)

    def asked(self, url: str) -> "Asked":
        return Asked(lambda: self.ask(url))


class Asked:
    """Asks again and again while its block lasts; an error in it fails the test."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self._done = False
        self._answers: list[Any] = []
        self._pool = ThreadPoolExecutor(2)

    def __enter__(self) -> list[Any]:
        self._running = [self._pool.submit(self._run) for _ in range(2)]
        return self._answers

    def __exit__(self, *error: object) -> None:
        self._done = True
        self._pool.shutdown()
        for each in self._running:
            each.result()

    def _run(self) -> None:
        while not self._done:
            self._answers.append(self._ask())
