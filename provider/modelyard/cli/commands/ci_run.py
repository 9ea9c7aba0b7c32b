"""``modelyard ci run``: trains and measures what a change needs."""

from typing import Any

import click
import msgspec

from modelyard.ci.errors import RequestWorkFailed
from modelyard.ci.gates import decided
from modelyard.ci.job import FOLDER, CiJob, open_job
from modelyard.ci.outputs import write_outputs
from modelyard.ci.planning import plan_change
from modelyard.ci.records import Baseline, PlanRecord, RunRecord
from modelyard.ci.reporting.escaping import loggable
from modelyard.ci.running import Running, RunRequest
from modelyard.cli.documents import write_json
from modelyard.cli.options import project_options
from modelyard.cli.output import show_table, show_text
from modelyard.cli.reporting import reporting
from modelyard.cli.signals import termination_cancels

__all__ = ["run_job"]


@click.command("run")
@click.argument("workflows", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Run every workflow of the project.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="What the workflows get; may be repeated.")
@click.option(
    "--baseline",
    type=click.Choice(("champion", "merge-base", "none")),
    default="champion",
    show_default=True,
    help="What candidates are compared with; without a champion the merge base is trained in this job.",
)
@click.option(
    "--gate", "gates", multiple=True, metavar="GATE", help="A gate besides those of the workflows; may be repeated."
)
@click.option("--base", metavar="COMMIT", default="", help="What to compare with, where plan.json is not there yet.")
@click.option("--mirror", is_flag=True, help="Log the candidates to GitLab's own registry of experiments, too.")
@click.option("--folder", metavar="PATH", default="", help=f"Where the job's files are.  [default: {FOLDER}]")
@click.option("--quiet", is_flag=True, help="No log lines, only the result.")
@click.option("--dry-run", is_flag=True, help="Show what would run, and run nothing.")
@project_options
def run_job(  # noqa: PLR0913, PLR0917 - a command takes what its flags are
    workflows: tuple[str, ...],
    everything: bool,
    inputs: tuple[str, ...],
    baseline: Baseline,
    gates: tuple[str, ...],
    base: str,
    mirror: bool,
    folder: str,
    quiet: bool,
    dry_run: bool,
    project: str,
    environment: str,
    json: bool,
) -> None:
    """Train and measure what the change needs: the touched workflows, or WORKFLOWS.

    Of each workflow run the steps that train, register and evaluate, and what they need; nothing is promoted, deployed
    or predicted. What came of it is in run.json, also where a step failed; a gate that does not hold is no error yet:
    `ci gate` tells of it after the report.
    """
    job = open_job(project, folder)
    plan = _plan(job, base, everything=everything, dry_run=dry_run)
    request = RunRequest(
        workflows=workflows, inputs=_inputs(inputs), baseline=baseline, gates=gates, environment=environment
    )
    if dry_run:
        _show_intent(Running(job, plan, request), json=json)
        return
    (job.folder.path / "run.json").unlink(missing_ok=True)
    with reporting(quiet=quiet, debug=False) as reporter, termination_cancels():
        record = Running(job, plan, request, progress=reporter).run()
    job.folder.write("run.json", record)
    if mirror:
        _mirror(job, record)
    seen = job.redaction.record(record)
    _publish(job, seen)
    if json:
        write_json(seen)
    else:
        _show(seen)
    if record.all_failures:
        told = [job.redaction(f"{each.step}: {each.message}") for each in record.all_failures]
        raise RequestWorkFailed(told, record.all_failures[0].kind)


def _plan(job: CiJob, base: str, *, everything: bool, dry_run: bool) -> PlanRecord:
    """Return the job's plan; one of another commit, which a workspace that lasts may hold, is made anew."""
    plan = job.folder.read("plan.json", PlanRecord)
    stamp = job.project.stamp
    if plan is not None and not everything and not base:
        moved = bool(plan.head and stamp.commit and plan.head != stamp.commit)
        if not moved and not (job.context.host == "none" and stamp.dirty and not plan.everything):
            return plan
        base = "" if moved else plan.base
        if moved and not dry_run:
            job.folder.clear()
    plan = plan_change(job.project, job.context, base=base, everything=everything)
    if not dry_run:
        job.folder.write("plan.json", plan)
    return plan


def _inputs(given: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--input takes NAME=VALUE, got {each}.")
        found[name] = value
    return found


def _show_intent(running: Running, *, json: bool) -> None:
    slimmed = {name: running.slimmed(name) for name in running.names()}
    if json:
        write_json(
            [
                {"workflow": name, "runs": [step.name for step in each.workflow.steps], "left_out": each.left_out}
                for name, each in slimmed.items()
            ]
        )
        return
    rows = [[name, [step.name for step in each.workflow.steps], list(each.left_out)] for name, each in slimmed.items()]
    show_table("Would run", ["workflow", "steps", "left out"], rows, empty="The change needs no workflow to run.")


def _mirror(job: CiJob, record: RunRecord) -> None:
    from modelyard.ci.running.mirror import mirror

    for line in mirror(job.context, record):
        click.echo(loggable(job.redaction(line)), err=True)


def _publish(job: CiJob, record: RunRecord) -> None:
    candidates = record.candidates
    values: dict[str, str] = {"gate": decided(None, record).gate}
    if candidates:
        first = candidates[0]
        metrics = {each.model: {row.name: row.candidate for row in each.metrics} for each in candidates}
        path = job.folder.write("metrics.json", metrics)
        version = first.model.rpartition("/")[2]
        values |= {
            "run-id": first.evaluation,
            "model-uri": first.model,
            "model-version": version if version.isdigit() else "",
            "digest": first.digest,
            "evaluation": first.evaluation,
            "metrics-file": str(path),
            "models": msgspec.json.encode([each.model for each in candidates]).decode(),
        }
    write_outputs(job.context, values)


def _show(record: RunRecord) -> None:
    rows = [
        [
            each.workflow,
            loggable(each.model),
            loggable(each.baseline) or each.baseline_kind,
            f"{sum(1 for gate in each.gates if gate.state == 'held')} of {len(each.gates)}",
            {row.name: row.candidate for row in each.metrics if row.name == each.main_metric},
        ]
        for each in record.candidates
    ]
    columns = ["workflow", "candidate", "compared with", "gates held", "main metric"]
    show_table("Candidates", columns, rows, empty="No model was measured.")
    for each in record.candidates:
        if each.baseline_note:
            show_text(loggable(each.baseline_note))
    for failure in record.all_failures:
        show_text(f"failed: {loggable(failure.step)}: {loggable(failure.message)}")
