"""What a graph's rows have as columns: the features of its first model's signature, or the type of its first step."""

from collections.abc import Sequence
from typing import Any

from modelyard.graphs import Plan

__all__ = ["check_names", "columns_of"]


def columns_of(plan: Plan) -> dict[str, str]:
    """Return the datatype of each column that the graph's first step declares, as the Open Inference Protocol has it.

    A model declares the columns of its signature; a step with ``validate`` the fields of the type that it takes. Those
    whose type is none of the protocol's, such as dates, are left out.

    Parameters
    ----------
    plan
        The open graph.
    """
    first = [node for node in plan.definition if node.after == ("",)]
    if len(first) != 1 or first[0].settings.input_path:
        return {}
    if first[0].name in plan.models:
        inputs = plan.models[first[0].name].metadata()["inputs"]
        return {each["name"]: each["datatype"] for each in inputs}
    return _fields(plan.types.takes) if plan.types.takes is not None else {}


def check_names(names: Sequence[str]) -> None:
    """Refuse two columns of one name: a row could hold one of them only.

    Raises
    ------
    ValueError
        There are.

    Examples
    --------
    >>> check_names(["hour", "at", "hour"])
    Traceback (most recent call last):
    ValueError: it has two columns 'hour'
    """
    seen = set[str]()
    for name in names:
        if name in seen:
            raise ValueError(f"it has two columns {name!r:.80}")
        seen.add(name)


def _fields(kind: Any) -> dict[str, str]:
    from msgspec import inspect

    datatypes: dict[type, str] = {
        inspect.BoolType: "BOOL",
        inspect.IntType: "INT64",
        inspect.FloatType: "FP64",
        inspect.StrType: "BYTES",
    }
    known = inspect.type_info(kind)
    found = {}
    for field in getattr(known, "fields", ()):
        types = [each for each in getattr(field.type, "types", (field.type,)) if type(each) is not inspect.NoneType]
        if len(types) == 1 and type(types[0]) in datatypes:
            found[getattr(field, "encode_name", field.name)] = datatypes[type(types[0])]
    return found
