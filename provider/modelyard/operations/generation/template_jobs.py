"""The jobs of the GitLab templates; what all of them begin with is added where they are written."""

from typing import NamedTuple

from modelyard.operations.generation.ci_inputs import CiInput
from modelyard.operations.generation.template_inputs import TEMPLATE_INPUTS

__all__ = ["TEMPLATES", "Job", "Template"]

_REQUEST = '- if: $CI_PIPELINE_SOURCE == "merge_request_event"\n'
_PUSH = '- if: $CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH\n'
_BY_HAND = "  when: manual\n"
_OPTIONAL = "  allow_failure: true\n"
_WITH_GRAPH = '- if: \'"$[[ inputs.graph ]]" == ""\'\n  when: never\n'
_OWN_SCHEDULE = '- if: $MODELYARD_SCHEDULE && $MODELYARD_SCHEDULE != "$[[ inputs.name ]]"\n  when: never\n'
_CALLED = f"{_OWN_SCHEDULE}- if: $CI_PIPELINE_SOURCE =~ /^(schedule|web|api|trigger|pipeline)$/\n"
_SCHEDULE = f'{_OWN_SCHEDULE}- if: $CI_PIPELINE_SOURCE == "schedule"\n'
_HISTORY = 'GIT_DEPTH: "0"'


class Job(NamedTuple):
    """A job of a template.

    Parameters
    ----------
    name
        What follows the input ``name`` in its own name.
    rules
        When it is there: the items of a list, as YAML.
    script
        Its commands: the items of a list, as YAML, in which ``<RUN>`` stands for running workflows. A job without one
        starts a pipeline.
    more
        Other keywords, as YAML.
    variables
        Variables besides those of the template, as YAML.
    outputs
        The file with variables for later jobs, below ``.modelyard`` and without its ending; none, and nothing kept, if
        empty.
    judges
        Whether it leaves reports for GitLab's widgets.
    stage
        The input that names its stage.
    """

    name: str
    rules: str
    script: str = ""
    more: str = ""
    variables: tuple[str, ...] = ()
    outputs: str = ""
    judges: bool = False
    stage: str = "stage"


class Template(NamedTuple):
    """A GitLab template.

    Parameters
    ----------
    name
        Of its file.
    summary
        What it is for: the comment at its head.
    jobs
        Its jobs.
    operation
        The operation whose parameters it takes, too.
    """

    name: str
    summary: str
    jobs: tuple[Job, ...]
    operation: str = ""

    @property
    def inputs(self) -> tuple[CiInput, ...]:
        """What it takes besides what all take."""
        return TEMPLATE_INPUTS[self.name]


_TOLD = """\
- modelyard ci report --status "$REPORT_STATUS" --artifacts "$CI_JOB_URL/artifacts/browse"
- modelyard ci gate
"""

_PULL_REQUEST = (
    Job(
        "request",
        _REQUEST,
        f"""\
- MODELYARD_OUTPUTS="" modelyard ci plan
- modelyard ci report --pending --status "$REPORT_STATUS"
- |
  <RUN>
- if [ "$PREVIEW" = true ]; then modelyard ci preview ${{PREVIEW_REQUESTS:+--requests "$PREVIEW_REQUESTS"}}; fi
{_TOLD}""",
        more="interruptible: true\n",
        variables=(_HISTORY,),
        outputs="outputs",
        judges=True,
    ),
)

_PARALLEL = (
    Job(
        "plan",
        _REQUEST,
        """\
- modelyard ci report --pending --status "$REPORT_STATUS"
- modelyard ci plan --child .modelyard/child.yml
""",
        more="""\
interruptible: true
artifacts:
  paths:
    - "$[[ inputs.project-path ]]/.modelyard/child.yml"
""",
        variables=(_HISTORY,),
    ),
    Job(
        "workflows",
        _REQUEST,
        more="""\
needs: ["$[[ inputs.name ]]-plan"]
trigger:
  include:
    - artifact: "$[[ inputs.project-path ]]/.modelyard/child.yml"
      job: "$[[ inputs.name ]]-plan"
  strategy: depend
""",
        variables=('JOB_IMAGE: "$[[ inputs.image ]]"',),
    ),
)

_LOCK = 'resource_group: "$[[ inputs.name ]]-$[[ inputs.production ]]"\n'


def _live(action: str) -> str:
    """Return the environment of a job that changes what is live."""
    return f'{_LOCK}environment:\n  name: "$[[ inputs.production ]]"\n  {action}\n'


