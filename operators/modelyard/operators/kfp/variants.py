"""Makes KFP components of generated functions, with as many more inputs as a task needs."""

import inspect
import linecache
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from modelyard.operators.kfp.delivery import Delivery
from modelyard.operators.kfp.errors import NotAComponent, SettingInvalid

__all__ = ["component_for", "plain_component", "prefixed"]

_PYTHON = {
    **dict.fromkeys(("str", "string"), "str"),
    **dict.fromkeys(("int", "integer", "number_integer"), "int"),
    **dict.fromkeys(("float", "double", "number_double"), "float"),
    **dict.fromkeys(("bool", "boolean"), "bool"),
    **dict.fromkeys(("list", "jsonarray"), "list"),
    **dict.fromkeys(("dict", "jsonobject", "struct"), "dict"),
}
"""KFP's many names of a parameter's type, in lower case, and Python's."""
_EMPTY = {"str": '""', "int": "0", "float": "0.0", "bool": "False", "list": "[]", "dict": "{}"}
_PLACE = '    project: str = "",\n'


@cache
def component_for(
    function: Callable[..., Any], types: tuple[str, ...], delivery: Delivery, pod: str = ""
) -> BaseComponent:
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
    pod
        Tells tasks with pods of their own from others.

    Raises
    ------
    SettingInvalid
        There is no such type.
    """
    chosen = _with_inputs(function, types) if types else function
    made: Any = dsl.component(chosen, **delivery.options())
    # Components of one name, but of another content, get numbers from KFP, which confuses them when it puts a pipeline
    # into another: _merge_deployment_spec renames in turn what it has renamed already.
    kind = f" with {len(types)} values {zlib.crc32(repr(types).encode()):08x}" if types else ""
    made.component_spec.name += f"{kind} pod {pod}" if pod else kind
    return prefixed(made, delivery)


@cache
def plain_component(function: Callable[..., Any], delivery: Delivery) -> BaseComponent:
    """Return the component of a function that needs nothing of the library; it runs where the others do.

    Parameters
    ----------
    function
        The function.
    delivery
        Names the image.
    """
    made: Any = dsl.component(function, **delivery.options())
    component: BaseComponent = made
    return component


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
        plain = _PYTHON.get(type_.partition("[")[0].lower(), "")
        if not plain:
            raise SettingInvalid(f"value_{number}", "a parameter of KFP's", type_)
        lines.append(f"    value_{number}: {plain} = {_EMPTY[plain]},\n")
    source = source.replace(_PLACE, "".join(lines) + _PLACE, 1)
    place = f"<{function.__module__}:{function.__name__}({', '.join(types)})>"
    # KFP reads the source of what it ships by way of this cache.
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    namespace: dict[str, Any] = dict(vars(inspect.getmodule(function)))
    exec(compile(source, place, "exec"), namespace)  # noqa: S102 - our own generated text, with inputs added
    made: Callable[..., Any] = namespace[function.__name__]
    return made
