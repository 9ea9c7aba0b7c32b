"""What a supervisor and its workers say to each other: JSON lines over a pair of sockets."""

from typing import Literal

import msgspec

from modelyard.errors import ErrorRecord
from modelyard.serving.splits import Figures, Split

__all__ = ["LINE", "Call", "Command", "Report", "Told", "encode_line"]

LINE = 1 << 27
"""The most bytes of one line: a request's body, or a reply, may be in it."""


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked of a worker besides its requests, or what a worker asks of all of them.

    Parameters
    ----------
    id
        Tells calls under way apart; the answer names it.
    action
        ``load`` a model anew, which a worker calls for in the name of all; for that each of them is to ``prepare`` it,
        and then to ``serve`` or to ``drop`` what it has prepared. Or ``ask`` the application for what a request there
        gets.
    model, reference, version
        Of ``load`` and ``prepare``: which model, another reference than its own, and of several versions which one.
    method, target, headers, body
        Of ``ask``: the request; the target with its query.
    ticket
        Of ``prepare``, ``serve`` and ``drop``: tells what was prepared.
    """

    id: int = 0
    action: Literal["load", "prepare", "serve", "drop", "ask"] = "load"
    model: str = ""
    reference: str = ""
    version: str = ""
    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    ticket: int = 0


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a call.

    Parameters
    ----------
    id
        The call's.
    error
        Why it failed.
    status, headers, body
        Of ``ask``: the response.
    """

    id: int = 0
    error: ErrorRecord | None = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker tells.

    Parameters
    ----------
    state
        ``ready`` (models loaded), ``accepting``, ``admitting`` (what siblings hand on), ``split`` (as it was told),
        ``load`` (now and then), ``call`` (something for all workers), ``told`` (what became of one), ``draining``,
        ``drained`` or ``failed``.
    error
        Why it failed.
    in_flight, requests
        The requests under way and those so far, of a ``load``.
    figures, trial
        What it counted since it was told to split, of a ``load``; and of what it tries.
    call, told
        What it asks of all workers, and what became of what it was asked.
    """

    state: Literal["ready", "accepting", "admitting", "split", "load", "call", "told", "draining", "drained", "failed"]
    error: ErrorRecord | None = None
    in_flight: int = 0
    requests: int = 0
    figures: Figures | None = None
    trial: Figures | None = None
    call: Call | None = None
    told: Told | None = None


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a supervisor asks for.

    Parameters
    ----------
    command
        ``accept`` connections; ``admit`` what siblings hand on; ``split`` the traffic, or no longer; ``do`` what is
        called for; take what was ``told`` of what it called for; ``drain`` and end.
    split
        How; None ends it.
    idle
        Seconds that a silent connection is left open while draining.
    limit
        Seconds after which requests under way are given up.
    call, told
        What is to be done, and what became of what the worker called for.
    """

    command: Literal["accept", "admit", "split", "do", "told", "drain"]
    split: Split | None = None
    idle: float = 0.0
    limit: float = 0.0
    call: Call | None = None
    told: Told | None = None


def encode_line(message: Report | Command) -> bytes:
    r"""Return the message as one line.

    Examples
    --------
    >>> encode_line(Report("ready"))
    b'{"state":"ready"}\n'
    """
    return msgspec.json.encode(message) + b"\n"
