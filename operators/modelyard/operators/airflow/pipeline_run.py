"""The operator that starts a run on a KFP server and follows it; it needs no kfp."""

import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Unpack, cast

from airflow.sdk import BaseOperator, BaseOperatorLink, BaseXCom, Context, conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from modelyard.errors import ModelyardError
from modelyard.operations import ParameterInvalid, ParameterType
from modelyard.operations.states import RunState
from modelyard.operators.airflow.arguments import TaskArguments, Templated
from modelyard.operators.airflow.outputs import publish
from modelyard.operators.airflow.pipeline_server import server_of
from modelyard.operators.airflow.place import text_of
from modelyard.operators.airflow.values import check_fields, check_texts, plain, render_typed

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

    from modelyard.operators.kfp.api import KfpApi, PipelineRun

__all__ = ["PipelineRunLink", "PipelineRunOperator"]

_SERVER = ("conn_id", "endpoint", "namespace")
_RECORD = "modelyard_pipeline_run"
"""Under this name the task state store has the run that a try has started, and that the next one attaches to."""


class PipelineRunLink(BaseOperatorLink):
    """Leads to KFP's page of the run that a task has started."""

    @property
    def name(self) -> str:
        """What the button says."""
        return "Pipeline run"

    def get_link(self, operator: BaseOperator, *, ti_key: "TaskInstanceKey") -> str:
        """Return the page's address, as the task has published it; nothing if it has not."""
        del operator
        key: Any = ti_key  # a frozen key is none of the protocol's, which Airflow's own links pass over, too
        return str(BaseXCom.get_value(ti_key=key, key="url") or "")


