"""The types of the keyword arguments are those of the Airflow that is installed, and no parameter clashes with one."""

import inspect

import pytest
from airflow.sdk import BaseOperator, BaseSensorOperator

from modelyard.operations import DeclarationInvalid
from modelyard.operations.reserved import COMMON_PARAMETERS, check_name
from modelyard.operators.airflow import OperationOperator
from modelyard.operators.airflow.arguments import OperationArguments, TaskArguments


def _parameters(operator: type[BaseOperator]) -> set[str]:
    parameters = inspect.signature(operator.__init__).parameters.values()
    return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}


def test_what_airflow_takes_is_typed() -> None:
    assert set(TaskArguments.__annotations__) == _parameters(BaseOperator)


def test_what_every_operator_adds_is_typed() -> None:
    own = set(OperationArguments.__annotations__) - set(TaskArguments.__annotations__)

    assert own == _parameters(OperationOperator)
    airflows_own_words = {"conn_id", "deferrable", "same_host", "wait_for_completion"}
    assert own - set(COMMON_PARAMETERS) == airflows_own_words


def _attributes() -> list[str]:
    """Return every name that a parameter's attribute or argument could take away from Airflow."""
    operator = OperationOperator(task_id="any")
    names = {*dir(operator), *vars(operator), *dir(BaseSensorOperator), *_parameters(BaseOperator)}
    return sorted({name for name in names if not name.startswith("_")})


@pytest.mark.parametrize("name", _attributes())
def test_no_parameter_can_take_the_name_of_an_operators_attribute(name: str) -> None:
    with pytest.raises(DeclarationInvalid, match=r"belongs to"):
        check_name(name, "any")
