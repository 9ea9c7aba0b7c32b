import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelyard.data import (
    ColumnMissing,
    ColumnTypeWrong,
    DatasetEmpty,
    DatasetNotFound,
    DatasetUnfinished,
    DatasetUnreadable,
    LibraryMissing,
    StorageDenied,
    digest_of,
    open_dataset,
)
from modelyard.errors import ErrorKind

TABLE = pa.table({"x": pa.array([1, 2, None, 4], pa.int64()), "y": [0.5, 1.5, 2.5, 3.5], "name": ["a", "b", None, "d"]})


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


def test_a_parquet_file_is_read_in_order_and_by_column(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=3)
    dataset = open_dataset(str(tmp_path / "t.parquet"))

    assert (dataset.num_rows, dataset.column_names) == (4, ["x", "y", "name"])
    assert dataset.table() == TABLE
    assert dataset.table(["name", "x"]) == TABLE.select(["name", "x"])
    assert [batch.num_rows for batch in dataset.batches(batch_rows=2)] == [2, 2]
    assert list(dataset.frame(["y"])["y"]) == [0.5, 1.5, 2.5, 3.5]
    assert (dataset.nulls("x"), dataset.nulls("y")) == (1, 0)


@pytest.mark.parametrize("scheme", ["file://", "memory:/"])
def test_a_folder_is_its_files_in_the_order_of_their_names(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, scheme: str
) -> None:
    place = f"{scheme}{tmp_path}/folder"
    for name, value in (("b/2.parquet", 2), ("a.parquet", 1), ("_hidden.parquet", 9), (".x.parquet", 9), ("c.txt", 9)):
        with fsspec.open(f"{place}/{name}", "wb", auto_mkdir=True) as stream:
            pq.write_table(pa.table({"x": [value]}), stream)

    dataset = open_dataset(place)

    assert dataset.table() == pa.table({"x": pa.chunked_array([[1], [2]])})
    assert [(chunk.source, chunk.start) for chunk in dataset.chunks()] == [("a.parquet", 0), ("b/2.parquet", 1)]


def test_only_what_a_manifest_lists_is_visible(tmp_path: Path) -> None:
    for name, value in (("part-1.parquet", 1), ("part-2.parquet", 2), ("part-old.parquet", 9)):
        pq.write_table(pa.table({"x": [value]}), tmp_path / name)
    listed = [{"file": f"part-{number}.parquet", "rows": 1, "bytes": 1} for number in (2, 1)]
    manifest = {"run": "r", "rows": 2, "files": listed, "format": "modelyard.dataset/1"}
    (tmp_path / "_manifest.json").write_text(json.dumps(manifest))

    assert open_dataset(str(tmp_path)).table()["x"].to_pylist() == [2, 1]

    (tmp_path / "part-2.parquet").unlink()
    with pytest.raises(DatasetUnreadable, match=r"lists part-2\.parquet, which is not there"):
        open_dataset(str(tmp_path))

    (tmp_path / "_manifest.json").write_text(json.dumps({**manifest, "format": "modelyard.dataset/2"}))
    with pytest.raises(DatasetUnreadable, match="newer version"):
        open_dataset(str(tmp_path))

    (tmp_path / "_manifest.json").write_text("{")
    with pytest.raises(DatasetUnreadable, match="the manifest is damaged"):
        open_dataset(str(tmp_path))


def test_a_folder_that_is_being_written_is_not_a_dataset(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "part-1.parquet")
    (tmp_path / "_progress-1").mkdir()
    (tmp_path / "_progress-1" / "0.json").write_text("{}")

    with pytest.raises(DatasetUnfinished, match="it has parts, but no manifest"):
        open_dataset(str(tmp_path))


def test_files_of_different_types_get_the_wider_type(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([1], pa.int32()), "y": pa.nulls(1)}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"y": ["t"], "x": [0.5]}), tmp_path / "b.parquet")

    table = open_dataset(str(tmp_path)).table()

    assert table.to_pydict() == {"x": [1.0, 0.5], "y": [None, "t"]}
    assert [str(type_) for type_ in table.schema.types] == ["double", "string"]


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": ["t"]}), tmp_path / "b.parquet")
    with pytest.raises(ColumnTypeWrong, match=r"'x' is int64 in one file and string in b\.parquet"):
        _ = open_dataset(str(tmp_path)).schema

    pq.write_table(pa.table({"x": [1], "z": [1]}), tmp_path / "b.parquet")
    with pytest.raises(DatasetUnreadable, match=r"a\.parquet and b\.parquet differ in the columns z"):
        _ = open_dataset(str(tmp_path)).schema

    (tmp_path / "c.csv").write_text("x\n1\n")
    with pytest.raises(DatasetUnreadable, match="Parquet and CSV"):
        open_dataset(str(tmp_path))


def test_folders_named_by_a_column_are_refused(tmp_path: Path) -> None:
    (tmp_path / "month=7").mkdir()
    pq.write_table(TABLE, tmp_path / "month=7" / "a.parquet")

    with pytest.raises(DatasetUnreadable, match="month=7"):
        open_dataset(str(tmp_path))


