"""Starting and following a DAG through Airflow's REST API, against a server that answers as Airflow does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pytest

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations.catalogue import load_catalogue
from modelyard.projects.dispatch import dispatch
from modelyard.workflows import StepFailed, Workflow, each, steps, workflow
from modelyard.workflows.engines.airflow_submission import AirflowApi, AirflowRefused, AirflowUnreachable, submit
from modelyard.workflows.engines.remote import RunRequest


@workflow(catalogue=load_catalogue())
def nightly(month: int = 7) -> None:
    """Two steps, one of them in a loop."""
    with each([1, 2]) as item:
        steps(name="turn").call(function="turn", parameters={"item": item, "month": month})
    steps(name="last").call(function="last")


class Airflow(BaseHTTPRequestHandler):
    """As much of Airflow's API as a run needs."""

    calls: ClassVar[list[tuple[str, str, Any]]] = []
    runs: ClassVar[dict[str, list[str]]] = {}
    last: ClassVar[str] = "success"

    def do_GET(self) -> None:
        """Answer."""
        self._answer("GET")

    def do_POST(self) -> None:
        """Answer."""
        self._answer("POST")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = unquote(urlsplit(self.path).path)
        self.calls.append((method, path, body))
        status, answer = self._token(body) if path == "/auth/token" else self._api(method, path, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    @staticmethod
    def _token(body: Any) -> tuple[int, Any]:
        if body == {"username": "me", "password": "wrong"}:
            return 401, {"detail": "Invalid credentials"}
        return 201, {"access_token": "t"}

    def _api(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if self.headers.get("authorization") != "Bearer t":
            return 403, {"detail": "Forbidden"}
        head, _, rest = path.removeprefix("/api/v2/dags/").partition("/")
        if head != "shop-nightly":
            return 404, {"detail": f"The Dag with dag_id: `{head}` was not found"}
        if method == "POST" and rest == "dagRuns":
            if body["dag_run_id"] in self.runs:
                return 409, {"detail": "Unique constraint violation"}
            self.runs[body["dag_run_id"]] = ["queued", "running", self.last]
            return 200, {"dag_run_id": body["dag_run_id"]}
        if rest == "clearTaskInstances":
            self.runs[body["dag_run_id"]] = ["running", "success"]
            type(self).last = "success"
            return 200, {"task_instances": []}
        return self._run(rest.removeprefix("dagRuns/"))

    def _run(self, rest: str) -> tuple[int, Any]:
        run, _, rest = rest.partition("/")
        if not rest:
            states = self.runs[run]
            return 200, {"state": states.pop(0) if len(states) > 1 else states[0]}
        if rest == "taskInstances":
            bad = {"success": "success", "failed": "failed"}[self.last]
            tasks = [
                ("turn", 0, "success"),
                ("turn", 1, bad),
                ("last", -1, "success" if bad == "success" else "upstream_failed"),
            ]
            found = [{"task_id": name, "map_index": index, "state": state} for name, index, state in tasks]
            return 200, {"task_instances": found, "total_entries": len(found)}
        _, task, _, key = rest.split("/")
        if key == "failure":
            return 200, {"value": {"kind": "user_code", "message": "it broke"}}
        return 200, {"value": {"value": {"of": task}}}


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Airflow]]:
    """A server, whose address the environment names."""
    Airflow.calls.clear()
    Airflow.runs.clear()
    Airflow.last = "success"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Airflow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr("modelyard.workflows.engines.airflow_submission._PAUSE", 0.0)
    monkeypatch.setenv("MODELYARD_AIRFLOW_URL", f"http://127.0.0.1:{server.server_port}/")
    yield Airflow
    server.shutdown()
    server.server_close()
    thread.join()


def asked(flow: Workflow = nightly, run: str = "k", *, follow: bool = True) -> RunRequest:
    return RunRequest(
        workflow=flow,
        name="nightly",
        inputs=flow.bind({"month": 8}),
        project=".",
        project_name="shop",
        workflow_run=run,
        follow=follow,
    )


def test_a_run_is_started_with_its_parameters_and_followed_to_its_end(airflow: type[Airflow]) -> None:
    started = submit(asked())
    body = {"dag_run_id": "modelyard__k", "logical_date": None, "conf": {"month": 8}}
    assert ("POST", "/api/v2/dags/shop-nightly/dagRuns", body) in airflow.calls
    assert started.run == "modelyard__k"
    assert started.url.endswith("/dags/shop-nightly/runs/modelyard__k")
    assert started.outcome is not None
    assert started.outcome.states == {"turn[0]": "succeeded", "turn[1]": "succeeded", "last": "succeeded"}
    assert started.outcome.results["turn[1]"] == {"value": {"of": "turn"}}


