"""What the file of a CI host has besides the workflow: the options of `modelyard workflows compile`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import msgspec

from modelyard.projects import open_project
from modelyard.projects.definition import EnvironmentDefinition
from modelyard.projects.errors import EnvironmentNotFound
from modelyard.projects.folders import is_uri
from modelyard.projects.variables import VARIABLE
from modelyard.workflows.definition import Step
from modelyard.workflows.engines.compiling import check_options
from modelyard.workflows.engines.jobs.plan import Job
from modelyard.workflows.engines.remote import RunRequest
from modelyard.workflows.errors import WorkflowInvalid

__all__ = ["OPTIONS", "Settings", "environment_definition", "is_live", "variables_of"]

OPTIONS = (
    *("project-path", "python-version", "version", "extras", "requirements", "index-url", "image", "timeout"),
    *("runner", "large-runner", "gpu-runner", "files", "production", "keep-days"),
)
"""The options that the files of all hosts take."""

_RULES = {
    "project-path": (r"[A-Za-z0-9_.][A-Za-z0-9_./-]*", "a folder, relative to the repository's"),
    "timeout": (r"[1-9][0-9]{0,4}", "a number of minutes"),
    "keep-days": (r"[1-9][0-9]{0,2}", "a number of days"),
    "version": (r"[0-9][0-9A-Za-z.+!]*", "a version such as 0.3.1"),
    "extras": (r"[a-z0-9,-]*", "extras with commas between them"),
    "runner": (r"[\w.-]+(,[\w.-]+)*", "labels with commas between them"),
    "files": (r"[^,\s]+(,[^,\s]+)*", "paths with commas between them"),
    "actions": (r"[\w.-]+/[\w.-]+@[\w.-]+", "a repository and its version, such as OWNER/REPO@v1"),
    "secrets": (r"[A-Za-z_]\w*(,[A-Za-z_]\w*)*", "names with commas between them"),
    "production": (r"[\w./-]+", "the name of an environment of the host"),
    "schedule": (r"\S+( \S+){4}", "five fields, such as 30 5 * * 1"),
}
_LIKE = {"large-runner": "runner", "gpu-runner": "runner", "variables": "secrets"}
_OF_MACHINES = {"CI", "HOME", "HOSTNAME", "LANG", "PATH", "PWD", "SHELL", "TMPDIR", "USER"}
_SETUP_MINUTES = 15
"""What checkout and installation may take besides a step's own time limit."""


@dataclass(frozen=True)
class Settings:
    """The options of a file, checked.

    Parameters
    ----------
    given
        The options.
    project_path
        The project's folder in its repository.
    """

    given: Mapping[str, str]
    project_path: str

    @classmethod
    def of(cls, request: RunRequest, given: Mapping[str, str], *more: str) -> "Settings":
        """Return the options of a file.

        Parameters
        ----------
        request
            The workflow and its project.
        given
            Option → value.
        more
            The options that this host's file takes besides.

        Raises
        ------
        WorkflowInvalid
            An option is unknown, or breaks its rule.
        """
        check_options(given, *OPTIONS, *more)
        for name, value in given.items():
            pattern, rule = _RULES.get(_LIKE.get(name, name), (r"[^\n]*", "one line"))
            if not re.fullmatch(pattern, value):
                raise WorkflowInvalid(f"{name} must be {rule}, got {value!r}", where="--option", mend="Write it so.")
        return cls(given, given.get("project-path") or _path_in_repository(request.project))

    def __getitem__(self, name: str) -> str:
        return self.given.get(name, "")

    def names(self, name: str) -> list[str]:
        """Return the values of an option that takes several."""
        return [each for each in self[name].split(",") if each]

    @property
    def version(self) -> str:
        """The version of modelyard that the jobs install: the one that made the file, which its commands fit."""
        return self["version"] or version("modelyard")

    @property
    def extras(self) -> str:
        """The extras of modelyard that the jobs install."""
        return self.given.get("extras", "ci,ml,serving")

    @property
    def python(self) -> str:
        """The version of Python."""
        return self.given.get("python-version", "3.11")

    @property
    def keep_days(self) -> int:
        """How long the host keeps what jobs hand on."""
        return int(self["keep-days"] or 7)

    def labels(self, steps: Sequence[Step]) -> list[str]:
        """Return the labels of the machine that steps ask for; none where any will do."""
        asked = [step.resources for step in steps if step.resources]
        gpu = self.names("gpu-runner") if any(each.gpu for each in asked) else []
        large = self.names("large-runner") if any(each.cpu or each.memory for each in asked) else []
        return gpu or large or self.names("runner")

    def minutes(self, job: Job | None) -> int:
        """Return how long a job may take: what its step's tries may, or what the option says."""
        usual = int(self["timeout"] or 120)
        step = job.node if job and isinstance(job.node, Step) else None
        if step is None or step.timeout is None:
            return usual
        tries = step.retries + 1
        return _SETUP_MINUTES + -int(-(tries * step.timeout + step.retries * step.retry_delay) // 60)

    def unmet(self, jobs: Sequence[Job]) -> list[str]:
        """Return, in words, what steps ask of a machine that no option answers."""
        found = []
        for job in jobs:
            asked = [step.resources for step in job.steps if step.resources]
            if any(each.gpu for each in asked) and not self["gpu-runner"]:
                found.append(f"{job.part} asks for a GPU: name the labels of such a machine with gpu-runner.")
            elif any(each.cpu or each.memory for each in asked) and not self["large-runner"]:
                found.append(
                    f"{job.part} asks for processors or memory: large-runner names the labels of such a machine."
                )
        return found


def _path_in_repository(project: str) -> str:
    """Return where a project is in its repository; the repository itself where that is not known."""
    if is_uri(project) or project.startswith("git+"):
        return "."
    root = open_project(project).root.resolve()
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            return root.relative_to(folder).as_posix()
    return "."


def is_live(step: Step) -> bool:
    """Return whether a step changes what answers requests.

    Examples
    --------
    >>> is_live(Step("a", "promote")), is_live(Step("b", "train"))
    (True, False)
    """
    return step.operation in ("promote", "deploy", "undeploy", "rollback")


def environment_definition(request: RunRequest) -> EnvironmentDefinition:
    """Return what modelyard.yaml says of the environment that is asked for, else of the first.

    Raises
    ------
    EnvironmentNotFound
        There is no such environment.
    """
    project = open_project(request.project)
    declared = project.definition.environments
    name = request.environment or next(iter(declared), "")
    if name and name not in declared:
        raise EnvironmentNotFound(project.file.path, name, list(declared))
    return declared.get(name, EnvironmentDefinition())


def variables_of(definition: EnvironmentDefinition) -> list[str]:
    """Return the variables that fill in the values of an environment, without those that every machine has.

    Examples
    --------
    >>> variables_of(EnvironmentDefinition(tracking="${MLFLOW_URI}", state="${HOME}/state/${STAGE:-dev}"))
    ['MLFLOW_URI', 'STAGE']
    """
    text = msgspec.json.encode(definition).decode().replace("$${", "")
    names = dict.fromkeys(found["name"] for found in VARIABLE.finditer(text))
    return [name for name in names if name not in _OF_MACHINES and not name.startswith(("GITHUB_", "RUNNER_", "CI_"))]
