"""What goes in at a component is what the operation receives: every type, and every value that KFP would bend."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from door_cases import CASES, DEFAULTS, as_received
from door_component import door
from kfp import dsl
from kfp.local.config import LocalExecutionConfig
from kfp_release import needs_local_runner

from modelyard.operations import ParameterInvalid, ParameterMissing, ParameterUnknown
from modelyard.operators.kfp import ComponentLibrary, Installed
from modelyard.operators.kfp.errors import SettingInvalid

Outputs = Callable[[str], dict[str, Any]]

MARKED = {**CASES, "a mark of kfp's in a mapping": {"text": "t", "settings": {"note": "{{$.inputs}}", "none": None}}}
"""All cases, and one that would be a template elsewhere."""


def _library(project: Path) -> ComponentLibrary:
    return ComponentLibrary(delivery=Installed(), project=str(project))


@needs_local_runner
def test_constants_arrive_as_they_are(project: Path, local_runner: Path, outputs: Outputs) -> None:
    library = _library(project)

    @dsl.pipeline(name="constants")
    def constants() -> None:
        for parameters in MARKED.values():
            library.start(door, parameters)

    constants()
    tasks = ["door", *(f"door-{number}" for number in range(2, len(MARKED) + 1))]

    assert {case: outputs(task)["received"] for case, task in zip(MARKED, tasks, strict=True)} == {
        case: as_received(case, MARKED) for case in MARKED
    }


@needs_local_runner
def test_parameters_of_the_pipeline_arrive_as_they_are(project: Path, local_runner: Path, outputs: Outputs) -> None:
    library = _library(project)

    @dsl.pipeline(name="parameters")
    def parameters(
        text: str = "",
        count: int = 0,
        ratio: float = 0.0,
        flag: bool = False,
        names: list = [],  # noqa: B006
        settings: dict = {},  # noqa: B006
    ) -> None:
        library.start(
            door,
            {
                "text": text,
                "count": count,
                "ratio": ratio,
                "flag": flag,
                "names": names,
                "settings": settings,
                "limits": {"share": ratio},
                "maybe_count": count,
                "table": [[count, 2], []],
                "anything": {"all": [text, count, ratio, flag, names, settings]},
            },
        )

    text = "ä \"q\" \\ 's' {x}\n"
    parameters(text=text, count=7, ratio=2.0, flag=True, names=["a", '"'], settings={"depth": 7, "share": 0.5})

    assert json.loads(outputs("door-with-*")["received"]) == {
        **DEFAULTS,
        "text": text,
        "count": 7,
        "ratio": 2.0,
        "flag": True,
        "names": ["a", '"'],
        "settings": {"depth": 7, "share": 0.5},
        "limits": {"share": 2.0},
        "maybe_count": 7,
        "table": [[7, 2], []],
        "anything": {"all": [text, 7, 2, True, ["a", '"'], {"depth": 7, "share": 0.5}]},
    }
    assert '"count": 7,' in outputs("door-with-*")["received"], "a whole number has become a float"


@needs_local_runner
def test_results_of_other_tasks_arrive_whatever_is_in_them(project: Path, local_runner: Path, outputs: Outputs) -> None:
    library = _library(project)
    odd = CASES["odd"]

    @dsl.pipeline(name="results")
    def results() -> None:
        first = library.start(door, odd)
        library.start(
            door,
            {
                "text": first.outputs["received"],
                "names": [first.outputs["received"], "b"],
                "settings": {"deep": [{"circumstances": first.outputs["circumstances"]}]},
                "anything": first.outputs["circumstances"],
                "maybe_text": first.outputs["nothing"],
            },
        )

    results()
    first, second = outputs("door"), json.loads(outputs("door-with-*")["received"])
    told = json.loads(first["result"])["circumstances"]

    assert second == {
        **DEFAULTS,
        "text": first["received"],
        "names": [first["received"], "b"],
        "settings": {"deep": [{"circumstances": told}]},
        "anything": told,
        "maybe_text": "",
    }
    assert isinstance(second["anything"]["attempt"], int)
    assert (first["nothing"], json.loads(first["result"])["nothing"]) == ("", None)


@pytest.mark.parametrize(
    ("given", "error", "rule"),
    [
        ({"count": "seven"}, ParameterInvalid, 'count: must be a whole number, got "seven".'),
        ({"choice": "three"}, ParameterInvalid, 'choice: must be one of one, two, got "three".'),
        ({"limits": {"auc": "high"}}, ParameterInvalid, 'limits.auc: must be a number, got "high".'),
        ({"conut": 1}, ParameterUnknown, "conut: door has no parameter 'conut'. Did you mean count?"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_pipeline_is_defined(
    project: Path, given: dict[str, Any], error: type[Exception], rule: str
) -> None:
    library = _library(project)

    with pytest.raises(error) as caught:
        _compiled(lambda: library.start(door, {"text": "", **given}))

    assert str(caught.value) == rule


def test_a_missing_parameter_is_named(project: Path) -> None:
    with pytest.raises(ParameterMissing, match=r"^text: door needs text: "):
        _compiled(lambda: _library(project).start(door, {}))


def test_a_task_is_no_value(project: Path) -> None:
    library = _library(project)

    with pytest.raises(SettingInvalid) as caught:
        _compiled(lambda: library.start(door, {"text": library.start(door, {"text": ""})}))

    assert str(caught.value) == "text: must be a value or an output of a task, as task.outputs[…], got 'the task door'."


def _compiled(body: Callable[[], Any]) -> Any:
    @dsl.pipeline(name="refused")
    def refused() -> None:
        body()

    return refused


@needs_local_runner
def test_a_path_in_the_workspace_of_a_run_arrives_as_it_is_in_the_pod(
    project: Path, local_runner: Path, outputs: Outputs
) -> None:
    library = _library(project)
    workspace = dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi"))

    @dsl.pipeline(name="spacious", pipeline_config=workspace)
    def spacious() -> None:
        library.start(door, {"text": f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/rows.csv"})

    instance: Any = LocalExecutionConfig.instance
    spacious()
    assert json.loads(outputs("door")["received"])["text"] == f"{instance.workspace_root}/rows.csv"


@pytest.mark.parametrize(
    "given", [{"settings": {"path": [dsl.WORKSPACE_PATH_PLACEHOLDER]}}, {"names": [dsl.WORKSPACE_PATH_PLACEHOLDER]}]
)
def test_a_path_in_the_workspace_is_refused_where_it_would_not_be_filled_in(
    project: Path, given: dict[str, Any]
) -> None:
    (name,) = given

    def body() -> None:
        with pytest.raises(SettingInvalid, match=f"{name}: must be text where it names the workspace"):
            _library(project).start(door, {"text": "", **given})
        _library(project).start(door, {"text": ""})

    dsl.pipeline(name="refusing")(body)
