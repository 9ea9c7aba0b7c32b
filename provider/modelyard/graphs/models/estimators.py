"""The model of the registry in a graph: rows in, label and probability out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any, ClassVar, Literal, get_args

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.errors import FeatureWrong, PredictionFailed
from modelyard.graphs.models.compiling import compiled
from modelyard.graphs.models.explaining import Explainer
from modelyard.graphs.models.files import LoadedModel, Predictions
from modelyard.graphs.models.labels import computes_directly, decides_by_sign, thread_settings
from modelyard.graphs.models.model import Model
from modelyard.graphs.models.rows import RowReader, are_finite, is_row, matrix_of
from modelyard.graphs.models.signatures import Signature, signature_of

__all__ = ["EstimatorModel"]

Output = Literal["answer", "label", "value", "probabilities"]


class EstimatorModel(Model):
    """A model of any MLflow flavour, found by its reference; what ``graph.model(name, "models:/…")`` makes.

    One row (a mapping of features, or a list of values in the model's order) gives one answer, a list of rows a list
    of answers. An answer is ``{"label": …}``, with ``"probability"`` if the model knows one: that of the second class
    where there are two, that of the label otherwise. The operation ``explain`` gives ``{"value", "unit", "base",
    "contributions"}`` for each row; see `Explanation`.

    Parameters
    ----------
    output
        ``answer``; ``label`` leaves the probability away, and asks a classifier for labels alone; ``value`` gives
        the label or number itself, not in a mapping, and an array of them for an array of rows; ``probabilities``
        adds ``"probabilities"``, a number for each of ``"classes"``.
    compile
        ``onnx`` converts a scikit-learn model when it is loaded, and refuses if it then says something else.
    tolerance
        How much compiled probabilities (or, relative to the greatest, numbers) may differ.
    examples
        Rows to warm up with and to compare on; by default those that came with the model.
    background
        Rows that explanations compare with; by default the examples.

    Raises
    ------
    FeatureMissing, FeatureWrong
        A row does not fit the model.
    PredictionFailed
        The model raised; a ValueError of its own is taken for bad input.
    CompilationRefused
        When the graph opens: the compiled model is not there, or says something else.
    ExplanationUnavailable
        An explanation is asked for, and there are no rows to compare with, or features that are no numbers.
    WarmUpFailed
        When the graph opens: the model fails on its own example.
    """

    leaves_body: ClassVar[bool] = True
    platform: ClassVar[str] = "mlflow"

    def __init__(
        self,
        *,
        output: Output = "answer",
        compile: Literal["", "onnx"] = "",  # noqa: A002 (what it is called everywhere)
        tolerance: float = 1e-5,
        examples: Sequence[Any] = (),
        background: Sequence[Any] = (),
    ) -> None:
        if output not in get_args(Output):
            raise ValueError(f"output is one of {', '.join(get_args(Output))}, not {output!r}")
        if compile not in ("", "onnx"):
            raise ValueError(f"compile is onnx or empty, not {compile!r}")
        if not tolerance > 0:
            raise ValueError(f"tolerance is above 0, not {tolerance!r}")
        self._output, self._compile, self._tolerance = output, compile, tolerance
        self._examples, self._background = tuple(examples), tuple(background)
        self._explainer: Explainer | None = None

    def load(self) -> None:
        """Find the model that the reference names now, and compile it if that is asked for."""
        self.serve(self.fetch())

    def serve(self, loaded: LoadedModel) -> None:
        """Answer with this model from now on; for `load`."""
        loaded = replace(loaded, examples=self._examples or loaded.examples)
        if self._compile:
            loaded = compiled(loaded, tolerance=self._tolerance)
        self.loaded, self.name, self.digest = loaded, loaded.name, loaded.digest
        card, estimator = loaded.card, loaded.estimator
        self._width = int(getattr(estimator, "n_features_in_", 0))
        self._reader = RowReader(card.features, card.dtypes, width=self._width)
        self._matrices = card.input == "matrix"
        self._probable = loaded.task != "regression" and hasattr(estimator, "predict_proba")
        self._plain = (type(self).predict, type(self).predict_batch) == _OWN
        self._labels_alone = self._matrices and (self._output in ("label", "value") or not self._probable)
        self._pair = len(loaded.classes) == 2 and self._output == "answer" and self._matrices
        self._both = getattr(estimator, "predict_both", None) if self._pair and loaded.one_call else None
        self._score = estimator.decision_function if self._matrices and decides_by_sign(estimator) else None
        self._settings = thread_settings() if self._matrices and computes_directly(estimator) else None
        self._proba = estimator.predict_proba if self._pair and loaded.one_call and self._both is None else None

    def example(self) -> Any:
        """Return the rows that came with the model."""
        return list(self.loaded.examples) or None

    def signature(self) -> Signature:
        """Return the model's columns, label and probability."""
        return signature_of(self.loaded)

    def predict(self, inputs: Any) -> Any:
        """Return the answer, or the answers, to a row or rows.

        Raises
        ------
        FeatureMissing, FeatureWrong
            A row does not fit the model.
        PredictionFailed
            The model raised.
        """
        return self._asked(inputs, self._one, self._told)

    def predict_label(self, inputs: Any) -> Any:
        """Return what `predict` returns with no other field than ``label``, where that takes less.

        Raises
        ------
        FeatureMissing, FeatureWrong, PredictionFailed
            As for `predict`.
        """
        if not self._plain or self._output not in ("answer", "probabilities"):
            return self.predict(inputs)
        return self._asked(inputs, self._label, self._labelled)

    def _asked(self, inputs: Any, one: Callable[[Any], Any], many: Callable[[Any], list[Any]]) -> Any:
        """Return what is said about the matrix of one row, or of several."""
        if type(inputs) is dict or is_row(inputs):
            matrix = self._reader.read_finite(inputs)
            if matrix is None:
                return one(self._reader.read(inputs))
            return self._unchecked(one, matrix)
        if getattr(inputs, "ndim", 0) in (1, 2):  # a row of an array, or an array of rows
            return self._asked(inputs.tolist(), one, many)
        if not isinstance(inputs, list | tuple):
            raise FeatureWrong(f"the model takes a row or a list of rows, not {type(inputs).__name__}", 0)
        return many(self._matrix(inputs)) if inputs else []

    def _unchecked(self, ask: Callable[[Any], Any], matrix: Any) -> Any:
        """Ask about numbers that are known to be there and finite, without a second look at them."""
        if self._settings is None:
            return ask(matrix)
        settings = self._settings()
        before, settings["assume_finite"] = settings["assume_finite"], True
        try:
            return ask(matrix)
        finally:
            settings["assume_finite"] = before

    def predict_batch(self, inputs: Any) -> Any:
        """Return the answers to many inputs, each one row, with one call of the model; an array to an array of rows."""
        import numpy as np

        if isinstance(inputs, np.ndarray):
            width = len(self.loaded.features) or self._width
            if inputs.ndim != 2 or (width and inputs.shape[1] != width):
                given = inputs.shape[1] if inputs.ndim == 2 else inputs.ndim
                what = "values" if inputs.ndim == 2 else "dimensions"
                raise FeatureWrong(f"the model has {width} features, the row has {given} {what}", 0)
            return self._labels(inputs) if self._output == "value" else self._told(inputs)
        if hasattr(inputs, "to_dict"):
            inputs = inputs.to_dict("records")  # a pandas frame
        elif hasattr(inputs, "to_pylist"):
            inputs = inputs.to_pylist()  # an Arrow batch
        if all(is_row(each) for each in inputs):
            return self._told(self._matrix(inputs))
        return [self.predict(each) for each in inputs]

    def predict_columns(self, inputs: Any, *, label_alone: bool = False) -> AnswerColumns | None:
        """Return what `predict_batch` returns, as arrays; None where a subclass or `output` answers otherwise.

        Parameters
        ----------
        inputs
            As for `predict_batch`.
        label_alone
            Whether the answers need no other field than ``label``.
        """
        if not self._plain or self._output not in ("answer", "label", "probabilities"):
            return None
        if self._output == "probabilities" and not label_alone:
            return None
        matrix = self._rows(inputs)
        if matrix is None:
            return None
        ask: Callable[[Any], Any] = self._labels if label_alone or self._output == "label" else self.loaded.predict
        predictions = self._unchecked(ask, matrix) if self._settings and are_finite(matrix) else ask(matrix)
        # copies: what the estimator keeps, or was given, is not the reply's
        if not isinstance(predictions, Predictions):
            return AnswerColumns({"label": predictions.copy()})
        found, probability = {"label": predictions.labels.copy()}, predictions.probability
        return AnswerColumns(found if probability is None else found | {"probability": probability.copy()})

    def _rows(self, inputs: Any) -> Any:
        """Return many inputs as a matrix of rows by features; None if not each of them is a row."""
        if hasattr(inputs, "to_dict"):
            inputs = inputs.to_dict("records")  # a pandas frame
        elif hasattr(inputs, "to_pylist"):
            inputs = inputs.to_pylist()  # an Arrow batch
        if isinstance(inputs, list):
            return self._matrix(inputs) if inputs and all(is_row(each) for each in inputs) else None
        width = len(self.loaded.features) or self._width
        fits = getattr(inputs, "ndim", 0) == 2 and not (width and inputs.shape[1] != width)
        return inputs if fits else None

    def explain(self, inputs: Any) -> Any:
        """Return why the model says what it says about a row or rows; needs the extra ``explain``.

        Raises
        ------
        ExplanationUnavailable
            There are no rows to compare with, or the model has features that are no numbers.
        """
        one = is_row(inputs)
        rows = [inputs] if one else inputs
        with _EXPLAINING:
            if self._explainer is None:
                self._explainer = Explainer(self.loaded, self._background)
            said = [each._asdict() for each in self._explainer.explain(self._matrix(rows))] if rows else []
        return said[0] if one else said

    def _matrix(self, rows: Sequence[Any]) -> Any:
        card = self.loaded.card
        return matrix_of(rows, card.features, card.dtypes, width=self._width)

    def _one(self, matrix: Any) -> Any:
        """Return the answer to one row; of a model with two classes without the arrays in between."""
        try:
            if self._labels_alone:
                label = self.loaded.estimator.predict(matrix)
                if label.size != 1:
                    return self._told(matrix)[0]
                return label.item() if self._output == "value" else {"label": label.item()}
            if self._proba is None and self._both is None:
                return self._told(matrix)[0]
            if self._both is not None:
                labels, probabilities = self._both(matrix)
                return {"label": labels.item(), "probability": probabilities.item(1)}
            assert self._proba is not None  # noqa: S101 (one of them is there)
            probabilities = self._proba(matrix)
        except PredictionFailed:
            raise
        except Exception as error:
            raise PredictionFailed(self.name, error) from error
        first, second = probabilities.item(0), probabilities.item(1)
        if first == second or first != first:  # noqa: PLR0124 (not a number)
            return self._told(matrix)[0]
        return {"label": self.loaded.classes[second > first], "probability": second}

    def _label(self, matrix: Any) -> Any:
        """Return the answer to one row, with the label alone."""
        if self._score is None or len(self.loaded.classes) != 2:
            return {"label": self._labels(matrix).tolist()[0]}
        try:
            return {"label": self.loaded.classes[self._score(matrix).item() > 0]}
        except Exception as error:
            raise PredictionFailed(self.name, error) from error

    def _labelled(self, matrix: Any) -> list[Any]:
        return [{"label": label} for label in self._labels(matrix).tolist()]

    def _told(self, matrix: Any) -> list[Any]:
        if self._output == "value":
            return self._labels(matrix).tolist()  # type: ignore[no-any-return]
        if self._output == "label" and self._probable:
            return self._labelled(matrix)
        predictions = self.loaded.predict(matrix)
        labels, probability = predictions.labels.tolist(), predictions.probability
        if probability is None or self._output == "label":
            return [{"label": label} for label in labels]
        answers = [
            {"label": label, "probability": value} for label, value in zip(labels, probability.tolist(), strict=True)
        ]
        if self._output == "probabilities" and predictions.probabilities is not None:
            classes = list(self.loaded.classes)
            for answer, row in zip(answers, predictions.probabilities.tolist(), strict=True):
                answer |= {"probabilities": row, "classes": classes}
        return answers

    def _labels(self, matrix: Any) -> Any:
        try:
            return self.loaded.estimator.predict(self.loaded.rows(matrix))
        except Exception as error:
            raise PredictionFailed(self.name, error) from error

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_explainer": None}


_OWN = (EstimatorModel.predict, EstimatorModel.predict_batch)

_EXPLAINING = Lock()
"""shap is not known to be safe in several threads."""
