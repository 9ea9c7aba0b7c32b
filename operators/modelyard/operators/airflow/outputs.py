"""The output of a task, as later tasks of the DAG file refer to it."""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseXCom, XComArg
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from modelyard.operators.airflow.errors import NumberTooLarge, ResultFieldUnknown

__all__ = ["STARTED_FIELDS", "TaskOutput", "publish", "started_facts"]

STARTED_FIELDS = ("operation", "handle", "project", "environment", "conn_id")
"""What a task publishes that starts its work and does not wait for it."""


class TaskOutput(PlainXComArg):
    """A task's whole result; its fields by their names, which are checked while the DAG file is read.

    Airflow itself would find out only when the later task runs, and hand over nothing.
    """

    def __getitem__(self, item: str) -> XComArg:
        """Return one field of the result.

        Raises
        ------
        ResultFieldUnknown
            The result has no such field.
        """
        task: Any = self.operator
        known = task.result_fields if getattr(task, "wait_for_completion", True) else STARTED_FIELDS
        if known and item not in (*known, BaseXCom.XCOM_RETURN_KEY):
            raise ResultFieldUnknown(task.task_id, task.operation_name, item, known)
        return super().__getitem__(item)


def started_facts(
    operation: str, handle: dict[str, Any], project: str, environment: str, conn_id: str
) -> dict[str, Any]:
    """Return what a task publishes that starts its work and does not wait for it.

    Parameters
    ----------
    operation
        The operation's name.
    handle
        The handle of the work, as JSON.
    project, environment, conn_id
        Where it belongs.
    """
    return dict(zip(STARTED_FIELDS, (operation, handle, project, environment, conn_id), strict=True))


def publish(ti: Any, value: Any, fields: Mapping[str, Any]) -> None:
    """Push to XCom the fields of what a task has to tell, each by its name, and then the whole.

    Parameters
    ----------
    ti
        Airflow's task instance.
    value
        The whole: JSON.
    fields
        The fields.

    Raises
    ------
    NumberTooLarge
        It holds a whole number that Airflow cannot carry from a task's process to its supervisor.
    """
    try:
        for name, field in fields.items():
            ti.xcom_push(name, field)
        ti.xcom_push(BaseXCom.XCOM_RETURN_KEY, value)
    except OverflowError as error:
        raise NumberTooLarge(ti.task_id) from error
