"""The console in Airflow's own API application: who may see it, and what it says."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from airflow_home import Runs, needs_main_environment
from fastapi.testclient import TestClient

from modelyard.airflow.reader import Reader
from modelyard.airflow.ui.health import with_health
from modelyard.operators.airflow import CallOperator, PromoteOperator

PAGES = ("/modelyard/", "/modelyard/card", "/modelyard/files/console.css", "/modelyard/api/places")


@pytest.fixture(scope="module")
def application(database: None) -> Any:
    """Return Airflow's application with all plugins."""
    from airflow.api_fastapi.app import create_app

    return create_app(apps="core")


@pytest.fixture
def browse(application: Any) -> Callable[..., TestClient]:
    """Return what makes a client with a user's token."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def client(role: str | None) -> TestClient:
        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ann", role=role))
        return TestClient(application, headers={"Authorization": f"Bearer {token}"})

    return client


@pytest.fixture
def viewer(browse: Callable[..., TestClient]) -> TestClient:
    """Return a client of somebody who may look and nothing else."""
    return browse("VIEWER")


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Forget what earlier tests have read."""
    Reader._answers.clear()


@pytest.fixture
def connection(database: None) -> Iterator[Callable[..., None]]:
    """Return what writes the connection ``ml`` into Airflow's database."""
    from airflow.models import Connection
    from airflow.utils.session import create_session

    def write(**extra: str) -> None:
        with create_session() as session:
            session.add(
                Connection(
                    conn_id="ml", conn_type="modelyard", login="bot", password="open-sesame", extra=json.dumps(extra)
                )
            )

    yield write
    with create_session() as session:
        session.query(Connection).filter_by(conn_id="ml").delete()


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_anything_without_a_token(application: Any, path: str) -> None:
    reply = TestClient(application).get(path)

    assert (reply.status_code, reply.json()) == (401, {"detail": "Not authenticated"})


def test_who_may_not_see_the_site_sees_nothing_of_ours(browse: Callable[..., TestClient]) -> None:
    assert [browse(None).get(path).status_code for path in PAGES] == [403, 403, 403, 403]


def test_the_pages_need_nothing_from_elsewhere(viewer: TestClient) -> None:
    page = viewer.get("/modelyard/")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    texts = {"": page.text, "card": viewer.get("/modelyard/card").text}
    for name in ("console.css", "console.js", "card.js", "elements.js", "models.svg", "models-dark.svg"):
        reply = viewer.get(f"/modelyard/files/{name}")
        assert reply.status_code == 200, name
        texts[name] = reply.text.replace("http://www.w3.org/2000/svg", "")
    assert [name for name, text in texts.items() if "http://" in text or "https://" in text] == []
    assert viewer.get("/modelyard/files/console.html").status_code == 404
    assert viewer.get("/modelyard/files/..%2Fplaces.py").status_code == 404


