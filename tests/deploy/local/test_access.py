"""An endpoint that its environment closes with certificates and tokens, asked by clients with and without them."""

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from probe_endpoint import eventually
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from modelyard.deploy import read_endpoint
from modelyard.deploy.local.records import EndpointFolder, Status, read_json

PROJECT = """
name: closed
graphs: {echo: closed_steps:graph}
environments:
  dev:
    deploy:
      target: local
      grpc_port: 0
      access: {infer: [secrets/infer], admin: [secrets/admin]}
      certificates: {certificate: secrets/server.pem, key: secrets/server.key, clients: secrets/clients.pem}
"""
STEPS = """
from modelyard.graphs import Graph

def echo(body):
    return {"got": body}

graph = Graph("echo")
graph.to(echo)
"""
ASK, RUN = "correct-horse-battery", "staple-correct-horse"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with certificates of two authorities: one of ours, one of somebody else."""
    folder = tmp_path_factory.mktemp("closed")
    (folder / "modelyard.yaml").write_text(PROJECT)
    (folder / "closed_steps.py").write_text(STEPS)
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "infer").write_text(ASK)
    (secrets / "admin").write_text(RUN)
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(secrets / "clients.pem")
    for name, authority in (("server", ours), ("client", ours), ("stranger", theirs)):
        shown = authority.issue_cert("127.0.0.1" if name == "server" else f"{name}@example.org")
        shown.cert_chain_pems[0].write_to_path(secrets / f"{name}.pem")
        shown.private_key_pem.write_to_path(secrets / f"{name}.key")
    return folder


def modelyard(project: Path, *words: str) -> Any:
    """Run the command line in the project; return what it says as JSON."""
    command = [str(Path(sys.executable).with_name("modelyard")), *words, "--json"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def https(project: Path, shown: str = "", token: str = "") -> httpx.Client:
    """Return a client that trusts the endpoint, shows one of the certificates, and has a token."""
    context = ssl.create_default_context(cafile=str(project / "secrets/clients.pem"))
    if shown:
        context.load_cert_chain(project / f"secrets/{shown}.pem", project / f"secrets/{shown}.key")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(verify=context, headers=headers, timeout=30)


def rpc(project: Path, address: str, shown: str = "") -> InferenceServerClient:
    secrets = project / "secrets"
    pair = {"private_key": str(secrets / f"{shown}.key"), "certificate_chain": str(secrets / f"{shown}.pem")}
    return InferenceServerClient(
        address, ssl=True, root_certificates=str(secrets / "clients.pem"), **(pair if shown else {})
    )


@pytest.fixture(scope="module")
def endpoint(project: Path) -> Iterator[Any]:
    """Return the endpoint, as the command line deploys it."""
    yield modelyard(project, "deploy", "echo")
    modelyard(project, "undeploy", "echo")


@pytest.mark.slow
def test_only_who_has_certificate_token_and_role_is_answered(project: Path, endpoint: Any) -> None:
    url, state = endpoint["url"], project / ".modelyard"
    assert url.startswith("https://127.0.0.1:")
    for stranger in ("", "stranger"):
        with https(project, stranger, ASK) as client, pytest.raises(httpx.TransportError):
            client.post(url, json=1)
    load = f"{url}/v2/repository/models/echo/load"
    statuses = {}
    for role, token in (("none", ""), ("wrong", "wrong-horse-battery"), ("infer", ASK), ("admin", RUN)):
        with https(project, "client", token) as client:
            answers = [client.get(f"{url}/v2/health/ready"), client.post(url, json=[1])]
            answers += [client.post(load, json={}), client.get(f"{url}/metrics")]
            statuses[role] = [each.status_code for each in answers]
    assert statuses == {
        "none": [200, 401, 401, 401],
        "wrong": [200, 401, 401, 401],
        "infer": [200, 200, 403, 403],
        "admin": [200, 200, 404, 200],  # there is no model to be loaded
    }
    with https(project, "client", ASK) as client:
        assert client.post(url, json=[1]).json() == {"got": [1]}
    eventually(lambda: bool(status(state).metrics))
    assert httpx.get(f"{status(state).metrics}/metrics").status_code == 401


def status(state: Path) -> Status:
    found = read_json(EndpointFolder(state, "echo").status, Status)
    assert found is not None
    return found


@pytest.mark.slow
def test_calls_take_the_same_certificates_and_tokens(project: Path, endpoint: Any) -> None:
    address = read_endpoint(project / ".modelyard", "echo").grpc
    assert address == endpoint["grpc"]
    for stranger in ("", "stranger"):
        with rpc(project, address, stranger) as client, pytest.raises(InferenceServerException, match="UNAVAILABLE"):
            client.get_server_metadata(headers={"authorization": f"Bearer {ASK}"})
    with rpc(project, address, "client") as client:
        assert client.is_server_ready()
        assert client.get_server_metadata(headers={"authorization": f"Bearer {ASK}"}).name == "echo"
        with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
            client.get_server_metadata()
        with pytest.raises(InferenceServerException, match="PERMISSION_DENIED"):
            client.load_model("echo", headers={"authorization": f"Bearer {ASK}"})
        with pytest.raises(InferenceServerException, match="NOT_FOUND"):
            client.load_model("echo", headers={"authorization": f"Bearer {RUN}"})
