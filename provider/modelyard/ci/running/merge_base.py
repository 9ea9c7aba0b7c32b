"""Trains what the branch began from, so that a request has something to be compared with."""

import logging
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from modelyard.ci.running.slimming import SlimWorkflow, slim
from modelyard.errors import ErrorKind, ModelyardError
from modelyard.projects import Project, open_project
from modelyard.projects.git_command import GitCommand, GitCommandFailed
from modelyard.projects.snapshot import Origin, write_origin
from modelyard.projects.stamp import Stamp, stamp_of
from modelyard.workflows import Workflow
from modelyard.workflows.engines.local import LocalEngine

__all__ = ["MergeBaseUnusable", "merge_base_project", "train_merge_base"]


class MergeBaseUnusable(ModelyardError):
    """Raised when what the branch began from cannot be trained.

    Parameters
    ----------
    commit
        The commit.
    reason
        Why.
    """

    kind = ErrorKind.NOT_FOUND

    def __init__(self, commit: str, reason: str) -> None:
        super().__init__(f"the merge base {commit[:12] or 'is not known and'} cannot be trained: {reason}")


@contextmanager
def merge_base_project(project: Project, commit: str) -> Iterator[Project]:
    """Give the project as it was at a commit, as long as the block runs.

    Its paths resolve where the present project's do: both are trained on the same data, and record to the same place.

    Parameters
    ----------
    project
        The present project.
    commit
        Where the branch began.

    Raises
    ------
    MergeBaseUnusable
        The commit is not there, or holds no such project.
    """
    git = GitCommand(project.source, {})
    top = git.try_asking("rev-parse", "--show-toplevel")
    if not top or not commit:
        raise MergeBaseUnusable(commit, "git does not know it")
    folder = project.source.resolve().relative_to(Path(top).resolve())
    with TemporaryDirectory(prefix="modelyard-base-") as place:
        archive, tree = Path(place) / "base.tar", Path(place) / "tree"
        try:
            GitCommand(Path(top), {}).ask("archive", "--format=tar", "-o", str(archive), commit)
        except GitCommandFailed as error:
            raise MergeBaseUnusable(commit, str(error)) from error
        with tarfile.open(archive) as packed:
            packed.extractall(tree, filter="data")
        archive.unlink()
        source = tree / folder
        try:
            stamp = Stamp(stamp_of(source).content, commit, dirty=False, origin=project.stamp.origin)
            write_origin(source, Origin(str(project.root), stamp))
            opened = open_project(source)
        except (ModelyardError, OSError) as error:
            raise MergeBaseUnusable(commit, str(error)) from error
        yield opened


def train_merge_base(
    project: Project,
    commit: str,
    name: str,
    inputs: Mapping[str, Any],
    *,
    environment: str,
    log: logging.Logger,
    only: frozenset[str],
) -> dict[str, str]:
    """Train the models of one workflow as they were at a commit.

    Parameters
    ----------
    project, commit
        The present project, and where the branch began.
    name
        The workflow's name.
    inputs
        What the workflow was given; what it did not take then is left out.
    environment
        The environment's name.
    log
        Where to tell how it goes.
    only
        The steps of the present workflow that measure: models of others are not needed.

    Returns
    -------
    dict
        Measuring step → the exact model that was made for it.

    Raises
    ------
    MergeBaseUnusable
        It cannot be trained.
    """
    with merge_base_project(project, commit) as earlier:
        try:
            return _trained(earlier, commit, name, inputs, environment, log, only)
        except MergeBaseUnusable:
            raise
        except ModelyardError as error:
            raise MergeBaseUnusable(commit, str(error)) from error


def _trained(
    earlier: Project,
    commit: str,
    name: str,
    inputs: Mapping[str, Any],
    environment: str,
    log: logging.Logger,
    only: frozenset[str],
) -> dict[str, str]:
    workflow = earlier.load_workflow(name)
    if not isinstance(workflow, Workflow):
        raise MergeBaseUnusable(commit, f"{name} is no workflow there")
    sources = _sources(slim(workflow), only)
    if not sources:
        raise MergeBaseUnusable(commit, f"its workflow {name} measures no model in such a step")
    training = slim(workflow, {step for step, _ in sources.values()})
    engine = LocalEngine(
        project=earlier.reference,
        project_name=earlier.name,
        environment=environment,
        workflow_run=f"ci-base-{commit[:12]}-{name}",
        log=log,
    )
    known = {each.name for each in workflow.inputs}
    given = {name: value for name, value in inputs.items() if name in known}
    outcome = engine.run(training.workflow, workflow.bind(given))
    engine.acknowledge(outcome)
    return {step: str(outcome.results[source][field]) for step, (source, field) in sources.items()}


def _sources(slimmed: SlimWorkflow, only: frozenset[str]) -> dict[str, tuple[str, str]]:
    """Return where the models of the measuring steps come from: step and field of its result."""
    return {
        each.step.name: (each.model.step, each.model.field)
        for each in slimmed.judged
        if each.model is not None and not each.model.path and each.step.name in only
    }