def test_without_following_nothing_is_waited_for(airflow: type[Airflow]) -> None:
    assert submit(asked(follow=False)).outcome is None
    assert [method for method, _, _ in airflow.calls] == ["GET", "POST"]


def test_a_run_that_is_under_way_is_attached_to_and_one_that_failed_goes_on(airflow: type[Airflow]) -> None:
    submit(asked(follow=False))
    attached = submit(asked()).outcome
    assert attached is not None
    assert not [path for _, path, _ in airflow.calls if path.endswith("clearTaskInstances")]

    airflow.last = "failed"
    failed = submit(asked(run="j")).outcome
    assert failed is not None
    assert failed.states == {"turn[0]": "succeeded", "turn[1]": "failed", "last": "blocked"}
    assert [(each.step, each.kind, each.message) for each in failed.failures] == [("turn[1]", "user_code", "it broke")]
    again = submit(asked(run="j")).outcome
    cleared = {"dry_run": False, "only_failed": True, "reset_dag_runs": True, "dag_run_id": "modelyard__j"}
    assert ("POST", "/api/v2/dags/shop-nightly/clearTaskInstances", cleared) in airflow.calls
    assert again is not None
    assert again.failures == ()


def test_what_airflow_refuses_says_why(airflow: type[Airflow], monkeypatch: pytest.MonkeyPatch) -> None:
    @workflow(catalogue=load_catalogue())
    def absent(month: int = 7) -> None:
        steps.call(function="x", parameters={"month": month})

    with pytest.raises(AirflowRefused) as refused:
        submit(asked(absent))
    assert refused.value.error_kind is ErrorKind.NOT_FOUND
    assert str(refused.value) == (
        "POST /api/v2/dags/shop-absent/dagRuns: Airflow answers 404: The Dag with dag_id: `shop-absent` was not found."
    )
    monkeypatch.setenv("MODELYARD_AIRFLOW_TOKEN", "another")
    with pytest.raises(AirflowRefused, match="Airflow answers 403: Forbidden") as refused:
        submit(asked())
    assert refused.value.error_kind is ErrorKind.DENIED
    monkeypatch.delenv("MODELYARD_AIRFLOW_TOKEN")
    monkeypatch.setenv("MODELYARD_AIRFLOW_USER", "me")
    monkeypatch.setenv("MODELYARD_AIRFLOW_PASSWORD", "wrong")
    with pytest.raises(AirflowRefused, match="Airflow answers 401: Invalid credentials"):
        submit(asked())


def test_an_airflow_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELYARD_AIRFLOW_URL", raising=False)
    with pytest.raises(AirflowUnreachable) as unreachable:
        submit(asked())
    assert str(unreachable.value) == (
        "MODELYARD_AIRFLOW_URL: Airflow cannot be reached: no address is given. "
        "Set MODELYARD_AIRFLOW_URL to Airflow's address, such as http://localhost:8080."
    )
    with pytest.raises(AirflowUnreachable, match="Connection refused"):
        AirflowApi("http://127.0.0.1:9").call("GET", "/api/v2/version")


def test_the_operation_run_carries_a_run_elsewhere(traced: Any, airflow: type[Airflow]) -> None:
    given = {"workflow": "main", "engine": "airflow", "follow": True}
    with pytest.raises(ModelyardError, match="`traced-main` was not found"):
        dispatch("run", given, project=traced.root, key="k")
    (traced.root / "modelyard.yaml").write_text("name: shop\nworkflows: {nightly: tasks.more:nightly}\n")
    (traced.root / "tasks/more.py").write_text(
        "from modelyard.workflows import each, steps, workflow\n\n\n@workflow\ndef nightly(month: int = 7):\n"
        "    with each([1, 2]) as item:\n        steps(name='turn').call(function='x', parameters={'item': item})\n"
        "    steps(name='last').call(function='x', parameters={'month': month})\n"
    )
    given["workflow"] = "nightly"
    result = dispatch("run", given, project=traced.root, key="k2").result
    assert (result["workflow_run"], result["steps"]["turn[0]"]) == ("modelyard__k2", "succeeded")
    assert result["url"].endswith("/dags/shop-nightly/runs/modelyard__k2")
    airflow.last = "failed"
    with pytest.raises(StepFailed, match=r"^workflow nightly, step turn\[1\]: it broke\.$") as failed:
        dispatch("run", given, project=traced.root, key="k3")
    assert failed.value.error_kind is ErrorKind.USER_CODE
    assert failed.value.facts["steps"]["last"] == "blocked"
