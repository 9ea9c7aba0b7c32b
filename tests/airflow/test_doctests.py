"""The examples in the docstrings of what needs Airflow."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import modelyard.airflow
import modelyard.airflow.ui
import modelyard.operators.airflow
import modelyard.workflows.engines.airflow

MODULES = [
    each.name
    for package in (
        modelyard.airflow,
        modelyard.airflow.ui,
        modelyard.operators.airflow,
        modelyard.workflows.engines.airflow,
    )
    for each in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module: str) -> None:
    assert doctest.testmod(import_module(module)).failed == 0
