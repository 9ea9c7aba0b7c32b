#!/usr/bin/env bash
# Installs modelyard and the project's requirements into an environment of their own, and puts it first on the PATH.
# What it gets in variables is never read as code: see action.yml.
set -euo pipefail

folder="$RUNNER_TEMP/modelyard-environment"
python3 -m venv "$folder"
python="$folder/bin/python"

extras=""
[ -z "$SETUP_EXTRAS" ] || extras="[$SETUP_EXTRAS]"
if [ -z "$SETUP_VERSION" ]; then
  wanted="modelyard$extras"
elif [[ "$SETUP_VERSION" == *.whl ]]; then
  wanted="modelyard$extras @ file://$(realpath -- "$SETUP_VERSION")"
elif [[ "$SETUP_VERSION" =~ ^[0-9][0-9A-Za-z.+!]*$ ]]; then
  wanted="modelyard$extras==$SETUP_VERSION"
else
  echo "::error title=modelyard setup::version is a number such as 0.3.1, or the path of a wheel"
  exit 2
fi

[ -z "$SETUP_INDEX_URL" ] || export PIP_INDEX_URL="$SETUP_INDEX_URL"
more=()
[ -z "$SETUP_REQUIREMENTS" ] || more=(--requirement "$SETUP_REQUIREMENTS")
"$python" -m pip install --quiet "$wanted" ${more[@]+"${more[@]}"}

echo "$folder/bin" >> "$GITHUB_PATH"
"$python" - <<'PYTHON' >> "$GITHUB_OUTPUT"
from importlib.metadata import version

print(f"version={version('modelyard')}")
PYTHON
