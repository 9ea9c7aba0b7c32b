"""What runs per event: graphs of steps and models, pure and without a server."""

from modelyard.graphs.errors import (
    EventInvalid,
    FeatureMissing,
    FeatureWrong,
    FlavorUnsupported,
    GraphInvalid,
    LibraryMissing,
    ModelDigestWrong,
    ModelFilesInvalid,
    ModelNotTrusted,
    PredictionFailed,
    ResourceMissing,
    StepFailed,
    StepNotFound,
)
from modelyard.graphs.event import Event
from modelyard.graphs.graph import Graph, Step
from modelyard.graphs.model_files import LoadedModel, ModelCard, Predictions, open_model, read_card
from modelyard.graphs.plan import Plan
from modelyard.graphs.ports import Channel, FeatureReader, ModelLoader, Recorder, Resources, SecretSource
from modelyard.graphs.rows import matrix_of
from modelyard.graphs.spec import GraphSpec, StepSpec

__all__ = [
    "Channel",
    "Event",
    "EventInvalid",
    "FeatureMissing",
    "FeatureReader",
    "FeatureWrong",
    "FlavorUnsupported",
    "Graph",
    "GraphInvalid",
    "GraphSpec",
    "LibraryMissing",
    "LoadedModel",
    "ModelCard",
    "ModelDigestWrong",
    "ModelFilesInvalid",
    "ModelLoader",
    "ModelNotTrusted",
    "Plan",
    "PredictionFailed",
    "Predictions",
    "Recorder",
    "ResourceMissing",
    "Resources",
    "SecretSource",
    "Step",
    "StepFailed",
    "StepNotFound",
    "StepSpec",
    "matrix_of",
    "open_model",
    "read_card",
]
