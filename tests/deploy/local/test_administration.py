"""What is asked of an endpoint as a whole reaches all of its workers, from whichever door it comes."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trustme
from probe_endpoint import FakeRevision, eventually, order_for
from tritonclient.grpc import InferenceServerClient, service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from modelyard.deploy.local.records import Deployed, EndpointFolder, Status, read_json
from modelyard.deploy.local.target import LocalTarget
from modelyard.graphs import GraphSpec, StepSpec

RUN = "staple-correct-horse"
MODULE = """
import os
from pathlib import Path
from modelyard.graphs import EventInvalid
from modelyard.graphs.models import Model

SAID = Path(%r)


class Saying(Model):
    def load(self):
        self.said = SAID.read_text()
        if self.said == "nothing":
            raise ValueError("there is nothing to say")
        if self.said == "one" and (SAID.parent / f"ill-{os.getpid()}").exists():
            raise EventInvalid("is ill", field="worker")

    def predict(self, inputs):
        return {"said": self.said, "by": os.getpid()}
"""


class Revision(FakeRevision):
    """A graph of one model of a class, which reads a file when it is loaded."""

    def write(self, revisions: Path, requirements: Any) -> Any:
        from modelyard.serving.bundle import Manifest, write_manifest

        steps = (StepSpec("say", "model", "steps:Saying", respond=True),)
        manifest = Manifest(GraphSpec("delays", steps), {}, self.word, tuple(requirements), "probe")
        folder = revisions / manifest.revision
        (folder / "project").mkdir(parents=True, exist_ok=True)
        (folder / "project/steps.py").write_text(self.module)
        write_manifest(folder, manifest)
        return manifest


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of an endpoint of two workers that answers both protocols."""
    place = tmp_path_factory.mktemp("administration")
    (place / "said").write_text("a")
    LocalTarget().deploy(order(place))
    yield place
    LocalTarget().undeploy("delays", place / "state", 10)


def order(place: Path, **settings: Any) -> Any:
    source = Revision("one", MODULE % str(place / "said"))
    return order_for(place / "state", source=source, settings={"workers": 2, "grpc_port": 0, **settings})


def deployed(place: Path) -> Deployed:
    found = read_json(EndpointFolder(place / "state", "delays").deployed, Deployed)
    assert found is not None
    return found


def monitor(place: Path) -> str:
    def told() -> str:
        found = read_json(EndpointFolder(place / "state", "delays").status, Status)
        return found.metrics if found else ""

    eventually(lambda: bool(told()))
    return told()


def answers(place: Path) -> dict[int, str]:
    """Return what each of two workers says: at the supervisor's port they answer in turn."""
    replies = [httpx.post(monitor(place), json={}).json() for _ in range(2)]
    return {reply["by"]: reply["said"] for reply in replies}


LOAD = "/v2/repository/models/say/load"


