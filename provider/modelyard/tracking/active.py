"""Makes a run the active one of MLflow, so that a project's own ``mlflow.log_metric`` and autologging land in it."""

import os
from threading import Lock
from typing import Any

__all__ = ["ActiveRun"]

_lock = Lock()
_users: dict[tuple[str, str], int] = {}
_before: dict[str, str | None] = {}
_URI, _EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"


class ActiveRun:
    """One run as MLflow's active run of this thread, with the process pointed at its store meanwhile.

    MLflow's tracking address is one for the process: if runs of two stores or experiments are under way at once, only
    those of the first are active for MLflow.

    Parameters
    ----------
    uri
        The store's address.
    experiment_id
        The experiment; nested runs go there, too.
    run_id
        The run.
    """

    def __init__(self, uri: str, experiment_id: str, run_id: str) -> None:
        self.place = (uri, experiment_id)
        self.run_id = run_id
        self.entered = False

    def enter(self) -> None:
        """Make the run active, unless MLflow is busy with another store or experiment."""
        import mlflow
        from mlflow.exceptions import MlflowException

        if not _point_to(self.place):
            return
        try:
            mlflow.start_run(run_id=self.run_id, nested=True)
            self.entered = True
        except BaseException as error:
            _point_back(self.place)
            if not isinstance(error, MlflowException):
                raise

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
            _point_back(self.place)


def _point_to(place: tuple[str, str]) -> bool:
    mlflow = _mlflow()
    with _lock:
        if _users and place not in _users:
            return False
        if not _users:
            _before.update({name: os.environ.get(name) for name in (_URI, _EXPERIMENT)})
            _before["uri"] = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
            mlflow.set_tracking_uri(place[0])
            os.environ[_EXPERIMENT] = place[1]
        _users[place] = _users.get(place, 0) + 1
        return True


def _point_back(place: tuple[str, str]) -> None:
    mlflow = _mlflow()
    with _lock:
        _users[place] -= 1
        if _users[place]:
            return
        del _users[place]
        set_by_variable = _before["uri"] is not None and _before["uri"] == _before[_URI]
        mlflow.set_tracking_uri(None if set_by_variable else _before["uri"])
        for name in (_URI, _EXPERIMENT):
            value = _before[name]
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _mlflow() -> Any:
    """Return MLflow as the partly untyped library that it is."""
    import mlflow

    return mlflow
