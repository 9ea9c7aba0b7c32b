"""Trains the delay model: gradient boosting on the features as they are, text and gaps included."""

from typing import TYPE_CHECKING, Any

from flights.columns import TEXT
from modelyard.data import TrainingSet

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

DEFAULTS = {
    "max_iter": 200,
    "learning_rate": 0.05,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 100,
    "l2_regularization": 1.0,
}
"""Chosen on June, after training on January to May; July was not looked at."""


def fit(dataset: TrainingSet, parameters: dict[str, Any]) -> "HistGradientBoostingClassifier":
    """Return a fitted classifier; `parameters` go over `DEFAULTS`."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    text = [index for index, name in enumerate(dataset.feature_columns) if name in TEXT]
    model = HistGradientBoostingClassifier(
        **{**DEFAULTS, **parameters}, categorical_features=text or None, early_stopping=False, random_state=0
    )
    return model.fit(dataset.matrix(), dataset.labels())
