"""Ensembles of numbers: the weighted mean, and the median."""

from collections.abc import Mapping
from typing import Any, ClassVar

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.ensembles.columns import are_mappings, numbers_column
from modelyard.graphs.ensembles.combining import Combining, is_rows, number_of, value_of
from modelyard.graphs.ensembles.errors import WeightMissing
from modelyard.graphs.ensembles.weights import member_weights

__all__ = ["Mean", "Median"]


class Mean(Combining):
    """Answers with the weighted mean of the members' numbers.

    Parameters
    ----------
    weights
        Member → weight from 0; they need not add up to 1. By default all weigh alike. Where a member failed and the
        rest answers, the rest's weights count in proportion.
    field
        Where members that answer with mappings have the number, and where the reply then has it.

    Raises
    ------
    ValueError
        A weight is missing, negative, no number, or of no member.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("delay")
    >>> step = graph.ensemble(
    ...     Mean,
    ...     members={"near": lambda body: 10.0, "far": lambda body: 30.0},
    ...     weights={"near": 3, "far": 1},
    ... )
    >>> graph.test({})
    15.0
    """

    label_alone: ClassVar[bool] = True

    def __init__(
        self, weights: Mapping[str, float] | None = None, field: str = "label", *, members: tuple[str, ...] = ()
    ) -> None:
        super().__init__(field)
        self.weights = member_weights(weights, members)

    def one(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the mean of one row's numbers."""
        total = weight = 0.0
        mapped = False
        for member, answer in answers.items():
            mapped = mapped or isinstance(answer, Mapping)
            own = self.weights[member]
            total += own * number_of(member, value_of(member, answer, self.field))
            weight += own
        if not weight:
            raise WeightMissing([*answers])
        return {self.field: total / weight} if mapped else total / weight

    def combine_batch(self, answers: Mapping[str, Any]) -> Any:
        """Return the means of many rows: an array, or mappings where a member answers with mappings."""
        import numpy as np

        total: Any = 0.0
        weight = 0.0
        for member, answer in answers.items():
            total = total + self.weights[member] * numbers_column(member, answer, self.field)
            weight += self.weights[member]
        if not weight:
            raise WeightMissing([*answers])
        return _told(np.asarray(total / weight), answers, self.field)


class Median(Combining):
    """Answers with the median of the members' numbers: half of them are below; of two in the middle, the mean.

    Parameters
    ----------
    field
        As for `Mean`.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("delay")
    >>> members = {"a": lambda body: 10.0, "b": lambda body: 12.0, "c": lambda body: 900.0}
    >>> step = graph.ensemble(Median, members=members)
    >>> graph.test({})
    12.0
    """

    label_alone: ClassVar[bool] = True

    def one(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the median of one row's numbers."""
        numbers = sorted(number_of(member, value_of(member, each, self.field)) for member, each in answers.items())
        middle = len(numbers) // 2
        median = numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2
        mapped = any(isinstance(answer, Mapping) for answer in answers.values())
        return {self.field: median} if mapped else median

    def combine_batch(self, answers: Mapping[str, Any]) -> Any:
        """Return the medians of many rows: an array, or mappings where a member answers with mappings."""
        import numpy as np

        columns = [numbers_column(member, answer, self.field) for member, answer in answers.items()]
        ordered = np.sort(np.stack(columns), axis=0)
        middle = len(columns) // 2
        median = ordered[middle] if len(columns) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
        return _told(median, answers, self.field)


def _told(numbers: Any, answers: Mapping[str, Any], field: str) -> Any:
    """Return the numbers as the members told theirs: arrays give an array, values a list, mappings mappings."""
    if any(are_mappings(answer) for answer in answers.values()):
        return AnswerColumns({field: numbers})
    return (
        numbers
        if all(is_rows(answer) and hasattr(answer, "dtype") for answer in answers.values())
        else numbers.tolist()
    )
