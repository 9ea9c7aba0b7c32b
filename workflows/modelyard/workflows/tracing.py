"""The trace of a workflow function: what it has called so far, and in which blocks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import msgspec

from modelyard.operations import OperationSpec
from modelyard.workflows.definition import Choice, Loop, Node, Place, Step, WorkflowInput
from modelyard.workflows.errors import StepNameTaken, WorkflowInvalid
from modelyard.workflows.scopes import Scope
from modelyard.workflows.validation import check_block, check_name, check_step, operation_of
from modelyard.workflows.values import place

__all__ = ["Trace", "current_trace", "tracing"]


@dataclass
class Trace:
    """What has been called so far in the function that is being traced.

    Parameters
    ----------
    workflow
        The workflow's name.
    catalogue
        What operations there are.
    inputs
        The workflow's inputs by name.
    """

    workflow: str
    catalogue: Mapping[str, OperationSpec]
    inputs: dict[str, WorkflowInput]
    names: set[str] = field(default_factory=set)
    specs: dict[str, OperationSpec] = field(default_factory=dict)
    places: dict[str, tuple[Place, ...]] = field(default_factory=dict)
    around: tuple[Place, ...] = ()
    body: list[Node] = field(default_factory=list)
    on_exit: Step | None = None

    def scope(self, *, exiting: bool = False) -> Scope:
        """Return what may be referred to from here."""
        return Scope(self.specs, self.inputs, self.places, () if exiting else self.around, exiting=exiting)

    def where(self, what: str, name: str) -> str:
        """Return the place of something that is being defined, for errors."""
        return f"workflow {self.workflow}, {what} {name} ({place()})"

    def add_step(self, step: Step) -> OperationSpec:
        """Check a step against those before it and take it in."""
        where = self.where("step", step.name)
        self._take_name(step.name, "step", where)
        spec = operation_of(step, self.catalogue, where)
        check_step(step, spec, self.scope(), where=where)
        self.body.append(step)
        self.specs[step.name] = spec
        self.places[step.name] = self.around
        return spec

    def add_exit(self, step: Step) -> OperationSpec:
        """Check the exit handler and take it in."""
        where = self.where("step", step.name)
        if self.on_exit:
            mend = "Call both from one function of the project."
            raise WorkflowInvalid(f"there is an exit handler already: {self.on_exit.name}", where=where, mend=mend)
        if self.around:
            mend = "Define it outside of when and each."
            raise WorkflowInvalid("an exit handler belongs to the whole workflow", where=where, mend=mend)
        self._take_name(step.name, "step", where)
        spec = operation_of(step, self.catalogue, where)
        check_step(step, spec, self.scope(exiting=True), where=where)
        self.on_exit = step
        return spec

    def free_name(self, plain: str) -> str:
        """Return a name, numbered from the second use on."""
        name, count = plain, 1
        while name in self.names:
            count += 1
            name = f"{plain}-{count}"
        return name

    @contextmanager
    def within(self, block: Choice | Loop, branch: str = "") -> Iterator[None]:
        """Take what is called meanwhile as members of a block, and the block itself in at the end."""
        outer, around = self.body, self.around
        self.body, self.around = [], (*around, Place(block, branch))
        try:
            yield
            members = tuple(self.body)
        finally:
            self.body, self.around = outer, around
        if not members:
            mend = "Call at least one operation in it."
            raise WorkflowInvalid("the block has no step", where=self.where("block", block.name), mend=mend)
        self._put(block, branch, members)

    def _put(self, block: Choice | Loop, branch: str, members: tuple[Node, ...]) -> None:
        if isinstance(block, Loop):
            self.body.append(msgspec.structs.replace(block, body=members))
        elif branch == "then":
            self.body.append(msgspec.structs.replace(block, then=members))
        else:
            self.body[-1] = msgspec.structs.replace(block, otherwise=members)

    def add_block(self, block: Choice | Loop, what: str) -> None:
        """Check a block that begins here."""
        where = self.where(what, block.name)
        self._take_name(block.name, what, where)
        check_block(block, self.scope(), where=where)

    def _take_name(self, name: str, what: str, where: str) -> None:
        check_name(name, what, where)
        if name in self.names:
            raise StepNameTaken(name, where=where)
        self.names.add(name)


_TRACE: ContextVar[Trace | None] = ContextVar("modelyard_workflow_trace", default=None)


@contextmanager
def tracing(trace: Trace) -> Iterator[None]:
    """Make a trace the current one."""
    token = _TRACE.set(trace)
    try:
        yield
    finally:
        _TRACE.reset(token)


def current_trace(what: str) -> Trace:
    """Return the trace of the function that is being traced.

    Raises
    ------
    WorkflowInvalid
        None is.
    """
    trace = _TRACE.get()
    if trace is None:
        mend = "Call it inside a function marked with @workflow."
        raise WorkflowInvalid(f"{what} is called outside a workflow", where=place(), mend=mend)
    return trace
