"""What an endpoint's workers counted, added up where one scraper finds it, and what survives a worker's end."""

import json
import os
import signal
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from probe_endpoint import eventually, order_for
from probe_models import fitted, save_model
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from modelyard.deploy import tail_log
from modelyard.deploy.errors import SettingInvalid
from modelyard.deploy.local.records import Deployed, EndpointFolder, Status, read_json
from modelyard.deploy.local.settings import serving_settings
from modelyard.deploy.local.target import LocalTarget
from modelyard.serving.event_records import read_events
from modelyard.serving.records import read_records

ASK, RUN = "correct-horse-battery", "staple-correct-horse"


def deploy(state: Path, **settings: Any) -> Any:
    changes = {name: settings.pop(name) for name in ("word", "model") if name in settings}
    return LocalTarget().deploy(order_for(state, settings={"target": "local", **settings}, **changes))


def status(state: Path) -> Status:
    found = read_json(EndpointFolder(state, "delays").status, Status)
    assert found is not None
    return found


def metrics_url(state: Path) -> str:
    eventually(lambda: bool(status(state).metrics))
    return status(state).metrics


def metric(state: Path, name: str, **labels: str) -> float:
    text = httpx.get(f"{metrics_url(state)}/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@pytest.mark.slow
def test_the_workers_figures_are_added_up_and_survive_them(state: Path) -> None:
    endpoint = deploy(state, workers=2)
    for _ in range(30):  # a connection for each, so that both workers get some
        assert httpx.post(endpoint.url, json={"x": 1}).status_code == 200
    httpx.post(endpoint.url, content=b"{")
    eventually(lambda: metric(state, "modelyard_requests_total", protocol="event") == 31)
    assert metric(state, "modelyard_requests_total", protocol="event", status="400") == 1
    assert metric(state, "modelyard_step_seconds_count", step="answer") == 30
    told = httpx.get(f"{metrics_url(state)}/v2/statistics").json()
    assert [each["state"] for each in told["workers"]] == ["accepting", "accepting"]
    assert told["graphs"][0]["revision"] == endpoint.manifest.revision

    killed = told["workers"][0]["pid"]
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: metric(state, "modelyard_worker_restarts_total") == 1)
    eventually(lambda: all(each.state == "accepting" for each in status(state).workers))
    assert metric(state, "modelyard_requests_total", protocol="event") == 31
    assert metric(state, "modelyard_process_memory_bytes", pid=str(killed)) == 0
    httpx.post(endpoint.url, json={"x": 1})
    eventually(lambda: metric(state, "modelyard_requests_total", protocol="event") == 32)


