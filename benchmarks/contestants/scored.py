"""A scikit-learn model and 10,000 rows for it."""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

_RANDOM = np.random.default_rng(7)
MATRIX = _RANDOM.normal(size=(10_000, 12))
MODEL = HistGradientBoostingRegressor(max_iter=100, random_state=7).fit(
    MATRIX[:4000], MATRIX[:4000, 0] * 2 + MATRIX[:4000, 1] ** 2
)


def center(rows: Any) -> Any:
    """Shift each row; takes one row or all of them."""
    return np.asarray(rows) - 0.5


def predict(rows: Any) -> Any:
    """Ask the model; takes one row or all of them."""
    return MODEL.predict(rows) if np.ndim(rows) > 1 else MODEL.predict([rows])[0]


def round_off(values: Any) -> Any:
    """Round; takes one value or all of them."""
    return np.round(values, 3)


def told(values: Any) -> list[float]:
    """Return the first answers and the sum of all, to be compared."""
    return [*values[:50].tolist(), float(values.sum())]


CENTERED = center(MATRIX)
