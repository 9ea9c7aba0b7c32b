#!/usr/bin/env bash
# Plans, runs and tries a change. What fails is in the folder's files, for the report and the gate that come after.
set -euo pipefail

words=()
[ -z "$REQUEST_BASE" ] || words=(--base "$REQUEST_BASE")
modelyard ci plan ${words[@]+"${words[@]}"}

read -r -a words <<< "$RUN_WORKFLOWS" || true
words+=(--baseline "$RUN_BASELINE")
while IFS= read -r line; do [ -z "$line" ] || words+=(--input "$line"); done <<< "$RUN_INPUTS"
while IFS= read -r line; do [ -z "$line" ] || words+=(--gate "$line"); done <<< "$RUN_GATES"
modelyard ci run "${words[@]}" || echo "the report and the gate tell of it"

if [ "$PREVIEW" = true ]; then
  words=()
  [ -z "$PREVIEW_REQUESTS" ] || words+=(--requests "$PREVIEW_REQUESTS")
  if [ "$PREVIEW_LASTING" = true ]; then
    words+=(--lasting --ttl "$PREVIEW_TTL")
    export RUNNER_TRACKING_ID="" # by which the runner would end it with the job
  fi
  modelyard ci preview ${words[@]+"${words[@]}"}
fi
