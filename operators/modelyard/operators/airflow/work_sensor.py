"""The sensor of work that another task has started and not waited for."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException

from modelyard.errors import ModelyardError
from modelyard.operations import ParameterInvalid, ParameterType
from modelyard.operators.airflow.masking import Mask
from modelyard.operators.airflow.outlets import tell_outlets
from modelyard.operators.airflow.outputs import STARTED_FIELDS, publish
from modelyard.operators.airflow.place import Place, connection_settings, place_of
from modelyard.operators.airflow.values import check_fields, plain
from modelyard.operators.airflow.work import handle_from, is_finished
from modelyard.operators.airflow.work_facts import work_facts

__all__ = ["WorkSensor"]


class WorkSensor(BaseSensorOperator):
    """Waits for the end of work that a task with ``wait_for_completion=False`` has started, and publishes its result.

    The result goes to XCom as that of the task itself would have, and its key is acknowledged. Work that has failed
    fails the sensor at once: only the task that started it can start it again. Ending the sensor leaves the work alone.

    It must run on the host of the work, as that is a process.

    Parameters
    ----------
    work
        The output of the task that has started it.
    **kwargs
        Whatever Airflow's BaseSensorOperator takes, such as ``mode="reschedule"``, ``poke_interval`` and ``timeout``.
    """

    template_fields: Collection[str] = ("work",)
    ui_color: str = "#e8f1f2"

    def __init__(self, *, work: Any, **kwargs: Any) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.work = work
        check_fields(self, {"work": ParameterType("mapping")})
        self.operation_name = ""

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Return the result if the work has ended.

        Raises
        ------
        AirflowFailException
            It has failed, is on another host, or there is no such work.
        """
        mask = Mask()
        try:
            work = plain(self.work)
            if not isinstance(work, Mapping) or set(STARTED_FIELDS) - set(work):
                raise ParameterInvalid("work", "the output of a task with wait_for_completion=False", work)
            settings = connection_settings(work["conn_id"])
            with settings.in_effect():
                place = place_of(settings, work["project"], work["environment"], Path())
                mask = place.mask
                return self._looked(cast("Mapping[str, Any]", context), place, work)
        except ModelyardError as error:
            raise AirflowFailException(mask.hide(str(error))) from error.__cause__

    def _looked(self, context: Mapping[str, Any], place: Place, work: Mapping[str, Any]) -> PokeReturnValue | bool:
        from modelyard.operations.handles import Sight
        from modelyard.operations.launchers.registry import launcher_of
        from modelyard.projects.dispatch import Completed, acknowledge

        handle = handle_from(work["handle"])
        if handle.sight() is Sight.HIDDEN:
            raise AirflowFailException(f"the work of {handle.key} is on {handle.host}, which cannot be seen from here")
        if not is_finished(handle):
            return False
        result = place.mask.hide(launcher_of(handle).result(handle))
        if self.do_xcom_push:
            publish(context["ti"], result, result)
        self.operation_name = work["operation"]
        facts = work_facts(self.operation_name, handle, project=place.project, environment=place.environment)
        tell_outlets(context["outlet_events"], self, result, facts.told)
        acknowledge(Completed(result, handle.key, handle.generation, handle))
        return PokeReturnValue(is_done=True, xcom_value=result)
