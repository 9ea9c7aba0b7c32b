"""The output of a task, as later tasks of the DAG file refer to it."""

from typing import Any

from airflow.sdk import BaseXCom, XComArg
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from modelyard.operators.airflow.errors import ResultFieldUnknown

__all__ = ["TaskOutput"]


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
        known = task.result_fields
        if known and item not in (*known, BaseXCom.XCOM_RETURN_KEY):
            raise ResultFieldUnknown(task.task_id, task.operation_name, item, known)
        return super().__getitem__(item)
