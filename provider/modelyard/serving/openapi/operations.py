"""The operations of an OpenAPI document that are a graph's own: events, declared endpoints and chat."""

from collections.abc import Iterable, Mapping
from typing import Any

from modelyard.graphs import BodyField, Endpoint, Parameter, Plan
from modelyard.graphs.endpoints import path_parts, template_parts
from modelyard.serving.event_ids import MOST
from modelyard.serving.openapi.schemas import ref

__all__ = [
    "HEADERS",
    "SENDING",
    "answers",
    "asked",
    "chat_operations",
    "conversation",
    "declared_operations",
    "event_operation",
    "json_body",
]

_TOLD = {
    "400": "The request, or its body, is malformed.",
    "403": "It is forbidden there.",
    "404": "Nobody answers to this name.",
    "405": "The path answers other methods.",
    "408": "The body did not arrive in time.",
    "409": "It cannot be done as things are.",
    "413": "The body is too large.",
    "415": "The body is of a type that is not read there.",
    "422": "The graph, or a model in it, refuses what was sent.",
    "429": "The server has as much to do as it takes on; Retry-After says when to come again.",
    "500": "A step failed.",
    "501": "The graph or model does not do this.",
    "503": "Something that the graph needs does not answer now.",
    "504": "The deadline was over before the answer was there.",
}
SENDING = ("400", "405", "408", "413", "415", "422", "429", "500", "501", "503", "504")
HEADERS = (
    {
        "name": "x-request-id",
        "in": "header",
        "description": "Becomes the event's id.",
        "schema": {"type": "string", "maxLength": MOST, "pattern": "^[ -~]*$"},
    },
    {
        "name": "x-request-timeout",
        "in": "header",
        "description": "For how many seconds the client waits for the answer; empty is for ever.",
        "schema": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": ""}]},
    },
)


def asked(summary: str, tag: str, good: Mapping[str, Any], statuses: Iterable[str] = (), **more: Any) -> dict[str, Any]:
    """Return an operation: what it is for, and what comes back."""
    error = "ProtocolError" if tag == "inference" else "Error"
    return {"summary": summary, "tags": [tag], **more, "responses": answers(good, statuses, error)}


