"""What Airflow shows people who are asked whether a model may be promoted, as Markdown."""

from collections.abc import Mapping
from typing import Any

__all__ = ["approval_page"]

_MOST = 30
"""So many metrics are shown; the report has them all."""


def approval_page(review: Mapping[str, Any], note: str = "") -> str:
    """Return the page: champion against challenger, the gates, and where the plots are.

    Parameters
    ----------
    review
        The fields of `modelyard.training.review.Review`.
    note
        What the author of the DAG has to say; Markdown, put first.

    Examples
    --------
    >>> review = {
    ...     "model": "models:/delays/4", "name": "delays", "alias": "champion", "current": "models:/delays/3",
    ...     "baseline": "models:/delays/3", "metrics": {"roc_auc": 0.75}, "baseline_metrics": {"roc_auc": 0.744},
    ...     "gates": {"roc_auc >= 0.7": "0.75 >= 0.7: held"}, "evaluation": "", "report": "", "artifact": "",
    ... }
    >>> print(approval_page(review))
    `models:/delays/4` is to become **champion** of delays, in the place of `models:/delays/3`.
    <BLANKLINE>
    | metric | champion (3) | challenger (4) | difference |
    |---|---:|---:|---:|
    | roc_auc | 0.744 | 0.75 | +0.006 |
    <BLANKLINE>
    | gate | outcome |
    |---|---|
    | `roc_auc >= 0.7` | 0.75 >= 0.7: held |
    """
    parts = [note.strip(), _question(review), _metrics(review), _gates(review["gates"]), _places(review)]
    return "\n\n".join(part for part in parts if part)


def _question(review: Mapping[str, Any]) -> str:
    said = f"`{review['model']}` is to become **{_cell(review['alias'])}** of {_cell(review['name'])}"
    if review["current"] == review["model"]:
        return f"`{review['model']}` is **{_cell(review['alias'])}** of {_cell(review['name'])} already."
    return f"{said}, in the place of `{review['current']}`." if review["current"] else f"{said}, which has none yet."


def _metrics(review: Mapping[str, Any]) -> str:
    metrics, others = review["metrics"], review["baseline_metrics"]
    if not metrics:
        return "No evaluation of this version was found." if not review["evaluation"] else ""
    names = _chosen(metrics, review["gates"])
    mine = f"challenger ({_number(review['model'])})"
    if not others:
        rows = [f"| {_cell(name)} | {metrics[name]:.6g} |" for name in names]
        table = [f"| metric | {mine} |", "|---|---:|", *rows]
    else:
        rows = [_row(name, metrics[name], others.get(name)) for name in names]
        table = [f"| metric | {_role(review)} | {mine} | difference |", "|---|---:|---:|---:|", *rows]
    left = len(metrics) - len(names)
    more = f"\n\nLeft out: {left} more metrics; the report has them all." if left else ""
    return "\n".join(table) + more


def _role(review: Mapping[str, Any]) -> str:
    word = "champion" if review["baseline"] == review["current"] else "baseline"
    return f"{word} ({_number(review['baseline'])})"


def _row(name: str, mine: float, other: float | None) -> str:
    theirs, difference = ("", "") if other is None else (f"{other:.6g}", f"{mine - other:+.3g}")
    return f"| {_cell(name)} | {theirs} | {mine:.6g} | {difference} |"


def _chosen(metrics: Mapping[str, float], gates: Mapping[str, str]) -> list[str]:
    """Return the names of the metrics to show: those of the gates first."""
    judged = [name for name in metrics if any(gate.split(" ")[0] == name for gate in gates)]
    return [*judged, *(name for name in sorted(metrics) if name not in judged)][:_MOST]


def _gates(gates: Mapping[str, str]) -> str:
    if not gates:
        return ""
    rows = [f"| `{_cell(gate)}` | {_cell(outcome)} |" for gate, outcome in gates.items()]
    return "\n".join(["| gate | outcome |", "|---|---|", *rows])


def _places(review: Mapping[str, Any]) -> str:
    said = {
        "Report with plots": review["report"],
        "The same as an artifact": review["artifact"],
        "Evaluation (MLflow run)": review["evaluation"],
    }
    return "\n".join(f"- {name}: `{place}`" for name, place in said.items() if place)


def _number(model: str) -> str:
    """Return the version of an exact reference; of another, all of it."""
    last = model.rpartition("/")[2]
    return last if last.isdigit() else _cell(model)


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
