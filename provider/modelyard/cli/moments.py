"""Moments as people of this machine's time zone read them."""

from datetime import datetime

__all__ = ["duration", "when"]


def when(seconds: float) -> str:
    """Return a moment, given in seconds since 1970; nothing for 0.

    Examples
    --------
    >>> when(0)
    ''
    """
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S") if seconds else ""


def duration(seconds: float) -> str:
    """Return how long something took.

    Examples
    --------
    >>> duration(0.214), duration(42.31), duration(75), duration(3723)
    ('0.21 s', '42.3 s', '1 min 15 s', '1 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
