"""The operations on a real project with a real registry."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from probe_endpoint import processes
from probe_models import FEATURES, fitted

from modelyard.deploy import TargetNotFound, read_endpoint
from modelyard.deploy.deploy import deploy
from modelyard.deploy.undeploy import undeploy
from modelyard.graphs import Graph, GraphInvalid, ModelNotTrusted
from modelyard.operations import OperationContext
from modelyard.projects import GraphNotFound, open_project
from modelyard.serving.bundle import read_manifest
from modelyard.serving.resources import project_resources
from modelyard.tracking import AliasNotFound, ModelFacts, ModelNotFound, Registry, open_tracking

ROW = {"row": {"a": 2.0, "b": 0.0, "c": 0.0}}
REPOSITORY = Path(__file__).parents[2]


def open_registry(project: Path) -> Registry:
    opened = open_project(project)
    return open_tracking(opened.environment(), opened.name).registry


def late(url: str) -> Any:
    return httpx.post(url, json=ROW).json()["late"]


def deployed(endpoints: Path) -> list[Path]:
    """Return all files but the figures: a worker of an earlier test, which ends meanwhile, hands its own over."""
    return sorted(each for each in endpoints.rglob("[!.]*") if "figures" not in each.relative_to(endpoints).parts)


def test_the_champion_of_now_answers_until_the_next_deployment(
    context: OperationContext, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first = deploy(context, graph="delays")
    assert first.models == {"predict": "models:/delays/1"}
    assert (first.endpoint, first.changed, first.previous) == ("delays", True, None)
    assert late(first.url) is True
    again = deploy(context, graph="delays")
    assert msgspec.structs.replace(again, changed=True) == first
    assert again.changed is False
    assert [record.message for record in caplog.records if record.message.startswith("it ")] == [
        f"it answers at {first.url}",
        f"it answered before at {first.url}",
    ]

    opened = open_project(project)
    graph = opened.load_graph("delays")
    resources = project_resources(project)
    assert httpx.post(first.url, json=ROW).json() == graph.test(ROW, resources=resources)

    open_registry(project).set_alias("delays", "champion", 2, expected=1)
    assert late(first.url) is True
    second = deploy(context, graph="delays")
    assert (second.models, second.changed, second.previous) == ({"predict": "models:/delays/2"}, True, first.revision)
    assert late(second.url) is False
    other = deploy(context, graph="delays", models={"predict": "models:/delays/1"})
    assert (other.revision, other.previous) == (first.revision, second.revision)
    assert late(other.url) is True


def test_a_graph_in_an_ide_finds_the_models_of_its_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    graph = Graph("g")
    graph.model("m", "models:/delays/1")
    assert graph.test(ROW["row"])["label"] is True


def test_a_revision_says_where_it_is_from_and_changed_code_is_another(context: OperationContext, project: Path) -> None:
    first = deploy(context, graph="delays", endpoint="coded")
    state = project / ".modelyard"
    folder = state / "endpoints/coded/revisions" / first.revision
    manifest = read_manifest(folder)
    assert manifest.content == open_project(project).stamp.content
    assert (manifest.project, manifest.roots, manifest.models["predict"].reference) == (
        "probe",
        ("project",),
        first.models["predict"],
    )
    assert (folder / "project/probed_serving.py").read_text() == (project / "probed_serving.py").read_text()
    assert not (folder / "project/.modelyard").exists()
    module = project / "probed_serving.py"
    before = module.read_text()
    try:
        module.write_text(before.replace('"late"', '"is_late"'))
        second = deploy(context, graph="delays", endpoint="coded")
        assert (second.changed, second.previous) == (True, first.revision)
        assert "is_late" in httpx.post(second.url, json=ROW).json()
    finally:
        module.write_text(before)
    assert read_endpoint(state, "coded").history[-1].revision == second.revision
    removed = undeploy(context, endpoint="coded")
    assert (removed.endpoint, removed.removed) == ("coded", True)
    assert undeploy(context, endpoint="coded").removed is False
    assert processes(state / "endpoints/coded") == []
    assert not (state / "endpoints/coded").exists()


def test_a_bad_row_is_refused_with_its_reason(context: OperationContext) -> None:
    url = deploy(context, graph="delays").url
    answer = httpx.post(url, json={"row": {"a": 1.0, "b": "x", "c": 0}})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["type"], error["step"]) == ("FeatureWrong", "predict")
    assert error["message"] == "row 0: the feature 'b' must be a number, got 'x'"


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"graph": "delay"}, GraphNotFound, "Did you mean delays"),
        (
            {"graph": "number"},
            GraphInvalid,
            r"graph number: it is a value of type int\. Let it lead to a modelyard\.graphs\.Graph",
        ),
        ({"graph": "hidden"}, GraphInvalid, "step secret: the step cannot be found again in another process"),
        ({"graph": "delays", "models": {"predict": "models:/delays@champ"}}, AliasNotFound, "champion"),
        ({"graph": "delays", "models": {"predict": "models:/delay/1"}}, ModelNotFound, "delays"),
        ({"graph": "delays", "models": {"prdict": "models:/delays/1"}}, GraphInvalid, "there is no such model step"),
        ({"graph": "delays", "target": "lokal"}, TargetNotFound, "Did you mean local"),
        ({"graph": "delays", "endpoint": "a b"}, Exception, "an endpoint's name is made of"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_left(
    context: OperationContext, project: Path, parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    endpoints = project / ".modelyard/endpoints"
    before = deployed(endpoints)
    with pytest.raises(error, match=message) as caught:
        deploy(context, **parameters)
    assert "\n" not in str(caught.value)
    assert deployed(endpoints) == before


def test_a_model_that_nobody_registered_is_not_served(context: OperationContext, project: Path) -> None:
    opened = open_project(project)
    tracking = open_tracking(opened.environment(), opened.name)
    with tracking.start_run("train") as run:
        odd = fitted()
        odd.coef_ = odd.coef_ * 2
        logged = run.log_model(odd, facts=ModelFacts(FEATURES, ("double",) * 3, task="classification"))
    with pytest.raises(ModelNotTrusted, match="no digest of it is registered"):
        deploy(context, graph="delays", models={"predict": logged.uri})


@pytest.mark.slow
def test_an_endpoint_serves_where_only_the_serving_extra_is_installed(context: OperationContext, project: Path) -> None:
    venv = project / ".modelyard/venv"
    python = venv / "bin/python"
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(venv)], check=True)
    subprocess.run([*uv, "pip", "install", "-p", str(python), "-e", f"{REPOSITORY}[serving]"], check=True)
    absent = ("mlflow", "pandas", "airflow", "kfp", "pyarrow", "matplotlib")
    code = f"import json, importlib.util as u; print(json.dumps([n for n in {absent} if u.find_spec(n)]))"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    assert json.loads(found) == []

    (project / "modelyard.yaml").write_text(
        f"{(project / 'modelyard.yaml').read_text()}\n"
        f"environments: {{dev: {{}}, lean: {{deploy: {{target: local, python: {python}}}}}}}\n"
    )
    here = deploy(context, graph="delays", endpoint="here", models={"predict": "models:/delays/1"})
    lean = OperationContext(project=context.project, folder=context.folder, environment="lean")
    there = deploy(lean, graph="delays", endpoint="there", models={"predict": "models:/delays/1"}, timeout=120)
    answer = httpx.post(there.url, json=ROW)
    assert answer.status_code == 200
    assert answer.json()["late"] is True
    assert 0.9 < answer.json()["probability"] < 1
    assert here.revision != there.revision
    (worker,) = [each for each in processes(project, "serving") if "there" in " ".join(each.cmdline())]
    assert worker.cmdline()[0] == str(python)
    manifest = read_manifest(project / ".modelyard/endpoints/there/revisions" / there.revision)
    assert not any(line.startswith(("mlflow", "pandas", "pyarrow")) for line in manifest.requirements)
    maps = Path(f"/proc/{worker.pid}/maps").read_text()
    assert "/sklearn/" in maps
    assert str(venv) in maps
