"""Settings that are made in Python are checked as those that are read: each field holds what it is declared to hold."""

from re import findall

import msgspec

__all__ = ["check_types"]

_WORDS = {
    "int": "an integer",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def check_types(settings: msgspec.Struct) -> None:
    """Refuse a field that holds something else than it is declared to.

    Parameters
    ----------
    settings
        Just made; called by its ``__post_init__``.

    Raises
    ------
    ValueError
        It does; the message names field, rule and value.

    Examples
    --------
    >>> class Pace(msgspec.Struct):
    ...     seconds: float = 1.0
    ...     def __post_init__(self) -> None:
    ...         check_types(self)
    >>> Pace("soon")
    Traceback (most recent call last):
    ValueError: seconds is a number, not 'soon'
    """
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        try:
            msgspec.convert(value, field.type)
        except msgspec.ValidationError as error:
            told, _, where = str(error).partition(" - at `$")
            # msgspec: Expected `int | null`, got `str`
            expected: list[str] = findall("[^`| ]+", (findall("^Expected `([^`]*)`", told) or [""])[0])
            rule = " or ".join(_WORDS.get(each) or each for each in expected)
            place = field.name + where.rstrip("`")
            raise ValueError(f"{place} is {rule}, not {value!r:.60}" if rule else f"{place}: {told}") from None
