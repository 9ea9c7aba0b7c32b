"""What a supervisor and its workers say to each other: JSON lines over a pair of sockets."""

from typing import Literal

import msgspec

from modelyard.errors import ErrorRecord

__all__ = ["Command", "Report", "encode_line"]


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker tells: ``ready`` (models loaded), ``accepting``, ``draining``, ``drained`` or ``failed``."""

    state: Literal["ready", "accepting", "draining", "drained", "failed"]
    error: ErrorRecord | None = None


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a supervisor asks for: ``accept`` connections, or ``drain`` and end.

    Parameters
    ----------
    idle
        Seconds that a silent connection is left open while draining.
    limit
        Seconds after which requests under way are given up.
    """

    command: Literal["accept", "drain"]
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
