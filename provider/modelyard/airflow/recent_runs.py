"""What ran last in an environment, read from its journal: workflow runs with their steps, and single operations."""

from datetime import datetime
from typing import Any

from modelyard.operations.errors import JournalDamaged
from modelyard.operations.invocation import Invocation
from modelyard.operations.journal import Journal
from modelyard.operations.records import Record
from modelyard.operations.states import RunState

__all__ = ["recent_runs"]

_LOOKED_AT = 500
"""So many of the newest records are looked at: who wants more asks the journal itself."""

_WORST_FIRST = (RunState.FAILED, RunState.LOST, RunState.CANCELLED)


def recent_runs(journal: Journal, limit: int) -> list[dict[str, Any]]:
    """Return the newest runs: those of one workflow run together, whichever engine ran it.

    Parameters
    ----------
    journal
        The journal of the environment.
    limit
        How many at most.

    Returns
    -------
    list of dict
        The newest first, with ``run``, its name; ``workflow``, empty where it is not known; ``state``; ``began`` and
        ``ended``, in seconds since 1970, the latter None while it runs; ``error``, the first; and ``steps``, in the
        order of their beginning, each with ``step``, ``operation``, ``state``, ``tries``, ``began``, ``ended`` and
        ``error``.

    Raises
    ------
    JournalDamaged
        A record cannot be read.
    """
    runs: dict[str, tuple[str, dict[str, Any]]] = {}
    steps: dict[str, list[dict[str, Any]]] = {}
    for record in journal.records()[:_LOOKED_AT]:
        request = _request(journal, record)
        step = _step(record, request)
        if record.operation == "run":
            workflow = str(request.parameters.get("workflow", "")) if request else ""
            runs[_name(record)] = (workflow, step)
        if request and request.workflow_run:
            steps.setdefault(request.workflow_run, []).append(step)
        elif record.operation != "run":
            steps[record.key] = [step]
    told = []
    for name in {**runs, **steps}:
        workflow, itself = runs.get(name, ("", None))
        told.append(_run(name, workflow, itself, steps.get(name, [])))
    return sorted(told, key=lambda each: -float(each["began"]))[:limit]


def _name(record: Record) -> str:
    """Return what the operation ``run`` calls a run: the same for every attempt, another for each generation."""
    return record.key if record.generation == 1 else f"{record.key}.{record.generation}"


def _request(journal: Journal, record: Record) -> Invocation | None:
    try:
        return journal.job(record).request()
    except JournalDamaged:
        # The newest attempt was begun by somebody who was killed before anything was started.
        return None


def _step(record: Record, request: Invocation | None) -> dict[str, Any]:
    newest = record.newest
    return {
        "step": (request.step if request else "") or record.operation,
        "operation": record.operation,
        "state": str(record.state),
        "tries": newest.number,
        "began": (newest.started or newest.created).timestamp(),
        "ended": _seconds(newest.finished),
        "error": newest.error.message if newest.error else "",
    }


def _run(name: str, workflow: str, itself: dict[str, Any] | None, steps: list[dict[str, Any]]) -> dict[str, Any]:
    parts = sorted(steps, key=lambda each: float(each["began"]))
    whole = itself or {
        "state": _state([each["state"] for each in parts]),
        "began": parts[0]["began"],
        "ended": max((each["ended"] or 0.0 for each in parts), default=0.0),
        "error": next((each["error"] for each in parts if each["error"]), ""),
    }
    finished = RunState(whole["state"]).finished
    return {
        "run": name,
        "workflow": workflow,
        **{fact: whole[fact] for fact in ("state", "began", "error")},
        "ended": (whole["ended"] or None) if finished else None,
        "steps": parts,
    }


def _state(states: list[str]) -> str:
    """Return the state of a whole that is known by its steps alone: it runs while one does, else it is as the worst."""
    if any(not RunState(each).finished for each in states):
        return str(RunState.RUNNING)
    return str(next((each for each in _WORST_FIRST if each in states), RunState.SUCCEEDED))


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None