@pytest.mark.slow
def test_a_model_is_loaded_anew_by_all_workers_from_every_door(place: Path) -> None:
    assert set(answers(place).values()) == {"a"}
    (place / "said").write_text("b")
    answer = httpx.post(f"http://127.0.0.1:{deployed(place).port}{LOAD}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert set(answers(place).values()) == {"b"}

    (place / "said").write_text("c")
    rpc = InferenceServerClient(deployed(place).grpc)
    rpc.load_model("say")
    assert set(answers(place).values()) == {"c"}

    (place / "said").write_text("d")
    assert httpx.post(f"{monitor(place)}{LOAD}", json={"parameters": {}}).status_code == 200
    assert set(answers(place).values()) == {"d"}

    (place / "said").write_text("nothing")
    refused = httpx.post(f"http://127.0.0.1:{deployed(place).port}{LOAD}")
    assert refused.status_code == 500
    assert "there is nothing to say" in refused.json()["error"]
    assert httpx.post(f"{monitor(place)}{LOAD}").json() == refused.json()
    with pytest.raises(InferenceServerException, match="there is nothing to say"):
        rpc.load_model("say")
    rpc.close()
    assert set(answers(place).values()) == {"d"}
    (place / "said").write_text("a")
    httpx.post(f"{monitor(place)}{LOAD}")


@pytest.mark.slow
def test_the_workers_share_one_port_for_calls(place: Path) -> None:
    asked = service_pb2.ModelInferRequest(model_name="delays")
    asked.inputs.add(name="x", datatype="INT64", shape=[1]).contents.int64_contents.append(1)
    found: set[int] = set()

    def both() -> bool:
        own = (("grpc.use_local_subchannel_pool", 1),)  # otherwise channels of one process share a connection
        with grpc.insecure_channel(deployed(place).grpc, options=own) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            answer = stub.ModelInfer(asked, wait_for_ready=True, timeout=20)
        outputs = {each.name: each.contents for each in answer.outputs}
        found.add(outputs["by"].int64_contents[0])
        return len(found) == 2

    eventually(both)
    told = httpx.get(f"{monitor(place)}/v2/statistics").json()
    assert found == {each["pid"] for each in told["workers"]}


@pytest.mark.slow
def test_a_load_that_some_workers_refuse_says_which(place: Path) -> None:
    ill, well = answers(place)
    (place / f"ill-{ill}").touch()
    (place / "said").write_text("one")
    refused = httpx.post(f"{monitor(place)}{LOAD}")
    assert refused.status_code == 409
    assert refused.json()["details"]["message"].startswith(f"1 of 2 workers did not load say anew: worker {ill}: ")
    assert refused.json()["details"]["mend"].startswith("The old one answers everywhere")
    assert answers(place) == {ill: "a", well: "a"}
    (place / f"ill-{ill}").unlink()
    assert httpx.post(f"{monitor(place)}{LOAD}").status_code == 200
    assert set(answers(place).values()) == {"one"}


@pytest.mark.slow
def test_what_is_asked_wrongly_is_refused_as_by_a_worker(place: Path) -> None:
    url = monitor(place)
    for body, status, told in (
        ({"parameters": {"version": "9"}}, 404, "9"),
        ({"parameters": {"version": 9}}, 400, "the parameter 'version' is text, not int"),
        ([], 400, "a repository request is an object"),
    ):
        answer = httpx.post(f"{url}{LOAD}", json=body)
        assert (answer.status_code, told in answer.json()["error"]) == (status, True), answer.text
    assert httpx.post(f"{url}/v2/repository/models/other/load").status_code == 404
    unloaded = httpx.post(f"{url}/v2/repository/models/say/unload")
    assert (unloaded.status_code, "belongs to the graph" in unloaded.json()["error"]) == (400, True)
    foreign = httpx.post(f"{url}{LOAD}", headers={"sec-fetch-site": "cross-site"})
    assert (foreign.status_code, foreign.json()["error"]) == (
        403,
        "a page of another site may not ask here. Ask from the page of this port.",
    )


@pytest.mark.slow
def test_the_page_and_its_form_speak_for_all_workers(place: Path) -> None:
    url = monitor(place)
    page = httpx.get(url, headers={"accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<title>delays</title>" in page.text
    assert httpx.get(f"{url}/openapi.json").json()["info"]["title"] == "delays"
    asked = [httpx.post(url, json={"x": 1}, headers={"x-request-id": "e1"}).json()["by"] for _ in range(4)]
    assert len(set(asked)) == 2
    states = httpx.post(f"{url}/v2/repository/index").json()
    assert {(each["name"], each["state"]) for each in states} == {("delays", "READY"), ("say", "READY")}
    assert httpx.get(f"{url}/v2/models/none").status_code == 404
    tensor = {"name": "x", "shape": [1], "datatype": "INT64", "data": [1]}
    infer = httpx.post(f"{url}/v2/models/delays/infer", json={"inputs": [tensor]}).json()
    assert infer["model_name"] == "delays"
    big = httpx.post(url, content=b'"' + b"x" * 1_000_000 + b'"', headers={"content-type": "application/json"})
    assert big.status_code == 200
    told = httpx.get(f"{url}/v2/statistics").json()
    assert [each["state"] for each in told["workers"]] == ["accepting", "accepting"]


@pytest.mark.slow
def test_a_worker_that_came_up_later_serves_what_the_others_do(place: Path) -> None:
    (place / "said").write_text("late")
    httpx.post(f"{monitor(place)}{LOAD}")
    [killed, other] = answers(place)
    os.kill(killed, signal.SIGKILL)

    def states() -> dict[int, str]:
        workers = httpx.get(f"{monitor(place)}/v2/statistics").json()["workers"]
        return {each["pid"]: each["state"] for each in workers}

    eventually(lambda: killed not in states() and [*states().values()] == ["accepting", "accepting"])
    assert other in states()
    assert set(answers(place).values()) == {"late"}


@pytest.mark.slow
def test_the_door_asks_for_a_token_and_gives_nothing_to_who_shows_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "said").write_text("a")
    (tmp_path / "admins").write_text(RUN)
    LocalTarget().deploy(order(tmp_path, workers=1, access={"admin": [str(tmp_path / "admins")]}))
    try:
        assert httpx.post(f"{monitor(tmp_path)}{LOAD}").status_code == 401
        headers = {"authorization": f"Bearer {RUN}"}
        assert httpx.post(f"{monitor(tmp_path)}{LOAD}", headers=headers).status_code == 200
        assert httpx.post(monitor(tmp_path), json={}, headers=headers).json()["said"] == "a"
        authority = trustme.CA()
        own = authority.issue_cert("127.0.0.1")
        own.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
        own.private_key_pem.write_to_path(tmp_path / "server.key")
        authority.cert_pem.write_to_path(tmp_path / "clients.pem")
        shown = {
            name: str(tmp_path / f"{file}") for name, file in (("certificate", "server.pem"), ("key", "server.key"))
        }
        before = monitor(tmp_path)
        LocalTarget().deploy(
            order(tmp_path, workers=1, certificates={**shown, "clients": str(tmp_path / "clients.pem")})
        )
        eventually(lambda: monitor(tmp_path) != before)
        assert httpx.get(f"{monitor(tmp_path)}/metrics").status_code == 200
        assert httpx.post(f"{monitor(tmp_path)}{LOAD}").status_code == 404
        assert httpx.post(monitor(tmp_path), json={}).status_code == 404
    finally:
        LocalTarget().undeploy("delays", tmp_path / "state", 10)
