"""What was true and what a model said: the one input of metrics, slices and plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from modelyard.training.errors import LabelsUnlikeModel, PredictionsNotFinite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.graphs import Predictions

__all__ = ["Classified", "Outcomes", "Regressed", "Task", "outcomes_of"]

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True)
class Classified:
    """Rows of a classification: the true classes, the predicted ones and the probabilities.

    Parameters
    ----------
    truth, predicted
        Indices into `classes`, one per row.
    probabilities
        Rows by classes; None for a model that gives none.
    classes
        The class values; with two of them the second is the positive one.
    """

    truth: "NDArray[np.intp]"
    predicted: "NDArray[np.intp]"
    probabilities: "NDArray[np.float64] | None"
    classes: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def binary(self) -> bool:
        """Whether there are exactly two classes."""
        return len(self.classes) == 2

    @property
    def positive(self) -> "NDArray[np.float64]":
        """The probability of the positive class of two; its prediction where there are no probabilities."""
        return self.predicted.astype(np.float64) if self.probabilities is None else self.probabilities[:, 1]

    def take(self, rows: "NDArray[Any]") -> "Classified":
        """Return the rows at these positions, or where this mask is true."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Classified(self.truth[rows], self.predicted[rows], probabilities, self.classes)


@dataclass(frozen=True, slots=True)
class Regressed:
    """Rows of a regression: the true numbers and the predicted ones."""

    truth: "NDArray[np.float64]"
    predicted: "NDArray[np.float64]"

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: "NDArray[Any]") -> "Regressed":
        """Return the rows at these positions, or where this mask is true."""
        return Regressed(self.truth[rows], self.predicted[rows])


Outcomes = Classified | Regressed


def outcomes_of(
    truth: "NDArray[Any]",
    predictions: "Predictions",
    *,
    task: Task,
    classes: Sequence[Any] = (),
    threshold: float = 0.5,
) -> Outcomes:
    """Return truth and predictions in the form that metrics and plots take.

    Parameters
    ----------
    truth
        The labels, one per row, none missing.
    predictions
        What the model said about the same rows.
    task
        ``classification`` or ``regression``.
    classes
        The model's classes, in the order of its probabilities. Classes that occur in the truth alone are added
        with probability zero.
    threshold
        With two classes and probabilities: the probability from which a row counts as positive.

    Raises
    ------
    LabelsUnlikeModel
        Not one of the labels is a class of the model, or a label of a regression is not a number.
    PredictionsNotFinite
        The model predicted NaN or infinity.

    Examples
    --------
    >>> from modelyard.graphs import Predictions
    >>> said = Predictions(np.array(["no", "yes"]), np.array([[0.9, 0.1], [0.4, 0.6]]))
    >>> outcomes_of(np.array(["no", "no"]), said, task="classification", classes=("no", "yes")).predicted.tolist()
    [0, 1]
    """
    if task == "regression":
        return Regressed(_numbers(truth), _finite(_numbers(predictions.labels)))
    known = list(_plain(classes)) or sorted(set(_plain(predictions.labels)), key=str)
    labels = _plain(truth)
    present = set(labels)
    if present and not present & set(known):
        raise LabelsUnlikeModel(sorted(map(str, present)), [str(each) for each in known])
    every = known + sorted(present - set(known), key=str)
    every += sorted(set(_plain(predictions.labels)) - set(every), key=str)
    index = {value: position for position, value in enumerate(every)}
    probabilities = _padded(predictions.probabilities, len(every))
    if probabilities is not None:
        _finite(probabilities)
    said = np.array([index[each] for each in _plain(predictions.labels)], dtype=np.intp)
    if len(every) == 2 and probabilities is not None:
        said = (probabilities[:, 1] >= threshold).astype(np.intp)
    return Classified(np.array([index[each] for each in labels], dtype=np.intp), said, probabilities, tuple(every))


def _plain(values: Any) -> list[Any]:
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _padded(probabilities: "NDArray[np.float64] | None", width: int) -> "NDArray[np.float64] | None":
    if probabilities is None or probabilities.shape[1] == width:
        return probabilities
    more = np.zeros((len(probabilities), width - probabilities.shape[1]))
    return np.hstack([probabilities, more])


def _numbers(values: "NDArray[Any]") -> "NDArray[np.float64]":
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        some = sorted({str(each) for each in _plain(values[:1000])})
        raise LabelsUnlikeModel(some, ["any number"]) from error


def _finite(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    bad = ~np.isfinite(values if values.ndim == 1 else values.sum(axis=1))
    if bad.any():
        raise PredictionsNotFinite(int(bad.sum()), int(np.flatnonzero(bad)[0]), len(values))
    return values
