"""What holds for every generated operator, in every DAG: defaults, mapping, serialization, light imports."""

import json
import subprocess
import sys
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

import modelyard.operators.airflow as operators
from modelyard.operations import OperationSpec
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.generation.source import class_name
from modelyard.operators.airflow.errors import ResultFieldUnknown

SPECS = [spec for spec in load_catalogue().values() if spec.implementation.startswith("modelyard.")]


def _operator(spec: OperationSpec) -> Any:
    return getattr(operators, class_name(spec.name, "Operator"))


def _required(spec: OperationSpec) -> dict[str, Any]:
    return {each.name: "{{ params.value }}" for each in spec.parameters if each.required}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_parameter_is_an_attribute_with_the_declared_default(spec: OperationSpec) -> None:
    task = _operator(spec)(task_id="any", **_required(spec))

    assert task.operation_name == spec.name
    for each in spec.parameters:
        given = getattr(task, each.name)
        default = list(given) if isinstance(given, tuple) else given
        assert default == ("{{ params.value }}" if each.required else each.default), each.name


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_it_survives_serialization_and_tells_no_objects(spec: OperationSpec) -> None:
    operator = _operator(spec)
    with DAG("serialized", schedule=None, default_args={"environment": "prod", "retries": 2}) as dag:
        first = operator(task_id="first", **_required(spec))
        second = operator.partial(task_id="second").expand_kwargs([_required(spec), _required(spec)])
        first >> second
    data = DagSerialization.to_dict(dag)
    DagSerialization.validate_schema(data)
    restored = DagSerialization.from_dict(json.loads(json.dumps(data)))
    task = restored.get_task("first")

    assert sorted(restored.task_ids) == ["first", "second"]
    assert task.downstream_task_ids == {"second"}
    assert set(task.template_fields) == set(first.template_fields)
    assert (task.environment, task.retries) == ("prod", 2)
    assert " object at 0x" not in json.dumps(data)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_missing_or_unknown_parameter_breaks_the_dag_file_at_once(spec: OperationSpec) -> None:
    operator = _operator(spec)

    with pytest.raises(TypeError, match=r"Invalid arguments were passed|unexpected keyword"):
        operator(task_id="any", **_required(spec), no_such_parameter=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'no_such_parameter'"):
        operator.partial(task_id="any", no_such_parameter=1)
    if _required(spec):
        with pytest.raises(TypeError, match="missing keyword argument"):
            operator(task_id="any")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_an_unknown_field_of_a_result_breaks_the_dag_file_at_once(spec: OperationSpec) -> None:
    task = _operator(spec)(task_id="any", **_required(spec))

    assert [task.output[each.name].key for each in spec.results] == [each.name for each in spec.results]
    assert task.output.key == "return_value"
    with pytest.raises(ResultFieldUnknown, match=rf"task any: the result of {spec.name} has no field 'modle'\. "):
        task.output["modle"]


def test_tasks_share_no_default() -> None:
    first, second = (operators.CallOperator(task_id=name, function="f") for name in ("first", "second"))
    first.parameters["changed"] = True

    assert second.parameters == {}


def test_the_package_offers_every_operator_and_suggests_nothing_else() -> None:
    assert set(operators.__all__) == {"OperationOperator", *(class_name(spec.name, "Operator") for spec in SPECS)}
    assert dir(operators) == sorted(operators.__all__)
    with pytest.raises(AttributeError, match="no attribute 'TrianOperator'"):
        _ = operators.TrianOperator


def test_a_dag_file_imports_nothing_that_does_the_work() -> None:
    light = {"airflow", "errors", "operations", "operators"}
    code = "import sys; from modelyard.operators.airflow import TrainOperator; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = result.stdout.split()

    assert {each.split(".")[1] for each in imported if each.startswith("modelyard.")} <= light
    assert {"git", "mlflow", "pyarrow", "modelyard.operators.airflow.call"} & set(imported) == set()


def test_this_environment_has_no_kfp_and_its_client_needs_none() -> None:
    code = (
        "import importlib.util, modelyard.operators.kfp.api as api, modelyard.operators.kfp as kfp; "
        "print(importlib.util.find_spec('kfp'), api.KfpApi(endpoint='kfp.example.com').endpoint)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.split() == ["None", "http://kfp.example.com"]
