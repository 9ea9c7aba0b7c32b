"""The contract suite finds what breaks the contract: each broken block here is told by what is wrong with it."""

from typing import Any

import pytest

from modelyard.errors import ErrorKind
from modelyard.graphs.testing import BlockCase, ContractBroken, check_block


class Adds:
    """A block that keeps the contract."""

    def do(self, body: Any) -> Any:
        return {**body, "y": 1}


class Writes:
    """Changes what it is given."""

    def do(self, body: Any) -> Any:
        body["y"] = 1
        return body


class Counts:
    """Remembers, and does not say so."""

    def __init__(self) -> None:
        self.count = 0

    def do(self, body: Any) -> Any:
        self.count += 1
        return self.count


class Shares:
    """Has one memory for all graphs."""

    seen: list[Any] = []  # noqa: RUF012 (that is what is wrong with it)

    def do(self, body: Any) -> Any:
        self.seen.append(body)
        return len(self.seen)


class OtherBatch:
    """Says something else to a batch."""

    def do(self, body: Any) -> Any:
        return body + 1

    def do_batch(self, bodies: Any) -> Any:
        return [body + 2 for body in bodies]


class ShortBatch(OtherBatch):
    """Loses rows of a batch."""

    def do_batch(self, bodies: Any) -> Any:
        return [bodies[0] + 1]


class FailingBatch(OtherBatch):
    """Cannot take a batch."""

    def do_batch(self, bodies: Any) -> Any:
        raise RuntimeError("not today")


class Takes:
    """Takes any argument."""

    def __init__(self, limit: Any = 1) -> None:
        self.limit = limit

    def do(self, body: Any) -> Any:
        return body


def findings(*given: Any, **case: Any) -> str:
    with pytest.raises(ContractBroken) as caught:
        check_block(*given, **case)
    return "\n".join(caught.value.findings)


def test_a_good_block_passes() -> None:
    check_block(Adds, bodies=[{"x": 1}], replies=[{"x": 1, "y": 1}])


def test_a_wrong_reply_is_told_by_its_place() -> None:
    assert "body 0: $.y: expected 2, got 1" in findings(Adds, bodies=[{"x": 1}], replies=[{"x": 1, "y": 2}])


@pytest.mark.parametrize(
    ("block", "bodies", "told"),
    [
        (Writes, [{"x": 1}], "changes body 0: $.y: expected (nothing), got 1"),
        (Counts, [1, 2], "in threads, body "),
        (Shares, [1, 2], "a second graph, body 0: $.reply: expected "),
        (OtherBatch, [1, 2], "batch, body 0: $.reply: expected 2, got 3"),
        (ShortBatch, [1, 2], "batch: do_batch raises for good bodies, or gives another number of answers"),
        (FailingBatch, [1, 2], "batch: do_batch raises for good bodies, or gives another number of answers"),
    ],
)
def test_what_is_wrong_with_a_block_is_told(block: Any, bodies: Any, told: str) -> None:
    assert told in findings(block, bodies=bodies)


def test_what_should_be_refused_and_is_not() -> None:
    found = findings(Takes, bodies=[1], refused=[(2, ErrorKind.INVALID)], wrong_arguments=[{"limit": -1}])
    assert "refused body 0: is answered with 2" in found
    assert "wrong arguments 0: the graph opens with {'limit': -1}" in found


def test_a_case_without_bodies_would_check_nothing() -> None:
    with pytest.raises(ValueError, match="a case has bodies to try the block on"):
        BlockCase(use=Adds)
