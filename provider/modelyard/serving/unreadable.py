"""What readers of JSON raise about bytes that are none."""

import msgspec

__all__ = ["UNREADABLE"]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Besides what the reader itself says: texts that are not UTF-8, and lists in lists without end."""
