"""Fills a workflow's inputs into what its steps are given."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelyard.ci.running.slimming import Judged
from modelyard.workflows.references import InputReference, replace_references

__all__ = ["filled", "gates_of"]


def filled(value: Any, inputs: Mapping[str, Any]) -> Any:
    """Return a value with the workflow's inputs filled in; other references stay.

    Parameters
    ----------
    value
        What a step is given.
    inputs
        The inputs of the workflow.
    """
    fill: Callable[[Any], Any] = lambda each: (  # noqa: E731
        _inside(inputs.get(each.name), each.path) if isinstance(each, InputReference) else each
    )
    return replace_references(value, fill)


def gates_of(judged: Judged, inputs: Mapping[str, Any]) -> list[str]:
    """Return the gates of a workflow's promotions, its inputs filled in.

    Parameters
    ----------
    judged
        The step that measures what they promote.
    inputs
        The inputs of the workflow.
    """
    found: list[str] = []
    for each in judged.gates:
        gates = filled(each, inputs)
        found += [gate for gate in gates if isinstance(gate, str)] if isinstance(gates, list) else []
    return found


def _inside(value: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        value = value[part]
    return value
