"""What rendering leaves in an operator's fields, and the plain JSON values that operations take."""

from collections.abc import Mapping, Sequence
from datetime import date
from os import PathLike
from typing import Any

from airflow.sdk import ObjectStoragePath

__all__ = ["is_template", "plain"]


def is_template(text: str, jinja_env: Any) -> bool:
    """Whether a text has any mark of the Jinja environment's."""
    if jinja_env.line_statement_prefix or jinja_env.line_comment_prefix:
        return True
    marks = (jinja_env.variable_start_string, jinja_env.block_start_string, jinja_env.comment_start_string)
    return any(mark in text for mark in marks)


def plain(value: Any) -> Any:
    """Return a rendered value as plain JSON; what has no image in JSON stays as it is, for the operation to refuse.

    Airflow hands over the outputs of mapped tasks as lazy sequences, dates as `datetime`, files as `ObjectStoragePath`.

    Examples
    --------
    >>> from pathlib import Path
    >>> plain({"dates": (date(2026, 1, 2),), "file": Path("a/b")})
    {'dates': ['2026-01-02'], 'file': 'a/b'}
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, ObjectStoragePath | PathLike):
        return str(value)
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [plain(each) for each in value]
    return value
