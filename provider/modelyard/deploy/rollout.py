"""How a new revision gets its traffic bit by bit, and what decides whether it gets all of it."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from modelyard.deploy.errors import SettingInvalid
from modelyard.serving.field_types import check_types
from modelyard.serving.splits import Figures

__all__ = ["Arm", "Gates", "MetricGate", "Rollout", "RolloutStatus", "Stage", "Verdict", "judge", "read_rollout"]

FLOOR = 0.005
"""Seconds by which a latency may always differ: below, it is the machine's noise and the hop between processes."""


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a rollout.

    Parameters
    ----------
    share
        The percentage of the traffic that the new revision gets.
    seconds
        How long at least.
    """

    share: float
    seconds: float = 60.0

    def __post_init__(self) -> None:
        check_types(self)


class MetricGate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number in the replies that must stay where it was.

    Parameters
    ----------
    field
        Where it is in a JSON reply, such as ``probability`` or ``outputs.0.data.0``; true counts as 1.
    change
        By how much its mean may differ from the champion's.
    """

    field: str
    change: float

    def __post_init__(self) -> None:
        check_types(self)
        if not self.field:
            raise ValueError("field names a number in the replies, and is empty")
        if not self.change >= 0:
            raise ValueError(f"change is at least 0, not {self.change}")


class Gates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the new revision must hold on live traffic.

    Parameters
    ----------
    requests
        So many requests it must have answered before it is judged.
    error_rate
        By how much the part of its requests that fail (a status of 400 and above) may exceed the champion's.
    latency
        How many times the champion's 95th percentile its own may be, beyond 5 ms that are always granted.
    metric
        A number in the replies; None for none.
    crashes
        How many of its worker processes may end by themselves.
    within
        Seconds until which the requests must have come, counted from the beginning of a step; then it is rolled back.
    """

    requests: int = 100
    error_rate: float = 0.01
    latency: float = 1.5
    metric: MetricGate | None = None
    crashes: int = 0
    within: float = 86_400.0

    def __post_init__(self) -> None:
        check_types(self)


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a new revision gets its traffic.

    Parameters
    ----------
    steps
        The shares over time; after the last one it gets everything.
    shadow
        Whether it only gets copies of the requests, whose answers nobody sees, until it gets everything.
    key
        The header (over gRPC: the metadata) whose value decides who gets which revision: the same value always the
        same. Without one, or in a request without it, it is drawn.
    gates
        What it must hold.
    promote
        Whether it gets everything by itself once it held them; otherwise it waits at the last step for
        ``modelyard endpoints promote``.
    """

    steps: tuple[Stage, ...] = ()
    shadow: bool = False
    key: str = ""
    gates: Gates = Gates()
    promote: bool = True

    def __post_init__(self) -> None:
        check_types(self)


_SURE = 2.33
"""How many standard errors make an excess of failures certain enough: one time in a hundred it is chance."""


class Verdict(NamedTuple):
    """What one gate says: passed, failed, or nothing yet."""

    gate: str
    passed: bool | None
    said: str


class Arm(msgspec.Struct, frozen=True):
    """What one of the two revisions answered since the split began.

    Parameters
    ----------
    requests
        How many requests.
    error_rate
        The part of them that failed.
    p50_ms, p95_ms
        Within how many milliseconds so large a part was answered.
    metric
        The mean of the metric; None without one.
    """

    requests: int = 0
    error_rate: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    metric: float | None = None

    @classmethod
    def of(cls, figures: Figures) -> "Arm":
        """Return the summary of what was counted."""
        median, most = (round(figures.quantile(part) * 1000, 2) for part in (0.5, 0.95))
        mean = figures.metric_mean
        metric = None if math.isnan(mean) else mean
        return cls(figures.requests, round(figures.failure_rate, 6), median, most, metric)


