"""What a task tells OpenLineage: before its work, when that has succeeded, and when it has failed."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.airflow.lineage import DatasetFacts, WorkFacts
from modelyard.operators.airflow.place import text_of
from modelyard.operators.airflow.values import plain
from modelyard.operators.airflow.work_facts import work_facts

if TYPE_CHECKING:
    from modelyard.operations.handles import Handle

__all__ = ["Ended", "asked_of", "done_by", "tried_by"]


class Ended(NamedTuple):
    """Work that has succeeded."""

    project: str
    """The reference of the project."""
    handle: "Handle"
    result: Mapping[str, Any]


def asked_of(task: Any) -> WorkFacts:
    """Return what is known before the work: the datasets and models that the fields name in full.

    Parameters
    ----------
    task
        An operator of ours, its fields rendered.
    """
    return WorkFacts(
        operation=task.operation_name,
        environment=text_of(task.environment),
        inputs=tuple(_named(task)),
    )


def done_by(task: Any, ended: Ended) -> WorkFacts:
    """Return what is known when the work has succeeded.

    Parameters
    ----------
    task
        The operator.
    ended
        Its work.
    """
    facts = work_facts(task.operation_name, ended.handle, project=ended.project, environment=text_of(task.environment))
    models = tuple(_models(task, ended.result))
    made = tuple(_made(task.operation_name, ended.result))
    named = facts.inputs or tuple(_named(task, "dataset"))
    served = tuple(DatasetFacts(uri) for uri in _served(ended.result))
    outputs = (*made, *facts.outputs)
    return facts._replace(inputs=(*named, *models, *served), outputs=outputs, result=ended.result)


def tried_by(task: Any, handle: "Handle | None") -> WorkFacts:
    """Return what is known when the work has failed, or was never started.

    Parameters
    ----------
    task
        The operator.
    handle
        The handle of its work, if there is one.
    """
    asked = asked_of(task)
    if handle is None:
        return asked
    facts = work_facts(task.operation_name, handle, environment=asked.environment)
    models = tuple(_named(task, "model"))
    return facts._replace(inputs=(*facts.inputs, *models) if facts.inputs else asked.inputs, outputs=())


def _named(task: Any, *kinds: str) -> Iterator[DatasetFacts]:
    """Yield what the parameters name; a relative path only the project can resolve."""
    from modelyard.operations.catalogue import load_catalogue
    from modelyard.projects.credentials import without_credentials

    for each in load_catalogue().spec(task.operation_name).parameters:
        if each.type.kind not in (kinds or ("dataset", "model")):
            continue
        value = plain(getattr(task, each.name), each.type)
        if isinstance(value, str) and (":/" in value or value.startswith("/")):
            yield DatasetFacts(without_credentials(value))


def _models(task: Any, result: Mapping[str, Any]) -> Iterator[DatasetFacts]:
    """Yield the models that the work has used: the exact version where the result names it."""
    if task.operation_name in ("evaluate", "predict"):
        yield DatasetFacts(result["model"])
    else:
        yield from _named(task, "model")


def _made(operation: str, result: Mapping[str, Any]) -> Iterator[DatasetFacts]:
    if operation in ("train", "register", "promote"):
        yield DatasetFacts(result["model"], hash=str(result.get("digest", "")))
    elif operation in ("deploy", "rollback"):
        yield DatasetFacts(f"modelyard://endpoint/{result['endpoint']}", version=result["revision"])


def _served(result: Mapping[str, Any]) -> Iterator[str]:
    models = result.get("models")
    yield from dict.fromkeys(models.values()) if isinstance(models, Mapping) else ()
