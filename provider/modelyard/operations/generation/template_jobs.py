"""The jobs of the GitLab templates, as they are written; the generator adds inputs, variables and the setting up."""

from typing import NamedTuple

from modelyard.operations.generation.ci_inputs import CiInput
from modelyard.operations.generation.template_children import PARALLEL

__all__ = ["TEMPLATES", "Template"]


class Template(NamedTuple):
    """A GitLab template.

    Parameters
    ----------
    name
        Of its file.
    summary
        What it is for: the comment at its head.
    jobs
        Its jobs. ``<VARIABLES>``, ``<SETUP>``, ``<RUN>`` and ``<ARTIFACTS>`` stand for what several have.
    inputs
        What it takes besides what all take.
    operation
        The operation whose parameters it takes, too.
    without
        Inputs of all templates that this one does not take.
    """

    name: str
    summary: str
    jobs: str
    inputs: tuple[CiInput, ...] = ()
    operation: str = ""
    without: tuple[str, ...] = ("key",)


_REQUEST = """\
"$[[ inputs.name ]]-request":
  stage: "$[[ inputs.stage ]]"
  image: "$[[ inputs.image ]]"
  timeout: "$[[ inputs.timeout ]]"
  interruptible: true
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    GIT_DEPTH: "0"
    MODELYARD_OUTPUTS: ".modelyard/outputs.env"
    <VARIABLES>
  before_script:
    - |
      <SETUP>
  script:
    - MODELYARD_OUTPUTS="" modelyard ci plan
    - modelyard ci report --pending --status "$REPORT_STATUS"
    - |
      <RUN>
    - if [ "$PREVIEW" = true ]; then modelyard ci preview ${PREVIEW_REQUESTS:+--requests "$PREVIEW_REQUESTS"}; fi
    - modelyard ci report --status "$REPORT_STATUS" --artifacts "$CI_JOB_URL/artifacts/browse"
    - modelyard ci gate
  artifacts:
    <ARTIFACTS>
"""

_BRANCH = """\
"$[[ inputs.name ]]-train":
  stage: "$[[ inputs.stage ]]"
  image: "$[[ inputs.image ]]"
  timeout: "$[[ inputs.timeout ]]"
  rules:
    - if: $CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  variables:
    GIT_DEPTH: "0"
    MODELYARD_OUTPUTS: ".modelyard/outputs.env"
    <VARIABLES>
  before_script:
    - |
      <SETUP>
  script:
    - MODELYARD_OUTPUTS="" modelyard ci plan
    - |
      <RUN>
    - modelyard ci report --status "$REPORT_STATUS" --artifacts "$CI_JOB_URL/artifacts/browse"
    - modelyard ci gate
  artifacts:
    <ARTIFACTS>

"$[[ inputs.name ]]-promote":
  stage: "$[[ inputs.deploy-stage ]]"
  image: "$[[ inputs.image ]]"
  timeout: "$[[ inputs.timeout ]]"
  needs: ["$[[ inputs.name ]]-train"]
  resource_group: "$[[ inputs.name ]]-$[[ inputs.production ]]"
  environment:
    name: "$[[ inputs.production ]]"
    action: prepare
  rules:
    - if: $CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
      when: manual
  variables:
    MODELYARD_OUTPUTS: ".modelyard/promoted.env"
    <VARIABLES>
  before_script:
    - |
      <SETUP>
  script:
    - |
      if [ -n "${MODEL_URI:-}" ]; then
        modelyard ci promote --alias "$PROMOTE_ALIAS" ${PROMOTE_MODEL:+--model "$PROMOTE_MODEL"}
      else
        echo "the change has trained no model"
      fi
  artifacts:
    paths:
      - "$[[ inputs.project-path ]]/.modelyard/ci"
    reports:
      dotenv: "$[[ inputs.project-path ]]/.modelyard/promoted.env"

"$[[ inputs.name ]]-deploy":
  stage: "$[[ inputs.deploy-stage ]]"
  image: "$[[ inputs.image ]]"
  timeout: "$[[ inputs.timeout ]]"
  needs: ["$[[ inputs.name ]]-promote"]
  resource_group: "$[[ inputs.name ]]-$[[ inputs.production ]]"
  environment:
    name: "$[[ inputs.production ]]"
    url: "$ENDPOINT_URL"
  rules:
    - if: $CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  variables:
    MODELYARD_OUTPUTS: ".modelyard/deployed.env"
    MODELYARD_INPUT_GRAPH: "$[[ inputs.graph ]]"
    <VARIABLES>
  before_script:
    - |
      <SETUP>
  script:
    - modelyard ci operation deploy
  artifacts:
    paths:
      - "$[[ inputs.project-path ]]/.modelyard/ci"
    reports:
      dotenv: "$[[ inputs.project-path ]]/.modelyard/deployed.env"

"$[[ inputs.name ]]-rollback":
  stage: "$[[ inputs.deploy-stage ]]"
  image: "$[[ inputs.image ]]"
  timeout: "$[[ inputs.timeout ]]"
  needs: ["$[[ inputs.name ]]-deploy"]
  resource_group: "$[[ inputs.name ]]-$[[ inputs.production ]]"
  environment:
    name: "$[[ inputs.production ]]"
    action: access
  rules:
    - if: $CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
      when: manual
      allow_failure: true
  variables:
    MODELYARD_INPUT_ENDPOINT: "$[[ inputs.graph ]]"
    <VARIABLES>
  before_script:
    - |
      <SETUP>
  script:
    - modelyard ci operation rollback
"""

