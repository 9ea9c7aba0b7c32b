import io

from rich.console import Console

from modelyard.cli.terminal import TerminalReporter


def test_bars_show_what_is_under_way_and_leave_the_lines() -> None:
    written = io.StringIO()
    reporter = TerminalReporter(Console(file=written, force_terminal=True, width=100, highlight=False))
    with reporter.track("predict", 1000, "rows") as outer:
        outer.advance(250)
        reporter.line("[read] a line")
        with reporter.track("write") as inner:
            inner.advance()
        reporter._bars.refresh()
    reporter.close()
    text = written.getvalue()
    assert "[read] a line" in text
    assert "predict" in text
    assert "250/1000" in text
    assert text.rindex("\x1b[2K") > text.rindex("predict")
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
