"""Whether spans are made, how many, and where they are sent."""

import os
from collections.abc import Mapping

import msgspec

from modelyard.serving.field_types import check_types

__all__ = ["TraceRules", "rules_in_force"]

_ADDRESSES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class TraceRules(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where spans go; what is not said here is as the ``OTEL_`` variables have it.

    Parameters
    ----------
    endpoint
        The address of a collector that speaks OTLP over HTTP, such as ``http://127.0.0.1:4318``; empty is that of the
        variables.
    share
        The part of the traces that begin here of which spans are made, from 0 to 1; a trace that a client began is
        followed as the client decided. None is as the variables have it: all of them.
    service
        The service's name; empty is that of the variables, or the graph's.

    Examples
    --------
    >>> TraceRules(share=2)
    Traceback (most recent call last):
    ValueError: share is from 0 to 1, not 2
    """

    endpoint: str = ""
    share: float | None = None
    service: str = ""

    def __post_init__(self) -> None:
        check_types(self)
        if self.share is not None and not 0 <= self.share <= 1:
            raise ValueError(f"share is from 0 to 1, not {self.share!r}")
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError(f"endpoint begins with http:// or https://, not {self.endpoint!r}")


def rules_in_force(given: TraceRules | None, variables: Mapping[str, str] | None = None) -> TraceRules | None:
    """Return the rules by which spans are sent; None if none are made.

    Without rules, the ``OTEL_`` variables decide: spans are made if these name a collector.

    Parameters
    ----------
    given
        What the endpoint's settings say; None if they say nothing.
    variables
        The process's own unless given.

    Examples
    --------
    >>> rules_in_force(None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
    TraceRules(endpoint='', share=None, service='')
    >>> rules_in_force(None, {}) is None
    True
    """
    surroundings = os.environ if variables is None else variables
    off = surroundings.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if off or surroundings.get("OTEL_TRACES_EXPORTER", "") == "none":
        return None
    if given is not None:
        return given
    return TraceRules() if any(surroundings.get(name) for name in _ADDRESSES) else None
