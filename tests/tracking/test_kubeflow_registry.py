"""Kubeflow's Model Registry is told of versions as its published definition wants it: once, whatever interrupts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_model_registry import FakeModelRegistry, mismatch

from modelyard.errors import ErrorKind
from modelyard.projects import open_project
from modelyard.tracking.errors import MirrorInvalid, MirrorRefused, MirrorUnreachable
from modelyard.tracking.kubeflow_registry import KubeflowRegistry, mirror_of
from modelyard.tracking.references import ResolvedModel

MODEL = ResolvedModel(
    "models:/delays/3", "models:/delays/3", "s3://ml/models/3", name="delays", version=3, run_id="r1", digest="ab12"
)


@pytest.fixture
def registry() -> Iterator[FakeModelRegistry]:
    fake = FakeModelRegistry()
    yield fake
    fake.close()


def _text(value: str) -> dict[str, str]:
    return {"metadataType": "MetadataStringValue", "string_value": value}


def test_a_version_is_written_down_with_its_model_and_its_files(registry: FakeModelRegistry) -> None:
    api = KubeflowRegistry(endpoint=registry.endpoint)
    version = api.mirror(MODEL, description="nightly", tags={"modelyard.commit": "c0ffee", "empty": ""})

    assert version == "2"
    assert registry.kept == {
        "registered_model": [{"name": "delays", "state": "LIVE", "id": "1", "parent": ""}],
        "model_version": [
            {
                "name": "3",
                "registeredModelId": "1",
                "state": "LIVE",
                "description": "nightly",
                "customProperties": {
                    "modelyard.commit": _text("c0ffee"),
                    "modelyard.model": _text("models:/delays/3"),
                    "modelyard.digest": _text("ab12"),
                },
                "id": "2",
                "parent": "1",
            }
        ],
        "artifact": [
            {
                "artifactType": "model-artifact",
                "name": "delays-3",
                "uri": "s3://ml/models/3",
                "state": "LIVE",
                "modelFormatName": "mlflow",
                "modelSourceKind": "mlflow",
                "modelSourceClass": "model-version",
                "modelSourceName": "models:/delays/3",
                "modelSourceId": "r1",
                "id": "3",
                "parent": "2",
            }
        ],
    }


def test_to_do_it_again_changes_nothing_and_the_next_version_joins_the_same_model(registry: FakeModelRegistry) -> None:
    api = KubeflowRegistry(endpoint=registry.endpoint)
    first = api.mirror(MODEL)
    before = {kind: list(kept) for kind, kept in registry.kept.items()}

    assert api.mirror(MODEL) == first
    assert registry.kept == before
    other = ResolvedModel("models:/delays/4", "models:/delays/4", "s3://ml/models/4", name="delays", version=4)
    assert api.mirror(other) != first
    assert [each["registeredModelId"] for each in registry.kept["model_version"]] == ["1", "1"]


def test_what_an_interruption_left_out_is_added(registry: FakeModelRegistry) -> None:
    api = KubeflowRegistry(endpoint=registry.endpoint)
    registry.failing = {"POST /model_versions/{modelversionId}/artifacts": 503}
    with pytest.raises(MirrorRefused, match="answered POST /model_versions/2/artifacts with 503: not now") as caught:
        api.mirror(MODEL)
    assert caught.value.error_kind is ErrorKind.UNAVAILABLE
    assert registry.kept["artifact"] == []

    assert api.mirror(MODEL) == "2"
    assert [len(kept) for kept in registry.kept.values()] == [1, 1, 1]


def test_whoever_is_a_moment_late_finds_what_the_other_has_made(registry: FakeModelRegistry) -> None:
    registry.racing = True

    assert KubeflowRegistry(endpoint=registry.endpoint).mirror(MODEL) == "2"
    assert registry.asked.count("POST /registered_models") == 1
    assert registry.asked.count("GET /registered_model") == 2


def test_the_fake_refuses_what_the_definition_forbids() -> None:
    assert mismatch({"name": "a"}, "RegisteredModelCreate") == ""
    assert "'name' is a required property" in mismatch({}, "RegisteredModelCreate")
    assert "'aliases' was unexpected" in mismatch({"name": "a", "aliases": []}, "RegisteredModelCreate")
    assert mismatch({"name": "1", "registeredModelId": 7}, "ModelVersionCreate") != ""
    assert mismatch({"name": "a", "customProperties": {"k": "v"}}, "RegisteredModelCreate") != ""


@pytest.mark.parametrize(
    ("status", "kind"), [(401, ErrorKind.DENIED), (400, ErrorKind.INVALID), (500, ErrorKind.UNAVAILABLE)]
)
def test_a_refusal_has_the_kind_of_its_status(registry: FakeModelRegistry, status: int, kind: ErrorKind) -> None:
    registry.failing = {"GET /registered_model": status}
    with pytest.raises(MirrorRefused) as caught:
        KubeflowRegistry(endpoint=registry.endpoint).mirror(MODEL)

    assert caught.value.error_kind is kind
    assert ("MODELYARD_MODEL_REGISTRY_TOKEN" in str(caught.value)) is (status == 401)


def test_a_registry_that_is_not_there_is_named() -> None:
    with pytest.raises(MirrorUnreachable, match=r"Model Registry does not answer .*refused") as caught:
        KubeflowRegistry(endpoint="http://127.0.0.1:9").mirror(MODEL)
    assert caught.value.outcome.retry


def test_the_token_comes_from_the_variable_or_from_kubeflows_file(
    registry: FakeModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("of-the-file\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    KubeflowRegistry(endpoint=registry.endpoint).mirror(MODEL)
    monkeypatch.setenv("MODELYARD_MODEL_REGISTRY_TOKEN", "of-the-variable")
    KubeflowRegistry(endpoint=registry.endpoint).mirror(MODEL)

    assert list(dict.fromkeys(registry.authorizations)) == ["Bearer of-the-file", "Bearer of-the-variable"]
    assert "secret" not in repr(KubeflowRegistry(endpoint="http://x", token="secret"))


@pytest.mark.parametrize(("written", "endpoint"), [("", None), ("{model_registry: 'http://r'}", "http://r")])
def test_an_environment_names_it(tmp_path: Path, written: str, endpoint: str | None) -> None:
    section = f"environments: {{dev: {{kfp: {written}}}}}\n" if written else ""
    (tmp_path / "modelyard.yaml").write_text(f"name: flights\n{section}")
    found = mirror_of(open_project(tmp_path).environment("dev"))

    assert (found and found.endpoint) == endpoint


def test_an_environment_that_names_something_else_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "modelyard.yaml").write_text("name: flights\nenvironments: {dev: {kfp: {model_registry: 7}}}\n")

    with pytest.raises(
        MirrorInvalid, match=r"environments\.dev\.kfp\.model_registry: the model registry must be an address"
    ):
        mirror_of(open_project(tmp_path).environment("dev"))
