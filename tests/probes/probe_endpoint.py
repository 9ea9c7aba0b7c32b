"""Endpoints without a project and without tracking: the ports of deploy, filled by hand.

``python probe_endpoint.py STATE WORD`` deploys one.
"""

import logging
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from modelyard.data.digests import digest_of
from modelyard.deploy import Order
from modelyard.deploy.local.target import LocalTarget
from modelyard.graphs import GraphSpec, StepSpec
from modelyard.serving.bundle import BundledModel, Manifest, write_manifest

STEPS = """
import time

def answer(body):
    if body and body.get("sleep"):
        time.sleep(body["sleep"])
    return {"word": %r, "body": body}
"""


class FakeRevision:
    """A revision of one module, told apart by a word; with a model before its step, if one is given."""

    def __init__(self, word: str, module: str = STEPS, model: Path | None = None) -> None:
        self.word = word
        self.model = model
        self.module = module % word if "%r" in module else module

    def write(self, revisions: Path, requirements: Sequence[str]) -> Manifest:
        answer = StepSpec("answer", "call", "steps:answer", respond=True)
        steps = (StepSpec("delays", "model", "models:/delays@champion"), answer) if self.model else (answer,)
        models = (
            {"delays": BundledModel("models:/delays/3", digest_of(self.model), "models/delays")} if self.model else {}
        )
        manifest = Manifest(GraphSpec("delays", steps), models, self.word, tuple(requirements), "probe")
        folder = revisions / manifest.revision
        if not folder.exists():
            (folder / "project").mkdir(parents=True)
            (folder / "project/steps.py").write_text(self.module)
            if self.model:
                shutil.copytree(self.model, folder / "models/delays")
            write_manifest(folder, manifest)
        return manifest


def order_for(state: Path, word: str = "one", **changes: Any) -> Order:
    """Return the order of a `FakeRevision`."""
    source = FakeRevision(word, changes.pop("module", STEPS), changes.pop("model", None))
    known: dict[str, Any] = {
        "endpoint": "delays",
        "state": state,
        "settings": {"target": "local"},
        "root": state,
        "source": source,
        "timeout": 60.0,
        "log": logging.getLogger("test"),
    }
    return Order(**{**known, **changes})


def eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for a condition that nothing announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def processes(state: Path, module: str = "") -> list[psutil.Process]:
    """Return the living supervisors and workers of a state folder, those of one module if it is named."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        mine = any(str(state) in word for word in line) and any(f"modelyard.{module}" in word for word in line)
        if mine and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


if __name__ == "__main__":
    LocalTarget().deploy(order_for(Path(sys.argv[1]), sys.argv[2]))
