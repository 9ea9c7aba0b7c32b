"""A workflow as an Airflow DAG, or as a task group of one."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from airflow.sdk import DAG, Param, TaskGroup

from modelyard.operations import ParameterInvalid, ParameterType, ParameterUnknown
from modelyard.operators.airflow.arguments import LauncherName
from modelyard.operators.airflow.place import BUNDLE, located
from modelyard.operators.airflow.values import check_written
from modelyard.workflows.definition import Workflow, WorkflowInput
from modelyard.workflows.drawing import as_mermaid
from modelyard.workflows.engines.airflow.approvals import approvals_of
from modelyard.workflows.engines.airflow.definitions import find_workflow
from modelyard.workflows.engines.airflow.rendering import Rendering
from modelyard.workflows.engines.airflow_plan import Plan
from modelyard.workflows.errors import WorkflowInvalid

__all__ = ["airflow_dag", "airflow_group"]

_FORM_TYPES = {
    "string": "string",
    "dataset": "string",
    "model": "string",
    "choice": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "list": "array",
    "mapping": "object",
}


def airflow_dag(
    project: str = ".",
    workflow: str = "main",
    *,
    dag_id: str = "",
    schedule: Any = None,
    parameters: Mapping[str, Any] | None = None,
    environment: str = "",
    launcher: LauncherName = "process",
    python: str = "",
    approve: Sequence[str] | Mapping[str, Mapping[str, Any]] = (),
    **arguments: Any,
) -> DAG:
    """See `modelyard.workflows.airflow_dag`."""
    file = _caller()
    _check_texts(project=project, workflow=workflow, dag_id=dag_id, environment=environment, python=python)
    _check_arguments(arguments)
    found = find_workflow(located(project, file.parent), workflow)
    given = _known(found.workflow, parameters)
    arguments.setdefault("catchup", False)
    arguments.setdefault("tags", ["modelyard"])
    arguments.setdefault("doc_md", _page(found.workflow))
    if schedule is not None and (missing := _missing(found.workflow, given)):
        mend = "Pass it in parameters={…}, give it a default, or leave the schedule out."
        raise WorkflowInvalid(f"nobody says {missing} to runs of a schedule", where=f"workflow {workflow}", mend=mend)
    form: Any = {each.name: _param(each) for each in found.workflow.inputs if each.name not in given}
    dag = DAG(
        dag_id or f"{found.project}-{found.workflow.name}",
        schedule=schedule,
        params=form,
        **arguments,
    )
    dag.fileloc = str(file)
    _check_values(found.workflow, given, dag.get_template_env)
    approvals = approvals_of(found.workflow, approve)
    plan = Plan(found.workflow.in_order(), "", given)
    settings = _settings(project, file, environment, launcher, python)
    with dag:
        Rendering(plan, settings, approvals).render()
    return dag


def airflow_group(
    project: str = ".",
    workflow: str = "main",
    *,
    group_id: str = "",
    parameters: Mapping[str, Any] | None = None,
    environment: str = "",
    launcher: LauncherName = "process",
    python: str = "",
    approve: Sequence[str] | Mapping[str, Mapping[str, Any]] = (),
) -> TaskGroup:
    """See `modelyard.workflows.airflow_group`."""
    file = _caller()
    _check_texts(project=project, workflow=workflow, group_id=group_id, environment=environment, python=python)
    found = find_workflow(located(project, file.parent), workflow)
    given = _known(found.workflow, parameters)
    if missing := _missing(found.workflow, given):
        mend = "Pass it in parameters={…}."
        raise WorkflowInvalid(f"the workflow needs {missing}", where=f"workflow {workflow}", mend=mend)
    name = group_id or found.workflow.name
    approvals = approvals_of(found.workflow, approve)
    plan = Plan(found.workflow.in_order(), f"{name}.", given, asks=False)
    settings = _settings(project, file, environment, launcher, python)
    with TaskGroup(name, prefix_group_id=False, tooltip=found.workflow.summary) as group:
        _check_values(found.workflow, given, group.dag.get_template_env)
        Rendering(plan, settings, approvals).render()
    return group


def _settings(project: str, file: Path, environment: str, launcher: str, python: str) -> dict[str, Any]:
    """Return what every step's operator gets."""
    if launcher not in get_args(LauncherName):
        raise ParameterInvalid("launcher", f"one of {', '.join(get_args(LauncherName))}", launcher)
    where = _reference(project, file)
    return {"project": where, "environment": environment, "launcher": launcher, "python": python}


def _reference(project: str, file: Path) -> str:
    """Return what the tasks are given: what is in the bundle they look for themselves, in their run's version of it."""
    return project if project.startswith(BUNDLE) else located(project, file.parent)


def _caller() -> Path:
    """Return the file that calls `airflow_dag`: the first outside of this package."""
    frame = sys._getframe(1)  # noqa: SLF001 - as Airflow itself finds the file of a DAG
    own = Path(__file__).parents[2]
    while frame.f_back is not None and Path(frame.f_code.co_filename).is_relative_to(own):
        frame = frame.f_back
    return Path(frame.f_code.co_filename).absolute()


def _check_texts(**given: Any) -> None:
    for name, value in given.items():
        if not isinstance(value, str):
            raise ParameterInvalid(name, "text", value)


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse what neither `airflow_dag` nor Airflow's DAG takes."""
    if "params" in arguments:
        rule = "left out: the form is made of the workflow's parameters, and parameters= gives values to them"
        raise ParameterInvalid("params", rule, arguments["params"])
    known = sorted({*inspect.signature(DAG).parameters, *inspect.signature(airflow_dag).parameters} - {"arguments"})
    for name in arguments:
        if name not in known:
            raise ParameterUnknown("airflow_dag", name, known)


def _known(workflow: Workflow, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is given for the workflow's parameters, all of which it has."""
    if parameters is not None and not isinstance(parameters, Mapping):
        raise ParameterInvalid("parameters", "a mapping of the workflow's parameters to values", parameters)
    given = dict(parameters or {})
    known = {each.name for each in workflow.inputs}
    if unknown := sorted(map(str, set(given) - known)):
        raise ParameterUnknown(f"workflow {workflow.name}", unknown[0], sorted(known))
    return given


def _missing(workflow: Workflow, given: Mapping[str, Any]) -> str:
    """Return the first parameter that has no value; an empty text if all have one."""
    return next((each.name for each in workflow.inputs if each.required and each.name not in given), "")


def _check_values(workflow: Workflow, given: Mapping[str, Any], jinja_env: Callable[[], Any]) -> None:
    for each in workflow.inputs:
        if each.name in given:
            check_written(given[each.name], each.type, each.name, jinja_env)


def _param(each: WorkflowInput) -> Param:
    schema = _form(each.type)
    if each.doc:
        schema["description"] = each.doc
    return Param(**schema) if each.required else Param(each.default, **schema)


def _form(type_: ParameterType) -> dict[str, Any]:
    """Return a type as Airflow's trigger form reads it."""
    kind = _FORM_TYPES.get(type_.kind)
    if kind is None:
        return {}
    schema: dict[str, Any] = {"type": [kind, "null"] if type_.optional else kind}
    if type_.choices:
        schema["enum"] = [*type_.choices, None] if type_.optional else list(type_.choices)
    if type_.kind == "list" and type_.item and type_.item.kind in _FORM_TYPES:
        schema["items"] = _form(type_.item)
    return schema


def _page(workflow: Workflow) -> str:
    text = "\n\n".join(filter(None, [workflow.summary, workflow.description]))
    return f"{text}\n\n```mermaid\n{as_mermaid(workflow)}\n```\n"
