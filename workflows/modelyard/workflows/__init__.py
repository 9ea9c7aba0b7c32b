"""Workflows: written once as a Python function of operation calls, run by any engine with the same meaning."""

from modelyard.workflows.builder import StepHandle, Steps, Value, steps, workflow
from modelyard.workflows.definition import Step, Workflow, WorkflowInput
from modelyard.workflows.drawing import as_mermaid
from modelyard.workflows.errors import (
    NotAWorkflow,
    ResultFieldUnknown,
    StepFailed,
    StepNameTaken,
    StepNotFound,
    TypesMismatch,
    WorkflowCyclic,
    WorkflowInvalid,
)
from modelyard.workflows.outcome import WorkflowOutcome
from modelyard.workflows.references import InputReference, Reference
from modelyard.workflows.validation import check_workflow

__all__ = [
    "InputReference",
    "NotAWorkflow",
    "Reference",
    "ResultFieldUnknown",
    "Step",
    "StepFailed",
    "StepHandle",
    "StepNameTaken",
    "StepNotFound",
    "Steps",
    "TypesMismatch",
    "Value",
    "Workflow",
    "WorkflowCyclic",
    "WorkflowInput",
    "WorkflowInvalid",
    "WorkflowOutcome",
    "as_mermaid",
    "check_workflow",
    "steps",
    "workflow",
]
