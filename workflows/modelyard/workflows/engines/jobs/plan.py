"""The jobs of a workflow on a CI host: one for each step, one for each loop whose turns only a run knows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelyard.workflows.definition import Choice, Loop, Node, Step, Workflow
from modelyard.workflows.engines.progression import Ready
from modelyard.workflows.errors import StepNotFound
from modelyard.workflows.filling import Position
from modelyard.workflows.outcome import instance_name
from modelyard.workflows.references import contains_reference

__all__ = ["FINISH", "Job", "JobPlan"]

FINISH = "workflow-finish"
"""The job that comes last."""

_MOST_TURNS = 20
"""Loops over more items than these are one job: each job begins with a checkout and an installation."""


@dataclass(frozen=True)
class Job:
    """One job.

    Parameters
    ----------
    name
        Unique within the plan: lower case letters, digits, ``-`` and ``_``.
    part
        What it does: a step with the positions of its items, such as ``score[0]``, or a loop.
    node, position
        The same as data.
    needs
        The names of the jobs that must have succeeded, without those that others of them need.
    """

    name: str
    part: str
    node: Step | Loop
    position: Position
    needs: tuple[str, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that run in it."""
        return (self.node,) if isinstance(self.node, Step) else Workflow("", (self.node,)).steps

    def does(self, ready: Ready) -> bool:
        """Return whether a step that may start runs in this job."""
        own = any(step.name == ready.step.name for step in self.steps)
        return own and ready.position[: len(self.position)] == self.position


class JobPlan:
    """A workflow as jobs.

    Parameters
    ----------
    workflow
        A workflow that was checked.

    Examples
    --------
    >>> from modelyard.workflows import collect, each, steps, workflow
    >>> @workflow
    ... def months(last: int = 8):
    ...     with each([6, 7]) as month:
    ...         scored = steps(name="score").call(function="score", parameters={"month": month})
    ...     steps(name="report").call(function="report", parameters={"rows": collect(scored.value["rows"])})
    >>> [(job.name, job.part, job.needs) for job in JobPlan(months).jobs]
    [('score-0', 'score[0]', ()), ('score-1', 'score[1]', ()), ('report', 'report', ('score-0', 'score-1'))]
    """

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow.in_order()
        self._names = {node.name for node, _ in self.workflow.walk()}
        self._after: dict[str, set[str]] = {}
        self._jobs: dict[str, Job] = {}
        self._body(self.workflow.body, (), ())

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs but the last, each after those that it needs."""
        return tuple(self._jobs.values())

    @property
    def finish(self) -> str:
        """The name of the job that comes last."""
        return _free(FINISH, self._names | set(self._jobs))

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops that are one job."""
        found = {job.node.name: job.node for job in self.jobs if isinstance(job.node, Loop)}
        return tuple(found.values())

    def before(self, job: Job) -> tuple[Job, ...]:
        """Return all jobs that one needs, also through others, in order."""
        return tuple(each for each in self.jobs if each.name in self._after[job.name])

    @staticmethod
    def why_one(loop: Loop) -> str:
        """Return why a loop is one job; empty where each of its turns has jobs of its own."""
        if not isinstance(loop.items, list) or contains_reference(loop.items):
            return "only a run knows its turns"
        if 0 < loop.parallel < len(loop.items):
            return "its turns are not to be at work all at once"
        return "it has too many turns" if len(loop.items) > _MOST_TURNS else ""

    def job(self, part: str) -> Job:
        """Return the job that does a part of the workflow.

        Raises
        ------
        StepNotFound
            There is no such part, or it is inside a loop that is one job.
        """
        for job in self.jobs:
            if job.part == part:
                return job
        raise StepNotFound(part, [job.part for job in self.jobs], where=f"workflow {self.workflow.name}")

    def _body(self, nodes: Sequence[Node], position: Position, first: Sequence[str]) -> list[str]:
        """Add the jobs of nodes side by side, and return the names of all; each waits for those that it needs."""
        owner = {inner.name: node.name for node in nodes for inner, _ in Workflow("", (node,)).walk()}
        made: dict[str, list[str]] = {}
        for node in nodes:
            needed = dict.fromkeys(owner[name] for name in node.needs if name in owner)
            after = [name for each in needed for name in made[each]] or first
            made[node.name] = self._node(node, position, self._reduced(after))
        return [name for names in made.values() for name in names]

    def _node(self, node: Node, position: Position, after: tuple[str, ...]) -> list[str]:
        if isinstance(node, Choice):
            return [*self._body(node.then, position, after), *self._body(node.otherwise, position, after)]
        if isinstance(node, Loop) and not self.why_one(node):
            turns = range(len(node.items))
            return [name for turn in turns for name in self._body(node.body, (*position, turn), after)] or list(after)
        return [self._add(node, position, after)]

    def _add(self, node: Step | Loop, position: Position, after: tuple[str, ...]) -> str:
        plain = "-".join([node.name, *map(str, position)])
        name = _free(plain, self._names | set(self._jobs)) if position else plain
        self._jobs[name] = Job(name, instance_name(node.name, position), node, position, after)
        self._after[name] = {*after, *(each for known in after for each in self._after[known])}
        return name

    def _reduced(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return names without those that others of them need."""
        given = dict.fromkeys(names)
        return tuple(name for name in given if not any(name in self._after[other] for other in given))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "-x"
    return name
