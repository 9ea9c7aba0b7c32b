"""ONNX models that answer like estimators: one session, one call for label and probabilities."""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from modelyard.graphs.errors import LibraryMissing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OnnxClassifier", "OnnxEstimator", "OnnxLabels", "onnx_estimator"]

_DTYPES = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(string)": "object",
    "tensor(uint8)": "uint8",
}


_CLOSE = 1e-3
"""How far single precision may take probabilities from adding up to one."""


class OnnxEstimator:
    """An ONNX model with one value per row.

    Parameters
    ----------
    data
        The serialised model.
    features
        The names of the columns; needed where the model takes each column as an input of its own.
    classes
        The classes, where the one output is a score for each of them.
    """

    def __init__(self, data: bytes, features: Sequence[str] = (), classes: Sequence[Any] = ()) -> None:
        self._data, self._features, self._classes = data, tuple(features), tuple(classes)
        self._session = _session(data)
        self._outputs = [each.name for each in self._session.get_outputs()]
        inputs = self._session.get_inputs()
        self._inputs = [(each.name, _DTYPES.get(each.type, "float32")) for each in inputs]
        width = inputs[0].shape[-1] if len(inputs) == 1 and inputs[0].shape else len(inputs)
        self.n_features_in_ = width if isinstance(width, int) else 0

    def predict(self, rows: Any) -> "NDArray[Any]":
        """Return one value per row: a number, or the class of the greatest score."""
        said = self.run(rows)[0]
        if said.ndim == 2 and said.shape[1] == 1:
            return said[:, 0]  # type: ignore[no-any-return]
        if said.ndim == 2 and self._classes:
            return self.classes_.take(said.argmax(axis=1))  # type: ignore[no-any-return]
        return said  # type: ignore[no-any-return]

    @cached_property
    def classes_(self) -> "NDArray[Any]":
        """The classes, as scikit-learn has them."""
        import numpy as np

        return np.array(self._classes)

    def run(self, rows: Any) -> list[Any]:
        """Return the outputs for a matrix or a frame of rows by features."""
        import numpy as np

        matrix = rows.to_numpy() if hasattr(rows, "to_numpy") else rows
        if len(self._inputs) == 1:
            name, dtype = self._inputs[0]
            return self._session.run(self._outputs, {name: np.ascontiguousarray(matrix, dtype=dtype)})  # type: ignore[no-any-return]
        places = {feature: index for index, feature in enumerate(self._features)}
        given = {
            name: np.ascontiguousarray(matrix[:, [places.get(name, index)]], dtype=dtype)
            for index, (name, dtype) in enumerate(self._inputs)
        }
        return self._session.run(self._outputs, given)  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._data, self._features, self._classes)


class OnnxLabels(OnnxEstimator):
    """An ONNX model of a classifier that knows no probabilities: its first output, the labels, and nothing else.

    Parameters
    ----------
    data, features, classes
        As for `OnnxEstimator`.
    """

    def __init__(self, data: bytes, features: Sequence[str] = (), classes: Sequence[Any] = ()) -> None:
        super().__init__(data, features, classes)
        del self._outputs[1:]  # the second one are scores, which are no probabilities

    def predict(self, rows: Any) -> "NDArray[Any]":
        """Return one label per row."""
        labels = self.run(rows)[0]
        same = not self._classes or labels.dtype.kind == self.classes_.dtype.kind
        return labels if same else labels.astype(self.classes_.dtype)  # type: ignore[no-any-return]


class OnnxClassifier(OnnxEstimator):
    """An ONNX model with two outputs: labels, and probabilities of the classes.

    Parameters
    ----------
    data, features, classes
        As for `OnnxEstimator`.
    by_probability
        Whether the label is the first of the likeliest classes, as scikit-learn's is, rather than the first output,
        which decides between equally likely classes by rules of its own.
    """

    def __init__(
        self, data: bytes, features: Sequence[str] = (), classes: Sequence[Any] = (), *, by_probability: bool = False
    ) -> None:
        super().__init__(data, features, classes)
        self._by_probability = by_probability
        if by_probability:
            del self._outputs[0]  # nobody reads its labels

    def predict(self, rows: Any) -> "NDArray[Any]":
        """Return one label per row."""
        return self.predict_both(rows)[0]

    def predict_proba(self, rows: Any) -> "NDArray[Any]":
        """Return rows by classes."""
        return self.predict_both(rows)[1]

    def predict_both(self, rows: Any) -> tuple["NDArray[Any]", "NDArray[Any]"]:
        """Return labels and probabilities of one run."""
        import numpy as np

        said = self.run(rows)
        probabilities = said[0] if self._by_probability else said[1]
        if isinstance(probabilities, list):  # a list of mappings by class, as some converters have it
            probabilities = np.array([list(each.values()) for each in probabilities])
        if self._by_probability:
            labels = self.classes_.take(probabilities.argmax(axis=1))
        elif self._classes and said[0].dtype.kind != self.classes_.dtype.kind:
            labels = said[0].astype(self.classes_.dtype)  # ONNX has no classes True and False, but 1 and 0
        else:
            labels = said[0]
        return labels, probabilities.astype(np.float64, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        made = partial(OnnxClassifier, by_probability=self._by_probability)
        return made, (self._data, self._features, self._classes)


def onnx_estimator(
    data: bytes, *, features: Sequence[str] = (), classes: Sequence[Any] = (), task: str = ""
) -> OnnxEstimator:
    """Return a serialised ONNX model as an estimator.

    Parameters
    ----------
    data
        The serialised model.
    features, classes
        The columns and classes by name, as far as they are known.
    task
        ``classification``, ``regression`` or empty: then two outputs make a classification.

    Raises
    ------
    LibraryMissing
        onnxruntime is not installed.
    """
    found = OnnxEstimator(data, features, classes)
    outputs = found._session.get_outputs()  # noqa: SLF001 (its own factory)
    if task != "regression" and len(outputs) >= 2 and not outputs[0].type.startswith("tensor(float"):
        classifier = OnnxClassifier(data, features, classes)
        return classifier if _tells_probabilities(classifier) else OnnxLabels(data, features, classes)
    return found


def _tells_probabilities(classifier: OnnxClassifier) -> bool:
    """Whether the second output are probabilities: converters give that name to scores, too.

    A few rows are asked, near and far from nothing; where the model does not take them, its word is taken.
    """
    import numpy as np

    width = classifier.n_features_in_
    if not width:
        return True
    rows = np.concatenate([scale * np.random.default_rng(7).normal(size=(8, width)) for scale in (0.1, 1.0, 100.0)])
    try:
        told = classifier.predict_both(rows)[1]
    except Exception:  # noqa: BLE001 (a model of texts, say: onnxruntime has many errors, and no base of them)
        return True
    return bool((told >= -_CLOSE).all() and (np.abs(told.sum(axis=1) - 1) <= _CLOSE).all())


def _session(data: bytes) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise LibraryMissing("onnxruntime", "an ONNX model", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a row is too little work to share, and a worker has a core of its own
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
