"""An environment ready to use: variables filled in, paths absolute, defaults applied."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.projects.credentials import without_credentials
from modelyard.projects.definition import EnvironmentDefinition
from modelyard.projects.errors import EnvironmentNotFound, ProjectInvalid, StateNotLocal, VariableMissing
from modelyard.projects.folders import absolute, is_uri, local_path
from modelyard.projects.secrets import Secrets
from modelyard.projects.validation import ProjectFile, check_target
from modelyard.projects.variables import UnsetVariable, filled

__all__ = ["EMBEDDED", "ENVIRONMENT_VARIABLE", "Environment", "chosen_environment", "written_folders"]

EMBEDDED = "dev"
"""The name of the environment of a project that declares none."""

ENVIRONMENT_VARIABLE = "MODELYARD_ENVIRONMENT"

_SQLITE = re.compile(r"^(?P<scheme>sqlite(\+\w+)?):///(?P<path>[^?]+)(?P<query>\?.*)?$")
_HOSTED = ("databricks", "databricks-uc")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where the work of one environment is tracked, kept and deployed.

    Parameters
    ----------
    name
        Its name in modelyard.yaml.
    tracking
        MLflow tracking URI; a path in ``sqlite:///`` is absolute.
    artifacts
        Where MLflow keeps files: an absolute path or a URI; None lets the MLflow server choose.
    state_uri
        State location: an absolute path or a URI.
    deploy
        The deployment target and what it takes; values that came from variables are text.
    kfp
        How workflows run on Kubeflow Pipelines.
    python
        The interpreter of functions that name neither one nor requirements; None is the running one.
    secrets
        The declared secrets by name.
    places
        Where each field stands, as ``file:line``, by its path below the environment, such as ``deploy.workers``.
    """

    name: str
    tracking: str
    artifacts: str | None
    state_uri: str
    deploy: Mapping[str, Any]
    kfp: Mapping[str, Any] = field(default_factory=dict)
    python: str | None = None
    secrets: Secrets = field(compare=False, default_factory=lambda: Secrets((), EMBEDDED))
    places: Mapping[str, str] = field(compare=False, default_factory=dict)

    @property
    def state(self) -> Path:
        """The state location as a local folder, which may not exist yet.

        Raises
        ------
        StateNotLocal
            It is a remote URI, which this version cannot keep a journal in.
        """
        if is_uri(self.state_uri):
            raise StateNotLocal(without_credentials(self.state_uri), self.name)
        return Path(self.state_uri)

    def open_state(self) -> Path:
        """Return the state folder, made if need be, and kept out of git by a .gitignore of its own.

        Raises
        ------
        StateNotLocal
            It is a remote URI, which this version cannot keep a journal in.
        """
        folder = self.state
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        return folder

    def __repr__(self) -> str:
        return f"<environment {self.name}>"


def chosen_environment(
    file: ProjectFile, root: Path, name: str = "", variables: Mapping[str, str] | None = None
) -> Environment:
    """Return the environment `name`; without one, what ``MODELYARD_ENVIRONMENT`` says, else the first in the file.

    Raises
    ------
    EnvironmentNotFound
        There is no such environment.
    VariableMissing
        It needs a variable that is not set.
    ProjectInvalid
        A filled-in value breaks a rule.
    """
    variables = os.environ if variables is None else variables
    declared = file.definition.environments or {EMBEDDED: EnvironmentDefinition()}
    from_variable = "" if name else variables.get(ENVIRONMENT_VARIABLE, "")
    name = name or from_variable or next(iter(declared))
    if name not in declared:
        source = ENVIRONMENT_VARIABLE if from_variable else ""
        raise EnvironmentNotFound(file.path, name, list(declared), from_variable=source)
    return _resolved(_Values(file, name, variables), declared[name], root)


