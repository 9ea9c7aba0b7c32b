"""What goes into a model and comes out of it, in the terms of the Open Inference Protocol."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from modelyard.graphs.models.files import LoadedModel

__all__ = ["Signature", "Tensor", "datatype_of", "signature_of"]

_DATATYPES = (
    ("bool", "BOOL"),
    ("int8", "INT8"),
    ("int16", "INT16"),
    ("int32", "INT32"),
    ("integer", "INT32"),
    ("int64", "INT64"),
    ("long", "INT64"),
    ("uint8", "UINT8"),
    ("uint16", "UINT16"),
    ("uint32", "UINT32"),
    ("uint64", "UINT64"),
    ("half", "FP16"),
    ("float16", "FP16"),
    ("float32", "FP32"),
    ("float64", "FP64"),
    ("float", "FP32"),
    ("double", "FP64"),
    ("decimal", "FP64"),
)
"""Arrow or MLflow type name, by its beginning → datatype of the protocol."""


class Tensor(NamedTuple):
    """One input or output.

    Parameters
    ----------
    name
        Its name.
    datatype
        ``BOOL``, ``INT64``, ``FP32``, ``FP64``, ``BYTES`` (text), …
    shape
        Its dimensions; -1 is any number.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]

    def described(self) -> dict[str, Any]:
        """Return it as the protocol's JSON has it.

        Examples
        --------
        >>> Tensor("x", "FP64", (-1, 1)).described()
        {'name': 'x', 'datatype': 'FP64', 'shape': [-1, 1]}
        """
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> "Tensor":
        """Return what the protocol's JSON describes."""
        return cls(str(described["name"]), str(described["datatype"]), tuple(described.get("shape") or (-1,)))


class Signature(NamedTuple):
    """The inputs and outputs of a model; empty where nobody knows."""

    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()


def datatype_of(dtype: str) -> str:
    """Return the protocol's datatype for the name of an Arrow or MLflow type; what is no number is text.

    Examples
    --------
    >>> [datatype_of(each) for each in ("double", "int64", "dictionary<values=string>", "bool")]
    ['FP64', 'INT64', 'BYTES', 'BOOL']
    """
    plain = dtype.lower().removeprefix("dictionary<values=")
    return next((datatype for beginning, datatype in _DATATYPES if plain.startswith(beginning)), "BYTES")


def signature_of(model: "LoadedModel") -> Signature:
    """Return the signature of a loaded model: a column for each feature, label and probability.

    Parameters
    ----------
    model
        The loaded model. Where its folder names no features there is one input, a matrix of doubles.
    """
    features, dtypes = model.features, model.card.dtypes
    if features:
        types = dtypes if len(dtypes) == len(features) else ("double",) * len(features)
        inputs = tuple(Tensor(name, datatype_of(dtype), (-1, 1)) for name, dtype in zip(features, types, strict=True))
    else:
        inputs = (Tensor("input", "FP64", (-1, int(getattr(model.estimator, "n_features_in_", 0)) or -1)),)
    label = Tensor("label", _label_type(model.classes, model.task), (-1, 1))
    probable = model.task != "regression" and hasattr(model.estimator, "predict_proba")
    return Signature(inputs, (label, Tensor("probability", "FP64", (-1, 1))) if probable else (label,))


def _label_type(classes: Sequence[Any], task: str) -> str:
    kinds = {type(each) for each in classes}
    if not kinds:
        return "BYTES" if task == "classification" else "FP64"
    return {bool: "BOOL", int: "INT64", float: "FP64"}.get(kinds.pop(), "BYTES") if len(kinds) == 1 else "BYTES"
