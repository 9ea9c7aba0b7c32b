"""Links on a task's page in Airflow: to the endpoint, the run and the model version that it has made."""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperatorLink, BaseXCom, conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["EndpointLink", "ModelLink", "RunLink"]

_EXACT = re.compile(r"models:/(?P<name>[^@/:]+)/(?P<version>\d+)")


class EndpointLink(BaseOperatorLink):
    """Leads to the endpoint that a task has deployed."""

    @property
    def name(self) -> str:
        """What the button says."""
        return "Endpoint"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Return the endpoint's address, as the task has published it; nothing if it has not."""
        del operator
        return _published(ti_key, "url")


class RunLink(BaseOperatorLink):
    """Leads to the page of the run that a task has recorded on the MLflow server, or of the workflow run it started."""

    @property
    def name(self) -> str:
        """What the button says."""
        return "Run"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Return the run's page; nothing if there is no run, or no server that has pages."""
        run = _published(ti_key, "run_id") or _published(ti_key, "evaluation")
        if not run:
            return _published(ti_key, "url")
        server = _server(operator)
        return f"{server}/#/runs/{quote(run, safe='')}" if server else ""


class ModelLink(BaseOperatorLink):
    """Leads to the model version that a task names: on the MLflow server, or else to the task's model card."""

    @property
    def name(self) -> str:
        """What the button says."""
        return "Model version"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:
        """Return the version's page; nothing if the task has published no registered version."""
        match = _EXACT.fullmatch(_published(ti_key, "model"))
        if match is None:
            return ""
        if server := _server(operator):
            return f"{server}/#/models/{quote(match['name'], safe='')}/versions/{match['version']}"
        task = {name: getattr(ti_key, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
        base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
        return f"{base}/modelyard/card?{urlencode(task)}"


def _published(ti_key: "TaskInstanceKey", field: str) -> str:
    key: Any = ti_key  # a frozen key is none of the protocol's, which Airflow's own links pass over, too
    return str(BaseXCom.get_value(ti_key=key, key=field) or "")


def _server(operator: "BaseOperator") -> str:
    """Return the address of the MLflow server that the task's work was tracked by; nothing for a database."""
    from modelyard.projects.credentials import without_credentials

    tracking = str(getattr(operator, "tracking", ""))
    return without_credentials(tracking).rstrip("/") if tracking.startswith(("http://", "https://")) else ""
