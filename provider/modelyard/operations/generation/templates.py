"""Writes the GitLab templates: their inputs from the operations' declarations, and jobs that call ``modelyard ci``."""

import json
from collections.abc import Iterable, Mapping, Sequence

from modelyard.operations.declaration import OperationSpec
from modelyard.operations.generation.ci_inputs import COMMON, CiInput, inputs_of
from modelyard.operations.generation.source import MARK
from modelyard.operations.generation.template_inputs import COMMON_INPUTS
from modelyard.operations.generation.template_jobs import TEMPLATES, Job, Template
from modelyard.operations.generation.template_scripts import IDENTITY, RUN, SETUP, filled

__all__ = ["template_inputs", "template_source", "template_sources"]

_PATH = r"^[A-Za-z0-9_.][A-Za-z0-9_./-]*$"
_REGEX = {
    "project-path": _PATH,
    "name": "^[a-z][a-z0-9-]*$",
    "environment": r"^[A-Za-z0-9_.-]*$",
    "production": r"^[A-Za-z0-9_./-]+$",
    "graph": r"^[A-Za-z0-9_.:-]*$",
    "ttl": "^[0-9]+[smhd]$",
}
_FOLDER = "$[[ inputs.project-path ]]/.modelyard"
_SCRIPTS = {"SETUP": SETUP, "IDENTITY": IDENTITY, "RUN": RUN}
_PROOF = ("  id_tokens:", "    IDENTITY_TOKEN:", '      aud: "$[[ inputs.identity-audience ]]"')
_WIDGETS = {"metrics": "metrics.txt", "junit": "junit.xml", "annotations": "annotations.json"}


def template_sources(specs: Iterable[OperationSpec]) -> Mapping[str, str]:
    """Return the templates: file name → text; none where an operation that they run is missing."""
    known = {each.name: each for each in specs}
    if not {each.operation for each in TEMPLATES if each.operation} <= known.keys():
        return {}
    return {f"{each.name}.yml": template_source(each, known.get(each.operation)) for each in TEMPLATES}


def template_inputs(template: Template, spec: OperationSpec | None) -> tuple[CiInput, ...]:
    """Return the inputs of a template: its own, its operation's, and those that every template takes."""
    own = (*(inputs_of(spec) if spec else ()), *template.inputs)
    names = {each.name for each in own}
    without = set() if spec else {"key"}
    common = [each for each in (*COMMON, *COMMON_INPUTS) if each.name not in names | without]
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
    head = [f"# {MARK}", *(f"# {line}" for line in template.summary.splitlines()), "spec:", "  inputs:"]
    lines = [*head, *(line for each in inputs for line in _input(each)), "---", *_base(template, inputs)]
    for job in template.jobs:
        lines += ["", *_job(template, job, inputs)]
    return filled("\n".join(lines) + "\n", {name: text.splitlines() for name, text in _SCRIPTS.items()})


def _input(given: CiInput) -> list[str]:
    lines = [f"    {given.name}:", f"      description: {_text(given.doc)}"]
    if given.kind != "text":
        lines.append(f"      type: {given.kind}")
    if given.choices:
        lines.append(f"      options: [{', '.join(_text(choice) for choice in given.choices)}]")
    if given.name in _REGEX:
        lines.append(f"      regex: '{_REGEX[given.name]}'")
    if not given.required:
        lines.append(f"      default: {_text(given.default) if given.kind == 'text' else given.default}")
    return lines


def _base(template: Template, inputs: Sequence[CiInput]) -> list[str]:
    """Return what the jobs of a template begin with, under a name that a project's own file can add to."""
    proves = any(each.name == "identity-role" for each in inputs)
    return [
        f"{_base_name(template)}:",
        '  image: "$[[ inputs.image ]]"',
        '  timeout: "$[[ inputs.timeout ]] minutes"',
        *(_PROOF if proves else ()),
        "  variables:",
        *(f"    {line}" for line in _variables(inputs)),
        "  before_script:",
        "    - |",
        "      <SETUP>",
        *(("    - |", "      <IDENTITY>") if proves else ()),
    ]


def _base_name(template: Template) -> str:
    return f'".$[[ inputs.name ]]-{template.name}"'


def _job(template: Template, job: Job, inputs: Sequence[CiInput]) -> list[str]:
    variables = list(job.variables)
    lines = [f'"$[[ inputs.name ]]-{job.name}":']
    if job.script:
        lines.append(f"  extends: {_base_name(template)}")
    else:
        variables += _variables(inputs)
    lines += [f'  stage: "$[[ inputs.{job.stage} ]]"', *_indented(job.more, 2), "  rules:", *_indented(job.rules, 4)]
    if job.outputs:
        variables.append(f'MODELYARD_OUTPUTS: ".modelyard/{job.outputs}.env"')
    if variables:
        lines += ["  variables:", *(f"    {line}" for line in variables)]
    if job.script:
        lines += ["  script:", *_indented(job.script, 4)]
    return [*lines, *(_artifacts(job) if job.outputs else ())]


def _artifacts(job: Job) -> list[str]:
    reports = {"dotenv": f"{job.outputs}.env"}
    if job.judges:
        reports |= {kind: f"ci/{file}" for kind, file in _WIDGETS.items()}
    return [
        "  artifacts:",
        "    when: always",
        "    paths:",
        f'      - "{_FOLDER}/ci"',
        "    reports:",
        *(f'      {kind}: "{_FOLDER}/{file}"' for kind, file in reports.items()),
    ]


def _variables(inputs: Sequence[CiInput]) -> list[str]:
    """Return the variables of a job: no input is ever a part of a script."""
    path = 'PROJECT_PATH: "$[[ inputs.project-path ]]"'
    return [path, *(f'{each.variable}: "$[[ inputs.{each.name} ]]"' for each in inputs if each.variable)]


def _indented(text: str, width: int) -> list[str]:
    return [f"{' ' * width}{line}" for line in text.splitlines()]


def _text(text: str) -> str:
    """Return text as YAML, which takes JSON's way of quoting."""
    return json.dumps(text, ensure_ascii=False)
