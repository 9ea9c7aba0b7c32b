"""A client of KFP's API, version 2 beta 1, that needs no kfp: plain HTTP, for Airflow, CI jobs and the command line."""

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import yaml

from modelyard.operations import RunState
from modelyard.operators.kfp.api_errors import ApiRefused, ApiUnreachable, RunFailed, StateUnknown

__all__ = ["ENDPOINT_VARIABLE", "KfpApi", "PipelineRun", "pipeline_document"]

ENDPOINT_VARIABLE = "KF_PIPELINES_ENDPOINT"
"""Names the server; the same variable as that of KFP's own client."""

_TOKEN_PATH_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - the name of a variable
_TOKEN_PATH = Path("/var/run/secrets/kubeflow/pipelines/token")
_ROOT = "/apis/v2beta1"
_STATES = {
    "RUNTIME_STATE_UNSPECIFIED": RunState.QUEUED,
    "PENDING": RunState.QUEUED,
    "RUNNING": RunState.RUNNING,
    "PAUSED": RunState.RUNNING,
    "CANCELING": RunState.RUNNING,
    "SUCCEEDED": RunState.SUCCEEDED,
    "SKIPPED": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "CANCELED": RunState.CANCELLED,
}


@dataclass(frozen=True)
class PipelineRun:
    """A run as the server has it.

    Parameters
    ----------
    run_id
        Its id.
    state
        Where it stands.
    message
        What the server says of its failure.
    tasks
        The state of each task by its name; a task of a loop stands once for all of its items.
    """

    run_id: str
    state: RunState
    message: str = ""
    tasks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class KfpApi:
    """Talks to a KFP server.

    Parameters
    ----------
    endpoint
        The server's address; KF_PIPELINES_ENDPOINT if empty.
    token
        A bearer token. Without one, that of the file which KF_PIPELINES_SA_TOKEN_PATH names, or of Kubeflow's usual
        place, is read anew for every request.
    namespace
        The namespace, where the server has many users.
    timeout
        Seconds for one request.

    Raises
    ------
    ApiUnreachable
        No address is known.
    """

    endpoint: str = ""
    token: str = field(default="", repr=False)
    namespace: str = ""
    timeout: float = 30.0

    def __post_init__(self) -> None:
        """Find the server."""
        found = self.endpoint or os.environ.get(ENDPOINT_VARIABLE, "")
        if not found:
            raise ApiUnreachable("", f"no address is given, and {ENDPOINT_VARIABLE} is not set")
        object.__setattr__(self, "endpoint", found.rstrip("/") if "://" in found else f"http://{found.rstrip('/')}")

    def upload_pipeline(self, package: Path, name: str, *, description: str = "") -> str:
        """Upload a compiled pipeline under a name and return its id; one of that name is kept.

        Raises
        ------
        ApiRefused, ApiUnreachable
            The server refuses it, or does not answer.
        """
        found = self.find_pipeline(name)
        if found:
            return found
        query = {"name": name, "description": description, "namespace": self.namespace}
        answer = self._upload("/pipelines/upload", query, package)
        return str(answer["pipeline_id"])

    def find_pipeline(self, name: str) -> str:
        """Return the id of the pipeline of that name; empty if there is none."""
        query = {"namespace": self.namespace}
        try:
            return str(self._ask("GET", f"/pipelines/names/{quote(name, safe='')}", query)["pipeline_id"])
        except ApiRefused as error:
            if error.status == 404:
                return ""
            raise

    def upload_version(self, package: Path, pipeline_id: str, version: str, *, description: str = "") -> str:
        """Upload a compiled pipeline as a version of one that is there, and return the version's id."""
        query = {"name": version, "pipelineid": pipeline_id, "description": description}
        answer = self._upload("/pipelines/upload_version", query, package)
        return str(answer["pipeline_version_id"])

    def start_run(
        self,
        name: str,
        pipeline: Mapping[str, Any],
        *,
        arguments: Mapping[str, Any] | None = None,
        experiment: str = "",
        service_account: str = "",
        pipeline_root: str = "",
    ) -> str:
        """Start a run and return its id.

        Parameters
        ----------
        name
            What people see.
        pipeline
            What runs: `pipeline_document` of a compiled file, or ``{"pipeline_id": …, "pipeline_version_id": …}``.
        arguments
            The pipeline's parameters by name.
        experiment
            The id of an experiment; the server's default if empty.
        service_account
            Under which pods run.
        pipeline_root
            Where artifacts go; the server's default if empty.
        """
        body = {"display_name": name, **_what(pipeline), **_config(arguments, pipeline_root)}
        given = {"experiment_id": experiment, "service_account": service_account}
        body |= {key: value for key, value in given.items() if value}
        return str(self._ask("POST", "/runs", {}, body)["run_id"])

    def schedule(
        self,
        name: str,
        pipeline: Mapping[str, Any],
        cron: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        experiment: str = "",
        service_account: str = "",
        max_concurrency: int = 1,
        catch_up: bool = False,
    ) -> str:
        """Have the server start runs by a schedule, and return its id.

        Parameters
        ----------
        name, pipeline, arguments, experiment, service_account
            As for `start_run`.
        cron
            The schedule with seconds: six fields, such as ``0 0 3 * * *``.
        max_concurrency
            How many of its runs may be at work at a time.
        catch_up
            Whether runs that were missed are made up for.
        """
        body: dict[str, Any] = {
            "display_name": name,
            **_what(pipeline),
            **_config(arguments, ""),
            "trigger": {"cron_schedule": {"cron": cron}},
            "max_concurrency": str(max_concurrency),
            "no_catchup": not catch_up,
            "mode": "ENABLE",
        }
        given = {"experiment_id": experiment, "service_account": service_account, "namespace": self.namespace}
        body |= {key: value for key, value in given.items() if value}
        return str(self._ask("POST", "/recurringruns", {}, body)["recurring_run_id"])

    def experiment(self, name: str) -> str:
        """Return the id of the experiment of that name, made if need be."""
        token = ""
        while True:
            query = {"namespace": self.namespace, "page_size": "100", "page_token": token}
            page = self._ask("GET", "/experiments", query)
            for each in page.get("experiments", ()):
                if each.get("display_name") == name:
                    return str(each["experiment_id"])
            token = page.get("next_page_token", "")
            if not token:
                break
        body = {"display_name": name, **({"namespace": self.namespace} if self.namespace else {})}
        return str(self._ask("POST", "/experiments", {}, body)["experiment_id"])

    def run(self, run_id: str) -> PipelineRun:
        """Return a run as it stands.

        Raises
        ------
        StateUnknown
            The server names a state that nobody has heard of.
        """
        answer = self._ask("GET", f"/runs/{quote(run_id, safe='')}")
        details = answer.get("run_details", {}).get("task_details", ())
        tasks = {each["display_name"]: each.get("state", "PENDING") for each in details if each.get("display_name")}
        state = answer.get("state", "RUNTIME_STATE_UNSPECIFIED")
        if state not in _STATES:
            raise StateUnknown(run_id, state)
        return PipelineRun(run_id, _STATES[state], str(answer.get("error", {}).get("message", "")), tasks)

    def terminate(self, run_id: str) -> None:
        """Ask the server to end a run; its pods get SIGTERM, and cancel what they do."""
        self._ask("POST", f"/runs/{quote(run_id, safe='')}:terminate")

    def follow(
        self, run_id: str, on_change: Callable[[PipelineRun], None] | None = None, *, pause: float = 5.0
    ) -> PipelineRun:
        """Wait for the end of a run that succeeds, and return it.

        Parameters
        ----------
        run_id
            The run.
        on_change
            Learns of every change of the run or of one of its tasks.
        pause
            Seconds between two looks.

        Raises
        ------
        RunFailed
            It failed, or was ended.
        StateUnknown
            The server names a state that nobody has heard of.
        """
        seen: PipelineRun | None = None
        while True:
            run = self.run(run_id)
            if run != seen and on_change:
                on_change(run)
            seen = run
            if run.state.finished:
                break
            time.sleep(pause)
        if run.state is not RunState.SUCCEEDED:
            raise RunFailed(run_id, run.state, run.message)
        return run

    def _upload(self, path: str, query: Mapping[str, str], package: Path) -> dict[str, Any]:
        boundary = uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="uploadfile"; filename="{package.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        content = head.encode() + package.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        return self._send("POST", path, query, content, f"multipart/form-data; boundary={boundary}")

    def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        return self._send(method, path, query or {}, content, "application/json")

    def _send(
        self, method: str, path: str, query: Mapping[str, str], content: bytes | None, kind: str
    ) -> dict[str, Any]:
        told = urlencode({name: value for name, value in query.items() if value})
        url = f"{self.endpoint}{_ROOT}{path}{f'?{told}' if told else ''}"
        headers = {"Content-Type": kind, "Accept": "application/json", **self._authorization()}
        request = Request(url, data=content, headers=headers, method=method)  # noqa: S310 - the user's own server
        try:
            with urlopen(request, timeout=self.timeout) as answer:  # noqa: S310
                text = answer.read()
        except HTTPError as error:
            raise ApiRefused(self.endpoint, f"{method} {path}", error.code, _reason(error.read())) from error
        except (URLError, OSError, HTTPException) as error:
            raise ApiUnreachable(self.endpoint, str(getattr(error, "reason", error))) from error
        found: dict[str, Any] = json.loads(text or b"{}")
        return found

    def _authorization(self) -> dict[str, str]:
        path = Path(os.environ.get(_TOKEN_PATH_VARIABLE) or _TOKEN_PATH)
        token = self.token or (path.read_text().strip() if path.is_file() else "")
        return {"Authorization": f"Bearer {token}"} if token else {}


def _what(pipeline: Mapping[str, Any]) -> dict[str, Any]:
    key = "pipeline_version_reference" if "pipeline_version_id" in pipeline else "pipeline_spec"
    return {key: dict(pipeline)}


def _config(arguments: Mapping[str, Any] | None, root: str) -> dict[str, Any]:
    config = {"parameters": dict(arguments or {}), **({"pipeline_root": root} if root else {})}
    return {"runtime_config": config}


def _reason(content: bytes) -> str:
    try:
        told = json.loads(content)
        return str(told.get("message") or told.get("error") or told)
    except ValueError:
        return content.decode(errors="replace").strip()[:300]


def pipeline_document(package: Path) -> dict[str, Any]:
    """Return a compiled pipeline as the server takes it, with what its second document says of Kubernetes.

    Parameters
    ----------
    package
        A compiled YAML file.
    """
    pipeline, *platform = [each for each in yaml.safe_load_all(package.read_text("utf-8")) if each]
    return {"pipeline_spec": pipeline, "platform_spec": platform[0]} if platform else dict(pipeline)
