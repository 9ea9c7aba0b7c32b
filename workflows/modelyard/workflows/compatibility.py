"""Decides, as far as declarations tell, whether one parameter type fits another."""

from modelyard.operations import ParameterType

__all__ = ["fits", "type_inside"]

_TEXT = ("string", "choice", "dataset", "model")
_ANY = ParameterType("any")


def fits(given: ParameterType, needed: ParameterType) -> bool:
    """Return False when a value of type `given` can never be of type `needed`; True when it is or may be.

    What is optional may be there, so an optional result fits a required parameter here; a run checks the value.

    Examples
    --------
    >>> fits(ParameterType("integer"), ParameterType("number")), fits(ParameterType("number"), ParameterType("integer"))
    (True, False)
    >>> fits(ParameterType("dataset"), ParameterType("model"))
    False
    """
    if "any" in (given.kind, needed.kind):
        return True
    if given.kind == "choice" and needed.kind == "choice":
        return bool(set(given.choices) & set(needed.choices))
    if given.kind in _TEXT and needed.kind in _TEXT:
        return {given.kind, needed.kind} != {"dataset", "model"}
    if given.kind in ("list", "mapping") and given.kind == needed.kind:
        return fits(given.item or _ANY, needed.item or _ANY)
    return given.kind == needed.kind or (given.kind, needed.kind) == ("integer", "number")


def type_inside(type_: ParameterType, path: tuple[str | int, ...]) -> ParameterType | None:
    """Return the type of what lies at `path` inside a value, or None where nothing can be there.

    Examples
    --------
    >>> metrics = ParameterType("mapping", item=ParameterType("number"))
    >>> type_inside(metrics, ("auc",)).kind, type_inside(metrics, ("auc", 0))
    ('number', None)
    """
    for key in path:
        if type_.kind == "any":
            return _ANY
        if type_.kind != ("list" if isinstance(key, int) else "mapping"):
            return None
        type_ = type_.item or _ANY
    return type_
