"""A revision that has other models and nothing else: the workers that answer try it themselves."""

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from probe_endpoint import eventually, order_for, processes
from probe_models import fitted, save_model
from prometheus_client.parser import text_string_to_metric_families

from modelyard.deploy import RevisionNotReady, RolloutStatus, read_endpoint, tail_log
from modelyard.deploy.local.records import EndpointFolder, Status, read_json
from modelyard.deploy.local.target import LocalTarget
from modelyard.serving.records import read_records

ROW = {"a": 2.0, "b": 0.0, "c": 0.0}
TARGET = LocalTarget()
GATES = {"requests": 20, "latency": 1000}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a model that says True, one that says False, and one that cannot be loaded."""
    folder = tmp_path_factory.mktemp("models")
    found = {str(not flip): save_model(folder / str(not flip), fitted(flip)) for flip in (False, True)}
    found["broken"] = save_model(folder / "broken", fitted())
    (found["broken"] / "model.pkl").write_bytes(b"no pickle")
    return found


def deploy(state: Path, model: Path, **changes: Any) -> Any:
    settings = {"target": "local", **changes.pop("settings", {})}
    return TARGET.deploy(order_for(state, "same", model=model, settings=settings, **changes))


def try_out(state: Path, model: Path, **changes: Any) -> Any:
    rollout = {"gates": {**GATES, **changes.pop("gates", {})}, "seconds": 0.2, "key": "x-user", **changes}
    return deploy(state, model, settings={"rollout": rollout}, traffic={"challenger": 50})


def status_of(state: Path) -> RolloutStatus:
    status = TARGET.rollout("delays", state)
    assert status is not None
    return status


def label(url: str, user: str = "") -> bool:
    headers = {"x-user": user} if user else {}
    # without certificates a client is made in no time
    reply = httpx.post(url, json=ROW, headers=headers, timeout=30, verify=False)
    return bool(reply.json()["body"]["label"])


@pytest.mark.slow
def test_the_workers_that_answer_try_it_and_new_ones_take_over(state: Path, models: dict[str, Path]) -> None:
    first = deploy(state, models["True"])
    before = [each.pid for each in processes(state, "serving")]
    second = try_out(state, models["False"])
    assert (second.rollout, second.changed) == ("canary", True)
    assert [each.pid for each in processes(state, "serving")] == before
    users = [f"user-{number}" for number in range(12)]
    labels = {user: label(first.url, user) for user in users}
    assert set(labels.values()) == {True, False}
    assert {user: label(first.url, user) for user in users} == labels
    assert httpx.get(f"{first.url}/v2").json()["revision"] == first.manifest.revision

    def decided() -> bool:
        label(first.url)
        return status_of(state).state != "running"

    eventually(decided)
    status = status_of(state)
    assert (status.state, status.revision) == ("promoted", second.manifest.revision), status.reason
    assert status.challenger.requests >= 20
    assert status.champion.requests >= 1
    assert {label(first.url, user) for user in users} == {False}
    assert read_endpoint(state, "delays").revision == second.manifest.revision
    eventually(lambda: len(processes(state, "serving")) == 1)
    assert [each.pid for each in processes(state, "serving")] != before


@pytest.mark.slow
def test_what_fails_its_gates_is_closed_and_nobody_was_restarted(
    state: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    settings = {"grpc_port": 0, "records": {"folder": str(tmp_path / "records"), "seconds": 0.2}}
    first = deploy(state, models["True"], settings=settings)
    before = [each.pid for each in processes(state, "serving")]
    gates = {**GATES, "metric": {"field": "body.label", "change": 0.1}}
    rollout = {"gates": gates, "key": "x-user"}
    second = deploy(state, models["False"], settings={**settings, "rollout": rollout}, traffic={"challenger": 50})
    users = [f"user-{number}" for number in range(20)]
    labels = {user: label(first.url, user) for user in users}
    assert {user: infer(first.grpc, user) for user in users[:8]} == {user: labels[user] for user in users[:8]}
    assert 2 <= Counter(labels.values())[False] <= 18

    def decided() -> bool:
        label(first.url)
        return status_of(state).state != "running"

    eventually(decided)
    assert (status_of(state).state, status_of(state).reason) == (
        "rolled_back",
        "metric: mean of body.label 0, the champion's 1",
    )
    assert {label(first.url, user) for user in users} == {True}
    assert [each.pid for each in processes(state, "serving")] == before

    def recorded() -> set[tuple[str, str]]:
        rows = read_records(tmp_path / "records").to_pylist()
        return {(each["revision"], each["output"][:13]) for each in rows if each["step"] == "delays"}

    eventually(
        lambda: recorded() == {(first.manifest.revision, '{"label":true'), (second.manifest.revision, '{"label":fals')}
    )
    eventually(lambda: counted(state, second.manifest.revision) >= 20)


def counted(state: Path, revision: str) -> float:
    """Return how many requests the endpoint's metrics say a revision answered."""
    status = read_json(EndpointFolder(state, "delays").status, Status)
    assert status is not None
    families = text_string_to_metric_families(httpx.get(f"{status.metrics}/metrics").text)
    samples = [each for family in families for each in family.samples if each.name == "modelyard_requests_total"]
    return sum(each.value for each in samples if each.labels["revision"] == revision)


