"""Logs candidates a second time, to GitLab's registry of experiments, which speaks MLflow."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from modelyard.ci.hosts import CiContext
from modelyard.ci.records import Candidate, RunRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["mirror"]

_TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - a variable's name


def mirror(context: CiContext, record: RunRecord, variables: Mapping[str, str] | None = None) -> list[str]:
    """Log every candidate as a run of an experiment of the project, and return what is to be told about it.

    What GitLab does not take is told, and no error: the runs of the project's own tracking are what counts.

    Parameters
    ----------
    context
        The job.
    record
        What ran.
    variables
        The environment variables with the token; those of this process unless given.
    """
    known = os.environ if variables is None else variables
    token = known.get(context.token.variable, "")
    if context.forge != "gitlab" or not context.api:
        return ["The candidates were not mirrored: the project is not on GitLab."]
    if context.token.ability != "write" or not token:
        return [f"The candidates were not mirrored: {context.token.reason}"]
    place = f"{context.api}/projects/{quote(context.project_id, safe='%')}/ml/mlflow"
    told = []
    with _signed_in(token):
        for each in record.candidates:
            try:
                told.append(f"Mirrored {each.model} as the run {_logged(place, record, context, each)}.")
            except Exception as error:  # noqa: BLE001 - whatever the client raises
                reason = " ".join(str(error).split())[:300]
                told.append(f"{each.model} was not mirrored: {type(error).__name__}: {reason}")
    return told


@contextmanager
def _signed_in(token: str) -> Iterator[None]:
    """MLflow's client takes its token from the environment alone, and tries a request for minutes."""
    settings = {_TOKEN: token, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _logged(place: str, record: RunRecord, context: CiContext, candidate: Candidate) -> str:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=place)
    name = f"{record.project}-{candidate.workflow}"
    run = client.create_run(
        _experiment(client, name), run_name=candidate.model.removeprefix("models:/"), tags=_tags(context, candidate)
    )
    run_id: str = run.info.run_id
    for each in candidate.metrics:
        if each.candidate is not None:
            client.log_metric(run_id, each.name, each.candidate)
    client.set_terminated(run_id)
    return run_id


def _experiment(client: "MlflowClient", name: str) -> str:
    found: Any = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _tags(context: CiContext, candidate: Candidate) -> dict[str, str]:
    """Return the tags; by ``gitlab.CI_JOB_ID`` GitLab links a run to its job."""
    known = {
        "gitlab.CI_JOB_ID": context.run_id if context.host == "gitlab" else "",
        "modelyard.model": candidate.model,
        "modelyard.digest": candidate.digest,
        "modelyard.commit": context.head_commit,
    }
    return {name: value for name, value in known.items() if value}