class PipelineRunOperator(BaseOperator):
    """Start a run on a KFP server, and follow it to its end; needs no kfp.

    It publishes ``run_id``, ``state``, ``url`` and ``tasks`` (the state of each task by its name), whole and each by
    its name. The run's id is published as soon as it is known.

    What was started is written down in Airflow's task state store before it is waited for: where a worker dies, the
    next try attaches to the run, and takes the end of one that has ended meanwhile well. Clearing a succeeded task
    starts another run. Killing the task, marking it, and its ``execution_timeout`` end the run. A server that is away
    for less than two minutes fails nobody.

    Where the run fails, the task fails, and its ``retries`` start another run. What the same input would bring back
    (an argument that does not fit, a pipeline that is not there, no right), and a run that somebody has ended in KFP,
    fail the task at once.

    Parameters
    ----------
    package
        A compiled pipeline: a YAML file, relative to the folder of the DAG file; read when the task runs.
    pipeline
        Instead of a package: the name of a pipeline on the server. With a package: the pipeline, made if need be, of
        which the package is uploaded as `version`, unless it has that version already.
    version
        The version of `pipeline`; the newest if empty.
    arguments
        The pipeline's parameters, by name. They are checked before anything is sent, and text is read by the declared
        types; what KFP would bend arrives unbent in pipelines made of workflows, and is refused in others.
    name
        What people see in KFP; a few characters are added that tell this run from others.
    experiment
        The name of an experiment, made if need be; the server's default if empty.
    service_account
        Under which pods run.
    pipeline_root
        Where artifacts go; the server's default if empty.
    conn_id, endpoint, namespace
        The server: an Airflow connection, or its address (else the worker's KF_PIPELINES_ENDPOINT) and the namespace.
    wait_for_completion
        Whether to follow the run; else see `modelyard.operators.airflow.pipeline_sensor.PipelineRunSensor`.
    deferrable
        Free the worker while the run goes on. By default what Airflow's ``[operators] default_deferrable`` says.
    poll_interval
        Seconds between two looks.
    **kwargs
        Whatever Airflow's BaseOperator takes.

    Raises
    ------
    ParameterInvalid
        Neither `package` nor `pipeline` is given, or both without a `version`, or what is written out is of another
        type.
    """

    template_fields: Collection[str] = (
        "package",
        "pipeline",
        "version",
        "arguments",
        "name",
        "experiment",
        "service_account",
        "pipeline_root",
        *_SERVER,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"arguments": "json"}
    operator_extra_links: Collection[BaseOperatorLink] = (PipelineRunLink(),)
    ui_color: str = "#e8f1f2"

    def __init__(
        self,
        *,
        package: Templated[str] = "",
        pipeline: Templated[str] = "",
        version: Templated[str] = "",
        arguments: Templated[Mapping[str, Any]] | None = None,
        name: Templated[str] = "{{ ti.dag_id }} {{ ti.run_id }} {{ ti.task_id }}",
        experiment: Templated[str] = "",
        service_account: Templated[str] = "",
        pipeline_root: Templated[str] = "",
        conn_id: Templated[str] = "",
        endpoint: Templated[str] = "",
        namespace: Templated[str] = "",
        wait_for_completion: bool = True,
        deferrable: bool | None = None,
        poll_interval: float = 15.0,
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        if not package and not pipeline:
            raise ParameterInvalid("package", "given, or else pipeline", package)
        if package and pipeline and not version:
            raise ParameterInvalid("version", "given, where package is to be a version of pipeline", version)
        self.package = package
        self.pipeline = pipeline
        self.version = version
        self.arguments = {} if arguments is None else arguments
        self.name = name
        self.experiment = experiment
        self.service_account = service_account
        self.pipeline_root = pipeline_root
        self.conn_id = conn_id
        self.endpoint = endpoint
        self.namespace = namespace
        self.wait_for_completion = wait_for_completion
        default = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = default if deferrable is None else deferrable
        self.poll_interval = poll_interval
        self._running: tuple[KfpApi, str] | None = None
        self._killed = False
        check_texts(self, *(name for name in self.template_fields if name != "arguments"))
        check_fields(self, {"arguments": ParameterType("mapping")})
        if isinstance(poll_interval, bool) or not isinstance(poll_interval, int | float) or poll_interval <= 0:
            raise ParameterInvalid("poll_interval", "more than 0 seconds", poll_interval)

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """Render a field: see `modelyard.operators.airflow.values.render_typed`."""
        return render_typed(super().render_template, content, context, jinja_env, seen_oids)

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the run or attach to it, and follow it to its end.

        Raises
        ------
        AirflowFailException
            It cannot be started, or somebody has ended it.
        AirflowException
            The run failed, or the server did not answer.
        TaskDeferred
            The run is under way, and the triggerer is to follow it.
        """
        try:
            api = server_of(text_of(self.conn_id), text_of(self.endpoint), text_of(self.namespace))
            run = self._started(context, api)
            if not self.wait_for_completion:
                result = self._published(context, api, run)
                _forget(context)
                return result
            if self.deferrable and not run.state.finished:
                self._defer(run.run_id)
            return self._ended(context, api, self._followed(api, run))
        except ModelyardError as error:
            raise self._failure(error) from error

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Publish how the run has ended that the triggerer has followed; raises as `execute`."""
        if event.get("timed_out"):
            _forget(context)
            raise AirflowException(f"the execution_timeout of {self.execution_timeout} is over; the run was ended")
        if "error" in event:
            raise (AirflowException if event.get("retry") else AirflowFailException)(event["error"])
        try:
            api = server_of(text_of(self.conn_id), text_of(self.endpoint), text_of(self.namespace))
            return self._ended(context, api, self._followed(api, api.run(event["run_id"])))
        except ModelyardError as error:
            raise self._failure(error) from error

    def on_kill(self) -> None:
        """End the run; Airflow calls it, too, when the ``execution_timeout`` is over."""
        self._killed = True
        if self._running is not None:
            self._end(*self._running)

    def _end(self, api: "KfpApi", run_id: str) -> None:
        self.log.info("The run %s is ended with its task.", run_id)
        try:
            api.terminate(run_id)
        except ModelyardError as error:
            # It may have ended by itself a moment ago, which a server refuses to end once more.
            self.log.warning("%s", error)

    def _started(self, context: Context, api: "KfpApi") -> "PipelineRun":
        store = _store(context)
        record = store.get(_RECORD) or {}
        found = self._recorded(api, record)
        if found is None:
            pipeline = self._pipeline(context, api)
            record = {"name": f"{text_of(self.name)} {uuid.uuid4().hex[:8]}"}
            # Before the run is started: a worker that dies in between leaves its name, by which it is found.
            store.set(_RECORD, record)
            found = self._start(api, pipeline, record["name"])
            self.log.info("Started %s", api.page(found.run_id))
        else:
            self.log.info("Going on with %s, which an earlier try has started", api.page(found.run_id))
        store.set(_RECORD, {**record, "run_id": found.run_id})
        self._running = (api, found.run_id)
        if self._killed:
            self._end(*self._running)
        ti = cast("Mapping[str, Any]", context)["ti"]
        ti.xcom_push("run_id", found.run_id)
        ti.xcom_push("url", api.page(found.run_id))
        return found

    def _recorded(self, api: "KfpApi", record: Mapping[str, Any]) -> "PipelineRun | None":
        """Return the run that an earlier try has started, unless it has failed or is being ended."""
        if not record:
            return None
        run = api.run(record["run_id"]) if "run_id" in record else api.find_run(record["name"])
        if run is None or run.phase == "CANCELING" or run.state in (RunState.FAILED, RunState.CANCELLED):
            return None
        return run

    def _pipeline(self, context: Context, api: "KfpApi") -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what runs as the server takes it, and its definition."""
        from modelyard.operators.kfp.api import pipeline_document
        from modelyard.operators.kfp.api_errors import PipelineNotFound

        name, version = text_of(self.pipeline), text_of(self.version)
        if not text_of(self.package):
            pipeline_id = api.find_pipeline(name)
            if not pipeline_id:
                raise PipelineNotFound(api.endpoint, name)
            version_id, definition = api.find_version(pipeline_id, version)
            return {"pipeline_id": pipeline_id, "pipeline_version_id": version_id}, definition
        package = Path(cast("Mapping[str, Any]", context)["dag"].fileloc).parent / text_of(self.package)
        document = pipeline_document(package)
        if not name:
            return document, document
        pipeline_id = api.create_pipeline(name)
        return {
            "pipeline_id": pipeline_id,
            "pipeline_version_id": _version(api, pipeline_id, version, package),
        }, document

    def _start(self, api: "KfpApi", pipeline: tuple[dict[str, Any], dict[str, Any]], name: str) -> "PipelineRun":
        from modelyard.operators.kfp.run_arguments import run_arguments

        what, definition = pipeline
        arguments = run_arguments(definition, plain(self.arguments))
        experiment = text_of(self.experiment)
        run_id = api.start_run(
            name,
            what,
            arguments=arguments,
            experiment=api.experiment(experiment) if experiment else "",
            service_account=text_of(self.service_account),
            pipeline_root=text_of(self.pipeline_root),
        )
        return api.run(run_id)

    def _defer(self, run_id: str) -> NoReturn:
        from modelyard.operators.airflow.pipeline_trigger import PipelineRunTrigger

        deadline = None if self.execution_timeout is None else time.time() + self.execution_timeout.total_seconds()
        place: dict[str, Any] = {name: text_of(getattr(self, name)) for name in _SERVER}
        trigger = PipelineRunTrigger(run_id, **place, interval=self.poll_interval, deadline=deadline)
        self.defer(trigger=trigger, method_name="execute_complete")

    def _followed(self, api: "KfpApi", run: "PipelineRun") -> "PipelineRun":
        from modelyard.operators.kfp.run_watch import RunWatch

        self._running = (api, run.run_id)
        watch, seen = RunWatch(api, run.run_id), run
        while not seen.state.finished:
            time.sleep(self.poll_interval)
            now = watch.look() or seen
            if now != seen:
                self.log.info("%s: %s %s", now.run_id, now.state, dict(now.tasks))
            seen = now
        return seen

    def _ended(self, context: Context, api: "KfpApi", run: "PipelineRun") -> dict[str, Any]:
        from modelyard.operators.kfp.api_errors import RunFailed

        if run.state is RunState.SUCCEEDED:
            result = self._published(context, api, run)
            # Only now: where publishing fails, the next try takes the end of the same run.
            _forget(context)
            return result
        _forget(context)
        raise RunFailed(run.run_id, run.state, run.message)

    def _published(self, context: Context, api: "KfpApi", run: "PipelineRun") -> dict[str, Any]:
        result = {
            "run_id": run.run_id,
            "state": str(run.state),
            "url": api.page(run.run_id),
            "tasks": dict(run.tasks),
        }
        if self.do_xcom_push:
            publish(cast("Mapping[str, Any]", context)["ti"], result, result)
        return result

    def _failure(self, error: ModelyardError) -> AirflowException:
        from modelyard.operators.kfp.api_errors import RunFailed

        failed = isinstance(error, RunFailed) and error.state is not RunState.CANCELLED
        final = not (failed or error.outcome.retry or self._killed)
        return (AirflowFailException if final else AirflowException)(str(error))


def _store(context: Context) -> Any:
    return cast("Mapping[str, Any]", context)["task_state_store"]


def _forget(context: Context) -> None:
    _store(context).delete(_RECORD)


def _version(api: "KfpApi", pipeline_id: str, version: str, package: Path) -> str:
    """Return the id of a pipeline's version; uploaded unless it is there."""
    from modelyard.operators.kfp.api_errors import VersionNotFound

    try:
        return api.find_version(pipeline_id, version)[0]
    except VersionNotFound:
        return api.upload_version(package, pipeline_id, version)