@pytest.mark.parametrize("scheme", ["", "memory:/"])
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv"])
def test_a_csv_file_gets_the_narrowest_types(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, scheme: str, suffix: str
) -> None:
    text = 'id,flag,share,name,none\n1,true,1,"x, y",\n2,FALSE,2.5,"NA",\n,NA,,NA,\n'
    if suffix == "tsv":
        text = 'id\tflag\tshare\tname\tnone\n1\ttrue\t1\tx, y\t\n2\tFALSE\t2.5\t"NA"\t\n\tNA\t\tNA\t\n'
    content = gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode()
    address = f"{scheme}{tmp_path}/t.{suffix}"
    with fsspec.open(address, "wb", compression=None) as stream:
        stream.write(content)

    dataset = open_dataset(address)

    assert dict(zip(dataset.column_names, map(str, dataset.schema.types), strict=True)) == {
        "id": "int64",
        "flag": "bool",
        "share": "double",
        "name": "string",
        "none": "null",
    }
    assert dataset.table().to_pydict() == {
        "id": [1, 2, None],
        "flag": [True, False, None],
        "share": [1.0, 2.5, None],
        "name": ["x, y", "NA", None],
        "none": [None, None, None],
    }
    assert dataset.nulls("id") == 1


def test_bytes_make_the_content_hash(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "a.csv").write_bytes(b"x\n1\n")
    (tmp_path / "folder" / "deep" / "b.csv").write_bytes(b"x\n2\n")
    memory.pipe_file("/a.csv", b"x\n1\n")

    assert open_dataset(str(tmp_path / "folder" / "a.csv")).content_hash() == hashlib.sha256(b"x\n1\n").hexdigest()
    assert open_dataset("memory://a.csv").content_hash() == hashlib.sha256(b"x\n1\n").hexdigest()
    assert open_dataset(str(tmp_path / "folder")).content_hash() == digest_of(tmp_path / "folder")


def test_a_source_says_what_was_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,t\n")
    dataset = open_dataset(str(tmp_path / "a.csv"))

    source = dataset.source()

    assert (source.uri, source.rows, source.schema) == (str(tmp_path / "a.csv"), 1, {"x": "int64", "y": "string"})
    assert source.hash == dataset.content_hash()


def test_the_fingerprint_moves_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")
    before = open_dataset(str(path)).fingerprint()
    assert open_dataset(str(path)).fingerprint() == before

    path.write_text("x\n2\n")
    os.utime(path, ns=(1, 1))
    assert open_dataset(str(path)).fingerprint() != before


def test_a_wrong_column_is_answered_with_the_nearest(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    with pytest.raises(ColumnMissing, match=r"there is no column 'nam'. Did you mean name\?"):
        open_dataset(str(tmp_path / "t.parquet")).table(["nam"])


def test_an_address_without_data_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text("x\n")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()

    with pytest.raises(DatasetNotFound, match=r"Did you mean flights\.csv\?"):
        open_dataset(str(tmp_path / "flight.csv"))
    with pytest.raises(DatasetNotFound):
        open_dataset("memory://nowhere/x.csv")
    with pytest.raises(DatasetUnreadable, match=r"is neither Parquet nor CSV by its name\. Give a Parquet or CSV file"):
        open_dataset(str(tmp_path / "notes.txt"))
    with pytest.raises(DatasetEmpty, match="no files"):
        open_dataset(str(tmp_path / "empty"))
    with pytest.raises(DatasetUnreadable, match="Protocol not known: nonsense"):
        open_dataset("nonsense://x.csv")
    said = (
        r"the address dropbox://x\.csv needs dropboxdrivefs, which is not installed\. Install it: pip install dropbox"
    )
    with pytest.raises(LibraryMissing, match=said):
        open_dataset("dropbox://x.csv")


def test_damaged_files_are_a_named_error(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    for name, content in (("cut", whole[:-20]), ("noise", b"PAR1" + bytes(100)), ("empty", b"")):
        (tmp_path / f"{name}.parquet").write_bytes(content)
        with pytest.raises(DatasetUnreadable) as caught:
            _ = open_dataset(str(tmp_path / f"{name}.parquet")).num_rows
        assert str(caught.value).startswith(f"{tmp_path}/{name}.parquet: ")
        assert "\n" not in str(caught.value)

    (tmp_path / "e.csv").write_bytes(b"")
    with pytest.raises(DatasetEmpty, match="no header and no rows"):
        _ = open_dataset(str(tmp_path / "e.csv")).num_rows
    (tmp_path / "twice.csv").write_text("x,y,x\n1,2,3\n")
    with pytest.raises(DatasetUnreadable, match="'x' occurs twice"):
        _ = open_dataset(str(tmp_path / "twice.csv")).schema
    (tmp_path / "latin.csv").write_bytes(b"x\n\xe9t\xe9\n")
    with pytest.raises(DatasetUnreadable, match="UTF8"):
        _ = open_dataset(str(tmp_path / "latin.csv")).schema
    (tmp_path / "no.csv.gz").write_bytes(b"plain text")
    with pytest.raises(DatasetUnreadable):
        _ = open_dataset(str(tmp_path / "no.csv.gz")).schema


def test_credentials_never_show(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="not known") as caught:
        open_dataset("nonsense://ann:s3cret@host/x.csv?token=abc")
    assert "s3cret" not in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_denied(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path)
    path.chmod(0)
    with pytest.raises(StorageDenied) as caught:
        _ = open_dataset(str(path)).num_rows
    assert caught.value.error_kind is ErrorKind.DENIED


def test_a_parquet_file_may_say_something_about_itself(tmp_path: Path) -> None:
    table = pa.table({"a": [1]})
    pq.write_table(table.replace_schema_metadata({"modelyard.notes": '{"excluded": 9430}'}), tmp_path / "a.parquet")
    pq.write_table(table.replace_schema_metadata({"modelyard.notes": "[broken"}), tmp_path / "b.parquet")
    (tmp_path / "c.csv").write_text("a\n1\n")
    assert open_dataset(str(tmp_path / "a.parquet")).notes == {"excluded": 9430}
    assert open_dataset(str(tmp_path / "b.parquet")).notes == {}
    assert open_dataset(str(tmp_path / "c.csv")).notes == {}
