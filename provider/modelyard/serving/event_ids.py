"""What may be the id of an event that a client names: it goes into logs, records and headers of other answers."""

__all__ = ["EVENT_ID", "MOST", "is_event_id"]

MOST = 256
EVENT_ID = f"at most {MOST} printable characters"
"""The rule in words."""


def is_event_id(text: str) -> bool:
    r"""Return whether a client may call an event that.

    Examples
    --------
    >>> is_event_id("order 7"), is_event_id("7" * 257), is_event_id("7\n8")
    (True, False, False)
    """
    return len(text) <= MOST and text.isprintable()