class RolloutStatus(msgspec.Struct, frozen=True):
    """Where a rollout stands, or how the last one ended.

    Parameters
    ----------
    revision
        The new revision.
    state
        ``running``, ``promoted`` or ``rolled_back``.
    reason
        Why it ended.
    step, steps
        Which step it is at, counted from 1, and how many there are.
    share
        The percentage of the traffic that the new revision gets now.
    shadow
        Whether it gets copies.
    since, until
        When it began and ended, in seconds since 1970; `until` is 0 while it runs.
    by
        Who began it.
    champion, challenger
        What the revision before and the new one answered.
    gates
        What each gate says.
    models
        The exact model of each model step of the new revision.
    """

    revision: str
    state: Literal["running", "promoted", "rolled_back"]
    reason: str = ""
    step: int = 1
    steps: int = 1
    share: float = 0.0
    shadow: bool = False
    since: float = 0.0
    until: float = 0.0
    by: str = ""
    champion: Arm = Arm()
    challenger: Arm = Arm()
    gates: dict[str, str] = {}
    models: dict[str, str] = {}


def judge(gates: Gates, champion: Figures, challenger: Figures, crashes: int = 0) -> list[Verdict]:
    """Return what each gate says about the challenger, from what both answered at the same time.

    A gate fails as soon as that is certain, by chance one time in a hundred; it passes only once the challenger has had
    its requests, and is undecided in between.

    Parameters
    ----------
    gates
        What the challenger must hold.
    champion, challenger
        What they answered.
    crashes
        How many of the challenger's worker processes ended by themselves.

    Examples
    --------
    >>> champion, challenger = Figures(), Figures()
    >>> for number in range(100):
    ...     champion.add(0.004, failed=False)
    ...     challenger.add(0.004, failed=number < 10)
    >>> [(verdict.gate, verdict.passed) for verdict in judge(Gates(), champion, challenger)]
    [('requests', True), ('error_rate', False), ('latency', True), ('crashes', True)]
    """
    enough = challenger.requests >= gates.requests
    said = f"{challenger.requests}, at least {gates.requests}"
    verdicts = [Verdict("requests", True if enough else None, said), _errors(gates, champion, challenger, enough)]
    verdicts.append(_latency(gates, champion, challenger, enough))
    if gates.metric:
        verdicts.append(_metric(gates.metric, champion, challenger, enough))
    said = f"{crashes} of its workers ended, at most {gates.crashes}"
    verdicts.append(Verdict("crashes", crashes <= gates.crashes, said))
    return verdicts


def _errors(gates: Gates, champion: Figures, challenger: Figures, enough: bool) -> Verdict:
    said = f"{challenger.failure_rate:.2%} failed, of the champion's {champion.failure_rate:.2%}"
    bad, tried = challenger.failed + challenger.lost, challenger.requests + challenger.lost
    excess = (bad / tried if tried else 0.0) - champion.failure_rate - gates.error_rate
    # Clients' own mistakes fall on both by chance: one more on this side is no reason yet to give the challenger up.
    if excess > _SURE * _uncertainty((bad, tried), (champion.failed, champion.requests)):
        return Verdict("error_rate", False, said)
    return Verdict("error_rate", True if enough and excess <= 0 else None, said)


def _uncertainty(*failed_of: tuple[int, int]) -> float:
    """Return the standard error of the difference of two rates, by Agresti and Caffo (2000): each with two more tries.

    Parameters
    ----------
    *failed_of
        How many failed, of how many.
    """
    rates = [((failed + 1) / (tried + 2), tried + 2) for failed, tried in failed_of]
    return math.sqrt(sum(rate * (1 - rate) / count for rate, count in rates))


def _latency(gates: Gates, champion: Figures, challenger: Figures, enough: bool) -> Verdict:
    mine, theirs = challenger.quantile(0.95), champion.quantile(0.95)
    said = f"p95 {mine * 1000:.1f} ms, the champion's {theirs * 1000:.1f} ms"
    if not enough:
        return Verdict("latency", None, said)
    if not champion.requests:
        return Verdict("latency", True, f"{said}: nothing to compare with")
    return Verdict("latency", mine <= theirs * gates.latency + FLOOR, said)