def test_places_are_the_connections_and_the_projects_of_the_configuration(
    viewer: TestClient, connection: Callable[..., None], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection(project=str(project), tracing="on")
    other = json.dumps({"conn_type": "modelyard", "extra": {"tracking_uri": "http://127.0.0.1:9"}})
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", other)
    monkeypatch.setenv("AIRFLOW__MODELYARD__CONNECTIONS", "other, absent")
    monkeypatch.setenv("AIRFLOW__MODELYARD__PROJECTS", str(project))

    assert viewer.get("/modelyard/api/places").json() == [
        {
            "name": "connection:absent",
            "problem": "connection absent: there is no such connection. "
            "Add it under Admin, Connections, with the type modelyard.",
        },
        {
            "name": "connection:ml",
            "problem": "connection ml: tracing is no field of a connection to modelyard. Did you mean tracking_uri?",
        },
        {"name": "connection:other", "problem": ""},
        {"name": f"project:{project}", "problem": ""},
    ]
    down = viewer.get("/modelyard/api/models", params={"place": "connection:other"})
    assert (down.status_code, down.json()) == (
        503,
        {
            "error": {
                "kind": "unavailable",
                "message": "http://127.0.0.1:9: it does not answer: ConnectError",
                "mend": "See whether it runs and can be reached from here.",
            }
        },
    )
    facts = viewer.get("/modelyard/api/project", params={"place": f"project:{project}"}).json()
    assert (facts["name"], facts["environment"]) == ("doors", "dev")


def test_only_what_is_configured_can_be_looked_at(viewer: TestClient, project: Path) -> None:
    for path in ("project", "models", "endpoints", "runs"):
        reply = viewer.get(f"/modelyard/api/{path}", params={"place": f"project:{project}"})
        assert reply.status_code == 404
        assert reply.json()["error"] == {
            "kind": "not_found",
            "message": f"project:{project}: the console does not show it",
            "mend": "Name it in [modelyard] connections or projects of Airflow's configuration.",
        }


def test_secrets_are_not_in_what_is_said(viewer: TestClient, connection: Callable[..., None]) -> None:
    connection(project="/nowhere/open-sesame")
    reply = viewer.get("/modelyard/api/runs", params={"place": "connection:ml"})

    assert (reply.status_code, reply.json()["error"]["kind"]) == (404, "not_found")
    assert "/nowhere/***" in reply.text
    assert "sesame" not in reply.text


@needs_main_environment
def test_models_versions_and_runs_are_told(
    viewer: TestClient, connection: Callable[..., None], registry: tuple[Path, str]
) -> None:
    connection(project=str(registry[0]))

    def told(path: str, **parameters: Any) -> Any:
        reply = viewer.get(f"/modelyard/api/{path}", params={"place": "connection:ml", **parameters})
        assert reply.status_code == 200, reply.text
        return reply.json()

    (model,) = told("models")
    assert (model["name"], model["aliases"], model["versions"]) == ("delays", {"champion": 1}, 2)
    assert [(each["version"], each["aliases"], each["metrics"]) for each in told("versions", model="delays")] == [
        (2, [], {"accuracy": 0.75}),
        (1, ["champion"], {"accuracy": 0.75}),
    ]
    assert (told("endpoints"), told("runs")) == ([], [])
    assert viewer.get("/modelyard/api/runs", params={"place": "connection:ml", "limit": 0}).status_code == 422


@needs_main_environment
def test_the_card_of_a_task_shows_its_result_and_the_model_behind_it(
    viewer: TestClient, runs: Runs, registry: tuple[Path, str], tmp_path: Path
) -> None:
    folder = shutil.copytree(registry[0], tmp_path / "registry")
    with DAG("carded", schedule=None, default_args={"project": str(folder)}) as dag:
        promote = PromoteOperator(task_id="promote", model="models:/delays/2", alias="challenger")
        foreign = PythonOperator(task_id="foreign", python_callable=lambda: {"model": ("x", {1})})
        [promote, foreign] >> CallOperator(task_id="fail", function="absent:absent")
    run = runs.run(dag)
    assert runs.states(run) == {"promote": "success", "foreign": "success", "fail": "failed"}, runs.xcoms(
        run, "promote"
    )
    asked = {"dag_id": "carded", "run_id": run.run_id, "task_id": "promote", "map_index": "{MAP_INDEX}"}

    card = viewer.get("/modelyard/api/card", params=asked).json()
    assert (card["operator"], card["operation"], card["state"]) == ("PromoteOperator", "promote", "success")
    result = {each["name"]: each["value"] for each in card["result"]}
    assert (result["model"], result["name"], result["alias"]) == ("models:/delays/2", "delays", "challenger")
    assert card["has_model"] is True

    behind = viewer.get("/modelyard/api/card/model", params=asked).json()
    assert (behind["uri"], behind["endpoints"]) == ("models:/delays/2", [])
    assert (behind["version"]["aliases"], behind["version"]["run_id"]) == (["challenger"], registry[1])
    assert (behind["champion"]["version"], behind["champion"]["metrics"]) == (1, {"accuracy": 0.75})
    assert behind["tracking"] == f"sqlite:///{folder}/mlflow.db"

    task = {"dag_id": "carded", "run_id": run.run_id, "task_id": "promote", "map_index": -1}
    assert card["links"] == {"ModelLink": f"/modelyard/card?{urlencode(task)}"}

    empty = viewer.get("/modelyard/api/card", params={**asked, "task_id": "fail"}).json()
    assert (empty["operation"], empty["result"], empty["state"]) == ("", [], "failed")
    assert viewer.get("/modelyard/api/card/model", params={**asked, "task_id": "fail"}).json() is None
    foreign_card = viewer.get("/modelyard/api/card", params={**asked, "task_id": "foreign"}).json()
    assert (foreign_card["operator"], foreign_card["operation"], foreign_card["result"]) == ("PythonOperator", "", [])
    absent = viewer.get("/modelyard/api/card", params={**asked, "task_id": "absent"})
    assert (absent.status_code, absent.json()) == (404, {"detail": "there is no such task instance"})


def test_the_card_is_for_who_may_see_results(application: Any, browse: Callable[..., TestClient]) -> None:
    asked = {"dag_id": "carded", "run_id": "r", "task_id": "t"}

    assert TestClient(application).get("/modelyard/api/card", params=asked).status_code == 401
    assert browse(None).get("/modelyard/api/card", params=asked).status_code == 403
    assert browse("VIEWER").get("/modelyard/api/card", params=asked).status_code == 404


def test_the_health_of_an_endpoint_is_its_own_word() -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/ready/v2/health/ready" else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        endpoints = [
            {"name": "a", "state": "running", "url": f"{address}/ready/"},
            {"name": "b", "state": "starting", "url": address},
            {"name": "c", "state": "running", "url": "http://127.0.0.1:9"},
            {"name": "d", "state": "idle", "url": address},
            {"name": "e", "state": "stopped", "url": ""},
        ]
        found = with_health(endpoints)
        server.shutdown()
        thread.join()

    assert [(each["name"], each["health"]) for each in found] == [
        ("a", "ready"),
        ("b", "not ready"),
        ("c", "no answer"),
        ("d", "idle"),
        ("e", "stopped"),
    ]
    assert with_health([]) == []


