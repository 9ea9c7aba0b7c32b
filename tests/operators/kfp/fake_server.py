"""A stand-in for a KFP server: it keeps what it is given, and refuses what the published definition does not allow.

Run as a script it prints its address, and serves until its input ends: for tests in environments without KFP, which
read by ``GET /control`` what it was asked, and set its attributes by ``POST /control``.
"""

import inspect
import json
import re
import sys
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import unquote

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
from stand_in import StandIn

_APIS = (
    experiment_service_api,
    pipeline_service_api,
    pipeline_upload_service_api,
    recurring_run_service_api,
    run_service_api,
)
_CALL = re.compile(r"'(/apis/v2beta1/[^']*)', '([A-Z]+)'")
_QUERY = re.compile(r"query_params\.append\(\('(\w+)'")
_BODY = {
    "/runs": "V2beta1Run",
    "/recurringruns": "V2beta1RecurringRun",
    "/experiments": "V2beta1Experiment",
    "/pipelines": "V2beta1Pipeline",
}


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


class FakeServer(StandIn):
    """The server, and what it has been asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.states = ["PENDING", "RUNNING", "SUCCEEDED"]
        """What each run is, look by look; the last for ever."""
        self.scripts: list[list[str]] = []
        """The same for the next runs that are started, where they differ."""
        self.away = 0
        """How many of the next requests find the server away."""
        self.lost = 0
        """How many of the next runs are started although the client gets no answer."""
        self.runs: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.pipelines: dict[str, str] = {}
        self.schedules: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, str] = {}
        self.refusals: list[str] = []
        self._operations = _operations()
        super().__init__()

    def take(self, verb: str, path: str, query: dict[str, str], headers: Message, content: bytes) -> tuple[int, Any]:
        """Answer, and write down what was refused; what tests say by ``/control`` is no request."""
        if path == "/control":
            return 200, self.control(json.loads(content or b"{}"))
        status, told = super().take(verb, path, query, headers, content)
        if status in (400, 405):
            self.refusals.append(str(told))
        return status, told

    def answer(self, verb: str, path: str, query: dict[str, str], kind: str, content: bytes) -> tuple[int, Any]:
        if self.away:
            self.away -= 1
            return 503, {"message": "away"}
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
        if path == "/pipelines":
            self.pipelines[body["display_name"]] = f"pipeline-{len(self.pipelines) + 1}"
            return 200, {"pipeline_id": self.pipelines[body["display_name"]]}
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
        if path.endswith("/versions"):
            return 200, {"pipeline_versions": self.versions.get(path.split("/")[2], [])}
        if path.startswith("/recurringruns"):
            return self._reply_about_schedules(verb, path, body)
        return self._reply_about_runs(verb, path, query, body)

    def _reply_about_schedules(self, verb: str, path: str, body: Any) -> tuple[int, Any]:
        if path.endswith(":disable"):
            self.schedules[path.split("/")[2].partition(":")[0]]["status"] = "DISABLED"
            return 200, {}
        if verb == "GET":
            return 200, {"recurringRuns": list(reversed(self.schedules.values()))}
        made = f"schedule-{len(self.schedules) + 1}"
        self.schedules[made] = {"recurring_run_id": made, "display_name": body["display_name"], "status": "ENABLED"}
        return 200, {"recurring_run_id": made}

    def _reply_about_runs(self, verb: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == "/runs" and verb == "GET":
            (predicate,) = json.loads(query["filter"])["predicates"]
            assert (predicate["operation"], predicate["key"]) == (1, "display_name")
            names = {run_id: run["name"] for run_id, run in self.runs.items()}
            found = [run_id for run_id, name in names.items() if name == predicate["stringValue"]]
            return 200, {"runs": [self._run(run_id) for run_id in reversed(found)]}
        if path == "/runs":
            run_id = f"run-{len(self.runs) + 1}"
            states = self.scripts.pop(0) if self.scripts else list(self.states)
            self.runs[run_id] = {"name": body["display_name"], "states": states}
            if self.lost:
                self.lost -= 1
                return 503, {"message": "the answer is lost"}
            return 200, {"run_id": run_id, "state": "PENDING"}
        run_id = path.split("/")[2].partition(":")[0]
        if path.endswith(":retry"):
            self._states(run_id)[:] = self.scripts.pop(0) if self.scripts else list(self.states)
            return 200, {}
        if path.endswith(":terminate"):
            self._states(run_id)[:] = ["CANCELING", "CANCELED"]
            return 200, {}
        return 200, self._run(run_id)

    def _states(self, run_id: str) -> list[str]:
        found: list[str] = self.runs[run_id]["states"] if run_id in self.runs else self.states
        return found

    def _run(self, run_id: str) -> dict[str, Any]:
        states = self._states(run_id)
        state = states.pop(0) if len(states) > 1 else states[0]
        error = {"error": {"message": "a task failed"}} if state == "FAILED" else {}
        name = {"display_name": self.runs[run_id]["name"]} if run_id in self.runs else {}
        details = {"task_details": [{"display_name": "train", "state": state}]}
        return {"run_id": run_id, "state": state, "run_details": details, **name, **error}

    def control(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Change what is told, and tell what was asked."""
        for name, value in changes.items():
            setattr(self, name, value)
        return {"asked": self.asked, "refusals": self.refusals, "authorizations": self.authorizations}


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


if __name__ == "__main__":
    server = FakeServer()
    print(server.endpoint, flush=True)
    sys.stdin.read()
    server.close()
