"""Single values of numeric libraries, such as NumPy's, as Python's own; needs none of these libraries."""

from typing import Any

__all__ = ["is_scalar", "plain_scalar"]


def is_scalar(value: object) -> bool:
    """Return whether a value is a single one of a numeric library: an array without dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> is_scalar(np.float32(0.5)), is_scalar(np.zeros(1)), is_scalar(0.5)
    (True, False, False)
    """
    return callable(getattr(value, "item", None)) and getattr(value, "shape", None) == ()


def plain_scalar(value: Any) -> Any:
    """Return a single value of a numeric library as Python's own: what msgspec asks for what it does not know.

    Raises
    ------
    TypeError
        It is something else.

    Examples
    --------
    >>> import numpy as np
    >>> plain_scalar(np.float32(0.5)), plain_scalar(np.bool_(True))
    (0.5, True)
    """
    if is_scalar(value):
        return value.item()
    raise TypeError(f"and holds the type {type(value).__name__}")
