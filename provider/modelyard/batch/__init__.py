"""Batch scoring: a registered model over a dataset of any size, each row once, bad rows in quarantine."""

from modelyard.batch.errors import (
    FeaturesUnknown,
    OutputColumnTaken,
    OutputOverlaps,
    PredictionsWrong,
    RowsRejected,
)
from modelyard.batch.predict import PredictResult, predict

__all__ = [
    "FeaturesUnknown",
    "OutputColumnTaken",
    "OutputOverlaps",
    "PredictResult",
    "PredictionsWrong",
    "RowsRejected",
    "predict",
]
