"""The jobs of the GitLab templates, as they are written; the generator adds inputs, variables and the setting up."""

from typing import NamedTuple

from modelyard.operations.generation.ci_inputs import CiInput

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
        Its jobs. ``<VARIABLES>`` and ``<SETUP>`` stand for what all have.
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
      set -f
      set -- $RUN_WORKFLOWS --baseline "$RUN_BASELINE"
      while IFS= read -r line; do [ -z "$line" ] || set -- "$@" --input "$line"; done <<END
      $RUN_INPUTS
      END
      while IFS= read -r line; do [ -z "$line" ] || set -- "$@" --gate "$line"; done <<END
      $RUN_GATES
      END
      modelyard ci run "$@" || echo "the report and the gate tell of it"
    - if [ "$PREVIEW" = true ]; then modelyard ci preview ${PREVIEW_REQUESTS:+--requests "$PREVIEW_REQUESTS"}; fi
    - modelyard ci report --status "$REPORT_STATUS" --artifacts "$CI_JOB_URL/artifacts/browse"
    - modelyard ci gate
  artifacts:
    when: always
    paths:
      - "$[[ inputs.project-path ]]/.modelyard/ci"
    reports:
      dotenv: "$[[ inputs.project-path ]]/.modelyard/outputs.env"
      metrics: "$[[ inputs.project-path ]]/.modelyard/ci/metrics.txt"
      junit: "$[[ inputs.project-path ]]/.modelyard/ci/junit.xml"
      annotations: "$[[ inputs.project-path ]]/.modelyard/ci/annotations.json"
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

_PREVIEW = (
    CiInput(
        "preview",
        "Whether to deploy the graphs for the time of the job, and to ask them. true or false.",
        default="true",
        choices=("true", "false"),
        variable="PREVIEW",
    ),
    CiInput(
        "requests",
        "A file with requests for previews, below the project's folder; otherwise the examples of the model.",
        variable="PREVIEW_REQUESTS",
    ),
)

TEMPLATES = (
    Template(
        "pull-request",
        "For merge requests: train and measure what the change touches, preview it, report, and judge.",
        _REQUEST,
        (*_RUN, *_PREVIEW),
    ),
)
"""All that there are."""
