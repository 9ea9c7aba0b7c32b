"""The ensemble of labels: the (weighted) vote."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.ensembles.codes import array_of, coded, key_of, label_of
from modelyard.graphs.ensembles.columns import are_mappings, values_column
from modelyard.graphs.ensembles.combining import Combining, is_rows, plain, value_of
from modelyard.graphs.ensembles.errors import VoteTied, WeightMissing
from modelyard.graphs.ensembles.weights import member_weights
from modelyard.graphs.group_errors import AnswerWrong

__all__ = ["Vote"]

_TOLERANCE = 1e-12
_QUICK = frozenset((int, str))
_MOST_PATTERNS = 4096
_FEW_CLASSES = 8
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
    TypeError
        `labels` is one text.

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
        if isinstance(labels, str | bytes):
            raise TypeError(f"labels lists the labels there are, not {labels!r:.80}")
        self.weights = member_weights(weights, members)
        self.ties = ties
        self.labels = None if labels is None else {key_of(label) for label in labels}
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
                    label = label_of(member, label)  # noqa: PLW2901
            elif label.__class__ not in _QUICK and (label := plain(label)).__class__ not in _QUICK:
                if is_rows(label):
                    return self.by_rows(answers, failures)
                mapped = mapped or isinstance(label, Mapping)
                label = label_of(member, value_of(member, label, field))  # noqa: PLW2901
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
            if key_of(label) not in self.labels:
                raise AnswerWrong(member, f"it answered {label!r:.80}, which is none of the labels")

    def combine_batch(self, answers: Mapping[str, Any]) -> Any:
        """Return the winners of many rows: an array, or mappings where a member answers with mappings."""
        columns = {member: values_column(member, each, self.field) for member, each in answers.items()}
        classes, codes = coded(columns)
        mapped = any(are_mappings(answer) for answer in answers.values())
        if len(classes) ** len(codes) <= _MOST_PATTERNS:
            labels, shares = self._by_patterns(classes, codes)
        else:
            labels, shares = self._by_totals(classes, codes)
        if mapped:
            return AnswerColumns({self.field: labels, "share": shares})
        kinds = {getattr(column, "dtype", None) for column in columns.values()}
        return labels.astype(kinds.pop()) if len(kinds) == 1 and None not in kinds else labels.tolist()

    def _by_patterns(self, classes: Sequence[Any], codes: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the winner and its share of each row: the members say one of few patterns, each decided once."""
        import numpy as np

        members, number = list(codes), len(classes)
        pattern: Any = 0
        for code in reversed([*codes.values()]):
            pattern = pattern * number + code
        labels = np.zeros(number ** len(members), dtype=np.intp)
        shares = np.zeros(len(labels))
        for each in np.flatnonzero(np.bincount(pattern, minlength=len(labels))).tolist():
            said = {member: each // number**place % number for place, member in enumerate(members)}
            answers = {member: {self.field: classes[code]} for member, code in said.items()}
            reply = Vote.combine(self, answers, {})
            winner = key_of(reply[self.field])
            labels[each] = next(code for code in said.values() if key_of(classes[code]) == winner)
            shares[each] = reply["share"]
        return array_of(classes)[labels[pattern]], shares[pattern]

    def _by_totals(self, classes: Sequence[Any], codes: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the winner and its share of each row, counted."""
        import numpy as np

        if self.labels is not None and not {key_of(label) for label in classes} <= self.labels:
            raise AnswerWrong(next(iter(codes)), "not all answers are among the labels")
        totals = self._totals(codes, len(classes))
        weight = sum(self.weights[member] for member in codes)
        if not weight:
            raise WeightMissing([*codes])
        winner = self._winners(totals, codes, classes)
        shares = totals[winner, np.arange(len(winner))] / weight
        first = next(iter(codes.values()))
        shares[np.all([code == first for code in codes.values()], axis=0)] = 1.0
        return array_of(classes)[winner], shares

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
            order = sorted(range(len(classes)), key=lambda code: _order(key_of(classes[code])))
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


def _order(key: Any) -> tuple[int, Any]:
    if isinstance(key, tuple):
        return 0, key[1]
    return (2, key) if isinstance(key, str) else (1, key)
