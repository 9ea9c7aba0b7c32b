"""Checks of the arguments of ready-made steps: each error names block, field, rule and value."""

from collections.abc import Collection, Mapping
from math import isnan
from typing import Any

from modelyard.errors import near_name
from modelyard.graphs.steps.errors import ArgumentInvalid

__all__ = ["Checked", "is_nothing", "is_number"]


def is_number(value: Any) -> bool:
    """Whether it is a number, and no truth value.

    Examples
    --------
    >>> is_number(1), is_number(2.5), is_number(True), is_number("1")
    (True, True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_nothing(value: Any) -> bool:
    """Whether there is no value: None, or a float that is not a number.

    Examples
    --------
    >>> is_nothing(None), is_nothing(float("nan")), is_nothing(0)
    (True, True, False)
    """
    return value is None or (isinstance(value, float) and isnan(value))


class Checked:
    """Checks arguments of one block.

    Parameters
    ----------
    block
        The block's name, as errors show it.

    Examples
    --------
    >>> Checked("Sample").number("rate", 0.5, least=0, most=1)
    0.5
    """

    def __init__(self, block: str) -> None:
        self.block = block

    def refuse(self, field: str, rule: str, value: Any, *, mend: str = "") -> ArgumentInvalid:
        """Return the error."""
        return ArgumentInvalid(self.block, field, rule, value, mend=mend)

    def number(
        self,
        field: str,
        value: Any,
        *,
        least: float | None = None,
        most: float | None = None,
        above: float | None = None,
    ) -> float:
        """Return a number within the bounds."""
        bounds = [
            f"at least {least:g}" if least is not None else "",
            f"above {above:g}" if above is not None else "",
            f"at most {most:g}" if most is not None else "",
        ]
        told = " and ".join(each for each in bounds if each)
        rule = f"must be a number{', ' + told if told else ''}"
        if not is_number(value) or isnan(value):
            raise self.refuse(field, rule, value)
        if (least is not None and value < least) or (most is not None and value > most):
            raise self.refuse(field, rule, value)
        if above is not None and value <= above:
            raise self.refuse(field, rule, value)
        return float(value)

    def whole(self, field: str, value: Any, *, least: int) -> int:
        """Return a whole number that is not too small."""
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.refuse(field, f"must be a whole number, at least {least}", value)
        return value

    def text(self, field: str, value: Any, *, empty: bool = False) -> str:
        """Return a text."""
        if not isinstance(value, str) or (not value and not empty):
            raise self.refuse(field, "must be a text" if empty else "must be a text that is not empty", value)
        return value

    def word(self, field: str, value: Any, known: Collection[str]) -> str:
        """Return one of the known words."""
        if not isinstance(value, str) or value not in known:
            mend = near_name(value, list(known)) if isinstance(value, str) else ""
            raise self.refuse(field, f"must be one of {', '.join(known)}", value, mend=mend)
        return value

    def mapping(self, field: str, value: Any, known: Collection[str] | None = None) -> dict[str, Any]:
        """Return a mapping with texts as keys; with `known`, with no others."""
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self.refuse(field, "must be a mapping with texts as keys", value)
        for key in value:
            if known is not None and key not in known:
                mend = near_name(key, list(known))
                raise self.refuse(field, f"has no {key!r}", dict(value), mend=mend)
        return dict(value)

    def names(self, field: str, value: Any) -> list[str]:
        """Return a list of different names."""
        if isinstance(value, str) or not isinstance(value, list | tuple):
            raise self.refuse(field, "must be a list of names", value)
        if not all(isinstance(each, str) and each for each in value) or len(set(value)) < len(value):
            raise self.refuse(field, "must be a list of different names", value)
        return list(value)
