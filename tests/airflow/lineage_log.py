"""Lets Airflow's own OpenLineage provider write to a file what tasks tell it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Events = Callable[[], list[dict[str, Any]]]


@contextmanager
def listening(folder: Path) -> Iterator[Events]:
    """Have all events written below a folder; yield what reads them, in their order.

    Parameters
    ----------
    folder
        Where the file goes.
    """
    from airflow.providers.openlineage.plugins.listener import OpenLineageListener
    from airflow.sdk.listener import get_listener_manager

    file = folder / "lineage.jsonl"
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps(transport))
        patch.setenv("AIRFLOW__OPENLINEAGE__NAMESPACE", "tests")
        listener, manager = OpenLineageListener(), get_listener_manager()
        manager.add_listener(listener)
        try:
            yield lambda: [json.loads(line) for line in file.read_text().splitlines()]
        finally:
            manager.pm.unregister(listener)


def of_task(events: list[dict[str, Any]], dag: str, task: str) -> dict[str, dict[str, Any]]:
    """Return a task's events by their type."""
    return {each["eventType"]: each for each in events if each["job"]["name"] == f"{dag}.{task}"}


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the names of datasets."""
    return [(each["namespace"], each["name"]) for each in datasets]
