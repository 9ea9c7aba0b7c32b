"""What settings must be, checked where they are written rather than where a pod or a server finds out."""

from collections.abc import Mapping
from typing import Any

from modelyard.operators.kfp.errors import SettingInvalid

__all__ = ["check_items", "check_kind", "check_mapping", "check_text", "check_whole"]


def check_text(name: str, value: object, rule: str = "text that is not empty") -> None:
    """Refuse what is no text, or an empty one.

    Raises
    ------
    SettingInvalid
        It is.

    Examples
    --------
    >>> check_text("base_image", None)
    Traceback (most recent call last):
    modelyard.operators.kfp.errors.SettingInvalid: base_image: must be text that is not empty, got None.
    """
    if not isinstance(value, str) or not value:
        raise SettingInvalid(name, rule, value)


def check_kind(name: str, value: object, kind: Any, rule: str) -> None:
    """Refuse what is of none of the classes; raises as `check_text`."""
    if not isinstance(value, kind):
        raise SettingInvalid(name, rule, value)


def check_whole(name: str, value: object, rule: str) -> None:
    """Refuse what is no whole number of 0 or more; raises as `check_text`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SettingInvalid(name, rule, value)


def check_items(name: str, given: object, kind: Any, rule: str) -> None:
    """Refuse what is no list or tuple of things of the classes; raises as `check_text`."""
    if not isinstance(given, tuple | list) or not all(isinstance(each, kind) for each in given):
        raise SettingInvalid(name, rule, given)


def check_mapping(name: str, given: object, kind: type, values: str) -> None:
    """Refuse what is no mapping of texts to things of a class; raises as `check_text`."""
    if not isinstance(given, Mapping):
        raise SettingInvalid(name, f"a mapping to {values}", given)
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, kind):
            raise SettingInvalid(name, f"a mapping of texts to {values}", {key: value})
