"""``modelyard ci report``: writes what a job found where people look."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

import click
import msgspec

from modelyard.ci.errors import FolderIncomplete, FolderUnwritable, ForgeError, RunOutdated
from modelyard.ci.folder import CiFolder, together
from modelyard.ci.forges import DeploymentReport, Forge, open_forge
from modelyard.ci.freshness import check_present
from modelyard.ci.hosts import CiContext, detect
from modelyard.ci.job import FOLDER, CiJob, open_job
from modelyard.ci.outputs import write_outputs
from modelyard.ci.previews import PreviewRecord, PreviewsRecord
from modelyard.ci.records import FailureRecord, PlanRecord, RunRecord
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

LeftT = TypeVar("LeftT")


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
    kept = [] if pending else _keep(found, report)
    deliveries = [*kept, *_published(found, report, status, pending=pending)]
    _tell(found, report, deliveries, json=json)


def _found(project: str, folder: str) -> _Found:
    """Return what there is to report; a project that cannot be opened is reported, too."""
    try:
        job: CiJob = open_job(project, folder)
    except ModelyardError as error:
        context = detect()
        name = Path(project).absolute().name
        failure = FailureRecord("project", error.error_kind.value, str(error))
        place, redaction = CiFolder(Path(folder or FOLDER)), Redaction.of(os.environ)
        unopened = RunRecord(project=name, failures=(failure,))
        return _Found(name, context, place, redaction, None, redaction.record(unopened), ())
    plan, run, previews = _left(job)
    clean = job.redaction
    return _Found(
        job.project.name,
        clean.record(job.context),
        job.folder,
        clean,
        plan and clean.record(plan),
        run and clean.record(run),
        clean.record(previews).previews,
    )


def _left(job: CiJob) -> tuple[PlanRecord | None, RunRecord | None, PreviewsRecord]:
    """Return what the commands before have left for this commit; what cannot be used is a failure to report."""
    problems: list[ModelyardError] = []

    def tried(read: Callable[[], LeftT | None]) -> LeftT | None:
        try:
            return read()
        except FolderIncomplete as error:
            problems.append(error)
            return None

    plan = tried(lambda: job.folder.read("plan.json", PlanRecord))
    runs = tried(job.folder.each_run) or {}
    previews = tried(lambda: job.folder.read("preview.json", PreviewsRecord)) or PreviewsRecord()
    try:
        check_present(job, plan, runs)
    except RunOutdated as error:
        problems.append(error)
        plan, runs, previews = None, {}, PreviewsRecord()
    if not problems:
        return plan, together(runs), previews
    failures = tuple(FailureRecord(Path(each.where).name, each.error_kind.value, str(each)) for each in problems)
    run = together(runs) or RunRecord(job.project.name, commit=job.project.stamp.commit)
    return plan, msgspec.structs.replace(run, failures=(*failures, *run.failures)), previews


def _keep(found: _Found, report: Report) -> list[Delivery]:
    """Write the files first: whatever the forge says, the job's artifacts have them."""
    links = [(f"Preview of {each.graph}", each.url) for each in found.previews if each.url and not found.context.fork]
    try:
        found.folder.write_text("report.md", render(report, limit=10_000_000))
        found.folder.write_text("metrics.txt", openmetrics(found.run))
        found.folder.write_text("junit.xml", junit(found.run))
        found.folder.write("annotations.json", gitlab_annotations(links))
    except FolderUnwritable as error:
        return [Delivery("files", "failed", str(error))]
    return []


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
