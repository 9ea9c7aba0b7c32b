import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.invocation import Invocation
from modelyard.operations.journal import Journal

PROBES = str(Path(__file__).with_name("probes"))


@pytest.fixture(scope="session", autouse=True)
def _probes_are_installed() -> Iterator[None]:
    """Have this process and its children find the probe operations."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([PROBES, *([before] if before else [])])
    sys.path.append(PROBES)
    load_catalogue.cache_clear()
    yield
    sys.path.remove(PROBES)
    load_catalogue.cache_clear()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state/journal")


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ask(tmp_path: Path, ledger: Path) -> Callable[..., Invocation]:
    """Make invocations of probes; those of probe-work note in the ledger."""

    def make(operation: str = "probe-work", key: str = "k", **parameters: Any) -> Invocation:
        if operation == "probe-work":
            parameters = {"ledger": str(ledger), **parameters}
        bound = load_catalogue().spec(operation).bind(parameters)
        return Invocation(operation=operation, parameters=bound, project=str(tmp_path), environment="dev", key=key)

    return make


@pytest.fixture
def appears() -> Callable[..., None]:
    """Wait until a file is there, with a text in it."""

    def wait(file: Path, text: str = "") -> None:
        deadline = time.monotonic() + 120
        while not (file.exists() and text in file.read_text()):
            assert time.monotonic() < deadline, f"{file} does not say {text!r}"
            time.sleep(0.005)

    return wait
