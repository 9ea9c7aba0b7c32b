"""The operations of an OpenAPI document: those of the protocol, of events, of declared endpoints and of chat."""

from collections.abc import Iterable, Mapping
from typing import Any

from modelyard.graphs import BodyField, Endpoint, Parameter, Plan
from modelyard.graphs.endpoints import path_parts, template_parts
from modelyard.serving.openapi.schemas import ref

__all__ = ["answers", "chat_operations", "declared_operations", "event_operation", "json_body", "protocol_operations"]

_TOLD = {
    "400": "The request, or its body, is malformed.",
    "403": "It is forbidden there.",
    "404": "Nobody answers to this name.",
    "405": "The path answers other methods.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is of a type that is not read there.",
    "422": "The graph, or a model in it, refuses what was sent.",
    "429": "The server has as much to do as it takes on; Retry-After says when to come again.",
    "500": "A step failed.",
    "501": "The graph or model does not do this.",
    "503": "Something that the graph needs does not answer now.",
    "504": "The deadline was over before the answer was there.",
}
_SENDING = ("400", "405", "408", "413", "415", "422", "429", "500", "501", "503", "504")
_HEADERS = (
    {
        "name": "x-request-id",
        "in": "header",
        "description": "Becomes the event's id.",
        "schema": {"type": "string"},
    },
    {
        "name": "x-request-timeout",
        "in": "header",
        "description": "For how many seconds the client waits for the answer; empty is for ever.",
        "schema": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": ""}]},
    },
)


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


def _asked(
    summary: str, tag: str, good: Mapping[str, Any], statuses: Iterable[str] = (), **more: Any
) -> dict[str, Any]:
    error = "ProtocolError" if tag == "inference" else "Error"
    return {"summary": summary, "tags": [tag], **more, "responses": answers(good, statuses, error)}


def _get(summary: str, schema: Mapping[str, Any], statuses: Iterable[str] = (), **more: Any) -> dict[str, Any]:
    return {"get": _asked(summary, "inference", {"200": json_body(schema, "As asked.")}, statuses, **more)}


def protocol_operations(models: list[str]) -> dict[str, Any]:
    """Return the paths of the Open Inference Protocol, for the models of these names."""
    named = {"name": "name", "in": "path", "required": True, "schema": {"enum": models}}
    one = {"parameters": [named]}
    live = {"type": "object", "properties": {"live": {"type": "boolean"}}, "required": ["live"]}
    ready = {"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]}
    listed = {"type": "object", "properties": {"models": {"type": "array", "items": {"type": "string"}}}}
    unready = {"503": json_body(ready, "Not ready.")}
    probe = _asked("Is it ready?", "inference", {"200": json_body(ready, "Ready."), **unready}, ["404"])
    infer = _asked(
        "Ask a model: with tensors, with rows, or with an event",
        "inference",
        {
            "200": {
                "description": "The answer, in the form of the request.",
                "content": {"application/json": {"schema": {"anyOf": [ref("InferenceResponse"), ref("Answers"), {}]}}},
            },
            "204": {"description": "The graph filtered the event out."},
        },
        ["404", *_SENDING],
        requestBody={
            "content": {"application/json": {"schema": {"anyOf": [ref("InferenceRequest"), ref("Rows"), {}]}}}
        },
        parameters=[named, *_HEADERS],
    )
    stream = _asked(
        "Ask a model, and get its answers as server-sent events",
        "inference",
        {"200": {"description": "A stream.", "content": {"text/event-stream": {"schema": {}}}}},
        ["404", *_SENDING],
        requestBody={"required": True, "content": {"application/json": {"schema": ref("InferenceRequest")}}},
        parameters=[named, *_HEADERS],
    )
    index = _asked(
        "Which models are there, and in which state?",
        "inference",
        {"200": json_body({"type": "array", "items": ref("ModelState")}, "One for each version.")},
        ["400", "408", "413", "429"],
        requestBody={
            "content": {
                "application/json": {"schema": {"type": "object", "properties": {"ready": {"type": "boolean"}}}}
            }
        },
    )
    return {
        "/v2": _get("Who serves?", ref("Server")),
        "/v2/health/live": _get("Is the server alive?", live),
        "/v2/health/ready": {
            "get": {**probe, "responses": {key: each for key, each in probe["responses"].items() if key != "404"}}
        },
        "/v2/models": _get("Which models are there?", listed),
        "/v2/models/{name}": _get("What does a model take and give?", ref("Model"), ["404"], **one),
        "/v2/models/{name}/ready": {"get": {**probe, **one}},
        "/v2/models/{name}/infer": {"post": infer},
        "/v2/models/{name}/infer_stream": {"post": stream},
        "/v2/repository/index": {"post": index},
    }


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
    told = _asked("Send an event through the graph", "events", replies, _SENDING)
    return {"post": {**told, "requestBody": body, "parameters": [*_HEADERS]}}


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
        if endpoint.method != "*":
            path = endpoint.path.replace("/*", "/{rest}")
            paths.setdefault(path, dict[str, Any]())[endpoint.method.lower()] = _declared(plan, endpoint, takes, gives)
    return paths


def _declared(plan: Plan, endpoint: Endpoint, takes: Mapping[str, Any], gives: Mapping[str, Any]) -> dict[str, Any]:
    names = [text for kind, text in template_parts(endpoint.path) if kind == "name"]
    told = [_parameter(name, "path", endpoint.parameters.get(name, Parameter(required=True))) for name in names]
    if endpoint.path.endswith("*"):
        told.append(_parameter("rest", "path", Parameter(description="Anything below.")))
    summary = endpoint.description or f"The endpoint {endpoint.path}"
    if endpoint.action == "forbid":
        return _asked(f"Forbidden: {summary}", "endpoints", {}, ["403"], parameters=told)
    told += [_parameter(name, "query", each) for name, each in endpoint.query.items()]
    reply = _mapped(endpoint.reply, where=False) if endpoint.reply else gives
    operation = _asked(summary, "endpoints", good_replies(plan, reply), ["403", "404", *_SENDING])
    operation["parameters"] = [*told, *_HEADERS]
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
    asked = {
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
        "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
        "responses": answers(replied, ["404", *_SENDING], "ChatError"),
    }
    listing = {"summary": "Which models chat?", "tags": ["chat"], "responses": many}
    return {"/v1/chat/completions": {"post": ask}, "/v1/models": {"get": listing}}
