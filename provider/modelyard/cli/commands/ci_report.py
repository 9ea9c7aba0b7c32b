"""``modelyard ci report``: writes what a job found where people look."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click

from modelyard.ci.errors import ForgeError
from modelyard.ci.folder import CiFolder
from modelyard.ci.forges import DeploymentReport, Forge, open_forge
from modelyard.ci.hosts import CiContext, detect
from modelyard.ci.job import FOLDER, CiJob, open_job
from modelyard.ci.outputs import write_outputs
from modelyard.ci.records import FailureRecord, PlanRecord, PreviewRecord, PreviewsRecord, RunRecord
from modelyard.ci.redaction import Redaction
from modelyard.ci.reporting import (
    Delivery,
    Publisher,
    Report,
    StatusKind,
    annotations_of,
    build_report,
    gitlab_annotations,
    junit,
    openmetrics,
    render,
    workflow_command,
)
from modelyard.ci.reporting.escaping import loggable
from modelyard.cli.documents import write_json
from modelyard.cli.options import project_options
from modelyard.cli.output import show_table, show_text
from modelyard.errors import ModelyardError
from modelyard.graphs import LibraryMissing

__all__ = ["report_job"]


class _Found(NamedTuple):
    """What the commands before have left."""

    name: str
    context: CiContext
    folder: CiFolder
    redaction: Redaction
    plan: PlanRecord | None
    run: RunRecord | None
    previews: tuple[PreviewRecord, ...]


@click.command("report")
@click.option("--folder", metavar="PATH", default="", help=f"Where the job's files are.  [default: {FOLDER}]")
@click.option(
    "--status",
    type=click.Choice(("auto", "check", "status", "none")),
    default="auto",
    help="What is put beside the commit; auto is a check run, or a status where the token may no more.",
)
@click.option("--artifacts", metavar="URL", default="", help="Where the job's artifacts are, for a link.")
@click.option("--pending", is_flag=True, help="Only say beside the commit that the work has begun.")
@click.option("--dry-run", is_flag=True, help="Write the report to the standard output, and nothing anywhere else.")
@project_options
def report_job(
    folder: str,
    status: StatusKind,
    artifacts: str,
    pending: bool,
    dry_run: bool,
    project: str,
    environment: str,
    json: bool,
) -> None:
    """Write what the job found: one comment on the request, a status beside the commit, the page of the job.

    The comment is made once and then updated. What the forge does not take is told and no error: it is on the page of
    the job, and in report.md among the job's files.
    """
    del environment
    found = _found(project, folder)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    report = build_report(
        found.name,
        found.context,
        plan=found.plan,
        run=found.run,
        previews=found.previews,
        artifacts=found.redaction(artifacts),
        at=now,
    )
    if dry_run:
        text = found.redaction(render(report))
        if json:
            write_json({"verdict": report.verdict, "report": text})
        else:
            show_text(text)
        return
    if not pending:
        _keep(found, report)
    deliveries = _published(found, report, status, pending=pending)
    _tell(found, report, deliveries, json=json)


def _found(project: str, folder: str) -> _Found:
    """Return what there is to report; a project that cannot be opened is reported, too."""
    try:
        job: CiJob = open_job(project, folder)
    except ModelyardError as error:
        context = detect()
        name = Path(project).absolute().name
        failure = FailureRecord("project", error.error_kind.value, str(error))
        run = RunRecord(project=name, failures=(failure,))
        place = CiFolder(Path(folder or FOLDER))
        redaction = Redaction.of(dict(_environment()))
        return _Found(name, context, place, redaction, None, redaction.record(run), ())
    records = job.folder
    plan, run_record = records.read("plan.json", PlanRecord), records.runs()
    previews = records.read("preview.json", PreviewsRecord) or PreviewsRecord()
    clean = job.redaction
    return _Found(
        job.project.name,
        clean.record(job.context),
        records,
        clean,
        plan and clean.record(plan),
        run_record and clean.record(run_record),
        clean.record(previews).previews,
    )


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def _keep(found: _Found, report: Report) -> None:
    """Write the files first: whatever the forge says, the job's artifacts have them."""
    found.folder.write_text("report.md", render(report, limit=10_000_000))
    found.folder.write_text("metrics.txt", openmetrics(found.run))
    found.folder.write_text("junit.xml", junit(found.run))
    links = [(f"Preview of {each.graph}", each.url) for each in found.previews if each.url and not found.context.fork]
    found.folder.write("annotations.json", gitlab_annotations(links))


def _published(found: _Found, report: Report, status: StatusKind, *, pending: bool) -> list[Delivery]:
    forge: Forge | None = None
    context, obstacle = found.context, ""
    try:
        forge = open_forge(context)
    except (LibraryMissing, ForgeError) as error:
        obstacle = found.redaction(str(error))
    publisher = Publisher(context, forge, found.redaction, obstacle)
    try:
        if pending:
            return [publisher.pending(found.name, status)]
        return publisher.publish(
            report, annotations=annotations_of(found.run), status=status, deployments=_deployments(found, report)
        )
    finally:
        if forge:
            forge.close()


def _deployments(found: _Found, report: Report) -> list[DeploymentReport]:
    """Return what a forge is told of the previews that last."""
    return [
        DeploymentReport(report.commit, f"preview/{each.endpoint}", each.url, "success", found.context.run_url)
        for each in found.previews
        if each.url and not each.failure and report.commit and not found.context.fork
    ]


def _tell(found: _Found, report: Report, deliveries: list[Delivery], *, json: bool) -> None:
    path = str(found.folder.path / "report.md")
    write_outputs(found.context, {"verdict": report.verdict.state, "report-path": path})
    if found.context.host == "github":
        # On the standard error: the runner reads both, and --json promises JSON alone on the standard output.
        for each in annotations_of(found.run):
            sys.stderr.write(f"{workflow_command(each)}\n")
    if json:
        write_json({"verdict": report.verdict, "report_path": path, "deliveries": deliveries})
        return
    show_text(loggable(found.redaction(report.verdict.line)))
    rows = [[each.channel, each.state, loggable(each.reason or each.url)] for each in deliveries]
    show_table("Report", ["part", "state", "why or where"], rows)
