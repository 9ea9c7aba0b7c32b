"""Makes a revision of a project's graph: the bundle that a server needs, and nothing else."""

import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelyard.graphs import Graph, GraphInvalid, ModelNotTrusted
from modelyard.projects import Project, open_project
from modelyard.projects.loading import import_roots
from modelyard.serving.bundle import MANIFEST, SOURCE, BundledModel, Manifest, write_manifest
from modelyard.tracking import ResolvedModel, Tracking

__all__ = ["PARTIAL", "ProjectRevision", "load_graph", "resolve_models"]

PARTIAL = ".partial-"
"""How the names of unfinished bundles begin."""


def load_graph(project: Project, name: str) -> Graph:
    """Return one of the project's graphs.

    Raises
    ------
    GraphInvalid
        What the name leads to is no graph.
    """
    found = project.load_graph(name)
    if not isinstance(found, Graph):
        raise GraphInvalid(
            name, f"it is a value of type {type(found).__name__}", mend="Let it lead to a modelyard.graphs.Graph."
        )
    return found


def resolve_models(graph: Graph, tracking: Tracking) -> dict[str, ResolvedModel]:
    """Return the exact model that each model step of `graph` names now.

    Raises
    ------
    ModelNotTrusted
        The registry has recorded no digest for one of them.
    """
    resolved = {step: tracking.resolve(reference) for step, reference in graph.models.items()}
    for model in resolved.values():
        if not model.trusted:
            raise ModelNotTrusted(model.reference, "no digest of it is registered")
    return resolved


class ProjectRevision:
    """The revision of one graph as the project and its models are now; a `modelyard.deploy.targets.RevisionSource`.

    Parameters
    ----------
    project
        The open project.
    graph
        One of its graphs.
    models
        The exact model of each model step.
    tracking
        Where the models come from.
    """

    def __init__(
        self, project: Project, graph: Graph, models: Mapping[str, ResolvedModel], tracking: Tracking | None
    ) -> None:
        self._project = project
        # with the exact versions: what answers is the revision, not the words that led to it
        self._spec = graph.with_models({step: model.uri for step, model in models.items()}).to_spec()
        self._models = models
        self._tracking = tracking

    def write(self, revisions: Path, requirements: Sequence[str]) -> Manifest:
        """Put the bundle into `revisions`, under its id and whole, unless it is there already."""
        revisions.mkdir(parents=True, exist_ok=True)
        partial = revisions / f"{PARTIAL}{secrets.token_hex(6)}"
        partial.mkdir()
        try:
            manifest = self._manifest(partial, requirements)
            final = revisions / manifest.revision
            if not (final / MANIFEST).exists():
                self._fetch(partial)
                write_manifest(partial, manifest)
                partial.replace(final)
            return manifest
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _manifest(self, partial: Path, requirements: Sequence[str]) -> Manifest:
        source = self._project.snapshot(partial / SOURCE)
        stamp = open_project(source).stamp
        return Manifest(
            graph=self._spec,
            models={
                step: BundledModel(model.uri, model.digest, f"models/{step}") for step, model in self._models.items()
            },
            content=stamp.content,
            requirements=tuple(requirements),
            project=self._project.name,
            roots=tuple(str(root.relative_to(partial)) for root in import_roots(source)),
            provenance={"commit": stamp.commit, "dirty": stamp.dirty} if stamp.commit else {},
        )

    def _fetch(self, partial: Path) -> None:
        for step, model in self._models.items():
            assert self._tracking is not None  # noqa: S101 (who resolved a model has the tracking)
            self._tracking.fetch_model(model, partial / "models" / step)
