"""The operations of `Fields` on whole columns: what differs from row to row is worked out once for each value.

Whatever cannot be said in columns raises; the rows are then worked on one by one, and each tells its own error.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from modelyard.graphs.steps.errors import FieldMissing, FieldUnfit
from modelyard.graphs.steps.field_operations import (
    PARTS,
    Copy,
    Dates,
    Drop,
    Extend,
    Impute,
    OneHot,
    Operation,
    Rename,
    Scale,
    Select,
    Values,
    moment_of,
)

__all__ = ["changed_columns"]

Columns = dict[str, Any]


def changed_columns(operations: Sequence[Operation], bodies: Any) -> Any:
    """Return the bodies (an Arrow batch or table, a pandas frame, a structured array) after the operations.

    Raises
    ------
    FieldMissing, FieldUnfit
        A column is missing, or one of its values is none to work with.
    TypeError
        It has no named columns.
    """
    import pyarrow as pa

    is_frame = hasattr(bodies, "columns") and hasattr(bodies, "to_dict")
    if is_frame:
        table = pa.Table.from_pandas(bodies, preserve_index=False)
    elif isinstance(bodies, pa.RecordBatch | pa.Table):
        table = bodies
    elif getattr(getattr(bodies, "dtype", None), "names", None):
        table = pa.table({name: pa.array(bodies[name]) for name in bodies.dtype.names})
    else:
        raise TypeError(f"a {type(bodies).__name__} has no named columns")
    columns = {name: _whole(table.column(name)) for name in table.schema.names}
    for operation in operations:
        columns = _APPLY[type(operation)](operation, columns, table.num_rows)
    if isinstance(bodies, pa.RecordBatch):
        return pa.RecordBatch.from_pydict(columns)
    made = pa.table(columns)
    return made.to_pandas() if is_frame else made


def _compute() -> Any:
    return import_module("pyarrow.compute")  # its functions are made at run time: no type checker knows them


def _whole(column: Any) -> Any:
    import pyarrow as pa

    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _needed(columns: Columns, field: str) -> Any:
    if field not in columns:
        raise FieldMissing(field, list(columns))
    return columns[field]


def _by_value(column: Any, function: Callable[[Any], Any]) -> Any:
    """Return the column of what the function says about each value; it is asked once for each different one."""
    import pyarrow as pa

    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode(null_encoding="encode")
    if coded.indices.null_count:
        coded = coded.cast(coded.type.value_type).dictionary_encode(null_encoding="encode")
    return pa.array([function(value) for value in coded.dictionary.to_pylist()]).take(coded.indices)


def _rename(operation: Any, columns: Columns, rows: int) -> Columns:
    del rows
    for name in operation.names:
        _needed(columns, name)
    renamed = {operation.names.get(name, name): column for name, column in columns.items()}
    if len(renamed) < len(columns):
        raise FieldUnfit(next(iter(operation.names)), "another field has the new name already", operation.names)
    return renamed


def _drop(operation: Any, columns: Columns, rows: int) -> Columns:
    del rows
    return {name: column for name, column in columns.items() if name not in operation.names}


def _select(operation: Any, columns: Columns, rows: int) -> Columns:
    del rows
    return {name: _needed(columns, name) for name in operation.names}


def _extend(operation: Any, columns: Columns, rows: int) -> Columns:
    import pyarrow as pa

    return {
        **columns,
        **{name: pa.array([value]).take(pa.array([0] * rows)) for name, value in operation.values.items()},
    }


def _copy(operation: Any, columns: Columns, rows: int) -> Columns:
    pc = _compute()

    del rows
    changed = dict(columns)
    for name, source in operation.sources.items():
        first, *rest = source.split(".")
        column = _needed(changed, first)
        for part in rest:
            if column.null_count:
                raise FieldUnfit(source, "has rows without the part", None)
            column = pc.struct_field(column, part)
        changed[name] = column
    return changed


def _dates(operation: Any, columns: Columns, rows: int) -> Columns:
    import pyarrow as pa

    del rows
    changed = dict(columns)
    for field, parts in operation.parts.items():
        column = _needed(changed, field)
        if column.null_count:
            raise FieldUnfit(field, "must be a moment", None)
        native = pa.types.is_timestamp(column.type)
        for part in parts:
            taken = _native_part(column, part) if native else _by_value(column, _part_taker(field, part))
            changed[f"{field}_{part}"] = taken
    return changed


def _part_taker(field: str, part: str) -> Callable[[Any], int]:
    return lambda value: PARTS[part](moment_of(field, value))


def _native_part(column: Any, part: str) -> Any:
    import pyarrow as pa

    pc = _compute()

    if part == "is_weekend":
        return pc.greater_equal(pc.day_of_week(column), 5).cast(pa.int64())
    function = {"week": "iso_week", "weekday": "day_of_week"}.get(part, part)
    return getattr(pc, function)(column)


def _values(operation: Any, columns: Columns, rows: int) -> Columns:
    del rows
    changed = dict(columns)
    for field, table in operation.tables.items():
        column = _needed(changed, field)
        changed[table.into or field] = _by_value(column, partial(table.value, field))
    return changed


def _one_hot(operation: Any, columns: Columns, rows: int) -> Columns:
    del rows
    for field in operation.categories:
        _needed(columns, field)
    changed: Columns = {}
    for field, column in columns.items():
        if field not in operation.categories:
            changed[field] = column
            continue
        for name in operation.categories[field].values():
            changed[name] = _by_value(column, partial(_is_hot, operation, field, name))
    return changed


def _is_hot(operation: OneHot, field: str, name: str, value: Any) -> int:
    return operation.columns(field, value)[name]


def _impute(operation: Any, columns: Columns, rows: int) -> Columns:
    import pyarrow as pa

    pc = _compute()

    changed = dict(columns)
    for field, value in operation.values.items():
        column = changed.get(field)
        if column is None:
            changed[field] = pa.array([value]).take(pa.array([0] * rows))
            continue
        gap = pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))
        if not gap.true_count:
            continue
        if pa.types.is_null(column.type):
            changed[field] = pa.array([value]).take(pa.array([0] * rows))
        elif pa.types.is_dictionary(column.type):
            changed[field] = pc.if_else(gap, pa.scalar(value), column.cast(column.type.value_type))
        else:
            filler = pa.scalar(value)
            common = pa.unify_schemas(
                [pa.schema([("x", column.type)]), pa.schema([("x", filler.type)])], promote_options="permissive"
            )
            changed[field] = pc.if_else(gap, filler.cast(common.field(0).type), column.cast(common.field(0).type))
    return changed


def _scale(operation: Any, columns: Columns, rows: int) -> Columns:
    import pyarrow as pa

    pc = _compute()

    del rows
    changed = dict(columns)
    for field, (offset, width, clip) in operation.scales.items():
        column = _needed(changed, field)
        is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        if not is_number or pc.is_null(column, nan_is_null=pa.types.is_floating(column.type)).true_count:
            raise FieldUnfit(field, "must be a number", None)
        scaled = pc.divide(pc.subtract(column.cast(pa.float64()), offset), width)
        changed[field] = pc.min_element_wise(pc.max_element_wise(scaled, 0.0), 1.0) if clip else scaled
    return changed


_APPLY: dict[type[Operation], Callable[[Any, Columns, int], Columns]] = {
    Rename: _rename,
    Drop: _drop,
    Select: _select,
    Extend: _extend,
    Copy: _copy,
    Dates: _dates,
    Values: _values,
    OneHot: _one_hot,
    Impute: _impute,
    Scale: _scale,
}
