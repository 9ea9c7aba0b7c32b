"""What the columns of a dataset are: kinds of types, and the checks before anything is computed."""

from collections.abc import Iterable, Sequence
from typing import Literal

import pyarrow as pa

from modelyard.data.errors import ColumnAllNull, ColumnMissing, ColumnTypeWrong

__all__ = ["Kind", "check_columns", "check_features", "kind_named", "kind_of", "schema_types", "value_type"]

Kind = Literal["number", "boolean", "text", "null", "other"]

_NUMBERS = ("int", "uint", "float", "double", "half", "decimal", "long", "number")
_TEXTS = ("string", "large_string", "utf8", "large_utf8", "str", "text")


def value_type(type_: pa.DataType) -> pa.DataType:
    """Return the type of a column's values: that of the categories, where they are encoded by a dictionary."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def kind_of(type_: pa.DataType) -> Kind:
    """Return what a model can make of a column of this type.

    Examples
    --------
    >>> kind_of(pa.float32()), kind_of(pa.dictionary(pa.int8(), pa.string())), kind_of(pa.timestamp("us"))
    ('number', 'text', 'other')
    """
    plain = value_type(type_)
    if pa.types.is_boolean(plain):
        return "boolean"
    if pa.types.is_integer(plain) or pa.types.is_floating(plain) or pa.types.is_decimal(plain):
        return "number"
    if pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain):
        return "text"
    return "null" if pa.types.is_null(plain) else "other"


def kind_named(name: str) -> Kind | None:
    """Return the kind of a type given by name, in Arrow's words or MLflow's; None if the name is unknown.

    Examples
    --------
    >>> kind_named("int64"), kind_named("double"), kind_named("dictionary<values=string, indices=int32, ordered=0>")
    ('number', 'number', 'text')
    """
    plain = name.lower().removeprefix("dictionary<values=").partition(",")[0]
    if plain.startswith("bool"):
        return "boolean"
    if plain.startswith(_NUMBERS):
        return "number"
    if plain in _TEXTS:
        return "text"
    return "null" if plain == "null" else None


def schema_types(schema: pa.Schema) -> dict[str, str]:
    """Return the name of each column's type, in the columns' order."""
    return {field.name: str(field.type) for field in schema}


def check_columns(schema: pa.Schema, columns: Iterable[str], uri: str) -> None:
    """Refuse columns that are not there.

    Raises
    ------
    ColumnMissing
        The first that is missing, with the nearest name there is.
    """
    for column in columns:
        if column not in schema.names:
            raise ColumnMissing(uri, column, schema.names)


def check_features(schema: pa.Schema, columns: Sequence[str], uri: str, dtypes: Sequence[str] = ()) -> None:
    """Refuse columns that cannot be features of a model.

    Parameters
    ----------
    schema
        The dataset's schema.
    columns
        The features.
    uri
        The dataset, for the error.
    dtypes
        The types on which the model was fitted, in the order of `columns`; a number fits where a number was, and
        so does a boolean.

    Raises
    ------
    ColumnMissing
        A feature is missing.
    ColumnAllNull
        A feature is of the type of nothing but nulls.
    ColumnTypeWrong
        A feature is neither number, boolean nor text, or not of the kind that the model knows.
    """
    check_columns(schema, columns, uri)
    wanted = [kind_named(each) for each in dtypes] if len(dtypes) == len(columns) else [None] * len(columns)
    for column, kind in zip(columns, wanted, strict=True):
        type_ = schema.field(column).type
        found = kind_of(type_)
        if found == "null":
            raise ColumnAllNull(uri, column)
        if found == "other":
            mend = "Derive numbers or text from it (the hour, the weekday), or leave it out."
            raise ColumnTypeWrong(uri, column, str(type_), "a number, a boolean or text", mend)
        if kind is not None and kind != found and "text" in (kind, found):
            needed = {"number": "a number", "boolean": "a boolean", "text": "text"}.get(kind, kind)
            raise ColumnTypeWrong(uri, column, str(type_), f"{needed}, as in training")
