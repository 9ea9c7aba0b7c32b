"""Which records are taken, and where they go."""

import msgspec

from modelyard.serving.field_types import check_types

__all__ = ["RecordRules"]


class RecordRules(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where records go, and which are taken.

    Parameters
    ----------
    folder
        Where the segments are; it is made if it is not there.
    share
        The part of the events that is recorded, from 0 to 1; the same events by every server, by their ids.
    rows
        How many rows a segment has at most.
    seconds
        How long a row waits to be written at most.

    Examples
    --------
    >>> RecordRules("records", share=2)
    Traceback (most recent call last):
    ValueError: share is from 0 to 1, not 2
    """

    folder: str
    share: float = 1.0
    rows: int = 5000
    seconds: float = 5.0

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is from 0 to 1, not {self.share!r}")
        if self.rows < 1 or not self.seconds > 0:
            raise ValueError(f"rows and seconds are above 0, not {self.rows!r} and {self.seconds!r}")
