"""Promotes exactly what a report names: those versions, those files, by those evaluations and gates."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from modelyard.ci.errors import CandidateChanged, CandidatesAlike, CandidateUnknown
from modelyard.ci.gates import decided
from modelyard.ci.previews import PreviewRecord
from modelyard.ci.records import Candidate, RunRecord

if TYPE_CHECKING:
    from modelyard.tracking import Tracking

__all__ = ["Promoted", "Promotion", "PromotionsRecord", "promotions_of"]

_VERSION = re.compile(r"models:/(?P<name>[^/@]+)/\d+")


class Promotion(NamedTuple):
    """What the operation ``promote`` is asked.

    Parameters
    ----------
    candidate
        What is promoted.
    gates
        What must hold once more, at this moment.
    passed_over
        Candidates of the same registered model that did worse.
    """

    candidate: Candidate
    gates: tuple[str, ...]
    passed_over: tuple[str, ...] = ()


class Promoted(msgspec.Struct, frozen=True):
    """What became of one promotion.

    Parameters
    ----------
    model
        The exact version that the alias names now.
    name, alias
        The registered name, and the alias.
    previous
        The exact version that the alias named before; empty if it was not set.
    gates
        What came of each gate.
    moved
        Whether the alias was moved now; false where it named this version already.
    """

    model: str
    name: str
    alias: str
    previous: str
    gates: dict[str, str] = {}
    moved: bool = True


class PromotionsRecord(msgspec.Struct, frozen=True):
    """The promotions of a job: ``promote.json``.

    Parameters
    ----------
    promotions
        What was promoted, in turn.
    passed_over
        Candidate → the better one of the same registered model.
    """

    promotions: tuple[Promoted, ...] = ()
    passed_over: dict[str, str] = {}


def promotions_of(
    run: RunRecord,
    opened: Callable[[], "Tracking"],
    model: str = "",
    alias: str = "champion",
    previews: Sequence[PreviewRecord] = (),
) -> list[Promotion]:
    """Return the promotions of a report's candidates: one for each registered model, none where it has no candidate.

    Of several candidates of one registered model, that with the best main metric is taken.

    Parameters
    ----------
    run
        What the report is of.
    opened
        Opens the tracking where the models are; not called where there is nothing to promote.
    model
        The exact reference of the only one to promote; all if empty.
    alias
        The alias to move.
    previews
        What came of the previews: one that failed is a gate that did not hold.

    Raises
    ------
    CandidateUnknown
        The report has no such candidate, or none that is registered.
    CandidatesAlike
        Several candidates of one registered model were not judged alike.
    CandidateChanged
        The version has other files than the report is of.
    RequestGatesFailed, RequestWorkFailed
        What the report is of must not be promoted.
    """
    if not run.candidates and not model:
        decided(None, run, previews).check()
        return []
    found = [each for each in run.candidates if _VERSION.fullmatch(each.model) and model in ("", each.model)]
    if not found:
        raise CandidateUnknown(model, [each.model for each in run.candidates])
    decided(None, run, previews).check()
    by_name: dict[str, list[Candidate]] = {}
    for each in found:
        by_name.setdefault(each.model.rpartition("/")[0], []).append(each)
    tracking = opened()
    return [_promotion(candidates, tracking, alias) for candidates in by_name.values()]


def _promotion(candidates: Sequence[Candidate], tracking: "Tracking", alias: str) -> Promotion:
    candidate = _best(candidates)
    known = tracking.resolve(candidate.model)
    if known.digest != candidate.digest:
        raise CandidateChanged(candidate.model, candidate.digest, known.digest)
    gates = [each.gate for each in candidate.gates]
    if candidate.baseline_kind != "champion" and alias not in tracking.registry.aliases(known.name):
        # There is no champion; what it was compared with instead is no baseline of a promotion.
        gates = [gate for gate in gates if "champion" not in gate]
    worse = dict.fromkeys(each.model for each in candidates if each.model != candidate.model)
    return Promotion(candidate, tuple(gates), tuple(worse))


def _best(candidates: Sequence[Candidate]) -> Candidate:
    """Return the best of a registered model's candidates; of several measurements of one, that with the most gates."""
    by_model: dict[str, Candidate] = {}
    for each in sorted(candidates, key=lambda each: -len(each.gates)):
        by_model.setdefault(each.model, each)
    found = list(by_model.values())
    if len(found) == 1:
        return found[0]
    measured = [_measured(each) for each in found]
    if None in measured or len({known[:2] for known in measured if known}) > 1:
        raise CandidatesAlike([each.model for each in found])
    return max(zip(found, measured, strict=True), key=lambda pair: pair[1][2] if pair[1] else 0.0)[0]


def _measured(candidate: Candidate) -> tuple[str, int, float] | None:
    """Return the main metric, the number of rows, and a value whose larger is better; None if one is missing."""
    for each in candidate.metrics:
        if each.name == candidate.main_metric and each.candidate is not None and each.greater_is_better is not None:
            return each.name, candidate.rows, each.candidate if each.greater_is_better else -each.candidate
    return None
