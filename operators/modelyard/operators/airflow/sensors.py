"""Sensors: tasks that wait for an endpoint or a model version."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, cast

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue, conf
from airflow.sdk.exceptions import AirflowFailException

from modelyard.errors import ModelyardError
from modelyard.operations import ParameterInvalid, ParameterType
from modelyard.operators.airflow.arguments import Templated
from modelyard.operators.airflow.masking import Mask, mask_of
from modelyard.operators.airflow.place import connection_settings, located, text_of
from modelyard.operators.airflow.values import check_fields, check_texts, plain

__all__ = ["EndpointReadySensor", "ModelVersionSensor", "ReadySensor"]

_PLACE = ("conn_id", "project", "environment", "python")


class ReadySensor(BaseSensorOperator):
    """Base of our sensors: looks until what it waits for is there, and publishes what it found.

    A service that does not answer is waited for; a name that is wrong in itself, such as an unknown environment, fails
    the task at once.

    Parameters
    ----------
    conn_id, project, environment, python
        As for `modelyard.operators.airflow.OperationOperator`; `python` runs the command line where that is needed.
    deferrable
        Wait in Airflow's triggerer, which must be able to open the project. By default what Airflow's ``[operators]
        default_deferrable`` says.
    **kwargs
        Whatever Airflow's BaseSensorOperator takes, such as ``poke_interval``, ``timeout``, ``mode``.
    """

    template_fields: Collection[str] = _PLACE
    ui_color: str = "#e8f1f2"

    def __init__(
        self,
        *,
        conn_id: Templated[str] = "",
        project: Templated[str] | None = None,
        environment: Templated[str] = "",
        python: Templated[str] = "",
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.project = project
        self.environment = environment
        self.python = python
        default = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = default if deferrable is None else deferrable
        check_texts(self, *_PLACE)

    @abstractmethod
    def wanted(self) -> dict[str, Any]:
        """Return what is waited for, as `modelyard.airflow.ready_trigger.look` takes it."""

    def execute(self, context: Context) -> Any:
        """Look until it is there; or once, and have the triggerer look from then on."""
        if not self.deferrable:
            return super().execute(context)
        if found := self.poke(context):
            return found.xcom_value
        return self._defer(context)

    def _defer(self, context: Context) -> NoReturn:
        from modelyard.airflow.ready_trigger import ReadyTrigger

        conn_id = text_of(self.conn_id)
        facts = self._facts(context, connection_settings(conn_id).project)
        self.defer(
            trigger=ReadyTrigger(self.wanted(), **facts, conn_id=conn_id, interval=self.poke_interval),
            timeout=timedelta(seconds=self.timeout),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Publish what the triggerer has found.

        Raises
        ------
        AirflowFailException
            Waiting would not help.
        """
        del context
        if "error" in event:
            raise AirflowFailException(mask_of(connection_settings(text_of(self.conn_id)).hidden).hide(event["error"]))
        return event["found"]

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once.

        Raises
        ------
        AirflowFailException
            Waiting would not help.
        """
        from modelyard.airflow.reader import Reader
        from modelyard.airflow.ready_trigger import look

        mask = Mask()
        try:
            settings = connection_settings(text_of(self.conn_id))
            mask = mask_of(settings.hidden)
            found = look(Reader(**self._facts(context, settings.project), settings=settings), self.wanted())
        except ModelyardError as error:
            raise AirflowFailException(mask.hide(str(error))) from error
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def _facts(self, context: Context, default: str) -> dict[str, str]:
        folder = Path(cast("Mapping[str, Any]", context)["dag"].fileloc).parent
        project = located(text_of(self.project) or default, folder)
        return {"project": project, "environment": text_of(self.environment), "python": text_of(self.python)}


class EndpointReadySensor(ReadySensor):
    """Wait until an endpoint answers; publish its ``endpoint``, ``url``, ``state``, ``revision`` and ``models``.

    Parameters
    ----------
    endpoint
        The endpoint's name.
    revision
        The revision that must be the one that answers; by default any.
    **kwargs
        See `ReadySensor`.
    """

    template_fields: Collection[str] = ("endpoint", "revision", *_PLACE)

    def __init__(self, *, endpoint: Templated[str], revision: Templated[str] = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint
        self.revision = revision
        check_texts(self, "endpoint", required=True)
        check_texts(self, "revision")

    def wanted(self) -> dict[str, Any]:
        """Return the endpoint and the revision."""
        return {"endpoint": text_of(self.endpoint), "revision": text_of(self.revision)}


class ModelVersionSensor(ReadySensor):
    """Wait until a model version is there.

    It publishes ``model``, the exact reference, ``name``, ``version``, ``aliases``, ``run_id`` and ``metrics``.

    Parameters
    ----------
    model
        ``models:/name@alias``, ``models:/name/3``, or ``models:/name`` for the newest version.
    newer_than
        The version must be greater than this; by default any will do.
    **kwargs
        See `ReadySensor`.
    """

    template_fields: Collection[str] = ("model", "newer_than", *_PLACE)

    def __init__(self, *, model: Templated[str], newer_than: Templated[int] = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.newer_than = newer_than
        check_texts(self, "model", required=True)
        check_fields(self, {"newer_than": ParameterType("integer", optional=True)})

    def wanted(self) -> dict[str, Any]:
        """Return the model and the version that is known already."""
        try:
            newer_than = int(plain(self.newer_than) or 0)
        except (TypeError, ValueError):
            raise ParameterInvalid("newer_than", "a whole number", self.newer_than) from None
        return {"model": text_of(self.model), "newer_than": newer_than}
