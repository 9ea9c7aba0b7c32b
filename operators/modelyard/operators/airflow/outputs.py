"""The output of a task, as later tasks of the DAG file refer to it."""

from typing import Any

from airflow.sdk import BaseXCom, XComArg
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from modelyard.operators.airflow.errors import ResultFieldUnknown

__all__ = ["STARTED_FIELDS", "TaskOutput", "started_facts"]

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
