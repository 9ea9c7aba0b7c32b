"""A client of KFP's API, version 2 beta 1, that needs no kfp: plain HTTP, for Airflow, CI jobs and the command line."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import yaml

from modelyard.operations import RunState
from modelyard.operators.kfp.api_errors import (
    ApiRefused,
    ApiUnreachable,
    PackageUnreadable,
    RunFailed,
    VersionNotFound,
)
from modelyard.operators.kfp.pipeline_runs import PipelineRun, run_of
from modelyard.operators.kfp.run_watch import PATIENCE, RunWatch
from modelyard.operators.kfp.setting_rules import check_kind

__all__ = ["ENDPOINT_VARIABLE", "KfpApi", "PipelineRun", "pipeline_document"]

ENDPOINT_VARIABLE = "KF_PIPELINES_ENDPOINT"
"""Names the server; the same variable as that of KFP's own client."""

_TOKEN_PATH_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - the name of a variable
_TOKEN_PATH = Path("/var/run/secrets/kubeflow/pipelines/token")
_ROOT = "/apis/v2beta1"


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
    SettingInvalid
        The address is no text.
    """

    endpoint: str = ""
    token: str = field(default="", repr=False)
    namespace: str = ""
    timeout: float = 30.0

    def __post_init__(self) -> None:
        """Find the server."""
        check_kind("endpoint", self.endpoint, str, "an address as text")
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

    def create_pipeline(self, name: str, *, description: str = "") -> str:
        """Make a pipeline that has no version yet, and return its id; one of that name is kept."""
        found = self.find_pipeline(name)
        if found:
            return found
        given = {"display_name": name, "description": description, "namespace": self.namespace}
        body = {key: value for key, value in given.items() if value}
        return str(self._ask("POST", "/pipelines", {}, body)["pipeline_id"])

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

    def find_version(self, pipeline_id: str, version: str = "") -> tuple[str, dict[str, Any]]:
        """Return the id of a pipeline's version and what it runs.

        Parameters
        ----------
        pipeline_id
            The pipeline.
        version
            The version's name; the newest if empty.

        Raises
        ------
        VersionNotFound
            There is none.
        """
        path, known = f"/pipelines/{quote(pipeline_id, safe='')}/versions", []
        for each in self._pages(path, "pipeline_versions", {"sort_by": "created_at desc"}):
            names = {each.get("display_name"), each.get("name")}
            if not version or version in names:
                return str(each["pipeline_version_id"]), dict(each.get("pipeline_spec") or {})
            known.append(str(each.get("display_name") or each.get("name")))
        raise VersionNotFound(pipeline_id, version, known)

    def start_run(
        self,
        name: str,
        pipeline: Mapping[str, Any],
        *,
        arguments: Mapping[str, Any] | None = None,
        experiment: str = "",
        service_account: str = "",
        pipeline_root: str = "",
        description: str = "",
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
        description
            What is to be said about the run.
        """
        body = {"display_name": name, **_what(pipeline), **_config(arguments, pipeline_root)}
        given = {"experiment_id": experiment, "service_account": service_account, "description": description}
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

    def schedules(self, name: str) -> list[str]:
        """Return the ids of the schedules of that name which start runs, the newest first."""
        query = {"namespace": self.namespace, "sort_by": "created_at desc"}
        return [
            str(each["recurring_run_id"])
            for each in self._pages("/recurringruns", "recurringRuns", {**query, "filter": _named(name)})
            if each.get("display_name") == name and each.get("status") != "DISABLED"
        ]

    def disable_schedule(self, schedule_id: str) -> None:
        """Have a schedule start no more runs; its page and its runs stay."""
        self._ask("POST", f"/recurringruns/{quote(schedule_id, safe='')}:disable")

    def experiment(self, name: str) -> str:
        """Return the id of the experiment of that name, made if need be."""
        for each in self._pages("/experiments", "experiments", {"namespace": self.namespace}):
            if each.get("display_name") == name:
                return str(each["experiment_id"])
        body = {"display_name": name, **({"namespace": self.namespace} if self.namespace else {})}
        return str(self._ask("POST", "/experiments", {}, body)["experiment_id"])

    def run(self, run_id: str) -> PipelineRun:
        """Return a run as it stands.

        Raises
        ------
        StateUnknown
            The server names a state that nobody has heard of.
        """
        return run_of(run_id, self._ask("GET", f"/runs/{quote(run_id, safe='')}"))

    def find_run(self, name: str) -> PipelineRun | None:
        """Return the newest run that people see under a name; None if there is none."""
        query = {"namespace": self.namespace, "sort_by": "created_at desc"}
        for each in self._pages("/runs", "runs", {**query, "filter": _named(name)}):
            if each.get("display_name") == name:
                return run_of(str(each["run_id"]), each)
        return None

    def page(self, run_id: str) -> str:
        """Return where people look at a run."""
        return f"{self.endpoint}/#/runs/details/{quote(run_id, safe='')}"

    def terminate(self, run_id: str) -> None:
        """Ask the server to end a run; its pods get SIGTERM, and cancel what they do."""
        self._ask("POST", f"/runs/{quote(run_id, safe='')}:terminate")

    def retry(self, run_id: str) -> None:
        """Ask the server to go on with a run that has failed: what had succeeded is not done again."""
        self._ask("POST", f"/runs/{quote(run_id, safe='')}:retry")

    def follow(
        self,
        run_id: str,
        on_change: Callable[[PipelineRun], None] | None = None,
        *,
        pause: float = 5.0,
        patience: float = PATIENCE,
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
        patience
            Seconds for which the server may be away.

        Raises
        ------
        RunFailed
            It failed, or was ended.
        ApiUnreachable
            The server was away for longer.
        StateUnknown
            The server names a state that nobody has heard of.
        """
        seen: PipelineRun | None = None
        watch = RunWatch(self, run_id, patience=patience)
        while True:
            run = watch.look()
            if run is not None and run != seen and on_change:
                on_change(run)
            seen = run or seen
            if run is not None and run.state.finished:
                break
            time.sleep(pause)
        if run.state is not RunState.SUCCEEDED:
            raise RunFailed(run_id, run.state, run.message)
        return run

    def _pages(self, path: str, field: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = self._ask("GET", path, {**query, "page_size": "100", "page_token": token})
            yield from page.get(field, ())
            token = page.get("next_page_token", "")
            if not token:
                return

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


def _named(name: str) -> str:
    predicate = {"operation": 1, "key": "display_name", "stringValue": name}  # 1 is EQUALS
    return json.dumps({"predicates": [predicate]})


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


def pipeline_document(package: Path | str) -> dict[str, Any]:
    """Return a compiled pipeline as the server takes it, with what its second document says of Kubernetes.

    Parameters
    ----------
    package
        A compiled YAML file.

    Raises
    ------
    PackageUnreadable
        It is none.
    """
    try:
        found = [each for each in yaml.safe_load_all(Path(package).read_text("utf-8")) if each]
    except FileNotFoundError as error:
        raise PackageUnreadable(str(package), "it is not there") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PackageUnreadable(str(package), f"it cannot be read ({type(error).__name__})") from error
    if not found or not isinstance(found[0], dict) or "pipelineInfo" not in found[0]:
        raise PackageUnreadable(str(package), "it has no pipelineInfo")
    pipeline, *platform = found
    return {"pipeline_spec": pipeline, "platform_spec": platform[0]} if platform else dict(pipeline)
