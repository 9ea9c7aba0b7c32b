"""The labels that members say as numbers: one number for each label."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelyard.graphs.ensembles.columns import objects_of
from modelyard.graphs.ensembles.combining import plain
from modelyard.graphs.group_errors import AnswerWrong

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["array_of", "coded", "key_of", "label_of"]

_QUICK = frozenset((int, str))
_MOST_CLASSES = 64
_INT64 = 2**63
_SAFE = 2**62


def label_of(member: str, value: Any) -> Any:
    """Return a value that must be a label, as Python's own.

    Raises
    ------
    AnswerWrong
        It is none: nothing, not a number, or not a plain value.
    """
    value = plain(value)
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 (that is what nan is)
        raise AnswerWrong(member, f"it answered {value!r}, which is no label")
    if not isinstance(value, str | int | float | bool):
        raise AnswerWrong(member, f"it answered {value!r:.80}, which is no label")
    return value


def key_of(label: Any) -> Any:
    """Return what equal labels have in common; True is not the label 1.

    Examples
    --------
    >>> key_of(True) == key_of(1), key_of(1.0) == key_of(1)
    (False, True)
    """
    return (bool, label) if isinstance(label, bool) else label


def array_of(labels: Sequence[Any]) -> "NDArray[Any]":
    """Return labels as an array whose ``tolist`` gives them back as they are.

    Examples
    --------
    >>> array_of([0, 1]).dtype.kind, array_of([0, 1.0]).tolist(), array_of(["late"]).tolist()
    ('i', [0, 1.0], ['late'])
    """
    import numpy as np

    kinds = {type(label) for label in labels}
    exact = kinds <= {int} and all(-_INT64 <= label < _INT64 for label in labels)
    return np.array(labels) if labels and (exact or kinds in ({bool}, {float})) else objects_of(labels)


def coded(columns: Mapping[str, Any]) -> tuple[list[Any], dict[str, "NDArray[np.intp]"]]:
    """Return the labels that there may be, and each member's labels as numbers of them.

    Parameters
    ----------
    columns
        Member → one label for each row: a list, or an array.

    Raises
    ------
    AnswerWrong
        Something is no label, or one label is said as several types.

    Examples
    --------
    >>> coded({"a": ["late", "early"], "b": ["early", "early"]})
    (['late', 'early'], {'a': array([0, 1]), 'b': array([1, 1])})
    """
    kinds = {getattr(getattr(column, "dtype", None), "kind", "") for column in columns.values()}
    kind = kinds.pop() if len(kinds) == 1 else ""
    found = None
    if kind in ("i", "u", "b"):
        found = _coded_in_range(columns, kind)
    elif kind == "U":
        found = _coded_by_comparison(columns)
    return _coded_by_value(columns) if found is None else found


def _coded_in_range(columns: Mapping[str, Any], kind: str) -> tuple[list[Any], dict[str, Any]] | None:
    """Return whole numbers that lie near each other, as their distance from the least of them."""
    import numpy as np

    if kind == "b":
        return [False, True], {member: column.astype(np.intp) for member, column in columns.items()}
    if not all(len(column) for column in columns.values()):
        return None
    least = min(int(column.min()) for column in columns.values())
    greatest = max(int(column.max()) for column in columns.values())
    if greatest - least >= _MOST_CLASSES or not -_SAFE < least <= greatest < _SAFE:
        return None
    codes = {member: column.astype(np.intp, copy=False) - least for member, column in columns.items()}
    classes = [*range(least, greatest + 1)]
    said = np.any([np.bincount(code, minlength=len(classes)) for code in codes.values()], axis=0)
    if said.all():
        return classes, codes
    numbers = np.cumsum(said) - 1
    classes = [label for label, is_said in zip(classes, said.tolist(), strict=True) if is_said]
    return classes, {member: numbers[code] for member, code in codes.items()}


def _coded_by_comparison(columns: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]] | None:
    """Return texts as numbers, comparing each column with each of few texts."""
    import numpy as np

    classes: list[Any] = []
    codes = {}
    for member, column in columns.items():
        code = np.full(len(column), -1)
        for number, label in enumerate(classes):
            code[column == label] = number
        while (left := np.flatnonzero(code < 0)).size:
            if len(classes) == _MOST_CLASSES:
                return None
            label = column[left[0]]
            code[column == label] = len(classes)
            classes.append(label.item())
        codes[member] = code
    return classes, codes


def _coded_by_value(columns: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    import numpy as np

    listed = {member: column.tolist() if hasattr(column, "tolist") else column for member, column in columns.items()}
    known = dict[Any, int]()
    for values in listed.values():
        for label in _distinct(values):
            known.setdefault(label, len(known))
    if known and {type(label) for label in known} <= {str}:  # nothing else is equal to a text
        codes = {
            member: np.fromiter(map(known.__getitem__, values), np.intp, len(values))
            for member, values in listed.items()
        }
        return [*known], codes
    return _coded_one_by_one(listed)


def _distinct(values: Sequence[Any]) -> Iterable[Any]:
    try:
        return dict.fromkeys(values)
    except TypeError:  # what cannot be hashed is no label, and `label_of` will say so
        return (None,)


def _coded_one_by_one(columns: Mapping[str, Sequence[Any]]) -> tuple[list[Any], dict[str, Any]]:
    import numpy as np

    numbers: dict[Any, int] = {}
    classes: list[Any] = []
    codes = {}
    for member, column in columns.items():
        code = np.empty(len(column), dtype=np.intp)
        for row, value in enumerate(column):
            label = value if value.__class__ in _QUICK else label_of(member, value)
            key = key_of(label)
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
