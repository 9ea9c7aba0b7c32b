from pathlib import Path

import pytest

from modelyard.deploy import EndpointNameInvalid, EndpointNotFound, list_endpoints, read_endpoint, tail_log
from modelyard.deploy.local.records import Deployed, EndpointFolder, PastRevision, ServingSettings, write_json
from modelyard.graphs import GraphSpec
from modelyard.serving.bundle import BundledModel, Manifest, write_manifest


def record(state: Path, name: str) -> str:
    """Write down an endpoint whose supervisor is gone; return its revision."""
    folder = EndpointFolder(state, name)
    model = BundledModel("models:/delays/3", "0" * 64, "models/m")
    manifest = Manifest(GraphSpec("delays", ()), {"m": model}, "c", (), "flights", provenance={"commit": "abc"})
    (folder.revisions / manifest.revision).mkdir(parents=True)
    write_manifest(folder.revisions / manifest.revision, manifest)
    history = (PastRevision(manifest.revision, 5.0),)
    write_json(folder.deployed, Deployed(manifest.revision, None, 8080, 5.0, ServingSettings("/python"), history))
    folder.log.parent.mkdir()
    folder.log.write_text("one\ntwo\nthree\n")
    return manifest.revision


def test_endpoints_are_listed_by_name_with_what_is_known(tmp_path: Path) -> None:
    assert list_endpoints(tmp_path) == []
    revision = record(tmp_path, "delays")
    record(tmp_path, "alpha")
    EndpointFolder(tmp_path, "unfinished").revisions.mkdir(parents=True)
    assert [each.name for each in list_endpoints(tmp_path)] == ["alpha", "delays"]
    known = read_endpoint(tmp_path, "delays")
    assert (known.state, known.url, known.graph, known.project) == (
        "stopped",
        "http://127.0.0.1:8080",
        "delays",
        "flights",
    )
    assert (known.revision, known.previous, known.models) == (revision, None, {"m": "models:/delays/3"})
    assert (known.provenance, known.supervisor, known.workers, known.metrics) == ({"commit": "abc"}, 0, (), "")
    assert tail_log(tmp_path, "delays", 2) == ["two", "three"]


def test_an_unknown_endpoint_is_said_with_the_nearest(tmp_path: Path) -> None:
    record(tmp_path, "delays")
    for look in (read_endpoint, tail_log):
        with pytest.raises(EndpointNotFound, match=r"there is no endpoint 'delay'\. Did you mean delays\?"):
            look(tmp_path, "delay")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 64])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EndpointNameInvalid, match="letters, digits, - and _"):
        read_endpoint(tmp_path, name)


def test_the_address_is_one_that_leads_there() -> None:
    def url(host: str) -> str:
        return Deployed("r", None, 80, 0, ServingSettings("/python", host=host)).url

    assert url("0.0.0.0") == "http://127.0.0.1:80"
    assert url("::") == "http://[::1]:80"
    assert url("10.0.0.1") == "http://10.0.0.1:80"
