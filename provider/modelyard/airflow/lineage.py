"""Where data and models come from: what is known of a piece of work, and what OpenLineage calls things."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from modelyard.airflow.assets import SCHEME, asset_name

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.sdk import Asset

__all__ = ["DatasetFacts", "LineageName", "WorkFacts", "convert_asset_to_openlineage", "lineage_name", "model_name"]


class DatasetFacts(NamedTuple):
    """A dataset, a model or an endpoint as a piece of work has seen it."""

    uri: str
    """A path, a URI, or a reference such as ``models:/delays/3``."""
    rows: int | None = None
    schema: Mapping[str, str] = {}
    """The type of each column."""
    hash: str = ""
    version: str = ""


class WorkFacts(NamedTuple):
    """A piece of work: its circumstances, what it read, and what it made."""

    operation: str
    key: str = ""
    generation: int = 0
    environment: str = ""
    project: str = ""
    commit: str = ""
    dirty: bool = False
    origin: str = ""
    content: str = ""
    inputs: tuple[DatasetFacts, ...] = ()
    outputs: tuple[DatasetFacts, ...] = ()
    result: Mapping[str, Any] = {}

    @property
    def told(self) -> dict[str, Any]:
        """What the events of assets say of it."""
        told: dict[str, Any] = {
            "operation": self.operation,
            "key": self.key,
            "project": self.project,
            "environment": self.environment,
        }
        return {**told, **({"commit": self.commit, "dirty": self.dirty} if self.commit else {})}


class LineageName(NamedTuple):
    """A dataset's name in OpenLineage."""

    namespace: str
    name: str


def lineage_name(address: str) -> LineageName:
    """Return the name of what lies at an address, as OpenLineage's naming rules have it.

    Parameters
    ----------
    address
        A path, a URI that fsspec knows, or the URI of an asset of ours.

    Examples
    --------
    >>> lineage_name("s3://lake/flights/july.parquet")
    LineageName(namespace='s3://lake', name='flights/july.parquet')
    >>> lineage_name("/data/july.parquet")
    LineageName(namespace='file', name='/data/july.parquet')
    >>> lineage_name("modelyard://model/delays@champion")
    LineageName(namespace='modelyard', name='model/delays')
    >>> lineage_name("models:/delays/3")
    LineageName(namespace='modelyard', name='model/delays')
    """
    if address.startswith(f"{SCHEME}://"):
        named = asset_name(address)
        # The alias is no thing of its own: it points to a version of the model.
        return LineageName(SCHEME, f"{named.kind}/{named.name}")
    if address.startswith(("models:/", "runs:/")):
        return LineageName(SCHEME, f"model/{model_name(address)[0]}")
    parsed = urlsplit(address)
    if not parsed.scheme or parsed.scheme == "file":
        return LineageName("file", parsed.path if parsed.scheme else address)
    return LineageName(f"{parsed.scheme}://{parsed.netloc}", parsed.path.strip("/") or "/")


def model_name(reference: str) -> tuple[str, str]:
    """Return the name and the version that a reference to a model names; the version is empty where it names none.

    Examples
    --------
    >>> model_name("models:/delays/3"), model_name("models:/delays@champion"), model_name("models:/m-1f2e")
    (('delays', '3'), ('delays', ''), ('m-1f2e', ''))
    >>> model_name("runs:/4711/model")
    ('4711/model', '')
    """
    kind, _, rest = reference.partition(":/")
    if kind == "runs":
        return rest, ""
    name, _, version = rest.partition("/")
    return name.partition("@")[0], version


def convert_asset_to_openlineage(asset: "Asset", lineage_context: Any) -> "Dataset":
    """Return an asset of the scheme as a dataset of OpenLineage; Airflow's OpenLineage provider calls it.

    Parameters
    ----------
    asset
        The asset. One of a dataset that knows its address has the name of that, as in other tools' events.
    lineage_context
        What the provider hands over; not needed.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    del lineage_context
    known = asset.extra.get("address")
    found = lineage_name(known if isinstance(known, str) else asset.uri)
    return Dataset(namespace=found.namespace, name=found.name)
