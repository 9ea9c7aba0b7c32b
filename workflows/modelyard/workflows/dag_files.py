"""What a DAG file calls: one line makes a DAG, or a task group, of a workflow."""

from collections.abc import Mapping
from typing import Any

__all__ = ["airflow_dag", "airflow_group"]


def airflow_dag(project: str = ".", workflow: str = "main", **settings: Any) -> Any:
    """Make an Airflow DAG of a project's workflow: ``dag = airflow_dag("../flights", schedule="@daily")``.

    Each step is a task of the operation's own operator, with the step's name as its id. The DAG's trigger form asks for
    the workflow's parameters, with their types.

    Parameters
    ----------
    project
        The project: a path, relative to the folder of the DAG file; ``bundle:`` and a path from the root of the DAG
        bundle; or ``git+URL@ref#subfolder``. By default the nearest ``modelyard.yaml`` above the DAG file.
    workflow
        The workflow's name in modelyard.yaml.
    **settings
        ``dag_id`` (by default made of project and workflow), ``schedule``; ``parameters``: values and templates, such
        as ``{"day": "{{ ds }}"}``, for parameters that the form shall not ask for; ``environment``, ``launcher`` and
        ``python`` as for every operator; ``approve``: names of promoting steps that ask people first, or what
        `modelyard.operators.airflow.approval.ApprovedPromoteOperator` takes by these names; and whatever Airflow's DAG
        takes.

    Returns
    -------
    airflow.sdk.DAG
        The DAG; give it a name in the DAG file.

    Raises
    ------
    LibraryMissing
        Airflow is not installed.
    ModelyardError
        There is no such project or workflow, or it does not hold.
    """
    return _engine().airflow_dag(project, workflow, **settings)


def airflow_group(
    project: str = ".", workflow: str = "main", *, parameters: Mapping[str, Any] | None = None, **settings: Any
) -> Any:
    """Make a task group of a project's workflow, inside the DAG that is being defined.

    Parameters
    ----------
    project, workflow
        As for `airflow_dag`.
    parameters
        The workflow's parameters: values, templates, outputs of other tasks. Those left out have their defaults.
    **settings
        ``group_id`` (by default the workflow's name), which stands before the task ids; ``environment``, ``launcher``,
        ``python`` and ``approve``.

    Returns
    -------
    airflow.sdk.TaskGroup
        The group, to put between other tasks by ``>>``.

    Raises
    ------
    LibraryMissing, ModelyardError
        As for `airflow_dag`.
    """
    return _engine().airflow_group(project, workflow, parameters=parameters, **settings)


def _engine() -> Any:
    from importlib import import_module

    from modelyard.operations.errors import LibraryMissing

    try:
        return import_module("modelyard.workflows.engines.airflow")
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "airflow":
            raise LibraryMissing("airflow") from error
        raise
