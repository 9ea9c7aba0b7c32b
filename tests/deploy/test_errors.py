import pytest

from modelyard.deploy import RevisionNotReady
from modelyard.deploy.errors import restored
from modelyard.errors import ErrorKind, ErrorRecord, ForeignError, ModelyardError
from modelyard.serving import AddressInvalid, PortTaken


@pytest.mark.parametrize(
    "error",
    [
        PortTaken("127.0.0.1", 80),
        AddressInvalid("x", 0, "no such host"),
        RevisionNotReady("e", "r", "it ended", ["one", "two"], ErrorKind.TIMEOUT),
    ],
)
def test_what_a_supervisor_reports_is_raised_as_what_it_was(error: ModelyardError) -> None:
    again = restored(error.record())
    assert type(again) is type(error)
    assert (str(again), again.error_kind, again.facts) == (str(error), error.error_kind, error.facts)


def test_what_is_unknown_keeps_its_kind() -> None:
    error = restored(ErrorRecord("Strange", ErrorKind.EXHAUSTED, "it is full"))
    assert isinstance(error, ForeignError)
    assert (error.error_kind, str(error)) == (ErrorKind.EXHAUSTED, "it is full.")
