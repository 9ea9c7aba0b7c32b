"""How much memory tables take once they are unpacked, from what they say of themselves: before any is taken.

A few packed bytes may hold more values than there is memory for. The layouts are those of the Arrow columnar format
(messages are FlatBuffers) and of Parquet's metadata.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from modelyard.serving.table_bounds import TableBounds

__all__ = ["check_arrow", "check_parquet", "check_values"]

VALUE = 8
"""Bytes that a value has at least as a row's: where it is kept."""
_DICTIONARY, _BATCH = 2, 3
_BLOCK, _NODE, _BUFFER = 24, 16, 16
_FOOTER = 10
"""Bytes at the end of a file: the length of what is before them, and ``ARROW1``."""


def check_parquet(metadata: Any, bounds: TableBounds) -> None:
    """Refuse what a Parquet file says of itself.

    Parameters
    ----------
    metadata
        A ``pyarrow.parquet.FileMetaData``.
    bounds
        The most that it may hold.

    Raises
    ------
    RowsExceeded, TableTooLarge
        It is beyond the bounds.
    """
    bounds.check_rows(metadata.num_rows)
    size = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            size += max(column.total_uncompressed_size, column.num_values * VALUE)
            bounds.check_size(size)


def check_arrow(raw: Any, bounds: TableBounds, *, file: bool) -> None:
    """Refuse what the messages of an Arrow stream or file say of themselves.

    Parameters
    ----------
    raw
        All of it, a ``pyarrow.Buffer``.
    bounds
        The most that it may hold.
    file
        Whether it is a file, whose messages its footer names.

    Raises
    ------
    RowsExceeded, TableTooLarge
        It is beyond the bounds.
    """
    rows = buffers = values = 0
    for message in _in_file(raw) if file else _in_stream(raw):
        table = _Table.root(message.metadata)
        kind, header = table.byte(1), table.table(2)
        if kind not in (_DICTIONARY, _BATCH) or header is None:
            continue
        batch = header.table(1) if kind == _DICTIONARY else header
        if batch is None:
            continue
        rows += batch.long(0) if kind == _BATCH else 0
        bounds.check_rows(rows)
        buffers += sum(_unpacked_sizes(batch, memoryview(message.body)))
        values += sum(max(length, 0) for length, _ in batch.structs(1, _NODE, "<i8", "<i8"))
        bounds.check_size(max(buffers, values * VALUE))


def check_values(table: Any, bounds: TableBounds) -> None:
    """Refuse a table whose rows have more than its columns: where many rows share one value.

    Parameters
    ----------
    table
        A ``pyarrow.Table``.
    bounds
        The most that it may hold.

    Raises
    ------
    TableTooLarge
        It is beyond the bounds.
    """
    bounds.check_size(sum(int(_sizes(chunk).sum()) for column in table.columns for chunk in column.chunks))


def _in_stream(raw: Any) -> Iterator[Any]:
    import pyarrow as pa

    yield from pa.ipc.MessageReader.open_stream(pa.BufferReader(raw))


def _in_file(raw: Any) -> Iterator[Any]:
    import pyarrow as pa

    pa.ipc.open_file(pa.BufferReader(raw))  # verifies the footer
    end = len(raw) - _FOOTER
    length = int.from_bytes(memoryview(raw)[end : end + 4], "little")
    footer = _Table.root(raw.slice(end - length, length))
    for field in (2, 3):
        for offset, _, _ in footer.structs(field, _BLOCK, "<i8", "<i8", "<i8"):
            yield pa.ipc.read_message(pa.BufferReader(raw.slice(offset)))


def _unpacked_sizes(batch: "_Table", body: memoryview) -> Iterator[int]:
    """Yield the bytes of each buffer; a packed one begins with how many it has, and -1 means that it is not packed."""
    packed = batch.table(3) is not None
    for offset, length in batch.structs(2, _BUFFER, "<i8", "<i8"):
        begun = body[offset : offset + 8] if packed and length else b""
        size = int.from_bytes(begun, "little", signed=True) if begun else -1
        if size < -1:
            raise ValueError("a buffer has less than no bytes")
        yield max(length, 0) if size == -1 else size


