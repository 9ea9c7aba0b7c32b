"""What several jobs on GitLab run, as they are written into a template, and into a pipeline that a job writes."""

import re
from collections.abc import Mapping, Sequence

__all__ = ["IDENTITY", "RUN", "SETUP", "filled"]

SETUP = """\
cd -- "$PROJECT_PATH"
extras="${SETUP_EXTRAS:+[$SETUP_EXTRAS]}"
case "$SETUP_VERSION" in
  "") set -- "modelyard$extras" ;;
  *.whl) set -- "modelyard$extras @ file://$(realpath -- "$SETUP_VERSION")" ;;
  [0-9]*) set -- "modelyard$extras==$SETUP_VERSION" ;;
  *) echo "version is a number such as 0.3.1, or the path of a wheel" >&2; exit 2 ;;
esac
[ -z "$SETUP_REQUIREMENTS" ] || set -- "$@" --requirement "$SETUP_REQUIREMENTS"
[ -z "$SETUP_INDEX_URL" ] || export PIP_INDEX_URL="$SETUP_INDEX_URL"
[ -z "$SETUP_TRACKING_URI" ] || export MLFLOW_TRACKING_URI="$SETUP_TRACKING_URI"
python3 -m pip install --quiet "$@"
"""
"""Goes to the project, and installs what the job needs."""

IDENTITY = """\
if [ -n "$IDENTITY_ROLE" ]; then
  AWS_WEB_IDENTITY_TOKEN_FILE="$(mktemp)"
  printf %s "$IDENTITY_TOKEN" > "$AWS_WEB_IDENTITY_TOKEN_FILE"
  export AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN="$IDENTITY_ROLE"
fi
"""
"""Names the proof of the job's identity, and the role to take by it, to whatever reads them."""

RUN = """\
set -f
set -- $RUN_WORKFLOWS --baseline "$RUN_BASELINE"
while IFS= read -r line; do [ -z "$line" ] || set -- "$@" --input "$line"; done <<END
$RUN_INPUTS
END
while IFS= read -r line; do [ -z "$line" ] || set -- "$@" --gate "$line"; done <<END
$RUN_GATES
END
modelyard ci run "$@" || echo "the report and the gate tell of it"
"""
"""Runs workflows; what fails is told by the report and the gate."""


def filled(text: str, blocks: Mapping[str, Sequence[str]]) -> str:
    r"""Put lines in the place of marks, as far to the right as each mark stands.

    Examples
    --------
    >>> filled("script:\n  <RUN>\n", {"RUN": ["one", "two"]})
    'script:\n  one\n  two\n'
    """
    for mark, lines in blocks.items():

        def written(found: re.Match[str], lines: Sequence[str] = lines) -> str:
            return "".join(f"{found[1]}{line}\n" for line in lines)

        text = re.sub(rf"^( *)<{mark}>\n", written, text, flags=re.MULTILINE)
    return text
