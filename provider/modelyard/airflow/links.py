"""Links on a task's page in Airflow."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink, BaseXCom

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["EndpointLink"]


class EndpointLink(BaseOperatorLink):
    """Leads to the endpoint that a task has deployed."""

    @property
    def name(self) -> str:
        """What the button says."""
        return "Endpoint"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Return the endpoint's address, as the task has published it; nothing if it has not."""
        del operator
        key: Any = ti_key  # a frozen key is none of the protocol's, which Airflow's own links pass over, too
        return str(BaseXCom.get_value(ti_key=key, key="url") or "")
