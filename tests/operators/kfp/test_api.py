"""The client asks a server only what the published definition of its API allows, and maps every state."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_server import FakeServer
from kfp import dsl
from kfp.compiler import Compiler
from kfp_server_api import V2beta1RuntimeState

from modelyard.errors import ErrorKind
from modelyard.operations import RunState
from modelyard.operators.kfp import Components, Image, PodSettings
from modelyard.operators.kfp.api import KfpApi, PipelineRun, pipeline_document
from modelyard.operators.kfp.api_errors import ApiRefused, ApiUnreachable, RunFailed, StateUnknown, VersionNotFound
from modelyard.operators.kfp.pipeline_runs import STATES
from modelyard.operators.kfp.run_watch import RunWatch


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pod = PodSettings(volumes={"/state": "ml-state"})
    components = Components(delivery=Image(f"flights@sha256:{'0' * 64}"), project="/app", pod=pod)

    @dsl.pipeline(name="nightly")
    def nightly(month: int = 7) -> None:
        components.call(function="prepare", parameters={"month": month})

    file = tmp_path_factory.mktemp("compiled") / "nightly.yaml"
    Compiler().compile(nightly, str(file))
    return file


def test_a_pipeline_is_uploaded_once_and_then_versions_of_it(server: FakeServer, package: Path) -> None:
    api = KfpApi(endpoint=server.endpoint, namespace="ml")
    first = api.upload_pipeline(package, "flights nightly", description="Every night.")
    again = api.upload_pipeline(package, "flights nightly")
    version = api.upload_version(package, first, "v2")

    assert (first, again, version) == ("pipeline-1", "pipeline-1", "pipeline-1-v2")
    assert [asked[:2] for asked in server.asked] == [
        ("GET", "/pipelines/names/flights nightly"),
        ("POST", "/pipelines/upload"),
        ("GET", "/pipelines/names/flights nightly"),
        ("POST", "/pipelines/upload_version"),
    ]
    assert server.asked[1][2:] == (
        {"name": "flights nightly", "description": "Every night.", "namespace": "ml"},
        "nightly",
    )
    assert server.asked[3][2:] == ({"name": "v2", "pipelineid": "pipeline-1"}, "nightly")


def test_a_run_is_started_followed_and_told_of(server: FakeServer, package: Path) -> None:
    api = KfpApi(endpoint=server.endpoint)
    run_id = api.start_run(
        "tonight",
        pipeline_document(package),
        arguments={"month": 8},
        experiment=api.experiment("flights"),
        service_account="ml-runner",
        pipeline_root="s3://ml/kfp",
    )
    seen: list[PipelineRun] = []
    ended = api.follow(run_id, seen.append, pause=0.001)
    body = server.asked[-4][3]

    assert {name: body[name] for name in body if name != "pipeline_spec"} == {
        "display_name": "tonight",
        "runtime_config": {"parameters": {"month": 8}, "pipeline_root": "s3://ml/kfp"},
        "experiment_id": "experiment-1",
        "service_account": "ml-runner",
    }
    assert body["pipeline_spec"]["pipeline_spec"]["pipelineInfo"]["name"] == "nightly"
    assert "kubernetes" in body["pipeline_spec"]["platform_spec"]["platforms"]
    assert [each.state for each in seen] == [RunState.QUEUED, RunState.RUNNING, RunState.SUCCEEDED]
    assert ended == PipelineRun("run-1", RunState.SUCCEEDED, "", {"train": "SUCCEEDED"}, "SUCCEEDED")


def test_a_schedule_names_a_version(server: FakeServer) -> None:
    api = KfpApi(endpoint=server.endpoint, namespace="ml")
    what = {"pipeline_id": "pipeline-1", "pipeline_version_id": "v2"}

    assert api.schedule("nightly", what, "0 0 3 * * *", arguments={"month": 8}) == "schedule-1"
    assert server.asked[0][3] == {
        "display_name": "nightly",
        "pipeline_version_reference": what,
        "runtime_config": {"parameters": {"month": 8}},
        "trigger": {"cron_schedule": {"cron": "0 0 3 * * *"}},
        "max_concurrency": "1",
        "no_catchup": True,
        "mode": "ENABLE",
        "namespace": "ml",
    }


def test_an_experiment_is_found_on_a_later_page_or_made(server: FakeServer) -> None:
    server.experiments = {"a": "experiment-a", "b": "experiment-b", "c": "experiment-c"}
    api = KfpApi(endpoint=server.endpoint)

    assert (api.experiment("c"), api.experiment("new")) == ("experiment-c", "experiment-4")


def test_a_run_is_found_by_its_name_the_newest_first(server: FakeServer, package: Path) -> None:
    api = KfpApi(endpoint=server.endpoint, namespace="ml")
    server.scripts = [["FAILED"], ["RUNNING"], ["RUNNING"]]
    for name in ("tonight", "tonight", "another"):
        api.start_run(name, pipeline_document(package))

    found = api.find_run("tonight")
    assert found is not None
    assert (found.run_id, found.state) == ("run-2", RunState.RUNNING)
    assert api.find_run("nobody") is None
    assert server.refusals == []
    assert api.page("run-2") == f"{server.endpoint}/#/runs/details/run-2"


def test_a_version_is_found_by_its_name_and_the_newest_without_one(server: FakeServer) -> None:
    made = [{"pipeline_version_id": f"id-{name}", "display_name": name, "pipeline_spec": {}} for name in ("v2", "v1")]
    server.versions = {"pipeline-1": made}
    api = KfpApi(endpoint=server.endpoint)

    assert api.find_version("pipeline-1") == ("id-v2", {})
    assert api.find_version("pipeline-1", "v1") == ("id-v1", {})
    with pytest.raises(VersionNotFound, match=r"pipeline-1: the pipeline has no version 'v3'\. Known: v1, v2\."):
        api.find_version("pipeline-1", "v3")


def test_a_server_that_is_away_for_a_moment_fails_nobody(server: FakeServer) -> None:
    api = KfpApi(endpoint=server.endpoint)
    server.away = 3

    assert api.follow("run-1", pause=0.001).state is RunState.SUCCEEDED
    server.away = 3
    with pytest.raises(ApiRefused, match="answered GET /runs/run-1 with 503: away") as caught:
        api.follow("run-1", pause=0.001, patience=0)
    assert caught.value.error_kind is ErrorKind.UNAVAILABLE


def test_patience_counts_from_the_last_answer(server: FakeServer) -> None:
    now = [0.0]
    server.states = ["RUNNING"]
    watch = RunWatch(KfpApi(endpoint=server.endpoint), "run-1", patience=10, clock=lambda: now[0])
    for time, away in ((0, 1), (9, 1), (9.5, 0), (11, 1), (20, 1)):
        now[0], server.away = time, away
        assert (watch.look() is None) is bool(away), time
    now[0], server.away = 21, 1
    with pytest.raises(ApiRefused):
        watch.look()


def test_a_failed_run_raises_what_the_server_says(server: FakeServer) -> None:
    server.states = ["RUNNING", "FAILED"]

    with pytest.raises(RunFailed) as caught:
        KfpApi(endpoint=server.endpoint).follow("run-1", pause=0.001)
    expected = "run-1: the run is failed: a task failed. The logs of its tasks are on KFP's page of the run."
    assert str(caught.value) == expected
    assert caught.value.error_kind is ErrorKind.USER_CODE


def test_a_terminated_run_is_cancelled(server: FakeServer) -> None:
    api = KfpApi(endpoint=server.endpoint)
    api.terminate("run-1")

    with pytest.raises(RunFailed, match="the run is cancelled") as caught:
        api.follow("run-1", pause=0.001)
    assert caught.value.error_kind is ErrorKind.CANCELLED


def test_every_state_of_the_definition_is_mapped_and_another_is_an_error(server: FakeServer) -> None:
    assert set(STATES) == set(V2beta1RuntimeState.allowable_values)
    server.states = ["MELTED"]

    with pytest.raises(StateUnknown, match="the server says that the run is 'MELTED'"):
        KfpApi(endpoint=server.endpoint).follow("run-1")


def test_what_the_definition_does_not_allow_is_refused_and_said(server: FakeServer) -> None:
    api = KfpApi(endpoint=server.endpoint)

    with pytest.raises(ApiRefused) as caught:
        api._ask("POST", "/runs", {}, {"display_name": "x", "parameters": {}})
    assert caught.value.error_kind is ErrorKind.INVALID
    assert caught.value.what == "the KFP server answered POST /runs with 400: V2beta1Run has no field parameters"


def test_the_token_of_a_file_is_read_anew_each_time(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    api = KfpApi(endpoint=server.endpoint)
    for token in ("one\n", "two\n"):
        file.write_text(token)
        api.run("run-1")
    KfpApi(endpoint=server.endpoint, token="mine").run("run-1")

    assert server.authorizations == ["Bearer one", "Bearer two", "Bearer mine"]
    assert "mine" not in repr(KfpApi(endpoint=server.endpoint, token="mine"))


def test_a_server_that_is_not_there_is_an_error_that_says_how_to_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    with pytest.raises(ApiUnreachable, match="no address is given, and KF_PIPELINES_ENDPOINT is not set"):
        KfpApi()
    with pytest.raises(ApiUnreachable, match="Connection refused"):
        KfpApi(endpoint="127.0.0.1:9").run("run-1")


def test_the_client_needs_no_kfp() -> None:
    code = (
        "import sys; from modelyard.operators.kfp.api import KfpApi; "
        "print(*sorted({each.partition('.')[0] for each in sys.modules} & {'kfp', 'kubernetes', 'requests'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == ""
