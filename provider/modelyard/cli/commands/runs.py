"""``modelyard runs``: the journal of an environment."""

from datetime import datetime
from typing import Any

import click
import msgspec

from modelyard.cli.documents import write_json
from modelyard.cli.errors import RunNotFound
from modelyard.cli.moments import duration, when
from modelyard.cli.options import project_options
from modelyard.cli.output import show_mapping, show_table, show_text
from modelyard.cli.tree import CommandGroup
from modelyard.operations.jobs import Job
from modelyard.operations.journal import Journal
from modelyard.operations.records import Attempt, Record
from modelyard.operations.states import RunState
from modelyard.projects.dispatch import cancel, journal_of

__all__ = ["runs"]


@click.group(cls=CommandGroup)
def runs() -> None:
    """Show what ran and what runs: list, show, cancel."""


@runs.command("list")
@click.option("--state", type=click.Choice([state.value for state in RunState]), help="Only those in this state.")
@click.option("--operation", default="", metavar="NAME", help="Only those of this operation.")
@click.option("--limit", default=30, show_default=True, metavar="INTEGER", help="How many at most; 0 for all.")
@project_options
def list_runs(state: str | None, operation: str, limit: int, project: str, environment: str, json: bool) -> None:
    """List the newest run of every key, the newest first."""
    found = [
        record
        for record in journal_of(project, environment).records()
        if state in (None, record.state) and operation in ("", record.operation)
    ][: limit or None]
    if json:
        write_json([_facts(record) for record in found])
        return
    rows = [
        [each.key, each.operation, each.state, _moment(each.newest.created), _took(each.newest), _tries(each)]
        for each in found
    ]
    show_table("Runs", ["key", "operation", "state", "began", "took", "try"], rows, empty="Nothing ran yet.")


@runs.command("show")
@click.argument("key")
@click.option("--generation", default=0, metavar="INTEGER", help="Which generation of the key.  [default: the newest]")
@click.option("--log", is_flag=True, help="Show the log of the newest attempt, too.")
@project_options
def show_run(key: str, generation: int, log: bool, project: str, environment: str, json: bool) -> None:
    """Show one run: what it was asked, how it went, what came of it."""
    journal = journal_of(project, environment)
    record = _found(journal, key, generation)
    job = journal.job(record)
    text = _log_of(job) if log else ""
    facts = {**_facts(record), **_outcome(job)}
    if json:
        write_json({**facts, "log": text} if log else facts)
        return
    attempts = facts.pop("attempts")
    show_mapping(record.key, facts)
    if len(attempts) > 1:
        show_text("")
        rows = [
            [each.number, each.state, _moment(each.created), _took(each), each.error and each.error.message]
            for each in record.attempts
        ]
        show_table("Attempts", ["try", "state", "began", "took", "error"], rows)
    if text:
        show_text(f"\n{text}")


@runs.command("cancel")
@click.argument("key")
@project_options
def cancel_run(key: str, project: str, environment: str, json: bool) -> None:
    """Cancel what runs under a key; what has ended stays as it is."""
    journal = journal_of(project, environment)
    record = _found(journal, key, 0)
    handle = journal.job(record).handle()
    state = record.state if record.state.finished or handle is None else cancel(handle)
    if json:
        write_json({"key": key, "state": state})
    else:
        show_text(f"{key} had {state} before" if record.state.finished else f"{key} is {state}")


def _found(journal: Journal, key: str, generation: int) -> Record:
    record = journal.record(key, generation)
    if record is None:
        raise RunNotFound(key, generation, [each.key for each in journal.records()])
    return record


def _facts(record: Record) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(record)
    return {
        "key": record.key,
        "generation": record.generation,
        "operation": record.operation,
        "state": record.state,
        "acknowledged": record.acknowledged is not None,
        "attempts": plain["attempts"],
    }


def _outcome(job: Job) -> dict[str, Any]:
    request, ended, handle = job.request(), job.result(), job.handle()
    facts: dict[str, Any] = {
        "project": request.project,
        "environment": request.environment,
        "parameters": request.parameters,
        "log_file": str(job.log),
    }
    if handle:
        facts["process"] = {"launcher": handle.launcher, "host": handle.host, "pid": handle.pid}
    if ended and ended.result is not None:
        facts["result"] = ended.result
    if ended and ended.error:
        facts["error"] = msgspec.to_builtins(ended.error)
    return facts


def _log_of(job: Job) -> str:
    return job.log.read_text(encoding="utf-8", errors="replace") if job.log.exists() else ""


def _moment(moment: datetime | None) -> str:
    return when(moment.timestamp()) if moment else ""


def _took(attempt: Attempt) -> str:
    if attempt.started is None or attempt.finished is None:
        return ""
    seconds = round((attempt.finished - attempt.started).total_seconds())
    if seconds == 0:
        return "under 1 s"
    return f"{seconds} s" if seconds < 60 else duration(seconds)


def _tries(record: Record) -> str:
    """Return generation and attempt, where there is more than the first of them."""
    again = f"{record.generation}." if record.generation > 1 else ""
    return f"{again}{record.newest.number}"
