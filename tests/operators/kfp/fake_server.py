"""A stand-in for a KFP server: it keeps what it is given, and refuses what the published definition does not allow."""

import inspect
import json
import re
import threading
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import kfp_server_api as definition
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from kfp_server_api.api import (
    experiment_service_api,
    pipeline_service_api,
    pipeline_upload_service_api,
    recurring_run_service_api,
    run_service_api,
)

_APIS = (
    experiment_service_api,
    pipeline_service_api,
    pipeline_upload_service_api,
    recurring_run_service_api,
    run_service_api,
)
_CALL = re.compile(r"'(/apis/v2beta1/[^']*)', '([A-Z]+)'")
_QUERY = re.compile(r"query_params\.append\(\('(\w+)'")
_BODY = {"/runs": "V2beta1Run", "/recurringruns": "V2beta1RecurringRun", "/experiments": "V2beta1Experiment"}


def _operations() -> list[tuple[str, re.Pattern[str], set[str]]]:
    """Return what the published client can call: method, path, and the names that may stand in the query."""
    found = []
    for api in _APIS:
        for _, cls in inspect.getmembers(api, inspect.isclass):
            for name, method in inspect.getmembers(cls, inspect.isfunction):
                source = inspect.getsource(method) if name.endswith("_with_http_info") else ""
                for path, verb in _CALL.findall(source):
                    pattern = re.sub(r"\\{[^}]*\\}", "[^/:]+", re.escape(path))
                    found.append((verb, re.compile(f"{pattern}$"), set(_QUERY.findall(source))))
    return found


class FakeServer:
    """The server, and what it has been asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.authorizations: list[str | None] = []
        self.states = ["PENDING", "RUNNING", "SUCCEEDED"]
        self.pipelines: dict[str, str] = {}
        self.experiments: dict[str, str] = {}
        self.refusals: list[str] = []
        self._operations = _operations()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, verb: str, path: str, query: dict[str, str], kind: str, content: bytes) -> tuple[int, Any]:
        names = [names for method, pattern, names in self._operations if method == verb and pattern.match(path)]
        if not names:
            return 405, {"message": f"{verb} {path} is not in the definition"}
        if unknown := set(query) - set.union(*names):
            return 400, {"message": f"the definition has no {sorted(unknown)} in the query of {verb} {path}"}
        short = path.removeprefix("/apis/v2beta1")
        body = _uploaded(kind, content) if "multipart" in kind else json.loads(content or b"null")
        if verb == "POST" and short in _BODY:
            problem = _mismatch(body, _BODY[short])
            if problem:
                return 400, {"message": problem}
        self.asked.append((verb, unquote(short), query, body))
        return self._reply(verb, short, query, body)

    def _reply(self, verb: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path.startswith("/pipelines/names/"):
            found = self.pipelines.get(unquote(path.rsplit("/", 1)[1]))
            return (200, {"pipeline_id": found}) if found else (404, {"message": "there is no such pipeline"})
        if path == "/pipelines/upload":
            self.pipelines[query["name"]] = f"pipeline-{len(self.pipelines) + 1}"
            return 200, {"pipeline_id": self.pipelines[query["name"]]}
        if path == "/pipelines/upload_version":
            return 200, {"pipeline_version_id": f"{query['pipelineid']}-{query['name']}"}
        if path == "/experiments" and verb == "GET":
            known = [{"display_name": name, "experiment_id": each} for name, each in self.experiments.items()]
            start = int(query.get("page_token", "0"))
            more = {"next_page_token": str(start + 1)} if start + 1 < len(known) else {}
            return 200, {"experiments": known[start : start + 1], **more}
        if path == "/experiments":
            self.experiments[body["display_name"]] = f"experiment-{len(self.experiments) + 1}"
            return 200, {"experiment_id": self.experiments[body["display_name"]]}
        if path == "/runs":
            return 200, {"run_id": "run-1", "state": "PENDING"}
        if path == "/recurringruns":
            return 200, {"recurring_run_id": "schedule-1"}
        if path.endswith(":terminate"):
            self.states = ["CANCELING", "CANCELED"]
            return 200, {}
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        error = {"error": {"message": "a task failed"}} if state == "FAILED" else {}
        details = {"task_details": [{"display_name": "train", "state": state}]}
        return 200, {"run_id": "run-1", "state": state, "run_details": details, **error}


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.fake.authorizations.append(self.headers.get("Authorization"))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        status, told = self.fake.answer(self.command, parts.path, query, self.headers["Content-Type"] or "", content)
        if status >= 400:
            self.fake.refusals.append(str(told))
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def _uploaded(kind: str, content: bytes) -> Any:
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
    (part,) = message.iter_parts()
    assert part.get_param("name", header="content-disposition") == "uploadfile"
    pipeline, *_ = yaml.safe_load_all(part.get_payload(decode=True))
    json_format.ParseDict(pipeline, pipeline_spec_pb2.PipelineSpec())
    return pipeline["pipelineInfo"]["name"]


def _mismatch(body: Any, model: str) -> str:
    """Return what of a body the published definition does not allow; empty if nothing."""
    plain = re.fullmatch(r"(dict\(str, object\)|object)", model)
    if plain:
        if not isinstance(body, dict):
            return f"{body!r} must be an object"
        return _spec_mismatch(body)
    if model == "str":
        return "" if isinstance(body, str) else f"{body!r} must be text"
    if model == "bool":
        return "" if isinstance(body, bool) else f"{body!r} must be true or false"
    cls = getattr(definition, model)
    if hasattr(cls, "allowable_values"):
        return "" if body in cls.allowable_values else f"{body!r} must be one of {cls.allowable_values}"
    types = {cls.attribute_map[name]: kind for name, kind in cls.openapi_types.items()}
    for name, value in body.items():
        if name not in types:
            return f"{model} has no field {name}"
        problem = _mismatch(value, types[name])
        if problem:
            return f"{model}.{name}: {problem}"
    return ""


def _spec_mismatch(body: dict[str, Any]) -> str:
    spec = body.get("pipeline_spec", body)
    if "pipelineInfo" in spec:
        try:
            json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        except json_format.ParseError as error:
            return str(error)
    return ""