def _metric(gate: MetricGate, champion: Figures, challenger: Figures, enough: bool) -> Verdict:
    mine, theirs = challenger.metric_mean, champion.metric_mean
    said = f"mean of {gate.field} {mine:.4g}, the champion's {theirs:.4g}"
    if not enough:
        return Verdict("metric", None, said)
    if not champion.metric_count:
        return Verdict("metric", True if challenger.metric_count else None, f"{said}: nothing to compare with")
    return Verdict("metric", abs(mine - theirs) <= gate.change, said)


def read_rollout(settings: Any, traffic: Mapping[str, float], *, shadow: bool) -> Rollout | None:
    """Return how a new revision gets its traffic; None gives it everything at once.

    Parameters
    ----------
    settings
        What the environment says about it; None if nothing.
    traffic
        The percentages of ``champion`` and ``challenger`` that somebody asked for: one step. Empty leaves it to the
        settings.
    shadow
        Whether somebody asked for copies instead.

    Raises
    ------
    SettingInvalid
        One of them breaks a rule.

    Examples
    --------
    >>> read_rollout(None, {"champion": 90, "challenger": 10}, shadow=False).steps
    (Stage(share=10.0, seconds=60.0),)
    >>> read_rollout(None, {}, shadow=False)
    """
    given = dict(settings or {}) if isinstance(settings, Mapping) or not settings else settings
    if isinstance(given, dict):
        declared, seconds = given.pop("traffic", {}), given.pop("seconds", 60.0)
        share = _share(traffic or declared)
        if share is None and (shadow or given.get("shadow")):
            share = None if given.get("steps") else 100.0
        if share is not None and (traffic or not given.get("steps")):
            given["steps"] = [{"share": share, "seconds": seconds}]
    try:
        rollout = msgspec.convert(given, Rollout, strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise SettingInvalid(f"rollout{where.rstrip('`')}", what) from None
    if shadow:
        rollout = msgspec.structs.replace(rollout, shadow=True)
    _check(rollout)
    if not rollout.shadow and all(stage.share >= 100 for stage in rollout.steps):
        return None
    return rollout


def _share(traffic: Any) -> float | None:
    if not traffic:
        return None
    known = ("champion", "challenger")
    if not isinstance(traffic, Mapping):
        raise SettingInvalid("rollout.traffic", "must name percentages, such as champion: 90, challenger: 10")
    for name in traffic:
        if name not in known:
            raise SettingInvalid(f"rollout.traffic.{name}", f"there is no {name!r} in a rollout", known)
    try:
        shares = {name: float(value) for name, value in traffic.items()}
    except (TypeError, ValueError):
        raise SettingInvalid("rollout.traffic", f"must be percentages, got {dict(traffic)}") from None
    if len(shares) == 2 and not math.isclose(sum(shares.values()), 100):
        raise SettingInvalid("rollout.traffic", f"must be 100 percent together, got {sum(shares.values()):g}")
    return shares.get("challenger", 100 - shares.get("champion", 0.0))


def _check(rollout: Rollout) -> None:
    for index, stage in enumerate(rollout.steps):
        if not 0 < stage.share <= 100:
            raise SettingInvalid(
                f"rollout.steps[{index}].share", f"must be above 0 and at most 100, got {stage.share:g}"
            )
        if not stage.seconds >= 0:
            raise SettingInvalid(f"rollout.steps[{index}].seconds", f"must be at least 0, got {stage.seconds:g}")
    gates = rollout.gates
    rules = (
        ("requests", gates.requests >= 1, "at least 1", gates.requests),
        ("error_rate", 0 <= gates.error_rate <= 1, "from 0 to 1", gates.error_rate),
        ("latency", gates.latency >= 1, "at least 1", gates.latency),
        ("crashes", gates.crashes >= 0, "at least 0", gates.crashes),
        ("within", gates.within > 0, "above 0", gates.within),
    )
    for name, held, rule, value in rules:
        if not held:
            raise SettingInvalid(f"rollout.gates.{name}", f"must be {rule}, got {value:g}")
