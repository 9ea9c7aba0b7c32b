"""What all operators do: carry parameters to an operation, follow the work, publish its result."""

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Unpack, cast, get_args

from airflow.sdk import BaseOperator, Context, conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from modelyard.airflow.lineage import WorkFacts
from modelyard.airflow.retrying import KindRetryPolicy, WorkFailed
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.operations import ParameterInvalid
from modelyard.operators.airflow.arguments import LauncherName, TaskArguments, Templated
from modelyard.operators.airflow.errors import NumberTooLarge
from modelyard.operators.airflow.masking import Mask, mask_of
from modelyard.operators.airflow.outlets import declared_outlets, tell_outlets
from modelyard.operators.airflow.outputs import TaskOutput, publish, started_facts
from modelyard.operators.airflow.place import Place, connection_settings, place_of, text_of
from modelyard.operators.airflow.traces import Ended, asked_of, done_by, tried_by
from modelyard.operators.airflow.values import check_fields, check_texts, plain, render_typed
from modelyard.operators.airflow.work import Work, handle_facts, handle_from, is_finished
from modelyard.operators.airflow.work_facts import metrics_behind, work_facts

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from modelyard.operations.handles import Handle
    from modelyard.projects.dispatch import Completed

__all__ = ["DEFAULT_KEY", "OperationOperator", "Templated"]

DEFAULT_KEY = "{{ ti.dag_id }}/{{ ti.run_id }}/{{ ti.task_id }}"
"""Names a task's work; without the try number, so that a retry attaches. The map index is added to any key."""


