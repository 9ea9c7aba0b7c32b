"""Conditions and loops of hand-written pipelines, in the one form that KFP's local runner and a cluster both take.

The local runner finds a condition's value, or a loop's list, only where it is a component's single output, and it
evaluates a condition as text: a quotation mark in a value makes it skip both branches, and the run still ends well.
"""

import json
from typing import Literal

from kfp.dsl import PipelineTask

from modelyard.operators.kfp.errors import SettingInvalid
from modelyard.operators.kfp.library import ComponentLibrary, Given
from modelyard.operators.kfp.variants import plain_component

__all__ = ["Operator", "holds", "items_of"]

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=")


def condition(result: str, path: str, operator: str, right: str) -> bool:
    """Compare a field of a result."""
    import json
    import operator as operators

    names = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
    left = json.loads(result)
    for key in path.split("."):
        left = left[int(key)] if isinstance(left, list) else left[key]
    return bool(getattr(operators, names[operator])(left, json.loads(right)))


def items(result: str, path: str) -> list[str]:
    """Take a list out of a result; what is no text goes as JSON text."""
    import json

    found = json.loads(result)
    for key in path.split("."):
        found = found[int(key)] if isinstance(found, list) else found[key]
    return [each if isinstance(each, str) else json.dumps(each) for each in found]


def holds(
    components: ComponentLibrary, result: Given[str], path: str, operator: Operator, right: str | float | bool
) -> PipelineTask:
    """Add a task that compares a field of a result; ``dsl.If`` takes its ``output == True``.

    Parameters
    ----------
    components
        What the pipeline is made of.
    result
        The output ``result`` of a task.
    path
        The field: ``rows``, or inside one ``metrics.roc_auc``.
    operator
        How to compare.
    right
        What to compare with.

    Raises
    ------
    SettingInvalid
        There is no such operator.
    """
    if operator not in _OPERATORS:
        raise SettingInvalid("operator", f"one of {', '.join(_OPERATORS)}", operator)
    made = plain_component(condition, components.delivery)
    task: PipelineTask = made(result=result, path=path, operator=operator, right=json.dumps(right))
    return task.set_caching_options(False)


def items_of(components: ComponentLibrary, result: Given[str], path: str) -> PipelineTask:
    """Add a task that takes a list out of a result; ``dsl.ParallelFor`` takes its ``output``, texts.

    What is no text goes as JSON text, which parameters that are not text take as well.

    Parameters
    ----------
    components
        What the pipeline is made of.
    result
        The output ``result`` of a task.
    path
        The field with the list, such as ``value.files``.
    """
    task: PipelineTask = plain_component(items, components.delivery)(result=result, path=path)
    return task.set_caching_options(False)
