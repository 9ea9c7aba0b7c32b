"""The assets of the scheme modelyard: their names, their one form, and what a DAG that waits for them is told."""

from collections.abc import Callable

import pytest
from airflow.sdk import Asset
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from modelyard.airflow.assets import (
    asset_name,
    create_asset,
    dataset_asset,
    endpoint_asset,
    features_asset,
    model_asset,
)
from modelyard.airflow.errors import AssetInvalid
from modelyard.airflow.lineage import convert_asset_to_openlineage


def test_each_kind_has_a_uri_of_its_own() -> None:
    assert [
        model_asset("delays").uri,
        model_asset("delays", alias="champion").uri,
        dataset_asset("s3://lake/july.parquet").uri,
        endpoint_asset("delays").uri,
        features_asset("weather").uri,
    ] == [
        "modelyard://model/delays",
        "modelyard://model/delays@champion",
        "modelyard://dataset/s3/lake/july.parquet",
        "modelyard://endpoint/delays",
        "modelyard://features/weather",
    ]


@pytest.mark.parametrize(
    ("address", "uri", "known"),
    [
        ("/data/july.parquet", "modelyard://dataset/data/july.parquet", "/data/july.parquet"),
        ("file:///data//july.parquet", "modelyard://dataset/data/july.parquet", "file:///data//july.parquet"),
        ("scored/july", "modelyard://dataset/scored/july", None),
        ("./scored/july/", "modelyard://dataset/scored/july", None),
        ("s3://me:secret@lake/x", "modelyard://dataset/s3/lake/x", "s3://lake/x"),
        ("abfss://box@account/x", "modelyard://dataset/abfss/box@account/x", "abfss://box@account/x"),
        ("gs://lake/näme with space", "modelyard://dataset/gs/lake/n%C3%A4me%20with%20space", None),
    ],
)
def test_a_dataset_is_named_by_its_address_without_credentials(address: str, uri: str, known: str | None) -> None:
    asset = dataset_asset(address)

    assert asset.uri == uri
    assert asset.extra.get("address") == (known or (address if "://" in address else None))


@pytest.mark.parametrize(
    "written",
    [
        "modelyard://model/delays",
        "MODELYARD://Model/%64elays",
        "modelyard://model/delays/",
        "modelyard://model/delays#x",
    ],
)
def test_airflow_brings_what_people_write_into_one_form(written: str) -> None:
    assert Asset(written).uri == model_asset("delays").uri


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "modelyard://models/delays",
            "asset modelyard://models/delays: 'models' is no kind of asset. Did you mean model?",
        ),
        ("modelyard://model/a/b", "asset modelyard://model/a/b: the name of a model has no slash."),
        ("modelyard://model/a@", "asset modelyard://model/a@: a model is named as name or name@alias."),
        ("modelyard://model/a:3", "asset modelyard://model/a:3: a model is named as name or name@alias."),
        ("modelyard://endpoint/a?x=1", "asset modelyard://endpoint/a?x=1: it has a query."),
        (
            "modelyard://dataset/a/../b",
            "asset modelyard://dataset/a/../b: a part of its name is empty, leads upwards or cannot be printed.",
        ),
        (
            "modelyard://features/",
            "asset modelyard://features/: a part of its name is empty, leads upwards or cannot be",
        ),
    ],
)
def test_airflow_refuses_what_names_nothing(written: str, message: str) -> None:
    with pytest.raises(AssetInvalid) as raised:
        Asset(written)

    assert str(raised.value).startswith(message)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: model_asset(None), "asset modelyard://model/: the name must be text, got None."),  # type: ignore[arg-type]
        (lambda: model_asset("a", alias=3), "asset modelyard://model/: the alias must be text, got 3."),  # type: ignore[arg-type]
        (lambda: dataset_asset(None), "asset modelyard://dataset/: the address must be text, got None."),  # type: ignore[arg-type]
        (lambda: endpoint_asset(3), "asset modelyard://endpoint/: the name must be text, got 3."),  # type: ignore[arg-type]
        (lambda: features_asset(["a"]), "asset modelyard://features/: the name must be text, got ['a']."),  # type: ignore[arg-type]
        (lambda: create_asset(kind="model", name=None), "asset modelyard://model/: the name must be text, got None."),  # type: ignore[arg-type]
        (lambda: create_asset(kind=None, name="a"), "asset modelyard://asset/: the kind must be text, got None."),  # type: ignore[arg-type]
        (
            lambda: model_asset("a", extra=["b"]),  # type: ignore[arg-type]
            "asset modelyard://model/: extra must be a mapping of facts, got ['b'].",
        ),
        (lambda: asset_name(None), "asset None: an asset or its URI is asked for, got None."),  # type: ignore[arg-type]
        (
            lambda: model_asset(""),
            "asset modelyard://model/: a part of its name is empty, leads upwards or cannot be printed.",
        ),
    ],
)
def test_what_is_no_name_is_refused_as_it_was_given(make: Callable[[], object], message: str) -> None:
    with pytest.raises(AssetInvalid) as raised:
        make()
    assert str(raised.value).removesuffix(" Make it by model_asset, dataset_asset and the like.") == message


def test_names_survive_the_way_through_the_uri() -> None:
    assert asset_name(model_asset("a & b/ä".replace("/", "-"), alias="new")) == ("model", "a & b-ä", "new")
    assert asset_name(dataset_asset("s3://lake/a b")) == ("dataset", "s3/lake/a b", "")
    with pytest.raises(AssetInvalid, match="it is of another scheme"):
        asset_name("s3://lake/a")


def test_the_provider_information_brings_handler_factory_and_converter_to_airflow() -> None:
    manager = ProvidersManagerTaskRuntime()

    assert manager.asset_factories["modelyard"](kind="model", name="delays@champion").uri == (
        "modelyard://model/delays@champion"
    )
    assert manager.asset_factories["modelyard"] is create_asset
    assert manager.asset_to_openlineage_converters["modelyard"] is convert_asset_to_openlineage
