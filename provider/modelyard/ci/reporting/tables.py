"""The parts of a report that are about one candidate: metrics, gates, slices, data."""

from collections.abc import Sequence

from modelyard.ci.records import Candidate, DataUse, GateRecord, MetricRecord, SliceRecord
from modelyard.ci.reporting.escaping import code, fenced, label

__all__ = ["data_table", "figure", "gates_table", "metrics_table", "slices_chart", "slices_table"]

_MOST_METRICS, _MOST_SLICES, _MOST_BARS = 40, 15, 14
_WORDS = {"better": "better", "worse": "**worse**", "same": "same", "": ""}


def figure(value: float | None, *, signed: bool = False) -> str:
    """Return a number as people read it.

    Examples
    --------
    >>> figure(0.74412), figure(-0.02, signed=True), figure(12345.6), figure(None)
    ('0.7441', '−0.0200', '12,345.6', '–')
    """
    if value is None or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return "–"
    size = abs(value)
    text = f"{size:.4f}" if size < 10 else f"{size:,.2f}" if size < 1_000 else f"{size:,.1f}"
    if size >= 1e9:
        text = f"{size:.3e}"
    return f"{'−' if value < 0 else '+' if signed and value > 0 else ''}{text}"


def metrics_table(candidate: Candidate, *, short: bool = False) -> str:
    """Return the metrics beside the baseline's; the main one and those of gates alone if `short`."""
    gated = {each.gate.split()[0] for each in candidate.gates if each.gate}
    rows = [each for each in candidate.metrics if not short or each.name in gated or each.name == candidate.main_metric]
    shown = rows[:_MOST_METRICS]
    if not shown:
        return "_No metric is defined on these rows._"
    other = "merge base" if candidate.baseline_kind == "merge-base" else "champion"
    if not candidate.baseline:
        lines = ["| metric | candidate |", "|---|---:|"]
        lines += [f"| {_title(each, candidate)} | {figure(each.candidate)} |" for each in shown]
    else:
        lines = [f"| metric | candidate | {other} | difference | |", "|---|---:|---:|---:|---|"]
        lines += [_compared(each, candidate) for each in shown]
    left_out = len(candidate.metrics) - len(shown)
    return "\n".join(lines) + (f"\n\n_{left_out} more metrics are in the full report._" if left_out else "")


def _compared(each: MetricRecord, candidate: Candidate) -> str:
    values = f"{figure(each.candidate)} | {figure(each.baseline)} | {figure(each.difference, signed=True)}"
    return f"| {_title(each, candidate)} | {values} | {_WORDS[each.direction]} |"


def _title(each: MetricRecord, candidate: Candidate) -> str:
    shown = code(each.name, 80)
    return f"**{shown}**" if each.name == candidate.main_metric else shown


def gates_table(gates: Sequence[GateRecord]) -> str:
    """Return the gates, those that failed first; nothing if none is declared."""
    if not gates:
        return ""
    ordered = sorted(gates, key=lambda each: each.held)
    rows = [
        f"| {code(each.gate)} | {each.state if each.held else f'**{each.state}**'} | {code(each.said, 500)} |"
        for each in ordered
    ]
    return "\n".join(["| gate | | |", "|---|---|---|", *rows])


def slices_table(slices: Sequence[SliceRecord]) -> str:
    """Return the slices on which the candidate does worse, the largest loss first; nothing if there is none."""
    worse = sorted((each for each in slices if each.loss > 0), key=lambda each: -each.loss)[:_MOST_SLICES]
    if not worse:
        return ""
    lines = ["| slice | rows | metric | candidate | baseline | difference |", "|---|---:|---|---:|---:|---:|"]
    for each in worse:
        change = None if each.candidate is None or each.baseline is None else each.candidate - each.baseline
        values = f"{figure(each.candidate)} | {figure(each.baseline)} | {figure(change, signed=True)}"
        lines.append(
            f"| {code(each.column, 60)} = {code(each.value, 80)} | {each.rows} | {code(each.metric, 60)} | {values} |"
        )
    return "\n".join(lines)


def slices_chart(slices: Sequence[SliceRecord]) -> str:
    """Return a chart of the column with the largest loss: bars for the candidate, a line for the baseline."""
    losing = max(slices, key=lambda each: each.loss, default=None)
    if losing is None or losing.loss <= 0:
        return ""
    complete = [
        (each.value, each.candidate, each.baseline)
        for each in slices
        if each.column == losing.column and each.candidate is not None and each.baseline is not None
    ][:_MOST_BARS]
    if len(complete) < 2:
        return ""
    values = [number for _, one, other in complete for number in (one, other)]
    low, high = min(values), max(values)
    space = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    names = ", ".join(f'"{label(name, 24) or "–"}"' for name, _, _ in complete)
    text = "\n".join(
        [
            "xychart-beta",
            f'    title "{label(losing.metric)} by {label(losing.column)}: bars candidate, line baseline"',
            f"    x-axis [{names}]",
            f"    y-axis {low - space:.4f} --> {high + space:.4f}",
            f"    bar [{', '.join(f'{one:.4f}' for _, one, _ in complete)}]",
            f"    line [{', '.join(f'{other:.4f}' for _, _, other in complete)}]",
        ]
    )
    return fenced("mermaid", text)


def data_table(data: Sequence[DataUse]) -> str:
    """Return the datasets that are not the baseline's; nothing if all are, or nothing is known of the baseline's."""
    changed = [each for each in data if each.baseline_digest and each.digest != each.baseline_digest]
    if not changed:
        return ""
    lines = ["| data | candidate | baseline |", "|---|---|---|"]
    for each in changed:
        one, other = (
            _dataset(*pair) for pair in ((each.digest, each.rows), (each.baseline_digest, each.baseline_rows))
        )
        lines.append(f"| {code(each.role)} {code(each.name, 80)} | {one} | {other} |")
    return "\n".join(lines)


def _dataset(digest: str, rows: int) -> str:
    return f"{code(digest[:12])}{f', {rows} rows' if rows else ''}"
