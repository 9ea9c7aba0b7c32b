"""The files that engines read: the definition itself, and a DAG file of one line."""

import json
from collections.abc import Mapping

from modelyard.errors import near_name
from modelyard.workflows.engines.remote import RunRequest
from modelyard.workflows.errors import WorkflowInvalid

__all__ = ["as_dag_file", "as_definition", "check_options"]


def check_options(options: Mapping[str, str], *known: str) -> None:
    """Refuse options that an engine's file does not have.

    Raises
    ------
    WorkflowInvalid
        There is no such option.
    """
    for name in options:
        if name not in known:
            raise WorkflowInvalid(f"there is no option {name!r}", where="--option", mend=near_name(name, list(known)))


def as_definition(request: RunRequest, options: Mapping[str, str]) -> str:
    """Return a workflow's definition as JSON, from which `Workflow.decoded` makes the same workflow."""
    check_options(options)
    return request.workflow.encoded().decode()


def as_dag_file(request: RunRequest, options: Mapping[str, str]) -> str:
    """Return a DAG file for a workflow.

    Parameters
    ----------
    request
        The workflow and its project.
    options
        ``project``: the project's reference as the DAG file shall have it; by default the one that is open.
        ``schedule``: when it runs, such as ``@daily``.
    """
    check_options(options, "project", "schedule")
    arguments = [_literal(options.get("project") or request.project), _literal(request.name)]
    if request.environment:
        arguments.append(f"environment={_literal(request.environment)}")
    if options.get("schedule"):
        arguments.append(f"schedule={_literal(options['schedule'])}")
    summary = request.workflow.summary or f"The workflow {request.workflow.name}."
    return (
        f'"""{_harmless(summary)}"""\n\n'
        "from modelyard.workflows import airflow_dag\n\n"
        f"dag = airflow_dag({', '.join(arguments)})\n"
    )


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _harmless(text: str) -> str:
    r"""Return a text that can stand in a docstring of one line.

    Examples
    --------
    >>> print(_harmless('It\'s "all"'))
    It's 'all'
    """
    return text.replace("\\", "/").replace('"', "'")
