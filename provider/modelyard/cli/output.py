"""Shows results on the standard output: tables and panels on a terminal, plain aligned text otherwise, or JSON."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

__all__ = ["cell", "show_mapping", "show_table", "show_text"]


def cell(value: Any) -> str:
    """Return a value as people read it.

    Examples
    --------
    >>> cell(None), cell(True), cell(0.74412345), cell(40123), cell(["a", "b"]), cell({"auc": 0.5})
    ('-', 'yes', '0.7441', '40123', 'a, b', 'auc=0.5')
    """
    if value is None or value in ("", [], {}, ()):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1_000 else f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={cell(each)}" for name, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(cell(each) for each in value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str = "Nothing.") -> None:
    """Show rows under headings; `empty` is said where there is no row."""
    cells = [[cell(value) for value in row] for row in rows]
    if not cells:
        show_text(empty)
    elif _pretty():
        from rich.table import Table
        from rich.text import Text

        table = Table(header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*row)
        _print(Text(title, style="bold"), table)
    else:
        _write_aligned([[column.upper() for column in columns], *cells])


def show_mapping(title: str, values: Mapping[str, Any]) -> None:
    """Show names and values; a mapping inside is laid out below its name."""
    rows = _laid_out(values)
    if _pretty():
        from rich.panel import Panel
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold")
        grid.add_column(overflow="fold")
        for name, value in rows:
            grid.add_row(name, value)
        _print(Panel(grid, title=title, title_align="left", expand=False))
    else:
        _write_aligned([list(row) for row in rows])


def show_text(text: str) -> None:
    """Show text as it is."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def _laid_out(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            rows.append((name, ""))
            rows += [(f"  {inner}", shown) for inner, shown in _laid_out(value)]
        else:
            rows.append((name, cell(value)))
    return rows


def _pretty() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _print(*drawn: Any) -> None:
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(*drawn, sep="\n")


def _write_aligned(rows: list[list[str]]) -> None:
    """Write columns that never cut a value: logs are read by programs, too."""
    columns = range(len(rows[0]) if rows else 0)
    widths = [max(len(row[index]) for row in rows) for index in columns]
    for row in rows:
        line = "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{line.rstrip()}\n")
