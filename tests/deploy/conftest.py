import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from probe_endpoint import processes

from modelyard.deploy.local.target import LocalTarget


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder; whatever still runs in it is ended, and nothing may survive that."""
    state = tmp_path / "state"
    yield state
    if (state / "endpoints").exists():
        for endpoint in (state / "endpoints").iterdir():
            LocalTarget().undeploy(endpoint.name, state, 10)
    eventually(lambda: processes(state) == [])


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition that nothing announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
