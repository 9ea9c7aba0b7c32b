"""What some operations let people leave out on the command line."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["SHORTHANDS", "Shorthand"]


class Shorthand(NamedTuple):
    """A shorter way to type an operation's parameters.

    Parameters
    ----------
    positional
        The parameter that may be given without its flag; empty for none.
    names
        Further spellings of a parameter's flag.
    text_values
        Mappings whose ``name=value`` leaves the value as text, because the operation itself knows its type.
    switches
        Parameters whose flag alone means true.
    """

    positional: str = ""
    names: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    text_values: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()


SHORTHANDS = {
    "run": Shorthand(
        positional="workflow",
        names={"parameters": ("--param",)},
        text_values=("parameters",),
        switches=("follow",),
    ),
    "call": Shorthand(positional="function", names={"parameters": ("--param",)}),
    "deploy": Shorthand(positional="graph", switches=("shadow", "wait")),
    "rollback": Shorthand(positional="endpoint"),
    "undeploy": Shorthand(positional="endpoint"),
}
"""Operation → its shorthand."""
