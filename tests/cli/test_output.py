import re

import pytest

from modelyard.cli.output import show_mapping, show_table, show_text


def test_a_table_is_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    long = "models:/" + "x" * 300
    show_table("Models", ["model", "rows"], [[long, 336776], ["b", None]])
    head, first, second = capsys.readouterr().out.splitlines()
    assert head == f"{'MODEL':308}  ROWS"
    assert first == f"{long}  336776"
    assert second == f"{'b':308}  -"


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("Models", ["model"], [], empty="No model yet.")
    assert capsys.readouterr().out == "No model yet.\n"


def test_a_mapping_inside_is_laid_out_below_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    show_mapping("train", {"run": "abc", "metrics": {"auc": 0.7441234, "rows": 10}, "empty": {}, "ok": True})
    assert capsys.readouterr().out.splitlines() == [
        "run      abc",
        "metrics",
        "  auc    0.7441",
        "  rows   10",
        "empty    -",
        "ok       yes",
    ]


def test_nothing_is_shown_of_an_empty_mapping(capsys: pytest.CaptureFixture[str]) -> None:
    show_mapping("train", {})
    show_text("a")
    assert capsys.readouterr().out == "a\n"


def test_a_terminal_gets_a_table_with_text_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    show_table("Models", ["model"], [["[bold]x[/bold] :smile:"]])
    show_mapping("train", {"run": "abc"})
    out = re.sub(r"\x1b\[[0123]?m", "", capsys.readouterr().out)
    assert "[bold]x[/bold] :smile:" in out
    assert "╭─ train ──╮" in out
    assert "│ run  abc │" in out
