"""The signature and the input example of a model, made from what is known about its columns."""

import re
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
_NUMERIC = ("boolean", "integer", "long", "float", "double")


def example_frame(example: Any, facts: "ModelFacts", flavor: str) -> Any:
    """Return at most `EXAMPLE_ROWS` rows of an Arrow table, a matrix or a frame as a pandas frame.

    A matrix without named columns stays a matrix.
    """
    if example is None:
        return None
    if hasattr(example, "to_pandas"):
        example = example.slice(0, EXAMPLE_ROWS).to_pandas()
    example = example[:EXAMPLE_ROWS]
    if not hasattr(example, "columns") and facts.features:
        import pandas as pd

        example = pd.DataFrame(example, columns=list(facts.features))
    if _as_doubles(facts, flavor) and hasattr(example, "columns"):
        numeric = list(example.select_dtypes(["number", "bool"]).columns)
        example = example.astype(dict.fromkeys(numeric, "float64"))
    return example


def _as_doubles(facts: "ModelFacts", flavor: str) -> bool:
    """Return whether numbers of all kinds are described as doubles.

    MLflow itself applies the signature of all models but scikit-learn's when modelyard loads them, and would refuse
    the float matrix that they get where the signature says whole numbers.
    """
    return flavor != "sklearn" and facts.input == "matrix"


def signature_of(model: Any, facts: "ModelFacts", example: Any, flavor: str) -> Any:
    """Return MLflow's signature: the columns by name and type, and what the model says about the example.

    Parameters
    ----------
    model
        The model.
    facts
        Its columns.
    example
        Some rows, or None.
    flavor
        The MLflow flavour.
    """
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types import ColSpec, Schema

    with unwarned():
        if facts.features and facts.dtypes:
            types = [_type_of(dtype) for dtype in facts.dtypes]
            if _as_doubles(facts, flavor):
                types = ["double" if name in _NUMERIC else name for name in types]
            inputs = Schema(
                [ColSpec(kind, name, required=False) for kind, name in zip(types, facts.features, strict=True)]
            )
        elif example is not None:
            inputs = infer_signature(example).inputs
        else:
            return None
        return ModelSignature(inputs=inputs, outputs=_outputs(model, facts, example))


def _outputs(model: Any, facts: "ModelFacts", example: Any) -> Any:
    from mlflow.models import infer_signature

    if example is None:
        return None
    try:
        matrix = facts.input == "matrix" and hasattr(example, "to_numpy")
        said = model.predict(example.to_numpy() if matrix else example)
        return infer_signature(model_output=said).outputs
    except Exception:  # noqa: BLE001 (a signature without outputs is better than no model)
        return None


def _type_of(dtype: str) -> str:
    for pattern, name in _TYPES:
        if re.fullmatch(pattern, dtype):
            return name
    return "string"
