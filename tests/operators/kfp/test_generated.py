"""What holds for every generated component, for other distributions' too, and which environment needs what."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from kfp import dsl

import modelyard.operators.kfp as package
from modelyard.operations import OperationSpec
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.generation import component_source, operator_source
from modelyard.operations.generation.components import artifacts_of
from modelyard.operations.generation.source import module_name
from modelyard.operators.kfp import Components, Installed
from modelyard.operators.kfp.variants import component_for

SPECS = [spec for spec in load_catalogue().values() if spec.implementation.startswith("modelyard.")]


def _function(spec: OperationSpec) -> Any:
    name = module_name(spec.name)
    return getattr(__import__(f"modelyard.operators.kfp.{name}", fromlist=[name]), name)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_kfp_takes_it_with_every_parameter_output_and_artifact(spec: OperationSpec) -> None:
    component = component_for(_function(spec), (), Installed()).component_spec

    assert {each.name for each in spec.parameters} < set(component.inputs)
    assert set(component.outputs) == {
        *(each.name for each in spec.results),
        *(port.name for port in artifacts_of(spec)),
        "result",
    }
    assert component.outputs["summary_artifact"].type == "system.Markdown@0.0.1"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_there_is_a_method_with_the_declared_parameters(spec: OperationSpec) -> None:
    signature = inspect.signature(getattr(Components, module_name(spec.name)))
    ours = {name: each for name, each in signature.parameters.items() if name != "self"}

    assert set(ours) == {each.name for each in spec.parameters}
    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in ours.values())
    assert {name for name, each in ours.items() if each.default is inspect.Parameter.empty} == {
        each.name for each in spec.parameters if each.required
    }


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_task_can_be_defined_from_required_parameters_alone(spec: OperationSpec) -> None:
    values = {"integer": 1, "number": 1.0, "boolean": True, "list": [], "mapping": {}, "choice": None}
    required = {
        each.name: each.type.choices[0] if each.type.choices else values.get(each.type.kind, "x")
        for each in spec.parameters
        if each.required
    }
    components = Components(delivery=Installed(), project="/app")
    made: list[Any] = []

    @dsl.pipeline(name="defined")
    def defined() -> None:
        made.append(getattr(components, module_name(spec.name))(**required))

    assert sorted(made[0].outputs) == sorted(
        [*(each.name for each in spec.results), *(port.name for port in artifacts_of(spec)), "result"]
    )


def test_the_package_offers_what_it_says_and_suggests_nothing_else() -> None:
    assert dir(package) == sorted(package.__all__)
    assert [name for name in package.__all__ if getattr(package, name) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'Component'"):
        _ = package.Component
    assert get_type_hints(Components.train)["return"] is dsl.PipelineTask


def test_another_distribution_gets_operators_and_components_from_the_same_command(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("modelyard")), "generate", "--json", "--root", str(tmp_path)]
    command += ["--distribution", "door-probe", "--package", "probe.doors"]
    first, again = (
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(2)
    )
    catalogue = load_catalogue()

    assert sorted(each["path"] for each in first) == [
        f"probe/doors/{door}/{name}.py" for door in ("airflow", "kfp") for name in ("__init__", "act", "door")
    ]
    assert again == []
    for name in ("act", "door"):
        spec = catalogue.spec(name)
        assert (tmp_path / f"probe/doors/kfp/{name}.py").read_text() == component_source(spec)
        assert (tmp_path / f"probe/doors/airflow/{name}.py").read_text() == operator_source(spec)
    changed = tmp_path / "probe/doors/kfp/act.py"
    changed.write_text(f"{changed.read_text()}# by hand\n")
    checked = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode != 0


def test_a_distribution_without_operations_is_named(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("modelyard")), "generate", "--root", str(tmp_path)]
    ended = subprocess.run(
        [*command, "--distribution", "nothing", "--package", "a"], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 3
    assert "nothing" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_this_environment_has_no_airflow_and_needs_none() -> None:
    code = (
        "import importlib.util, sys; import modelyard.operators.kfp.components, modelyard.workflows.engines.kfp; "
        "print(importlib.util.find_spec('airflow'), *(each for each in ('airflow', 'mlflow') if each in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.split() == ["None"]


def test_the_package_and_what_runs_in_pods_are_light() -> None:
    code = (
        "import sys; import modelyard.operators.kfp, modelyard.operators.kfp.carrying, "
        "modelyard.operators.kfp.api, modelyard.operators.kfp.delivery, modelyard.operators.kfp.pods; "
        "print(*(each for each in ('kfp', 'kubernetes', 'mlflow', 'numpy') if each in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.split() == []
