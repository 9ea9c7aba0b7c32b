"""Assets of the scheme ``modelyard``: model versions, datasets, endpoints and feature sets, to schedule DAGs by."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow.sdk import Asset
from modelyard.airflow.errors import AssetInvalid

__all__ = [
    "ASSET_KINDS",
    "SCHEME",
    "AssetName",
    "asset_name",
    "create_asset",
    "dataset_asset",
    "endpoint_asset",
    "features_asset",
    "model_asset",
    "sanitize_uri",
]

SCHEME = "modelyard"

ASSET_KINDS = ("dataset", "endpoint", "features", "model")
"""What an asset may be: the part of its URI after ``modelyard://``."""

_SAFE = "@=,+"


class AssetName(NamedTuple):
    """What the URI of an asset names."""

    kind: str
    """One of `ASSET_KINDS`."""
    name: str
    """The name; of a dataset with slashes where its address has them."""
    alias: str = ""
    """Of a model: the alias, where the asset is what it points to."""


def model_asset(name: str, *, alias: str = "", extra: Mapping[str, Any] | None = None) -> Asset:
    """Return the asset of a registered model: it changes with every new version, or with every move of an alias.

    Parameters
    ----------
    name
        The name of the registered model.
    alias
        An alias such as ``champion``; then the asset changes when the alias moves, and not when versions appear.
    extra
        Facts that Airflow shows with the asset.

    Raises
    ------
    AssetInvalid
        The name cannot be that of a model.

    Examples
    --------
    >>> model_asset("delays").uri, model_asset("delays", alias="champion").uri
    ('modelyard://model/delays', 'modelyard://model/delays@champion')
    """
    _check_text("model", "name", name)
    _check_text("model", "alias", alias)
    return _asset("model", [f"{name}@{alias}" if alias else name], extra)


def dataset_asset(address: str, *, extra: Mapping[str, Any] | None = None) -> Asset:
    """Return the asset of a dataset.

    Parameters
    ----------
    address
        Where it lies: a path or any URI; or a name of your own for it. Credentials in it are left out.
    extra
        Facts that Airflow shows with the asset; ``address`` is added where it is absolute.

    Raises
    ------
    AssetInvalid
        The address is empty, or leads upwards.

    Examples
    --------
    >>> asset = dataset_asset("s3://lake/flights/july.parquet")
    >>> asset.uri, asset.extra
    ('modelyard://dataset/s3/lake/flights/july.parquet', {'address': 's3://lake/flights/july.parquet'})
    >>> dataset_asset("scored/july").uri
    'modelyard://dataset/scored/july'
    """
    _check_text("dataset", "address", address)
    scheme, mark, rest = address.partition("://")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    if mark and at and ":" in user:
        from modelyard.projects.credentials import without_credentials

        return dataset_asset(without_credentials(address), extra=extra)
    path = (rest if scheme == "file" else f"{scheme}/{rest}") if mark else address
    known = {"address": address} if mark or address.startswith("/") else {}
    segments = [each for each in path.split("/") if each not in ("", ".")]
    return _asset("dataset", segments, {**known, **(extra or {})})


def endpoint_asset(name: str, *, extra: Mapping[str, Any] | None = None) -> Asset:
    """Return the asset of an endpoint: it changes when another revision is deployed.

    Parameters
    ----------
    name
        The endpoint's name.
    extra
        Facts that Airflow shows with the asset.

    Raises
    ------
    AssetInvalid
        The name cannot be that of an endpoint.

    Examples
    --------
    >>> endpoint_asset("delays").uri
    'modelyard://endpoint/delays'
    """
    _check_text("endpoint", "name", name)
    return _asset("endpoint", [name], extra)


def features_asset(name: str, *, extra: Mapping[str, Any] | None = None) -> Asset:
    """Return the asset of a feature set: it changes when rows are ingested.

    Parameters
    ----------
    name
        The feature set's name.
    extra
        Facts that Airflow shows with the asset.

    Raises
    ------
    AssetInvalid
        The name cannot be that of a feature set.

    Examples
    --------
    >>> features_asset("weather").uri
    'modelyard://features/weather'
    """
    _check_text("features", "name", name)
    return _asset("features", [name], extra)


