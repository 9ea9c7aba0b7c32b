"""Turns rows of JSON values into the array that the model was fitted on."""

from collections.abc import Mapping, Sequence
from math import hypot, isinf
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from modelyard.graphs.errors import FeatureMissing, FeatureWrong

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RowReader", "are_finite", "is_row", "matrix_of"]

_NUMERIC = ("int", "uint", "float", "double", "half", "long", "integer", "bool", "decimal")
_PLAIN = frozenset((int, float, bool))
_GREATEST = 3.4e38
"""What single precision, which trees compute in, can still hold."""
_INTEGRAL = ("int", "uint", "long", "integer")


def is_row(body: Any) -> bool:
    """Whether `body` is one row rather than several: a mapping, or a list of plain values.

    Examples
    --------
    >>> is_row({"x": 1}), is_row([1, 2]), is_row([[1, 2]]), is_row([{"x": 1}])
    (True, True, False, False)
    """
    if isinstance(body, Mapping):
        return True
    return isinstance(body, list | tuple) and bool(body) and not isinstance(body[0], list | tuple | Mapping)


def are_finite(matrix: "NDArray[Any]") -> bool:
    """Whether a matrix is known to hold numbers that are there and finite in single precision.

    Examples
    --------
    >>> import numpy as np
    >>> are_finite(np.ones((2, 2))), are_finite(np.array([[1, np.nan]]))
    (True, False)
    """
    import numpy as np

    # A length below the bound has no missing, infinite or huge part
    return matrix.dtype == np.float64 and bool(np.vdot(matrix, matrix) < _GREATEST**2)


def matrix_of(
    rows: Sequence[Any], features: Sequence[str], dtypes: Sequence[str] = (), *, width: int = 0
) -> "NDArray[Any]":
    """Return `rows` as an array of rows by features, equal to what training made of the same values.

    It is float64 if all features are numbers or booleans (nothing is nan there), and objects otherwise (nothing is
    None there), as `modelyard.data` has it.

    Parameters
    ----------
    rows
        Mappings by feature name (others than the features are ignored), or lists in the features' order.
    features
        The names, in the model's order; may be empty if all rows are lists.
    dtypes
        Arrow type names in the same order; without them the values decide.
    width
        How many values a row has, where the names are not known; 0 if nobody knows.

    Raises
    ------
    FeatureMissing
        A mapping lacks a feature.
    FeatureWrong
        A value is not of the feature's type, or a row has too few or too many.

    Examples
    --------
    >>> matrix_of([{"b": None, "a": 1}, [2, True]], ["a", "b"])
    array([[ 1., nan],
           [ 2.,  1.]])
    """
    import numpy as np

    width = len(features) or width
    values = [_values(row, features, width, index) for index, row in enumerate(rows)]
    numeric = _numeric_columns(values, features, dtypes)
    for index, row in enumerate(values):
        _check(row, features, numeric, index)
    if all(numeric):
        return np.array(values, dtype=np.float64).reshape(len(values), len(numeric))
    whole = [_plain_type(dtype).startswith(_INTEGRAL) for dtype in dtypes]
    matrix = np.empty((len(values), len(numeric)), dtype=object)
    for index, row in enumerate(values):
        # JSON has one kind of number: 1 in a column of floats is 1.0, and 1.0 in one of integers is 1
        matrix[index] = [_typed(*each) for each in zip(row, numeric, whole, strict=True)] if whole else row
    return matrix


def _values(row: Any, features: Sequence[str], width: int, index: int) -> list[Any]:
    if isinstance(row, Mapping):
        if not features:
            raise FeatureWrong("the model does not name its features: send lists of values", index)
        try:
            return [row[feature] for feature in features]
        except KeyError as error:
            raise FeatureMissing(str(error.args[0]), [str(name) for name in row], index) from None
    if not isinstance(row, list | tuple):
        raise FeatureWrong(f"a row is a mapping or a list, not {type(row).__name__}", index)
    if width and len(row) != width:
        raise FeatureWrong(f"the model has {width} features, the row has {len(row)} values", index)
    return list(row)


def _numeric_columns(values: list[list[Any]], features: Sequence[str], dtypes: Sequence[str]) -> list[bool]:
    if dtypes and len(dtypes) == len(features):
        return [_plain_type(dtype).startswith(_NUMERIC) for dtype in dtypes]
    width = len(values[0]) if values else len(features)
    for index, row in enumerate(values):
        if len(row) != width:
            raise FeatureWrong(f"the first row has {width} values, this one has {len(row)}", index)
    numeric = all(value is None or isinstance(value, int | float) for row in values for value in row)
    return [numeric] * width


def _check(row: list[Any], features: Sequence[str], numeric: list[bool], index: int) -> None:
    for position, (value, number) in enumerate(zip(row, numeric, strict=True)):
        if value is None or (isinstance(value, int | float) and (not number or _finite(value))):
            continue
        if number or isinstance(value, list | tuple | Mapping):
            name = features[position] if features else f"value {position}"
            rule = "a number" if number else "a plain value"
            raise FeatureWrong(f"the feature {name!r} must be {rule}, got {value!r:.80}", index)


def _plain_type(dtype: str) -> str:
    """Return the type of a column's values, where a dictionary encodes them."""
    return dtype.lower().removeprefix("dictionary<values=")


def _finite(value: float) -> bool:
    try:
        return not isinf(float(value))
    except OverflowError:
        return False


def _typed(value: Any, numeric: bool, whole: bool) -> Any:
    if value is None or isinstance(value, bool) or not numeric:
        return value
    return int(value) if whole and value == int(value) else float(value)


class RowReader:
    """Reads one row at a time into a matrix of one row; does what `matrix_of` does, faster where all is numbers.

    Parameters
    ----------
    features, dtypes, width
        As for `matrix_of`.

    Examples
    --------
    >>> RowReader(["a", "b"], ["int64", "double"]).read({"b": 2.5, "a": 1, "c": "ignored"})
    array([[1. , 2.5]])
    """

    def __init__(self, features: Sequence[str], dtypes: Sequence[str] = (), *, width: int = 0) -> None:
        import numpy as np

        self._array: Any = np.array
        self._float = np.float64
        self._features, self._dtypes, self._width = tuple(features), tuple(dtypes), len(features) or width
        known = len(dtypes) == len(features) > 0
        self._numeric = known and all(_plain_type(dtype).startswith(_NUMERIC) for dtype in dtypes)
        self._pick = itemgetter(*features) if len(features) > 1 else None

    def read(self, row: Any) -> "NDArray[Any]":
        """Return one row as an array of one row by features.

        Raises
        ------
        FeatureMissing, FeatureWrong
            It does not fit.
        """
        matrix = self.read_finite(row)
        return matrix_of((row,), self._features, self._dtypes, width=self._width) if matrix is None else matrix

    def read_finite(self, row: Any) -> "NDArray[Any] | None":
        """Return what `read` does if all is numbers that are there and finite in single precision; None otherwise."""
        if self._numeric and self._pick is not None:
            kind = type(row)
            try:
                values = self._pick(row) if kind is dict else row
                fits = kind is dict or (kind is list and len(row) == self._width)
                # A length below the bound has no missing, infinite or huge part
                if fits and _PLAIN.issuperset(map(type, values)) and hypot(*values) < _GREATEST:
                    return self._array((values,), self._float)  # type: ignore[no-any-return]
            except (KeyError, TypeError, OverflowError):
                return None  # what is wrong, if anything is, `read` says
        return None
