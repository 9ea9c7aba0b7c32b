"""The signature and the input example of a model, made from what is known about its columns."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelyard.tracking.connection import unwarned

if TYPE_CHECKING:
    from modelyard.tracking.models import ModelFacts

__all__ = ["EXAMPLE_ROWS", "example_frame", "signature_of"]

EXAMPLE_ROWS = 5
_TYPES = (
    (r"bool", "boolean"),
    (r"u?int(8|16)|int32", "integer"),
    (r"uint(32|64)|int64", "long"),
    (r"(half)?float|float(16|32)", "float"),
    (r"double|float64|decimal.*", "double"),
    (r"(large_)?string|dictionary.*|(large_)?utf8", "string"),
    (r"timestamp.*|date.*", "datetime"),
    (r"(large_)?binary.*", "binary"),
)
"""Arrow type → MLflow's; a model never sees more than these."""


def example_frame(example: Any, features: Sequence[str]) -> Any:
    """Return at most `EXAMPLE_ROWS` rows of an Arrow table, a matrix or a frame as a pandas frame.

    A matrix without named columns stays a matrix.
    """
    if example is None:
        return None
    if hasattr(example, "to_pandas"):
        example = example.slice(0, EXAMPLE_ROWS).to_pandas()
    example = example[:EXAMPLE_ROWS]
    if not hasattr(example, "columns") and features:
        import pandas as pd

        example = pd.DataFrame(example, columns=list(features))
    return example


def signature_of(model: Any, facts: "ModelFacts", example: Any) -> Any:
    """Return MLflow's signature: the columns by name and type, and what the model says about the example."""
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types import ColSpec, Schema

    with unwarned():
        if facts.features and facts.dtypes:
            columns = zip(facts.features, facts.dtypes, strict=True)
            inputs = Schema([ColSpec(_type_of(dtype), name, required=False) for name, dtype in columns])
        elif example is not None:
            inputs = infer_signature(example).inputs
        else:
            return None
        outputs = None
        if example is not None:
            try:
                given = example if facts.input == "frame" or not hasattr(example, "to_numpy") else example.to_numpy()
                outputs = infer_signature(model_output=model.predict(given)).outputs
            except Exception:  # noqa: BLE001 (a signature without outputs is better than no model)
                outputs = None
    return ModelSignature(inputs=inputs, outputs=outputs)


def _type_of(dtype: str) -> str:
    for pattern, name in _TYPES:
        if re.fullmatch(pattern, dtype):
            return name
    return "string"
