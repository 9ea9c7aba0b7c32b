"""The child pipeline of GitLab whose jobs are as many as a change needs: the command that plans writes it."""

import json
from collections.abc import Sequence

from modelyard.operations.generation.template_scripts import RUN, SETUP, filled

__all__ = ["child_pipeline"]

_HEAD = """\
# Written by `modelyard ci plan --child`. Its variables come from the job that starts it.
.job:
  image: $JOB_IMAGE
  variables:
    GIT_DEPTH: "0"
  before_script:
    - |
      <SETUP>
  artifacts:
    when: always
    paths: ["$PROJECT_PATH/.modelyard/ci"]
"""

_RUN = """\
run:
  extends: .job
  parallel:
    matrix:
      - WORKFLOW: <NAMES>
  script:
    - |
      RUN_WORKFLOWS="$WORKFLOW --folder .modelyard/ci/$WORKFLOW"
      <RUN>
"""

_REPORT = """\
report:
  extends: .job
  needs: [{job: run, optional: true}]
  script:
    - modelyard ci plan --folder .modelyard/plan
    - mkdir -p .modelyard/ci && cp .modelyard/plan/plan.json .modelyard/ci
    - if [ "$PREVIEW" = true ]; then modelyard ci preview ${PREVIEW_REQUESTS:+--requests "$PREVIEW_REQUESTS"}; fi
    - modelyard ci report --status "$REPORT_STATUS" --artifacts "$CI_JOB_URL/artifacts/browse"
    - modelyard ci gate
  artifacts:
    reports:
      metrics: $PROJECT_PATH/.modelyard/ci/metrics.txt
      junit: $PROJECT_PATH/.modelyard/ci/junit.xml
      annotations: $PROJECT_PATH/.modelyard/ci/annotations.json
"""


def child_pipeline(workflows: Sequence[str]) -> str:
    """Return a pipeline with a job for each workflow, and a last one that reports and judges, as YAML.

    Parameters
    ----------
    workflows
        The workflows; without any, the last job is alone, and tells that there was nothing to run.
    """
    jobs = _RUN.replace("<NAMES>", json.dumps(list(workflows))) if workflows else ""
    return filled(_HEAD + jobs + _REPORT, {"SETUP": SETUP.splitlines(), "RUN": RUN.splitlines()})
