"""Models in a graph: their files, what serves them, and what users extend."""

from modelyard.graphs.models.errors import (
    CompilationRefused,
    ExplanationUnavailable,
    ModelNotLoaded,
    ModelNotReady,
    ModelsFailed,
    ModelUnknown,
    OperationUnknown,
    ReloadRefused,
    RemoteModelFailed,
    VersionUnknown,
    WarmUpFailed,
)
from modelyard.graphs.models.estimators import EstimatorModel
from modelyard.graphs.models.files import LoadedModel, ModelCard, Predictions, open_model, read_card
from modelyard.graphs.models.functions import FunctionModel
from modelyard.graphs.models.model import Model, model_operation
from modelyard.graphs.models.onnx import OnnxModel
from modelyard.graphs.models.remote import RemoteModel
from modelyard.graphs.models.rows import matrix_of
from modelyard.graphs.models.runner import ModelRunner
from modelyard.graphs.models.server import ModelServer
from modelyard.graphs.models.signatures import Signature, Tensor

__all__ = [
    "CompilationRefused",
    "EstimatorModel",
    "ExplanationUnavailable",
    "FunctionModel",
    "LoadedModel",
    "Model",
    "ModelCard",
    "ModelNotLoaded",
    "ModelNotReady",
    "ModelRunner",
    "ModelServer",
    "ModelUnknown",
    "ModelsFailed",
    "OnnxModel",
    "OperationUnknown",
    "Predictions",
    "ReloadRefused",
    "RemoteModel",
    "RemoteModelFailed",
    "Signature",
    "Tensor",
    "VersionUnknown",
    "WarmUpFailed",
    "matrix_of",
    "model_operation",
    "open_model",
    "read_card",
]
