"""A real Airflow of the tests' own: API server and scheduler as processes, spoken to as people's tools do."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow_home import eventually
from local_ports import free_port

SETTINGS = {
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__API_AUTH__JWT_SECRET": "of the tests alone, and long enough for what signs with it: 0123456789",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__PARALLELISM": "2",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    # The first task has the API server make its routes: on a busy machine that is longer than the five seconds.
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "90",
}


class Scheduler:
    """Starts Airflow on a folder of DAGs and follows tasks.

    Parameters
    ----------
    home
        An empty folder for everything that Airflow writes; DAG files are in ``home/dags``.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._url = f"http://127.0.0.1:{free_port()}"
        self._token = ""
        self.processes: list[subprocess.Popen[bytes]] = []
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self.environment = {
            **inherited,
            **SETTINGS,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__BASE_URL": self._url,
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        }

    @property
    def url(self) -> str:
        """Where the API answers."""
        return self._url

    def start(self) -> None:
        """Migrate, read the DAGs, start the processes, and wait until the API answers."""
        self._run("db", "migrate")
        self._run("dags", "reserialize")
        port = self._url.rpartition(":")[2]
        for command in (("api-server", "--host", "127.0.0.1", "--port", port, "--workers", "1"), ("scheduler",)):
            with (self.home / f"{command[0]}.log").open("wb") as log:
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "airflow", *command],
                        env=self.environment,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        assert eventually(self.answers, 240), (self.home / "api-server.log").read_text()[-4000:]

    def stop(self) -> None:
        """End all processes with all of theirs."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self.processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            deadline = time.monotonic() + 10
            for process in self.processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0, deadline - time.monotonic()))

    def trigger(self, dag: str) -> str:
        """Start a run and return its id."""
        return str(self.call("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"])

    def task(self, dag: str, run: str, task: str) -> dict[str, Any]:
        """Return a task instance."""
        return self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the REST API."""
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def answers(self) -> bool:
        """Whether the API gives a token."""
        try:
            with urllib.request.urlopen(f"{self._url}/auth/token", timeout=10) as reply:
                self._token = json.load(reply)["access_token"]
        except OSError:
            return False
        return True

    def _run(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