_OPERATION = """\
"$[[ inputs.name ]]-{job}":
  stage: "$[[ inputs.stage ]]"
  image: "$[[ inputs.image ]]"
  timeout: "$[[ inputs.timeout ]]"
  resource_group: "$[[ inputs.name ]]-{job}"
  rules:
    - if: $MODELYARD_SCHEDULE && $MODELYARD_SCHEDULE != "$[[ inputs.name ]]"
      when: never
    - if: $CI_PIPELINE_SOURCE =~ /^(schedule|web|api|trigger|pipeline)$/
  variables:
    MODELYARD_OUTPUTS: ".modelyard/outputs.env"
    <VARIABLES>
  before_script:
    - |
      <SETUP>
  script:
    - modelyard ci operation {operation}
  artifacts:
    when: always
    paths:
      - "$[[ inputs.project-path ]]/.modelyard/ci"
    reports:
      dotenv: "$[[ inputs.project-path ]]/.modelyard/outputs.env"
"""

_REVIEW = """\
"$[[ inputs.name ]]-preview":
  stage: "$[[ inputs.stage ]]"
  image: "$[[ inputs.image ]]"
  timeout: "$[[ inputs.timeout ]]"
  resource_group: "$[[ inputs.name ]]-preview-$CI_MERGE_REQUEST_IID"
  needs: ["$[[ inputs.name ]]-request"]
  environment:
    name: "review/$[[ inputs.name ]]-$CI_MERGE_REQUEST_IID"
    url: "$ENDPOINT_URL"
    on_stop: "$[[ inputs.name ]]-preview-stop"
    auto_stop_in: "$[[ inputs.ttl ]]"
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    MODELYARD_OUTPUTS: ".modelyard/preview.env"
    <VARIABLES>
  before_script:
    - |
      <SETUP>
  script:
    - |
      set -f
      set -- --lasting --ttl "$PREVIEW_TTL"
      for graph in $PREVIEW_GRAPHS; do set -- "$@" --graph "$graph"; done
      modelyard ci preview "$@" ${PREVIEW_REQUESTS:+--requests "$PREVIEW_REQUESTS"}
    - modelyard ci report --status none --artifacts "$CI_JOB_URL/artifacts/browse"
    - modelyard ci gate
  artifacts:
    when: always
    paths:
      - "$[[ inputs.project-path ]]/.modelyard/ci"
    reports:
      dotenv: "$[[ inputs.project-path ]]/.modelyard/preview.env"

"$[[ inputs.name ]]-preview-stop":
  stage: "$[[ inputs.stage ]]"
  image: "$[[ inputs.image ]]"
  timeout: "$[[ inputs.timeout ]]"
  resource_group: "$[[ inputs.name ]]-preview-$CI_MERGE_REQUEST_IID"
  needs: []
  environment:
    name: "review/$[[ inputs.name ]]-$CI_MERGE_REQUEST_IID"
    action: stop
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
      when: manual
      allow_failure: true
  variables:
    <VARIABLES>
  before_script:
    - |
      <SETUP>
  script:
    - modelyard ci preview --stop

"$[[ inputs.name ]]-preview-reaper":
  stage: "$[[ inputs.stage ]]"
  image: "$[[ inputs.image ]]"
  timeout: "$[[ inputs.timeout ]]"
  rules:
    - if: $MODELYARD_SCHEDULE && $MODELYARD_SCHEDULE != "$[[ inputs.name ]]"
      when: never
    - if: $CI_PIPELINE_SOURCE == "schedule"
  variables:
    <VARIABLES>
  before_script:
    - |
      <SETUP>
  script:
    - modelyard ci preview --expired
"""

