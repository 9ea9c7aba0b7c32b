"""The one sentence that a report begins with, and that fits beside a commit."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from modelyard.ci.previews import PreviewRecord
from modelyard.ci.records import Candidate, PlanRecord, RunRecord

__all__ = ["Verdict", "verdict_of"]


class Verdict(NamedTuple):
    """What a report says first.

    Parameters
    ----------
    state
        ``success``, ``failure``, or ``nothing`` where nothing had to run.
    words
        Two words for a list.
    sentence
        The rest of the sentence, as plain text; it may hold text from outside.
    """

    state: Literal["success", "failure", "nothing"]
    words: str
    sentence: str

    @property
    def line(self) -> str:
        """The whole as one line.

        Examples
        --------
        >>> Verdict("success", "passed", "2 gates hold").line
        'Passed: 2 gates hold'
        """
        return f"{self.words[:1].upper()}{self.words[1:]}: {self.sentence}"

    @property
    def commit_state(self) -> Literal["success", "failure"]:
        """The colour beside a commit."""
        return "failure" if self.state == "failure" else "success"


def verdict_of(plan: PlanRecord | None, run: RunRecord | None, previews: Sequence[PreviewRecord] = ()) -> Verdict:
    """Return the verdict on what a job has left.

    Parameters
    ----------
    plan, run, previews
        What the commands before have left; None where one did not get so far.

    Examples
    --------
    >>> verdict_of(None, None).line
    'Not finished: the job ended before it could judge anything'
    """
    if plan is not None and plan.is_empty and (run is None or not (run.workflows or run.all_failures)):
        return Verdict("nothing", "nothing to run", plan.summary)
    if run is None:
        return Verdict("failure", "not finished", "the job ended before it could judge anything")
    if run.all_failures:
        first = run.all_failures[0]
        return Verdict("failure", "failed", f"{first.step}: {first.message}")
    failed = [(each, gate) for each in run.candidates for gate in each.failed_gates]
    if failed:
        candidate, gate = failed[0]
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        told = gate.said if gate.judged else f"{gate.state}: {gate.said}"
        return Verdict("failure", "gate failed", f"{gate.gate}: {told} ({candidate.model}){more}")
    for each in previews:
        if each.failure:
            return Verdict("failure", "preview failed", f"{each.graph}: {each.failure}")
        if each.smoke_failures:
            told = f"{each.graph}: {each.smoke_failures} of {each.smoke_requests} requests failed"
            return Verdict("failure", "preview failed", told)
    return _good(run, plan, sum(1 for each in previews if each.smoke_requests))


def _good(run: RunRecord, plan: PlanRecord | None, answering: int) -> Verdict:
    candidates = run.candidates
    if not candidates and answering:
        return Verdict("success", "passed", f"{answering} preview{' answers' if answering == 1 else 's answer'}")
    if not candidates:
        told = plan.summary if plan else "no model was judged"
        return Verdict("nothing", "nothing judged", told)
    gates = [gate for each in candidates for gate in each.gates]
    compared = _compared(candidates)
    if not gates:
        return Verdict("success", "no gates", f"measured, and no gate is declared{compared}")
    skipped = sum(1 for each in gates if each.state == "skipped")
    held = len(gates) - skipped
    told = f"{held} {'gate holds' if held == 1 else 'gates hold'}"
    if skipped:
        told += f", {skipped} {'was' if skipped == 1 else 'were'} skipped, as there is no baseline"
    return Verdict("success", "passed", f"{told}{compared}")


def _compared(candidates: tuple[Candidate, ...]) -> str:
    words = {"better": "better than", "worse": "worse than", "even": "no clear difference from"}
    if len(candidates) != 1 or candidates[0].verdict not in words:
        return ""
    baseline = "the merge base" if candidates[0].baseline_kind == "merge-base" else "the champion"
    return f"; {words[candidates[0].verdict]} {baseline}"
