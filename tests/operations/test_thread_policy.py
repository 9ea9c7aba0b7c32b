from modelyard.operations.thread_policy import apply_thread_policy


def test_threads_wait_instead_of_spinning_unless_somebody_says_otherwise() -> None:
    quiet: dict[str, str] = {}
    spinning = {"OMP_WAIT_POLICY": "ACTIVE"}
    apply_thread_policy(quiet)
    apply_thread_policy(spinning)

    assert quiet == {"OMP_WAIT_POLICY": "PASSIVE"}
    assert spinning == {"OMP_WAIT_POLICY": "ACTIVE"}
