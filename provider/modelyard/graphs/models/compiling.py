"""Converts scikit-learn models to ONNX when they are loaded, and refuses what does not say the same."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.graphs.errors import LibraryMissing
from modelyard.graphs.models.errors import CompilationRefused
from modelyard.graphs.models.files import LoadedModel
from modelyard.graphs.models.rows import matrix_of
from modelyard.graphs.models.sessions import OnnxClassifier, OnnxEstimator, OnnxLabels

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["compiled"]

_CONVERTING = Lock()
_MIXED_ROWS = 256


class _Worst(NamedTuple):
    """Where original and conversion differ most."""

    row: int
    difference: float
    said: Any
    compiled: Any


def compiled(model: LoadedModel, *, examples: Sequence[Any] = (), tolerance: float = 1e-5) -> LoadedModel:
    """Return the model with its estimator converted to ONNX, once it has been seen to say the same.

    It is compared with the original on the example rows, and on 256 rows more that take each feature from one of
    them. Labels must be equal; probabilities, and numbers of a regression relative to the greatest of them, must
    differ by less than the tolerance. Double precision is tried first, single precision where the converter has no
    double.

    Parameters
    ----------
    model
        The loaded model.
    examples
        Rows to compare on; by default those that came with the model.
    tolerance
        The greatest difference of two probabilities, or relative one of two numbers.

    Raises
    ------
    CompilationRefused
        There is nothing to compare on, the converter does not know the model, or the two differ.
    LibraryMissing
        onnxruntime or skl2onnx is not installed.
    """
    import numpy as np

    rows = list(examples or model.examples)
    if not rows:
        raise CompilationRefused(model.name, "it came without example rows to compare on, and none are given")
    if model.card.input == "frame" and not model.features:
        raise CompilationRefused(model.name, "it takes a data frame without named features")
    matrix = matrix_of(rows, model.features, model.card.dtypes)
    if matrix.dtype == object:
        raise CompilationRefused(model.name, "it has features that are no numbers")
    matrix = np.concatenate([matrix, _mixed(matrix)])
    refusal: CompilationRefused | None = None
    for dtype in (np.float64, np.float32):
        try:
            estimator = _converted(model, matrix, dtype)
            _compare(model, estimator, matrix, tolerance)
            return replace(model, estimator=estimator, one_call=isinstance(estimator, OnnxClassifier))
        except CompilationRefused as error:
            refusal = error
    assert refusal is not None  # noqa: S101 (the loop ran)
    raise refusal


def _mixed(matrix: "NDArray[Any]") -> "NDArray[Any]":
    """Return rows that take each value from one of the rows: always the same ones."""
    import numpy as np

    generator = np.random.default_rng(0)
    chosen = generator.integers(0, len(matrix), size=(_MIXED_ROWS, matrix.shape[1]))
    return matrix[chosen, np.arange(matrix.shape[1])]


def _converted(model: LoadedModel, matrix: "NDArray[Any]", dtype: Any) -> OnnxEstimator:
    try:
        from skl2onnx import to_onnx
    except ModuleNotFoundError as error:
        raise LibraryMissing(error.name or "skl2onnx", 'compile="onnx"', "onnx") from error
    classifies = bool(model.classes)
    probable = classifies and hasattr(model.estimator, "predict_proba")
    options = {"zipmap": False} if probable else _no_options(model.estimator)
    try:
        with _plain_attributes(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted: Any = to_onnx(model.estimator, matrix[:1].astype(dtype), options=options)
        data = converted.SerializeToString()
        if not classifies:
            return OnnxEstimator(data, model.features)
        if not probable:
            return OnnxLabels(data, model.features, model.classes)
        return OnnxClassifier(data, model.features, model.classes, by_probability=model.one_call)
    except LibraryMissing:
        raise
    except Exception as error:
        said = str(error).partition("\n")[0][:200]
        raise CompilationRefused(model.name, f"it cannot be converted: {type(error).__name__}: {said}") from error


def _no_options(estimator: Any) -> dict[Any, Any]:
    """Return no options for what decides in an estimator: else the converter asks for some that it may not know."""
    inner = estimator
    while hasattr(inner, "steps") or hasattr(inner, "best_estimator_"):
        inner = inner.steps[-1][1] if hasattr(inner, "steps") else inner.best_estimator_
    return {id(inner): {}}


@contextmanager
def _plain_attributes() -> Iterator[None]:
    """Let the converter write its flags as numbers: protobuf 7 takes no booleans where ONNX has integers."""
    import skl2onnx.common._container as container

    with _CONVERTING:
        make_node = container.make_node
        container.make_node = lambda *arguments, **named: make_node(
            *arguments, **{name: _plain(value) for name, value in named.items()}
        )
        try:
            yield
        finally:
            container.make_node = make_node


def _plain(value: Any) -> Any:
    import numpy as np

    if isinstance(value, bool | np.bool_ | np.integer):
        return int(value)
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _compare(model: LoadedModel, estimator: OnnxEstimator, matrix: "NDArray[Any]", tolerance: float) -> None:
    import numpy as np

    original, other = model.predict(matrix), replace(model, estimator=estimator, one_call=False).predict(matrix)
    if model.classes and original.probabilities is not None and other.probabilities is not None:
        differences = np.abs(original.probabilities - other.probabilities).max(axis=1)
        sides: tuple[Any, Any] = (original.probabilities, other.probabilities)
        unequal = original.labels != other.labels
    elif model.classes:
        unequal = original.labels != other.labels
        differences, sides = unequal.astype(float), (original.labels, other.labels)
    else:
        scale = max(float(np.abs(original.labels).max()), np.finfo(float).tiny)
        differences = np.abs(original.labels - other.labels) / scale
        sides, unequal = (original.labels, other.labels), np.zeros(len(matrix), dtype=bool)
    differences = np.where(np.isnan(differences), np.inf, differences)
    bad = unequal | ~(differences <= tolerance)
    if bad.any():
        worst = int(np.where(bad, differences, -1.0).argmax())
        found = _Worst(worst, float(differences[worst]), sides[0][worst].tolist(), sides[1][worst].tolist())
        _refuse(model, matrix[worst].tolist(), found, tolerance, int(bad.sum()), len(matrix))


def _refuse(model: LoadedModel, row: list[Any], found: _Worst, tolerance: float, bad: int, rows: int) -> None:
    named = dict(zip(model.features, row, strict=True)) if model.features else row
    raise CompilationRefused(
        model.name,
        f"on {bad} of {rows} rows its conversion says something else; the worst is {named!r}, where the model says "
        f"{found.said!r} and the conversion {found.compiled!r}, a difference of {found.difference:.3g} "
        f"(tolerance {tolerance:g})",
        row=named,
        difference=found.difference,
    )
