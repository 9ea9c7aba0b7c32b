"""Tables of many results: of mapped tasks, of parameter sets, of partitions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["summary_of"]

Row = dict[str, Any]


def summary_of(
    results: Iterable[Mapping[str, Any]],
    *,
    labels: Sequence[Any] = (),
    columns: Sequence[str] = (),
    sort_by: str = "",
    descending: bool = True,
    rows: int = 50,
) -> dict[str, Any]:
    """Return many results as one table, the best first.

    Parameters
    ----------
    results
        The results, in their order.
    labels
        What each result is of: its parameters, as columns in front of the result's own, or a text for the column label.
    columns
        The fields of the results to show; ``metrics.auc`` is the field auc of the mapping metrics. By default every
        text, number and truth value, in mappings, too.
    sort_by
        The column to sort by; rows without a number there come last. By default the order stays.
    descending
        Whether the greatest comes first.
    rows
        How many rows to keep: XCom is no place for large tables.

    Returns
    -------
    dict
        ``count`` of all results, the kept ``rows`` with their ``index``, ``best``, the first row with its whole result
        as ``result``, and ``table``, the rows as Markdown.

    Examples
    --------
    >>> found = summary_of([{"auc": 0.7}, {"auc": 0.9}], labels=[{"depth": 3}, {"depth": 9}], sort_by="auc")
    >>> found["best"]
    {'index': 1, 'depth': 9, 'auc': 0.9, 'result': {'auc': 0.9}}
    >>> print(found["table"])
    | index | depth | auc |
    |---|---|---|
    | 1 | 9 | 0.9 |
    | 0 | 3 | 0.7 |
    """
    found = [dict(each) for each in results]
    table: list[Row] = []
    for index, result in enumerate(found):
        flat = dict(_flat(result))
        shown = {name: flat.get(name) for name in columns} if columns else flat
        label = _label(labels[index]) if index < len(labels) else {}
        table.append({"index": index, **label, **shown})
    if sort_by:
        table.sort(key=lambda row: _rank(row.get(sort_by), descending=descending))
    kept = table[:rows]
    best = {**kept[0], "result": found[kept[0]["index"]]} if kept else None
    return {"count": len(found), "rows": kept, "best": best, "table": _markdown(kept)}


def _label(value: Any) -> Row:
    return dict(_flat(value if isinstance(value, Mapping) else {"label": value}))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is None or isinstance(value, str | int | float):
            yield f"{prefix}{name}", value


def _rank(value: Any, *, descending: bool) -> tuple[bool, float]:
    if not isinstance(value, int | float) or math.isnan(value):
        return True, 0.0
    return False, -value if descending else value


def _markdown(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        return ""
    lines = [names, ["---"] * len(names), *([_cell(row.get(name)) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" if line[0] != "---" else f"|{'|'.join(line)}|" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
