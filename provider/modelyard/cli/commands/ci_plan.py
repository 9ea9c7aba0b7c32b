"""``modelyard ci plan``: what a change touches."""

from pathlib import Path

import click
import msgspec

from modelyard.ci.job import FOLDER, open_job
from modelyard.ci.outputs import write_outputs
from modelyard.ci.planning import plan_change
from modelyard.ci.records import PlanRecord
from modelyard.ci.reporting.escaping import loggable
from modelyard.cli.documents import write_json
from modelyard.cli.options import project_options
from modelyard.cli.output import show_table, show_text
from modelyard.operations.generation.template_children import child_pipeline

__all__ = ["plan_job"]


@click.command("plan")
@click.option(
    "--base", metavar="COMMIT", default="", help="What to compare with.  [default: what the job's event says]"
)
@click.option(
    "--head", metavar="COMMIT", default="", help="The commit with the change.  [default: what is checked out]"
)
@click.option("--all", "everything", is_flag=True, help="Take all of the project for touched.")
@click.option("--matrix", is_flag=True, help="Write the touched workflows alone, as JSON for a matrix of jobs.")
@click.option(
    "--child", metavar="FILE", default="", help="Write a pipeline of GitLab, with a job for each touched workflow."
)
@click.option("--folder", metavar="PATH", default="", help=f"Where plan.json goes.  [default: {FOLDER}]")
@click.option("--dry-run", is_flag=True, help="Write no file.")
@project_options
def plan_job(
    base: str,
    head: str,
    everything: bool,
    matrix: bool,
    child: str,
    folder: str,
    dry_run: bool,
    project: str,
    environment: str,
    json: bool,
) -> None:
    """Show which functions, graphs and workflows a change touches.

    Files are compared by git from where the branch began; the project's own imports are followed by reading, and
    nothing of it is run. What is not known to be the same counts as touched.
    """
    del environment
    job = open_job(project, folder)
    plan = plan_change(job.project, job.context, base=base, head=head, everything=everything)
    if not dry_run:
        job.folder.clear()
        job.folder.write("plan.json", plan)
        write_outputs(job.context, _outputs(plan))
        if child:
            _write_child(Path(child), plan)
    if matrix:
        show_text(_matrix(plan))
    elif json:
        write_json(plan)
    else:
        _show(plan)


def _matrix(plan: PlanRecord) -> str:
    return msgspec.json.encode({"include": [{"workflow": each.name} for each in plan.workflows]}).decode()


def _write_child(path: Path, plan: PlanRecord) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(child_pipeline([each.name for each in plan.workflows]), "utf-8")


def _outputs(plan: PlanRecord) -> dict[str, str]:
    lists = {
        part: msgspec.json.encode([each.name for each in getattr(plan, part)]).decode()
        for part in ("functions", "graphs", "workflows")
    }
    return {"affected": str(not plan.is_empty).lower(), **lists, "matrix": _matrix(plan)}


def _show(plan: PlanRecord) -> None:
    show_text(plan.summary)
    if plan.everything:
        show_text(f"all of the project counts as touched: {loggable(plan.everything)}")
    kinds = (("function", plan.functions), ("graph", plan.graphs), ("workflow", plan.workflows))
    rows = [[kind, each.name, loggable(", ".join(each.reasons))] for kind, found in kinds for each in found]
    if rows:
        show_table("Touched", ["kind", "name", "because of"], rows)
