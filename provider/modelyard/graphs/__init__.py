"""What runs per event: graphs of steps and models, pure and without a server."""

from modelyard.graphs.errors import (
    FeatureMissing,
    FeatureWrong,
    LibraryMissing,
    ModelDigestWrong,
    ModelFilesInvalid,
    ModelNotTrusted,
    PredictionFailed,
)
from modelyard.graphs.model_files import LoadedModel, ModelCard, Predictions, open_model, read_card

__all__ = [
    "FeatureMissing",
    "FeatureWrong",
    "LibraryMissing",
    "LoadedModel",
    "ModelCard",
    "ModelDigestWrong",
    "ModelFilesInvalid",
    "ModelNotTrusted",
    "PredictionFailed",
    "Predictions",
    "open_model",
    "read_card",
]
