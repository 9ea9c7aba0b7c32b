import json
from pathlib import Path

import pytest

from modelyard.errors import ErrorKind, ErrorRecord
from modelyard.operations.errors import ResultUnreadable
from modelyard.operations.results import read_result, write_result
from modelyard.operations.states import RunState


def test_a_success_carries_its_result(tmp_path: Path) -> None:
    write_result(tmp_path / "deep/down/out.json", "succeeded", result={"rows": 3, "big": 2**60, "text": "ü"})

    file = tmp_path / "deep/down/out.json"
    assert json.loads(file.read_text()) == {"state": "succeeded", "result": {"rows": 3, "big": 2**60, "text": "ü"}}
    read = read_result(file)
    assert read is not None
    assert (read.state, read.error) == (RunState.SUCCEEDED, None)


def test_a_failure_carries_its_error(tmp_path: Path) -> None:
    record = ErrorRecord("ModelNotFound", ErrorKind.NOT_FOUND, "there is no model x", "models:/x", facts={"name": "x"})
    write_result(tmp_path / "out.json", RunState.FAILED, error=record)

    written = json.loads((tmp_path / "out.json").read_text())
    assert written["state"] == "failed"
    assert written["error"]["kind"] == "not_found"
    read = read_result(tmp_path / "out.json")
    assert read is not None
    assert read.error == record


def test_there_may_be_none_yet(tmp_path: Path) -> None:
    assert read_result(tmp_path / "out.json") is None


def test_something_else_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text('{"state": "asleep"}')

    with pytest.raises(ResultUnreadable, match="asleep"):
        read_result(tmp_path / "out.json")


def test_a_result_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "out.json").mkdir()

    with pytest.raises(IsADirectoryError):
        write_result(tmp_path / "out.json", "succeeded", result={})
    assert [each.name for each in tmp_path.iterdir()] == ["out.json"]
