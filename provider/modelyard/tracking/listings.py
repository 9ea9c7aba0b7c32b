"""Lists of registered models and their versions."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.tracking.tags import DIGEST
from modelyard.tracking.translation import is_not_found

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["ModelSummary", "ModelVersion", "described_versions", "each_model", "each_version", "quoted", "summaries"]

PAGE = 200


class ModelSummary(msgspec.Struct, frozen=True):
    """One registered model in a listing.

    Parameters
    ----------
    name
        The registered name.
    description
        What it is for.
    aliases
        Alias → version.
    versions
        How many versions it has.
    updated
        When it last changed, in milliseconds since 1970.
    """

    name: str
    description: str
    aliases: dict[str, int]
    versions: int
    updated: int


class ModelVersion(msgspec.Struct, frozen=True):
    """One version in a listing, with what is known about the run that made it.

    Parameters
    ----------
    name, version
        Which version.
    aliases
        The aliases that point to it now.
    created
        When it was registered, in milliseconds since 1970.
    run_id
        The run that made it; empty if unknown.
    digest
        The recorded digest of its files; empty if none is.
    metrics
        The metrics of the run that made it.
    tags
        All tags of the version.
    description
        What was said about it.
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    created: int
    run_id: str
    digest: str
    metrics: dict[str, float]
    tags: dict[str, str]
    description: str

    @property
    def uri(self) -> str:
        """The exact reference."""
        return f"models:/{self.name}/{self.version}"


def each_model(client: "MlflowClient") -> Iterator[Any]:
    """Yield MLflow's registered models."""
    token = None
    while True:
        page = client.search_registered_models(max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def quoted(text: str) -> str:
    """Return a text as MLflow's filters take it: they know no escape, but two kinds of quotes.

    Examples
    --------
    >>> print(quoted("delays"), quoted("it's"))
    'delays' "it's"
    """
    return f'"{text}"' if "'" in text else f"'{text}'"


def each_version(client: "MlflowClient", name: str) -> Iterator[Any]:
    """Yield MLflow's versions of one registered model."""
    token = None
    while True:
        page = client.search_model_versions(f"name = {quoted(name)}", max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def summaries(client: "MlflowClient") -> list[ModelSummary]:
    """Return one line for each registered model, by name."""
    found = [
        ModelSummary(
            name=model.name,
            description=model.description or "",
            aliases={alias: int(version) for alias, version in (model.aliases or {}).items()},
            versions=sum(1 for _ in each_version(client, model.name)),
            updated=model.last_updated_timestamp,
        )
        for model in each_model(client)
    ]
    return sorted(found, key=lambda each: each.name)


def described_versions(client: "MlflowClient", name: str, aliases: Mapping[str, int]) -> list[ModelVersion]:
    """Return the versions of one model, newest first, with the metrics of the runs that made them."""
    pointing: dict[int, list[str]] = {}
    for alias, number in aliases.items():
        pointing.setdefault(number, []).append(alias)
    found = [
        ModelVersion(
            name=name,
            version=int(each.version),
            aliases=tuple(sorted(pointing.get(int(each.version), []))),
            created=each.creation_timestamp,
            run_id=each.run_id or "",
            digest=each.tags.get(DIGEST, ""),
            metrics=_metrics(client, each.run_id),
            tags=dict(each.tags),
            description=each.description or "",
        )
        for each in each_version(client, name)
    ]
    return sorted(found, key=lambda version: -version.version)


def _metrics(client: "MlflowClient", run_id: str | None) -> dict[str, float]:
    from mlflow.exceptions import MlflowException

    if not run_id:
        return {}
    try:
        return dict(client.get_run(run_id).data.metrics)
    except MlflowException as error:
        if not is_not_found(error):
            raise
        return {}
