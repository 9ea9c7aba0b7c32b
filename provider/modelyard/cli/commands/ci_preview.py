"""``modelyard ci preview``: deploys a change's graphs and asks them."""

import re

import click

from modelyard.ci.errors import ForgeError
from modelyard.ci.forges import DeploymentReport, open_forge
from modelyard.ci.job import FOLDER, CiJob, open_job
from modelyard.ci.outputs import write_outputs
from modelyard.ci.previewing import Previewing, PreviewRequestFacts, read_requests
from modelyard.ci.previews import PreviewRecord, PreviewsRecord
from modelyard.ci.records import PlanRecord
from modelyard.ci.redaction import Redaction
from modelyard.ci.reporting.escaping import loggable
from modelyard.ci.reporting.publishing import Publisher
from modelyard.cli.documents import write_json
from modelyard.cli.options import project_options
from modelyard.cli.output import show_table, show_text
from modelyard.cli.reporting import reporting
from modelyard.cli.signals import termination_cancels

__all__ = ["preview_job"]

_SPAN = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@click.command("preview")
@click.option("--graph", "graphs", multiple=True, metavar="NAME", help="A graph; may be repeated.")
@click.option("--requests", metavar="FILE", default="", help="Bodies to send: a JSON list, or one on each line.")
@click.option("--lasting", is_flag=True, help="Leave it when the job has ended.")
@click.option(
    "--ttl", metavar="SPAN", default="72h", show_default=True, help="How long a lasting one stays; 0s for ever."
)
@click.option("--stop", is_flag=True, help="End the lasting previews of this request.")
@click.option("--expired", is_flag=True, help="End every lasting preview whose time is over.")
@click.option("--endpoint", metavar="NAME", default="", help="The endpoint's name.  [default: GRAPH-pr-NUMBER]")
@click.option("--target", metavar="NAME", default="", help="The kind of place.  [default: what the environment says]")
@click.option("--folder", metavar="PATH", default="", help=f"Where the job's files are.  [default: {FOLDER}]")
@click.option("--dry-run", is_flag=True, help="Show what would be deployed or ended, and do nothing.")
@project_options
def preview_job(  # noqa: PLR0913, PLR0917 - a command takes what its flags are
    graphs: tuple[str, ...],
    requests: str,
    lasting: bool,
    ttl: str,
    stop: bool,
    expired: bool,
    endpoint: str,
    target: str,
    folder: str,
    dry_run: bool,
    project: str,
    environment: str,
    json: bool,
) -> None:
    """Deploy the change's graphs with its candidates, ask them requests beside the champion, and take them away again.

    With --lasting they stay until --stop, or until --expired finds their time over. What goes wrong is in preview.json
    and in the report, and is no error of this command.
    """
    if endpoint and len(graphs) > 1:
        raise click.UsageError("--endpoint names one endpoint; give one --graph with it.")
    job = open_job(project, folder)
    asked = PreviewRequestFacts(
        graphs=graphs,
        requests=read_requests(requests) if requests else (),
        lasting=lasting,
        seconds=_seconds(ttl),
        target=target,
        endpoint=endpoint,
        environment=environment,
    )
    previewing = Previewing(job, asked)
    if stop or expired:
        _end(job, previewing, stop=stop, dry_run=dry_run, json=json)
        return
    run = job.folder.runs()
    names = previewing.graphs(job.folder.read("plan.json", PlanRecord), run)
    if dry_run:
        intended = [{"graph": name, "models": previewing.models(name, run)} for name in names]
        if json:
            write_json(intended)
        else:
            rows = [[each["graph"], each["models"]] for each in intended]
            show_table("Would preview", ["graph", "candidates"], rows, empty="The change needs no preview.")
        return
    with reporting(quiet=json, debug=False), termination_cancels():
        previews = tuple(previewing.run(name, run) for name in names)
    record = PreviewsRecord(previews)
    job.folder.write("preview.json", record)
    _tell(job, job.redaction.record(record).previews, json=json)


def _seconds(span: str) -> float:
    found = _SPAN.fullmatch(span)
    if not found:
        raise click.UsageError(f"--ttl takes a number and s, m, h or d, such as 72h; got {span}.")
    return float(int(found[1]) * _SECONDS[found[2]])


def _end(job: CiJob, previewing: Previewing, *, stop: bool, dry_run: bool, json: bool) -> None:
    if dry_run:
        ended = [each.endpoint for each in (previewing.mine() if stop else previewing.expired())]
    else:
        ended = previewing.stop() if stop else previewing.reap()
        _retire(job, ended)
    if json:
        write_json({"ended": ended})
    else:
        verb = "would end" if dry_run else "ended"
        show_text("\n".join(f"{verb} {each}" for each in ended) or "There is no such preview.")


def _retire(job: CiJob, endpoints: list[str]) -> None:
    """Tell the forge that the deployments are gone; what it does not take is no error."""
    try:
        forge = open_forge(job.context) if endpoints else None
    except ForgeError as error:
        click.echo(loggable(job.redaction(str(error))), err=True)
        return
    if forge is None:
        return
    publisher = Publisher(job.context, forge, Redaction(()))
    try:
        for each in endpoints:
            gone = DeploymentReport(job.context.head_commit, f"preview/{each}", "", "inactive", job.context.run_url)
            publisher.retire(gone)
    finally:
        forge.close()


def _tell(job: CiJob, previews: tuple[PreviewRecord, ...], *, json: bool) -> None:
    failed = any(each.failure or each.smoke_failures for each in previews)
    asked = any(each.smoke_requests for each in previews)
    values = {"smoke": "fail" if failed else "pass" if asked else "none"}
    if previews:
        values |= {"endpoint": previews[0].endpoint, "endpoint-url": previews[0].url}
    write_outputs(job.context, values)
    if json:
        write_json({"previews": previews})
        return
    rows = [
        [each.graph, each.endpoint, each.url, each.smoke_requests, each.smoke_failures, each.latency_ms]
        for each in previews
    ]
    columns = ["graph", "endpoint", "url", "requests", "failed", "latency in ms"]
    show_table("Previews", columns, rows, empty="The change needs no preview.")
    for each in previews:
        if each.failure:
            show_text(f"failed: {each.graph}: {loggable(each.failure)}")
        elif told := each.note or each.remark:
            show_text(f"{each.graph}: {loggable(told)}")
