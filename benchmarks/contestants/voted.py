"""Three scikit-learn models of one question, one row and 10,000 rows for them."""

from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

_DATA, _LABELS = load_breast_cancer(return_X_y=True)
_SCALED = (_DATA - _DATA.mean(axis=0)) / _DATA.std(axis=0)
MODELS: dict[str, Any] = {
    "linear": LogisticRegression().fit(_SCALED, _LABELS),
    "boosted": HistGradientBoostingClassifier(random_state=7).fit(_SCALED, _LABELS),
    "bayes": GaussianNB().fit(_SCALED, _LABELS),
}
_RANDOM = np.random.default_rng(7)
ROWS = _SCALED[_RANDOM.integers(0, len(_SCALED), size=10_000)] + _RANDOM.normal(0.0, 0.5, size=(10_000, 30))
FEATURES = tuple(f"feature_{number}" for number in range(30))
SAMPLES = ROWS[:20]
"""What is asked, to compare the answers."""


def majority(labels: list[Any]) -> list[int]:
    """Return what most of the models say about each row."""
    return (np.sum(labels, axis=0) > len(labels) / 2).astype(int).tolist()  # type: ignore[no-any-return]
