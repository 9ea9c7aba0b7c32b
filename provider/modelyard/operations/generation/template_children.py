"""The GitLab template whose jobs are as many as a change needs: it writes a child pipeline, and starts it."""

__all__ = ["CHILD", "PARALLEL"]

PARALLEL = """\
"$[[ inputs.name ]]-plan":
  stage: "$[[ inputs.stage ]]"
  image: "$[[ inputs.image ]]"
  timeout: "$[[ inputs.timeout ]]"
  interruptible: true
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    GIT_DEPTH: "0"
    <VARIABLES>
  before_script:
    - |
      <SETUP>
  script:
    - modelyard ci report --pending --status "$REPORT_STATUS"
    - mkdir -p .modelyard && modelyard ci plan --matrix > .modelyard/matrix.json
    - |
      {
        python3 -c '
      import json
      names = [each["workflow"] for each in json.load(open(".modelyard/matrix.json"))["include"]]
      if names:
          print("run:", json.dumps({"extends": ".run", "parallel": {"matrix": [{"WORKFLOW": names}]}}))
      '
        cat <<'CHILD'
      <CHILD>
      CHILD
      } > .modelyard/child.yml
  artifacts:
    paths:
      - "$[[ inputs.project-path ]]/.modelyard/child.yml"

"$[[ inputs.name ]]-workflows":
  stage: "$[[ inputs.stage ]]"
  needs: ["$[[ inputs.name ]]-plan"]
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    JOB_IMAGE: "$[[ inputs.image ]]"
    <VARIABLES>
  trigger:
    include:
      - artifact: "$[[ inputs.project-path ]]/.modelyard/child.yml"
        job: "$[[ inputs.name ]]-plan"
    strategy: depend
"""
"""The jobs; ``<CHILD>`` stands for the child pipeline."""

CHILD = """\
variables:
  GIT_DEPTH: "0"
.run:
  image: $JOB_IMAGE
  before_script:
    - |
      <SETUP>
  script:
    - |
      RUN_WORKFLOWS="$WORKFLOW --folder .modelyard/ci/$WORKFLOW"
      <RUN>
  artifacts:
    when: always
    paths: ["$PROJECT_PATH/.modelyard/ci"]
report:
  image: $JOB_IMAGE
  needs: [{job: run, optional: true}]
  before_script:
    - |
      <SETUP>
  script:
    - modelyard ci plan --folder .modelyard/plan
    - mkdir -p .modelyard/ci && cp .modelyard/plan/plan.json .modelyard/ci
    - modelyard ci report --status "$REPORT_STATUS" --artifacts "$CI_JOB_URL/artifacts/browse"
    - modelyard ci gate
  artifacts:
    when: always
    paths: ["$PROJECT_PATH/.modelyard/ci"]
    reports:
      metrics: $PROJECT_PATH/.modelyard/ci/metrics.txt
      junit: $PROJECT_PATH/.modelyard/ci/junit.xml
      annotations: $PROJECT_PATH/.modelyard/ci/annotations.json
"""
"""What is in every child pipeline; its variables come from the job that starts it."""
