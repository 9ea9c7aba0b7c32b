"""@task.modelyard: values in and out, errors that point into the DAG file, mapping, and what is refused at once."""

import functools
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow_home import PYTHON, Runs, needs_main_environment
from asset_runs import all_events, events

from modelyard.airflow.assets import features_asset
from modelyard.operators.airflow.arguments import LauncherName
from modelyard.operators.airflow.decorators import modelyard_task
from modelyard.operators.airflow.function_errors import FunctionNotContained, FunctionUnreadable

OUTSIDE = 3


def _dag(name: str, project: Path, **more: Any) -> DAG:
    return DAG(name, schedule=None, default_args={"project": str(project)}, **more)


@needs_main_environment
def test_values_go_in_and_out_and_the_work_is_elsewhere(runs: Runs, project: Path) -> None:
    (project / "months.py").write_text("NAMES = {7: 'july'}\n")
    with _dag("decorated", project) as dag:

        @task.modelyard
        def process() -> dict[str, Any]:
            import os
            import sys

            from months import NAMES  # type: ignore[import-not-found]

            return {"pid": os.getpid(), "python": sys.executable, "airflow": "airflow" in sys.modules, "name": NAMES[7]}

        @task.modelyard
        def back(one: Any, *more: Any, named: Any = None, ds: str | None = None, params: Any = None) -> list[Any]:
            # Comments and blank lines do not matter.

            return [one, list(more), named, ds, params]

        @task
        def given() -> dict[str, Any]:
            return {"deep": {"ä": [[], None, True, 2**53, 1.5, "😀"]}}

        first = process()
        back(given(), first["name"], "{{ 'x' * 2 }}", named={"n": 1})

        @task.modelyard
        def nothing() -> None:
            return None

        nothing()
    dag.params["month"] = 7
    run = runs.run(dag)
    whole = runs.xcom(run, "process")

    assert set(runs.states(run).values()) == {"success"}
    assert {name: whole[name] for name in ("python", "airflow", "name")} == {
        "python": PYTHON,
        "airflow": False,
        "name": "july",
    }
    assert whole["pid"] != os.getpid()
    assert runs.xcom(run, "process", "name") == "july"
    assert runs.xcom(run, "back") == [
        {"deep": {"ä": [[], None, True, 2**53, 1.5, "😀"]}},
        ["july", "xx"],
        {"n": 1},
        str(run.logical_date.date()),
        {"month": 7},
    ]


@needs_main_environment
@pytest.mark.parametrize("launcher", ["process", "inline"])
def test_a_mapped_function_runs_for_each_item(runs: Runs, project: Path, launcher: LauncherName) -> None:
    with _dag(f"maps_{launcher}", project) as dag:

        @task.modelyard(launcher=launcher, outlets=[features_asset("squares")])
        def square(number: int, plus: int) -> int:
            return number * number + plus

        @task
        def total(numbers: Any) -> list[int]:
            return list(numbers)

        total(square.partial(plus=1).expand(number=[2, 3]))

        @task.modelyard(launcher=launcher, outlets=[features_asset("named")])
        def named() -> dict[str, Any]:
            return {"metrics": 5, "key": "hidden"}

        named()
    run = runs.run(dag)

    assert runs.xcom(run, "total") == [5, 10]
    squares = [extra["value"] for uri, extra in all_events(run) if uri == "modelyard://features/squares"]
    assert sorted(squares) == [5, 10]
    assert events(run)["modelyard://features/named"]["metrics"] == 5
    assert events(run)["modelyard://features/named"]["key"] == f"maps_{launcher}/{run.run_id}/named"


