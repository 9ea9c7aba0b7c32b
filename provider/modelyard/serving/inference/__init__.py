"""The Open Inference Protocol, version 2: tensors and messages, apart from how they travel."""

from modelyard.serving.inference.datatypes import DATATYPES, datatype_of
from modelyard.serving.inference.errors import InferenceRefused, TensorInvalid
from modelyard.serving.inference.messages import (
    InferenceRequest,
    InferenceResponse,
    OutputRequest,
    read_request,
    write_response,
)
from modelyard.serving.inference.tensors import Tensor

__all__ = [
    "DATATYPES",
    "InferenceRefused",
    "InferenceRequest",
    "InferenceResponse",
    "OutputRequest",
    "Tensor",
    "TensorInvalid",
    "datatype_of",
    "read_request",
    "write_response",
]
