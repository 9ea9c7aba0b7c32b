from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest


@pytest.fixture(params=["disk", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where to write: on a disk, and on a store without rename."""
    if request.param == "disk":
        yield str(tmp_path / "scored")
        return
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield "memory://scored"
    fs.store.clear()