class _Table:
    """A table of a FlatBuffer that somebody has verified."""

    def __init__(self, raw: memoryview, at: int) -> None:
        self._raw, self._at = raw, at

    @classmethod
    def root(cls, buffer: Any) -> "_Table":
        raw = memoryview(buffer)
        return cls(raw, int.from_bytes(raw[:4], "little"))

    def byte(self, field: int) -> int:
        at = self._place(field)
        return self._raw[at] if at else 0

    def long(self, field: int) -> int:
        at = self._place(field)
        return self._number(at, 8, signed=True) if at else 0

    def table(self, field: int) -> "_Table | None":
        at = self._place(field)
        return _Table(self._raw, at + self._number(at, 4)) if at else None

    def structs(self, field: int, size: int, *types: str) -> Any:
        """Return the structures of a vector: an array of one tuple for each."""
        at = self._place(field)
        if not at:
            return ()
        begin = at + self._number(at, 4)
        count = self._number(begin, 4)
        kind = np.dtype([(f"f{index}", each) for index, each in enumerate(types)])
        return np.frombuffer(self._raw[begin + 4 : begin + 4 + count * size], kind).tolist()

    def _place(self, field: int) -> int:
        """Return where a field is; 0 if the table has none."""
        fields = self._at - self._number(self._at, 4, signed=True)
        slot = 4 + 2 * field
        offset = self._number(fields + slot, 2) if slot < self._number(fields, 2) else 0
        return self._at + offset if offset else 0

    def _number(self, at: int, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self._raw[at : at + size], "little", signed=signed)


def _sizes(array: Any) -> Any:
    """Return how many bytes each value of an array has at least, once it is one of its own."""
    shared = _shared_sizes(array)
    return np.full(len(array), VALUE, np.int64) + _sizes_within(array) if shared is None else shared


def _shared_sizes(array: Any) -> Any:
    """Return the sizes where the array only says which values are meant; None for arrays of values."""
    import pyarrow as pa

    if isinstance(array, pa.ExtensionArray):
        return _sizes(array.storage)
    if isinstance(array, pa.DictionaryArray) and len(array.dictionary):
        return _sizes(array.dictionary)[array.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    if isinstance(array, pa.RunEndEncodedArray):
        return np.repeat(_sizes(array.values), np.diff(array.run_ends.to_numpy(), prepend=0))
    return None


def _sizes_within(array: Any) -> Any:
    """Return the bytes of what is in each value of an array."""
    import pyarrow as pa

    kind = array.type
    if isinstance(array, pa.StructArray):
        return sum(_sizes(array.field(index)) for index in range(kind.num_fields))
    if isinstance(array, pa.FixedSizeListArray):
        width, begin = kind.list_size, array.offset * kind.list_size
        inside = _sizes(array.values)[begin : begin + len(array) * width]
        return inside.reshape(len(array), width).sum(axis=1) if width else 0
    if isinstance(array, pa.ListArray | pa.LargeListArray | pa.MapArray):
        offsets = array.offsets.to_numpy()
        return _sizes_between(array.values, offsets[:-1], offsets[1:])
    if isinstance(array, pa.ListViewArray | pa.LargeListViewArray):
        begin = array.offsets.to_numpy()[: len(array)]
        return _sizes_between(array.values, begin, begin + array.sizes.to_numpy()[: len(array)])
    if kind in (pa.string_view(), pa.binary_view()):
        lengths = np.frombuffer(array.buffers()[1], np.int32).reshape(-1, 4)[:, 0]
        return lengths[array.offset : array.offset + len(array)]
    if pa.types.is_union(kind):
        raise ValueError("columns of several types are not read")
    return _lengths(array) if kind in (pa.string(), pa.binary(), pa.large_string(), pa.large_binary()) else 0


def _lengths(array: Any) -> Any:
    import pyarrow.compute

    compute: Any = pyarrow.compute  # its functions are made at run time: no type checker knows them
    return compute.binary_length(array).fill_null(0).to_numpy(zero_copy_only=False)


def _sizes_between(values: Any, begin: Any, end: Any) -> Any:
    """Return the sizes of lists from the sizes of all that is in them."""
    until = np.concatenate([[0], np.cumsum(_sizes(values))])
    return until[end] - until[begin]
