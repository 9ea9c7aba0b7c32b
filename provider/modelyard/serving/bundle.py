"""A revision bundle: all that a server needs of a graph, in one folder that never changes."""

import asyncio
import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from modelyard.graphs import (
    FlavorUnsupported,
    Graph,
    GraphSpec,
    LibraryMissing,
    LoadedModel,
    Plan,
    Resources,
    open_model,
)
from modelyard.serving.errors import BundleInvalid, ModelNotBundled, ModelTooLarge

__all__ = [
    "MANIFEST",
    "SOURCE",
    "BundleModels",
    "BundledModel",
    "Manifest",
    "open_beside",
    "open_bundle",
    "open_bundle_async",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "revision.json"
"""The manifest's name in the folder; it is written last."""


SOURCE = "project"
"""Where the project's snapshot is in the folder."""


class BundledModel(msgspec.Struct, frozen=True):
    """One model of a bundle.

    Parameters
    ----------
    reference
        The exact version, such as ``models:/delays/3``.
    digest
        The digest of its files that the registry vouches for.
    folder
        Where the files are in the bundle.
    """

    reference: str
    digest: str
    folder: str


class Manifest(msgspec.Struct, frozen=True):
    """What is in a bundle.

    Parameters
    ----------
    graph
        The graph, with exact model versions.
    models
        The model of each model step.
    content
        The digest of the project's snapshot.
    requirements
        Everything installed where the bundle is served, as ``name==version``.
    project
        The project's name.
    roots
        Where in the bundle the project's modules are imported from.
    provenance
        Where the project came from: commit, whether it was dirty; not part of the identity.
    """

    graph: GraphSpec
    models: dict[str, BundledModel]
    content: str
    requirements: tuple[str, ...]
    project: str = ""
    roots: tuple[str, ...] = (SOURCE,)
    provenance: dict[str, Any] = {}

    @property
    def revision(self) -> str:
        """The revision's id: a hash of the content, so that the same content is the same revision.

        Examples
        --------
        >>> first = Manifest(GraphSpec("g", ()), {}, "abc", (), provenance={"commit": "1"})
        >>> second = Manifest(GraphSpec("g", ()), {}, "abc", (), provenance={"commit": "2"})
        >>> first.revision == second.revision, len(first.revision)
        (True, 16)
        """
        same = msgspec.structs.replace(self, provenance={})
        return hashlib.sha256(msgspec.json.encode(same, order="deterministic")).hexdigest()[:16]

    def differs_in_models_alone(self, other: "Manifest") -> bool:
        """Return whether the other bundle is the same code, graph and environment, with other models in it.

        Examples
        --------
        >>> first, second = (BundledModel("models:/m/1", "a", "models/m"), BundledModel("models:/m/2", "b", "models/m"))
        >>> one = Manifest(GraphSpec("g", ()), {"m": first}, "abc", ())
        >>> one.differs_in_models_alone(Manifest(GraphSpec("g", ()), {"m": second}, "abc", ()))
        True
        >>> one.differs_in_models_alone(Manifest(GraphSpec("g", ()), {"m": second}, "abd", ()))
        False
        """
        return self.models != other.models and _without_models(self) == _without_models(other)

    def described(self) -> dict[str, Any]:
        """Return what a running server tells about its revision."""
        return {"revision": self.revision, "project": self.project, **self.provenance}


class BundleModels:
    """Loads models from a bundle, by step name; a `modelyard.graphs.ModelLoader`.

    Parameters
    ----------
    folder, manifest
        The bundle.
    limit
        The most bytes that a model's files may have together; 0 is no limit.
    """

    def __init__(self, folder: Path, manifest: Manifest, limit: int = 0) -> None:
        self._folder = folder
        self._models = manifest.models
        self._limit = limit

    def load(self, reference: str) -> LoadedModel:
        """Return the model of the step that `reference` names.

        Raises
        ------
        ModelNotBundled
            The revision holds no such model.
        ModelTooLarge
            Its files are larger than the limit.
        """
        if reference not in self._models:
            raise ModelNotBundled(reference, {name: each.reference for name, each in self._models.items()})
        known = self._models[reference]
        files = self._folder / known.folder
        size = sum(each.stat().st_size for each in files.rglob("*") if each.is_file()) if self._limit else 0
        if size > self._limit:
            raise ModelTooLarge(known.reference, size, self._limit)
        try:
            return open_model(files, digest=known.digest, name=known.reference)
        except FlavorUnsupported:
            return _open_with_mlflow(files, known)


def _open_with_mlflow(files: Path, known: BundledModel) -> LoadedModel:
    try:
        from modelyard.tracking.loading import open_files

        return open_files(files, digest=known.digest, trust=False, name=known.reference)
    except ModuleNotFoundError as error:
        raise LibraryMissing(error.name or "mlflow", f"the model {known.reference}", "ml") from error


def _without_models(manifest: Manifest) -> Any:
    references = {model.reference for model in manifest.models.values()}
    bare = msgspec.structs.replace(manifest, provenance={}, models={})
    return [sorted(manifest.models), _without(msgspec.to_builtins(bare), references)]


def _without(value: Any, texts: set[str]) -> Any:
    """Return a value of JSON with a star in place of each of these texts."""
    if isinstance(value, dict):
        return {name: _without(each, texts) for name, each in value.items()}
    if isinstance(value, list):
        return [_without(each, texts) for each in value]
    return "*" if isinstance(value, str) and value in texts else value


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the bundle in `folder`.

    Raises
    ------
    BundleInvalid
        There is none, or it is damaged.
    """
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BundleInvalid(str(folder), f"the folder holds no revision: there is no {MANIFEST}") from None
    except msgspec.DecodeError as error:
        raise BundleInvalid(str(folder), f"{MANIFEST} is damaged: {error}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of the bundle in `folder`, as the last of its files."""
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))


