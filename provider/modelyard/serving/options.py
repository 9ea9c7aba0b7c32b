"""What a worker process is told on its command line: how much it takes on, and where else it answers."""

from typing import Literal

import msgspec

from modelyard.serving.access import AccessRules
from modelyard.serving.limits import Limits
from modelyard.serving.record_rules import RecordRules
from modelyard.serving.tls import Certificates
from modelyard.serving.trace_rules import TraceRules

__all__ = ["WorkerOptions"]


class WorkerOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How one worker serves.

    Parameters
    ----------
    limits
        What it takes on.
    batch
        How many rows of different requests are gathered for one call of a model.
    grpc
        The address of gRPC calls, ``host:port``, which it shares with its siblings; empty for none.
    inner
        The path of a socket on which it answers the gRPC calls that another revision's workers hand on; empty for
        none.
    access
        Where the tokens are that it asks for.
    certificates
        What connections from outside are encrypted with; None is plain text.
    records
        Where it takes down what models saw and said; None is nowhere.
    traces
        Where its spans go; None is as the ``OTEL_`` variables have it.
    figures
        The folder in which it writes what it counted; empty for none.
    log
        Whether the log's lines are text, or JSON objects with the events that they are about.

    Examples
    --------
    >>> WorkerOptions.read(WorkerOptions(batch=8).written()).batch
    8
    """

    limits: Limits = Limits()
    batch: int = 32
    grpc: str = ""
    inner: str = ""
    access: AccessRules = AccessRules()
    certificates: Certificates | None = None
    records: RecordRules | None = None
    traces: TraceRules | None = None
    figures: str = ""
    log: Literal["text", "json"] = "text"

    def written(self) -> str:
        """Return the options as one word of a command line."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, word: str) -> "WorkerOptions":
        """Return the options from a word of a command line.

        Raises
        ------
        ValueError
            The word is none.
        """
        return msgspec.json.decode(word, type=cls)
