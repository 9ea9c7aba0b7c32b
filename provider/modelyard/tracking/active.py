"""Makes a run the active one of MLflow, so that a project's own ``mlflow.log_metric`` and autologging land in it."""

import os
from threading import Lock
from typing import Any

__all__ = ["ActiveRun"]

_lock = Lock()
_users: dict[str, int] = {}
_before: dict[str, str | None] = {}
_VARIABLE = "MLFLOW_TRACKING_URI"


class ActiveRun:
    """One run as MLflow's active run of this thread, with the process pointed at its store meanwhile.

    MLflow's tracking address is one for the process: if runs of two stores are active at once, only those of the
    first are active for MLflow.

    Parameters
    ----------
    uri
        The store's address.
    run_id
        The run.
    """

    def __init__(self, uri: str, run_id: str) -> None:
        self.uri = uri
        self.run_id = run_id
        self.entered = False

    def enter(self) -> None:
        """Make the run active, unless MLflow is busy with another store or experiment."""
        import mlflow
        from mlflow.exceptions import MlflowException

        if not _point_to(self.uri):
            return
        try:
            mlflow.start_run(run_id=self.run_id, nested=True)
            self.entered = True
        except MlflowException:
            _point_back(self.uri)

    def leave(self, client: Any, status: str) -> None:
        """End the run with `status`, whether or not it is (still) the active one."""
        import mlflow

        try:
            active = mlflow.active_run() if self.entered else None
            if active is not None and active.info.run_id == self.run_id:
                mlflow.end_run(status)
            else:
                client.set_terminated(self.run_id, status)
        finally:
            self.forget()

    def forget(self) -> None:
        """Point the process back to where it pointed before."""
        if self.entered:
            self.entered = False
            _point_back(self.uri)


def _point_to(uri: str) -> bool:
    mlflow = _mlflow()
    with _lock:
        if _users and uri not in _users:
            return False
        if not _users:
            _before[_VARIABLE] = os.environ.get(_VARIABLE)
            _before["uri"] = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
            mlflow.set_tracking_uri(uri)
        _users[uri] = _users.get(uri, 0) + 1
        return True


def _point_back(uri: str) -> None:
    mlflow = _mlflow()
    with _lock:
        _users[uri] -= 1
        if _users[uri]:
            return
        del _users[uri]
        set_by_variable = _before["uri"] is not None and _before["uri"] == _before[_VARIABLE]
        mlflow.set_tracking_uri(None if set_by_variable else _before["uri"])
        if _before[_VARIABLE] is not None:
            os.environ[_VARIABLE] = str(_before[_VARIABLE])


def _mlflow() -> Any:
    """Return MLflow as the partly untyped library that it is."""
    import mlflow

    return mlflow
