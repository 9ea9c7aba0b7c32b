"""Promotes exactly what a report names: that version, those files, by that evaluation and those gates."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from modelyard.ci.errors import CandidateChanged, CandidateUnknown
from modelyard.ci.gates import decided
from modelyard.ci.previews import PreviewRecord
from modelyard.ci.records import Candidate, RunRecord

if TYPE_CHECKING:
    from modelyard.tracking import Tracking

__all__ = ["Promotion", "promotion_of"]


class Promotion(NamedTuple):
    """What the operation ``promote`` is asked.

    Parameters
    ----------
    candidate
        What is promoted.
    gates
        What must hold once more, at this moment.
    """

    candidate: Candidate
    gates: tuple[str, ...]


def promotion_of(
    run: RunRecord,
    tracking: "Tracking",
    model: str = "",
    alias: str = "champion",
    previews: Sequence[PreviewRecord] = (),
) -> Promotion:
    """Return the promotion of a candidate of a report.

    Parameters
    ----------
    run
        What the report is of.
    tracking
        Where the models are.
    model
        Which candidate; its exact reference. Needed where there are several.
    alias
        The alias to move.
    previews
        What came of the previews: one that failed is a gate that did not hold.

    Raises
    ------
    CandidateUnknown
        The report has no such candidate, or several.
    CandidateChanged
        The version has other files than the report is of.
    RequestGatesFailed, RequestWorkFailed
        What the report is of must not be promoted.
    """
    candidate = _chosen(run, model)
    decided(None, run, previews).check()
    found = tracking.resolve(candidate.model)
    if found.digest != candidate.digest:
        raise CandidateChanged(candidate.model, candidate.digest, found.digest)
    gates = [each.gate for each in candidate.gates]
    if candidate.baseline_kind != "champion" and alias not in tracking.registry.aliases(found.name):
        # There is no champion; what it was compared with instead is no baseline of a promotion.
        gates = [gate for gate in gates if "champion" not in gate]
    return Promotion(candidate, tuple(gates))


def _chosen(run: RunRecord, model: str) -> Candidate:
    known = [each.model for each in run.candidates]
    found = [each for each in run.candidates if not model or each.model == model]
    if len(found) != 1:
        raise CandidateUnknown(model, known)
    return found[0]
