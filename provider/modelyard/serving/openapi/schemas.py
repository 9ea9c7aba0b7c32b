"""JSON schemas of what goes in and comes out, from types, signatures and the protocol."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from modelyard.graphs.models import Tensor

__all__ = ["PROTOCOL", "ref", "row_schema", "type_schema"]

_ROOT = "#/components/schemas/"
_TEXT: Mapping[str, Any] = {"type": "string"}
_TEXTS: Mapping[str, Any] = {"type": "array", "items": _TEXT}
_TEXT_OR_NONE, _NUMBER_OR_NONE = ["string", "null"], ["number", "boolean", "null"]  # true is 1 to a model


def ref(name: str) -> dict[str, str]:
    """Return a reference to a schema of the document.

    Examples
    --------
    >>> ref("Error")
    {'$ref': '#/components/schemas/Error'}
    """
    return {"$ref": f"{_ROOT}{name}"}


def type_schema(kind: Any, *, reply: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of a type, and the components that it refers to; an empty one where JSON Schema has no word.

    Parameters
    ----------
    kind
        A type, as an annotation has it; None says nothing.
    reply
        Whether it is written by the server: there a number that is none is null.

    Examples
    --------
    >>> type_schema(dict[str, float], reply=True)[0]
    {'type': 'object', 'additionalProperties': {'type': ['number', 'null']}}
    >>> type_schema(object(), reply=True)
    ({}, {})
    """
    if kind is None:
        return {}, {}
    try:
        (schema,), components = msgspec.json.schema_components([kind], ref_template=f"{_ROOT}{{name}}")
    except (TypeError, ValueError):
        return {}, {}
    schema, components = msgspec.json.decode(
        msgspec.json.encode((schema, components)), type=tuple[dict[str, Any], dict[str, Any]]
    )
    return (_nullable(schema), _nullable(components)) if reply else (schema, components)


def _nullable(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _nullable(each) for key, each in schema.items()}
    return {**changed, "type": ["number", "null"]} if changed.get("type") == "number" else changed


def row_schema(inputs: Sequence[Tensor]) -> dict[str, Any]:
    """Return the schema of one row for a model: a mapping of its features, or a list of their values.

    Examples
    --------
    >>> row_schema([Tensor("hour", "INT64", (-1, 1))])["anyOf"][0]["required"]
    ['hour']
    """
    columns = {each.name: {"type": _TEXT_OR_NONE if each.datatype == "BYTES" else _NUMBER_OR_NONE} for each in inputs}
    values = {"type": "array", "items": {"type": ["number", "string", "boolean", "null"]}}
    if not inputs or any(each.shape[1:] != (1,) for each in inputs):
        return values
    return {"anyOf": [{"type": "object", "properties": columns, "required": list(columns)}, values]}


def _object(required: Sequence[str] = (), /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


_TENSOR = {
    "name": _TEXT,
    "datatype": {
        "enum": [
            *(f"{kind}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)),
            "BOOL",
            "FP16",
            "FP32",
            "FP64",
            "BYTES",
        ]
    },
    "shape": _list({"type": "integer"}),
}
_PARAMETERS = {"type": "object"}
_FAILURE = _object(
    ("type", "kind", "message"),
    type=_TEXT,
    kind=_TEXT,
    message=_TEXT,
    mend=_TEXT,
    graph=_TEXT,
    step=_TEXT,
    event=_TEXT,
    facts={"type": "object"},
)

PROTOCOL: dict[str, Any] = {
    "Failure": {**_FAILURE, "description": "What went wrong, of which kind, where, and how to mend it."},
    "Error": _object(("error",), error=ref("Failure")),
    "ProtocolError": _object(("error", "details"), error=_TEXT, details=ref("Failure")),
    "RequestTensor": _object(("name", "datatype", "shape"), **_TENSOR, parameters=_PARAMETERS, data={}),
    "ResponseTensor": _object(("name", "datatype", "shape"), **_TENSOR, parameters=_PARAMETERS, data={"type": "array"}),
    "InferenceRequest": {
        **_object(
            ("inputs",),
            id=_TEXT,
            parameters=_PARAMETERS,
            inputs={**_list(ref("RequestTensor")), "minItems": 1},
            outputs=_list(_object(("name",), name=_TEXT, parameters=_PARAMETERS)),
        ),
        "description": "Tensors, as the Open Inference Protocol has them.",
    },
    "InferenceResponse": _object(
        ("model_name", "outputs"),
        model_name=_TEXT,
        model_version=_TEXT,
        id=_TEXT,
        parameters=_PARAMETERS,
        outputs=_list(ref("ResponseTensor")),
    ),
    "Rows": {
        **_object(("inputs",), inputs={"type": "array"}),
        "description": "Rows: lists or records, one for each answer.",
    },
    "Answers": _object(("outputs",), model_name=_TEXT, id=_TEXT, outputs={"type": "array"}),
    "Server": _object(
        ("name", "version", "extensions"),
        name=_TEXT,
        version=_TEXT,
        extensions=_TEXTS,
        steps=_TEXTS,
        models={"type": "object"},
    ),
    "Model": _object(
        ("name", "versions", "platform", "inputs", "outputs"),
        name=_TEXT,
        versions=_TEXTS,
        platform=_TEXT,
        inputs=_list(_object(("name", "datatype", "shape"), **_TENSOR)),
        outputs=_list(_object(("name", "datatype", "shape"), **_TENSOR)),
    ),
    "ModelState": _object(
        ("name", "state"), name=_TEXT, version=_TEXT, state={"enum": ["READY", "LOADING", "UNAVAILABLE"]}, reason=_TEXT
    ),
}
"""What the protocol and the server's own errors look like, by name."""
