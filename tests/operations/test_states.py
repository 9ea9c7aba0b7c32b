from modelyard.operations.states import RunState


def test_the_states_are_those_that_doors_know() -> None:
    assert [str(state) for state in RunState] == ["queued", "running", "succeeded", "failed", "cancelled", "lost"]


def test_what_is_finished() -> None:
    assert {state for state in RunState if not state.finished} == {RunState.QUEUED, RunState.RUNNING}
