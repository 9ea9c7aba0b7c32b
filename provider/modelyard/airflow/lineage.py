"""What OpenLineage calls our assets and datasets."""

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from modelyard.airflow.assets import SCHEME, asset_name

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.sdk import Asset

__all__ = ["LineageName", "convert_asset_to_openlineage", "lineage_name"]


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
    """
    if address.startswith(f"{SCHEME}://"):
        named = asset_name(address)
        # The alias is no thing of its own: it points to a version of the model.
        return LineageName(SCHEME, f"{named.kind}/{named.name}")
    parsed = urlsplit(address)
    if not parsed.scheme or parsed.scheme == "file":
        return LineageName("file", parsed.path if parsed.scheme else address)
    return LineageName(f"{parsed.scheme}://{parsed.netloc}", parsed.path.strip("/") or "/")


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
