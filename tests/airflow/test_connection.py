"""Connections of the type modelyard: read, checked, tested, and used by tasks."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest
from airflow.sdk import DAG, Connection
from airflow_home import Runs, needs_main_environment

import airflow
from modelyard.airflow.connection import ConnectionSettings, settings_of
from modelyard.airflow.connection_form import connection_type
from modelyard.airflow.errors import ConnectionInvalid, ConnectionNotFound
from modelyard.airflow.hook import ModelyardHook
from modelyard.operators.airflow import CallOperator

Set = Callable[..., None]

FUNCTIONS = """
import os

NAMES = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "DOOR_TOKEN")


def seen() -> dict[str, str]:
    return {**{name: os.environ.get(name, "") for name in NAMES}, "digits": str(len(os.environ.get("DOOR_TOKEN", "")))}
"""


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Return what defines the connection ``ml``."""

    def define(conn_type: str = "modelyard", login: str = "", password: str = "", **extra: Any) -> None:
        facts = {"conn_type": conn_type, "login": login, "password": password, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_ML", json.dumps(facts))

    return define


@pytest.fixture
def tracked(project: Path) -> Path:
    """Return a project whose environment prod takes the tracking server from a variable."""
    (project / "modelyard.yaml").write_text(
        "name: doors\nenvironments:\n  dev: {}\n  prod: {tracking: '${MLFLOW_TRACKING_URI}', secrets: [DOOR_TOKEN]}\n"
    )
    (project / "seeing.py").write_text(FUNCTIONS)
    return project


class _Answers(BaseHTTPRequestHandler):
    status = 200
    body = b"{}"
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[_Answers]]]:
    """Return the address of an HTTP server, and what it answers."""
    answers = type("Answers", (_Answers,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", answers
        running.shutdown()
        thread.join()


@needs_main_environment
def test_a_task_gets_project_environment_and_variables_from_its_connection(
    runs: Runs, tracked: Path, connect: Set
) -> None:
    secrets = json.dumps({"DOOR_TOKEN": "open-sesame-4711"})
    connect(
        login="bot",
        password="swordfish-0815",
        project=str(tracked),
        environment="prod",
        tracking_uri="http://127.0.0.1:9",
        secrets=secrets,
    )
    with DAG("connected", schedule=None, default_args={"conn_id": "ml"}) as dag:
        CallOperator(task_id="see", function="seeing:seen")
    run = runs.run(dag)

    assert runs.states(run) == {"see": "success"}
    assert runs.xcom(run, "see", "value") == {
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "MLFLOW_TRACKING_USERNAME": "bot",
        "MLFLOW_TRACKING_PASSWORD": "***",
        "DOOR_TOKEN": "***",
        "digits": "16",
    }
    assert "DOOR_TOKEN" not in os.environ


@needs_main_environment
def test_what_the_task_says_comes_before_what_the_connection_says(runs: Runs, tracked: Path, connect: Set) -> None:
    connect(project="/nowhere", environment="absent", python="/nowhere/python")
    python = os.environ["MODELYARD_PYTHON"]
    with DAG("own_words", schedule=None) as dag:
        CallOperator(
            task_id="see", conn_id="ml", function="seeing:seen", project=str(tracked), environment="dev", python=python
        )
    run = runs.run(dag)

    assert runs.xcom(run, "see", "value")["digits"] == "0"


@pytest.mark.parametrize(
    ("defined", "message"),
    [
        (
            {"environment": "prod", "tracking_uri": "https://bot:swordfish@mlflow"},
            "connection ml: it names the tracking URI https://mlflow, but the environment prod tracks to "
            "https://elsewhere. Write tracking: ${MLFLOW_TRACKING_URI} in that environment of modelyard.yaml.",
        ),
        (
            {"trakcing_uri": "https://mlflow"},
            "connection ml: trakcing_uri is no field of a connection to modelyard. Did you mean tracking_uri?",
        ),
        (None, "connection ml: there is no such connection. Add it under Admin, Connections, with the type modelyard."),
    ],
)
def test_a_connection_that_cannot_be_used_fails_the_task_at_once(
    runs: Runs, project: Path, connect: Set, defined: dict[str, str] | None, message: str
) -> None:
    (project / "modelyard.yaml").write_text("name: doors\nenvironments: {prod: {tracking: 'https://elsewhere'}}\n")
    if defined is not None:
        connect(**defined)
    errors: list[BaseException] = []
    with DAG("misconnected", schedule=None) as dag:
        CallOperator(
            task_id="see",
            conn_id="ml",
            function="seeing:seen",
            project=str(project),
            retries=2,
            on_failure_callback=lambda context: errors.append(context["exception"]),
        )
    run = runs.run(dag)

    assert (runs.states(run), runs.tries(run)) == ({"see": "failed"}, {"see": 1})
    assert [(type(each).__name__, str(each)) for each in errors] == [("AirflowFailException", message)]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"conn_type": "http"}, "the type must be modelyard, got 'http'."),
        ({"extra": {"project": 3}}, "project must be a text, got 3."),
        ({"extra": {"project": "flights"}}, "project must begin with git+ or /, got 'flights'."),
        ({"extra": {"secrets": "open-sesame"}}, 'secrets must be JSON such as {"TOKEN": "…"}, with names of'),
        ({"extra": {"secrets": {"a-b": "open-sesame"}}}, 'secrets must be JSON such as {"TOKEN": "…"}, with names of'),
        ({"extra": {"secrets": {"TOKEN": 4711}}}, 'secrets must be JSON such as {"TOKEN": "…"}, with names of'),
    ],
)
def test_a_field_that_breaks_a_rule_is_named_without_its_secrets(facts: dict[str, Any], message: str) -> None:
    made = {"conn_type": "modelyard", **facts, "extra": json.dumps(facts.get("extra", {}))}
    with pytest.raises(ConnectionInvalid) as caught:
        settings_of(Connection(conn_id="ml", **made))

    assert str(caught.value).startswith(f"connection ml: {message}")
    assert "sesame" not in str(caught.value)
    assert "4711" not in str(caught.value)


