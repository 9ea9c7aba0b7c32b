"""The assets that a task brings forth: declared while the DAG file is read, told about when the work is done."""

from collections.abc import Callable, Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from modelyard.airflow.assets import SCHEME, dataset_asset, endpoint_asset, model_asset
from modelyard.airflow.errors import AssetInvalid

__all__ = ["brought_forth", "declared_outlets", "tell_outlets"]

_MARKS = ("{{", "{%", "{#")

Found = list[Asset]


def declared_outlets(task: Any) -> Found:
    """Return the assets that a task of ours brings forth, as far as its fields say it before anything runs.

    A field that is a template says nothing; the model of another task's output is known where that task registers it
    under a name that is written out.

    Parameters
    ----------
    task
        An operator of ours, its fields not rendered yet.
    """
    rule = _DECLARED.get(task.operation_name)
    try:
        return rule(task) if rule else []
    except AssetInvalid:
        # The operation itself refuses such a name, in words of its own.
        return []


def brought_forth(operation: str, result: Mapping[str, Any]) -> Found:
    """Return the assets that a result names.

    Parameters
    ----------
    operation
        The operation's name.
    result
        What it returned.

    Examples
    --------
    >>> [asset.uri for asset in brought_forth("promote", {"name": "delays", "alias": "champion"})]
    ['modelyard://model/delays@champion']
    """
    if operation == "register":
        return [model_asset(result["name"])]
    if operation == "promote":
        return [model_asset(result["name"], alias=result["alias"])]
    if operation in ("deploy", "rollback"):
        return [endpoint_asset(result["endpoint"])]
    if operation == "predict":
        return [dataset_asset(result["dataset"])]
    return []


def tell_outlets(events: Any, task: Any, result: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Put what is known of the work into the events of a task's outlets.

    Every asset of the scheme gets result and facts; every alias gets the assets that the result names.

    Parameters
    ----------
    events
        Airflow's ``outlet_events``.
    task
        The operator.
    result
        What the operation returned.
    facts
        What else the events shall say; the result's own fields do not hide it.
    """
    extra = {**result, **facts}
    for outlet in task.outlets:
        if isinstance(outlet, Asset) and outlet.uri.startswith(f"{SCHEME}://"):
            events[outlet].extra.update(extra)
        elif isinstance(outlet, AssetAlias):
            for asset in brought_forth(task.operation_name, result):
                events[outlet].add(asset, extra=extra)


def _registered(task: Any) -> Found:
    name = _written(task.name)
    return [model_asset(name)] if name else []


def _promoted(task: Any) -> Found:
    name, alias = _model_name(task.model), _written(task.alias)
    return [model_asset(name, alias=alias)] if name and alias else []


def _deployed(task: Any) -> Found:
    # Without a name the endpoint has that of the graph, which only its module says.
    name = _written(task.endpoint)
    return [endpoint_asset(name)] if name else []


def _rolled_back(task: Any) -> Found:
    name = _written(_source(task.endpoint, "endpoint"))
    return [endpoint_asset(name)] if name else []


def _predicted(task: Any) -> Found:
    address = _written(task.destination)
    return [dataset_asset(address)] if address else []


_DECLARED: dict[str, Callable[[Any], Found]] = {
    "register": _registered,
    "promote": _promoted,
    "deploy": _deployed,
    "rollback": _rolled_back,
    "predict": _predicted,
}


def _written(value: Any) -> str:
    """Return a text that is written out; nothing for a template or another task's output."""
    return value if isinstance(value, str) and not any(mark in value for mark in _MARKS) else ""


def _source(value: Any, field: str) -> Any:
    """Return what a task was given for a field that it hands on."""
    while isinstance(value, PlainXComArg) and value.key == field:
        value = getattr(value.operator, field, None)
    return value


def _model_name(value: Any) -> str:
    """Return the registered name behind a model reference, written out or an output of other tasks."""
    while isinstance(value, PlainXComArg) and value.key == "model":
        if getattr(value.operator, "operation_name", "") == "register":
            return _written(getattr(value.operator, "name", None))
        value = getattr(value.operator, "model", None)
    text = _written(value)
    if not text.startswith("models:/"):
        return ""
    name = text.removeprefix("models:/")
    return name.partition("@")[0] if "@" in name else name.rpartition("/")[0]
