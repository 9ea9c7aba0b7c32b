"""Shows the result of an operation to people."""

from collections.abc import Callable, Mapping
from typing import Any

from modelyard.cli.output import cell, show_mapping, show_table, show_text
from modelyard.operations import OperationSpec

__all__ = ["present", "steps_of"]


def steps_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the state of each step of the workflow that an error's facts tell of; nothing for other errors."""
    steps = facts.get("steps")
    return steps if isinstance(steps, dict) and "workflow" in facts else {}


def present(spec: OperationSpec, result: dict[str, Any]) -> None:
    """Show a result: as a table where the operation has one, else its fields.

    Parameters
    ----------
    spec
        The operation.
    result
        Its result.
    """
    own = _PRESENTERS.get(spec.name)
    if own is None:
        show_mapping(spec.name, result)
    else:
        own(result)


def _workflow(result: dict[str, Any]) -> None:
    rows = [[step, state, _main_values(result["results"].get(step, {}))] for step, state in result["steps"].items()]
    if result.get("url"):
        show_mapping("run", {"run": result["workflow_run"], "url": result["url"]})
    if rows or not result.get("url"):
        show_table(f"workflow run {result['workflow_run']}", ["step", "state", "result"], rows)


def _main_values(result: dict[str, Any]) -> dict[str, str]:
    """Return what fits into a row: the first few values that are there, and the first few of what they have inside."""
    telling = {name: value for name, value in result.items() if value not in (None, "", [], {}) and name != "digest"}
    return {name: _short(telling[name]) for name in list(telling)[:4]}


def _short(value: Any) -> str:
    if isinstance(value, dict) and len(value) > 3:
        return f"{cell(dict(list(value.items())[:3]))}, …"
    return cell(value)


def _gates(result: dict[str, Any]) -> None:
    show_mapping("promote", {name: value for name, value in result.items() if name != "gates"})
    rows = [[gate, verdict] for gate, verdict in result["gates"].items()]
    if rows:
        show_text("")
        show_table("Gates", ["gate", "held"], rows)


def _comparison(result: dict[str, Any]) -> None:
    metrics, baseline = result["metrics"], result["baseline_metrics"]
    show_mapping(
        "evaluate", {name: value for name, value in result.items() if name not in ("metrics", "baseline_metrics")}
    )
    show_text("")
    if baseline:
        rows = [[name, value, baseline.get(name)] for name, value in metrics.items()]
        show_table("Metrics", ["metric", "model", "baseline"], rows)
    else:
        show_table("Metrics", ["metric", "model"], [[name, value] for name, value in metrics.items()])


_PRESENTERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "evaluate": _comparison,
    "promote": _gates,
    "run": _workflow,
}
"""Operation → how its result is shown, where its fields alone say too little."""
