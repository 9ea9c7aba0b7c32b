"""How tests see a command line."""

from collections.abc import Callable
from typing import NamedTuple


class Ended(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]
