"""A run: one execution of an operation in MLflow, ended properly whatever happens to it."""

import json
import math
import signal
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from modelyard.data.sources import DatasetSource
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations.errors import Terminated
from modelyard.projects.locks import locked
from modelyard.tracking.active import ActiveRun
from modelyard.tracking.connection import border
from modelyard.tracking.datasets import dataset_input
from modelyard.tracking.errors import RunSuperseded
from modelyard.tracking.models import LoggedModelInfo, ModelFacts, ModelParts, store_model
from modelyard.tracking.tags import SUPERSEDED_BY
from modelyard.tracking.translation import speaking

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["LOCK_SECONDS", "Terminated", "TrackedRun"]

LOCK_SECONDS = 60.0


class TrackedRun:
    """A run under way, as a context: FINISHED at its end, FAILED on an error, KILLED when it is told to stop.

    Meanwhile it is MLflow's active run of the thread: what a project's function records by ``mlflow.log_metric`` or
    by autologging lands in it.

    Parameters
    ----------
    client
        A client of the store.
    uri
        The store's address.
    run
        The MLflow run, already made.
    lock_file
        The lock under which the attempts at one piece of work agree on who finishes it; None without a key.
    """

    def __init__(self, client: "MlflowClient", uri: str, run: Any, lock_file: Path | None) -> None:
        self.client = client
        self.uri = uri
        self.run = run
        self._lock_file = lock_file
        self._handler: Any = None
        self._active = ActiveRun(uri, self.experiment_id, self.run_id)

    @property
    def run_id(self) -> str:
        """MLflow's identifier of the run."""
        return str(self.run.info.run_id)

    @property
    def experiment_id(self) -> str:
        """MLflow's identifier of the experiment that the run is in."""
        return str(self.run.info.experiment_id)

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            self._handler = signal.signal(signal.SIGTERM, _terminate)
        try:
            with speaking(self.uri):
                self._active.enter()
        except BaseException as error:  # nobody leaves what was not entered
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, trace
        try:
            self._end(error)
        finally:
            self._active.forget()
            if self._handler is not None:
                signal.signal(signal.SIGTERM, self._handler)

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            self._finish()
            return
        try:
            self._close(_status_of(error))
        except ModelyardError as problem:
            error.add_note(f"The run {self.run_id} could not be closed: {problem}")

    @border
    def _finish(self) -> None:
        if self._lock_file is None:
            self._active.leave(self.client, "FINISHED")
            return
        with locked(self._lock_file, f"ending run {self.run_id}", timeout=LOCK_SECONDS):
            later = self.client.get_run(self.run_id).data.tags.get(SUPERSEDED_BY, "")
            self._active.leave(self.client, "KILLED" if later else "FINISHED")
            if later:
                raise RunSuperseded(self.run_id, later)

    @border
    def _close(self, status: str) -> None:
        self._active.leave(self.client, status)

    # --- what a run records -------------------------------------------------------------------------------------------

    @border
    def log_params(self, parameters: Mapping[str, Any]) -> None:
        """Record parameters; nested mappings become dotted names, other values JSON."""
        from mlflow.entities import Param

        flat = [Param(name, value) for name, value in _flat(parameters)]
        for start in range(0, len(flat), 100):
            self.client.log_batch(self.run_id, params=flat[start : start + 100])

    @border
    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0, model_id: str = "") -> None:
        """Record metrics.

        Parameters
        ----------
        metrics
            Name → value.
        step
            The iteration, for metrics that make a curve.
        model_id
            The logged model that they are about, if any; they then also show on the model's page.
        """
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        listed = [
            Metric(name, float(value), now, step, model_id=model_id or None, run_id=self.run_id)
            for name, value in metrics.items()
        ]
        for start in range(0, len(listed), 1000):
            self.client.log_batch(self.run_id, metrics=listed[start : start + 1000])

    @border
    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags on the run."""
        from mlflow.entities import RunTag

        self.client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    @border
    def log_dataset(self, source: DatasetSource, context: str) -> None:
        """Record that the run used this data.

        Parameters
        ----------
        source
            URI, rows, schema and content hash of the data.
        context
            What for: ``training``, ``validation``, ``evaluation``.
        """
        self.client.log_inputs(self.run_id, datasets=[dataset_input(source, context)])

    @border
    def log_model_input(self, model_id: str) -> None:
        """Record that the run used this logged model, as an evaluation does."""
        from mlflow.entities import LoggedModelInput

        self.client.log_inputs(self.run_id, models=[LoggedModelInput(model_id)])

    @border
    def log_artifact(self, content: Path | str | bytes, path: str = "") -> None:
        """Store a file or a folder, or text or bytes as a file, among the run's artifacts.

        Parameters
        ----------
        content
            A path to copy, or the content itself.
        path
            Where among the artifacts; for text and bytes with the file's name.
        """
        if isinstance(content, Path):
            if content.is_dir():
                self.client.log_artifacts(self.run_id, str(content), path or content.name)
            else:
                self.client.log_artifact(self.run_id, str(content), path or None)
            return
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / Path(path).name
            file.write_bytes(content.encode() if isinstance(content, str) else content)
            folder = str(Path(path).parent)
            self.client.log_artifact(self.run_id, str(file), None if folder == "." else folder)

    @border
    def log_figure(self, figure: Any, path: str) -> None:
        """Store a matplotlib figure; the name's ending says the format."""
        self.client.log_figure(self.run_id, figure, path)

    @border
    def log_model(
        self,
        model: Any,
        *,
        facts: ModelFacts | None = None,
        input_example: Any = None,
        requirements: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        name: str = "model",
    ) -> LoggedModelInfo:
        """Store a model in the run, with all that loading and serving it will ask for.

        Parameters
        ----------
        model
            An estimator that follows scikit-learn, an `mlflow.pyfunc.PythonModel`, or a model of another flavour.
        facts
            Its columns, task and classes; they make the signature and travel as the model's metadata.
        input_example
            Some rows as a model gets them: an Arrow table, a NumPy matrix or a pandas frame.
        requirements
            Requirements to add to those found from what the model's pickle names.
        metadata
            More to say about the model, say the stamp of the code.
        name
            Its name within the run.

        Raises
        ------
        ModelNotLoggable
            It is no model, or cannot be pickled.
        """
        parts = ModelParts(model, name, facts or ModelFacts(), input_example, requirements, metadata or {})
        with tempfile.TemporaryDirectory(prefix="modelyard-model-") as scratch:
            return store_model(self.client, self.run, parts, Path(scratch))


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Terminated


def _status_of(error: BaseException) -> str:
    cancelled = isinstance(error, ModelyardError) and error.error_kind is ErrorKind.CANCELLED
    stopped = not isinstance(error, Exception) or isinstance(error, RunSuperseded)
    return "KILLED" if cancelled or stopped else "FAILED"


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value if isinstance(value, str) else _json(value)))
    return found


def _json(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, default=str, ensure_ascii=False)
