"""Reads models and endpoints without the libraries that made them: over HTTP, or through another interpreter."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from modelyard.airflow.connection import ConnectionSettings
from modelyard.airflow.errors import AnswerUnreadable, ReaderUnavailable

if TYPE_CHECKING:
    from modelyard.projects.environment import Environment

__all__ = ["Reader"]

_FRESH = 5.0
"""Seconds for which an answer serves everybody who asks the same in this process."""
_SECONDS = 120.0
_ABSENT = ("ModelNotFound", "ModelVersionNotFound", "AliasNotFound", "EndpointNotFound")
_REFERENCE = re.compile(r"(?:models:/)?(?P<name>[^@/:]+)(?:@(?P<alias>[^@/]+)|/(?P<version>\d+))?")


@dataclass(frozen=True)
class Reader:
    """Reads what an environment of a project holds.

    Registered models of an MLflow server are read over HTTP; those of a database, and endpoints, by the command line of
    an interpreter that has modelyard with what it needs.

    Parameters
    ----------
    project
        The project's reference.
    environment
        The environment's name; empty is the project's default.
    python
        The interpreter; by default MODELYARD_PYTHON, else the environment's, else this one.
    settings
        What a connection says.
    """

    project: str
    environment: str = ""
    python: str = ""
    settings: ConnectionSettings = field(default_factory=ConnectionSettings)

    _answers: ClassVar[dict[Any, tuple[float, Any]]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def endpoint(self, name: str) -> dict[str, Any] | None:
        """Return an endpoint's record as ``modelyard endpoints show --json`` has it; None where there is none.

        Raises
        ------
        ModelyardError
            It cannot be known.
        """
        found: dict[str, Any] | None = self._fresh(("endpoint", name), lambda: self._told("endpoints", "show", name))
        return found

    def version(self, reference: str) -> dict[str, Any] | None:
        """Return a model version; None where there is none yet.

        Parameters
        ----------
        reference
            ``models:/name@alias``, ``models:/name/3``, or ``models:/name`` for the newest.

        Returns
        -------
        dict or None
            ``model`` (the exact reference), ``name``, ``version``, ``aliases``, ``run_id`` and ``metrics``.

        Raises
        ------
        ModelyardError
            It cannot be known.
        """
        found: dict[str, Any] | None = self._fresh(("version", reference), lambda: self._version(reference))
        return found

    def _version(self, reference: str) -> dict[str, Any] | None:
        from modelyard.operations import ParameterInvalid

        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise ParameterInvalid("model", "models:/name@alias, models:/name/version or models:/name", reference)
        chosen = self._chosen()
        if chosen.tracking.startswith(("http://", "https://")):
            return self._over_http(chosen.tracking, match)
        exact = match["alias"] or match["version"]
        asked = f"models:/{reference.removeprefix('models:/')}" if exact else match["name"]
        versions = self._told("models", "show", asked)
        newest = max(versions, key=lambda each: int(each["version"])) if versions else None
        return _described(newest, newest["metrics"]) if newest else None

    def _over_http(self, uri: str, match: re.Match[str]) -> dict[str, Any] | None:
        from modelyard.airflow.mlflow_server import MlflowServer

        server = MlflowServer(uri, self._variables)
        found = server.version(match["name"], f"@{match['alias']}" if match["alias"] else match["version"] or "")
        return _described(found, server.metrics(found.get("run_id", ""))) if found else None

    @property
    def _variables(self) -> dict[str, str]:
        return {**os.environ, **self.settings.variables}

    def _chosen(self) -> "Environment":
        from modelyard.projects import open_project

        chosen = open_project(self.project).environment(self.environment, self._variables)
        self.settings.check_tracking(chosen.name, chosen.tracking)
        return chosen

    def _told(self, *command: str) -> Any:
        """Return what a command of the command line says; None where what it asks for is not there."""
        import msgspec

        from modelyard.errors import ErrorRecord, ForeignError
        from modelyard.projects import open_project

        chosen, reference = self._chosen(), open_project(self.project).reference
        python = self.python or self._variables.get("MODELYARD_PYTHON") or chosen.python or sys.executable
        place = ("--project", reference, "--environment", chosen.name, "--json")
        said = _output([python, "-P", "-m", "modelyard.cli", *command, *place], self._variables)
        error = said.get("error") if isinstance(said, dict) else None
        if not isinstance(error, dict):
            return said
        if error.get("type") in _ABSENT:
            return None
        raise ForeignError(msgspec.convert(error, ErrorRecord))

    def _fresh(self, question: Any, ask: Callable[[], Any]) -> Any:
        key = (self.project, self.environment, self.python, repr(self.settings), question)
        now = time.monotonic()
        with self._lock:
            known = self._answers.get(key)
        if known and now - known[0] < _FRESH:
            return known[1]
        answer = ask()
        with self._lock:
            for old in [each for each, (at, _) in self._answers.items() if now - at >= _FRESH]:
                del self._answers[old]
            self._answers[key] = (time.monotonic(), answer)
        return answer


def _output(command: list[str], variables: Mapping[str, str]) -> Any:
    python = command[0]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the interpreter is the user's own choice
            command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ReaderUnavailable(python, f"no answer within {_SECONDS:g} seconds") from error
    except OSError as error:
        raise AnswerUnreadable(python, error.strerror or str(error)) from error
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        last = " ".join(done.stderr.decode(errors="replace").split())[-200:]
        raise AnswerUnreadable(python, f"code {done.returncode}, and no JSON; {last}") from error


def _described(found: Mapping[str, Any], metrics: Mapping[str, float]) -> dict[str, Any]:
    name, version = str(found["name"]), int(found["version"])
    return {
        "model": f"models:/{name}/{version}",
        "name": name,
        "version": version,
        "aliases": sorted(found.get("aliases") or ()),
        "run_id": found.get("run_id") or "",
        "metrics": dict(metrics),
    }