class OperationOperator(BaseOperator):
    """Base of all operators: runs one operation of a project and publishes its result.

    The work runs in a process of its own, in an interpreter that needs no Airflow, on a snapshot of the project. It
    outlives the death of the Airflow worker: the retry finds it by its key and attaches. Its log lines appear in the
    task's log as they are written. Killing the task, and its ``execution_timeout``, end the work and all its processes.

    The result, references and numbers only, goes to XCom whole and each of its fields by its name; then the key is
    acknowledged, so that clearing the succeeded task does the work anew.

    An error that would come back with the same input fails the task at once (AirflowFailException); others are
    retried as the task's ``retries`` say, and its ``retry_policy``: see `modelyard.airflow.retrying`.

    Parameters
    ----------
    conn_id
        An Airflow connection of the type ``modelyard``, which gives what the task does not say itself: project,
        environment, interpreter and deployment target, and the tracking server and secrets. By default none.
    project
        The project: a path, relative to the folder of the DAG file, or ``git+URL@ref#subfolder``. By default the folder
        of the DAG file, where the nearest ``modelyard.yaml`` upwards counts; found when the task runs.
    environment
        The environment of ``modelyard.yaml``; by default the worker's MODELYARD_ENVIRONMENT, or the project's first.
    key
        Names this piece of work; by default made of DAG, run and task. A mapped task's index is always added.
    launcher
        ``process``, or ``inline`` for work in the task's own process (which then needs its libraries).
    python
        The interpreter of the process; by default that of the function, where ``modelyard.yaml`` gives it requirements
        or an interpreter, else the worker's MODELYARD_PYTHON, else the environment's ``python``, else Airflow's own.
    deferrable
        Free the worker while the work goes on, which the triggerer then follows; only with `same_host`. By default what
        Airflow's ``[operators] default_deferrable`` says, where `same_host` is true.
    same_host
        Say that Airflow's workers and its triggerer are on one host, and in one container if any: a process can be
        followed and ended from its own host alone.
    wait_for_completion
        Whether to wait for the end of the work. Without, the task has succeeded when the work is under way, publishes
        where that is, and brings no asset forth: `modelyard.operators.airflow.work_sensor.WorkSensor` waits for it.
    **kwargs
        Whatever Airflow's BaseOperator takes.
    """

    operation_name: ClassVar[str] = ""
    result_fields: ClassVar[tuple[str, ...]] = ()
    template_fields: Collection[str] = ("conn_id", "project", "environment", "key", "python")
    ui_color: str = "#e8f1f2"

    def __init__(
        self,
        *,
        conn_id: Templated[str] = "",
        project: Templated[str] | None = None,
        environment: Templated[str] = "",
        key: Templated[str] = DEFAULT_KEY,
        launcher: LauncherName = "process",
        python: Templated[str] = "",
        deferrable: bool | None = None,
        same_host: bool = False,
        wait_for_completion: bool = True,
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        # A field that is None counts as missing in XCom: with this a later task that asks for it gets None.
        kwargs.setdefault("multiple_outputs", True)
        self._outlets: list[Any] = []
        self._finds_outlets = kwargs.get("outlets") is None and wait_for_completion
        super().__init__(**kwargs)
        for name, value in {"same_host": same_host, "wait_for_completion": wait_for_completion}.items():
            if not isinstance(value, bool):
                raise ParameterInvalid(name, "true or false", value)
        if not wait_for_completion and launcher != "process":
            raise ParameterInvalid("wait_for_completion", "true, unless the launcher is process", wait_for_completion)
        if launcher not in get_args(LauncherName):
            raise ParameterInvalid("launcher", f"one of {', '.join(get_args(LauncherName))}", launcher)
        self.conn_id = conn_id
        self.project = project
        self.environment = environment
        self.key = key
        self.launcher = launcher
        self.python = python
        self.deferrable = _is_deferrable(deferrable, launcher, same_host=same_host)
        self.same_host = same_host
        self.wait_for_completion = wait_for_completion
        self.tracking = ""
        self._work: Work | None = None
        self._ended: Ended | None = None
        check_texts(self, *OperationOperator.template_fields)

    def _check_parameters(self) -> None:
        """Refuse, while the DAG file is read, what the operation would refuse in every run.

        Raises
        ------
        ParameterInvalid
            A field that is written out is not of its type.
        """
        from modelyard.operations.catalogue import load_catalogue

        check_fields(self, {each.name: each.type for each in load_catalogue().spec(self.operation_name).parameters})

    @property
    def outlets(self) -> list[Any]:
        """The assets that the task brings forth: those of the DAG file, or else what the fields say."""
        if not self._outlets and self._finds_outlets:
            self._outlets = declared_outlets(self)
            self._finds_outlets = False
        return self._outlets

    @outlets.setter
    def outlets(self, value: list[Any]) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Set the assets of the DAG file."""
        self._outlets = value

    @property
    def output(self) -> TaskOutput:
        """The task's result, for the arguments of later tasks: whole, or a field of it as ``output["model"]``."""
        return TaskOutput(operator=self)

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render all templated fields, once it is settled which outlets they mean as they are written."""
        _ = self.outlets
        super().render_template_fields(context, jinja_env)

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """Render a field: see `modelyard.operators.airflow.values.render_typed`."""
        return render_typed(super().render_template, content, context, jinja_env, seen_oids)

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the work or attach to it, follow it to its end, publish its result, acknowledge its key.

        Raises
        ------
        AirflowFailException
            The operation failed, and the same input would fail again.
        AirflowException
            The operation failed for a reason that may pass.
        TaskDeferred
            The work is under way, and the triggerer is to follow it.
        """
        self._work = work = Work(inline=self.launcher == "inline")
        return self._at_place(context, work, lambda place: self._start(context, place, work))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Publish the result of work that the triggerer has followed; raises as `execute`.

        Parameters
        ----------
        context
            Airflow's context of the task.
        event
            What the trigger says: the handle of the work, and how it ended.
        """
        self._work = work = Work(inline=False)
        handle = handle_from(event["handle"])
        # Before it is known which values are secret, the way to the work is: killing the task ends it from here on.
        work.started(handle)
        if event.get("timed_out"):
            message = f"the execution_timeout of {self.execution_timeout} is over; the work was ended"
            raise WorkFailed(message, ErrorKind.TIMEOUT)
        if event.get("unseen"):
            self.log.warning("The triggerer is not on the host of the work: this task waits for it here.")
        return self._at_place(context, work, lambda place: self._end(context, place, work, handle))

    def _at_place(self, context: Context, work: Work, act: Callable[[Place], dict[str, Any]]) -> dict[str, Any]:
        facts = cast("Mapping[str, Any]", context)
        mask = Mask()
        try:
            settings = connection_settings(text_of(self.conn_id))
            mask = mask_of(settings.hidden)
            with settings.in_effect():
                folder = Path(facts["dag"].fileloc).parent
                place = place_of(settings, text_of(self.project), text_of(self.environment), folder)
                mask, self.tracking = place.mask, place.tracking
                return act(place)
        except ModelyardError as error:
            raise self.failure(context, error, mask, killed=work.killed) from error.__cause__

    def _start(self, context: Context, place: Place, work: Work) -> dict[str, Any]:
        from modelyard.projects.dispatch import submit

        parameters = self._parameters(place)
        if not self.wait_for_completion:
            handle = submit(self.operation_name, parameters, **self._asked(context, place))
            work.started(handle)
            conn_id = text_of(self.conn_id)
            return started_facts(self.operation_name, handle_facts(handle), place.project, place.environment, conn_id)
        if self.deferrable:
            handle = submit(self.operation_name, parameters, **self._asked(context, place))
            work.started(handle)
            if not work.killed and not is_finished(handle):
                self._defer_to(handle)
            return self._end(context, place, work, handle)
        return self._published(context, place, self._dispatched(context, place, work, self.operation_name, parameters))

    def _dispatched(
        self,
        context: Context,
        place: Place,
        work: Work,
        operation: str,
        parameters: Mapping[str, Any],
        part: str = "",
    ) -> "Completed":
        """Do an operation as this task's work, or as a part of it that is named, and wait for its end."""
        from modelyard.projects.dispatch import dispatch

        with work.following():
            return dispatch(
                operation,
                parameters,
                launcher=self.launcher,
                on_start=work.started,
                on_log=lambda line: self._tell(place.mask.hide(line)),
                **self._asked(context, place, part),
            )

    def _asked(self, context: Context, place: Place, part: str = "") -> dict[str, Any]:
        ti = cast("Mapping[str, Any]", context)["ti"]
        index = f"[{ti.map_index}]" if ti.map_index is not None and ti.map_index >= 0 else ""
        return {
            "project": place.project,
            "environment": place.environment,
            "key": f"{text_of(self.key)}{part}{index}",
            "workflow_run": f"{ti.dag_id}/{ti.run_id}",
            "step": f"{ti.task_id}{index}",
            "python": text_of(self.python),
        }

    def _parameters(self, place: Place) -> dict[str, Any]:
        from modelyard.operations.catalogue import load_catalogue

        spec = load_catalogue().spec(self.operation_name)
        found = {each.name: plain(getattr(self, each.name), each.type) for each in spec.parameters}
        if place.deploy_target and found.get("target") == "":
            found["target"] = place.deploy_target
        return found

    def _defer_to(self, handle: "Handle") -> NoReturn:
        from modelyard.airflow.work_trigger import WorkTrigger

        deadline = None if self.execution_timeout is None else time.time() + self.execution_timeout.total_seconds()
        self.log.info("The work of %s goes on in %s; the triggerer follows it.", handle.key, handle.folder)
        self.defer(trigger=WorkTrigger(handle_facts(handle), deadline), method_name="execute_complete")

    def _end(self, context: Context, place: Place, work: Work, handle: "Handle") -> dict[str, Any]:
        from modelyard.operations.launchers.registry import launcher_of
        from modelyard.projects.dispatch import Completed

        launcher = launcher_of(handle)
        with work.following():
            launcher.wait(handle, lambda line: self._tell(place.mask.hide(line)))
            result = launcher.result(handle)
        return self._published(context, place, Completed(result, handle.key, handle.generation, handle))

    def _published(self, context: Context, place: Place, done: "Completed") -> dict[str, Any]:
        from modelyard.projects.dispatch import acknowledge

        result: dict[str, Any] = place.mask.hide(done.result)
        if self.do_xcom_push:
            self._publish(cast("Mapping[str, Any]", context)["ti"], done, result, result)
        self._tell_outlets(cast("Mapping[str, Any]", context), place, done, result)
        acknowledge(done)
        return result

    def _tell_outlets(
        self, context: Mapping[str, Any], place: Place, done: "Completed", result: dict[str, Any]
    ) -> None:
        told = result
        if self.outlets:
            facts = work_facts(self.operation_name, done.handle, project=place.project, environment=place.environment)
            told = {"metrics": dict(metrics_behind(self, context["ti"], result)), **result}
            tell_outlets(context["outlet_events"], self, told, facts.told)
        self._ended = Ended(place.project, done.handle, told)

    def _tell(self, line: str) -> None:
        self.log.info(line)

    @staticmethod
    def _publish(ti: Any, done: "Completed", value: Any, fields: Mapping[str, Any]) -> None:
        """Push the result before its key is acknowledged: where that fails, the next try finds the result again."""
        from modelyard.projects.dispatch import acknowledge

        try:
            publish(ti, value, fields)
        except NumberTooLarge:
            # No try could publish it; clearing the task, once the function is mended, shall do the work anew.
            acknowledge(done)
            raise

    def failure(self, context: Context, error: ModelyardError, mask: Mask, *, killed: bool) -> AirflowException:
        """Return what tells Airflow whether to try again.

        Parameters
        ----------
        context
            Airflow's context of the task.
        error
            What the operation failed with.
        mask
            Hides the project's secrets.
        killed
            Whether the task was ended from outside.
        """
        del context
        # A task that was ended from outside, because its pod is moved or its worker stops, may have another try.
        message, kind = mask.hide(str(error)), error.error_kind
        if killed:
            return AirflowException(message)
        asked = isinstance(self.retry_policy, KindRetryPolicy) and kind in self.retry_policy.delays
        return WorkFailed(message, kind) if error.outcome.retry or asked else AirflowFailException(message)

    def get_openlineage_facets_on_start(self) -> "OperatorLineage[Any, Any]":
        """Return what OpenLineage is told before the work: what the fields name, and the outlets."""
        return self._lineage(asked_of(self))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> "OperatorLineage[Any, Any]":
        """Return what OpenLineage is told of work that has succeeded: all that it read and made."""
        del task_instance
        return self._lineage(done_by(self, self._ended) if self._ended else asked_of(self))

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> "OperatorLineage[Any, Any]":
        """Return what OpenLineage is told of work that has failed: what it had read, and the outlets that it is for."""
        del task_instance
        return self._lineage(tried_by(self, self._work.handle if self._work else None))

    def _lineage(self, facts: WorkFacts) -> "OperatorLineage[Any, Any]":
        from modelyard.airflow.lineage_facets import operator_lineage

        return operator_lineage(facts, self.inlets, self.outlets)

    def on_kill(self) -> None:
        """End the work and all its processes."""
        if self._work is not None:
            self._work.end()


def _is_deferrable(deferrable: bool | None, launcher: str, *, same_host: bool) -> bool:
    """Return whether to defer.

    Raises
    ------
    ParameterInvalid
        It is asked for where nobody could follow the work.
    """
    possible = same_host and launcher == "process"
    if deferrable and not possible:
        rule = "false, unless the launcher is process and same_host says that the triggerer is on the workers' host"
        raise ParameterInvalid("deferrable", rule, deferrable)
    if deferrable is None:
        return possible and conf.getboolean("operators", "default_deferrable", fallback=False)
    return deferrable