@pytest.mark.slow
def test_a_worker_that_drains_counts_and_records_until_its_end(state: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", fitted())
    folder = str(tmp_path / "records")
    first = deploy(state, model=model, records={"folder": folder, "seconds": 60})
    row = {"a": 2.0, "b": 0.0, "c": 0.0}
    for number in range(5):
        httpx.post(first.url, json=row, headers={"x-request-id": f"e{number}"})
    second = deploy(state, word="two", model=model, records={"folder": folder, "seconds": 60})
    eventually(lambda: len(status(state).workers) == 1)
    assert second.url == first.url
    revision = first.manifest.revision
    assert metric(state, "modelyard_requests_total", protocol="event", revision=revision) == 5
    assert metric(state, "modelyard_record_rows_total", outcome="written", revision=revision) == 10
    records = read_records(folder).to_pylist()
    assert [each["event"] for each in records] == ["e0", "e1", "e2", "e3", "e4"]
    assert {(each["model"], each["revision"], each["step"]) for each in records} == {
        ("models:/delays/3", revision, "delays")
    }
    assert json.loads(records[0]["inputs"]) == row
    ends = read_events(folder).to_pylist()
    assert [(each["event"], each["status"], each["revision"]) for each in ends] == [
        (f"e{number}", 200, revision) for number in range(5)
    ]


@pytest.mark.slow
def test_a_worker_that_gets_sigterm_finishes_writes_and_ends_well(state: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", fitted())
    folder = tmp_path / "records"
    endpoint = deploy(state, model=model, records={"folder": str(folder), "seconds": 60})
    httpx.post(endpoint.url, json={"a": 2.0, "b": 0.0, "c": 0.0}, headers={"x-request-id": "e1"})
    assert list(folder.iterdir()) == []
    [worker] = status(state).workers
    os.kill(worker.pid, signal.SIGTERM)
    eventually(lambda: any(f"worker {worker.pid} ended with 0" in line for line in tail_log(state, "delays")))
    assert [each["event"] for each in read_records(folder).to_pylist()] == ["e1"]
    assert [(each["event"], each["status"]) for each in read_events(folder).to_pylist()] == [("e1", 200)]
    eventually(lambda: metric(state, "modelyard_record_rows_total", outcome="written") == 2)
    assert metric(state, "modelyard_requests_total", protocol="event") == 1


@pytest.mark.slow
def test_an_endpoint_with_tokens_and_certificates(state: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    own.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    own.private_key_pem.write_to_path(tmp_path / "server.key")
    for name, token in (("askers", ASK), ("admins", RUN)):
        (tmp_path / name).write_text(token)
    endpoint = deploy(
        state,
        access={"infer": [str(tmp_path / "askers")], "admin": [str(tmp_path / "admins")]},
        certificates={"certificate": str(tmp_path / "server.pem"), "key": str(tmp_path / "server.key")},
        grpc_port=0,
        smoke=[{"body": {"x": 1}, "reply": {"body": {"x": 1}}}],
    )
    assert endpoint.url.startswith("https://127.0.0.1:")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with httpx.Client(verify=trusting) as client:
        assert client.post(endpoint.url, json={"x": 1}).status_code == 401
        answer = client.post(endpoint.url, json={"x": 1}, headers={"authorization": f"Bearer {ASK}"})
        assert answer.json() == {"word": "one", "body": {"x": 1}}
    deployed = read_json(EndpointFolder(state, "delays").deployed, Deployed)
    assert deployed is not None
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    rpc = InferenceServerClient(deployed.grpc, ssl=True, root_certificates=str(tmp_path / "authority.pem"))
    assert rpc.get_server_metadata(headers={"authorization": f"Bearer {ASK}"}).name == "delays"
    with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
        rpc.get_server_metadata()
    rpc.close()
    url = f"{metrics_url(state)}/metrics"
    statuses = [httpx.get(url, headers={"authorization": f"Bearer {token}"}).status_code for token in ("no", ASK, RUN)]
    assert statuses == [401, 403, 200]
    again = deploy(
        state,
        access={"infer": [str(tmp_path / "askers")], "admin": [str(tmp_path / "admins")]},
        certificates={"certificate": str(tmp_path / "server.pem"), "key": str(tmp_path / "server.key")},
        grpc_port=0,
        smoke=[{"body": {"x": 1}, "reply": {"body": {"x": 1}}}],
    )
    assert again.changed is False


def test_settings_are_checked_and_their_paths_begin_at_the_project(tmp_path: Path) -> None:
    given = {
        "access": {"infer": ["TOKEN", "secrets/askers"]},
        "certificates": {"certificate": "a.pem", "key": "/keys/a.key"},
        "records": {"folder": "records", "share": "0.5"},
        "metrics_port": "9100",
    }
    settings = serving_settings(given, tmp_path)
    assert settings.access.infer == ("TOKEN", str(tmp_path / "secrets/askers"))
    assert settings.certificates is not None
    assert (settings.certificates.certificate, settings.certificates.key) == (str(tmp_path / "a.pem"), "/keys/a.key")
    assert settings.records is not None
    assert (settings.records.folder, settings.records.share) == (str(tmp_path / "records"), 0.5)
    assert settings.metrics_port == 9100
    for wrong, rule in (
        ({"metrics_port": 70000}, "must be from 0 to 65535, got 70000"),
        ({"access": {"ask": []}}, "ask"),
        ({"records": {"folder": "r", "share": 2}}, "share is from 0 to 1, not 2"),
    ):
        with pytest.raises(SettingInvalid, match=rule):
            serving_settings(wrong, tmp_path)
