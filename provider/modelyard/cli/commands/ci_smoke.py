"""``modelyard ci smoke``: asks what was deployed, and goes back if it does not answer."""

import click
import msgspec

from modelyard.ci.errors import DeployedAnswersWrong, FolderIncomplete
from modelyard.ci.job import FOLDER, CiJob, open_job
from modelyard.ci.outputs import write_outputs
from modelyard.ci.previewing import read_requests
from modelyard.ci.previewing.asking import Answered, ask
from modelyard.ci.reporting.escaping import loggable
from modelyard.cli.documents import write_json
from modelyard.cli.options import project_options
from modelyard.cli.output import show_text
from modelyard.projects.dispatch import acknowledge, dispatch

__all__ = ["smoke_job"]

_FILE = "deploy-result.json"
_MOST = 5
"""So many wrong answers are shown."""


class _Deployed(msgspec.Struct):
    """What `ci operation deploy` has left."""

    endpoint: str
    url: str
    changed: bool
    previous: str | None = None


@click.command("smoke")
@click.option("--requests", metavar="FILE", required=True, help="Bodies to send: a JSON list, or one on each line.")
@click.option("--roll-back", is_flag=True, help="If an answer is wrong, have the revision before answer again.")
@click.option("--folder", metavar="PATH", default="", help=f"Where the job's files are.  [default: {FOLDER}]")
@project_options
def smoke_job(requests: str, roll_back: bool, folder: str, project: str, environment: str, json: bool) -> None:
    """Send requests to what `ci operation deploy` has deployed in this job.

    Ends with the exit code of a failed gate if an answer is not what had to come. A request is a body, or an object
    with body, path and the status that must come back.
    """
    wanted = read_requests(requests)
    job = open_job(project, folder)
    deployed = job.folder.read(_FILE, _Deployed)
    if deployed is None:
        raise FolderIncomplete(str(job.folder.path / _FILE), "modelyard ci operation deploy")
    answers = ask(deployed.url, wanted)
    wrong = [(number, each) for number, each in enumerate(answers, 1) if each.failed]
    answered = len(answers) - len(wrong)
    write_outputs(job.context, {"answered": str(answered), "failed": str(len(wrong))})
    told = [_told(job, number, each) for number, each in wrong[:_MOST]]
    if not json:
        show_text("\n".join([*told, f"{answered} of {len(answers)} requests were answered as they had to be"]))
    elif not wrong:
        write_json({"answered": answered, "failed": 0})
    if wrong:
        back = _back(job, deployed, environment) if roll_back else ""
        raise DeployedAnswersWrong(deployed.endpoint, len(wrong), len(answers), told, back)


def _told(job: CiJob, number: int, answered: Answered) -> str:
    return f"request {number}: status {answered.status}, {loggable(job.redaction(f'{answered.body!r:.400}'))}"


def _back(job: CiJob, deployed: _Deployed, environment: str) -> str:
    """Have the revision before answer again, if this job has changed it; return which."""
    if not deployed.changed or not deployed.previous:
        return ""
    parameters = {"endpoint": deployed.endpoint, "revision": deployed.previous}
    acknowledge(dispatch("rollback", parameters, project=job.project.reference, environment=environment))
    return deployed.previous