def infer(address: str, user: str) -> bool:
    inputs = []
    for name, value in ROW.items():
        tensor = triton.InferInput(name, [1], "FP64")
        tensor.set_data_from_numpy(np.array([value]))
        inputs.append(tensor)
    with triton.InferenceServerClient(address) as client:
        reply = client.infer("delays", inputs, headers={"x-user": user})
        return bool("true" in str(reply.get_response()).lower() or b"true" in reply.as_numpy("body").item())


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_never_tried(state: Path, models: dict[str, Path]) -> None:
    first = deploy(state, models["True"])
    before = [each.pid for each in processes(state, "serving")]
    with pytest.raises(RevisionNotReady):
        try_out(state, models["broken"])
    assert {label(first.url) for _ in range(10)} == {True}
    assert [each.pid for each in processes(state, "serving")] == before
    assert TARGET.rollout("delays", state) is None


@pytest.mark.soak
def test_somebody_decides(state: Path, models: dict[str, Path]) -> None:
    first = deploy(state, models["True"])
    before = [each.pid for each in processes(state, "serving")]
    tried = try_out(state, models["False"], gates={"requests": 10**6})
    assert {label(first.url) for _ in range(40)} == {True, False}
    back = TARGET.rollback(order_for(state, by="ada"), "")
    assert (back.manifest.revision, back.previous) == (first.manifest.revision, tried.manifest.revision)
    assert {label(first.url) for _ in range(20)} == {True}
    assert status_of(state).reason == "ada asked for it"
    assert [each.pid for each in processes(state, "serving")] == before
    try_out(state, models["False"], gates={"requests": 10**6})
    assert TARGET.promote("delays", state, "eve")
    assert {label(first.url) for _ in range(20)} == {False}
    assert read_endpoint(state, "delays").revision == tried.manifest.revision


def check_that_both_are_loaded_anew(url: str, tried: Path) -> None:
    """Check that a load is refused as a whole if the model that is tried cannot be loaded anew."""
    load = f"{url}/v2/repository/models/{httpx.get(f'{url}/v2/models').json()['models'][-1]}/load"
    assert httpx.post(load).status_code == 200
    (file,) = tried.rglob("model.pkl")
    whole = file.read_bytes()
    file.write_bytes(b"no pickle")
    refused = httpx.post(load)
    assert refused.status_code >= 400, refused.text
    file.write_bytes(whole)
    assert httpx.post(load).status_code == 200


@pytest.mark.slow
def test_a_worker_that_is_started_again_tries_it_too_and_a_crash_rolls_back(
    state: Path, models: dict[str, Path]
) -> None:
    first = deploy(state, models["True"])
    tried = try_out(state, models["False"], gates={"requests": 10**6, "crashes": 1})
    users = [f"user-{number}" for number in range(12)]
    labels = {user: label(first.url, user) for user in users}
    check_that_both_are_loaded_anew(first.url, EndpointFolder(state, "delays").revisions / tried.manifest.revision)
    assert {user: label(first.url, user) for user in users} == labels
    processes(state, "serving")[0].kill()
    eventually(lambda: {user: label(first.url, user) for user in users} == labels)
    assert status_of(state).gates["crashes"] == "passed: 1 of its workers ended, at most 1"
    processes(state, "serving")[0].kill()
    eventually(lambda: status_of(state).state == "rolled_back")
    assert status_of(state).reason == "crashes: 2 of its workers ended, at most 1"
    eventually(lambda: {label(first.url, user) for user in users} == {True})
    assert any("the same workers try it" in line for line in tail_log(state, "delays", 1000))
