"""What a component does in its pod: attach, cancel, refuse what would be lost, fill artifacts."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from act_component import act
from kfp import dsl
from kfp.dsl import executor_main  # noqa: F401 - what a container runs
from kfp_release import needs_local_runner

from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.processes import facts_of
from modelyard.operators.kfp import ComponentLibrary, Components, Embedded, Installed
from modelyard.operators.kfp.artifacts import write_artifacts
from modelyard.operators.kfp.carrying import carry
from modelyard.operators.kfp.errors import LibraryDiffers, StateNotShared, TargetNotReachable
from modelyard.operators.kfp.placement import check_placement
from modelyard.projects import open_project

CARRY = (
    "import json, sys; from modelyard.operators.kfp.carrying import carry; done = carry('act', json.loads(sys.argv[1]))"
)
Outputs = Callable[[str], dict[str, Any]]


def _carry(project: Path, traces: Path, **given: Any) -> tuple[Any, ...]:
    return carry("act", {"folder": str(traces), "project": str(project), "key": "kfp/1/act", **given})


def test_a_pod_that_takes_the_place_of_another_takes_its_result(project: Path, traces: Path) -> None:
    first = _carry(project, traces, rows=7)
    second = _carry(project, traces, rows=7)

    assert (
        first
        == second
        == (0, 1, "models:/m/1", 7, json.dumps({"turns": 0, "generation": 1, "model": "models:/m/1", "rows": 7}))
    )
    assert len(list(traces.glob("turn-*"))) == 1


def test_sigterm_ends_the_work_and_all_its_processes(project: Path, traces: Path) -> None:
    given = {"folder": str(traces), "behaviour": "wait", "project": str(project), "key": "kfp/1/act"}
    pod = subprocess.Popen([sys.executable, "-c", CARRY, json.dumps(given)])
    _wait_for(lambda: (traces / "worker").exists() and (traces / "worker").read_text() != "")
    processes = [int((traces / name).read_text()) for name in ("worker", "grandchild")]
    pod.send_signal(signal.SIGTERM)

    assert pod.wait(60) == 128 + signal.SIGTERM
    assert [_is_alive(each) for each in processes] == [False, False]


def test_a_retried_task_attaches_to_the_work_that_its_first_try_left_running(project: Path, traces: Path) -> None:
    code = f"{CARRY}; print(done[0])"
    given = json.dumps({"folder": str(traces), "behaviour": "wait", "project": str(project), "key": "kfp/1/act"})
    first = subprocess.Popen([sys.executable, "-c", code, given])
    _wait_for((traces / "worker").exists)
    first.kill()
    first.wait()
    second = subprocess.Popen([sys.executable, "-c", code, given], stdout=subprocess.PIPE, text=True)
    (traces / "go").touch()
    told, _ = second.communicate(timeout=120)

    assert told.splitlines()[-1] == "0"
    assert len(list(traces.glob("turn-*"))) == 1


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    facts = facts_of(pid)
    return facts is not None and facts.running


def test_another_version_of_the_library_is_refused(project: Path, traces: Path) -> None:
    with pytest.raises(LibraryDiffers, match=r"the pipeline was compiled with modelyard 9\.9, the pod has "):
        _carry(project, traces, library="9.9")


def test_state_in_the_pods_own_file_system_is_refused(
    project: Path, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) == "/")

    with pytest.raises(StateNotShared, match=r"the state of the environment dev lies in the pod's own file system: "):
        _carry(project, traces)
    assert list(traces.iterdir()) == []


def test_a_mounted_volume_and_a_server_are_accepted(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) in ("/", str(project)))

    check_placement("train", {}, open_project(project).environment())


@pytest.mark.parametrize("parameters", [{}, {"target": "local"}])
def test_deploying_to_the_pod_itself_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any]
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: True if str(path) == str(project) else str(path) == "/")

    with pytest.raises(TargetNotReachable, match="deploy to the target local would end with the pod"):
        check_placement("deploy", parameters, open_project(project).environment())


def test_models_datasets_and_metrics_become_artifacts_with_metadata(project: Path, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<h1>ä</h1>")
    (tmp_path / "report.curves.json").write_text(
        json.dumps(
            {"classes": ["no", "yes"], "confusion": [[3, 1], [0, 2]], "roc": [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]}
        )
    )
    artifacts = {
        "metrics_artifact": dsl.Metrics("metrics", str(tmp_path / "m")),
        "baseline_metrics_artifact": dsl.Metrics("baseline", str(tmp_path / "b")),
        "model_artifact": dsl.Model("model", str(tmp_path / "model")),
        "report_artifact": dsl.HTML("page", str(tmp_path / "page")),
        "classification_artifact": dsl.ClassificationMetrics("c", str(tmp_path / "c")),
        "summary_artifact": dsl.Markdown("summary", str(tmp_path / "summary")),
    }
    result = {
        "evaluation": "abc",
        "model": "models:/m/3",
        "baseline": None,
        "metrics": {"roc_auc": 0.75},
        "baseline_metrics": {},
        "rows": 6,
        "report": str(tmp_path / "report.html"),
    }
    write_artifacts(load_catalogue().spec("evaluate"), result, artifacts)

    assert artifacts["model_artifact"].uri == "models:/m/3"
    assert artifacts["model_artifact"].metadata == {
        "operation": "evaluate",
        "reference": "models:/m/3",
        "evaluation": "abc",
        "model": "models:/m/3",
        "rows": 6,
        "report": str(tmp_path / "report.html"),
    }
    assert artifacts["metrics_artifact"].metadata == {"roc_auc": 0.75}
    assert (tmp_path / "page").read_text() == "<h1>ä</h1>"
    assert artifacts["classification_artifact"].metadata["confusionMatrix"]["rows"] == [
        {"row": [3, 1]},
        {"row": [0, 2]},
    ]
    assert artifacts["classification_artifact"].metadata["confidenceMetrics"][0] == {
        "confidenceThreshold": 1.0,
        "recall": 0.0,
        "falsePositiveRate": 0.0,
    }
    assert "| model | `models:/m/3` | The exact model that was judged. |" in (tmp_path / "summary").read_text()


@needs_local_runner
def test_a_model_artifact_stands_for_its_reference(
    project: Path, traces: Path, local_runner: Path, outputs: Outputs
) -> None:
    library = ComponentLibrary(delivery=Installed(), project=str(project))

    @dsl.pipeline(name="artifacts")
    def artifacts() -> None:
        from door_component import door

        made = library.start(act, {"folder": str(traces), "rows": 3})
        library.start(door, {"text": "t", "model": made.outputs["model_artifact"]})

    artifacts()

    assert json.loads(outputs("door")["received"])["model"] == "models:/m/1"


def test_an_embedded_library_does_the_work_also_in_the_process_of_the_work(
    project: Path, local_runner: Path, outputs: Outputs
) -> None:
    (project / "places.py").write_text(
        "def where():\n    import modelyard.operations\n    return {'file': modelyard.operations.__file__}\n"
    )
    components = Components(delivery=Embedded(install=False), project=str(project))

    @dsl.pipeline(name="embedded")
    def embedded() -> None:
        components.call(function="places:where")

    embedded()
    place = outputs("call")["value"]["file"]

    assert place.endswith("modelyard/operations/__init__.py")
    assert place.startswith(tempfile.gettempdir()), "the installed library did it"