async def open_bundle_async(folder: Path, resources: Resources | None = None, *, model_limit: int = 0) -> Plan:
    """Do what `open_bundle` does on the running event loop: what the graph's steps open belongs to it."""
    graph, needed = _bundled(folder, resources, model_limit)
    return await graph.open_async(needed)


async def open_beside(folder: Path, resources: Resources, *, is_async: bool, model_limit: int = 0) -> Plan:
    """Open a bundle whose code is that of another one, which this process has open and which answers meanwhile.

    Parameters
    ----------
    folder, resources
        As for `open_bundle`.
    is_async
        Whether the graph has steps that belong to the event loop; other graphs are opened beside it.
    model_limit
        The most bytes that a model's files may have together; 0 is no limit.
    """
    graph, needed = _bundled(folder, resources, model_limit, importable=False)
    return await graph.open_async(needed) if is_async else await asyncio.to_thread(graph.open, needed)


def open_bundle(folder: Path, resources: Resources | None = None, *, model_limit: int = 0) -> Plan:
    """Make the bundle's project importable in this process, load its models, and return the open graph.

    Parameters
    ----------
    folder
        The bundle.
    resources
        What the graph gets besides its models: how rows of several requests are gathered, who counts and records.
    model_limit
        The most bytes that a model's files may have together; 0 is no limit.

    Raises
    ------
    BundleInvalid
        It is damaged.
    ModelDigestWrong
        A model's files were changed.
    ModelTooLarge
        A model is above the limit.
    """
    graph, needed = _bundled(folder, resources, model_limit)
    return graph.open(needed)


def _bundled(
    folder: Path, resources: Resources | None, model_limit: int, *, importable: bool = True
) -> tuple[Graph, Resources]:
    manifest = read_manifest(folder)
    if importable:
        sys.path[:0] = [str(folder / root) for root in manifest.roots]
    by_step = {step: step for step in manifest.models}
    graph = Graph.from_spec(manifest.graph).with_models(by_step)
    return graph, replace(resources or Resources(), models=BundleModels(folder, manifest, model_limit))
