"""The sensor of runs on a KFP server; it needs no kfp."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue, conf
from airflow.sdk.exceptions import AirflowFailException

from modelyard.errors import ModelyardError
from modelyard.operations.states import RunState
from modelyard.operators.airflow.arguments import Templated
from modelyard.operators.airflow.pipeline_server import server_of
from modelyard.operators.airflow.place import text_of
from modelyard.operators.airflow.values import check_texts

__all__ = ["PipelineRunSensor"]

_SERVER = ("conn_id", "endpoint", "namespace")


class PipelineRunSensor(BaseSensorOperator):
    """Wait until a run on a KFP server has succeeded; publish its ``run_id``, ``state``, ``url`` and ``tasks``.

    A run that fails or is ended fails the task at once; a server that does not answer is waited for. The sensor does
    not end the run.

    Parameters
    ----------
    run_id
        The run, as `modelyard.operators.airflow.pipeline_run.PipelineRunOperator` publishes it.
    conn_id, endpoint, namespace
        The server; as for that operator.
    deferrable
        Wait in Airflow's triggerer. By default what Airflow's ``[operators] default_deferrable`` says.
    **kwargs
        Whatever Airflow's BaseSensorOperator takes, such as ``poke_interval``, ``timeout``, ``mode``.
    """

    template_fields: Collection[str] = ("run_id", *_SERVER)
    ui_color: str = "#e8f1f2"

    def __init__(
        self,
        *,
        run_id: Templated[str],
        conn_id: Templated[str] = "",
        endpoint: Templated[str] = "",
        namespace: Templated[str] = "",
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.conn_id = conn_id
        self.endpoint = endpoint
        self.namespace = namespace
        default = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = default if deferrable is None else deferrable
        check_texts(self, "run_id", required=True)
        check_texts(self, *_SERVER)

    def execute(self, context: Context) -> Any:
        """Look until the run has ended; or once, and have the triggerer look from then on."""
        if not self.deferrable:
            return super().execute(context)
        if found := self.poke(context):
            return found.xcom_value
        return self._defer()

    def _defer(self) -> NoReturn:
        from modelyard.operators.airflow.pipeline_trigger import PipelineRunTrigger

        place: dict[str, Any] = {name: text_of(getattr(self, name)) for name in _SERVER}
        trigger = PipelineRunTrigger(text_of(self.run_id), **place, interval=self.poke_interval, ends_run=False)
        self.defer(trigger=trigger, timeout=timedelta(seconds=self.timeout), method_name="execute_complete")

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Publish how the run has ended that the triggerer has followed; raises as `poke`."""
        if "error" in event:
            raise AirflowFailException(event["error"])
        return self.poke(context).xcom_value

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once.

        Raises
        ------
        AirflowFailException
            The run has failed, or waiting would not help.
        """
        del context
        from modelyard.operators.kfp.api_errors import RunFailed

        try:
            api = server_of(text_of(self.conn_id), text_of(self.endpoint), text_of(self.namespace))
            run = api.run(text_of(self.run_id))
            if run.state.finished and run.state is not RunState.SUCCEEDED:
                raise RunFailed(run.run_id, run.state, run.message)
        except ModelyardError as error:
            if error.outcome.retry:
                return PokeReturnValue(is_done=False)
            raise AirflowFailException(str(error)) from error
        url, tasks = api.page(run.run_id), dict(run.tasks)
        told = {"run_id": run.run_id, "state": str(run.state), "url": url, "tasks": tasks}
        return PokeReturnValue(is_done=run.state is RunState.SUCCEEDED, xcom_value=told)
