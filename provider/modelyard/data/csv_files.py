"""CSV files, compressed or not, read in bounded memory; a bad line or cell is told, not fatal."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from modelyard.data.csv_cells import NULLS, TypeGuess, parsed, typed
from modelyard.data.errors import DatasetEmpty, DatasetUnreadable
from modelyard.data.locations import Location, storage_errors
from modelyard.data.pieces import Piece, Refusal
from modelyard.data.schemas import Kind

__all__ = ["CsvSource"]

BLOCK = 4 << 20
"""Bytes of text parsed at a time; a single row must fit."""
LINE = 2_000
"""Characters kept of a line that does not fit."""
MALFORMED = 100_000
"""Lines in a row that do not fit: more is not a CSV file with errors, it is no CSV file."""
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


class _Line(NamedTuple):
    """A line that has too few or too many cells."""

    row: int
    cells: int
    expected: int
    text: str

    @property
    def reason(self) -> str:
        """What is wrong with it."""
        return f"the line has {self.cells} cells, the header has {self.expected}"


class _Scan(NamedTuple):
    """What one pass over the file found."""

    schema: pa.Schema
    rows: int
    nulls: dict[str, int]


class CsvSource:
    """One CSV file of a dataset: comma-separated with a header (``.tsv``: tab-separated), UTF-8."""

    def __init__(self, location: Location) -> None:
        self._location = location

    @cached_property
    def _scan(self) -> _Scan:
        """Read the file once: only its last cell can say what type a column has."""
        guesses = {name: TypeGuess() for name in self._names}
        lines = 0
        rows = 0

        def count(line: _Line) -> str:
            nonlocal lines
            lines += 1
            return "skip"

        for batch in self._batches(count):
            rows += batch.num_rows
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                guesses[name].look(column)
        schema = pa.schema([(name, guess.type) for name, guess in guesses.items()])
        return _Scan(schema, rows + lines, {name: guess.nulls for name, guess in guesses.items()})

    @property
    def schema(self) -> pa.Schema:
        """The columns and the narrowest types that fit all their cells."""
        return self._scan.schema

    @property
    def rows(self) -> int:
        """How many rows the file has, malformed ones included."""
        return self._scan.rows

    @property
    def notes(self) -> dict[str, Any]:
        """What the file says about itself: a CSV file has no place for it."""
        return {}

    def nulls(self, column: str) -> int | None:
        """Return how many rows have no value in `column`."""
        return self._scan.nulls[column]

    def pieces(self, columns: Sequence[str], kinds: Sequence[Kind | None], rows: int, skip: int) -> Iterator[Piece]:
        """Yield the rows from number `skip` on, a block of text at a time."""
        del rows  # a block is small
        lines: list[_Line] = []

        def keep(line: _Line) -> str:
            lines.append(line)
            return "skip" if len(lines) < MALFORMED else "error"

        first = 0
        for batch in self._batches(keep):
            numbers = _numbers(batch.num_rows, first, lines)
            first = int(numbers[-1]) + 1
            between = [line for line in lines if line.row < first]
            del lines[: len(between)]
            piece = Piece(batch, numbers, _malformed(between)).since(skip)
            if piece.rows:
                yield self._valued(piece, columns, kinds)
        empty = pa.RecordBatch.from_pylist([], schema=pa.schema([(name, pa.string()) for name in self._names]))
        rest = Piece(empty, np.empty(0, dtype=np.int64), _malformed(lines)).since(skip)
        if rest.rows:
            yield self._valued(rest, columns, kinds)

    def _valued(self, piece: Piece, columns: Sequence[str], kinds: Sequence[Kind | None]) -> Piece:
        """Return the piece with values in place of text, and without the rows whose cells have none."""
        arrays = []
        wrong = np.zeros(len(piece.numbers), dtype=np.bool_)
        refused = list(piece.refusals)
        for name, kind in zip(columns, kinds, strict=True):
            cells = piece.batch.column(name)
            if kind is None:
                arrays.append(typed(cells, self.schema.field(name).type))
                continue
            values, bad = parsed(cells, kind)
            arrays.append(values)
            refused += _refusals(piece, name, kind, bad & ~wrong)
            wrong |= bad
        names = list(columns)
        fields = [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
        if not wrong.any():
            return Piece(batch, piece.numbers, piece.refusals)
        return Piece(
            batch.filter(pa.array(~wrong)), piece.numbers[~wrong], tuple(sorted(refused, key=lambda each: each.row))
        )

    def _batches(self, told: Callable[[_Line], str]) -> Iterator[pa.RecordBatch]:
        """Yield the file as text; lines that do not fit are told before the batch that follows them."""

        def note(row: Any) -> str:
            return told(_Line(row.number - 2, row.actual_columns, row.expected_columns, row.text[:LINE]))

        with storage_errors(self._location.uri), self._stream() as stream:
            reader = pc.open_csv(
                stream,
                # one thread: only then does Arrow know the number of a line that does not fit
                read_options=pc.ReadOptions(use_threads=False, block_size=BLOCK),
                parse_options=pc.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=note
                ),
                convert_options=pc.ConvertOptions(
                    column_types=dict.fromkeys(self._names, pa.string()),
                    null_values=NULLS,
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            for batch in reader:
                if batch.num_rows:
                    yield batch

    @property
    def _delimiter(self) -> str:
        name = self._location.name.lower()
        for suffix in COMPRESSIONS:
            name = name.removesuffix(suffix)
        return "\t" if name.endswith(".tsv") else ","

    @cached_property
    def _names(self) -> list[str]:
        with storage_errors(self._location.uri), self._stream() as stream:
            head = stream.read(BLOCK)
        if not head.strip(b"\xef\xbb\xbf \t\r\n"):
            raise DatasetEmpty(self._location.uri, "header and no rows")
        with storage_errors(self._location.uri):
            options = pc.ReadOptions(use_threads=False, block_size=BLOCK)
            skip = pc.ParseOptions(
                delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=lambda _: "skip"
            )
            names = list(pc.open_csv(pa.BufferReader(head), read_options=options, parse_options=skip).schema.names)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            reason = f"the column {twice!r} occurs twice in the header"
            raise DatasetUnreadable(self._location.uri, reason, "Rename one of the columns.")
        return names

    @contextmanager
    def _stream(self) -> Iterator[Any]:
        location = self._location
        suffix = next((each for each in COMPRESSIONS if location.name.lower().endswith(each)), "")
        if location.local is not None:
            source = pa.OSFile(str(location.local), "rb")
        else:
            source = pa.PythonFile(location.fs.open(location.path, "rb"), mode="r")
        with source:
            if not suffix:
                yield source
                return
            with pa.CompressedInputStream(source, COMPRESSIONS[suffix]) as stream:
                yield stream


def _numbers(rows: int, first: int, lines: list[_Line]) -> Any:
    """Return the numbers of `rows` good rows from the number `first` on, the bad lines' numbers left out."""
    numbers = np.arange(first, first + rows, dtype=np.int64)
    for line in lines:
        numbers[max(np.searchsorted(numbers, line.row), 0) :] += 1
    return numbers


def _malformed(lines: list[_Line]) -> tuple[Refusal, ...]:
    return tuple(Refusal(line.row, "", line.reason, {"line": line.text}) for line in lines)


def _refusals(piece: Piece, name: str, kind: Kind, wrong: Any) -> list[Refusal]:
    needed = {"number": "a number", "boolean": "true or false"}.get(kind, kind)
    found = []
    for index in np.flatnonzero(wrong):
        content = piece.batch.slice(int(index), 1).to_pylist()[0]
        reason = f"{name!r} must be {needed}, got {content[name]!r:.80}"
        found.append(Refusal(int(piece.numbers[index]), name, reason, content))
    return found
