"""Compares replies: exactly, or with a tolerance for numbers, and says where they differ."""

from collections.abc import Collection, Iterator, Mapping
from math import isclose, isnan
from typing import Any, NamedTuple

__all__ = ["Difference", "differences"]


class Difference(NamedTuple):
    """One place where two values differ.

    Parameters
    ----------
    path
        Where: ``$`` is the whole, ``$.rows[2].label`` a part of it.
    expected, got
        What is there; the text ``(nothing)`` where there is no such part.
    """

    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, got {self.got}"


NOTHING: Any = object()


def differences(
    expected: Any, got: Any, *, tolerance: float = 0.0, ignore: Collection[str] = (), path: str = "$"
) -> list[Difference]:
    """Return where `got` differs from `expected`.

    Numbers are equal if they are, or if their distance is at most `tolerance`, absolutely or as a share of the larger
    one; not-a-number equals itself. True is not 1, and a list is not a mapping; a tuple is as good as a list.

    Parameters
    ----------
    expected, got
        JSON values, arrays, or anything with ``==``.
    tolerance
        0 compares exactly.
    ignore
        Paths that are passed over, each with everything below it; ``[*]`` stands for any position.

    Examples
    --------
    >>> for each in differences({"p": 0.5, "l": [1, 2]}, {"p": 0.5001, "l": [1, 3]}, tolerance=0.01):
    ...     print(each)
    $.l[1]: expected 2, got 3
    """
    return list(_differences(_plain(expected), _plain(got), tolerance, ignore, path))


def _differences(expected: Any, got: Any, tolerance: float, ignore: Collection[str], path: str) -> Iterator[Difference]:
    if _ignored(path, ignore):
        return
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for key in [*expected, *(key for key in got if key not in expected)]:
            inner = f"{path}.{key}"
            yield from _differences(
                _plain(expected.get(key, NOTHING)), _plain(got.get(key, NOTHING)), tolerance, ignore, inner
            )
    elif isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        for index in range(max(len(expected), len(got))):
            one, other = (_plain(each[index]) if index < len(each) else NOTHING for each in (expected, got))
            yield from _differences(one, other, tolerance, ignore, f"{path}[{index}]")
    elif not _equal(expected, got, tolerance):
        yield Difference(path, _shown(expected), _shown(got))


def _ignored(path: str, ignore: Collection[str]) -> bool:
    if not ignore:
        return False
    anywhere = "".join("[*]" if part.endswith("]") and part[:-1].isdigit() else part for part in _parts(path))
    return path in ignore or anywhere in ignore


def _parts(path: str) -> list[str]:
    pieces = path.split("[")
    found = [pieces[0]]
    for piece in pieces[1:]:
        number, bracket, rest = piece.partition("]")
        found += [f"{number}{bracket}", rest]
    return found


def _plain(value: Any) -> Any:
    """Return arrays, frames and their scalars as lists and plain numbers."""
    if hasattr(value, "to_pylist"):
        return value.to_pylist()
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        return value.to_dict("records")
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    return value


def _equal(expected: Any, got: Any, tolerance: float) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool) or expected is NOTHING or got is NOTHING:
        return expected is got
    if isinstance(expected, int | float) and isinstance(got, int | float):
        if isnan(expected) or isnan(got):
            return isnan(expected) and isnan(got)
        return expected == got or isclose(expected, got, rel_tol=tolerance, abs_tol=tolerance)
    return bool(expected == got)


def _shown(value: Any) -> str:
    if value is NOTHING:
        return "(nothing)"
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:119]}…"
