"""Decides by what ran whether a change may go on."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from modelyard.ci.errors import RequestGatesFailed, RequestWorkFailed
from modelyard.ci.previews import PreviewRecord
from modelyard.ci.records import PlanRecord, RunRecord

__all__ = ["GateDecision", "decided"]


class GateDecision(msgspec.Struct, frozen=True):
    """The decision: ``gate.json``.

    Parameters
    ----------
    gate
        ``pass``, ``fail``, or ``none`` where there was no gate to hold.
    held, failed, skipped
        Model → gate → what came of it. One that could not be judged has failed.
    failures
        What went wrong before gates could be judged.
    """

    gate: Literal["pass", "fail", "none"]
    held: dict[str, dict[str, str]] = {}
    failed: dict[str, dict[str, str]] = {}
    failures: tuple[str, ...] = ()
    failure_kind: str = ""
    skipped: dict[str, dict[str, str]] = {}

    def check(self) -> None:
        """Raise what the decision comes to.

        Raises
        ------
        RequestWorkFailed
            A step failed; the error has its kind.
        RequestGatesFailed
            A gate does not hold.
        """
        if self.failures:
            raise RequestWorkFailed(self.failures, self.failure_kind)
        if self.failed:
            raise RequestGatesFailed(self.failed)


def decided(plan: PlanRecord | None, run: RunRecord | None, previews: Sequence[PreviewRecord] = ()) -> GateDecision:
    """Return the decision on what ran; where nothing ran although something had to, that is a failure.

    Parameters
    ----------
    plan, run, previews
        What the commands before have left; a preview that fails is a gate that does not hold.

    Examples
    --------
    >>> decided(PlanRecord("flights", "", ""), None).gate
    'none'
    >>> decided(None, None).failures
    ('modelyard ci run has left nothing to judge',)
    """
    if run is None:
        if plan is not None and plan.is_empty:
            return GateDecision("none")
        return GateDecision("fail", failures=("modelyard ci run has left nothing to judge",), failure_kind="not_found")
    failures = tuple(f"{each.step}: {each.message}" for each in run.all_failures)
    held: dict[str, dict[str, str]] = {}
    failed: dict[str, dict[str, str]] = {}
    skipped: dict[str, dict[str, str]] = {}
    for candidate in run.candidates:
        for each in candidate.gates:
            among = skipped if each.state == "skipped" else held if each.held else failed
            among.setdefault(candidate.model, {})[each.gate] = each.said
    failed |= {f"preview of {each.graph}": found for each in previews if (found := _failed_preview(each))}
    kind = run.all_failures[0].kind if failures else ""
    gate: Literal["pass", "fail", "none"] = "fail" if failures or failed else "pass" if held or skipped else "none"
    return GateDecision(gate, held, failed, failures, kind, skipped)


def _failed_preview(preview: PreviewRecord) -> dict[str, str]:
    if preview.failure:
        return {"deployment": preview.failure}
    if preview.smoke_failures:
        return {"smoke test": f"{preview.smoke_failures} of {preview.smoke_requests} requests failed"}
    return {}
