"""A model's answers to many rows as arrays, for ensembles that combine them without looking at each row."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AnswerColumns"]


class AnswerColumns:
    """The answers ``{"label": …}``, or ``{"label": …, "probability": …}``, to many rows.

    Parameters
    ----------
    labels
        One for each row.
    probability
        One for each row, if the model knows one.

    Examples
    --------
    >>> import numpy as np
    >>> columns = AnswerColumns(np.array([1, 0]), np.array([0.75, 0.25]))
    >>> len(columns), columns.answers()[0]
    (2, {'label': 1, 'probability': 0.75})
    """

    __slots__ = ("labels", "probability")

    def __init__(self, labels: "NDArray[Any]", probability: "NDArray[Any] | None" = None) -> None:
        self.labels = labels
        self.probability = probability

    def __len__(self) -> int:
        return len(self.labels)

    def answers(self) -> list[dict[str, Any]]:
        """Return the answers row by row."""
        labels = self.labels.tolist()
        if self.probability is None:
            return [{"label": label} for label in labels]
        both = zip(labels, self.probability.tolist(), strict=True)
        return [{"label": label, "probability": value} for label, value in both]
