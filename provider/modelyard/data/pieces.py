"""Pieces of a file on their way to the reader: rows with their numbers, and rows that were refused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from modelyard.data.schemas import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Chunk", "DataFile", "Piece", "Refusal", "aligned"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that cannot be read.

    Parameters
    ----------
    row
        Its number in the file, from 0, the header not counted.
    column
        The column whose cell is wrong; empty if the whole row is.
    reason
        What is wrong, in one sentence.
    content
        The row as far as it was understood.
    """

    row: int
    column: str
    reason: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some consecutive rows of one file.

    Parameters
    ----------
    batch
        The rows that could be read.
    numbers
        Their numbers in the file.
    refusals
        The rows between them that could not.
    """

    batch: pa.RecordBatch
    numbers: "NDArray[np.int64]"
    refusals: tuple[Refusal, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows of the file it covers."""
        return len(self.numbers) + len(self.refusals)

    def before(self, row: int) -> "Piece":
        """Return the part with the rows before the number `row`."""
        cut = int(np.searchsorted(self.numbers, row))
        refused = tuple(each for each in self.refusals if each.row < row)
        return Piece(self.batch.slice(0, cut), self.numbers[:cut], refused)

    def since(self, row: int) -> "Piece":
        """Return the part with the row `row` and those after it."""
        cut = int(np.searchsorted(self.numbers, row))
        refused = tuple(each for each in self.refusals if each.row >= row)
        return Piece(self.batch.slice(cut), self.numbers[cut:], refused)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive rows of a dataset, all from one file.

    Parameters
    ----------
    source
        The file's name, relative to the dataset.
    start
        The number in the dataset of the first row it covers.
    rows
        How many rows of the dataset it covers, refused ones included.
    batch
        The rows that could be read.
    numbers
        Their numbers in the file.
    refusals
        The rows that could not.
    """

    source: str
    start: int
    rows: int
    batch: pa.RecordBatch
    numbers: "NDArray[np.int64]"
    refusals: tuple[Refusal, ...] = field(default=())


class DataFile(Protocol):
    """One file of a dataset."""

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types."""
        ...

    @property
    def rows(self) -> int:
        """How many rows the file has, refused ones included."""
        ...

    @property
    def notes(self) -> dict[str, Any]:
        """What the file says about itself."""
        ...

    def nulls(self, column: str) -> int | None:
        """Return how many rows have no value in `column`; None if only reading them all would tell."""
        ...

    def pieces(self, columns: Sequence[str], kinds: Sequence[Kind | None], rows: int, skip: int) -> Iterator[Piece]:
        """Yield the rows from number `skip` on, about `rows` at a time, in bounded memory.

        Parameters
        ----------
        columns
            What to read, in this order.
        kinds
            What each column must be; None: what the file says.
        rows
            How many rows to read at a time.
        skip
            How many rows to leave out.
        """
        ...


def aligned(pieces: Iterator[Piece], first: int, rows: int, every: int, offset: int) -> Iterator[Piece]:
    """Yield pieces again, cut so that each covers `rows` rows and none crosses a multiple of `every`.

    The cuts depend on row numbers alone, so that the same rows are always computed together.

    Parameters
    ----------
    pieces
        Consecutive pieces of one file.
    first
        The number in the file of the first row.
    rows
        How many rows a piece covers, unless it ends at a border or at the end of the file.
    every
        The distance of the borders, in rows of the dataset; 0: there are none.
    offset
        The number in the dataset of the file's first row.
    """
    held: list[Piece] = []
    end = _end(first, rows, every, offset)
    for piece in pieces:
        rest = piece
        while rest.rows and first + sum(each.rows for each in held) + rest.rows >= end:
            yield _joined([*held, rest.before(end)])
            rest, held, first = rest.since(end), [], end
            end = _end(first, rows, every, offset)
        if rest.rows:
            held.append(rest)
    if held:
        yield _joined(held)


def _end(first: int, rows: int, every: int, offset: int) -> int:
    if not every:
        return first + rows
    border = (first + offset) // every * every + every - offset
    return min(first + rows, border)


def _joined(pieces: list[Piece]) -> Piece:
    if len(pieces) == 1:
        return pieces[0]
    return Piece(
        pa.concat_batches([piece.batch for piece in pieces]),
        np.concatenate([piece.numbers for piece in pieces]),
        tuple(refusal for piece in pieces for refusal in piece.refusals),
    )
