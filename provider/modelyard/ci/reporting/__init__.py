"""The report of a job: what it says, how it is written, and where it is put."""

from modelyard.ci.reporting.annotations import annotations_of, gitlab_annotations, junit, workflow_command
from modelyard.ci.reporting.openmetrics import openmetrics
from modelyard.ci.reporting.publishing import Delivery, Publisher, StatusKind
from modelyard.ci.reporting.rendering import render, summary
from modelyard.ci.reporting.report import Report, Section, build_report
from modelyard.ci.reporting.verdict import Verdict, verdict_of

__all__ = [
    "Delivery",
    "Publisher",
    "Report",
    "Section",
    "StatusKind",
    "Verdict",
    "annotations_of",
    "build_report",
    "gitlab_annotations",
    "junit",
    "openmetrics",
    "render",
    "summary",
    "verdict_of",
    "workflow_command",
]
