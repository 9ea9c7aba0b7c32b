import errno
import os
from pathlib import Path

import pytest

from modelyard.data import (
    DatasetNotFound,
    DatasetUnreadable,
    StorageDenied,
    StorageFull,
    StorageNotFound,
    StorageUnavailable,
    locate,
)
from modelyard.data.locations import shown, storage_errors
from modelyard.errors import ErrorKind, ModelyardError


@pytest.mark.parametrize(
    ("error", "named", "kind"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), StorageFull, ErrorKind.EXHAUSTED),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), StorageFull, ErrorKind.EXHAUSTED),
        (PermissionError("Access Denied"), StorageDenied, ErrorKind.DENIED),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), StorageDenied, ErrorKind.DENIED),
        (FileNotFoundError("no"), DatasetNotFound, ErrorKind.NOT_FOUND),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), DatasetUnreadable, ErrorKind.INVALID),
        (OSError("Unexpected end of stream"), DatasetUnreadable, ErrorKind.INVALID),
        (ConnectionResetError(errno.ECONNRESET, "reset"), StorageUnavailable, ErrorKind.UNAVAILABLE),
        (TimeoutError("too slow"), StorageUnavailable, ErrorKind.UNAVAILABLE),
        (OSError(errno.EIO, "Input/output error"), StorageUnavailable, ErrorKind.UNAVAILABLE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_a_storage_raises_gets_a_name(error: Exception, named: type[ModelyardError], kind: ErrorKind) -> None:
    with pytest.raises(named) as caught, storage_errors("s3://lake/x"):
        raise error

    assert caught.value.error_kind is kind
    assert str(caught.value).startswith("s3://lake/x: ")
    assert caught.value.__cause__ is error


def test_a_missing_place_to_write_to_is_no_missing_dataset() -> None:
    with pytest.raises(StorageNotFound, match="the bucket or folder to write to does not exist"), storage_errors(
        "s3://lake/x", writing=True
    ):  # fmt: skip
        raise FileNotFoundError("The specified bucket does not exist")


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), storage_errors("x"):
        _ = 1 / 0


def test_messages_are_one_short_line_without_credentials() -> None:
    with pytest.raises(StorageUnavailable) as caught, storage_errors("https://host/x"):
        raise TimeoutError("GET https://ann:pw@host/x?token=abc\nfailed " + "and failed " * 100)

    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "pw" not in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "seen"),
    [
        ("s3://key:secret@bucket/x", "s3://bucket/x"),
        ("sftp://ann:p@ss@host/x", "sftp://host/x"),
        ("https://h/x?X-Amz-Signature=abc&y=1", "https://h/x?X-Amz-Signature=…&y=1"),
        ("data/a@b.csv", "data/a@b.csv"),
    ],
)
def test_credentials_are_not_shown(uri: str, seen: str) -> None:
    assert shown(uri) == seen


def test_places_know_where_they_are(tmp_path: Path) -> None:
    folder = locate(str(tmp_path))
    assert folder.local == tmp_path
    assert folder.child("a/b.csv").local == tmp_path / "a/b.csv"
    assert folder.child("a").name == "a"
    assert locate("memory://a/b").local is None
    assert (folder.exists(), folder.is_folder(), folder.child("x").exists()) == (True, True, False)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("/data", "/data", True),
        ("/data/scored", "/data", True),
        ("/data", "/data/a.csv", True),
        ("/data", "/data2", False),
        ("/data/in", "/data/out", False),
        ("memory://data", "/data", False),
        ("memory://data", "memory://data/x", True),
    ],
)
def test_overlaps_are_seen(one: str, other: str, overlap: bool) -> None:
    assert locate(one).overlaps(locate(other)) is overlap