def test_variables_are_put_back() -> None:
    os.environ["MODELYARD_PROBE_A"] = "before"
    settings = ConnectionSettings(secrets={"MODELYARD_PROBE_A": "a", "MODELYARD_PROBE_B": "b"})
    with settings.in_effect():
        assert (os.environ["MODELYARD_PROBE_A"], os.environ["MODELYARD_PROBE_B"]) == ("a", "b")
    assert os.environ.pop("MODELYARD_PROBE_A") == "before"
    assert "MODELYARD_PROBE_B" not in os.environ
    assert "'a'" not in repr(settings)


def test_an_absent_connection_is_told_as_such() -> None:
    with pytest.raises(ConnectionNotFound):
        ModelyardHook("absent").get_conn()


def test_the_connection_test_opens_the_project_and_asks_the_server(
    tracked: Path, connect: Set, server: tuple[str, type[_Answers]]
) -> None:
    address, answers = server
    connect(login="bot", password="swordfish", project=str(tracked), environment="prod", tracking_uri=address)

    assert ModelyardHook("ml").test_connection() == (
        True,
        "The project doors opens, with the environment prod. The tracking server answers.",
    )
    path = "/api/2.0/mlflow/registered-models/search?max_results=1"
    assert answers.asked == [(path, "Basic Ym90OnN3b3JkZmlzaA==")]


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (503, b"", "it does not answer: status 503. See whether it runs and can be reached from here."),
        (200, b"<html>", "its answer cannot be used: status 200, and no JSON."),
        (401, b'{"error_code": "UNAUTHENTICATED"}', "its answer cannot be used: status 401, UNAUTHENTICATED."),
    ],
)
def test_the_connection_test_says_what_is_wrong_with_the_server(
    connect: Set, server: tuple[str, type[_Answers]], status: int, body: bytes, message: str
) -> None:
    address, answers = server
    answers.status, answers.body = status, body
    connect(tracking_uri=address)
    well, said = ModelyardHook("ml").test_connection()

    assert not well
    assert said.startswith(f"{address}: {message}")


def test_the_connection_test_says_what_is_wrong_otherwise(tmp_path: Path, connect: Set) -> None:
    connect()
    empty = "The connection is well formed; it names no project and no tracking server to ask."
    assert ModelyardHook("ml").test_connection() == (True, empty)
    connect(tracking_uri="http://127.0.0.1:9")
    assert ModelyardHook("ml").test_connection()[1].startswith("http://127.0.0.1:9: it does not answer: ConnectError.")
    connect(project=str(tmp_path / "absent"))
    well, said = ModelyardHook("ml").test_connection()
    assert (well, str(tmp_path / "absent") in said) == (False, True)


def test_airflow_itself_finds_the_hook_of_a_connection(connect: Set) -> None:
    connect(environment="prod")
    hook = Connection.get("ml").get_hook()

    assert (type(hook), hook.conn_id, hook.get_conn().environment) == (ModelyardHook, "ml", "prod")


def test_the_form_keeps_to_the_stricter_schema_and_hides_what_is_secret() -> None:
    schema = json.loads(Path(airflow.__file__).with_name("provider.yaml.schema.json").read_text())
    form = connection_type()

    jsonschema.validate([form], schema["properties"]["connection-types"])
    assert form["conn-fields"]["secrets"]["schema"]["format"] == "password"
    assert set(form["conn-fields"]) == {
        *("project", "environment", "python", "tracking_uri", "deploy_target", "secrets"),
    }
