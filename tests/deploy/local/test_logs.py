from pathlib import Path

import pytest

from modelyard.deploy.local import logs


def test_the_log_rotates_and_the_tail_spans_the_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "SIZE", 1000)
    path = tmp_path / "endpoint/logs/endpoint.log"
    with pytest.raises(FileNotFoundError):
        logs.open_log(path)
    path.parents[1].mkdir()
    log = logs.open_log(path)
    for number in range(200):
        log.info("line %d", number)
    for handler in log.handlers:
        handler.close()
    log.handlers.clear()
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "endpoint.log",
        *(f"endpoint.log.{number}" for number in range(1, logs.COUNT + 1)),
    ]
    assert all(each.stat().st_size <= 1000 for each in path.parent.iterdir())
    last = logs.tail(path, 30)
    assert [line.rpartition(" ")[2] for line in last] == [str(number) for number in range(170, 200)]
    assert logs.tail(path, 0) == []
