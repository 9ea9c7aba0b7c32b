"""``modelyard ci gate``: the exit code of a change."""

import click

from modelyard.ci.folder import together
from modelyard.ci.freshness import check_present
from modelyard.ci.gates import GateDecision, decided
from modelyard.ci.job import FOLDER, open_job
from modelyard.ci.outputs import write_outputs
from modelyard.ci.previews import PreviewsRecord
from modelyard.ci.records import PlanRecord
from modelyard.ci.reporting.escaping import loggable
from modelyard.cli.documents import write_json
from modelyard.cli.options import project_options
from modelyard.cli.output import show_table, show_text

__all__ = ["gate_job"]


@click.command("gate")
@click.option("--folder", metavar="PATH", default="", help=f"Where the job's files are.  [default: {FOLDER}]")
@click.option("--dry-run", is_flag=True, help="Show the gates, and end with 0 whatever came of them.")
@project_options
def gate_job(folder: str, dry_run: bool, project: str, environment: str, json: bool) -> None:
    """End with the exit code of a failed gate if one does not hold, or of the work if a step failed.

    It judges what `ci run` has recorded; where a change touches nothing, there is nothing to hold.
    """
    del environment
    job = open_job(project, folder)
    previews = job.folder.read("preview.json", PreviewsRecord) or PreviewsRecord()
    plan, runs = job.folder.read("plan.json", PlanRecord), job.folder.each_run()
    check_present(job, plan, runs)
    decision = decided(plan, together(runs), previews.previews)
    if not dry_run:
        job.folder.write("gate.json", decision)
        write_outputs(job.context, {"gate": decision.gate})
    if dry_run or decision.gate != "fail":
        _show(decision, json=json)
    elif not json:
        _show(decision, json=False)
    if not dry_run:
        decision.check()


def _show(decision: GateDecision, *, json: bool) -> None:
    if json:
        write_json(decision)
        return
    rows = [
        [loggable(model), loggable(gate), state, loggable(said)]
        for state, found in (
            ("failed", decision.failed),
            ("skipped", decision.skipped),
            ("held", decision.held),
        )
        for model, gates in found.items()
        for gate, said in gates.items()
    ]
    show_table("Gates", ["model", "gate", "", "what came of it"], rows, empty="No gate was judged.")
    for each in decision.failures:
        show_text(f"failed: {loggable(each)}")
