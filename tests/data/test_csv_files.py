from pathlib import Path

import pytest

from modelyard.data import DatasetUnreadable, csv_files, open_dataset
from modelyard.data.pieces import Chunk


def chunks(path: Path, **options: object) -> list[Chunk]:
    return list(open_dataset(str(path)).chunks(**options))  # type: ignore[arg-type]


def test_a_bad_cell_refuses_its_row_and_tells_why(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,x,flag\na, 1 ,true\nb,oops,false\nc,,\nd,4,perhaps\ne,1e3,1\n")

    (chunk,) = chunks(path, columns=["x", "flag", "id"], kinds={"x": "number", "flag": "boolean"})

    assert chunk.batch.to_pydict() == {"x": [1.0, None, 1000.0], "flag": [True, None, True], "id": ["a", "c", "e"]}
    assert chunk.numbers.tolist() == [0, 2, 4]
    assert [(each.row, each.column, each.reason) for each in chunk.refusals] == [
        (1, "x", "'x' must be a number, got 'oops'"),
        (3, "flag", "'flag' must be true or false, got 'perhaps'"),
    ]
    assert chunk.refusals[0].content == {"id": "b", "x": "oops", "flag": "false"}


def test_a_row_with_two_bad_cells_is_refused_once(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\nbad,worse\n1,2\n")

    (chunk,) = chunks(path, kinds={"x": "number", "y": "number"})

    assert [(each.row, each.column) for each in chunk.refusals] == [(0, "x")]
    assert (chunk.rows, chunk.numbers.tolist()) == (2, [1])


def test_the_ending_of_a_name_says_what_separates_cells(tmp_path: Path) -> None:
    (tmp_path / "was.tsv.csv").write_text("x,y\n1,2\n")
    (tmp_path / "is.csv.tsv").write_text("x\ty\n1\t2\n")

    for name in ("was.tsv.csv", "is.csv.tsv"):
        assert open_dataset(str(tmp_path / name)).table().to_pylist() == [{"x": 1, "y": 2}]


def test_lines_that_do_not_fit_keep_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "BLOCK", 64)
    path = tmp_path / "t.csv"
    lines = [f"{index},{index}" if index % 7 else f"{index},{index},9" for index in range(100)]
    lines[5] += "\n"  # an empty line is no row
    path.write_text("a,b\n" + "\n".join(lines) + '\n"x\ny",-8\nlast\n')

    found = chunks(path, rows=10, every=25)

    assert [chunk.start for chunk in found] == [0, 10, 20, 25, 35, 45, 50, 60, 70, 75, 85, 95, 100]
    assert [chunk.rows for chunk in found] == [10, 10, 5, 10, 10, 5, 10, 10, 5, 10, 10, 5, 2]
    for chunk in found:
        values = chunk.batch.column("b").to_pylist()
        assert [number for number in chunk.numbers.tolist() if number < 100] == [v for v in values if v != -8]
        assert all(each.row % 7 == 0 or each.row == 101 for each in chunk.refusals)
    refused = [each for chunk in found for each in chunk.refusals]
    assert [each.row for each in refused] == [*range(0, 100, 7), 101]
    assert refused[1].reason == "the line has 3 cells, the header has 2"
    assert refused[-1].content == {"line": "last"}

    later = chunks(path, rows=10, every=25, start=75)
    assert [chunk.start for chunk in later] == [75, 85, 95, 100]
    assert later[0].batch == found[9].batch
    assert later[0].refusals == found[9].refusals


def test_where_every_row_must_be_good_the_bad_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n1,2,3\n")

    with pytest.raises(DatasetUnreadable, match=r"row 2 of t\.csv: the line has 3 cells, the header has 2"):
        open_dataset(str(path)).table()


def test_what_is_no_csv_file_ends_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "MALFORMED", 50)
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1\n" * 100)

    with pytest.raises(DatasetUnreadable, match="Expected 2 columns, got 1"):
        chunks(path)


@pytest.mark.parametrize(
    ("cells", "type_"),
    [
        (["1", "2"], "int64"),
        (["1", "2.0"], "double"),
        (["1", "inf"], "double"),
        (["1", "true"], "string"),
        (["true", "1"], "string"),
        (["true", "no"], "string"),
        (["0x1F", "2"], "string"),
        (["12345678901234567890", "1"], "string"),
        (["2013-01-01 05:00:00", ""], "string"),
        (["NA", ""], "null"),
        (['""', "7"], "int64"),
    ],
)
def test_the_type_fits_every_cell(tmp_path: Path, cells: list[str], type_: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("i,x\n" + "".join(f"{index},{cell}\n" for index, cell in enumerate(cells)))

    dataset = open_dataset(str(path))

    assert str(dataset.schema.field("x").type) == type_
    assert dataset.table().num_rows == 2
