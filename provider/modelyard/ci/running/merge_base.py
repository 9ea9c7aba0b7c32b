"""Trains what the branch began from, so that a request has something to be compared with."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelyard.ci.errors import MergeBaseUnusable, MergeBaseWithout
from modelyard.ci.running.slimming import SlimWorkflow, slim
from modelyard.ci.running.worktree import checked_out_beside
from modelyard.errors import ModelyardError
from modelyard.projects import Project, open_project
from modelyard.projects.document import FILE_NAME
from modelyard.projects.git_command import GitCommand, GitCommandFailed
from modelyard.projects.snapshot import Origin, write_origin
from modelyard.projects.stamp import Stamp, stamp_of
from modelyard.workflows import Workflow
from modelyard.workflows.engines.local import LocalEngine

__all__ = ["merge_base_project", "train_merge_base"]


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
        The commit is not there, or its modelyard.yaml breaks a rule.
    MergeBaseWithout
        The project was not there yet.
    """
    top = GitCommand(project.source, {}).try_asking("rev-parse", "--show-toplevel")
    if not top or not commit:
        raise MergeBaseUnusable(commit, "git does not know it")
    folder = project.source.resolve().relative_to(Path(top).resolve())
    try:
        with checked_out_beside(Path(top), commit) as tree:
            yield _opened(project, tree / folder, commit)
    except GitCommandFailed as error:
        raise MergeBaseUnusable(commit, str(error)) from error


def _opened(project: Project, source: Path, commit: str) -> Project:
    if not (source / FILE_NAME).is_file():
        raise MergeBaseWithout(commit, "no such project yet")
    try:
        stamp = Stamp(stamp_of(source).content, commit, dirty=False, origin=project.stamp.origin)
        write_origin(source, Origin(str(project.root), stamp))
        return open_project(source)
    except (ModelyardError, OSError) as error:
        raise MergeBaseUnusable(commit, str(error)) from error


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
    MergeBaseWithout
        It had no such project, workflow or step.
    """
    with merge_base_project(project, commit) as earlier:
        try:
            return _trained(earlier, commit, name, inputs, environment, log, only)
        except (MergeBaseUnusable, MergeBaseWithout):
            raise
        except ModelyardError as error:
            # The checkout is gone when somebody reads this: its files are called as in the repository's project.
            raise MergeBaseUnusable(commit, str(error).replace(f"{earlier.source}/", "")) from error


def _trained(
    earlier: Project,
    commit: str,
    name: str,
    inputs: Mapping[str, Any],
    environment: str,
    log: logging.Logger,
    only: frozenset[str],
) -> dict[str, str]:
    if ":" not in name and name not in earlier.definition.workflows:
        raise MergeBaseWithout(commit, f"no workflow {name} yet")
    workflow = earlier.load_workflow(name)
    if not isinstance(workflow, Workflow):
        raise MergeBaseUnusable(commit, f"{name} is no workflow there")
    sources = _sources(slim(workflow), only)
    if not sources:
        raise MergeBaseWithout(commit, f"a workflow {name} that measures no model in such a step")
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
