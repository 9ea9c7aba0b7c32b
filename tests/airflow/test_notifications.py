"""Notifications reach a webhook, with what a task and a DAG run have to report."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow_home import Runs, needs_main_environment

from modelyard.airflow.errors import ConnectionInvalid, WebhookUnavailable
from modelyard.airflow.notifications import ModelyardNotifier
from modelyard.airflow.run_report import RunReport, TaskReport
from modelyard.operations import ParameterInvalid
from modelyard.operators.airflow import CallOperator

FUNCTIONS = """
def fine():
    return {"rows": 3}


def wrong():
    raise ValueError("no more wine")
"""


class Webhook:
    """What was posted, and how it is answered."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """Return a webhook, which the connection ``chat`` leads to."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.posts.append((self.path, dict(self.headers), body))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        facts = {"conn_type": "http", "schema": "http", "host": "127.0.0.1/services/T1", "port": server.server_port}
        monkeypatch.setenv(
            "AIRFLOW_CONN_CHAT", json.dumps({**facts, "password": "swordfish", "extra": {"X-Team": "ml"}})
        )
        yield hook
        server.shutdown()
        thread.join()


@needs_main_environment
def test_tasks_and_runs_report_how_they_ended(runs: Runs, project: Path, webhook: Webhook) -> None:
    (project / "seeing.py").write_text(FUNCTIONS)
    chat, report = ModelyardNotifier("chat"), ModelyardNotifier("chat", body="report")

    def whole_run(context: Any) -> None:
        # As the DAG processor calls it for the run; dag.test() hands no notifier a DAG that it can render by.
        report({**context, "reason": "task_failure"})

    with DAG(
        "notifying",
        schedule=None,
        default_args={"project": str(project), "on_success_callback": ModelyardNotifier("chat", "{{ ti.task_id }}!")},
    ) as dag:
        fine = CallOperator(task_id="fine", function="seeing:fine")
        fine >> CallOperator(task_id="wrong", function="seeing:wrong", on_failure_callback=[chat, whole_run])
    run = runs.run(dag)

    (fine_post, wrong_post, whole) = webhook.posts
    assert fine_post[0] == "/services/T1"
    assert (fine_post[1]["Authorization"], fine_post[1]["X-Team"]) == ("Bearer swordfish", "ml")
    assert fine_post[2] == {"text": f"fine!\nnotifying · fine succeeded (run {run.run_id})"}
    first, error, log = wrong_post[2]["text"].splitlines()
    assert first == f"notifying · wrong failed (run {run.run_id})"
    assert error == "seeing.py:7: seeing:wrong raised ValueError: no more wine. The log has the traceback."
    assert log.startswith("log: http")
    assert {name: whole[2][name] for name in ("verdict", "dag", "run", "task", "error")} == {
        "verdict": "failed",
        "dag": "notifying",
        "run": run.run_id,
        "task": "",
        "error": "task_failure",
    }
    assert [(each["task"], each["operation"]) for each in whole[2]["tasks"]] == [("fine", "call")]


def test_a_report_says_metrics_gates_model_and_links() -> None:
    judged = TaskReport(
        "judge",
        "evaluate",
        "models:/delays/3",
        {"accuracy": 0.912345, "rows": 12.0},
        {"accuracy >= 0.9": "0.912 >= 0.9: held"},
        {"Run": "https://mlflow/#/runs/1"},
    )
    lines = [
        "accuracy 0.9123 · rows 12",
        "gate accuracy >= 0.9: 0.912 >= 0.9: held",
        "model models:/delays/3",
        "Run: https://mlflow/#/runs/1",
    ]

    assert RunReport("succeeded", "flights", "r1", "judge", 2, tasks=(judged,)).as_text().splitlines() == [
        "flights · judge succeeded (run r1, try 2)",
        *lines,
    ]
    assert RunReport("failed", "flights", "r1", error="task_failure", tasks=(judged,)).as_text().splitlines() == [
        "flights failed (run r1)",
        "task_failure",
        "judge:",
        *(f"  {line}" for line in lines),
    ]


def test_it_is_sent_from_an_event_loop_too(webhook: Webhook) -> None:
    async def send() -> None:
        await ModelyardNotifier("chat", "late again", context={"run_id": "r1", "reason": "deadline"})  # type: ignore[typeddict-unknown-key]

    asyncio.run(send())

    assert webhook.posts[0][2] == {"text": "late again\n failed (run r1)\ndeadline"}


def test_what_cannot_be_sent_is_told_without_the_address(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook.status = 403
    with pytest.raises(WebhookUnavailable) as caught:
        ModelyardNotifier("chat").notify({"run_id": "r1"})
    monkeypatch.setenv("AIRFLOW_CONN_GONE", '{"conn_type": "http", "host": "http://127.0.0.1:9/secret"}')
    with pytest.raises(WebhookUnavailable) as refused:
        ModelyardNotifier("gone").notify({"run_id": "r1"})
    monkeypatch.setenv("AIRFLOW_CONN_EMPTY", '{"conn_type": "http"}')
    with pytest.raises(ConnectionInvalid) as empty:
        ModelyardNotifier("empty").notify({"run_id": "r1"})

    mend = "See whether its address is right and can be reached from here."
    assert str(caught.value) == f"connection chat: the webhook does not take the notification: status 403. {mend}"
    assert str(refused.value) == f"connection gone: the webhook does not take the notification: ConnectError. {mend}"
    assert str(empty.value).startswith("connection empty: host must be the address of the webhook, it is empty.")
    with pytest.raises(ParameterInvalid, match=r"body: must be one of text, report, got \"html\""):
        ModelyardNotifier("chat", body="html")  # type: ignore[arg-type]
    with pytest.raises(ParameterInvalid, match=r"conn_id: must be the name of a connection, got null\."):
        ModelyardNotifier(None)  # type: ignore[arg-type]
    with pytest.raises(ParameterInvalid, match=r"message: must be text, got 3\."):
        ModelyardNotifier("chat", message=3)  # type: ignore[arg-type]
