"""What all operators do: carry parameters to an operation, follow the work, publish its result."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Unpack, cast, get_args

from airflow.sdk import BaseOperator, BaseXCom, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from modelyard.errors import ModelyardError
from modelyard.operations import ParameterInvalid, ParameterType
from modelyard.operators.airflow.arguments import LauncherName, TaskArguments, Templated
from modelyard.operators.airflow.masking import Mask, mask_of
from modelyard.operators.airflow.outputs import TaskOutput
from modelyard.operators.airflow.values import is_template, keep_type, plain
from modelyard.operators.airflow.work import Work

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
    retried as the task's ``retries`` say.

    Parameters
    ----------
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
    **kwargs
        Whatever Airflow's BaseOperator takes.
    """

    operation_name: ClassVar[str] = ""
    result_fields: ClassVar[tuple[str, ...]] = ()
    template_fields: Collection[str] = ("project", "environment", "key", "python")
    ui_color: str = "#e8f1f2"

    def __init__(
        self,
        *,
        project: Templated[str] | None = None,
        environment: Templated[str] = "",
        key: Templated[str] = DEFAULT_KEY,
        launcher: LauncherName = "process",
        python: Templated[str] = "",
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        # A field that is None counts as missing in XCom: with this a later task that asks for it gets None.
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        if launcher not in get_args(LauncherName):
            raise ParameterInvalid("launcher", f"one of {', '.join(get_args(LauncherName))}", launcher)
        self.project = project
        self.environment = environment
        self.key = key
        self.launcher = launcher
        self.python = python
        self._work: Work | None = None

    @property
    def output(self) -> TaskOutput:
        """The task's result, for the arguments of later tasks: whole, or a field of it as ``output["model"]``."""
        return TaskOutput(operator=self)

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """Render as Airflow does, with two differences.

        A text without any mark of Jinja stays exactly as it is: Jinja would take away its last newline, and with
        ``render_template_as_native_obj`` make a number of "2024". A text that is one expression and nothing else keeps
        the type of its value where the operation does not take text: ``{"depth": "{{ params.depth }}"}`` is a number.
        """
        if not isinstance(content, str) or jinja_env is None:
            return super().render_template(content, context, jinja_env, seen_oids)
        if not is_template(content, jinja_env):
            return content
        render = super().render_template
        return keep_type(content, lambda text, env: render(text, context, env, seen_oids), jinja_env)

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the work or attach to it, follow it to its end, publish its result, acknowledge its key.

        Raises
        ------
        AirflowFailException
            The operation failed, and the same input would fail again.
        AirflowException
            The operation failed for a reason that may pass.
        """
        facts = cast("Mapping[str, Any]", context)
        mask, work = Mask(), Work(inline=self.launcher == "inline")
        self._work = work
        try:
            # Imported here: a DAG file is read many times a minute and needs none of it.
            from modelyard.projects import open_project

            project = open_project(located(_text(self.project), Path(facts["dag"].fileloc).parent))
            mask = mask_of(project.environment(_text(self.environment)).secrets)
            return self._done(facts["ti"], project.reference, work, mask)
        except ModelyardError as error:
            raise self.failure(context, error, mask, killed=work.killed) from error.__cause__

    def _done(self, ti: Any, project: str, work: Work, mask: Mask) -> dict[str, Any]:
        from modelyard.operations.catalogue import load_catalogue
        from modelyard.projects.dispatch import acknowledge, dispatch

        spec = load_catalogue().spec(self.operation_name)
        parameters = {each.name: plain(getattr(self, each.name), each.type) for each in spec.parameters}
        index = f"[{ti.map_index}]" if ti.map_index is not None and ti.map_index >= 0 else ""
        environment = _text(self.environment)
        with work.following():
            done = dispatch(
                self.operation_name,
                parameters,
                project=project,
                environment=environment,
                key=f"{_text(self.key)}{index}",
                workflow_run=f"{ti.dag_id}/{ti.run_id}",
                step=f"{ti.task_id}{index}",
                launcher=self.launcher,
                python=_text(self.python),
                on_start=work.started,
                on_log=lambda line: self._tell(mask.hide(line)),
            )
        result: dict[str, Any] = mask.hide(done.result)
        if self.do_xcom_push:
            self._publish(ti, result)
        acknowledge(done.key, project=project, environment=environment, generation=done.generation)
        return result

    def _tell(self, line: str) -> None:
        self.log.info(line)

    def _publish(self, ti: Any, result: Mapping[str, Any]) -> None:
        """Push the result before its key is acknowledged: where that fails, the next try finds the result again."""
        for name, value in result.items():
            ti.xcom_push(name, value)
        ti.xcom_push(BaseXCom.XCOM_RETURN_KEY, result)

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
        final = not error.outcome.retry and not killed
        return (AirflowFailException if final else AirflowException)(mask.hide(str(error)))

    def on_kill(self) -> None:
        """End the work and all its processes."""
        if self._work is not None:
            self._work.end()


def _text(field: Any) -> str:
    value = plain(field, ParameterType("string"))
    return "" if value is None else str(value)


def located(project: str, folder: Path) -> str:
    """Return a project reference, a relative path taken from the folder of the DAG file.

    Examples
    --------
    >>> located("../flights", Path("/dags")), located("git+https://host/flights@main", Path("/dags"))
    ('/dags/../flights', 'git+https://host/flights@main')
    """
    if project.startswith("git+") or "://" in project:
        return project
    return str(folder / project)
