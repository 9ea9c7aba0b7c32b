import pytest
from judged import FAILED, HELD, PLAN, candidate, run_of

from modelyard.ci.errors import RequestGatesFailed, RequestWorkFailed
from modelyard.ci.gates import decided
from modelyard.ci.previews import PreviewRecord
from modelyard.ci.records import FailureRecord, PlanRecord
from modelyard.errors import ErrorKind, outcome_of


def test_gates_that_hold() -> None:
    found = decided(PLAN, run_of(candidate(HELD)))
    assert (found.gate, found.held) == ("pass", {"models:/flights-delay/4": {HELD.gate: HELD.said}})
    found.check()


def test_a_gate_that_does_not_hold() -> None:
    found = decided(PLAN, run_of(candidate(HELD, FAILED)))
    with pytest.raises(RequestGatesFailed) as caught:
        found.check()
    assert caught.value.facts == {"failed": {"models:/flights-delay/4": {FAILED.gate: FAILED.said}}}
    assert caught.value.outcome.exit_code == 6


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_work_that_failed_has_the_exit_code_of_its_error(kind: ErrorKind) -> None:
    failure = FailureRecord("train", kind.value, "no")
    with pytest.raises(RequestWorkFailed) as caught:
        decided(PLAN, run_of(candidate(FAILED), failures=(failure,))).check()
    assert caught.value.outcome == outcome_of(kind)


def test_nothing_to_hold() -> None:
    assert decided(PLAN, run_of(candidate())).gate == "none"
    assert decided(PlanRecord("flights", "", ""), None).gate == "none"
    assert decided(PLAN, None).gate == "fail"


def test_a_preview_that_did_not_start() -> None:
    found = decided(PLAN, run_of(candidate(HELD)), [PreviewRecord("delays", failure="the port is taken")])
    assert found.failed == {"preview of delays": {"deployment": "the port is taken"}}
