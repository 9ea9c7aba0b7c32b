"""What the candidates of a workflow are compared with, or why with nothing."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from modelyard.ci.errors import MergeBaseUnusable, MergeBaseWithout
from modelyard.ci.records import Baseline, PlanRecord
from modelyard.ci.running.filling import filled
from modelyard.ci.running.merge_base import train_merge_base
from modelyard.ci.running.slimming import Judged, SlimWorkflow
from modelyard.projects import Project
from modelyard.tracking import AliasNotFound, ModelNotFound, open_tracking
from modelyard.workflows import Workflow

__all__ = ["Baselines", "Comparison"]

_NO_CHAMPION = "There is no champion in this environment"


class Comparison(NamedTuple):
    """What the candidates of one workflow are compared with.

    Parameters
    ----------
    kind
        What it is.
    by_step
        Measuring step → the exact model, ``none``; empty leaves the choice to the workflow.
    note
        What is to be said of it.
    required
        Whether a comparison was asked for that cannot be had: gates that need it do not hold then.
    """

    kind: Baseline
    by_step: Mapping[str, str]
    note: str = ""
    required: bool = False


class Baselines:
    """Chooses baselines in one job.

    Parameters
    ----------
    project, environment
        The project, and the environment's name.
    plan
        What the change touches, with the merge base.
    asked
        The baseline that was asked for.
    log
        Where to tell how it goes.
    """

    def __init__(
        self, project: Project, environment: str, plan: PlanRecord, asked: Baseline, log: logging.Logger
    ) -> None:
        self._project = project
        self._environment = environment
        self._plan = plan
        self._asked = asked
        self._log = log

    def of(self, name: str, slimmed: SlimWorkflow, inputs: Mapping[str, Any], given: Mapping[str, Any]) -> Comparison:
        """Return what the candidates of a workflow are compared with; the merge base is trained if it is that.

        Parameters
        ----------
        name, slimmed
            The workflow.
        inputs
            Its inputs, with their defaults.
        given
            What was given, for the merge base's own workflow.
        """
        steps = [each.step.name for each in slimmed.judged]
        if self._asked == "none" or not steps:
            return Comparison("none", dict.fromkeys(steps, "none"))
        if self._asked == "merge-base":
            try:
                return self._merge_base(name, steps, given)
            except MergeBaseWithout as error:
                return Comparison("none", dict.fromkeys(steps, "none"), f"There is no baseline: {error.what}.")
            except MergeBaseUnusable as error:
                return Comparison("none", dict.fromkeys(steps, "none"), f"There is no baseline: {error.what}.", True)
        if all(self._has_champion(each, slimmed.workflow, inputs) for each in slimmed.judged):
            return Comparison("champion", {})
        try:
            made = self._merge_base(name, steps, given)
        except (MergeBaseWithout, MergeBaseUnusable) as error:
            return Comparison("champion", {}, f"{_NO_CHAMPION}, and {error.what}.")
        return made._replace(note=f"{_NO_CHAMPION}, so the merge base was trained in this job. {made.note}")

    def _merge_base(self, name: str, steps: list[str], given: Mapping[str, Any]) -> Comparison:
        if not self._plan.base:
            raise MergeBaseUnusable("", self._plan.everything or "the plan names none")
        commit = self._plan.base[:12]
        self._log.info("training the merge base %s", commit)
        made = train_merge_base(
            self._project,
            self._plan.base,
            name,
            given,
            environment=self._environment,
            log=self._log,
            only=frozenset(steps),
        )
        note = f"Compared with the merge base {commit}."
        if new := [step for step in steps if step not in made]:
            note += f" It does not measure in {', '.join(new)}."
        return Comparison("merge-base", {step: made.get(step, "none") for step in steps}, note)

    def _has_champion(self, judged: Judged, workflow: Workflow, inputs: Mapping[str, Any]) -> bool:
        asked = filled(judged.step.parameters.get("baseline", "champion"), inputs)
        if asked == "none" or not isinstance(asked, str) or asked.startswith(("models:/", "runs:/")):
            return True  # the workflow itself says what to compare with
        source = next((step for step in workflow.steps if judged.model and step.name == judged.model.step), None)
        model = filled(source.parameters.get("name"), inputs) if source and source.operation == "register" else None
        if not isinstance(model, str):
            return True
        tracking = open_tracking(self._project.environment(self._environment), self._project.name)
        try:
            tracking.resolve(f"models:/{model}@{asked}")
        except (AliasNotFound, ModelNotFound):
            return False
        return True