_RUN = (
    CiInput(
        "workflows",
        "The workflows to run, with spaces between them; those that the change touches if empty.",
        variable="RUN_WORKFLOWS",
    ),
    CiInput("inputs", "What the workflows get: one NAME=VALUE on each line.", variable="RUN_INPUTS"),
    CiInput(
        "baseline",
        "What candidates are compared with.",
        default="champion",
        choices=("champion", "merge-base", "none"),
        variable="RUN_BASELINE",
    ),
    CiInput("gates", "Gates besides those of the workflows, one on each line.", variable="RUN_GATES"),
    CiInput(
        "status",
        "How to tell beside the commit.",
        default="auto",
        choices=("auto", "check", "status", "none"),
        variable="REPORT_STATUS",
    ),
)

_REQUESTS = CiInput(
    "requests",
    "A file with requests for previews, below the project's folder; otherwise the examples of the model.",
    variable="PREVIEW_REQUESTS",
)

_PREVIEW = (
    CiInput(
        "preview",
        "Whether to deploy the graphs for the time of the job, and to ask them. true or false.",
        default="true",
        choices=("true", "false"),
        variable="PREVIEW",
    ),
    _REQUESTS,
)

_LASTING = (
    CiInput(
        "graphs",
        "The graphs to preview, with spaces between them; those that the change touches if empty.",
        variable="PREVIEW_GRAPHS",
    ),
    CiInput("ttl", "How long it stays: a number and s, m, h or d.", default="72h", variable="PREVIEW_TTL"),
)

_MAIN = (
    CiInput("graph", "The graph to deploy.", required=True),
    CiInput("model", "Which candidate to promote, where there are several.", variable="PROMOTE_MODEL"),
    CiInput("alias", "The alias to move.", default="champion", variable="PROMOTE_ALIAS"),
    CiInput("production", "GitLab's environment, whose protection asks for approval.", default="production"),
    CiInput("deploy-stage", "The stage of the jobs that promote and deploy.", default="deploy"),
)

TEMPLATES = (
    Template(
        "pull-request",
        "For merge requests: train and measure what the change touches, preview it, report, and judge.",
        _REQUEST,
        (*_RUN, *_PREVIEW),
    ),
    Template(
        "pull-request-parallel",
        "For merge requests with several workflows: a child pipeline with a job for each that the change touches.",
        PARALLEL,
        _RUN[1:],
    ),
    Template(
        "main",
        "For the default branch: train what the change touches, promote it by hand, deploy it; back by hand.",
        _BRANCH,
        (*_RUN, *_MAIN),
    ),
    Template(
        "preview",
        "For merge requests, beside pull-request.yml: a preview until the request is closed, or its time is over.",
        _REVIEW,
        (*_LASTING, _REQUESTS),
    ),
    Template(
        "batch",
        "By schedule or by hand: score a dataset with a registered model.",
        _OPERATION.replace("{job}", "batch").replace("{operation}", "predict"),
        operation="predict",
        without=(),
    ),
    Template(
        "retrain",
        "By schedule, by hand or by a call of the API: run a workflow that trains anew.",
        _OPERATION.replace("{job}", "retrain").replace("{operation}", "run"),
        operation="run",
        without=(),
    ),
)
"""All that there are."""
