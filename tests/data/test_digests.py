import hashlib
from pathlib import Path

import pytest

from modelyard.data.digests import digest_of, digest_of_digests, digest_of_files, file_digest


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


FILES = {
    "MLmodel": b"flavors: {}\n",
    "code/flights/model.py": b"x = 1\n",
    ".hidden": b"",
    "data.bin": bytes(range(256)),
}


def test_equal_names_and_bytes_give_equal_digests(tmp_path: Path) -> None:
    first = fill(tmp_path / "first", FILES)
    second = fill(tmp_path / "second", dict(reversed(FILES.items())))
    (second / "empty").mkdir()

    assert digest_of(first) == digest_of(second)
    assert digest_of(first) == digest_of_files({name: first / name for name in FILES})
    assert len(digest_of(first)) == 64


@pytest.mark.parametrize(
    "change",
    [{"data.bin": b"other"}, {".hidden": b"x"}, {"new": b""}, {"code/__pycache__/model.pyc": b"evil"}],
    ids=lambda change: next(iter(change)),
)
def test_any_other_byte_or_name_gives_another_digest(tmp_path: Path, change: dict[str, bytes]) -> None:
    folder = fill(tmp_path / "model", FILES)
    before = digest_of(folder)

    assert digest_of(fill(folder, change)) != before


def test_names_and_contents_cannot_be_traded() -> None:
    assert digest_of_digests({"a": "b" * 64, "c": "d" * 64}) != digest_of_digests({"a": "d" * 64, "c": "b" * 64})
    assert digest_of_digests({"ab": "c" * 64}) != digest_of_digests({"a": "b" + "c" * 63})


def test_a_files_digest_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")

    assert file_digest(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


def test_what_is_no_folder_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        digest_of(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError):
        digest_of(tmp_path / "file")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", FILES)
    fill(tmp_path / "elsewhere", {"evil.py": b"x = 2\n"})
    (folder / "code" / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)

    with pytest.raises(OSError, match="a link to a folder"):
        digest_of(folder)
