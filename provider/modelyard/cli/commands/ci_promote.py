"""``modelyard ci promote``: promotes what a report names."""

import click

from modelyard.ci.folder import CiFolder
from modelyard.ci.job import FOLDER, open_job
from modelyard.ci.outputs import write_outputs
from modelyard.ci.previews import PreviewsRecord
from modelyard.ci.promotion import promotion_of
from modelyard.ci.records import RunRecord
from modelyard.ci.reporting.escaping import loggable
from modelyard.cli.documents import write_json
from modelyard.cli.options import project_options
from modelyard.cli.output import show_mapping, show_text
from modelyard.projects.dispatch import acknowledge, dispatch
from modelyard.tracking import open_tracking

__all__ = ["promote_job"]


@click.command("promote")
@click.option("--model", metavar="URI", default="", help="Which candidate, where the report has several.")
@click.option("--alias", metavar="NAME", default="champion", show_default=True, help="The alias to move.")
@click.option("--folder", metavar="PATH", default="", help=f"Where the job's files are.  [default: {FOLDER}]")
@click.option("--dry-run", is_flag=True, help="Check everything that can be checked, and move nothing.")
@project_options
def promote_job(model: str, alias: str, folder: str, dry_run: bool, project: str, environment: str, json: bool) -> None:
    """Promote exactly the model version that the report names.

    Its files must be those that were judged, and the gates must still hold: the champion must be the one that it was
    compared with. Put the job behind the host's approval.
    """
    job = open_job(project, folder)
    run: RunRecord | None = job.folder.runs()
    if run is None:
        run = _missing(job.folder)
    chosen = job.project.environment(environment)
    previews = job.folder.read("preview.json", PreviewsRecord) or PreviewsRecord()
    promotion = promotion_of(run, open_tracking(chosen, job.project.name), model, alias, previews.previews)
    parameters = {
        "model": promotion.candidate.model,
        "evaluation": promotion.candidate.evaluation,
        "gates": list(promotion.gates),
        "alias": alias,
    }
    if dry_run:
        if json:
            write_json(parameters)
        else:
            show_text(f"would promote {loggable(promotion.candidate.model)} to {loggable(alias)}")
        return
    done = dispatch("promote", parameters, project=job.project.reference, environment=chosen.name)
    job.folder.write("promote.json", done.result)
    version = promotion.candidate.model.rpartition("/")[2]
    previous = done.result["previous"] or ""
    values = {"model-uri": done.result["model"], "model-version": version, "alias": alias, "previous": previous}
    write_outputs(job.context, values)
    if json:
        write_json(done.result)
    else:
        show_mapping("promote", {name: value for name, value in done.result.items() if value not in (None, "", {})})
    acknowledge(done)


def _missing(folder: CiFolder) -> RunRecord:
    return folder.require("run.json", RunRecord)
