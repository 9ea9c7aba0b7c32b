"""What goes in at a door is what the operation receives: every type, and every value that is easily bent."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow_home import PYTHON, Runs, needs_main_environment
from door_cases import CASES, DEFAULTS, as_received
from door_operator import DoorOperator

from modelyard.operations import ParameterInvalid

pytestmark = needs_main_environment


def _task(case: str) -> str:
    return case.replace(" ", "_")


def test_the_operator_hands_over_what_the_dag_file_says(runs: Runs, project: Path) -> None:
    with DAG("doors_literal", schedule=None, default_args={"project": str(project)}) as dag:
        for case, parameters in CASES.items():
            DoorOperator(task_id=_task(case), **parameters)
    run = runs.run(dag)

    assert {case: runs.xcom(run, _task(case), "received") for case in CASES} == {
        case: as_received(case) for case in CASES
    }


def test_the_operator_reads_what_templates_render_as_text(runs: Runs, project: Path) -> None:
    templates = {
        "text": "{{ params.text }}",
        "dataset": "{{ dag.dag_id }}.csv",
        "count": " {{ params.count }}",
        "ratio": "{{ params.ratio }}0",
        "flag": "{{ params.flag | string | lower }}",
        "choice": "t{{ 'w' }}o",
        "names": "{{ params.names | tojson }}",
        "table": [["{{ 1 }}"], "[2, {{ 3 }}]"],
        "settings": {"day": "{{ ds }}", "both": "{{ 1 }}{{ 2 }}"},
        "limits": {"auc": "{{ params.ratio }} "},
        "maybe_count": "{% if false %}1{% endif %}",
        "maybe_names": ["{{ params.text }}"],
    }
    with DAG("doors_templates", schedule=None, params=PARAMS) as dag:
        DoorOperator(task_id="door", project=str(project), **templates)
    run = runs.run(dag)

    assert json.loads(runs.xcom(run, "door", "received")) == {
        **DEFAULTS,
        "text": "ä",
        "dataset": "doors_templates.csv",
        "count": 2**40,
        "ratio": 0.125,
        "flag": True,
        "choice": "two",
        "names": ["a", "ä"],
        "table": [[1], [2, 3]],
        "limits": {"auc": 0.125},
        "settings": {"day": run.logical_date.date().isoformat(), "both": "12"},
        "maybe_names": ["ä"],
    }


PARAMS = {"text": "ä", "count": 2**40, "ratio": 0.125, "flag": True, "names": ["a", "ä"], "digits": "007", "none": None}


def test_an_expression_alone_keeps_its_type_where_no_text_is_taken(runs: Runs, project: Path) -> None:
    templates = {
        "text": "{{ params.count }}",
        "dataset": "{{ params.digits }}",
        "count": "{{- params.count -}}",
        "flag": "{{ params.flag }}",
        "names": "{{ params.names }}",
        "table": ["{{ [1, 2] }}"],
        "settings": {
            "count": "{{ params.count }}",
            "digits": "{{ params.digits }}",
            "flag": "{{ params.flag }}",
            "names": "{{ params.names }}",
            "none": "{{ params.none }}",
            "deep": [{"ratio": "{{ params.ratio }}"}],
            "day": "{{ logical_date }}",
        },
        "maybe_text": "{{ params.none }}",
        "maybe_count": "{{ params.none }}",
        "anything": "{{ params.names[0] }}",
    }
    with DAG("doors_expressions", schedule=None, params=PARAMS) as dag:
        DoorOperator(task_id="door", project=str(project), **templates)
    run = runs.run(dag)

    assert json.loads(runs.xcom(run, "door", "received")) == {
        **DEFAULTS,
        "text": str(2**40),
        "dataset": "007",
        "count": 2**40,
        "flag": True,
        "names": ["a", "ä"],
        "table": [[1, 2]],
        "settings": {
            "count": 2**40,
            "digits": "007",
            "flag": True,
            "names": ["a", "ä"],
            "none": None,
            "deep": [{"ratio": 0.125}],
            "day": str(run.logical_date),
        },
        "anything": "a",
    }


def test_native_rendering_keeps_types_and_leaves_plain_text_alone(runs: Runs, project: Path) -> None:
    with DAG(
        "doors_native", schedule=None, render_template_as_native_obj=True, params={"depth": 7, "names": ["1", "b"]}
    ) as dag:
        DoorOperator(
            task_id="door",
            project=str(project),
            text="2024",
            names="{{ params.names }}",
            settings={"depth": "{{ params.depth }}"},
            anything="{{ params.names }}",
        )
    received = json.loads(runs.xcom(runs.run(dag), "door", "received"))

    assert received == {
        **DEFAULTS,
        "text": "2024",
        "names": ["1", "b"],
        "settings": {"depth": 7},
        "anything": ["1", "b"],
    }


def test_the_command_line_hands_over_what_its_flags_say(project: Path, tmp_path: Path) -> None:
    received = {}
    for case, parameters in CASES.items():
        result = tmp_path / "result.json"
        subprocess.run(
            [PYTHON, "-m", "modelyard.cli", "door", "--project", project, "--result-file", result, *_flags(parameters)],
            check=True,
            capture_output=True,
        )
        received[case] = json.loads(result.read_text())["result"]["received"]

    assert received == {case: as_received(case) for case in CASES}


def _flags(parameters: dict[str, Any]) -> list[str]:
    """Return the flags for parameters: JSON for what has structure, no flag for nothing."""
    flags = []
    for name, value in parameters.items():
        if value is None:
            continue
        text = value if isinstance(value, str) and name != "anything" else json.dumps(value)
        flags += [f"--{name.replace('_', '-')}", text]
    return flags


@pytest.mark.parametrize(
    ("parameter", "value", "rule"),
    [
        ("count", "seven", 'count: must be a whole number, got "seven".'),
        ("count", 1.5, "count: must be a whole number, got 1.5."),
        ("flag", "maybe", 'flag: must be true or false, got "maybe".'),
        ("choice", "three", 'choice: must be one of one, two, got "three".'),
        ("names", "not json", 'names: must be a list of text, got "not json".'),
        ("limits", {"auc": "high"}, 'limits.auc: must be a number, got "high".'),
        ("count", None, "count: must be a whole number, got null."),
    ],
)
def test_what_is_written_out_and_does_not_fit_is_refused_while_the_dag_file_is_read(
    parameter: str, value: Any, rule: str
) -> None:
    with DAG("doors_refused", schedule=None), pytest.raises(ParameterInvalid) as raised:
        DoorOperator(task_id="door", **{"text": "", parameter: value})
    assert str(raised.value) == rule


def test_what_a_run_fills_in_is_refused_before_anything_starts(runs: Runs, project: Path) -> None:
    errors: dict[str, str] = {}

    def note(context: Any) -> None:
        errors[context["ti"].task_id] = str(context["exception"])

    common: dict[str, Any] = {"project": str(project), "text": "", "retries": 3, "on_failure_callback": note}
    with DAG("doors_refused", schedule=None, params={"count": "seven"}) as dag:
        DoorOperator(task_id="filled", count="{{ params.count }}", **common)
        DoorOperator.partial(task_id="mapped", **common).expand(count=[1.5])
    run = runs.run(dag)

    assert set(runs.states(run).values()) == {"failed"}
    assert runs.tries(run) == {"filled": 1, "mapped": 1}
    assert errors == {
        "filled": 'count: must be a whole number, got "seven".',
        "mapped": "count: must be a whole number, got 1.5.",
    }
    assert not (project / ".modelyard").exists()
