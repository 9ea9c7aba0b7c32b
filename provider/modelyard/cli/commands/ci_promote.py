"""``modelyard ci promote``: promotes what a report names, and takes it back."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click
import msgspec

from modelyard.ci.job import FOLDER, CiJob, open_job
from modelyard.ci.outputs import write_outputs
from modelyard.ci.previews import PreviewsRecord
from modelyard.ci.promotion import Promoted, Promotion, PromotionsRecord, promotions_of
from modelyard.ci.records import RunRecord
from modelyard.ci.reporting.escaping import loggable
from modelyard.cli.documents import write_json
from modelyard.cli.options import project_options
from modelyard.cli.output import show_table, show_text
from modelyard.projects.dispatch import acknowledge, dispatch
from modelyard.tracking import Tracking, open_tracking

__all__ = ["promote_job"]

_FILE = "promote.json"


@click.command("promote")
@click.option("--model", metavar="URI", default="", help="The only candidate to promote.  [default: each]")
@click.option("--alias", metavar="NAME", default="champion", show_default=True, help="The alias to move.")
@click.option("--back", is_flag=True, help="Take back what promote.json says: each alias names again what it did.")
@click.option("--folder", metavar="PATH", default="", help=f"Where the job's files are.  [default: {FOLDER}]")
@click.option("--dry-run", is_flag=True, help="Check everything that can be checked, and move nothing.")
@project_options
def promote_job(
    model: str, alias: str, back: bool, folder: str, dry_run: bool, project: str, environment: str, json: bool
) -> None:
    """Promote exactly the model versions that the report names, one for each registered model.

    Their files must be those that were judged, and the gates must still hold: the champion must be the one that they
    were compared with. Put the job behind the host's approval.
    """
    job = open_job(project, folder)
    chosen = job.project.environment(environment)
    opened = partial(open_tracking, chosen, job.project.name)
    if back:
        _take_back(job, opened, chosen.name, dry_run=dry_run, json=json)
        return
    run = job.folder.runs() or job.folder.require("run.json", RunRecord)
    previews = job.folder.read("preview.json", PreviewsRecord) or PreviewsRecord()
    promotions = promotions_of(run, opened, model, alias, previews.previews)
    if dry_run:
        _show_intent([_parameters(each, alias) for each in promotions], json=json)
        return
    record = _promote(job, opened, chosen.name, promotions, alias)
    _publish(job, record)
    if json:
        write_json(record)
    else:
        _show(record)


def _parameters(promotion: Promotion, alias: str) -> dict[str, Any]:
    candidate = promotion.candidate
    return {
        "model": candidate.model,
        "evaluation": candidate.evaluation,
        "gates": list(promotion.gates),
        "alias": alias,
    }


def _promote(
    job: CiJob, opened: Callable[[], Tracking], environment: str, promotions: Sequence[Promotion], alias: str
) -> PromotionsRecord:
    """Promote each in turn; what is done is written down at once, so that it can be taken back if a later one fails."""
    job.folder.write(_FILE, PromotionsRecord())
    record = PromotionsRecord(
        passed_over={worse: each.candidate.model for each in promotions for worse in each.passed_over}
    )
    for each in promotions:
        before = opened().registry.aliases(each.candidate.model.split("/")[1]).get(alias)
        done = dispatch("promote", _parameters(each, alias), project=job.project.reference, environment=environment)
        found = Promoted(
            model=done.result["model"],
            name=done.result["name"],
            alias=alias,
            previous=done.result["previous"] or "",
            gates=done.result["gates"],
            moved=str(before) != each.candidate.model.rpartition("/")[2],
        )
        record = msgspec.structs.replace(record, promotions=(*record.promotions, found))
        job.folder.write(_FILE, record)
        acknowledge(done)
    return record


def _publish(job: CiJob, record: PromotionsRecord) -> None:
    values = {"models": msgspec.json.encode([each.model for each in record.promotions]).decode()}
    for first in record.promotions[:1]:
        version = first.model.rpartition("/")[2]
        values |= {"model-uri": first.model, "model-version": version, "alias": first.alias, "previous": first.previous}
    write_outputs(job.context, values)


def _show_intent(intended: Sequence[dict[str, Any]], *, json: bool) -> None:
    if json:
        write_json({"promotions": intended})
        return
    lines = [f"would promote {loggable(each['model'])} to {loggable(each['alias'])}" for each in intended]
    show_text("\n".join(lines) or "No model was measured.")


def _show(record: PromotionsRecord) -> None:
    rows = [
        [
            loggable(each.model),
            each.alias,
            "promoted" if each.moved else "was there already",
            each.previous,
            len(each.gates),
        ]
        for each in record.promotions
    ]
    rows += [
        [loggable(worse), "", f"passed over: {loggable(better)} is better", "", ""]
        for worse, better in record.passed_over.items()
    ]
    show_table(
        "Promotions",
        ["model", "alias", "what came of it", "before", "gates held"],
        rows,
        empty="No model was measured.",
    )


def _take_back(job: CiJob, opened: Callable[[], Tracking], environment: str, *, dry_run: bool, json: bool) -> None:
    """Move each alias back to what it named before, unless somebody has moved it since."""
    record = job.folder.read(_FILE, PromotionsRecord) or PromotionsRecord()
    told: list[dict[str, str]] = []
    for each in reversed(record.promotions):
        present = opened().registry.aliases(each.name).get(each.alias)
        said = _reason_to_stay(each, present)
        if not said:
            said = "would be taken back" if dry_run else "taken back"
            if not dry_run:
                parameters = {"model": each.previous, "alias": each.alias}
                acknowledge(dispatch("promote", parameters, project=job.project.reference, environment=environment))
        told.append({"model": each.model, "alias": each.alias, "before": each.previous, "said": said})
    if json:
        write_json({"promotions": told})
    else:
        rows = [[loggable(each["model"]), each["alias"], each["said"], each["before"]] for each in told]
        show_table("Promotions", ["model", "alias", "what came of it", "before"], rows, empty="Nothing was promoted.")


def _reason_to_stay(promoted: Promoted, present: int | None) -> str:
    if not promoted.previous:
        return "stays: there was none before"
    if f"models:/{promoted.name}/{present}" == promoted.previous:
        return "was taken back already"
    if f"models:/{promoted.name}/{present}" != promoted.model:
        return "stays: the alias has been moved since"
    return ""
