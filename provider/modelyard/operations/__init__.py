"""The waist: what an operation is, how it is declared, found, started, followed and repeated."""

from modelyard.operations.context import OperationContext
from modelyard.operations.declaration import Operation, OperationSpec, Parameter, ResultField, operation
from modelyard.operations.errors import (
    CancelRequested,
    DeclarationInvalid,
    OperationCancelled,
    OperationNotFound,
    ParameterInvalid,
    ParameterMissing,
    ParameterUnknown,
    ResultInvalid,
    WorkLost,
)
from modelyard.operations.progress import NoProgress, Progress, Track
from modelyard.operations.references import DatasetRef, ModelRef
from modelyard.operations.states import RunState
from modelyard.operations.types import ParameterType

__all__ = [
    "CancelRequested",
    "DatasetRef",
    "DeclarationInvalid",
    "ModelRef",
    "NoProgress",
    "Operation",
    "OperationCancelled",
    "OperationContext",
    "OperationNotFound",
    "OperationSpec",
    "Parameter",
    "ParameterInvalid",
    "ParameterMissing",
    "ParameterType",
    "ParameterUnknown",
    "Progress",
    "ResultField",
    "ResultInvalid",
    "RunState",
    "Track",
    "WorkLost",
    "operation",
]
