"""Puts the document together."""

from typing import Any

from modelyard.graphs import Plan
from modelyard.serving.inference.service import InferenceService
from modelyard.serving.openapi.operations import (
    chat_operations,
    declared_operations,
    event_operation,
    json_body,
)
from modelyard.serving.openapi.protocol import protocol_operations, server_operations
from modelyard.serving.openapi.schemas import PROTOCOL, ref, row_schema, type_schema

__all__ = ["openapi_document"]

_TEXT = {"type": "string"}
_CHAT: dict[str, Any] = {
    "Completion": {
        "type": "object",
        "properties": {
            "id": _TEXT,
            "object": {"const": "chat.completion"},
            "created": {"type": "integer"},
            "model": _TEXT,
            "choices": {"type": "array", "items": {"type": "object"}, "minItems": 1},
            "usage": {"type": "object"},
        },
        "required": ["id", "object", "created", "model", "choices"],
    },
    "ChatModels": {
        "type": "object",
        "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": {"type": "object"}}},
        "required": ["object", "data"],
    },
    "ChatError": {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "message": _TEXT,
                    "type": _TEXT,
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                },
                "required": ["message", "type", "param", "code"],
            }
        },
        "required": ["error"],
    },
}


def openapi_document(plan: Plan, service: InferenceService) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of what is answered now.

    Parameters
    ----------
    plan
        The open graph.
    service
        The graph as a service of the Open Inference Protocol.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> from modelyard.serving.graph_service import GraphService
    >>> graph = Graph("g").api("/flights/{id}", method="GET")
    >>> step = graph.to("operator:neg")
    >>> plan = graph.open()
    >>> list(openapi_document(plan, GraphService(plan))["paths"])[-1]
    '/flights/{id}'
    """
    definition, server = plan.definition, service.server()
    states = service.index(ready=False)
    names = list(dict.fromkeys(each.name for each in states))
    versions = list(dict.fromkeys(each.version for each in states if each.version))
    takes, components = type_schema(plan.types.takes, reply=False)
    gives, others = type_schema(plan.types.gives, reply=True)
    if not takes:
        takes = _row(plan, service)
    paths: dict[str, Any] = {"/": _root()} | server_operations() | protocol_operations(names, versions)
    if definition.chat is not None:
        paths |= chat_operations(definition.chat.model)
    if definition.endpoints:
        for path, operations in declared_operations(plan, definition.endpoints, takes, gives).items():
            paths.setdefault(path, {}).update(operations)
    else:
        rows = {"anyOf": [*takes["anyOf"], ref("Rows")]} if takes.get("anyOf") and not plan.types.takes else takes
        paths["/"].update(event_operation(plan, rows, gives))
    schemas = {**components, **others, **(_CHAT if definition.chat else {}), **PROTOCOL}
    return {
        "openapi": "3.1.0",
        "info": {"title": server.name, "version": server.version or "0", "description": _told(plan)},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _root() -> dict[str, Any]:
    told = json_body(ref("Server"), "What is served; a page for people, where a browser asks.")
    told["content"]["text/html"] = {"schema": _TEXT}
    return {"get": {"summary": "What is served?", "tags": ["server"], "responses": {"200": told}}}


def _told(plan: Plan) -> str:
    if plan.definition.endpoints:
        return (
            f"The graph {plan.graph} answers at the endpoints that it declares, and over the Open Inference Protocol."
        )
    return (
        f"The graph {plan.graph} takes events at / and at any other path outside /v2, "
        "and answers over the Open Inference Protocol."
    )


def _row(plan: Plan, service: InferenceService) -> dict[str, Any]:
    """Return what an event of a graph is that begins with a model; anything, where it begins with a step."""
    first = [node for node in plan.definition if node.after == ("",)]
    if len(first) != 1 or first[0].kind != "model" or first[0].name not in plan.models or first[0].settings.input_path:
        return {}
    names = [each.name for each in service.index(ready=False)]
    short = first[0].name if first[0].name in names else plan.graph
    return row_schema(service.model(short, "").inputs)