_MAIN = (
    Job(
        "train",
        _PUSH,
        f"""\
- MODELYARD_OUTPUTS="" modelyard ci plan
- |
  <RUN>
{_TOLD}""",
        variables=(_HISTORY,),
        outputs="outputs",
        judges=True,
    ),
    Job(
        "promote",
        _PUSH + _BY_HAND,
        """\
- |
  if [ -n "${MODEL_URI:-}" ]; then
    modelyard ci promote --alias "$PROMOTE_ALIAS" ${PROMOTE_MODEL:+--model "$PROMOTE_MODEL"}
  else
    echo "the change has trained no model"
  fi
""",
        more='needs: ["$[[ inputs.name ]]-train"]\n' + _live("action: prepare"),
        outputs="promoted",
        stage="deploy-stage",
    ),
    Job(
        "deploy",
        _WITH_GRAPH + _PUSH,
        """\
- modelyard ci operation deploy
- |
  if [ -n "$SMOKE_REQUESTS" ]; then
    modelyard ci smoke --requests "$SMOKE_REQUESTS" --roll-back || {
      code=$?
      [ "$code" -ne 6 ] || modelyard ci promote --back
      exit "$code"
    }
  fi
""",
        more='needs: ["$[[ inputs.name ]]-promote"]\n' + _live('url: "$ENDPOINT_URL"'),
        variables=('MODELYARD_INPUT_GRAPH: "$[[ inputs.graph ]]"',),
        outputs="deployed",
        stage="deploy-stage",
    ),
    Job(
        "rollback",
        _WITH_GRAPH + _PUSH + _BY_HAND + _OPTIONAL,
        "- modelyard ci operation rollback\n",
        more='needs: ["$[[ inputs.name ]]-deploy"]\n' + _live("action: access"),
        variables=('MODELYARD_INPUT_ENDPOINT: "$[[ inputs.graph ]]"',),
        stage="deploy-stage",
    ),
)

_REVIEWED = """\
resource_group: "$[[ inputs.name ]]-preview-$CI_MERGE_REQUEST_IID"
environment:
  name: "review/$[[ inputs.name ]]-$CI_MERGE_REQUEST_IID"
"""

_PREVIEW = (
    Job(
        "preview",
        _REQUEST,
        """\
- |
  set -f
  set -- --lasting --ttl "$PREVIEW_TTL"
  for graph in $PREVIEW_GRAPHS; do set -- "$@" --graph "$graph"; done
  modelyard ci preview "$@" ${PREVIEW_REQUESTS:+--requests "$PREVIEW_REQUESTS"}
- modelyard ci report --status none --artifacts "$CI_JOB_URL/artifacts/browse"
- modelyard ci gate
""",
        more=f"""\
needs: ["$[[ inputs.name ]]-request"]
{_REVIEWED}  url: "$ENDPOINT_URL"
  on_stop: "$[[ inputs.name ]]-preview-stop"
  auto_stop_in: "$[[ inputs.ttl ]]"
""",
        outputs="preview",
    ),
    Job(
        "preview-stop",
        _REQUEST + _BY_HAND + _OPTIONAL,
        "- modelyard ci preview --stop\n",
        more=f"needs: []\n{_REVIEWED}  action: stop\n",
    ),
    Job("preview-reaper", _SCHEDULE, "- modelyard ci preview --expired\n"),
)


def _operation(job: str, operation: str) -> tuple[Job, ...]:
    script = f"- modelyard ci operation {operation}\n"
    return (Job(job, _CALLED, script, more=f'resource_group: "$[[ inputs.name ]]-{job}"\n', outputs="outputs"),)


TEMPLATES = (
    Template(
        "pull-request",
        "For merge requests: train and measure what the change touches, preview it, report, and judge.",
        _PULL_REQUEST,
    ),
    Template(
        "pull-request-parallel",
        "For merge requests with several workflows: a child pipeline with a job for each that the change touches.",
        _PARALLEL,
    ),
    Template(
        "main",
        "For the default branch: train what the change touches, promote it by hand, deploy it; back by hand.",
        _MAIN,
    ),
    Template(
        "preview",
        "For merge requests, beside pull-request.yml: a preview until the request is closed, or its time is over.",
        _PREVIEW,
    ),
    Template(
        "batch",
        "By schedule or by hand: score a dataset with a registered model.",
        _operation("batch", "predict"),
        "predict",
    ),
    Template(
        "retrain",
        "By schedule, by hand or by a call of the API: run a workflow that trains anew.",
        _operation("retrain", "run"),
        "run",
    ),
)
"""All that there are."""
