"""The operations of an OpenAPI document that every graph has: the Open Inference Protocol, figures and pages."""

from collections.abc import Iterable, Mapping
from typing import Any

from modelyard.serving.openapi.operations import HEADERS, SENDING, asked, json_body
from modelyard.serving.openapi.schemas import ref

__all__ = ["protocol_operations", "server_operations"]

_TEXT = {"type": "string"}
_NOTHING = {"description": "Done."}


def _get(summary: str, schema: Mapping[str, Any], statuses: Iterable[str] = (), **more: Any) -> dict[str, Any]:
    return {"get": asked(summary, "inference", {"200": json_body(schema, "As asked.")}, statuses, **more)}


def _flag(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "boolean"}}, "required": [name]}


def _probe(statuses: Iterable[str] = (), **more: Any) -> dict[str, Any]:
    ready = _flag("ready")
    good = {"200": json_body(ready, "Ready."), "503": json_body(ready, "Not ready.")}
    return {"get": asked("Is it ready?", "inference", good, statuses, **more)}


def _body(schema: Mapping[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": dict(schema)}}}}


def protocol_operations(models: list[str], versions: list[str]) -> dict[str, Any]:
    """Return the paths of the Open Inference Protocol.

    Parameters
    ----------
    models, versions
        The names of the models, and of their versions.
    """
    named = {"name": "name", "in": "path", "required": True, "schema": {"enum": models}}
    listed = {"type": "object", "properties": {"models": {"type": "array", "items": _TEXT}}}
    paths = {
        "/v2": _get("Who serves?", ref("Server")),
        "/v2/health/live": _get("Is the server alive?", _flag("live")),
        "/v2/health/ready": _probe(),
        "/v2/models": _get("Which models are there?", listed),
        **_model("/v2/models/{name}", [named]),
    }
    if versions:
        version = {"name": "version", "in": "path", "required": True, "schema": {"enum": versions}}
        paths |= _model("/v2/models/{name}/versions/{version}", [named, version])
    return {**paths, **_repository(named)}


def _model(path: str, named: list[dict[str, Any]]) -> dict[str, Any]:
    answered = {"anyOf": [ref("InferenceResponse"), ref("Answers"), {}]}
    infer = asked(
        "Ask a model: with tensors, with rows, or with an event",
        "inference",
        {
            "200": json_body(answered, "The answer, in the form of the request."),
            "204": {"description": "The graph filtered the event out."},
        },
        ["404", *SENDING],
        parameters=[*named, *HEADERS],
        **_body({"anyOf": [ref("InferenceRequest"), ref("Rows"), {}]}),
    )
    stream = asked(
        "Ask a model, and get its answers as server-sent events",
        "inference",
        {"200": {"description": "A stream.", "content": {"text/event-stream": {"schema": {}}}}},
        ["404", *SENDING],
        parameters=[*named, *HEADERS],
        **_body(ref("InferenceRequest"), required=True),
    )
    return {
        path: _get("What does a model take and give?", ref("Model"), ["404"], parameters=named),
        f"{path}/ready": _probe(["404"], parameters=named),
        f"{path}/infer": {"post": infer},
        f"{path}/infer_stream": {"post": stream},
    }


def _repository(named: dict[str, Any]) -> dict[str, Any]:
    wanted = {"type": "object", "properties": {"ready": {"type": "boolean"}}}
    given = {"type": "object", "properties": {"reference": _TEXT, "version": _TEXT}}
    load = {"type": "object", "properties": {"parameters": given}}
    states = json_body({"type": "array", "items": ref("ModelState")}, "One for each version.")
    refused = ("400", "404", "408", "409", "413", "422", "429", "500", "501", "503", "504")
    operations = {
        "load": asked("Load a model anew, in every worker", "inference", {"200": _NOTHING}, refused, **_body(load)),
        "unload": asked("Refused: a model belongs to its graph", "inference", {}, refused, **_body(load)),
    }
    index = asked(
        "Which models are there, and in which state?",
        "inference",
        {"200": states},
        ["400", "408", "413", "429"],
        **_body(wanted),
    )
    paths = {
        f"/v2/repository/models/{{name}}/{name}": {"post": {**each, "parameters": [named]}}
        for name, each in operations.items()
    }
    return {"/v2/repository/index": {"post": index}, **paths}


def server_operations() -> dict[str, Any]:
    """Return the paths of the figures, and of the pages for people."""

    def page(summary: str, *types: str, told: str = "As asked.") -> dict[str, Any]:
        content = {each: {"schema": {} if each.endswith("json") else _TEXT} for each in types}
        good = {"200": {"description": told, "content": content}}
        return {"get": {"summary": summary, "tags": ["server"], "responses": good}}

    metrics = "Requests, steps, batches and models of this process, as Prometheus reads them."
    return {
        "/docs": page("The page of this document", "text/html"),
        "/openapi.json": page("This document", "application/json"),
        "/metrics": page("What was counted", "text/plain", "application/openmetrics-text", told=metrics),
        "/v2/statistics": page("What was counted, with quantiles", "application/json"),
    }
