"""Ready-made steps: what a graph does besides asking models, with arguments that are data."""

from modelyard.graphs.steps.errors import (
    ArgumentInvalid,
    BodyInvalid,
    CallFailed,
    EventRepeated,
    FieldMissing,
    FieldUnfit,
    FileRefused,
    RateExceeded,
    StateInvalid,
    StepClosed,
)
from modelyard.graphs.steps.fields import FieldOperations, Fields
from modelyard.graphs.steps.gates import Deduplicate, RateLimit, Sample
from modelyard.graphs.steps.http_call import HttpCall
from modelyard.graphs.steps.reader import Reader
from modelyard.graphs.steps.stateful import Fold, MapByKey
from modelyard.graphs.steps.validate import Validate
from modelyard.graphs.steps.writer import Writer

__all__ = [
    "ArgumentInvalid",
    "BodyInvalid",
    "CallFailed",
    "Deduplicate",
    "EventRepeated",
    "FieldMissing",
    "FieldOperations",
    "FieldUnfit",
    "Fields",
    "FileRefused",
    "Fold",
    "HttpCall",
    "MapByKey",
    "RateExceeded",
    "RateLimit",
    "Reader",
    "Sample",
    "StateInvalid",
    "StepClosed",
    "Validate",
    "Writer",
]
