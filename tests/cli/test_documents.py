from pathlib import Path

import pytest

from modelyard.cli.documents import read_mapping, write_json
from modelyard.cli.errors import FileUnreadable


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"rows": 3, "big": 123456789012345678901234567890}', {"rows": 3, "big": 123456789012345678901234567890}),
        ("rows: 3\nsince: 2013-07-01\nnames: [a, b]\n", {"rows": 3, "since": "2013-07-01", "names": ["a", "b"]}),
        ("{rows: 3}", {"rows": 3}),
        ("ä: ö", {"ä": "ö"}),
    ],
)
def test_json_and_yaml_are_read(tmp_path: Path, text: str, value: object) -> None:
    file = tmp_path / "parameters"
    file.write_text(text, encoding="utf-8")
    assert read_mapping(str(file), "--parameters-file") == value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[1, 2]", "must hold a mapping from names to values"),
        (b"", "must hold a mapping from names to values"),
        (b"1: 2", "must hold a mapping from names to values"),
        (b"a: [1\nb: 2\n", "is neither JSON nor YAML at line 2"),
        (b'{"a": [}', "is neither JSON nor YAML at line 1"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "parameters"
    file.write_bytes(content)
    with pytest.raises(FileUnreadable) as refused:
        read_mapping(str(file), "--parameters-file")
    assert str(refused.value).startswith(f"--parameters-file: {file} {words}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="No such file or directory"):
        read_mapping(str(tmp_path / "absent"), "--parameters-file")


def test_json_is_written_indented_and_in_unicode(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({"name": "grün", "rows": 1, "nan": float("nan")})
    assert capsys.readouterr().out == '{\n  "name": "grün",\n  "rows": 1,\n  "nan": null\n}\n'
