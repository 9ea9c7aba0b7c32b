"""Orders rows by score once, and reads areas and curves off that order."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ranking", "rank"]


class Ranking(NamedTuple):
    """How many positives and negatives score at least each distinct score, from the highest down.

    Parameters
    ----------
    scores
        The distinct scores, falling.
    positives, negatives
        Rows of either kind with at least that score.
    """

    scores: "NDArray[np.float64]"
    positives: "NDArray[np.int64]"
    negatives: "NDArray[np.int64]"

    @property
    def defined(self) -> bool:
        """Whether there are rows of both kinds."""
        return len(self.scores) > 0 and bool(self.positives[-1] > 0) and bool(self.negatives[-1] > 0)

    def roc(self) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """Return the false and the true positive rates, from (0, 0) to (1, 1)."""
        false = np.concatenate([[0.0], self.negatives / self.negatives[-1]])
        true = np.concatenate([[0.0], self.positives / self.positives[-1]])
        return false, true

    def precision_recall(self) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """Return precision and recall at each distinct score, recall rising."""
        return self.positives / (self.positives + self.negatives), self.positives / self.positives[-1]

    def area_under_roc(self) -> float:
        """Return the ROC AUC: how often a positive row scores above a negative one, ties counting half."""
        if not self.defined:
            return float("nan")
        false, true = self.roc()
        return float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))

    def average_precision(self) -> float:
        """Return the average precision: the precisions, each weighted with the gain in recall."""
        if len(self.scores) == 0 or self.positives[-1] == 0:
            return float("nan")
        precision, recall = self.precision_recall()
        return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def rank(positive: "NDArray[Any]", scores: "NDArray[np.float64]") -> Ranking:
    """Rank rows by their score.

    Parameters
    ----------
    positive
        Per row: whether it is positive.
    scores
        Per row: the higher, the likelier positive.

    Examples
    --------
    >>> rank(np.array([True, False, True]), np.array([0.9, 0.8, 0.3])).area_under_roc()
    0.5
    """
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1) if len(falling) else np.array([], int)
    positives = np.cumsum(positive[order], dtype=np.int64)[last_of_tie]
    return Ranking(falling[last_of_tie], positives, last_of_tie + 1 - positives)
