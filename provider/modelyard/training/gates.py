"""Gates: what must hold for a promotion, as one line of text each.

::

    gate    :=  metric operator bound
    bound   :=  number  |  "champion"  |  "champion" ("+" | "-") number  |  "champion" "*" number
    operator := ">="  |  ">"  |  "<="  |  "<"  |  "=="

A metric that is missing or not a number makes its gate fail. Where there is no champion yet, a gate that names it
holds if the candidate's own metric is a number, and its outcome says so.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from modelyard.errors import near_name
from modelyard.training.promotion_errors import GateInvalid

__all__ = ["Gate", "GateOutcome", "judge", "parse_gate", "parse_gates"]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_METRIC = re.compile(r"\s*(?P<metric>[A-Za-z_](?:[\w./: -]*[\w./:])?)")
_OPERATOR = re.compile(r"\s*(?P<operator>>=|<=|==|>|<)")
_CHAMPION = re.compile(r"\s*champion(?![\w./:])")
_SIGN = re.compile(r"\s*(?P<sign>[-+*])")
_UNSIGNED = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBER = re.compile(rf"\s*(?P<number>[-+]?{_UNSIGNED})(?![\w.])")
_AMOUNT = re.compile(rf"\s*(?P<number>{_UNSIGNED})(?![\w.])")


class Gate(msgspec.Struct, frozen=True):
    """One condition on one metric.

    Parameters
    ----------
    text
        The gate as written, without surplus spaces.
    metric
        The candidate's metric.
    operator
        How it is compared.
    number
        The bound; beside the champion, what is added to, taken from or multiplied with its metric.
    champion
        How the champion's metric enters the bound: empty (not at all), ``+``, ``-`` or ``*``.
    """

    text: str
    metric: str
    operator: str
    number: float
    champion: str = ""

    def bound(self, baseline: float) -> float:
        """Return the bound, given the champion's metric."""
        if self.champion == "*":
            return baseline * self.number
        if self.champion:
            return baseline + (self.number if self.champion == "+" else -self.number)
        return self.number


class GateOutcome(NamedTuple):
    """What came of one gate.

    Parameters
    ----------
    gate
        The gate.
    held
        Whether it held.
    said
        The comparison with the values put in, and the verdict.
    """

    gate: Gate
    held: bool
    said: str


class _Reader:
    """Reads a gate from left to right and knows where it is."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def take(self, pattern: re.Pattern[str], expected: str = "") -> str:
        match = pattern.match(self.text, self.place)
        if match is None:
            if expected:
                raise self.wrong(expected)
            return ""
        self.place = match.end()
        return next(iter(match.groupdict().values()), "yes")

    def wrong(self, expected: str) -> GateInvalid:
        blank = len(self.text[self.place :]) - len(self.text[self.place :].lstrip())
        return GateInvalid(self.text, self.place + blank + 1, expected)

    def done(self, expected: str) -> None:
        if self.text[self.place :].strip():
            raise self.wrong(expected)


def parse_gate(text: str) -> Gate:
    """Return the gate that `text` writes down.

    Raises
    ------
    GateInvalid
        It is none; the error says at which character, and what should stand there.

    Examples
    --------
    >>> parse_gate("roc_auc >= champion - 0.005")
    Gate(text='roc_auc >= champion - 0.005', metric='roc_auc', operator='>=', number=0.005, champion='-')
    """
    reader = _Reader(text)
    metric = reader.take(_METRIC, "the name of a metric")
    compare = reader.take(_OPERATOR, "one of >= > <= < ==")
    if not reader.take(_CHAMPION):
        number = float(reader.take(_NUMBER, "a number or champion"))
        reader.done("nothing after the number")
        return Gate(_trimmed(text), metric, compare, number)
    sign = reader.take(_SIGN)
    if not sign:
        reader.done("+, - or * and a number, or nothing after champion")
        return Gate(_trimmed(text), metric, compare, 0.0, "+")
    number = float(reader.take(_AMOUNT, "a number without a sign"))
    reader.done("nothing after the number")
    return Gate(_trimmed(text), metric, compare, number, sign)


def parse_gates(texts: Iterable[str]) -> list[Gate]:
    """Return all gates, each once.

    Raises
    ------
    GateInvalid
        One of them is wrong.
    """
    return list({gate.text: gate for gate in map(parse_gate, texts)}.values())


def judge(gate: Gate, metrics: Mapping[str, float], baseline: Mapping[str, float] | None) -> GateOutcome:
    """Return whether the gate holds.

    Parameters
    ----------
    gate
        The gate.
    metrics
        The candidate's metrics.
    baseline
        The champion's metrics; None if there is no champion.

    Examples
    --------
    >>> judge(parse_gate("auc >= champion - 0.01"), {"auc": 0.744}, {"auc": 0.75}).said
    '0.744 >= 0.74 (champion 0.75 - 0.01): held'
    >>> judge(parse_gate("auc >= 0.8"), {"auc": float("nan")}, None).said
    'auc is not a number: failed'
    """
    value = metrics.get(gate.metric)
    if value is None:
        return GateOutcome(
            gate, False, f"there is no metric {gate.metric!r}. {near_name(gate.metric, metrics)}: failed"
        )
    if math.isnan(value):
        return GateOutcome(gate, False, f"{gate.metric} is not a number: failed")
    if not gate.champion:
        return _compared(gate, value, gate.number, "")
    if baseline is None:
        return GateOutcome(gate, True, f"{value:.6g}, and there is no champion to compare with: held")
    known = baseline.get(gate.metric, math.nan)
    if math.isnan(known):
        reason = "is not a number" if gate.metric in baseline else "is missing"
        return GateOutcome(gate, False, f"the champion's {gate.metric} {reason}: failed")
    change = f" {gate.champion} {gate.number:g}" if gate.number or gate.champion == "*" else ""
    return _compared(gate, value, gate.bound(known), f" (champion {known:.6g}{change})")


def _compared(gate: Gate, value: float, bound: float, origin: str) -> GateOutcome:
    held = _OPERATORS[gate.operator](value, bound)
    verdict = "held" if held else "failed"
    return GateOutcome(gate, held, f"{_shown(value, bound)} {gate.operator} {_shown(bound, value)}{origin}: {verdict}")


def _shown(value: float, other: float) -> str:
    """Return few digits, but enough to tell the two apart."""
    for digits in (6, 9, 12):
        if f"{value:.{digits}g}" != f"{other:.{digits}g}" or value == other:
            return f"{value:.{digits}g}"
    return repr(value)


def _trimmed(text: str) -> str:
    return " ".join(text.split())
