"""The ensemble of labels: the (weighted) vote."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.ensembles.columns import are_mappings, objects_of, values_column
from modelyard.graphs.ensembles.combining import Combining, is_rows, plain, value_of
from modelyard.graphs.ensembles.errors import VoteTied, WeightMissing
from modelyard.graphs.ensembles.weights import member_weights
from modelyard.graphs.group_errors import AnswerWrong

__all__ = ["Vote"]

_TOLERANCE = 1e-12
_QUICK = frozenset((int, str))
_MOST_CLASSES = 64
_FEW_CLASSES = 8
_INT64 = 2**63
Ties = Literal["first", "smallest", "error"]


class Vote(Combining):
    """Answers with the label that most members say, or that the members who weigh most say.

    Labels are texts, whole numbers (negative ones, too), numbers, or truth values; ``True`` is not the label ``1``. A
    reply to mappings is a mapping: the winner, and its ``share`` of the weight of those who answered.

    Parameters
    ----------
    weights
        Member → weight from 0; they need not add up to 1. By default all weigh alike.
    ties
        Which of the labels with equally many votes wins: that of the ``first`` member who said one of them, the
        ``smallest`` (texts after numbers), or none: ``error``.
    labels
        The labels there are: a member that says another one counts as failed. By default any.
    field
        Where members that answer with mappings have the label, and where the reply then has it.

    Raises
    ------
    ValueError
        A weight is missing, negative, no number, or of no member; or `ties` is unknown.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("late")
    >>> members = {"a": lambda body: "late", "b": lambda body: "early", "c": lambda body: "late"}
    >>> step = graph.ensemble(Vote, members=members)
    >>> graph.test({})
    'late'
    """

    label_alone: ClassVar[bool] = True

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        ties: Ties = "first",
        labels: Sequence[Any] | None = None,
        field: str = "label",
        *,
        members: tuple[str, ...] = (),
    ) -> None:
        super().__init__(field)
        if ties not in ("first", "smallest", "error"):
            raise ValueError(f"ties is first, smallest or error, not {ties!r}")
        self.weights = member_weights(weights, members)
        self.ties = ties
        self.labels = None if labels is None else {_key(label) for label in labels}
        self._plain = self.labels is None and all(self.weights.values())
        if self.labels is not None and not self.labels:
            raise ValueError("labels is empty: say which labels there are, or nothing")

    def combine(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the winner for one row, or a list of them."""
        if self._plain and (label := _unanimous(answers)) is not None:
            return label
        # the loop of every single-row request: what is not a plain label goes the long way
        field, weights, mapped = self.field, self.weights, False
        totals: dict[Any, float] = {}
        said: dict[Any, Any] = {}
        for member, label in answers.items():
            if label.__class__ is dict:
                mapped = True
                label = value_of(member, label, field)  # noqa: PLW2901 (the label in it)
                if label.__class__ not in _QUICK:
                    label = _label(member, label)  # noqa: PLW2901
            elif label.__class__ not in _QUICK and (label := plain(label)).__class__ not in _QUICK:
                if is_rows(label):
                    return self.by_rows(answers, failures)
                mapped = mapped or isinstance(label, Mapping)
                label = _label(member, value_of(member, label, field))  # noqa: PLW2901
            key = label if label.__class__ is not bool else (bool, label)
            if key in totals:
                totals[key] += weights[member]
            else:
                totals[key] = weights[member]
                said[key] = label
        if self.labels is not None:
            self._check(answers, totals)
        return self._winner(totals, said, answers, mapped=mapped)

    def one(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the winner for one row."""
        for member, answer in answers.items():
            if is_rows(answer) or is_rows(value_of(member, answer, self.field)):
                raise AnswerWrong(member, f"it answered {answer!r:.80} for one row, which is no label")
        return self.combine(answers, failures)

    def _winner(
        self, totals: dict[Any, float], said: dict[Any, Any], answers: Mapping[str, Any], *, mapped: bool
    ) -> Any:
        best = max(totals.values())
        if not best:
            raise WeightMissing([*answers])
        key = next(iter(totals))
        if len(totals) > 1:
            bar = best - _TOLERANCE
            tied = [each for each, total in totals.items() if total >= bar]
            if len(tied) > 1 and self.ties == "error":
                raise VoteTied([said[each] for each in tied])
            key = min(tied, key=_order) if self.ties == "smallest" else tied[0]
        if not mapped:
            return said[key]
        share = totals[key] / sum(self.weights[member] for member in answers) if len(totals) > 1 else 1.0
        return {self.field: said[key], "share": share}

    def _check(self, answers: Mapping[str, Any], totals: Mapping[Any, float]) -> None:
        assert self.labels is not None  # noqa: S101 (who calls has looked)
        if totals.keys() <= self.labels:
            return
        for member, answer in answers.items():
            label = plain(value_of(member, answer, self.field))
            if _key(label) not in self.labels:
                raise AnswerWrong(member, f"it answered {label!r:.80}, which is none of the labels")

    def combine_batch(self, answers: Mapping[str, Any]) -> Any:
        """Return the winners of many rows: an array, or mappings where a member answers with mappings."""
        import numpy as np

        columns = {member: values_column(member, each, self.field) for member, each in answers.items()}
        classes, codes = _coded(columns)
        if self.labels is not None and not {_key(label) for label in classes} <= self.labels:
            raise AnswerWrong(next(iter(answers)), "not all answers are among the labels")
        totals = self._totals(codes, len(classes))
        weight = sum(self.weights[member] for member in answers)
        if not weight:
            raise WeightMissing([*answers])
        winner = self._winners(totals, codes, classes)
        if any(are_mappings(answer) for answer in answers.values()):
            shares = totals[winner, np.arange(len(winner))] / weight
            first = next(iter(codes.values()))
            shares[np.all([code == first for code in codes.values()], axis=0)] = 1.0
            return AnswerColumns({self.field: _array_of(classes)[winner], "share": shares})
        kinds = {getattr(column, "dtype", None) for column in columns.values()}
        if len(kinds) == 1 and None not in kinds:
            return np.array(classes, dtype=kinds.pop())[winner]
        return [classes[code] for code in winner.tolist()]

    def _totals(self, codes: Mapping[str, Any], classes: int) -> Any:
        """Return the weight of each class in each row: classes by rows."""
        import numpy as np

        rows = len(next(iter(codes.values())))
        totals = np.zeros((classes, rows))
        every = np.arange(rows)
        for member, code in codes.items():
            if classes > _FEW_CLASSES:
                totals[code, every] += self.weights[member]
            else:
                for number in range(classes):
                    totals[number] += self.weights[member] * (code == number)
        return totals

    def _winners(self, totals: Any, codes: Mapping[str, Any], classes: Sequence[Any]) -> Any:
        """Return the number of the winning class of each row."""
        import numpy as np

        best = totals.max(axis=0) - _TOLERANCE
        tied = totals >= best
        winner = tied.argmax(axis=0)
        rows = np.flatnonzero(np.count_nonzero(tied, axis=0) > 1)
        if not rows.size:
            return winner
        several = tied[:, rows]
        if self.ties == "error":
            raise VoteTied([label for label, is_tied in zip(classes, several[:, 0], strict=True) if is_tied])
        if self.ties == "smallest":
            order = sorted(range(len(classes)), key=lambda code: _order(_key(classes[code])))
            winner[rows] = np.array(order)[several[order].argmax(axis=0)]
            return winner
        for code in reversed([each[rows] for each in codes.values()]):
            own = several[code, np.arange(len(rows))]
            winner[rows[own]] = code[own]
        return winner


def _unanimous(answers: Mapping[str, Any]) -> Any:
    """Return the plain label that all members say; None if it is not so simple."""
    first = None
    for label in answers.values():
        if label.__class__ not in _QUICK:
            label = plain(label)  # noqa: PLW2901 (a NumPy scalar's)
            if label.__class__ not in _QUICK:
                return None
        if first is None:
            first = label
        elif label.__class__ is not first.__class__ or label != first:
            return None
    return first


def _label(member: str, value: Any) -> Any:
    value = plain(value)
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 (that is what nan is)
        raise AnswerWrong(member, f"it answered {value!r}, which is no label")
    if not isinstance(value, str | int | float | bool):
        raise AnswerWrong(member, f"it answered {value!r:.80}, which is no label")
    return value


def _key(label: Any) -> Any:
    return (bool, label) if isinstance(label, bool) else label


def _order(key: Any) -> tuple[int, Any]:
    if isinstance(key, tuple):
        return 0, key[1]
    return (2, key) if isinstance(key, str) else (1, key)


def _array_of(classes: Sequence[Any]) -> Any:
    """Return labels as an array that gives them back as they are."""
    import numpy as np

    kinds = {type(label) for label in classes}
    exact = kinds <= {int} and all(-_INT64 <= label < _INT64 for label in classes)
    return np.array(classes) if exact or kinds in ({bool}, {float}) else objects_of(classes)


def _coded(columns: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the labels in the order in which members say them, and each member's labels as numbers of them."""
    import numpy as np

    kinds = {getattr(getattr(column, "dtype", None), "kind", "") for column in columns.values()}
    if len(kinds) == 1 and kinds <= {"i", "u", "b", "U"}:
        classes: list[Any] = []
        codes = {}
        for member, column in columns.items():
            code = np.full(len(column), -1)
            for number, label in enumerate(classes):
                code[column == label] = number
            while (left := np.flatnonzero(code < 0)).size:
                if len(classes) == _MOST_CLASSES:
                    return _coded_by_value(columns)
                label = column[left[0]]
                code[column == label] = len(classes)
                classes.append(label.item())
            codes[member] = code
        return classes, codes
    return _coded_by_value(columns)


def _coded_by_value(columns: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    import numpy as np

    numbers: dict[Any, int] = {}
    classes: list[Any] = []
    codes = {}
    for member, column in columns.items():
        code = np.empty(len(column), dtype=np.int64)
        for row, value in enumerate(column.tolist() if hasattr(column, "tolist") else column):
            label = value if value.__class__ in _QUICK else _label(member, value)
            key = _key(label)
            number = numbers.get(key)
            if number is None:
                number = numbers[key] = len(classes)
                classes.append(label)
            elif classes[number].__class__ is not label.__class__:
                # 1 and 1.0 are one label: which of them a row's reply says is up to that row
                raise AnswerWrong(member, "labels of several types are equal")
            code[row] = number
        codes[member] = code
    return classes, codes
