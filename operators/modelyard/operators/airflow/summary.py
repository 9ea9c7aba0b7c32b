"""The results of mapped tasks as one table, and sweeps that are mapped or run as one job."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow.sdk import BaseOperator, Context, XComArg

from modelyard.operations import ParameterInvalid, ParameterMissing, ParameterType, ParameterUnknown
from modelyard.operations.catalogue import load_catalogue
from modelyard.operations.summaries import summary_of
from modelyard.operators.airflow.arguments import OperationArguments, TaskArguments, Templated
from modelyard.operators.airflow.operation import OperationOperator
from modelyard.operators.airflow.place import Place, text_of
from modelyard.operators.airflow.train import TrainOperator
from modelyard.operators.airflow.values import check_fields, check_texts, check_written, plain

if TYPE_CHECKING:
    from modelyard.projects.dispatch import Completed

__all__ = ["SummaryOperator", "SweepOperator", "sweep"]

_SETS = ParameterType("list", item=ParameterType("mapping"))
_FIELDS = ("count", "rows", "best", "table")


class SummaryOperator(BaseOperator):
    """Puts the results of mapped tasks into one table, in the log and in XCom; see `summary_of` for what it returns.

    It runs in Airflow's own process. With ``trigger_rule="all_done"`` it takes the results that there are.

    Parameters
    ----------
    results
        The output of a mapped task.
    labels
        What each result is of, in the order of the map.
    columns, sort_by, descending, rows
        See `modelyard.operations.summaries.summary_of`.
    **kwargs
        Whatever Airflow's BaseOperator takes.
    """

    template_fields: Collection[str] = ("results", "labels", "columns", "sort_by")
    ui_color: str = "#e8f1f2"

    def __init__(
        self,
        *,
        results: Any,
        labels: Any = (),
        columns: Templated[Sequence[str]] = (),
        sort_by: Templated[str] = "",
        descending: bool = True,
        rows: int = 50,
        **kwargs: Unpack[TaskArguments],
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.results = results
        self.labels = labels
        self.columns = columns
        self.sort_by = sort_by
        self.descending = descending
        self.rows = rows
        check_texts(self, "sort_by")
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
            raise ParameterInvalid("rows", "a whole number, 1 or more", rows)

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the summary.

        Raises
        ------
        ParameterInvalid
            The results are no list of mappings, the labels no list, or the columns no list of texts.
        """
        del context
        results, labels, columns = plain(self.results), plain(self.labels), plain(self.columns)
        if not isinstance(results, list) or not all(isinstance(each, Mapping) for each in results):
            raise ParameterInvalid("results", "the results of a mapped task", results)
        if not isinstance(labels, list | tuple):
            raise ParameterInvalid("labels", "a list, an item for each result", labels)
        if not isinstance(columns, list | tuple) or not all(isinstance(each, str) for each in columns):
            raise ParameterInvalid("columns", "a list of names", columns)
        found = summary_of(
            results,
            labels=labels,
            columns=columns,
            sort_by=text_of(self.sort_by),
            descending=self.descending,
            rows=self.rows,
        )
        self.log.info("%d results\n%s", found["count"], found["table"])
        return found


