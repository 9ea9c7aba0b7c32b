"""The card of a task instance: what an operator of ours has published, and the model version behind it."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from modelyard.airflow.ui.places import Place, place_of_task

__all__ = ["Card", "TaskKey", "card_of", "model_card"]

_EXACT = re.compile(r"models:/(?P<name>[^@/:]+)/(?P<version>\d+)")
_LINK = "_link_"
_RESULT = "return_value"


class TaskKey(NamedTuple):
    """Which task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True)
class Card:
    """What Airflow's database knows of a task instance.

    Parameters
    ----------
    operator
        The class of its operator.
    state
        Its state.
    operation
        The operation of ours that it does; empty if it does none.
    summary
        What that operation does.
    result
        What it has published: ``name``, ``value`` and ``doc`` of each field.
    links
        The operator's links by their names.
    place
        Where its work belongs.
    """

    operator: str
    state: str
    operation: str
    summary: str
    result: list[dict[str, Any]]
    links: dict[str, str]
    place: Place

    @property
    def model(self) -> tuple[str, int] | None:
        """Name and version of the model that the result names; None if it names no registered one."""
        values = {each["name"]: each["value"] for each in self.result}
        told = [values.get("model"), *(values.get("models") or {}).values()]
        for each in told:
            if isinstance(each, str) and (match := _EXACT.fullmatch(each)):
                return match["name"], int(match["version"])
        return None

    def as_json(self) -> dict[str, Any]:
        """Return what the page shows at once."""
        names = ("operator", "state", "operation", "summary", "result", "links")
        return {**{name: getattr(self, name) for name in names}, "has_model": self.model is not None}


def card_of(key: TaskKey) -> Card | None:
    """Return the card of a task instance; None where there is no such instance."""
    from sqlalchemy import select

    from airflow.models import TaskInstance
    from airflow.models.dag import DagModel
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    def asked(table: Any, *columns: Any) -> Any:
        return select(*columns).where(*(getattr(table, name) == value for name, value in key._asdict().items()))

    with create_session() as session:
        task = session.execute(asked(TaskInstance, TaskInstance.operator, TaskInstance.state)).first()
        if task is None:
            return None
        fields = session.scalar(asked(RenderedTaskInstanceFields, RenderedTaskInstanceFields.rendered_fields)) or {}
        rows: Any = session.execute(asked(XComModel, XComModel.key, XComModel.value)).all()
        published: dict[str, Any] = dict(rows)
        file = session.scalar(select(DagModel.fileloc).where(DagModel.dag_id == key.dag_id)) or ""
    # As they are stored: what other operators publish may be of classes that are not even installed here.
    operator = str(task.operator or "")
    operation, summary, told = _told(operator, published.get(_RESULT))
    links = {name.removeprefix(_LINK): value for name, value in published.items() if name.startswith(_LINK)}
    return Card(
        operator,
        str(task.state or ""),
        operation,
        summary,
        told,
        {name: link for name, link in links.items() if link and isinstance(link, str)},
        place_of_task(file, fields),
    )


def model_card(card: Card) -> dict[str, Any] | None:
    """Return the model version behind a task's result, and what is compared with it; None where there is none.

    Returns
    -------
    dict or None
        ``version``, as the reader has it; ``champion``, the version of that alias, if it is another; ``endpoints``
        that answer with the version; ``tracking``, where it is registered.

    Raises
    ------
    ModelyardError
        It cannot be known.
    """
    named = card.model
    if named is None:
        return None
    reader = card.place.reader
    versions = reader.versions(named[0])
    version = next((each for each in versions if each["version"] == named[1]), None)
    champion = next((each for each in versions if "champion" in each["aliases"]), None)
    uri = f"models:/{named[0]}/{named[1]}"
    return {
        "uri": uri,
        "version": version,
        "champion": champion if champion and champion != version else None,
        "endpoints": [each["name"] for each in reader.endpoints() if uri in each["models"].values()],
        "tracking": reader.project_facts()["tracking"],
    }


def _told(operator: str, result: Any) -> tuple[str, str, list[dict[str, Any]]]:
    """Return the operation behind an operator's class, what it does, and its result with what each field means."""
    from modelyard.operations.catalogue import load_catalogue

    if not isinstance(result, dict):
        return "", "", []
    for name, spec in load_catalogue().items():
        if f"{name.replace('_', ' ').title().replace(' ', '')}Operator" == operator:
            fields = [each for each in spec.results if each.name in result]
            shown = [{"name": each.name, "value": result[each.name], "doc": each.doc} for each in fields]
            return (name, spec.summary, shown) if shown else ("", "", [])
    return "", "", []
