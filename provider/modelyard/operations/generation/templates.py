"""Writes the GitLab templates: their inputs from the operations' declarations, and jobs that call ``modelyard ci``."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from modelyard.operations.declaration import OperationSpec
from modelyard.operations.generation.ci_inputs import COMMON, CiInput, inputs_of
from modelyard.operations.generation.source import MARK
from modelyard.operations.generation.template_children import CHILD
from modelyard.operations.generation.template_jobs import TEMPLATES, Template

__all__ = ["GITLAB_INPUTS", "template_inputs", "template_source", "template_sources"]


_PATH = r"^[A-Za-z0-9_.][A-Za-z0-9_./-]*$"
_REGEX = {
    "project-path": _PATH,
    "name": "^[a-z][a-z0-9-]*$",
    "environment": r"^[A-Za-z0-9_.-]*$",
    "production": r"^[A-Za-z0-9_./-]+$",
    "graph": r"^[A-Za-z0-9_.:-]+$",
    "ttl": "^[0-9]+[smhd]$",
}

GITLAB_INPUTS = (
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
    CiInput("timeout", "How long a job may take.", default="2 hours"),
)
"""What every template takes besides."""


def template_sources(specs: Iterable[OperationSpec]) -> Mapping[str, str]:
    """Return the templates: file name → text; none where an operation that they run is missing."""
    known = {each.name: each for each in specs}
    if not {each.operation for each in TEMPLATES if each.operation} <= known.keys():
        return {}
    return {f"{each.name}.yml": template_source(each, known.get(each.operation)) for each in TEMPLATES}


def template_inputs(template: Template, spec: OperationSpec | None) -> tuple[CiInput, ...]:
    """Return the inputs of a template: its own, its operation's, and those that every template takes."""
    own = (*template.inputs, *(inputs_of(spec) if spec else ()))
    names = {each.name for each in own}
    common = [each for each in (*COMMON, *GITLAB_INPUTS) if each.name not in {*names, *template.without}]
    return tuple(sorted((*own, *common), key=lambda each: not each.required))


def template_source(template: Template, spec: OperationSpec | None) -> str:
    """Return the text of a template.

    Parameters
    ----------
    template
        Its jobs, and what they take.
    spec
        The operation that one of its jobs runs, if it runs a single one.
    """
    inputs = template_inputs(template, spec)
    body = template.jobs
    for mark, lines in {"VARIABLES": _variables(inputs), **_BLOCKS}.items():
        body = _filled(body, mark, lines)
    head = [f"# {MARK}", *(f"# {line}" for line in template.summary.splitlines()), "spec:", "  inputs:"]
    lines = [*head, *(line for each in inputs for line in _input(each)), "---"]
    return "\n".join(lines) + "\n" + body


def _input(given: CiInput) -> list[str]:
    lines = [f"    {given.name}:", f"      description: {_text(given.doc)}"]
    if given.choices:
        lines.append(f"      options: [{', '.join(_text(choice) for choice in given.choices)}]")
    if given.name in _REGEX:
        lines.append(f"      regex: '{_REGEX[given.name]}'")
    if not given.required:
        lines.append(f"      default: {_text(given.default)}")
    return lines


def _variables(inputs: Sequence[CiInput]) -> list[str]:
    """Return the variables of a job: no input is ever a part of a script."""
    path = 'PROJECT_PATH: "$[[ inputs.project-path ]]"'
    return [path, *(f'{each.variable}: "$[[ inputs.{each.name} ]]"' for each in inputs if each.variable)]


def _filled(body: str, mark: str, lines: Sequence[str]) -> str:
    """Put lines in the place of a mark, as far to the right as it stands."""

    def written(found: re.Match[str]) -> str:
        return "".join(f"{found[1]}{line}\n" for line in lines)

    return re.sub(rf"^( *)<{mark}>\n", written, body, flags=re.MULTILINE)


def _text(text: str) -> str:
    """Return text as YAML, which takes JSON's way of quoting."""
    return json.dumps(text, ensure_ascii=False)


_SETUP = """\
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
python3 -m pip install --quiet "$@"
"""

_RUN = """\
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

_ARTIFACTS = """\
when: always
paths:
  - "$[[ inputs.project-path ]]/.modelyard/ci"
reports:
  dotenv: "$[[ inputs.project-path ]]/.modelyard/outputs.env"
  metrics: "$[[ inputs.project-path ]]/.modelyard/ci/metrics.txt"
  junit: "$[[ inputs.project-path ]]/.modelyard/ci/junit.xml"
  annotations: "$[[ inputs.project-path ]]/.modelyard/ci/annotations.json"
"""

_BLOCKS = {
    "CHILD": CHILD.splitlines(),
    "SETUP": _SETUP.splitlines(),
    "RUN": _RUN.splitlines(),
    "ARTIFACTS": _ARTIFACTS.splitlines(),
}
