"""Who may ask for what, over every protocol, and what those who may not are told."""

import json
import ssl
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import trustme
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from modelyard.graphs import Graph
from modelyard.serving import CertificateInvalid, TokensInvalid
from modelyard.serving.access import Access, AccessRules
from modelyard.serving.local import LocalServer
from modelyard.serving.tls import Certificates

ASK, RUN = "correct-horse-battery", "staple-correct-horse"


def echo() -> Graph:
    graph = Graph("echo")
    graph.to(lambda body: body, name="echo")
    return graph


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    access = Access({"infer": [ASK], "admin": [f"# the one\nsha256:{sha256(RUN.encode()).hexdigest()}\n"]})
    with LocalServer(echo().open(), access=access, grpc_port=0) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("POST", "/", "", 401),
        ("POST", "/", "something-else-entirely", 401),
        ("POST", "/", ASK, 200),
        ("POST", "/", RUN, 200),
        ("GET", "/v2", "", 401),
        ("GET", "/v2/models/echo", ASK, 200),
        ("GET", "/v2/health/ready", "", 200),
        ("GET", "/v2/health/live", "", 200),
        ("POST", "/v2/models/echo/infer", "", 401),
        ("POST", "/v2/repository/index", ASK, 200),
        ("GET", "/metrics", ASK, 403),
        ("GET", "/metrics", RUN, 200),
        ("GET", "/v2/statistics", "", 401),
        ("GET", "/v2//statistics", ASK, 403),
        ("POST", "/v2/repository/models/echo/load", ASK, 403),
        ("POST", "/v2//repository/models/echo/load", ASK, 403),
        ("POST", "/v2/repository/models/echo/load", RUN, 404),
    ],
)
def test_each_request_takes_its_role(server: LocalServer, method: str, path: str, token: str, status: int) -> None:
    headers = bearer(token) if token else {}
    answer = httpx.request(method, f"{server.url}{path}", headers=headers, json={} if method == "POST" else None)
    assert answer.status_code == status


def test_what_those_are_told_who_may_not(server: LocalServer) -> None:
    told = httpx.post(server.url, json=1)
    assert told.headers["www-authenticate"] == 'Bearer realm="modelyard"'
    assert told.json()["error"] == {
        "type": "TokenMissing",
        "kind": "denied",
        "message": "this takes a token with the role infer",
        "mend": "Send the header Authorization: Bearer TOKEN.",
        "facts": {"role": "infer"},
    }
    told = httpx.post(server.url, json=1, headers=bearer("x" * 20))
    assert told.headers["www-authenticate"] == 'Bearer realm="modelyard", error="invalid_token"'
    told = httpx.get(f"{server.url}/metrics", headers=bearer(ASK))
    assert told.headers["www-authenticate"] == 'Bearer realm="modelyard", error="insufficient_scope", scope="admin"'
    assert httpx.post(server.url, json=1, headers={"authorization": f"Basic {ASK}"}).status_code == 401


def test_web_sockets_take_a_token(server: LocalServer) -> None:
    url = server.url.replace("http", "ws")
    with pytest.raises(InvalidStatus) as refused:
        connect(url)
    assert (refused.value.response.status_code, json.loads(refused.value.response.body or b"")["error"]["type"]) == (
        401,
        "TokenMissing",
    )
    with connect(url, additional_headers=bearer(ASK)) as socket:
        socket.send("[1]")
        assert socket.recv() == "[1]"


def infer(client: InferenceServerClient, token: str) -> Any:
    tensor = InferInput("x", [1, 1], "FP64")
    tensor.set_data_from_numpy(np.ones((1, 1)))
    return client.infer("echo", [tensor], headers=bearer(token) if token else {})


def test_calls_over_grpc_take_the_same_tokens(server: LocalServer) -> None:
    client = InferenceServerClient(server.grpc_address)
    assert client.is_server_ready()
    assert infer(client, ASK).get_response().model_name == "echo"
    for token in ("", "x" * 20):
        with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
            infer(client, token)
    with pytest.raises(InferenceServerException, match=r"PERMISSION_DENIED.*the role infer; this takes admin"):
        client.load_model("echo", headers=bearer(ASK))
    with pytest.raises(InferenceServerException, match="NOT_FOUND"):
        client.load_model("echo", headers=bearer(RUN))
    with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
        client.get_server_metadata()
    client.close()


