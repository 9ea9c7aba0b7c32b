"""The ensemble of probabilities: the soft vote."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.ensembles.columns import objects_of
from modelyard.graphs.ensembles.combining import Combining, plain
from modelyard.graphs.ensembles.errors import WeightMissing
from modelyard.graphs.ensembles.weights import member_weights
from modelyard.graphs.group_errors import AnswerWrong

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SoftVote"]

_SUM_TOLERANCE = 1e-3


class SoftVote(Combining):
    """Answers with the class of the largest weighted mean probability.

    A member says its probabilities as a list in the order of `classes`; as a mapping with such a list (or class →
    probability) in ``probabilities``; or, of two classes, as a mapping with that of the second in ``probability``, as
    models answer, or as that number alone. The reply is a mapping: ``label``, ``probability`` (of two classes that of
    the second, otherwise that of the label) and ``probabilities`` in the order of `classes`; of equal ones the first
    class wins.

    Parameters
    ----------
    classes
        The classes, at least two, in the order of the probabilities. A member whose mapping has another ``label`` than
        one of them is wrong.
    weights
        Member → weight from 0; they need not add up to 1. By default all weigh alike.

    Raises
    ------
    ValueError
        There are fewer than two classes, or one twice; or a weight is wrong.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("late")
    >>> members = {"sure": lambda body: [0.1, 0.9], "unsure": lambda body: [0.6, 0.4]}
    >>> step = graph.ensemble(SoftVote, members=members, classes=["early", "late"])
    >>> graph.test({})
    {'label': 'late', 'probability': 0.65, 'probabilities': [0.35, 0.65]}
    """

    def __init__(
        self, classes: Sequence[Any] = (), weights: Mapping[str, float] | None = None, *, members: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        if isinstance(classes, str) or len(classes) < 2:
            raise ValueError(f"classes lists at least two classes, in the order of the probabilities, not {classes!r}")
        told = [(type(each), each) for each in classes]
        if any(told.count(each) > 1 for each in told):
            raise ValueError(f"classes has one of them twice: {list(classes)!r}")
        self.classes = list(classes)
        self._known = objects_of(self.classes)
        self._labels = [*self.classes, *map(str, self.classes)]
        self.weights = member_weights(weights, members)

    def combine(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the answer to one row, or a list of them."""
        for answer in answers.values():
            if _is_several(answer):
                return self.by_rows(answers, failures)
        return self.one(answers, failures)

    def one(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the answer to one row."""
        sums = [0.0] * len(self.classes)
        weight = 0.0
        for member, answer in answers.items():
            own = self.weights[member]
            weight += own
            for index, probability in enumerate(self._probabilities(member, answer)):
                sums[index] += own * probability
        if not weight:
            raise WeightMissing([*answers])
        return self._told([each / weight for each in sums])

    def _told(self, means: list[float]) -> dict[str, Any]:
        best = max(range(len(means)), key=means.__getitem__)
        probability = means[1] if len(means) == 2 else means[best]
        return {"label": self.classes[best], "probability": probability, "probabilities": means}

    def _probabilities(self, member: str, answer: Any) -> Sequence[float]:
        count = len(self.classes)
        if isinstance(answer, Mapping):
            answer = self._in_mapping(member, answer)
        if hasattr(answer, "tolist"):
            answer = answer.tolist()
        if isinstance(answer, list | tuple):
            if len(answer) != count:
                raise AnswerWrong(member, f"it answered {len(answer)} probabilities, and there are {count} classes")
            values = [_probability(member, each) for each in answer]
            if abs(sum(values) - 1.0) > _SUM_TOLERANCE:
                raise AnswerWrong(member, f"its probabilities add up to {sum(values):g}, not to 1")
            return values
        if count != 2:
            raise AnswerWrong(member, f"it answered one probability, and there are {count} classes")
        second = _probability(member, answer)
        return (1.0 - second, second)

    def _in_mapping(self, member: str, answer: Mapping[str, Any]) -> Any:
        if "label" in answer and not self._knows(answer["label"]):
            raise AnswerWrong(member, f"it answered the label {answer['label']!r:.80}, which is none of the classes")
        if "probabilities" in answer:
            found = answer["probabilities"]
            if not isinstance(found, Mapping):
                return found
            try:
                return [found[each] if each in found else found[str(each)] for each in self.classes]
            except KeyError as error:
                raise AnswerWrong(member, f"its probabilities say nothing of {error.args[0]!r}") from None
        if "probability" in answer:
            return answer["probability"]
        has = ", ".join(map(str, answer)) or "nothing"
        raise AnswerWrong(member, f"its answer has no probability and no probabilities, it has: {has}")

    def _knows(self, label: Any) -> bool:
        label = plain(label)
        return getattr(label, "ndim", 0) == 0 and label in self._labels

    def combine_batch(self, answers: Mapping[str, Any]) -> Any:
        """Return the answers to many rows."""
        import numpy as np

        total: Any = 0.0
        weight = 0.0
        for member, answer in answers.items():
            total = total + self.weights[member] * self._matrix(member, answer)
            weight += self.weights[member]
        means = total / weight
        labels = means.argmax(axis=1)
        chosen = means[:, 1] if len(self.classes) == 2 else means[np.arange(len(means)), labels]
        return AnswerColumns({"label": self._known[labels], "probability": chosen, "probabilities": means})

    def _matrix(self, member: str, answers: Any) -> "NDArray[np.float64]":
        """Return rows by classes, checked."""
        import numpy as np

        if isinstance(answers, AnswerColumns):
            if "label" in answers.columns and not self._know_all(answers.columns["label"]):
                raise AnswerWrong(member, "not all of its labels are among the classes")
            two = "probability" in answers.columns and len(self.classes) == 2
            answers = answers.columns["probability"] if two else answers.tolist()
        if hasattr(answers, "ndim") and answers.dtype.kind in "iuf":
            found = np.asarray(answers, dtype=np.float64)
        elif isinstance(answers, list) and answers and _has_probability(answers) and len(self.classes) == 2:
            if not all(self._knows(answer["label"]) for answer in answers if "label" in answer):
                raise AnswerWrong(member, "not all of its labels are among the classes")
            found = np.array([answer["probability"] for answer in answers], dtype=np.float64)
        else:
            return np.array([self._probabilities(member, answer) for answer in answers], dtype=np.float64)
        if found.ndim == 1 and len(self.classes) == 2:
            found = np.stack([1.0 - found, found], axis=1)
        if found.ndim != 2 or found.shape[1] != len(self.classes):
            raise AnswerWrong(member, f"its probabilities are not rows of {len(self.classes)}")
        inside = (found >= 0).all() and (found <= 1).all()  # nan is neither
        if not inside or (np.abs(found.sum(axis=1) - 1.0) > _SUM_TOLERANCE).any():
            raise AnswerWrong(member, "not all of its answers are probabilities")
        return found

    def _know_all(self, labels: Any) -> bool:
        """Whether all labels of an array are classes."""
        import numpy as np

        left = labels
        for each in self._labels:
            if not len(left):
                break
            left = left[np.asarray(left != each)]
        return not len(left)


def _is_several(answer: Any) -> bool:
    if getattr(answer, "ndim", 0) > 1:
        return True
    return isinstance(answer, list | tuple) and bool(answer) and isinstance(answer[0], list | tuple | Mapping)


def _has_probability(answers: list[Any]) -> bool:
    return all(
        answer.__class__ is dict and answer.get("probability").__class__ is float and "probabilities" not in answer
        for answer in answers
    )


def _probability(member: str, value: Any) -> float:
    value = plain(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # nan is neither
        raise AnswerWrong(member, f"it answered the probability {value!r:.80}, which is none")
    return float(value)