class SweepOperator(OperationOperator):
    """Trains over many sets of parameters as one piece of work, one after the other, and returns the table.

    A retry goes on where the work was: finished trainings are found by their keys.

    Parameters
    ----------
    training
        What `TrainOperator` takes of its operation, besides ``parameters``.
    parameter_sets
        The sets.
    sort_by, descending
        How to sort the table, such as ``metrics.accuracy``.
    **kwargs
        See `OperationOperator`.
    """

    operation_name: ClassVar[str] = "call"
    result_fields: ClassVar[tuple[str, ...]] = _FIELDS
    template_fields: Collection[str] = ("training", "parameter_sets", "sort_by", *OperationOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {"training": "json", "parameter_sets": "json"}

    def __init__(
        self,
        *,
        training: Mapping[str, Any],
        parameter_sets: Any,
        sort_by: Templated[str] = "",
        descending: bool = True,
        **kwargs: Unpack[OperationArguments],
    ) -> None:
        if not kwargs.get("wait_for_completion", True):
            raise ParameterInvalid("wait_for_completion", "true for a sweep", False)
        super().__init__(**kwargs)
        self.training = training
        self.parameter_sets = parameter_sets
        self.sort_by = sort_by
        self.descending = descending
        check_texts(self, "sort_by")
        check_fields(self, {"parameter_sets": _SETS})
        _check_training(training)
        for each in load_catalogue().spec("train").parameters:
            if each.name in training:
                check_written(training[each.name], each.type, f"training.{each.name}", self.get_template_env)

    def _parameters(self, place: Place) -> dict[str, Any]:
        from modelyard.projects import open_project

        types = {each.name: each.type for each in load_catalogue().spec("train").parameters}
        training = {name: plain(value, types.get(name)) for name, value in self.training.items()}
        load_catalogue().spec("train").bind(training)
        project = open_project(place.project)
        definition = project.function(str(training["function"]))
        if self.launcher == "process" and not text_of(self.python) and (definition.requirements or definition.python):
            self.python = project.interpreter(str(training["function"]), place.environment)
        asked = {
            "training": training,
            "parameter_sets": plain(self.parameter_sets),
            "sort_by": text_of(self.sort_by),
            "descending": self.descending,
        }
        # By its name alone: this environment need not have what trains.
        return {"function": "modelyard.training.sweep:sweep", "parameters": asked}

    def _published(self, context: Context, place: Place, done: "Completed") -> dict[str, Any]:
        return super()._published(context, place, done._replace(result=done.result["value"]))


def sweep(
    task_id: str,
    *,
    parameter_sets: Sequence[Mapping[str, Any]],
    training: Mapping[str, Any],
    sort_by: str = "",
    descending: bool = True,
    limit: int = 100,
    after: Sequence[Any] = (),
    **kwargs: Any,
) -> XComArg:
    """Train over sets of parameters: as mapped tasks up to a limit, as one job above it; return the table.

    Up to the limit there are two tasks: ``<task_id>_each``, mapped, a training each, and the summary under `task_id`.
    Above it, where a thousand tasks would load Airflow more than they help, there is the one task.

    Parameters
    ----------
    task_id
        The name of the task that gives the table.
    parameter_sets
        The sets, written out or computed while the DAG file is read.
    training
        What `TrainOperator` takes of its operation, besides ``parameters``.
    sort_by, descending
        How to sort the table, such as ``metrics.accuracy``.
    limit
        The most sets to map.
    after
        Tasks that are done before the trainings.
    **kwargs
        What `OperationOperator` takes, for the trainings.

    Returns
    -------
    XComArg
        The summary: ``["best"]`` is the first row with its whole result.
    """
    _check_training(training)
    if not isinstance(parameter_sets, list | tuple) or not all(isinstance(each, Mapping) for each in parameter_sets):
        raise ParameterInvalid("parameter_sets", _SETS.described(), parameter_sets)
    if not isinstance(limit, int) or limit < 0:
        raise ParameterInvalid("limit", "a whole number, 0 or more", limit)
    if len(parameter_sets) > limit:
        job = SweepOperator(
            task_id=task_id,
            training=training,
            parameter_sets=list(parameter_sets),
            sort_by=sort_by,
            descending=descending,
            **kwargs,
        )
        job.set_upstream(list(after))
        return job.output
    each = TrainOperator.partial(task_id=f"{task_id}_each", **training, **kwargs).expand(
        parameters=[dict(one) for one in parameter_sets]
    )
    each.set_upstream(list(after))
    summary = SummaryOperator(
        task_id=task_id, results=each.output, labels=list(parameter_sets), sort_by=sort_by, descending=descending
    )
    return summary.output


def _check_training(training: object) -> None:
    """Refuse what no training takes, or a training that lacks what it needs."""
    if not isinstance(training, Mapping):
        raise ParameterInvalid("training", "a mapping of what TrainOperator takes", training)
    if "parameters" in training:
        raise ParameterInvalid("training.parameters", "left out: parameter_sets has them", training["parameters"])
    declared = load_catalogue().spec("train").parameters
    known = [each.name for each in declared]
    for name in training:
        if name not in known:
            raise ParameterUnknown("train", str(name), known)
    for each in declared:
        if each.required and each.name not in training:
            raise ParameterMissing("train", each.name, each.doc)
