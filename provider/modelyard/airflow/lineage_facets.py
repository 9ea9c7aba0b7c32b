"""What OpenLineage is told of a task: needs Airflow's OpenLineage provider, and is imported only where that asks."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attr
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    OutputDatasetFacet,
    RunFacet,
    dataset_version_dataset,
    output_statistics_output_dataset,
    schema_dataset,
    source_code_location_job,
)

from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.providers.openlineage.utils.utils import translate_airflow_asset
from modelyard.airflow.lineage import DatasetFacts, WorkFacts, lineage_name, model_name

if TYPE_CHECKING:
    from airflow.sdk import Asset

__all__ = ["RUN_FACET", "ModelyardRunFacet", "operator_lineage"]

RUN_FACET = "modelyard_run"
"""The name of our own facet of a run."""


@attr.define
class ModelyardRunFacet(RunFacet):
    """What a run of a task has done, as far as no facet of OpenLineage's own says it; what is not known is None."""

    operation: str
    project: str | None = None
    environment: str | None = None
    key: str | None = None
    generation: int | None = None
    content: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    origin: str | None = None
    run: str | None = None
    model: str | None = None
    metrics: dict[str, float] | None = None
    gates: dict[str, str] | None = None


def operator_lineage(work: WorkFacts, inlets: Iterable[Any], outlets: Iterable[Any]) -> OperatorLineage[Any, Any]:
    """Return what OpenLineage is told of a piece of work.

    Parameters
    ----------
    work
        What is known of it now.
    inlets, outlets
        What the task declares: assets are told of besides what the work itself has read and made.
    """
    inputs: list[Dataset] = [_input(each) for each in work.inputs]
    outputs: list[Dataset] = [_output(each) for each in work.outputs]
    return OperatorLineage(
        inputs=_with_assets(inputs, inlets),
        outputs=_with_assets(outputs, outlets),
        run_facets={RUN_FACET: _run_facet(work)},
        job_facets=_job_facets(work),
    )


def _run_facet(work: WorkFacts) -> ModelyardRunFacet:
    result = work.result
    return ModelyardRunFacet(
        operation=work.operation,
        project=work.project or None,
        environment=work.environment or None,
        key=work.key or None,
        generation=work.generation or None,
        content=work.content or None,
        commit=work.commit or None,
        dirty=work.dirty if work.commit else None,
        origin=work.origin or None,
        run=_text(result.get("run_id") or result.get("evaluation")),
        model=_text(result.get("model")),
        metrics=_mapping(result.get("metrics")),
        gates=_mapping(result.get("gates")),
    )


def _text(value: Any) -> str | None:
    """Return a text; a function of the project may have returned anything under the name."""
    return value if isinstance(value, str) else None


def _mapping(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) and value else None


def _job_facets(work: WorkFacts) -> dict[str, JobFacet]:
    if not work.commit or not work.origin:
        return {}
    location = source_code_location_job.SourceCodeLocationJobFacet(
        type="git", url=work.origin, repoUrl=work.origin, version=work.commit
    )
    return {"sourceCodeLocation": location}


def _facets(facts: DatasetFacts) -> dict[str, DatasetFacet]:
    facets: dict[str, DatasetFacet] = {}
    if facts.schema:
        fields = [
            schema_dataset.SchemaDatasetFacetFields(name=name, type=kind, ordinal_position=number)
            for number, (name, kind) in enumerate(facts.schema.items(), 1)
        ]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
    referred = model_name(facts.uri)[1] if facts.uri.startswith("models:/") else ""
    version = facts.version or referred or facts.hash
    if version:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version)
    return facets


def _input(facts: DatasetFacts) -> InputDataset:
    named = lineage_name(facts.uri)
    return InputDataset(namespace=named.namespace, name=named.name, facets=_facets(facts))


def _output(facts: DatasetFacts) -> OutputDataset:
    named = lineage_name(facts.uri)
    statistics: dict[str, OutputDatasetFacet] = {}
    if facts.rows is not None:
        statistics["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=facts.rows
        )
    return OutputDataset(namespace=named.namespace, name=named.name, facets=_facets(facts), outputFacets=statistics)


def _with_assets(datasets: list[Dataset], declared: Iterable["Asset | Any"]) -> list[Dataset]:
    """Return datasets and declared assets, each name once, what is known best first."""
    from airflow.sdk import Asset

    assets = [translate_airflow_asset(each, None) for each in declared if isinstance(each, Asset)]
    found: dict[tuple[str, str], Dataset] = {}
    for each in (*datasets, *(asset for asset in assets if asset is not None)):
        found.setdefault((each.namespace, each.name), each)
    return list(found.values())
