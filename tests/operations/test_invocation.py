from collections.abc import Callable

import msgspec

from modelyard.operations.invocation import Invocation

Ask = Callable[..., Invocation]


def test_the_same_work_is_told_by_what_is_asked_for(ask: Ask) -> None:
    one = ask(value={"a": [1, None]})
    same = msgspec.structs.replace(one, project="/elsewhere", generation=2, attempt=3, folder="/f", step="s")

    assert one.same_work(same)
    assert one.differences(same) == []
    other = msgspec.structs.replace(ask(value=2, until="x"), environment="prod")
    assert not one.same_work(other)
    assert one.differences(other) == ["environment", "until", "value"]


def test_a_request_survives_json(ask: Ask) -> None:
    one = ask(value={"ü": [2**70, 0.1, None, "", True]})

    assert msgspec.json.decode(msgspec.json.encode(one), type=Invocation) == one
