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


def scores_file(folder: Path) -> Path:
    """Write an ONNX model of two features with one output, three scores for each row, and return the file."""
    import onnx
    from onnx import TensorProto, helper

    weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 3], [1.0, 0.0, -1.0, 0.0, 1.0, 0.5])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["scores"])],
        "scores",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 3])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    file = folder / "scores.onnx"
    onnx.save(model, str(file))
    return file
