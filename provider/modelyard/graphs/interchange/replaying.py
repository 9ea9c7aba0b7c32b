"""Sends recorded requests again, and compares what comes back with what came then."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs.graph import Graph
from modelyard.graphs.interchange.exchanges import Exchange, ExchangeLog, ExchangesInvalid, exchange, read_exchanges
from modelyard.graphs.ports import Resources
from modelyard.graphs.testing.differences import Difference, differences

__all__ = ["Replay", "ReplayDiffers", "ReplayedExchange", "replay"]

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ReplayedExchange:
    """One exchange that came out differently.

    Parameters
    ----------
    number
        Its number in the file, from 1.
    recorded, got
        What came then, and now.
    differences
        Where they differ.
    """

    number: int
    recorded: Exchange
    got: Exchange
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        lines = [f"#{self.number} {self.recorded.method} {self.recorded.path} (event {self.recorded.id})"]
        for each in self.differences[:_SHOWN]:
            lines += [f"  {each.path}", f"    - {each.expected}", f"    + {each.got}"]
        if len(self.differences) > _SHOWN:
            lines.append(f"  … and {len(self.differences) - _SHOWN} more differences")
        if self.got.message and not self.recorded.error:
            lines.append(f"  {self.got.message.partition(chr(10))[0]}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay; ``print`` shows what differs: ``-`` is recorded, ``+`` is now.

    Parameters
    ----------
    total
        How many exchanges were sent again.
    different
        Those that came out differently.
    """

    total: int
    different: tuple[ReplayedExchange, ...]

    @property
    def equal(self) -> bool:
        """Whether everything came out as it was recorded."""
        return not self.different

    def __str__(self) -> str:
        told = f"{self.total - len(self.different)} of {self.total} replies are as recorded"
        return "\n".join([*(str(each) for each in self.different), told])

    def check(self) -> None:
        """Refuse a replay with differences.

        Raises
        ------
        ReplayDiffers
            There are some; the message shows them.
        """
        if self.different:
            raise ReplayDiffers(self)


def _facts(found: ReplayedExchange) -> dict[str, Any]:
    told = [each._asdict() for each in found.differences[:_SHOWN]]
    return {"number": found.number, "id": found.recorded.id, "differences": told}


class ReplayDiffers(ModelyardError):
    """Raised when recorded requests are answered differently now."""

    kind = ErrorKind.GATE_FAILED

    def __init__(self, found: Replay) -> None:
        numbers = ", ".join(f"#{each.number}" for each in found.different[:_SHOWN])
        super().__init__(
            f"{len(found.different)} of {found.total} replies differ from the recorded ones: {numbers}",
            mend="If they should, record them again.",
            facts={"total": found.total, "different": [_facts(each) for each in found.different[:_SHOWN]]},
        )
        self.replay = found


def replay(
    graph: Graph,
    exchanges: str | Path | Iterable[Exchange],
    *,
    tolerance: float = 0.0,
    ignore: Collection[str] = (),
    resources: Resources | None = None,
    log: ExchangeLog | None = None,
) -> Replay:
    """Send recorded requests through a graph, in their order, and compare reply, status and type of error.

    Parameters
    ----------
    graph
        The graph; it is opened anew, so that a state begins as it did.
    exchanges
        A file of exchanges, or exchanges.
    tolerance
        By how much numbers may differ, absolutely or as a share; 0 compares exactly.
    ignore
        Places in the reply that do not matter: ``$.timestamp``, ``$.rows[*].id``.
    resources
        What the graph needs from the outside.
    log
        Where what comes back now is written to.

    Raises
    ------
    ExchangesInvalid
        The file does not hold exchanges, or there are none.
    ValueError
        The tolerance is negative, or no number.

    Examples
    --------
    >>> graph = Graph("g")
    >>> step = graph.to(lambda body: {"p": body / 3, "at": 2}, name="third").respond()
    >>> kept = [Exchange(id="a", body=1, reply={"p": 0.3333, "at": 1}), Exchange(id="b", body=6, reply={"p": 3})]
    >>> print(replay(graph, kept, tolerance=0.001, ignore=["$.at"]))
    #2 POST / (event b)
      $.p
        - 3
        + 2.0
    1 of 2 replies are as recorded
    """
    found: list[ReplayedExchange] = []
    total = 0
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise ValueError(f"tolerance is a number from 0, not {tolerance!r:.80}")
    known = list(read_exchanges(exchanges) if isinstance(exchanges, str | Path) else exchanges)
    if not known:  # a gate that nothing passes through would always hold
        place = str(exchanges) if isinstance(exchanges, str | Path) else "exchanges"
        raise ExchangesInvalid(place, "there is no exchange to send again")
    ignore = [ignore] if isinstance(ignore, str) else ignore
    with graph.open(resources) as plan:
        for total, recorded in enumerate(known, start=1):
            got = exchange(plan, recorded.event())
            if log is not None:
                log.write(got)
            different = _compared(recorded, got, tolerance, ignore)
            if different:
                found.append(ReplayedExchange(total, recorded, got, tuple(different)))
    return Replay(total, tuple(found))


def _compared(recorded: Exchange, got: Exchange, tolerance: float, ignore: Collection[str]) -> list[Difference]:
    found = differences(recorded.status, got.status, path="status")
    found += differences(recorded.error, got.error, path="error")
    reply: Any = recorded.reply
    return found + differences(reply, got.reply, tolerance=tolerance, ignore=ignore)
