"""What a supervisor and its workers say to each other: JSON lines over a pair of sockets."""

from typing import Literal

import msgspec

from modelyard.errors import ErrorRecord
from modelyard.serving.splits import Figures, Split

__all__ = ["Command", "Report", "encode_line"]


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker tells.

    Parameters
    ----------
    state
        ``ready`` (models loaded), ``accepting``, ``admitting`` (what siblings hand on), ``split`` (as it was told),
        ``load`` (now and then), ``draining``, ``drained`` or ``failed``.
    error
        Why it failed.
    in_flight, requests
        The requests under way and those so far, of a ``load``.
    figures
        What it counted since it was told to split, of a ``load``.
    """

    state: Literal["ready", "accepting", "admitting", "split", "load", "draining", "drained", "failed"]
    error: ErrorRecord | None = None
    in_flight: int = 0
    requests: int = 0
    figures: Figures | None = None


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a supervisor asks for.

    Parameters
    ----------
    command
        ``accept`` connections; ``admit`` what siblings hand on; ``split`` the traffic, or no longer; ``drain`` and end.
    split
        How; None ends it.
    idle
        Seconds that a silent connection is left open while draining.
    limit
        Seconds after which requests under way are given up.
    """

    command: Literal["accept", "admit", "split", "drain"]
    split: Split | None = None
    idle: float = 0.0
    limit: float = 0.0


def encode_line(message: Report | Command) -> bytes:
    r"""Return the message as one line.

    Examples
    --------
    >>> encode_line(Report("ready"))
    b'{"state":"ready"}\n'
    """
    return msgspec.json.encode(message) + b"\n"
