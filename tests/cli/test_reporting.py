import logging

import pytest

from modelyard.cli.reporting import LineReporter, QuietReporter, reporter_for, reporting


def test_lines_go_to_the_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    LineReporter().line("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_progress_becomes_lines_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("modelyard.cli.reporting.time.monotonic", lambda: now[0])
    with LineReporter(seconds_between=5).track("predict", 2000, "rows") as track:
        for _ in range(4):
            now[0] += 2
            track.advance(500)
    with LineReporter(seconds_between=5).track("short") as track:
        track.advance()
    assert capsys.readouterr().err.splitlines() == [
        "predict: 1,500 of 2,000 rows (75%)",
        "predict: 2,000 of 2,000 rows (100%)",
    ]


def test_without_a_total_there_is_no_share(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with LineReporter(seconds_between=0).track("read", unit="rows") as track:
        track.advance(1234)
    assert capsys.readouterr().err.splitlines()[0] == "read: 1,234 rows"


def test_our_log_lines_and_the_warnings_of_others_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(quiet=False, debug=False):
        logging.getLogger("modelyard.training").info("fitting")
        logging.getLogger("modelyard.training").debug("details")
        logging.getLogger("somebody").info("chatter")
        logging.getLogger("somebody").warning("careful")
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["fitting", "careful"]
    assert logging.getLogger("modelyard").level == logging.NOTSET


def test_debug_shows_more_and_quiet_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(quiet=False, debug=True):
        logging.getLogger("modelyard").debug("details")
    assert capsys.readouterr().err.endswith(" details\n")
    with reporting(quiet=True, debug=False) as reporter:
        logging.getLogger("modelyard").warning("careful")
        reporter.line("line")
        with reporter.track("work", 1) as track:
            track.advance()
    assert capsys.readouterr().err == ""


def test_the_reporter_fits_the_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(reporter_for(quiet=True), QuietReporter)
    assert isinstance(reporter_for(quiet=False), LineReporter)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert type(reporter_for(quiet=False)).__name__ == "TerminalReporter"
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(reporter_for(quiet=False), LineReporter)