def test_airflow_knows_the_views_and_found_nothing_wrong(browse: Callable[..., TestClient]) -> None:
    admin = browse("ADMIN")
    (plugin,) = [each for each in admin.get("/api/v2/plugins").json()["plugins"] if each["name"] == "modelyard"]

    assert [(each["name"], each["destination"], each["url_route"]) for each in plugin["external_views"]] == [
        ("Models", "nav", "modelyard"),
        ("Model card", "task_instance", "modelyard-card"),
    ]
    assert plugin["external_views"][1]["href"] == (
        "/modelyard/card?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"
    )
    assert [each["url_prefix"] for each in plugin["fastapi_apps"]] == ["/modelyard"]
    assert admin.get("/api/v2/plugins/importErrors").json() == {"import_errors": [], "total_entries": 0}


def test_airflow_shows_the_form_of_connections(browse: Callable[..., TestClient]) -> None:
    forms = browse("ADMIN").get("/ui/connections/hook_meta").json()
    (form,) = [each for each in forms if each["connection_type"] == "modelyard"]
    standard = form["standard_fields"]

    assert list(form["extra_fields"]) == [
        *("project", "environment", "python", "tracking_uri", "deploy_target", "secrets"),
    ]
    assert form["extra_fields"]["secrets"]["schema"]["format"] == "password"
    assert (standard["login"]["title"], standard["password"]["title"]) == ("Tracking user", "Tracking password")
    assert {name for name, each in standard.items() if each and each["hidden"]} == {"host", "port", "url_schema"}


def test_addresses_are_below_the_path_of_airflow() -> None:
    code = "from modelyard.airflow.plugin import ModelyardPlugin as P; print(P.external_views[0]['href'])"
    base = {"AIRFLOW__API__BASE_URL": "https://tools.example.com/airflow/", "AIRFLOW_HOME": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=base)

    assert done.stdout.splitlines()[-1] == "/airflow/modelyard/"


def test_the_plugin_is_light() -> None:
    code = """
import sys, airflow.plugins_manager
before = set(sys.modules)
import modelyard.airflow.plugin
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert {each for each in done.stdout.splitlines()[-1].split() if each.startswith(("modelyard.", "fastapi"))} == {
        "modelyard.airflow.plugin",
        "modelyard.airflow.ui",
        "modelyard.airflow.ui.application",
    }
