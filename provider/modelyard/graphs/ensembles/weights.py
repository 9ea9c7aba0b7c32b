"""What each member of an ensemble weighs."""

from collections.abc import Mapping, Sequence
from math import isfinite

__all__ = ["member_weights"]


def member_weights(weights: Mapping[str, float] | None, members: Sequence[str]) -> dict[str, float]:
    """Return the weight of each member, so that they add up to 1.

    Parameters
    ----------
    weights
        Member → weight from 0; nothing weighs all alike.
    members
        The names, in order.

    Raises
    ------
    TypeError
        It is no mapping.
    ValueError
        A member has no weight, a weight is of no member, is negative or no number, or all are 0.

    Examples
    --------
    >>> member_weights({"a": 3, "b": 1}, ["a", "b"]), member_weights(None, ["a", "b"])
    ({'a': 0.75, 'b': 0.25}, {'a': 0.5, 'b': 0.5})
    """
    if weights is None:
        return {name: 1.0 / len(members) for name in members}
    if not isinstance(weights, Mapping):
        raise TypeError(f"weights maps members to numbers, it is {type(weights).__name__}")
    for name, weight in weights.items():
        if name not in members:
            raise ValueError(f"weights names {name!r}, which is no member: {', '.join(members)}")
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not isfinite(weight) or weight < 0:
            raise ValueError(f"weights[{name!r}] is a number from 0, not {weight!r}")
    absent = [name for name in members if name not in weights]
    if absent:
        raise ValueError(f"weights says nothing of {', '.join(absent)}: a member that shall not count weighs 0")
    total = float(sum(weights.values()))
    if total <= 0:
        raise ValueError("weights are all 0: one member must count")
    return {name: weights[name] / total for name in members}
