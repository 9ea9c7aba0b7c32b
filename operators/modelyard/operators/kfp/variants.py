"""Makes KFP components of generated functions, with as many more inputs as a task needs."""

import inspect
import linecache
from collections.abc import Callable
from functools import cache
from typing import Any

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from modelyard.operators.kfp.delivery import Delivery
from modelyard.operators.kfp.errors import NotAComponent, SettingInvalid

__all__ = ["component_for", "prefixed"]

_PYTHON = {"String": "str", "Integer": "int", "Float": "float", "Boolean": "bool", "List": "list", "Dict": "dict"}
_EMPTY = {"str": '""', "int": "0", "float": "0.0", "bool": "False", "list": "[]", "dict": "{}"}
_PLACE = '    project: str = "",\n'


@cache
def component_for(function: Callable[..., Any], types: tuple[str, ...], delivery: Delivery) -> BaseComponent:
    """Return the component of a generated function.

    KFP fills outputs of tasks into lists and mappings by replacing text, which breaks on the first quotation mark in a
    value. So a task that has outputs there gets an input for each.

    Parameters
    ----------
    function
        The generated function.
    types
        KFP's types of the inputs ``value_1``, ``value_2``, … that it gets besides its own.
    delivery
        How the library reaches the pod.

    Raises
    ------
    SettingInvalid
        There is no such type.
    """
    chosen = _with_inputs(function, types) if types else function
    made: Any = dsl.component(chosen, **delivery.options())
    return prefixed(made, delivery)


def prefixed(made: Any, delivery: Delivery) -> BaseComponent:
    """Return a component whose container first does what its delivery asks for."""
    prefix = delivery.prefix()
    if prefix:
        container = made.component_spec.implementation.container
        container.command = [*prefix, *container.command]
    component: BaseComponent = made
    return component


def _with_inputs(function: Callable[..., Any], types: tuple[str, ...]) -> Callable[..., Any]:
    source = inspect.getsource(function)
    source = source[source.index(f"def {function.__name__}(") :]
    if _PLACE not in source:
        raise NotAComponent(function.__name__)
    lines = []
    for number, type_ in enumerate(types, start=1):
        if type_ not in _PYTHON:
            raise SettingInvalid(f"value_{number}", f"one of {', '.join(_PYTHON)}", type_)
        plain = _PYTHON[type_]
        lines.append(f"    value_{number}: {plain} = {_EMPTY[plain]},\n")
    source = source.replace(_PLACE, "".join(lines) + _PLACE, 1)
    place = f"<{function.__module__}:{function.__name__}({', '.join(types)})>"
    # KFP reads the source of what it ships by way of this cache.
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    namespace: dict[str, Any] = dict(vars(inspect.getmodule(function)))
    exec(compile(source, place, "exec"), namespace)  # noqa: S102 - our own generated text, with inputs added
    made: Callable[..., Any] = namespace[function.__name__]
    return made
