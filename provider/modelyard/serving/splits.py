"""How traffic is divided between two revisions, and what is counted meanwhile."""

import hashlib
import random
from bisect import bisect_left

import msgspec

__all__ = ["EDGES", "Figures", "Split"]

EDGES = tuple(0.0005 * 1.25**step for step in range(54))
"""Upper edges of the classes of latency, in seconds: 0.5 ms to 69 s, each a quarter above the one before."""


class Split(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which requests another revision answers.

    Parameters
    ----------
    share
        How many of them, from 0 to 1; with 0 a worker only counts its own.
    key
        The header whose value decides, so that whoever sends the same gets the same revision; empty decides anew for
        each request, as does a request without it.
    shadow
        Whether the other revision gets a copy whose answer nobody sees.
    metric
        The field of JSON replies whose mean is taken; empty for none.
    salt
        Tells two splits apart: who is in the share of one need not be in that of the next.
    socket
        The path of the socket where the other revision answers HTTP.
    rpc
        The paths of the sockets where it answers gRPC.
    trial
        The other revision's bundle, if it has other models and nothing else: this very process answers with it.

    Examples
    --------
    >>> split = Split(0.1, key="x-user")
    >>> sum(split.takes(f"user-{number}") for number in range(1000))
    92
    >>> Split(0.0).takes("user-1"), Split(1.0).takes("user-1")
    (False, True)
    """

    share: float
    key: str = ""
    shadow: bool = False
    metric: str = ""
    salt: str = ""
    socket: str = ""
    rpc: tuple[str, ...] = ()
    trial: str = ""

    def takes(self, value: str) -> bool:
        """Return whether the other revision answers a request with this key; without one it is drawn.

        Who is in a share is in every larger one.
        """
        if not self.share:
            return False
        if not value:
            return random.random() < self.share  # noqa: S311 (nobody's secret)
        digest = hashlib.blake2b(f"{self.salt}/{value}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.share * 2**64


class Figures(msgspec.Struct):
    """What one revision answered.

    Parameters
    ----------
    requests
        How many requests.
    failed
        How many of them got a status of 400 and above, or no answer.
    seconds
        How many took how long, by the classes of `EDGES` and one above.
    metric_sum, metric_count
        The sum and number of the metric's values.
    lost
        How many requests the other revision took and did not answer.

    Examples
    --------
    >>> figures = Figures()
    >>> for milliseconds in (1, 1, 2, 50):
    ...     figures.add(milliseconds / 1000, failed=milliseconds == 50)
    >>> figures.requests, figures.failed, f"{figures.quantile(0.5) * 1000:.1f} ms"
    (4, 1, '1.2 ms')
    """

    requests: int = 0
    failed: int = 0
    seconds: list[int] = msgspec.field(default_factory=lambda: [0] * (len(EDGES) + 1))
    metric_sum: float = 0.0
    metric_count: int = 0
    lost: int = 0

    def add(self, seconds: float, *, failed: bool) -> None:
        """Count one answer."""
        self.requests += 1
        self.failed += failed
        self.seconds[bisect_left(EDGES, seconds)] += 1

    def add_metric(self, value: float) -> None:
        """Count one value of the metric."""
        self.metric_sum += value
        self.metric_count += 1

    def merge(self, other: "Figures") -> None:
        """Add what another worker counted."""
        self.requests += other.requests
        self.failed += other.failed
        self.seconds = [mine + theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True)]
        self.metric_sum += other.metric_sum
        self.metric_count += other.metric_count
        self.lost += other.lost

    def quantile(self, part: float) -> float:
        """Return the time in seconds within which so large a part was answered: the upper edge of its class."""
        wanted, seen = part * self.requests, 0
        for edge, count in zip(EDGES, self.seconds, strict=False):
            seen += count
            if seen >= wanted and seen:
                return edge
        return EDGES[-1] if self.requests else 0.0

    @property
    def failure_rate(self) -> float:
        """The part of the requests that failed or were lost."""
        asked = self.requests + self.lost
        return (self.failed + self.lost) / asked if asked else 0.0

    @property
    def metric_mean(self) -> float:
        """The mean of the metric; nan without a value."""
        return self.metric_sum / self.metric_count if self.metric_count else float("nan")