class _Values:
    """Fills in the values of one environment and knows where they stand."""

    def __init__(self, file: ProjectFile, name: str, variables: Mapping[str, str]) -> None:
        self.file = file
        self.name = name
        self.variables = variables

    def fill(self, key: str, value: Any) -> Any:
        try:
            return filled(value, self.variables, self._field(key))
        except UnsetVariable as error:
            raise VariableMissing(self.file.path, self._line(error.field), error.field, error.name) from None

    def text(self, key: str, value: str | None) -> str | None:
        text: str | None = self.fill(key, value)
        if text is not None and not text.strip():
            raise self.error(key, "must not be empty")
        return text

    def error(self, key: str, rule: str, mend: str = "") -> ProjectInvalid:
        field = self._field(key)
        return ProjectInvalid(self.file.path, without_credentials(rule), line=self._line(field), field=field, mend=mend)

    def check_target(self, deploy: dict[str, Any]) -> None:
        line = self._line(self._field("deploy.target"))
        check_target(self.file.path, line, self.name, deploy)

    def places(self) -> dict[str, str]:
        own = self._field("")
        found = ((field.removeprefix(own), line) for field, line in self.file.lines.items() if field.startswith(own))
        return {field: f"{self.file.path}:{line}" for field, line in found}

    def _field(self, key: str) -> str:
        return f"environments.{self.name}.{key}"

    def _line(self, field: str) -> int:
        return self.file.lines.get(field, 0)


def _resolved(values: _Values, definition: EnvironmentDefinition, root: Path) -> Environment:
    state = values.text("state", definition.state) or ""
    folder = local_path(state, root)
    if folder is not None and (root == folder or root.is_relative_to(folder)):
        raise values.error("state", f'must be a folder of its own, got "{state}"', "Name one such as .modelyard/.")
    own = folder or root / ".modelyard"
    tracking = _tracking(values, values.text("tracking", definition.tracking), own, root)
    artifacts = values.text("artifacts", definition.artifacts)
    if artifacts is not None:
        artifacts = artifacts if is_uri(artifacts) else str(absolute(artifacts, root))
    elif tracking.startswith("sqlite"):
        artifacts = str(own / "artifacts")
    deploy = values.fill("deploy", definition.deploy)
    values.check_target(deploy)
    python = values.text("python", definition.python)
    if python is not None and "/" in python:
        python = str(absolute(python, root))
    return Environment(
        name=values.name,
        tracking=tracking,
        artifacts=artifacts,
        state_uri=state if folder is None else str(folder),
        deploy=deploy,
        kfp=values.fill("kfp", definition.kfp),
        python=python,
        secrets=Secrets(definition.secrets, values.name, values.variables),
        places=values.places(),
    )


def _tracking(values: _Values, uri: str | None, own: Path, root: Path) -> str:
    if uri is None:
        return f"sqlite:///{own / 'mlflow.db'}"
    if uri in _HOSTED:
        return uri
    example = "Write one such as sqlite:///.modelyard/mlflow.db or https://mlflow.example.com."
    if uri.startswith("sqlite"):
        match = _SQLITE.match(uri)
        if match is None or match["path"] == ":memory:":
            raise values.error("tracking", f'must name a file after sqlite:///, got "{uri}"', example)
        return f"{match['scheme']}:///{absolute(match['path'], root)}{match['query'] or ''}"
    if not is_uri(uri) or uri.startswith("file:"):
        raise values.error("tracking", f'must be the URI of a database or an MLflow server, got "{uri}"', example)
    return uri


def written_folders(file: ProjectFile, root: Path) -> list[Path]:
    """Return the local places that the project's environments write to, as far as they are known now.

    They are no part of the project's content, wherever they lie.
    """
    places: list[Path] = []
    for definition in file.definition.environments.values():
        for value in (definition.state, definition.artifacts, definition.tracking):
            try:
                text = filled(value or "", os.environ, "")
            except UnsetVariable:
                continue
            match = _SQLITE.match(text)
            path = local_path(match["path"] if match else text, root) if text else None
            if path is not None and path != root and path.is_relative_to(root):
                places.append(path)
    return places