def create_asset(*, kind: str, name: str, extra: Mapping[str, Any] | None = None) -> Asset:
    """Return the asset of a kind and a name: what Airflow's hook lineage calls by the scheme.

    Parameters
    ----------
    kind
        One of `ASSET_KINDS`.
    name
        The name as it stands in the URI: of a model also ``name@alias``, of a dataset with slashes.
    extra
        Facts that Airflow shows with the asset.

    Raises
    ------
    AssetInvalid
        There is no such kind, or the name breaks a rule of it.

    Examples
    --------
    >>> create_asset(kind="model", name="delays@champion").uri
    'modelyard://model/delays@champion'
    """
    _check_text("asset", "kind", kind)
    _check_text(kind, "name", name)
    return _asset(kind, name.split("/"), extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the one form of an asset's URI, for Airflow's asset manager.

    Parameters
    ----------
    uri
        A URI of the scheme, taken apart.

    Raises
    ------
    AssetInvalid
        It names nothing that an asset can be.

    Examples
    --------
    >>> sanitize_uri(urlsplit("modelyard://Model/%64elays")).geturl()
    'modelyard://model/delays'
    """
    if uri.query:
        raise AssetInvalid(uri.geturl(), "it has a query")
    kind = uri.netloc.lower()
    segments = [unquote(each) for each in uri.path.removeprefix("/").split("/")]
    _check(uri.geturl(), kind, segments)
    path = "/".join(quote(each, safe=_SAFE) for each in segments)
    return SplitResult(SCHEME, kind, f"/{path}", "", "")


def asset_name(asset: Asset | str) -> AssetName:
    """Return what an asset of the scheme names.

    Parameters
    ----------
    asset
        The asset, or its URI.

    Raises
    ------
    AssetInvalid
        It is of another scheme, or names nothing that an asset can be.

    Examples
    --------
    >>> asset_name("modelyard://model/delays@champion")
    AssetName(kind='model', name='delays', alias='champion')
    """
    if not isinstance(asset, Asset | str):
        raise AssetInvalid(repr(asset), f"an asset or its URI is asked for, got {asset!r}")
    text = asset if isinstance(asset, str) else asset.uri
    parsed = urlsplit(text)
    if parsed.scheme.lower() != SCHEME:
        raise AssetInvalid(text, "it is of another scheme")
    clean = sanitize_uri(parsed)
    name = unquote(clean.path.removeprefix("/"))
    if clean.netloc == "model":
        name, _, alias = name.partition("@")
        return AssetName(clean.netloc, name, alias)
    return AssetName(clean.netloc, name)


def _check_text(kind: str, field: str, value: object) -> None:
    if not isinstance(value, str):
        raise AssetInvalid(f"{SCHEME}://{kind}/", f"the {field} must be text, got {value!r}")


def _asset(kind: str, segments: list[str], extra: Mapping[str, Any] | None) -> Asset:
    if extra is not None and not isinstance(extra, Mapping):
        raise AssetInvalid(f"{SCHEME}://{kind}/", f"extra must be a mapping of facts, got {extra!r}")
    uri = f"{SCHEME}://{kind}/" + "/".join(quote(each, safe=_SAFE) for each in segments)
    # Checked here, too: where Airflow cannot load the provider information, it would take anything.
    clean = sanitize_uri(urlsplit(uri)).geturl()
    return Asset(name=clean, uri=clean, extra=dict(extra or {}))


def _check(uri: str, kind: str, segments: list[str]) -> None:
    if kind not in ASSET_KINDS:
        raise AssetInvalid(uri, f"{kind!r} is no kind of asset", (kind, ASSET_KINDS))
    if any(not each.strip() or each in (".", "..") or not each.isprintable() for each in segments):
        raise AssetInvalid(uri, "a part of its name is empty, leads upwards or cannot be printed")
    if kind == "dataset":
        return
    name = segments[0]
    if len(segments) > 1 or "/" in name:
        raise AssetInvalid(uri, f"the name of a {kind} has no slash")
    if kind == "model":
        name, mark, alias = name.partition("@")
        if not name or ":" in name or (mark and not alias) or "@" in alias:
            raise AssetInvalid(uri, "a model is named as name or name@alias")
