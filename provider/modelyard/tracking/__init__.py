"""Runs, models and the model registry, on MLflow: embedded in a file, or on any server."""

from modelyard.tracking.errors import (
    AliasMoved,
    AliasNotFound,
    ArtifactsNotAccessible,
    ModelNameInvalid,
    ModelNotFound,
    ModelNotLoggable,
    ModelReferenceInvalid,
    ModelVersionNotFound,
    RunFinished,
    RunSuperseded,
    TrackingDenied,
    TrackingFull,
    TrackingRefused,
    TrackingSchemaOld,
    TrackingUnavailable,
)
from modelyard.tracking.evaluations import Evaluation, Evaluations
from modelyard.tracking.listings import ModelSummary, ModelVersion
from modelyard.tracking.models import LoggedModelInfo, ModelFacts
from modelyard.tracking.references import ModelReference, ResolvedModel
from modelyard.tracking.registry import Registry
from modelyard.tracking.runs import Terminated, TrackedRun
from modelyard.tracking.tags import run_tags
from modelyard.tracking.tracking import Tracking, open_tracking

__all__ = [
    "AliasMoved",
    "AliasNotFound",
    "ArtifactsNotAccessible",
    "Evaluation",
    "Evaluations",
    "LoggedModelInfo",
    "ModelFacts",
    "ModelNameInvalid",
    "ModelNotFound",
    "ModelNotLoggable",
    "ModelReference",
    "ModelReferenceInvalid",
    "ModelSummary",
    "ModelVersion",
    "ModelVersionNotFound",
    "Registry",
    "ResolvedModel",
    "RunFinished",
    "RunSuperseded",
    "Terminated",
    "TrackedRun",
    "Tracking",
    "TrackingDenied",
    "TrackingFull",
    "TrackingRefused",
    "TrackingSchemaOld",
    "TrackingUnavailable",
    "open_tracking",
    "run_tags",
]
