"""The text of a host's file: a head that says what it is, then YAML as people write it."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from modelyard.workflows.definition import WorkflowInput
from modelyard.workflows.engines.jobs.plan import JobPlan
from modelyard.workflows.engines.jobs.settings import Settings, environment_definition
from modelyard.workflows.engines.remote import RunRequest
from modelyard.workflows.errors import WorkflowInvalid

__all__ = ["as_yaml", "check_names", "command", "head", "meaning", "number_of"]

_EXACT = 2**53
"""Beyond this a host's form shows another whole number than the one that was given."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Write the items of a list below their name, not beside it."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out, however often it is there."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _nothing(dumper: yaml.SafeDumper, _: None) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:null", "")


_Dumper.add_representer(str, _text)
_Dumper.add_representer(type(None), _nothing)


def as_yaml(content: Mapping[str, Any]) -> str:
    """Return YAML as people write it.

    Examples
    --------
    >>> print(as_yaml({"on": {"push": None}, "jobs": {"a": {"needs": ["b"]}}}), end="")
    on:
      push:
    jobs:
      a:
        needs:
          - b
    """
    text: str = yaml.dump(
        dict(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False
    )
    # PyYAML quotes what older YAML took for a boolean.
    return re.sub("^'on':", "on:", text, flags=re.MULTILINE)


def head(request: RunRequest, plan: JobPlan, settings: Settings, engine: str, hints: Sequence[str] = ()) -> str:
    """Return the comment at the head of a file.

    Parameters
    ----------
    request, plan, settings
        What it is made of.
    engine
        The host.
    hints
        More sentences for people.
    """
    options = [word for name, value in settings.given.items() for word in ("--option", f"{name}={value}")]
    if request.environment:
        options += ["--environment", request.environment]
    made = shlex.join(["modelyard", "workflows", "compile", request.name, "--engine", engine, *options])
    lines = [
        f"The workflow {plan.workflow.name} of the project {request.project_name}: a job for each step.",
        f"Made by: {made}",
        "Change the workflow and make this file anew: its jobs refuse to run another workflow than this one.",
    ]
    lines += [f"The loop {each.name} is one job: {plan.why_one(each)}." for each in plan.loops]
    lines += settings.unmet(plan.jobs)
    tracking = environment_definition(request).tracking
    if any(step.operation != "call" for step in plan.workflow.steps) and (tracking is None or "sqlite" in tracking):
        lines.append(
            "What the steps track is in a file of one machine: have a tracking server, or a runner that lasts."
        )
    return "".join(f"# {_one_line(line)}\n" for line in (*lines, *hints))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def command(request: RunRequest, settings: Settings, part: str = "") -> str:
    """Return the one line of a job: that does a part of the workflow, or what comes last.

    Parameters
    ----------
    request, settings
        The workflow, and what later jobs need.
    part
        A step or a loop; empty for the last job.
    """
    if not part:
        return shlex.join(["modelyard", "workflows", "finish", request.name])
    files = [word for path in settings.names("files") for word in ("--files", path)]
    return shlex.join(["modelyard", "workflows", "step", request.name, part, *files])


def check_names(inputs: Sequence[WorkflowInput], host: str) -> None:
    """Refuse parameters whose names a host cannot take.

    Raises
    ------
    WorkflowInvalid
        A name has other characters than letters of English, digits and ``_``, or differs from another by case alone.
    """
    known: set[str] = set()
    for each in inputs:
        if not each.name.isascii() or each.name.upper() in known:
            rule = "differs from another by its case alone" if each.name.isascii() else "has letters that are not ASCII"
            mend = "Name it differently."
            raise WorkflowInvalid(f"{host} cannot take the parameter {each.name!r}: it {rule}", mend=mend)
        known.add(each.name.upper())


def meaning(each: WorkflowInput) -> str:
    """Return what a form says of a parameter."""
    text = " ".join(each.doc.split()) or f"{each.name}."
    hints = {"list": " A JSON list.", "mapping": " A JSON object.", "any": " JSON."}
    nothing = " null for nothing." if each.type.optional else ""
    return f"{text}{hints.get(each.type.kind, '')}{nothing}"


def number_of(each: WorkflowInput) -> bool:
    """Return whether a host's own numbers hold a parameter's default as it is; others are asked for as text."""
    if each.type.kind not in ("integer", "number") or each.type.optional:
        return False
    value = each.default
    return each.required or (abs(value) < _EXACT and float(f"{value:.15g}") == value)