def test_a_browser_of_another_site_gets_no_leave(server: LocalServer) -> None:
    headers = {"origin": "https://example.com", "access-control-request-method": "POST"}
    answer = httpx.options(server.url, headers=headers)
    assert answer.status_code == 401
    answer = httpx.post(server.url, json=1, headers={"origin": "https://example.com", **bearer(ASK)})
    assert [name for name in answer.headers if name.startswith("access-control")] == []


def test_tokens_come_from_secrets_and_files(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# of the nightly job\n{ASK}\n\n{RUN}\n")
    rules = AccessRules(infer=("ASKERS", str(file)), admin=("ADMINS",))
    access = Access.of(rules, {"ASKERS": "a-third-token-here", "ADMINS_FILE": str(file)})
    assert access is not None
    for token in (ASK, RUN, "a-third-token-here"):
        access.check("infer", f"bearer {token}")
    assert Access.of(AccessRules()) is None


@pytest.mark.parametrize(
    ("rules", "rule"),
    [
        (AccessRules(infer=("NOBODY",)), "access, NOBODY: neither the variable NOBODY nor NOBODY_FILE is set"),
        (AccessRules(admin=("./missing",)), "the file ./missing cannot be read: No such file or directory"),
        (AccessRules(infer=("SHORT",)), "a token has at least 16 characters, not 5"),
        (AccessRules(infer=("EMPTY",)), "access, infer: there is no token"),
        (AccessRules(infer=("HASH",)), "a hash is sha256: and 64 hexadecimal digits in lower case"),
    ],
)
def test_sources_that_hold_no_tokens_are_refused(rules: AccessRules, rule: str) -> None:
    with pytest.raises(TokensInvalid, match=rule):
        Access.of(rules, {"SHORT": "abcde", "EMPTY": "# nothing\n", "HASH": "sha256:12"})


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificates(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    own = authority.issue_cert("localhost", "127.0.0.1")
    own.cert_chain_pems[0].write_to_path(folder / "server.pem")
    own.private_key_pem.write_to_path(folder / "server.key")
    authority.cert_pem.write_to_path(folder / "clients.pem")
    client = authority.issue_cert("client@example.com")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    return Certificates(*(str(folder / name) for name in ("server.pem", "server.key", "clients.pem")))


def trusting(authority: trustme.CA, client: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if client:
        context.load_cert_chain(client)
    return context


def test_both_ports_are_encrypted(authority: trustme.CA, certificates: Certificates) -> None:
    plain = Certificates(certificates.certificate, certificates.key)
    with LocalServer(echo().open(), certificates=plain, grpc_port=0) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert httpx.post(server.url, json=[1], verify=trusting(authority)).json() == [1]
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.post(server.url, json=[1])
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            httpx.post(server.url.replace("https", "http"), json=[1])
        client = InferenceServerClient(server.grpc_address, ssl=True, root_certificates=certificates.clients)
        assert infer(client, "").get_response().model_name == "echo"
        client.close()


def test_clients_show_certificates_where_they_are_asked_for(authority: trustme.CA, certificates: Certificates) -> None:
    pem = str(Path(certificates.clients).with_name("client.pem"))
    with LocalServer(echo().open(), certificates=certificates, grpc_port=0) as server:
        assert httpx.post(server.url, json=[1], verify=trusting(authority, pem)).json() == [1]
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            httpx.post(server.url, json=[1], verify=trusting(authority))
        root, own = Path(certificates.clients).read_bytes(), Path(pem).read_bytes()
        for pair, served in (((own, own), True), ((None, None), False)):
            credentials = grpc.ssl_channel_credentials(root, *pair)
            with grpc.secure_channel(server.grpc_address, credentials) as channel:
                ready = grpc.channel_ready_future(channel)
                if served:
                    ready.result(timeout=60)
                else:
                    with pytest.raises(grpc.FutureTimeoutError):
                        ready.result(timeout=1)


def test_certificates_that_cannot_be_used_are_named(certificates: Certificates) -> None:
    with pytest.raises(CertificateInvalid, match=r"missing.pem.*No such file or directory"):
        Certificates("missing.pem", certificates.key).context()
    with pytest.raises(CertificateInvalid, match=r"clients.pem"):
        Certificates(certificates.clients, certificates.key).credentials()
