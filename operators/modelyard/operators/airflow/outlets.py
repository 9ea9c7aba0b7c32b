"""The assets that a task brings forth: declared while the DAG file is read, told about when the work is done."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from modelyard.airflow.assets import SCHEME, dataset_asset, endpoint_asset, model_asset
from modelyard.airflow.errors import AssetInvalid

__all__ = ["Foreseen", "Origin", "brought_forth", "declared_outlets", "tell_outlets", "written_out"]

_MARKS = ("{{", "{%", "{#")

Found = list[Asset]


class Origin(NamedTuple):
    """A field of a task's result, which a later task is given."""

    task: Any
    """The task: what has ``operation_name`` and the fields of its operator."""
    field: str


@runtime_checkable
class Foreseen(Protocol):
    """What stands in a field and is filled in when the task starts."""

    def foreseen(self) -> str | Origin | None:
        """Return what it will be in every run: a text, or whose output it is; None where that is not known."""
        ...


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
    known = written_out(value)
    return known if isinstance(known, str) else ""


def written_out(value: Any) -> str | Origin | None:
    """Return what a field says before anything runs: a text, or whose output it hands on."""
    if isinstance(value, PlainXComArg):
        return Origin(value.operator, value.key)
    if isinstance(value, Foreseen):
        return value.foreseen()
    return value if isinstance(value, str) and not any(mark in value for mark in _MARKS) else None


def _source(value: Any, field: str) -> Any:
    """Return what a task was given for a field that it hands on."""
    while isinstance(known := written_out(value), Origin) and known.field == field:
        value = getattr(known.task, field, None)
    return value


def _model_name(value: Any) -> str:
    """Return the registered name behind a model reference, written out or an output of other tasks."""
    while isinstance(known := written_out(value), Origin) and known.field == "model":
        if getattr(known.task, "operation_name", "") == "register":
            return _written(getattr(known.task, "name", None))
        value = getattr(known.task, "model", None)
    text = _written(value)
    if not text.startswith("models:/"):
        return ""
    name = text.removeprefix("models:/")
    return name.partition("@")[0] if "@" in name else name.rpartition("/")[0]
