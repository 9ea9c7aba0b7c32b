import msgspec

from modelyard.errors import ErrorKind, ErrorRecord
from modelyard.operations.records import Record
from modelyard.operations.states import RunState


def test_a_record_tells_the_story_of_its_attempts() -> None:
    lost = Record.first("k", 1, "train").begun().ended(RunState.LOST)
    failed = lost.with_attempt("train").begun().ended(RunState.FAILED, ErrorRecord("E", ErrorKind.INVALID, "no"))
    record = failed.with_attempt("train").begun().ended(RunState.SUCCEEDED).confirmed()

    assert [(each.number, each.state) for each in record.attempts] == [
        (1, RunState.LOST),
        (2, RunState.FAILED),
        (3, RunState.SUCCEEDED),
    ]
    assert record.attempts[1].error == ErrorRecord("E", ErrorKind.INVALID, "no")
    assert record.state is RunState.SUCCEEDED
    assert record.acknowledged is not None
    assert all(each.started and each.finished and each.created <= each.finished for each in record.attempts)
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record
