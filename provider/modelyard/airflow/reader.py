"""Reads what an environment holds without the libraries that made it: over HTTP, or through another interpreter."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from modelyard.airflow.connection import ConnectionSettings
from modelyard.airflow.errors import AnswerUnreadable, ReaderUnavailable

if TYPE_CHECKING:
    from modelyard.airflow.mlflow_server import MlflowServer
    from modelyard.projects.environment import Environment

__all__ = ["Reader"]

_FRESH = 5.0
"""Seconds for which an answer serves everybody who asks the same in this process."""
_SECONDS = 120.0
_HTTP = ("http://", "https://")
_ABSENT = ("ModelNotFound", "ModelVersionNotFound", "AliasNotFound")
_REFERENCE = re.compile(r"(?:models:/)?(?P<name>[^@/:]+)(?:@(?P<alias>[^@/]+)|/(?P<version>\d+))?")


@dataclass(frozen=True)
class Reader:
    """Reads what an environment of a project holds.

    Registered models of an MLflow server are read over HTTP; those of a database by the command line of an interpreter
    that has MLflow; endpoints and runs in the files of the environment's state. What was read serves everybody in this
    process who asks the same within five seconds; who asks while somebody else does waits for that answer.

    Parameters
    ----------
    project
        The project's reference; empty where the settings name an MLflow server and only that is to be read.
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
    _asking: ClassVar[dict[Any, threading.Lock]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def project_facts(self) -> dict[str, Any]:
        """Return the project's ``name``, the ``environment``'s, and its ``tracking`` URI without credentials.

        Raises
        ------
        ModelyardError
            It cannot be known.
        """
        facts: dict[str, Any] = self._fresh("project", self._facts)
        return facts

    def models(self) -> list[dict[str, Any]]:
        """Return the registered models by name, each as ``modelyard models list --json`` has it.

        Raises
        ------
        ModelyardError
            They cannot be known.
        """
        found: list[dict[str, Any]] = self._fresh(
            "models", lambda: server.models() if (server := self._server()) else self._told("models", "list")
        )
        return found

    def versions(self, name: str, limit: int = 20) -> list[dict[str, Any]]:
        """Return the newest versions of a model, each as ``modelyard models show --json`` has it.

        Parameters
        ----------
        name
            The registered model; one that is not there has no versions.
        limit
            How many at most.

        Raises
        ------
        ModelyardError
            They cannot be known.
        """
        found: list[dict[str, Any]] = self._fresh(("versions", name, limit), lambda: self._versions(name, limit))
        return found

    def endpoints(self) -> list[dict[str, Any]]:
        """Return the endpoints by name, each as ``modelyard endpoints list --json`` has it.

        Raises
        ------
        ModelyardError
            They cannot be known.
        """
        from modelyard.deploy import list_endpoints

        found: list[dict[str, Any]] = self._fresh("endpoints", lambda: self._of_state(list_endpoints))
        return found

    def endpoint(self, name: str) -> dict[str, Any] | None:
        """Return an endpoint's record as ``modelyard endpoints show --json`` has it; None where there is none.

        Raises
        ------
        ModelyardError
            It cannot be known.
        """
        found: dict[str, Any] | None = self._fresh(("endpoint", name), lambda: self._endpoint(name))
        return found

    def runs(self, limit: int = 20) -> list[dict[str, Any]]:
        """Return the newest runs, as `modelyard.airflow.recent_runs.recent_runs` has them.

        Raises
        ------
        ModelyardError
            They cannot be known.
        """
        from modelyard.airflow.recent_runs import recent_runs
        from modelyard.operations.journal import Journal

        found: list[dict[str, Any]] = self._fresh(
            ("runs", limit), lambda: self._of_state(lambda state: recent_runs(Journal(state / "journal"), limit))
        )
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

        match = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
        if match is None:
            raise ParameterInvalid("model", "models:/name@alias, models:/name/version or models:/name", reference)
        if server := self._server():
            return _over_http(server, match)
        exact = match["alias"] or match["version"]
        asked = f"models:/{reference.removeprefix('models:/')}" if exact else match["name"]
        versions = self._told("models", "show", asked)
        newest = max(versions, key=lambda each: int(each["version"])) if versions else None
        return _described(newest, newest["metrics"]) if newest else None

    def _versions(self, name: str, limit: int) -> list[dict[str, Any]]:
        server = self._server()
        found = server.versions(name, limit) if server else self._told("models", "show", name) or []
        return list(found[:limit])

    def _endpoint(self, name: str) -> Any:
        from modelyard.deploy import EndpointNotFound, read_endpoint

        try:
            return self._of_state(lambda state: read_endpoint(state, name))
        except EndpointNotFound:
            return None

    def _of_state(self, read: Callable[[Path], Any]) -> Any:
        """Return, as JSON, what is read in the state location."""
        import msgspec

        state = self._chosen().state
        try:
            return msgspec.to_builtins(read(state))
        except OSError as error:
            raise ReaderUnavailable(str(state), error.strerror or type(error).__name__) from error

    def _facts(self) -> dict[str, Any]:
        from modelyard.projects import open_project
        from modelyard.projects.credentials import without_credentials

        if not self.project:
            return {"name": "", "environment": "", "tracking": without_credentials(self._tracking())}
        chosen = self._chosen()
        name = open_project(self.project).name
        return {"name": name, "environment": chosen.name, "tracking": without_credentials(chosen.tracking)}

    def _server(self) -> "MlflowServer | None":
        """Return the MLflow server that the environment tracks to; None where it tracks to a database."""
        from modelyard.airflow.mlflow_server import MlflowServer

        tracking = self._tracking()
        return MlflowServer(tracking, self._variables) if tracking.startswith(_HTTP) else None

    def _tracking(self) -> str:
        if not self.project and self.settings.tracking_uri.startswith(_HTTP):
            return self.settings.tracking_uri
        return self._chosen().tracking

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
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            try:
                known = self._known(key) or (time.monotonic(), ask())
                with self._lock:
                    self._answers[key] = known
            finally:
                with self._lock:
                    self._asking.pop(key, None)
        return known[1]

    def _known(self, key: Any) -> tuple[float, Any] | None:
        now = time.monotonic()
        with self._lock:
            for old in [each for each, (at, _) in self._answers.items() if now - at >= _FRESH]:
                del self._answers[old]
            return self._answers.get(key)


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


def _over_http(server: "MlflowServer", match: re.Match[str]) -> dict[str, Any] | None:
    found = server.version(match["name"], f"@{match['alias']}" if match["alias"] else match["version"] or "")
    return _described(found, server.metrics(found.get("run_id", ""))) if found else None


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
