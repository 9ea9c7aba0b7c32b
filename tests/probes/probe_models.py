"""Model folders as MLflow writes them, made in milliseconds and without MLflow."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import yaml

FEATURES = ("a", "b", "c")


def fitted(flip: bool = False) -> Any:
    """Return a logistic regression of whether `a` is positive (or negative)."""
    from sklearn.linear_model import LogisticRegression

    matrix = np.random.default_rng(0).normal(size=(60, 3))
    labels = (matrix[:, 0] > 0) != flip
    return LogisticRegression().fit(matrix, labels)


def save_model(
    folder: Path,
    estimator: Any,
    *,
    file_format: str = "pickle",
    features: tuple[str, ...] = FEATURES,
    **metadata: Any,
) -> Path:
    """Write a model folder and return it."""
    folder.mkdir(parents=True)
    name = "model.skops" if file_format == "skops" else "model.pkl"
    if file_format == "skops":
        from skops.io import dump

        dump(estimator, folder / name)
    else:
        (folder / name).write_bytes(pickle.dumps(estimator))
    flavor = {"pickled_model": name, "serialization_format": file_format, "skops_trusted_types": None, "code": None}
    said = {"features": list(features), "dtypes": ["double"] * len(features), "task": "classification", **metadata}
    (folder / "MLmodel").write_text(
        yaml.safe_dump({"flavors": {"sklearn": flavor}, "metadata": {"modelyard": said}, "signature": None})
    )
    return folder