@needs_main_environment
def test_an_error_points_to_the_line_of_the_dag_file(
    runs: Runs, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    errors: list[str] = []
    with _dag("decorated_fails", project) as dag:

        @task.modelyard(retries=2, on_failure_callback=lambda context: errors.append(str(context["exception"])))
        def fails(number: int) -> float:
            return 1 / number  # the line

        fails(0)
    line = Path(__file__).read_text().splitlines().index("            return 1 / number  # the line") + 1
    run = runs.run(dag)

    assert runs.states(run) == {"fails": "failed"}
    assert runs.tries(run) == {"fails": 1}
    assert len(errors) == 1
    assert "fails" in errors[0]
    assert f"test_decorators.py:{line}" in errors[0]
    assert "division by zero" in errors[0]
    told = capfd.readouterr().out
    assert f'{Path(__file__).name}", line {line}, in fails' in told
    assert "return 1 / number  # the line" in told


@needs_main_environment
def test_what_is_no_json_is_refused_on_both_sides(runs: Runs, project: Path) -> None:
    errors: dict[str, str] = {}

    def note(context: Any) -> None:
        errors[context["ti"].task_id] = str(context["exception"])

    with _dag("no_json", project) as dag:

        @task.modelyard(on_failure_callback=note)
        def takes(value: Any) -> Any:
            return value

        @task.modelyard(on_failure_callback=note)
        def returns() -> Any:
            return object()

        takes(object)
        returns()
    run = runs.run(dag)

    assert runs.states(run) == {"takes": "failed", "returns": "failed"}
    assert errors["takes"] == 'value: must be of JSON values, got "type".'
    assert "must be of JSON values" in errors["returns"]


@needs_main_environment
def test_single_values_of_numeric_libraries_are_plain_numbers_on_both_sides(runs: Runs, project: Path) -> None:
    class Scalar:
        """As NumPy's: Airflow itself may be without it."""

        shape = ()

        def item(self) -> float:
            return 0.5

    with _dag("numeric", project) as dag:

        @task.modelyard
        def doubled(number: float, several: Any) -> dict[str, Any]:
            import numpy as np

            exact = [np.int64(2**40), np.bool_(True), np.float32(number)]
            return {"double": np.float64(number * 2), "exact": exact, "several": several}

        doubled(Scalar(), [Scalar(), {"deep": Scalar()}])
    run = runs.run(dag)

    assert runs.xcom(run, "doubled") == {"double": 1.0, "exact": [2**40, True, 0.5], "several": [0.5, {"deep": 0.5}]}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (len, "len"),
        (dict, "dict"),
        (3, "3"),
        (functools.partial(max, 1), "functools.partial(<built-in function max>, 1)"),
    ],
)
def test_what_is_no_function_in_python_is_refused_where_it_is_decorated(given: Any, name: str) -> None:
    for decorator in (modelyard_task, modelyard_task(launcher="inline")):
        with pytest.raises(FunctionUnreadable) as raised:
            decorator(given)
        assert str(raised.value) == (
            f"task {name}: {name} cannot run from its source: it is no function that is written in Python. "
            "Write it with def, in a file."
        )


def test_names_from_outside_are_refused_while_the_dag_file_is_read(project: Path) -> None:
    inside = 4

    @modelyard_task
    def outer() -> int:
        return OUTSIDE + inside + len([os.sep for _ in range(2)])

    with _dag("refuses", project), pytest.raises(FunctionNotContained) as raised:
        outer()

    assert "outer uses OUTSIDE, inside, os from outside of itself" in str(raised.value)
    assert "test_decorators.py:" in str(raised.value)


def test_annotations_decorators_nested_functions_and_attributes_are_no_names_from_outside(project: Path) -> None:
    with _dag("accepts", project) as dag:

        @modelyard_task
        def fine(path: Path, *rest: "DAG") -> "list[Runs]":
            import pathlib

            found: Path = path

            def inner(value: Any) -> Any:
                return value.OUTSIDE if rest else pathlib.os

            return [inner(each) for each in (found, *rest)]

        fine(path="x")

    assert list(dag.task_dict) == ["fine"]


def test_what_has_no_source_is_refused(project: Path) -> None:
    made = eval("lambda: 1")
    made.__name__ = "made"
    with _dag("no_source", project), pytest.raises(FunctionUnreadable, match="made cannot run from its source"):
        modelyard_task(made)()
