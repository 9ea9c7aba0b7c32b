"""Workflows as KFP pipelines: what they compile to, what people type on KFP's pages, and how a run goes on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from fake_server import FakeServer
from google.protobuf import json_format
from kfp import components, local
from kfp.local import config
from kfp.pipeline_spec import pipeline_spec_pb2
from kfp_release import needs_local_runner
from workflow_contract import PROJECT, workflow_of

from modelyard.errors import ErrorKind, ErrorRecord, ForeignError
from modelyard.operators.kfp import Image, Installed
from modelyard.operators.kfp.api_errors import RunFailed
from modelyard.operators.kfp.errors import ImageNotPinned, ProjectNotReproducible, SettingInvalid
from modelyard.operators.kfp.sources import reproducible_project
from modelyard.projects import open_project
from modelyard.projects.dispatch import journal_of
from modelyard.workflows import (
    Failure,
    StepHandle,
    WorkflowInvalid,
    WorkflowOutcome,
    collect,
    each,
    steps,
    when,
    workflow,
)
from modelyard.workflows.engines import kfp_entry, kfp_run
from modelyard.workflows.engines.kfp import KfpEngine
from modelyard.workflows.engines.kfp_inputs import pipeline_arguments
from modelyard.workflows.engines.kfp_settings import settings_of
from modelyard.workflows.engines.kfp_submit import submission_of
from modelyard.workflows.engines.remote import Publication, RemoteRun, RunRequest

DIGEST = f"registry.example.com/ml/flights@sha256:{'0' * 64}"


def call(step: str, function: str, /, **parameters: Any) -> StepHandle:
    return steps(name=step).call(function=f"contract.functions:{function}", parameters=parameters)


@workflow
def everything(folder: str, number: int = 2**60, maybe: int | None = None, go: bool = True) -> None:
    """Use a step, a loop, a branch and an exit handler."""
    found = call("found", "several", count=2)
    with each(found.value["items"], parallel=3) as item:
        more = call("more", "plus", a=item)
    with when(go):
        steps(name="all", retries=2).call(function="contract.functions:same", parameters={"x": collect(more.value)})
    call("received", "same", number=number, maybe=maybe)
    steps(name="told", on_exit=True).call(function="contract.functions:same")


def _compiled(path: Path) -> dict[str, Any]:
    KfpEngine(delivery=Image(DIGEST), project="/app").compile(everything, path)
    pipeline: dict[str, Any] = yaml.safe_load(path.read_text())
    return pipeline


def test_it_compiles_the_same_every_time_to_what_the_published_protocol_reads(tmp_path: Path) -> None:
    pipeline = _compiled(tmp_path / "a.yaml")
    _compiled(tmp_path / "b.yaml")
    spec = json_format.ParseDict(pipeline, pipeline_spec_pb2.PipelineSpec())
    loaded = components.load_component_from_file(str(tmp_path / "a.yaml"))

    assert (tmp_path / "a.yaml").read_bytes() == (tmp_path / "b.yaml").read_bytes()
    assert spec.pipeline_info.name == "everything"
    assert set(loaded.component_spec.inputs) == {"folder", "number", "maybe", "go", "modelyard_exact"}
    images = {each["container"]["image"] for each in pipeline["deploymentSpec"]["executors"].values()}
    assert images == {DIGEST}


def test_steps_branches_and_loops_are_where_people_look_for_them(tmp_path: Path) -> None:
    pipeline = _compiled(tmp_path / "a.yaml")
    names = {name: component.get("dag", {}).get("tasks") for name, component in pipeline["components"].items()}
    body = names["comp-exit-handler-1"]

    assert sorted(pipeline["root"]["dag"]["tasks"]) == ["exit-handler-1", "workflow-finish"]
    assert {name: sorted(task.get("dependentTasks", ())) for name, task in body.items()} == {
        "workflow-begin": [],
        "found": ["workflow-begin"],
        "each-items": ["found"],
        "each": ["each-items"],
        "when-decides": ["each"],
        "when": ["when-decides"],
        "received": ["workflow-begin"],
    }
    (loop,) = names["comp-each"].values()
    assert loop["iteratorPolicy"] == {"parallelismLimit": 3}
    assert loop["parameterIterator"]["items"] == {"inputParameter": "pipelinechannel--items"}
    (branch,) = names["comp-when"].values()
    assert branch["triggerPolicy"]["condition"] == "inputs.parameter_values['pipelinechannel--taken'] == true"
    cached = [name for name, task in body.items() if task.get("cachingOptions", {}).get("enableCache")]
    assert cached == []


def test_what_kfp_would_bend_in_an_input_has_a_stand_in(tmp_path: Path) -> None:
    inputs = _compiled(tmp_path / "a.yaml")["root"]["inputDefinitions"]["parameters"]
    arguments = pipeline_arguments(everything, {"folder": "f", "number": 2**60 + 1, "maybe": 0})

    assert {name: each.get("defaultValue") for name, each in inputs.items()} == {
        "folder": None,
        "number": 0.0,
        "maybe": 0.0,
        "go": True,
        "modelyard_exact": f'{{"number": [0, {2**60}], "maybe": [0, null]}}',
    }
    assert arguments == {
        "folder": "f",
        "number": 0,
        "maybe": 0,
        "go": True,
        "modelyard_exact": f'{{"number": [0, {2**60 + 1}]}}',
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    import shutil

    ignored = shutil.ignore_patterns("__pycache__", ".modelyard")
    return Path(shutil.copytree(PROJECT, tmp_path / "project", ignore=ignored))


@pytest.fixture
def local_runner(tmp_path: Path) -> Iterator[None]:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "kfp"), raise_on_error=False)
    yield
    config.LocalExecutionConfig.instance = None


def _outcome(project: Path) -> WorkflowOutcome:
    (file,) = (open_project(project).environment().state / "workflows/kfp").glob("*/outcome.json")
    return msgspec.json.decode(file.read_bytes(), type=WorkflowOutcome)


@needs_local_runner
@pytest.mark.filterwarnings("ignore:Task .* have no effect in the current local runner")
def test_what_people_type_on_kfps_page_wins_over_the_stand_in(project: Path, local_runner: None) -> None:
    pipeline = KfpEngine(delivery=Installed(), project=str(project)).pipeline(everything)
    pipeline(folder="f", number=7, maybe=3, go=False)
    outcome = _outcome(project)

    assert outcome.results["received"] == {"value": {"number": 7, "maybe": 3}}
    assert outcome.states == {
        "found": "succeeded",
        "more[0]": "succeeded",
        "more[1]": "succeeded",
        "all": "skipped",
        "received": "succeeded",
        "told": "succeeded",
    }


def _place(project: Path) -> dict[str, str]:
    return {"project": str(project), "environment": "", "library": "", "run": "1", "position": "", "task": "7"}


def test_a_resumed_run_does_again_what_had_failed_and_a_replaced_pod_does_not(project: Path, tmp_path: Path) -> None:
    flow = workflow_of(project, "retried")
    flow = msgspec.structs.replace(flow, body=tuple(msgspec.structs.replace(step, retries=0) for step in flow.steps))
    place = _place(project)
    inputs = {"folder": str(tmp_path), "failures": 1}
    kfp_run.begin({**place, "exact": ""}, flow.encoded().decode(), inputs)
    tries = tmp_path / "notes"

    with pytest.raises(ForeignError, match="try 1 fails"):
        kfp_run.do_step(place, "tried")
    with pytest.raises(ForeignError, match="try 1 fails"):
        kfp_run.do_step(place, "tried")
    assert tries.read_text() == "try\n", "a pod that took the place of the first did the work again"

    resumed = {**place, "task": "8"}
    assert kfp_run.do_step(resumed, "tried") == ("succeeded", '{"value":{"tries":2}}')
    assert kfp_run.do_step(resumed, "tried") == ("succeeded", '{"value":{"tries":2}}')
    assert tries.read_text() == "try\ntry\n"


def test_a_step_whose_pod_vanished_is_lost_and_the_exit_handler_learns_of_it(project: Path, tmp_path: Path) -> None:
    notes = tmp_path / "folder"
    notes.mkdir()
    place = _place(project)
    flow = workflow_of(project, "handled")
    kfp_run.begin({**place, "exact": ""}, flow.encoded().decode(), {"folder": str(notes), "fails": False})
    outcome = json.loads(kfp_run.finish(place, "FAILED", "the node went away"))

    assert outcome["states"]["noted"] == "failed"
    assert outcome["failures"] == [
        {"step": "noted", "kind": "lost", "message": "noted: KFP ended it: the node went away."}
    ]
    assert outcome["results"]["told"]["value"]["state"] == "failed"


def test_pods_that_share_no_state_are_told_so(project: Path) -> None:
    with pytest.raises(Exception, match=r"nothing is known of the run kfp-1\. Let every pod see the same"):
        kfp_run.do_step(_place(project), "noted")


def test_an_input_that_does_not_fit_ends_the_run_before_any_step(project: Path) -> None:
    flow = workflow_of(project, "parameter_loop").encoded().decode()

    with pytest.raises(Exception, match=r'numbers\[1\]: must be a whole number, got "x"'):
        kfp_run.begin({**_place(project), "exact": ""}, flow, {"numbers": [1.0, "x"]})


def test_an_error_record_survives_the_state_location(tmp_path: Path) -> None:
    run = kfp_run.KfpRun(tmp_path, "kfp-1")
    record = ErrorRecord("ValueError", "user_code", "this is ä")  # type: ignore[arg-type]
    run.write_end("score[0][1]", kfp_run.StepEnd(error=record, task="7"))

    assert run.end("score[0][1]") == kfp_run.StepEnd(error=record, task="7")
    assert run.end("score[0][2]") is None


# --- sending a workflow to a server ----------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


def _git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def pushed(project: Path, tmp_path: Path) -> Path:
    """Return the project in a repository whose commit is on a remote."""
    _git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    _git(project, "init", "--quiet", "--initial-branch=main")
    _git(project, "add", ".")
    _git(project, "commit", "--quiet", "-m", "all")
    _git(project, "remote", "add", "origin", str(tmp_path / "remote.git"))
    _git(project, "push", "--quiet", "origin", "main")
    return project


def test_a_workflow_is_sent_with_the_commit_that_pods_fetch(pushed: Path, server: FakeServer, tmp_path: Path) -> None:
    file = pushed / "modelyard.yaml"
    file.write_text(
        f"{file.read_text()}\nenvironments:\n  prod:\n    state: /state/contract\n    kfp:\n"
        f"      endpoint: {server.endpoint}\n      experiment: contract\n      image: {DIGEST}\n"
        "      volumes: {/state: ml-state}\n      secrets: {TOKEN: mlflow/token}\n      service_account: ml\n"
    )
    _git(pushed, "commit", "--quiet", "-am", "prod")
    _git(pushed, "push", "--quiet", "origin", "main")
    opened = open_project(pushed)
    submission = submission_of(opened, workflow_of(pushed, "chain"), opened.environment("prod"))
    run = submission.follow(submission.start({"start": 2**53 + 1}), pause=0.001)
    body = next(asked[3] for asked in server.asked if asked[:2] == ("POST", "/runs"))
    text = json.dumps(body["pipeline_spec"])

    assert server.refusals == []
    assert run.state == "succeeded"
    assert body["runtime_config"]["parameters"] == {
        "start": 0,
        "modelyard_exact": f'{{"start": [0, {2**53 + 1}]}}',
    }
    assert (body["display_name"], body["experiment_id"], body["service_account"]) == ("chain", "experiment-1", "ml")
    assert f"git+file://{tmp_path / 'remote.git'}@{opened.stamp.commit}" in text
    assert DIGEST in text
    assert '"claimName"' in text or '"constant": "ml-state"' in text


@pytest.fixture
def prod(pushed: Path, server: FakeServer) -> Path:
    """Return the pushed project with an environment that names the server."""
    file = pushed / "modelyard.yaml"
    file.write_text(
        f"{file.read_text()}\nenvironments:\n  prod:\n    kfp: {{endpoint: '{server.endpoint}', image: '{DIGEST}'}}\n"
    )
    _git(pushed, "commit", "--quiet", "-am", "prod")
    _git(pushed, "push", "--quiet", "origin", "main")
    return pushed


def test_the_command_line_sends_a_workflow_and_follows_it(prod: Path, server: FakeServer) -> None:
    server.states = ["SUCCEEDED"]
    command = [str(Path(sys.executable).with_name("modelyard")), "run", "contract.flows:chain", "--engine", "kfp"]
    ended = subprocess.run(
        [*command, "--project", str(prod), "--param", "start=5", "--key", "tonight", "--follow", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    body = next(asked[3] for asked in server.asked if asked[:2] == ("POST", "/runs"))

    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told == {
        "workflow_run": "run-1",
        "steps": {},
        "results": {},
        "url": f"{server.endpoint}/#/runs/details/run-1",
    }
    assert body["display_name"] == "contract chain tonight"
    assert body["runtime_config"]["parameters"] == {"start": 5, "modelyard_exact": ""}
    assert server.refusals == []


def _request(project: Path, **changes: Any) -> RunRequest:
    flow = workflow_of(project, "chain")
    told = {"workflow": flow, "name": "chain", "inputs": flow.bind({}), "project": str(project)}
    return RunRequest(**{**told, "project_name": "contract", "workflow_run": "tonight", **changes})


def test_a_run_is_attached_to_and_a_failed_one_goes_on(prod: Path, server: FakeServer) -> None:
    server.scripts = [["RUNNING"], ["SUCCEEDED"]]
    first = kfp_entry.submit(_request(prod))
    assert first == RemoteRun(run="run-1", url=f"{server.endpoint}/#/runs/details/run-1")
    assert kfp_entry.submit(_request(prod)) == first

    server.runs["run-1"]["states"] = ["FAILED"]
    with pytest.raises(RunFailed, match="run-1: the run is failed: a task failed"):
        submission_of(open_project(prod), _request(prod).workflow, open_project(prod).environment()).follow("run-1")
    kfp_entry.submit(_request(prod))
    server.runs["run-1"]["states"] = ["SUCCEEDED"]
    kfp_entry.submit(_request(prod))
    kfp_entry.submit(_request(prod, workflow_run="another"))

    posts = [path for verb, path, *_ in server.asked if verb == "POST"]
    assert posts == ["/runs", "/runs/run-1:retry", "/runs"]
    assert server.refusals == []


def test_where_the_state_is_seen_the_outcome_is_that_of_any_engine(prod: Path, server: FakeServer) -> None:
    state = open_project(prod).environment().open_state()
    left = WorkflowOutcome({"one": "succeeded"}, {"one": {"value": {"sum": 2**60}}})
    kfp_run.KfpRun(state, "kfp-run-1").write_outcome(left)
    server.states = ["SUCCEEDED"]
    assert kfp_entry.submit(_request(prod, follow=True)).outcome == left

    failure = Failure("one", ErrorKind.USER_CODE, "one is told to fail")
    left = WorkflowOutcome({"one": "failed"}, {}, (failure,))
    kfp_run.KfpRun(state, "kfp-run-2").write_outcome(left)
    server.states = ["FAILED"]
    assert kfp_entry.submit(_request(prod, follow=True, workflow_run="other")).outcome == left

    server.states = ["FAILED"]
    with pytest.raises(RunFailed, match="run-3"):
        kfp_entry.submit(_request(prod, follow=True, workflow_run="unseen"))


def test_what_kfp_says_of_the_steps_is_told_while_it_runs(
    prod: Path, server: FakeServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(run_id: str) -> dict[str, Any]:
        state = server._states(run_id).pop(0)
        tasks = {
            "RUNNING": {"one": "SUCCEEDED", "two": "RUNNING"},
            "SUCCEEDED": dict.fromkeys(("one", "two", "three"), "SUCCEEDED"),
        }
        details = [
            {"display_name": name, "state": phase}
            for name, phase in {"workflow-begin": "SUCCEEDED", **tasks[state]}.items()
        ]
        return {"run_id": run_id, "state": state, "run_details": {"task_details": details}}

    monkeypatch.setattr(server, "_run", run)
    monkeypatch.setattr("modelyard.operators.kfp.api.time.sleep", lambda seconds: None)
    server.states = ["RUNNING", "SUCCEEDED"]
    with caplog.at_level("INFO", "modelyard.workflows"):
        left = kfp_entry.submit(_request(prod, follow=True)).outcome

    assert left == WorkflowOutcome(dict.fromkeys(("one", "two", "three"), "succeeded"), {})
    lines = [record.getMessage() for record in caplog.records if record.name == "modelyard.workflows"]
    assert lines == ["one: succeeded", "two: succeeded", "three: succeeded"]


def test_a_version_is_published_and_its_schedule_takes_the_place_of_the_one_before(
    prod: Path, server: FakeServer
) -> None:
    page = f"{server.endpoint}/#/pipelines/details/pipeline-1/version/pipeline-1"
    first = kfp_entry.publish(_request(prod), "v1", "")
    assert first == Publication(name="contract-chain", version="v1", url=f"{page}-v1")
    second = kfp_entry.publish(_request(prod, inputs={"start": 5}), "v2", "0 0 3 * * *")
    assert (second.url, second.schedule, second.replaced) == (f"{page}-v2", "schedule-1", ())
    command = [str(Path(sys.executable).with_name("modelyard")), "workflows", "publish", "contract.flows:chain"]
    words = ["--json", "--project", str(prod), "--version", "v3", "--schedule", "0 0 4 * * *", "--param", "start=6"]
    ended = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "name": "contract-chain",
        "version": "v3",
        "url": f"{page}-v3",
        "schedule": "schedule-2",
        "replaced": ["schedule-1"],
    }

    assert {name: each["status"] for name, each in server.schedules.items()} == {
        "schedule-1": "DISABLED",
        "schedule-2": "ENABLED",
    }
    bodies = [body for verb, path, _, body in server.asked if (verb, path) == ("POST", "/recurringruns")]
    assert [body["runtime_config"]["parameters"]["start"] for body in bodies] == [5, 6]
    assert bodies[0]["pipeline_version_reference"] == {
        "pipeline_id": "pipeline-1",
        "pipeline_version_id": "pipeline-1-v2",
    }
    assert [path for verb, path, *_ in server.asked if verb == "POST"].count("/pipelines") == 1


def test_a_cluster_kept_in_git_gets_a_workflow_as_objects(prod: Path) -> None:
    text = kfp_entry.as_pipeline(_request(prod, environment="prod"), {"version": "v3"})
    pipeline, version = yaml.safe_load_all(text)

    assert (pipeline["kind"], pipeline["metadata"]) == ("Pipeline", {"name": "contract-chain", "namespace": "kubeflow"})
    assert (version["kind"], version["metadata"]["name"]) == ("PipelineVersion", "contract-chain-v3")
    assert version["spec"]["pipelineName"] == "contract-chain"
    spec = json_format.ParseDict(version["spec"]["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())
    assert spec.pipeline_info.name == "chain"
    with pytest.raises(WorkflowInvalid, match=r"--option: there is no option 'verison'\. Did you mean version\?"):
        kfp_entry.as_pipeline(_request(prod), {"verison": "v3"})


def test_a_step_runs_where_it_says(project: Path) -> None:
    flow = workflow_of(project, "single")
    for run, launcher in (("1", ""), ("2", "inline")):
        place = {**_place(project), "run": run}
        changed = tuple(msgspec.structs.replace(step, launcher=launcher) for step in flow.steps)
        kfp_run.begin({**place, "exact": ""}, msgspec.structs.replace(flow, body=changed).encoded().decode(), {})
        kfp_run.do_step(place, "only")
    journal = journal_of(project)
    handles = [
        journal.job(record).handle()
        for record in journal.records()
        if record.key.endswith(("kfp-1/only", "kfp-2/only"))
    ]

    assert sorted(each.launcher for each in handles if each) == ["inline", "process"]


def test_changes_and_unpushed_commits_are_refused(pushed: Path) -> None:
    clean = reproducible_project(pushed)
    (pushed / "new.py").write_text("")
    with pytest.raises(ProjectNotReproducible, match="the project has changes that are in no commit"):
        reproducible_project(pushed)
    _git(pushed, "add", ".")
    _git(pushed, "commit", "--quiet", "-m", "new")
    with pytest.raises(ProjectNotReproducible, match=r"is on no branch of .*remote\.git\. Push it\."):
        reproducible_project(pushed)
    _git(pushed, "push", "--quiet", "origin", "main")

    assert reproducible_project(pushed) not in ("", clean)


def test_a_project_without_a_repository_is_refused(project: Path) -> None:
    with pytest.raises(ProjectNotReproducible, match="the project is in no git repository with a remote named origin"):
        reproducible_project(project)


@pytest.mark.parametrize(
    ("section", "error", "words"),
    [
        ({"imgae": DIGEST}, SettingInvalid, r"environments\.prod\.kfp: .* Did you mean image\?"),
        (
            {"volumes": ["a"]},
            SettingInvalid,
            r"environments\.prod\.kfp\.volumes: must be as described \(expected `object`",
        ),
        ({"secrets": {"A": "token"}}, SettingInvalid, r"kfp\.secrets\.A: must be secret/key, got 'token'"),
        ({"image": "flights:v1"}, ImageNotPinned, "the image must be named by its digest"),
    ],
)
def test_settings_that_break_a_rule_are_named(section: dict[str, Any], error: type[Exception], words: str) -> None:
    def read() -> None:
        settings = settings_of("prod", section)
        _ = (settings.delivery, settings.pod)

    with pytest.raises(error, match=words):
        read()
