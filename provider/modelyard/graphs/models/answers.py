"""The model step: rows in, label and probability out."""

from typing import Any

from modelyard.graphs.errors import FeatureWrong
from modelyard.graphs.models.files import LoadedModel
from modelyard.graphs.models.rows import is_row, matrix_of

__all__ = ["ModelStep"]


class ModelStep:
    """Asks one model about the rows in an event's body.

    One row (a mapping of features, or a list of values in the model's order) gives one answer, a list of rows a list
    of answers. An answer is ``{"label": …}``, with ``"probability"`` if the model knows one: that of the second class
    where there are two, that of the label otherwise.

    Parameters
    ----------
    model
        The loaded model.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self._width = int(getattr(model.estimator, "n_features_in_", 0))

    def do(self, body: Any) -> Any:
        """Return the answer, or the answers, to the body's row or rows.

        Raises
        ------
        FeatureMissing, FeatureWrong
            A row does not fit the model.
        PredictionFailed
            The model raised.
        """
        if is_row(body):
            return self._answers([body])[0]
        if not isinstance(body, list | tuple):
            raise FeatureWrong(f"the model takes a row or a list of rows, not {type(body).__name__}", 0)
        return self._answers(body) if body else []

    def do_batch(self, bodies: Any) -> Any:
        """Return the answers to many bodies, each one row, with one call of the model."""
        import numpy as np

        if isinstance(bodies, np.ndarray):
            return self._told(bodies)
        if all(is_row(body) for body in bodies):
            return self._answers(bodies)
        return [self.do(body) for body in bodies]

    def _answers(self, rows: Any) -> list[dict[str, Any]]:
        card = self.model.card
        return self._told(matrix_of(rows, card.features, card.dtypes, width=self._width))

    def _told(self, matrix: Any) -> list[dict[str, Any]]:
        predictions = self.model.predict(matrix)
        labels, probability = predictions.labels.tolist(), predictions.probability
        if probability is None:
            return [{"label": label} for label in labels]
        return [
            {"label": label, "probability": value} for label, value in zip(labels, probability.tolist(), strict=True)
        ]
