"""Metrics as OpenMetrics text, which GitLab compares with those of the target branch."""

import math
import re

from modelyard.ci.records import RunRecord

__all__ = ["openmetrics"]

_NAME = re.compile(r"[^a-zA-Z0-9_]")


def openmetrics(run: RunRecord | None) -> str:
    """Return every metric of every candidate, as OpenMetrics text.

    Parameters
    ----------
    run
        What ran; None gives no metric.
    """
    lines = []
    for candidate in run.candidates if run else ():
        name = _label(candidate.model.removeprefix("models:/").partition("/")[0])
        for each in candidate.metrics:
            if each.candidate is not None and math.isfinite(each.candidate):
                labels = f'workflow="{_label(candidate.workflow)}",model="{name}"'
                lines.append(f"modelyard_{_NAME.sub('_', each.name)}{{{labels}}} {each.candidate!r}")
    return "".join(f"{line}\n" for line in [*dict.fromkeys(lines), "# EOF"])


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
