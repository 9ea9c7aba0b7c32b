"""What GitLab's templates and GitHub's reusable workflows take: one table, so that both hosts speak the same."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from modelyard.operations.generation.ci_inputs import CiInput

__all__ = [
    "COMMON_INPUTS",
    "COUNTERPARTS",
    "DIFFERENT_DEFAULTS",
    "ONLY_HERE",
    "OWN_WORDS",
    "TEMPLATE_INPUTS",
    "OnlyHere",
]

COUNTERPARTS: Mapping[str, str] = {
    "pull-request": "ml-pull-request",
    "main": "ml-main",
    "batch": "ml-batch",
    "retrain": "ml-retrain",
    "preview": "ml-preview-cleanup",
}
"""GitLab's template → the reusable workflow of GitHub that does the same; ``pull-request-parallel`` has none."""


class OnlyHere(NamedTuple):
    """Inputs that one of the two hosts has, and the other has not.

    Parameters
    ----------
    host
        Which one has them.
    names
        The inputs.
    reason
        Why the other host cannot have them, or needs them not.
    templates
        In which templates; none for all that have them.
    """

    host: Literal["github", "gitlab"]
    names: tuple[str, ...]
    reason: str
    templates: tuple[str, ...] = ()


ONLY_HERE = (
    OnlyHere("github", ("runner",), "On GitLab the project's own file names tags; a list here would hide its default."),
    OnlyHere("github", ("python-version",), "GitLab's jobs run in an image, and Python comes with it."),
    OnlyHere("github", ("comment-environment",), "On GitLab no comment starts a pipeline.", ("pull-request",)),
    OnlyHere(
        "github", ("lasting", "ttl"), "On GitLab a preview that lasts is a template, `preview`.", ("pull-request",)
    ),
    OnlyHere("github", ("production",), "On GitLab an environment may not be without a name.", ("batch", "retrain")),
    OnlyHere("gitlab", ("stage",), "GitHub's jobs have no stages."),
    OnlyHere("gitlab", ("deploy-stage",), "GitHub's jobs have no stages.", ("main",)),
    OnlyHere("gitlab", ("status",), "On GitHub the job is itself a check beside the commit.", ("main",)),
    OnlyHere(
        "gitlab", ("graphs", "ttl", "requests"), "On GitHub `ml-pull-request` makes previews that last.", ("preview",)
    ),
    OnlyHere(
        "gitlab",
        ("extras", "requirements", "image", "timeout"),
        "On GitHub `ml-preview-cleanup` only ends previews.",
        ("preview",),
    ),
)
"""Every input that only one host has, and why."""

DIFFERENT_DEFAULTS: Mapping[str, str] = {
    "image": "GitHub's runners have Python, GitLab's have an image.",
}
"""Inputs with a default of its own on each host, and why."""

OWN_WORDS: Mapping[str, str] = {
    "image": "what is there without one",
    "name": "whether jobs have a name of their own",
    "production": "the host is named",
    "identity-role": "the host is named",
    "index-url": "where a secret belongs",
}
"""Inputs that are described in each host's own words, because of something that only it has."""

_WORK = (
    CiInput(
        "workflows",
        "The workflows to run, with spaces between them; those that the change touches if empty.",
        variable="RUN_WORKFLOWS",
    ),
    CiInput("inputs", "What the workflows get: one NAME=VALUE on each line.", variable="RUN_INPUTS"),
    CiInput(
        "baseline",
        "What candidates are compared with: champion, merge-base or none.",
        default="champion",
        choices=("champion", "merge-base", "none"),
        variable="RUN_BASELINE",
    ),
    CiInput("gates", "Gates besides those of the workflows, one on each line.", variable="RUN_GATES"),
)

_STATUS = CiInput(
    "status",
    "How to tell beside the commit: auto, check, status or none.",
    default="auto",
    choices=("auto", "check", "status", "none"),
    variable="REPORT_STATUS",
)

_REQUESTS = CiInput(
    "requests",
    "A file with requests for previews, below the project's folder; otherwise the examples of the model.",
    variable="PREVIEW_REQUESTS",
)

_PREVIEW = CiInput(
    "preview",
    "Whether to deploy the graphs for the time of the job, and to ask them.",
    default="true",
    variable="PREVIEW",
    kind="boolean",
)

_PARALLEL_PREVIEW = CiInput(
    "preview",
    "Whether the last job deploys the graphs and asks them: only with a tracking server that all jobs reach.",
    default="false",
    variable="PREVIEW",
    kind="boolean",
)

_LIVE = (
    CiInput("model", "The only candidate to promote; each registered model's if empty.", variable="PROMOTE_MODEL"),
    CiInput("alias", "The alias to move.", default="champion", variable="PROMOTE_ALIAS"),
    CiInput("graph", "The graph to deploy; none is deployed if empty."),
    CiInput(
        "requests",
        "A file with requests for what was deployed, below the project's folder; none are sent if empty.",
        variable="SMOKE_REQUESTS",
    ),
    CiInput("production", "GitLab's environment, whose protection asks for approval.", default="production"),
    CiInput("deploy-stage", "The stage of the jobs that promote and deploy.", default="deploy"),
)

_IDENTITY = (
    CiInput(
        "identity-role",
        "The role that jobs take by the identity that GitLab proves, such as an AWS role; none if empty.",
        variable="IDENTITY_ROLE",
    ),
    CiInput("identity-audience", "Whom the proof of identity is for.", default="sts.amazonaws.com"),
)

_LASTING = (
    CiInput(
        "graphs",
        "The graphs to preview, with spaces between them; those that the change touches if empty.",
        variable="PREVIEW_GRAPHS",
    ),
    CiInput("ttl", "How long it stays: a number and s, m, h or d.", default="72h", variable="PREVIEW_TTL"),
    _REQUESTS,
)

COMMON_INPUTS = (
    CiInput("tracking-uri", "The MLflow server, as MLFLOW_TRACKING_URI; none if empty.", variable="SETUP_TRACKING_URI"),
    CiInput("image", "The image of the jobs; one with Python.", default="python:3.11"),
    CiInput(
        "version",
        "What to install of modelyard: a version such as 0.3.1, the path of a wheel, or empty for the newest.",
        variable="SETUP_VERSION",
    ),
    CiInput(
        "extras",
        "The extras of modelyard that the work needs, with commas between them.",
        default="ci,ml,serving",
        variable="SETUP_EXTRAS",
    ),
    CiInput(
        "requirements",
        "A file with the project's own requirements, below the project's folder; none if empty.",
        variable="SETUP_REQUIREMENTS",
    ),
    CiInput(
        "index-url",
        "The package index to install from, where it is not the public one. Secrets in it belong into PIP_INDEX_URL.",
        variable="SETUP_INDEX_URL",
    ),
    CiInput("name", "Begins the jobs' names: one for each project of a repository.", default="modelyard"),
    CiInput("stage", "The stage of the jobs.", default="test"),
    CiInput("timeout", "How many minutes the work may take.", default="120", kind="number"),
)
"""What every template takes besides."""

TEMPLATE_INPUTS: Mapping[str, tuple[CiInput, ...]] = {
    "pull-request": (*_WORK, _STATUS, _PREVIEW, _REQUESTS),
    "pull-request-parallel": (*_WORK[1:], _STATUS, _PARALLEL_PREVIEW, _REQUESTS),
    "main": (*_WORK, _STATUS, *_LIVE, *_IDENTITY),
    "preview": _LASTING,
    "batch": _IDENTITY,
    "retrain": _IDENTITY,
}
"""Template → what it takes of its own; those of one operation take its parameters besides."""
