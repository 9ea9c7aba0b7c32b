import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.data.pieces import Piece, Refusal, aligned


def piece(numbers: list[int], refused: list[int]) -> Piece:
    batch = pa.RecordBatch.from_pydict({"n": pa.array(numbers, pa.int64())})
    return Piece(batch, np.array(numbers, dtype=np.int64), tuple(Refusal(row, "", "", {}) for row in refused))


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 12), max_size=12),
    refused=st.sets(st.integers(0, 150)),
    skip=st.integers(0, 20),
    rows=st.integers(1, 20),
    every=st.integers(0, 25),
    offset=st.integers(0, 30),
)
def test_cuts_depend_on_row_numbers_alone(
    sizes: list[int], refused: set[int], skip: int, rows: int, every: int, offset: int
) -> None:
    total = skip + sum(sizes)
    pieces, first = [], skip
    for size in sizes:
        span = range(first, first + size)
        pieces.append(piece([row for row in span if row not in refused], [row for row in span if row in refused]))
        first += size

    cut = list(aligned(iter(pieces), skip, rows, every, offset))

    kept = [number for each in cut for number in each.numbers.tolist()]
    assert kept == [row for row in range(skip, total) if row not in refused]
    assert [each.batch.column("n").to_pylist() for each in cut] == [each.numbers.tolist() for each in cut]
    assert [each.row for part in cut for each in part.refusals] == [row for row in range(skip, total) if row in refused]
    start = skip
    for index, each in enumerate(cut):
        border = ((start + offset) // every + 1) * every - offset if every else total + rows
        wanted = min(start + rows, border, total)
        assert start + each.rows == wanted, index
        start = wanted
    assert start == total