def json_body(schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    """Return a response or request body of JSON."""
    return {"description": description, "content": {"application/json": {"schema": dict(schema)}}}


def answers(good: Mapping[str, Any], statuses: Iterable[str], error: str = "Error") -> dict[str, Any]:
    """Return the responses of an operation: the good ones, and errors of one form.

    Examples
    --------
    >>> sorted(answers({"200": {"description": "Well."}}, ["404"]))
    ['200', '404']
    """
    failed = {status: json_body(ref(error), _TOLD[status]) for status in statuses}
    if "429" in failed:
        failed["429"]["headers"] = {"retry-after": {"schema": {"type": "integer", "minimum": 1}}}
    return {**good, **failed}


def event_operation(plan: Plan, takes: Mapping[str, Any], gives: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operation that sends an event through the graph."""
    content: dict[str, Any] = {"application/json": {"schema": dict(takes)}}
    if not takes:
        lines = "A line of names, then a line for each event."
        content["text/csv"] = {"schema": {"type": "string", "description": lines}}
        content["text/plain"] = {"schema": {"type": "string"}}
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    body = {"content": content, "required": bool(takes)}
    replies = good_replies(plan, gives)
    if gives and not takes:  # the rows of a table are answered by a list
        replies["200"]["content"]["application/json"]["schema"] = {"anyOf": [_replied(plan, gives), {"type": "array"}]}
    also = "Read as well: forms, tables in Arrow and Parquet, images, and CloudEvents, whose reply is a CloudEvent."
    told = asked("Send an event through the graph", "events", replies, SENDING, description=also)
    return {"post": {**told, "requestBody": body, "parameters": [*HEADERS]}, **conversation(plan)}


def conversation(plan: Plan) -> dict[str, Any]:
    """Return what a path's item says of WebSockets, for which OpenAPI has no word."""
    many = "each reply is a message" if plan.streams else "its reply is a message"
    return {
        "x-websocket": {
            "description": f"A WebSocket at this path is a conversation: each message is an event, {many}; an error "
            'is a message {"error": …} and does not end it. Text is JSON, what is binary is bytes.'
        }
    }


def good_replies(plan: Plan, gives: Mapping[str, Any]) -> dict[str, Any]:
    """Return the responses of a graph that answers well; where steps do not say what they give, of any status."""
    content: dict[str, Any] = {"application/json": {"schema": _replied(plan, gives)}}
    if plan.streams:
        content["text/event-stream"] = content["application/x-ndjson"] = {"schema": {}}
    replies: dict[str, Any] = {"200": {"description": "The graph's reply.", "content": content}}
    if any(node.kind == "filter" for node in plan.nodes):
        replies["204"] = {"description": "The graph filtered the event out."}
    if not gives:
        replies["default"] = {"description": "What a step of the graph replies with a status of its own."}
    return replies


def _replied(plan: Plan, gives: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(gives)} if plan.streams and gives else dict(gives)


def declared_operations(
    plan: Plan, endpoints: Iterable[Endpoint], takes: Mapping[str, Any], gives: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the paths that a graph declares; those that it forbids say so."""
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        path = endpoint.path.replace("/*", "/{rest}")
        if endpoint.method == "WEBSOCKET":
            paths.setdefault(path, dict[str, Any]()).update(conversation(plan) if endpoint.action == "allow" else {})
        elif endpoint.method != "*":
            paths.setdefault(path, dict[str, Any]())[endpoint.method.lower()] = _declared(plan, endpoint, takes, gives)
    return paths


def _declared(plan: Plan, endpoint: Endpoint, takes: Mapping[str, Any], gives: Mapping[str, Any]) -> dict[str, Any]:
    names = [text for kind, text in template_parts(endpoint.path) if kind == "name"]
    told = [_parameter(name, "path", endpoint.parameters.get(name, Parameter(required=True))) for name in names]
    if endpoint.path.endswith("*"):
        told.append(_parameter("rest", "path", Parameter(description="Anything below.")))
    summary = endpoint.description or f"The endpoint {endpoint.path}"
    if endpoint.action == "forbid":
        return asked(f"Forbidden: {summary}", "endpoints", {}, ["403"], parameters=told)
    told += [_parameter(name, "query", each) for name, each in endpoint.query.items()]
    reply = _mapped(endpoint.reply, where=False) if endpoint.reply else gives
    operation = asked(summary, "endpoints", good_replies(plan, reply), ["403", "404", *SENDING])
    operation["parameters"] = [*told, *HEADERS]
    if endpoint.method != "GET" or endpoint.body:
        beside = bool(names or endpoint.query)  # parameters are put beside the fields of an object, if there is one
        free = {"type": ["object", "null"]} if beside else dict(takes)
        needed = any(each.required for each in endpoint.body.values()) or bool(takes and not beside)
        schema = _mapped(endpoint.body, where=True) if endpoint.body else free
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}, "required": needed}
    return operation


def _parameter(name: str, place: str, parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.type}
    if place == "path" and parameter.type == "string":
        schema["minLength"] = 1
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum, "default": parameter.default}
    schema |= {key: value for key, value in bounds.items() if value is not None}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    told = {"description": parameter.description} if parameter.description else {}
    return {"name": name, "in": place, "required": place == "path" or parameter.required, "schema": schema, **told}


def _mapped(mapping: Mapping[str, BodyField], *, where: bool) -> dict[str, Any]:
    """Return the schema of what arrives (the sources), or of what is made of it (the names)."""
    schema: dict[str, Any] = {"type": "object"} if not where else {}
    for name, field in mapping.items():
        leaf: dict[str, Any] = {} if field.type == "any" else {"type": field.type}
        if not where and field.type == "number":
            leaf = {"type": ["number", "null"]}
        if field.description:
            leaf["description"] = field.description
        _put(schema, path_parts(field.source if where else name), leaf, required=field.required)
    return schema


def _put(schema: dict[str, Any], parts: tuple[str | int, ...], leaf: dict[str, Any], *, required: bool) -> None:
    inside = schema
    for part in parts:
        if isinstance(part, int):
            if required:
                inside["type"] = "array"
                inside["minItems"] = max(inside.get("minItems", 0), part + 1)
            inside = inside.setdefault("items", {}) if part == 0 and len(parts) == 1 else {}
            continue
        if required or inside is schema:
            inside["type"] = "object"
        if required and part not in inside.setdefault("required", []):
            inside["required"].append(part)
        inside = inside.setdefault("properties", {}).setdefault(part, {})
    inside.update(leaf)


def chat_operations(model: str) -> dict[str, Any]:
    """Return the paths of chat completions."""
    message = {
        "type": "object",
        "properties": {"role": {"type": "string"}, "content": {}},
        "required": ["role"],
    }
    wanted = {
        "type": "object",
        "properties": {
            "model": {"const": model},
            "messages": {"type": "array", "items": message, "minItems": 1},
            "stream": {"type": ["boolean", "null"]},
        },
        "required": ["model", "messages"],
    }
    replied = {"200": json_body(ref("Completion"), "The completion; a stream of chunks if asked for.")}
    replied["200"]["content"]["text/event-stream"] = {"schema": {}}
    many = {"200": json_body(ref("ChatModels"), "As asked.")}
    ask = {
        "summary": "Complete a chat",
        "tags": ["chat"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": wanted}}},
        "responses": answers(replied, ["404", *SENDING], "ChatError"),
    }
    listing = {"summary": "Which models chat?", "tags": ["chat"], "responses": many}
    return {"/v1/chat/completions": {"post": ask}, "/v1/models": {"get": listing}}
