"""The files that engines read: the definition itself, and a DAG file of one line."""

from collections.abc import Mapping

from modelyard.workflows.engines.remote import RunRequest

__all__ = ["as_dag_file", "as_definition"]


def as_definition(request: RunRequest, options: Mapping[str, str]) -> str:
    """Return a workflow's definition as JSON, from which `Workflow.decoded` makes the same workflow."""
    del options
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
    arguments = [repr(options.get("project") or request.project), repr(request.name)]
    if request.environment:
        arguments.append(f"environment={request.environment!r}")
    if options.get("schedule"):
        arguments.append(f"schedule={options['schedule']!r}")
    summary = request.workflow.summary or f"The workflow {request.workflow.name}."
    return (
        f'"""{summary}"""\n\nfrom modelyard.workflows import airflow_dag\n\ndag = airflow_dag({", ".join(arguments)})\n'
    ).replace("'", '"')
