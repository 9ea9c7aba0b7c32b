"""The plugin: a page in Airflow on what projects hold, and a card on the page of a task instance."""

from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from modelyard.airflow.ui import ConsoleApp

__all__ = ["PREFIX", "ModelyardPlugin"]

PREFIX = "/modelyard"
"""Where the API server answers for the plugin."""

_TASK = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"


def _address(path: str) -> str:
    """Return where a browser finds a page of ours: below the path of Airflow's own address."""
    return f"{urlsplit(conf.get('api', 'base_url', fallback='') or '').path.rstrip('/')}{PREFIX}{path}"


def _icons() -> dict[str, str]:
    return {"icon": _address("/files/models.svg"), "icon_dark_mode": _address("/files/models-dark.svg")}


_APPS = [{"app": ConsoleApp(), "url_prefix": PREFIX, "name": "modelyard"}]
_VIEWS = [
    {
        "name": "Models",
        "href": _address("/"),
        "destination": "nav",
        "url_route": "modelyard",
        "nav_top_level": True,
        **_icons(),
    },
    {
        "name": "Model card",
        "href": _address(f"/card?{_TASK}"),
        "destination": "task_instance",
        "url_route": "modelyard-card",
        **_icons(),
    },
]


class ModelyardPlugin(AirflowPlugin):
    """Adds the console to Airflow's navigation, and the card to the tabs of task instances.

    Airflow finds it by the entry point ``airflow.plugins``. Every component loads it: it imports nothing that it does
    not need to say what there is.
    """

    name = "modelyard"
    fastapi_apps = _APPS
    external_views = _VIEWS
