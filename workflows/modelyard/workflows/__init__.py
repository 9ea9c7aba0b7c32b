"""Workflows: written once as a Python function of operation calls, run by any engine with the same meaning."""

from modelyard.workflows.blocks import each, otherwise, when
from modelyard.workflows.builder import Steps, steps, workflow
from modelyard.workflows.conditions import AllOf, AnyOf, Comparison, Condition, Not
from modelyard.workflows.dag_files import airflow_dag, airflow_group
from modelyard.workflows.definition import Choice, Loop, Node, Step, Workflow, WorkflowInput
from modelyard.workflows.drawing import as_mermaid
from modelyard.workflows.errors import (
    ConditionUndecidable,
    EngineUnknown,
    NotAWorkflow,
    ResultFieldUnknown,
    ResultMaybeMissing,
    StepFailed,
    StepNameTaken,
    StepNotFound,
    StepTimeout,
    TypesMismatch,
    ValueMissing,
    WorkflowCyclic,
    WorkflowInvalid,
)
from modelyard.workflows.inclusion import Included, include
from modelyard.workflows.outcome import Failure, WorkflowOutcome
from modelyard.workflows.references import (
    Collection,
    InputReference,
    ItemReference,
    Reference,
    StatusReference,
)
from modelyard.workflows.validation import check_workflow
from modelyard.workflows.values import Predicate, StepHandle, Value, collect, exit_status

__all__ = [
    "AllOf",
    "AnyOf",
    "Choice",
    "Collection",
    "Comparison",
    "Condition",
    "ConditionUndecidable",
    "EngineUnknown",
    "Failure",
    "Included",
    "InputReference",
    "ItemReference",
    "Loop",
    "Node",
    "Not",
    "NotAWorkflow",
    "Predicate",
    "Reference",
    "ResultFieldUnknown",
    "ResultMaybeMissing",
    "StatusReference",
    "Step",
    "StepFailed",
    "StepHandle",
    "StepNameTaken",
    "StepNotFound",
    "StepTimeout",
    "Steps",
    "TypesMismatch",
    "Value",
    "ValueMissing",
    "Workflow",
    "WorkflowCyclic",
    "WorkflowInput",
    "WorkflowInvalid",
    "WorkflowOutcome",
    "airflow_dag",
    "airflow_group",
    "as_mermaid",
    "check_workflow",
    "collect",
    "each",
    "exit_status",
    "include",
    "otherwise",
    "steps",
    "when",
    "workflow",
]
