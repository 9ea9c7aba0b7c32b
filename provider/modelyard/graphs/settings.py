"""What can be asked of a step besides running: frozen settings that are checked when they are made."""

import re
from typing import Any, Literal

import msgspec

from modelyard.errors import near_name

__all__ = ["Cache", "CircuitBreaker", "Concurrency", "Fallback", "Retry", "StepSettings", "nearest_field"]

Concurrency = Literal["inline", "thread", "process", "dedicated"]


class Retry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How often a step is tried, and how long to wait in between; each attempt gets the body as it came.

    The wait before attempt n+1 is random between 0 and ``min(cap, base · 2ⁿ⁻¹)``: full jitter.

    Parameters
    ----------
    attempts
        How often in total, at least 1.
    base, cap
        Seconds.
    on
        The exceptions that qualify, as dotted paths or names of built-in ones (in Python their classes, too); nothing
        means any ``Exception``.

    Examples
    --------
    >>> Retry(on=(ConnectionError, "json.JSONDecodeError")).on
    ('ConnectionError', 'json.JSONDecodeError')
    """

    attempts: int = 3
    base: float = 0.1
    cap: float = 10.0
    on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        several: Any = self.on if isinstance(self.on, tuple | list) else (self.on,)
        msgspec.structs.force_setattr(self, "on", tuple(_exception_name(each) for each in several))
        if self.attempts < 1 or self.base < 0 or self.cap < 0:
            raise ValueError(f"retries needs attempts ≥ 1, base ≥ 0 and cap ≥ 0, not {self}")


class CircuitBreaker(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a failing step is no longer called for a while.

    Parameters
    ----------
    failures
        So many in a row open the circuit.
    rate
        Or this share of the last `window` calls; 0 looks at runs of failures only.
    window
        How many calls `rate` looks at.
    seconds
        How long it stays open; then one call tries, and closes it again if it works.
    """

    failures: int = 5
    rate: float = 0.0
    window: int = 20
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.failures < 1 or not 0 <= self.rate <= 1 or self.window < 1 or self.seconds < 0:
            raise ValueError(f"circuit_breaker needs failures ≥ 1, 0 ≤ rate ≤ 1, window ≥ 1, not {self}")


class Cache(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which results are kept.

    Parameters
    ----------
    key
        The body's field (dotted) that tells events apart; empty takes the whole body.
    seconds
        How long a result is good for; 0 means for ever.
    size
        How many are kept; the one that was used longest ago goes first.
    """

    key: str = ""
    seconds: float = 0.0
    size: int = 1024

    def __post_init__(self) -> None:
        if self.size < 1 or self.seconds < 0:
            raise ValueError(f"cache needs size ≥ 1 and seconds ≥ 0, not {self}")


class Fallback(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a step gives when it failed for good: a value, or what another callable says about the same input.

    Parameters
    ----------
    value
        The result, unless `use` says it.
    use
        A step, or its dotted path; it gets what the failed step got.
    """

    value: Any = None
    use: Any = None


class StepSettings(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is asked of one step; the defaults ask for nothing.

    Parameters
    ----------
    input_path
        The step takes this part of the body: ``a.b``.
    result_path
        The result is put there in the body, and the rest of the body stays.
    timeout
        Seconds; a plain function must then run in a thread or process.
    retries, fallback, circuit_breaker, cache
        See their classes.
    concurrency
        ``inline``, or in a shared ``thread`` or ``process`` pool, or in a process of its own: ``dedicated``.
    max_in_flight
        How many events may be inside the step at once; the others wait. 0 is no bound.
    condition
        A field of the body (dotted), or a callable (or its dotted path); where it is not true the step is passed by.
    validate
        Whether the body is converted to the type that the step's annotation declares, and the result to that of its
        own: what msgspec understands.
    vectorised
        Whether the function takes a list of bodies (or a whole array or Arrow batch) as well, row by row alike.
    """

    input_path: str = ""
    result_path: str = ""
    timeout: float = 0.0
    retries: Retry | None = None
    fallback: Fallback | None = None
    circuit_breaker: CircuitBreaker | None = None
    concurrency: Concurrency = "inline"
    max_in_flight: int = 0
    cache: Cache | None = None
    condition: Any = None
    validate: bool = False
    vectorised: bool = False

    def __post_init__(self) -> None:
        for name in ("timeout", "max_in_flight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is at least 0, not {getattr(self, name)!r}")
        if self.concurrency not in ("inline", "thread", "process", "dedicated"):
            raise ValueError(f"concurrency is inline, thread, process or dedicated, not {self.concurrency!r}")

    @property
    def wraps(self) -> bool:
        """Whether anything is asked for that changes how the step is called."""
        plain = StepSettings(validate=self.validate, vectorised=self.vectorised)
        return self != plain


def _exception_name(said: Any) -> str:
    if not isinstance(said, type):
        return said  # type: ignore[no-any-return]
    return said.__qualname__ if said.__module__ == "builtins" else f"{said.__module__}:{said.__qualname__}"


def nearest_field(said: str, *more: type[msgspec.Struct]) -> str:
    """Return a sentence that names the known field nearest to the unknown one that msgspec complains of, if it does.

    Examples
    --------
    >>> nearest_field("Object contains unknown field `attemps`"), nearest_field("Expected `int`, got `str`")
    ('Did you mean attempts?', '')
    """
    unknown = re.search(r"unknown field `(.+?)`", said)
    structs: tuple[type[msgspec.Struct], ...] = (StepSettings, Retry, CircuitBreaker, Cache, Fallback, *more)
    known = {each.encode_name for struct in structs for each in msgspec.structs.fields(struct)}
    return near_name(unknown.group(1), sorted(known)) if unknown else ""
