"""Starts a workflow's DAG through Airflow's REST API and follows it; needs no Airflow here, only plain HTTP."""

import json
import os
import time
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.workflows.engines.airflow_outcomes import outcome_of_run
from modelyard.workflows.engines.airflow_plan import Plan
from modelyard.workflows.engines.remote import RemoteRun, RunRequest
from modelyard.workflows.outcome import WorkflowOutcome

__all__ = ["AirflowApi", "AirflowRefused", "AirflowUnreachable", "submit"]

URL_VARIABLE = "MODELYARD_AIRFLOW_URL"
TOKEN_VARIABLE = "MODELYARD_AIRFLOW_TOKEN"  # noqa: S105 - the name of a variable
USER_VARIABLE = "MODELYARD_AIRFLOW_USER"
PASSWORD_VARIABLE = "MODELYARD_AIRFLOW_PASSWORD"  # noqa: S105

_SECONDS = 30.0
_PAUSE = 2.0
_PAGE = 1000


class AirflowUnreachable(ModelyardError):
    """Raised when Airflow's API does not answer, or nobody said where it is."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, url: str, reason: str) -> None:
        mend = f"Set {URL_VARIABLE} to Airflow's address, such as http://localhost:8080."
        super().__init__(f"Airflow cannot be reached: {reason}", where=url or URL_VARIABLE, mend=mend)


class AirflowRefused(ModelyardError):
    """Raised when Airflow's API says no.

    Parameters
    ----------
    status
        The HTTP status.
    """

    _KINDS: ClassVar[dict[int, ErrorKind]] = {
        401: ErrorKind.DENIED,
        403: ErrorKind.DENIED,
        404: ErrorKind.NOT_FOUND,
        409: ErrorKind.CONFLICT,
    }

    def __init__(self, method: str, path: str, status: int, detail: str) -> None:
        super().__init__(f"Airflow answers {status}: {detail}", where=f"{method} {path}", facts={"status": status})
        self.status = status

    @property
    def error_kind(self) -> ErrorKind:
        """What sort of refusal it is."""
        return self._KINDS.get(self.status, ErrorKind.UNAVAILABLE if self.status >= 500 else ErrorKind.INVALID)


class AirflowApi:
    """Talks to Airflow's REST API.

    Parameters
    ----------
    url
        Airflow's address.
    token
        A bearer token; without one it is asked for, with user and password if they are given.
    user, password
        Who asks for a token.
    """

    def __init__(self, url: str, token: str = "", user: str = "", password: str = "") -> None:
        if not url:
            raise AirflowUnreachable("", "no address is given")
        self.url = url.rstrip("/")
        self._token = token
        self._credentials = {"username": user, "password": password} if user else None

    @classmethod
    def of_environment(cls, variables: Mapping[str, str] | None = None) -> "AirflowApi":
        """Return the client that environment variables describe.

        Raises
        ------
        AirflowUnreachable
            They name no address.
        """
        given = os.environ if variables is None else variables
        names = (URL_VARIABLE, TOKEN_VARIABLE, USER_VARIABLE, PASSWORD_VARIABLE)
        return cls(*(given.get(name, "") for name in names))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API; return its answer.

        Raises
        ------
        AirflowRefused, AirflowUnreachable
            There is no good answer.
        """
        if not self._token:
            self._token = self._sent(
                "POST" if self._credentials else "GET", "/auth/token", self._credentials, authorised=False
            )["access_token"]
        return self._sent(method, path, body)

    def _sent(self, method: str, path: str, body: Any = None, *, authorised: bool = True) -> Any:
        request = Request(  # noqa: S310 - the user's own address
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        if authorised:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urlopen(request, timeout=_SECONDS) as reply:  # noqa: S310
                content = reply.read()
        except HTTPError as error:
            raise AirflowRefused(method, path, error.code, _detail(error.read())) from error
        except (URLError, OSError) as error:
            raise AirflowUnreachable(self.url, str(getattr(error, "reason", error))) from error
        return json.loads(content) if content else None


def _detail(content: bytes) -> str:
    try:
        detail = json.loads(content)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = content.decode(errors="replace")[:300]
    return detail if isinstance(detail, str) else json.dumps(detail)


def submit(request: RunRequest) -> RemoteRun:
    """Start the DAG that `airflow_dag` has made of a workflow, or go on with the run of that name.

    A run that is under way is attached to; of one that failed, the failed tasks and what waits for them are cleared.

    Parameters
    ----------
    request
        What to run.

    Raises
    ------
    AirflowRefused
        There is no such DAG, or it does not take these parameters.
    AirflowUnreachable
        Airflow does not answer.
    """
    run = _Run(AirflowApi.of_environment(), request)
    run.start()
    outcome = run.followed() if request.follow else None
    return RemoteRun(run=run.name, url=run.page, outcome=outcome)


class _Run:
    def __init__(self, api: AirflowApi, request: RunRequest) -> None:
        self._api = api
        self._request = request
        self.dag = f"{request.project_name}-{request.workflow.name}"
        self.name = f"modelyard__{request.workflow_run}"
        self._path = f"/api/v2/dags/{quote(self.dag, safe='')}"

    @property
    def _run_path(self) -> str:
        return f"{self._path}/dagRuns/{quote(self.name, safe='')}"

    @property
    def page(self) -> str:
        """Where people look at the run."""
        return f"{self._api.url}/dags/{quote(self.dag, safe='')}/runs/{quote(self.name, safe='')}"

    def start(self) -> None:
        body = {"dag_run_id": self.name, "logical_date": None, "conf": self._request.inputs}
        try:
            self._api.call("POST", f"{self._path}/dagRuns", body)
        except AirflowRefused as error:
            if error.error_kind is not ErrorKind.CONFLICT:
                raise
            if self._state() == "failed":
                clear = {"dry_run": False, "only_failed": True, "reset_dag_runs": True, "dag_run_id": self.name}
                self._api.call("POST", f"{self._path}/clearTaskInstances", clear)
                self._request.log.info("the run %s goes on where it failed", self.name)
        else:
            self._request.log.info("started %s", self.page)

    def _state(self) -> str:
        return str(self._api.call("GET", self._run_path)["state"])

    def followed(self) -> WorkflowOutcome:
        """Wait for the end; return what the run has left."""
        told: dict[tuple[str, int], str | None] = {}
        total = self._request.workflow.runs_of_steps
        with self._request.progress.track(f"workflow {self._request.workflow.name}", total, "steps") as track:
            while True:
                # The state first: what is read after it is at least as new.
                state = self._state()
                now = self._tasks()
                for task, each in now.items():
                    if each != told.get(task) and each in ("running", "success", "failed", "skipped"):
                        place = f"[{task[1]}]" if task[1] >= 0 else ""
                        self._request.log.info("%s%s: %s", task[0], place, each)
                        if each == "success":
                            track.advance()
                told = now
                if state in ("success", "failed"):
                    return self._outcome(now)
                time.sleep(_PAUSE)

    def _tasks(self) -> dict[tuple[str, int], str | None]:
        found: dict[tuple[str, int], str | None] = {}
        while True:
            query = f"?limit={_PAGE}&offset={len(found)}"
            page = self._api.call("GET", f"{self._run_path}/taskInstances{query}")
            found |= {(each["task_id"], each["map_index"]): each["state"] for each in page["task_instances"]}
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def _outcome(self, states: Mapping[tuple[str, int], str | None]) -> WorkflowOutcome:
        return outcome_of_run(Plan(self._request.workflow.in_order()), states, self._pull)

    def _pull(self, task: str, index: int | None, key: str) -> Any:
        if index is None:
            return None
        path = f"{self._run_path}/taskInstances/{quote(task, safe='')}/xcomEntries/{quote(key, safe='')}"
        try:
            return self._api.call("GET", f"{path}?map_index={index}&deserialize=true")["value"]
        except AirflowRefused as error:
            if error.status == 404:
                return None
            raise
