"""What is known of a task's work besides its result: the project that ran, the datasets it read and wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.airflow.lineage import DatasetFacts, WorkFacts

if TYPE_CHECKING:
    from modelyard.operations.handles import Handle

__all__ = ["metrics_behind", "work_facts"]


def work_facts(operation: str, handle: "Handle", *, project: str = "", environment: str = "") -> WorkFacts:
    """Return what is known of work that has ended, from the notes in its job's folder.

    Parameters
    ----------
    operation
        The operation's name.
    handle
        Its handle.
    project
        The reference of the project, for work that took no snapshot of it.
    environment
        The name of the environment.
    """
    from modelyard.operations.notes import read_notes

    notes = read_notes(Path(handle.folder))
    ran = [note.facts for note in notes if note.subject == "project"]
    return WorkFacts(
        operation=operation,
        key=handle.key,
        generation=handle.generation,
        environment=environment,
        inputs=tuple(_dataset(note.facts) for note in notes if note.subject == "input"),
        outputs=tuple(_dataset(note.facts) for note in notes if note.subject == "output"),
        **_project(ran[-1] if ran else _opened(project)),
    )


def metrics_behind(task: Any, ti: Any, result: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the metrics that belong to a task's result: its own, or those of the task before that it builds on.

    A promotion has those of its evaluation, a registration those of the training of its model.

    Parameters
    ----------
    task
        An operator of ours, its fields rendered.
    ti
        Airflow's task instance.
    result
        The task's result.
    """
    own = result.get("metrics")
    if isinstance(own, Mapping):
        return own
    for field in ("evaluation", "model"):
        asked = getattr(task, field, None)
        for each in task.upstream_list if asked else ():
            if {field, "metrics"} <= set(getattr(each, "result_fields", ())) and not each.is_mapped:
                before = ti.xcom_pull(task_ids=each.task_id)
                if isinstance(before, Mapping) and before.get(field) == asked:
                    found: Mapping[str, float] = before.get("metrics") or {}
                    return found
    return {}


def _dataset(facts: Mapping[str, Any]) -> DatasetFacts:
    known = {name: facts[name] for name in DatasetFacts._fields if name in facts}
    return DatasetFacts(**known)


def _opened(reference: str) -> dict[str, Any]:
    """Return the facts of the project as it is now: work in this process takes no snapshot."""
    import msgspec

    from modelyard.projects import open_project

    if not reference:
        return {}
    project = open_project(reference)
    return {"name": project.name, **msgspec.to_builtins(project.stamp)}


def _project(facts: Mapping[str, Any]) -> dict[str, Any]:
    names = ("commit", "dirty", "origin", "content")
    return {"project": facts.get("name", ""), **{name: facts[name] for name in names if name in facts}}
