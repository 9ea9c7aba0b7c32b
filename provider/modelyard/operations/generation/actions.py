"""Writes the composite GitHub action of an operation, and the page about it."""

import json
from collections.abc import Sequence

from modelyard.operations.declaration import OperationSpec
from modelyard.operations.generation.ci_inputs import CiInput, CiOutput, inputs_of, outputs_of
from modelyard.operations.generation.source import MARK

__all__ = ["ACTIONS", "action_page", "action_source", "input_table", "output_table"]

ACTIONS = ("deploy", "evaluate", "predict", "promote", "register", "rollback", "run", "train", "undeploy")
"""The operations that are an action of their own."""


def action_source(spec: OperationSpec) -> str:
    """Return the ``action.yml`` of an operation: it hands its inputs to ``modelyard ci operation`` in variables.

    No value is ever written into the script, so that none can be read as a part of it.
    """
    inputs, outputs = inputs_of(spec), outputs_of(spec)
    lines = [
        f"# {MARK}",
        f"name: {_text(f'modelyard {spec.name}')}",
        f"description: {_text(spec.summary)}",
        "branding: {icon: activity, color: blue}",
        "inputs:",
        *(line for each in inputs for line in _input(each)),
        "outputs:",
        *(line for each in outputs for line in _output(each)),
        "runs:",
        "  using: composite",
        "  steps:",
        "    - id: work",
        "      shell: bash",
        "      working-directory: ${{ inputs.project-path }}",
        "      env:",
        *(f"        {each.variable}: ${{{{ inputs.{each.name} }}}}" for each in inputs if each.variable),
        f"      run: modelyard ci operation {spec.name}",
    ]
    return "\n".join(lines) + "\n"


def action_page(spec: OperationSpec) -> str:
    """Return the README of an operation's action."""
    inputs = inputs_of(spec)
    needed = [each for each in inputs if each.required]
    lines = [
        f"<!-- {MARK} -->",
        f"# {spec.name}",
        "",
        spec.summary,
        "",
        "`setup` goes before it in the job. The values are examples.",
        "",
        "```yaml",
        f"- uses: OWNER/REPO/github-actions/{spec.name}@v1",
        *(["  with:", *(f"    {each.name}: …" for each in needed)] if needed else []),
        "```",
        "",
        *input_table(inputs),
        "",
        *output_table(outputs_of(spec)),
    ]
    return "\n".join(lines) + "\n"


def input_table(inputs: Sequence[CiInput]) -> list[str]:
    """Return the lines of a Markdown table of inputs."""
    rows = [f"| `{each.name}` | {_cell(each.doc)} | {_default(each)} |" for each in inputs]
    return ["| input | meaning | default |", "|---|---|---|", *rows]


def output_table(outputs: Sequence[CiOutput]) -> list[str]:
    """Return the lines of a Markdown table of outputs."""
    rows = [f"| `{each.name}` | {_cell(each.doc)} |" for each in outputs]
    return ["| output | meaning |", "|---|---|", *rows]


def _input(each: CiInput) -> list[str]:
    lines = [f"  {each.name}:", f"    description: {_text(each.doc)}"]
    if each.required:
        return [*lines, "    required: true"]
    return [*lines, f"    default: {_text(each.default)}"]


def _output(each: CiOutput) -> list[str]:
    value = f"${{{{ steps.work.outputs.{each.name} }}}}"
    return [f"  {each.name}:", f"    description: {_text(each.doc)}", f"    value: {value}"]


def _default(each: CiInput) -> str:
    if each.required:
        return "required"
    return f"`{each.default}`" if each.default else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _text(text: str) -> str:
    """Return text as YAML, which takes JSON's way of quoting."""
    return json.dumps(text, ensure_ascii=False)
