"""What became of the graphs that were deployed for a change, as frozen records."""

from typing import Literal

import msgspec

__all__ = ["PreviewRecord", "PreviewsRecord", "ShadowRecord"]


class ShadowRecord(msgspec.Struct, frozen=True):
    """The same requests, answered by the preview and by the champion or what stood in for it.

    Parameters
    ----------
    requests
        How many were sent to both.
    same
        How many got the same answer.
    errors, baseline_errors
        How many either side failed to answer.
    largest_difference
        The largest difference between two numbers at the same place of two answers.
    baseline
        Whose answers they are beside: the merge base's models where there is no champion.
    """

    requests: int = 0
    same: int = 0
    errors: int = 0
    baseline_errors: int = 0
    largest_difference: float = 0.0
    baseline: Literal["champion", "merge-base"] = "champion"


class PreviewRecord(msgspec.Struct, frozen=True):
    """A graph that was deployed for a request.

    Parameters
    ----------
    graph, endpoint, target
        What, under which name, where.
    models
        The exact model of each model step.
    url
        Where it answers; empty if it lived for the job only.
    revision
        The id of what answered.
    smoke_requests, smoke_failures
        How many requests were sent to it, and how many of them failed.
    latency_ms
        Median and 95th percentile of the latency in milliseconds, as ``p50`` and ``p95``.
    shadow
        How it did beside the champion; None if there was nothing to compare with, for which `remark` has the reason.
    expires
        When a lasting one may be cleared away, in seconds since 1970; 0 for never.
    failure
        Why there is none; empty if there is.
    note
        Why nothing was deployed, where that is nobody's fault: a model that this environment does not have.
    remark
        What was not asked of it, and why.
    """

    graph: str
    endpoint: str = ""
    target: str = "local"
    models: dict[str, str] = {}
    url: str = ""
    revision: str = ""
    smoke_requests: int = 0
    smoke_failures: int = 0
    latency_ms: dict[str, float] = {}
    shadow: ShadowRecord | None = None
    expires: float = 0.0
    failure: str = ""
    note: str = ""
    remark: str = ""


class PreviewsRecord(msgspec.Struct, frozen=True):
    """The graphs that were deployed for a request: ``preview.json``."""

    previews: tuple[PreviewRecord, ...] = ()
