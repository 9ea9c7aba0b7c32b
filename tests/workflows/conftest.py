"""A project whose functions leave a trace of each time they run."""

from pathlib import Path

import pytest

FUNCTIONS = """
import os
import signal
import time
from pathlib import Path

ROOT = Path("{root}")


def note(name):
    with (ROOT / "ran").open("a") as file:
        file.write(name + "\\n")


def one(month=7):
    note("one")
    return {"month": month, "rows": [1, 2, 3], "big": 123456789012345678901234567890, "none": None}


def two(month, big, rows, extra=None):
    note("two")
    if (ROOT / "kill").exists():
        (ROOT / "kill").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    while (ROOT / "hang").exists():
        time.sleep(0.02)
    if (ROOT / "fail").exists():
        raise ValueError("two is told to fail")
    return {"month": month, "big": big, "rows": rows, "extra": extra}


def three(**received):
    note("three")
    return {"received": received}


def large(size):
    return {"text": "x" * size}
"""

FLOWS = '''
from modelyard.workflows import steps, workflow


@workflow
def main(month: int = 7, tags: list[str] = ["a"]):
    """Three steps."""
    one = steps(name="one").call(function="one", parameters={"month": month})
    two = steps(name="two").call(
        function="two",
        parameters={"month": one.value["month"], "big": one.value["big"], "rows": one.value["rows"], "extra": tags},
    )
    steps(name="three", after=one).call(
        function="three", parameters={"first": two.value["rows"][0], "all": [one.value["none"], two.value, tags]}
    )


@workflow
def nowhere():
    """Refers to what is not there."""
    one = steps(name="one").call(function="one")
    steps(name="two").call(function="three", parameters={"x": one.value["rows"][7]})


@workflow
def heavy():
    """Returns more than a result carries."""
    steps(name="small").call(function="large", parameters={"size": 10})
    steps(name="large").call(function="large", parameters={"size": 30000})
    steps(name="larger").call(function="large", parameters={"size": 35000})


not_one = 7
'''


class Traced:
    """The project, and what ran in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def ran(self) -> list[str]:
        """The functions that ran, in order."""
        file = self.root / "ran"
        return file.read_text().split() if file.exists() else []

    def told(self, name: str) -> Path:
        """The file that tells the functions to do something else."""
        return self.root / name


@pytest.fixture
def traced(tmp_path: Path) -> Traced:
    """The project in a folder of its own."""
    root = tmp_path / "traced"
    (root / "tasks").mkdir(parents=True)
    (root / "modelyard.yaml").write_text(
        "name: traced\n"
        "functions:\n"
        + "".join(f"  {name}: {{handler: 'tasks.functions:{name}'}}\n" for name in ("one", "two", "three", "large"))
        + "workflows:\n"
        + "".join(f"  {name}: tasks.flows:{name}\n" for name in ("main", "nowhere", "heavy", "not_one"))
    )
    (root / "tasks" / "__init__.py").touch()
    (root / "tasks" / "functions.py").write_text(FUNCTIONS.replace("{root}", str(root)))
    (root / "tasks" / "flows.py").write_text(FLOWS)
    return Traced(root)
