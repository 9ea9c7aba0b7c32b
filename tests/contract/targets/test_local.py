"""The target ``local`` keeps the contract of targets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from probe_endpoint import eventually, order_for, processes
from target_contract import TargetContract

from modelyard.deploy.local.target import LocalTarget
from modelyard.deploy.targets import Order


class TestLocal(TargetContract):
    """The target ``local``."""

    target = LocalTarget()

    def order(self, state: Path, word: str = "one", **changes: Any) -> Order:
        """Return the order of a revision whose replies hold ``word``."""
        return order_for(state, word, **changes)

    @pytest.fixture
    def state(self, tmp_path: Path) -> Iterator[Path]:
        """Return a state folder; nothing that ran in it is left."""
        folder = tmp_path / "state"
        yield folder
        self.target.undeploy("delays", folder, 10)
        eventually(lambda: processes(folder) == [])
