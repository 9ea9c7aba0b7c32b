"""Keeps results by what they were made of, for steps whose result depends on nothing else."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from modelyard.data.digests import digest_of, file_digest
from modelyard.operations import OperationSpec
from modelyard.operations.atomic import write_atomically
from modelyard.projects import Project
from modelyard.projects.folders import is_uri
from modelyard.workflows.definition import Step

__all__ = ["CachedResult", "ResultCache", "may_be_cached"]


def may_be_cached(step: Step, spec: OperationSpec) -> bool:
    """Return whether a step's result may be taken from an earlier one.

    Examples
    --------
    >>> from modelyard.operations.catalogue import load_catalogue
    >>> call = load_catalogue()["call"]
    >>> may_be_cached(Step("a", "call"), call), may_be_cached(Step("a", "call", cache=True), call)
    (False, True)
    """
    return spec.side_effects == "none" if step.cache is None else step.cache


class ResultCache:
    """Results of one environment of a project, one file each.

    A result is found again for the same operation and version of modelyard, the same parameters, the same content of
    the project's files, and, where a parameter is a dataset on this machine, the same content of that. A dataset
    elsewhere cannot be looked into: then nothing is found or kept.

    Parameters
    ----------
    state
        The environment's state folder.
    project
        The project.
    environment
        The environment's name.
    """

    def __init__(self, state: Path, project: Project, environment: str) -> None:
        self._folder = state / "workflows" / "cache"
        self._project = project
        self._environment = environment

    def place(self, spec: OperationSpec, parameters: Mapping[str, Any]) -> "CachedResult | None":
        """Return where the result of a call is kept, or None where nobody can tell what it depends on.

        Parameters
        ----------
        spec
            The operation.
        parameters
            All of its parameters, as `OperationSpec.bind` returns them.
        """
        datasets = {}
        for each in spec.parameters:
            value = parameters[each.name]
            if each.type.kind in ("dataset", "model") and isinstance(value, str) and value:
                digest = self._content(value)
                if digest is None:
                    return None
                datasets[each.name] = digest
        facts = {
            "operation": spec.name,
            "implementation": spec.implementation,
            "version": version("modelyard"),
            "environment": self._environment,
            "project": self._project.stamp.content,
            "parameters": dict(parameters),
            "datasets": datasets,
        }
        name = hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()
        return CachedResult(self._folder / f"{name}.json")

    def _content(self, dataset: str) -> str | None:
        if is_uri(dataset):
            return None
        path = Path(self._project.resolve_uri(dataset))
        try:
            return digest_of(path) if path.is_dir() else file_digest(path)
        except OSError:
            return None


class CachedResult:
    """The place of one result.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any] | None:
        """Return the result; None where none is kept yet."""
        try:
            found: dict[str, Any] = msgspec.json.decode(self._path.read_bytes(), type=dict[str, Any])
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return found

    def write(self, result: Mapping[str, Any]) -> None:
        """Keep the result."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, msgspec.json.encode(result))
