"""Writes pipelines to files: intermediate representation, and manifests for clusters that are kept in git."""

from pathlib import Path

from kfp.compiler import Compiler
from kfp.compiler.compiler_utils import KubernetesManifestOptions
from kfp.dsl.base_component import BaseComponent

__all__ = ["write_manifests", "write_pipeline"]


def write_pipeline(pipeline: BaseComponent, path: Path | str) -> None:
    """Write a pipeline as intermediate representation: what KFP's page and its API take.

    Parameters
    ----------
    pipeline
        What ``dsl.pipeline`` returned.
    path
        The YAML file; its folder is made if need be.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Compiler().compile(pipeline, str(path))


def write_manifests(pipeline: BaseComponent, path: Path | str, *, name: str, version: str, namespace: str) -> None:
    """Write a pipeline as the Kubernetes objects ``Pipeline`` and ``PipelineVersion``.

    Parameters
    ----------
    pipeline
        What ``dsl.pipeline`` returned.
    path
        The YAML file; its folder is made if need be.
    name, version, namespace
        Of the objects.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    options = KubernetesManifestOptions(
        pipeline_name=name, pipeline_version_name=version, namespace=namespace, include_pipeline_manifest=True
    )
    Compiler().compile(pipeline, str(path), kubernetes_manifest_format=True, kubernetes_manifest_options=options)
