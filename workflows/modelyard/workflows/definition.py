"""A workflow as data: inputs, steps, branches, loops, and what flows between them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from modelyard.operations import ParameterMissing, ParameterType, ParameterUnknown
from modelyard.projects import ResourcesDefinition
from modelyard.workflows.conditions import Condition, condition_from, condition_references, described
from modelyard.workflows.errors import StepNotFound, WorkflowCyclic
from modelyard.workflows.references import (
    AnyReference,
    Collection,
    ItemReference,
    Reference,
    as_json,
    references_in,
    revived,
)

__all__ = ["Choice", "Loop", "Node", "Place", "Step", "Workflow", "WorkflowInput", "order"]


class WorkflowInput(msgspec.Struct, frozen=True, omit_defaults=True):
    """One parameter of a workflow."""

    name: str
    type: ParameterType
    required: bool = False
    default: Any = None
    doc: str = ""


class Step(msgspec.Struct, frozen=True, omit_defaults=True, tag="step", tag_field="kind"):
    """One call of an operation.

    Parameters
    ----------
    name
        Unique within the workflow: lower case letters, digits, ``-`` and ``_``.
    operation
        The operation's name in the catalogue.
    parameters
        Values, with references at any depth where a run fills something in.
    after
        Steps that must be over before (succeeded, or skipped), although nothing flows from them.
    retries
        How often a failed try is followed by another.
    retry_delay
        Seconds between a failed try and the next.
    timeout
        Seconds that one try may take; None for any time.
    resources
        What it needs of a machine; launchers that ask for machines ask for it.
    launcher
        Where it runs: ``inline`` or ``process``; empty lets the engine choose.
    cache
        Whether an earlier result for the same parameters, project and version may be taken. None: if the operation
        changes nothing outside its result.
    """

    name: str
    operation: str
    parameters: dict[str, Any] = {}
    after: tuple[str, ...] = ()
    retries: int = 0
    retry_delay: float = 0.0
    timeout: float | None = None
    resources: ResourcesDefinition | None = None
    launcher: str = ""
    cache: bool | None = None

    @property
    def references(self) -> tuple[AnyReference, ...]:
        """Every reference in the parameters, in reading order."""
        return tuple(references_in(self.parameters))

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the steps and loops that this one waits for, each once."""
        return tuple(dict.fromkeys([*_names_in(self.references), *self.after]))


class Choice(msgspec.Struct, frozen=True, omit_defaults=True, tag="choice", tag_field="kind"):
    """Two branches, of which a run takes one; the steps of the other are skipped.

    Parameters
    ----------
    name
        Unique within the workflow, among steps and loops, too.
    condition
        What decides.
    then, otherwise
        What belongs to the branch that is taken where the condition holds, and to the other.
    """

    name: str
    condition: Condition
    then: "tuple[Node, ...]" = ()
    otherwise: "tuple[Node, ...]" = ()

    @property
    def references(self) -> tuple[AnyReference, ...]:
        """Every reference of the condition."""
        return tuple(condition_references(self.condition))

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of what it waits for: what the condition needs, and what its steps need from outside."""
        return _block_needs(self.name, self.references, (*self.then, *self.otherwise))


class Loop(msgspec.Struct, frozen=True, omit_defaults=True, tag="loop", tag_field="kind"):
    """Steps that run once for each item of a list.

    Parameters
    ----------
    name
        Unique within the workflow, among steps and choices, too.
    items
        The list: values, references, or one reference to a list.
    body
        What runs for each item.
    parallel
        How many items may be at work at a time; 0 for as many as the engine likes.
    """

    name: str
    items: Any
    body: "tuple[Node, ...]" = ()
    parallel: int = 0

    @property
    def references(self) -> tuple[AnyReference, ...]:
        """Every reference of the list."""
        return tuple(references_in(self.items))

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of what it waits for: what the list needs, and what its steps need from outside."""
        return _block_needs(self.name, self.references, self.body)


Node = Step | Choice | Loop
"""What a workflow's body is made of."""


class Place(NamedTuple):
    """One of the blocks around a step."""

    block: Choice | Loop
    branch: str = ""
    """``then`` or ``otherwise`` of a choice; empty in a loop."""


def _names_in(references: Sequence[AnyReference]) -> Iterator[str]:
    for each in references:
        if isinstance(each, Reference):
            yield each.step
        elif isinstance(each, Collection):
            yield each.of.step
        elif isinstance(each, ItemReference):
            yield each.loop


def _block_needs(block: str, own: Sequence[AnyReference], members: Sequence[Node]) -> tuple[str, ...]:
    inside = {block, *(node.name for node, _ in _walk(members, ()))}
    needed = [*_names_in(own), *(name for node in members for name in node.needs)]
    return tuple(dict.fromkeys(name for name in needed if name not in inside))


def _walk(nodes: Sequence[Node], around: tuple[Place, ...]) -> Iterator[tuple[Node, tuple[Place, ...]]]:
    for node in nodes:
        yield node, around
        if isinstance(node, Loop):
            yield from _walk(node.body, (*around, Place(node)))
        elif isinstance(node, Choice):
            yield from _walk(node.then, (*around, Place(node, "then")))
            yield from _walk(node.otherwise, (*around, Place(node, "otherwise")))


class Workflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """An immutable workflow, made by `modelyard.workflows.workflow`; every engine gives it the same meaning.

    Parameters
    ----------
    name
        The workflow's name.
    body
        Its steps, choices and loops.
    inputs
        Its parameters.
    summary, description
        What it is for.
    results
        What its function returned: references by name, for workflows that include it.
    on_exit
        A step that runs once at the end, whether the others succeeded or not, and may ask how they ended.
    """

    name: str
    body: tuple[Node, ...]
    inputs: tuple[WorkflowInput, ...] = ()
    summary: str = ""
    description: str = ""
    results: dict[str, Any] = {}
    on_exit: Step | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, also those in branches and loops, as they were defined; without the exit handler."""
        return tuple(node for node, _ in self.walk() if isinstance(node, Step))

    @property
    def runs_of_steps(self) -> int | None:
        """How many steps a run will do; None where branches or loops decide that."""
        return len(self.body) if all(isinstance(node, Step) for node in self.body) else None

    def walk(self) -> Iterator[tuple[Node, tuple[Place, ...]]]:
        """Yield everything in the body as it was defined, with the blocks around it, the outermost first."""
        yield from _walk(self.body, ())

    def walk_within(self, block: Choice | Loop) -> Iterator[tuple[Node, tuple[Place, ...]]]:
        """Yield everything in one block, as `walk` does."""
        return ((node, around) for node, around in self.walk() if any(each.block.name == block.name for each in around))

    def step(self, name: str) -> Step:
        """Return the step of that name.

        Raises
        ------
        StepNotFound
            There is none; the nearest name is suggested.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise StepNotFound(name, [step.name for step in self.steps], where=f"workflow {self.name}")

    def bind(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all inputs, checked and with their defaults; text is read where the input is not text.

        Raises
        ------
        ParameterUnknown, ParameterMissing, ParameterInvalid
            What is given does not fit; the error names the input, the rule and the value.
        """
        known = [each.name for each in self.inputs]
        for name in given:
            if name not in known:
                raise ParameterUnknown(f"workflow {self.name}", name, known)
        bound = {}
        for each in self.inputs:
            if each.name in given:
                bound[each.name] = each.type.coerce(given[each.name], each.name)
            elif each.required:
                raise ParameterMissing(f"workflow {self.name}", each.name, each.doc or each.type.described())
            else:
                bound[each.name] = msgspec.json.decode(msgspec.json.encode(each.default))
        return bound

    def ordered(self) -> tuple[Step, ...]:
        """Return the steps, each after all that it needs, otherwise as they were defined.

        Raises
        ------
        WorkflowCyclic
            Steps wait for each other.
        StepNotFound
            A step waits for one that is not there.
        """
        return self.in_order().steps

    def in_order(self) -> "Workflow":
        """Return the workflow with everything after all that it needs, otherwise as it was defined.

        Raises
        ------
        WorkflowCyclic, StepNotFound
            As `ordered`.
        """
        return msgspec.structs.replace(self, body=order(self.body, self.name))

    def encoded(self) -> bytes:
        """Return the workflow as JSON, from which `decoded` makes the same workflow again."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def decoded(cls, content: bytes) -> "Workflow":
        """Return the workflow that `encoded` has made JSON of.

        Raises
        ------
        msgspec.DecodeError
            It is something else.

        Examples
        --------
        >>> step = Step("fit", "train", {"dataset": Reference("prepare", "value", ("train",))})
        >>> Workflow.decoded(Workflow("main", (step,)).encoded()).steps[0] == step
        True
        """
        plain = msgspec.json.decode(content, type=cls)
        return msgspec.structs.replace(
            plain,
            body=tuple(map(_revived, plain.body)),
            results=revived(plain.results),
            on_exit=_revived_step(plain.on_exit) if plain.on_exit else None,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the workflow for programs that show it: plain JSON, references as ``{"$from": "train.model"}``."""
        plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, body=(), results={}, on_exit=None))
        del plain["body"]
        plain["steps"] = [_shown_step(node, around) for node, around in self.walk() if isinstance(node, Step)]
        blocks = [_shown_block(node, around) for node, around in self.walk() if not isinstance(node, Step)]
        optional = {
            "blocks": blocks,
            "results": as_json(self.results),
            "on_exit": _shown_step(self.on_exit, ()) if self.on_exit else None,
        }
        return {**plain, **{name: value for name, value in optional.items() if value}}


def _shown_step(step: Step, around: Sequence[Place]) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(step, parameters={}, after=()))
    del plain["kind"]
    shown = {**plain, "parameters": as_json(step.parameters), "after": list(step.after), "needs": list(step.needs)}
    return {**shown, "within": _shown_places(around)} if around else shown


def _shown_block(block: Choice | Loop, around: Sequence[Place]) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": block.name}
    if isinstance(block, Choice):
        shown |= {"kind": "choice", "condition": described(block.condition)}
    else:
        shown |= {"kind": "loop", "items": as_json(block.items), "parallel": block.parallel}
    return {**shown, "within": _shown_places(around)} if around else shown


def _shown_places(around: Sequence[Place]) -> list[str]:
    return [f"{place.block.name}.{place.branch}" if place.branch else place.block.name for place in around]


def _revived(node: Node) -> Node:
    if isinstance(node, Step):
        return _revived_step(node)
    if isinstance(node, Loop):
        return Loop(node.name, revived(node.items), tuple(map(_revived, node.body)), node.parallel)
    branches = (tuple(map(_revived, each)) for each in (node.then, node.otherwise))
    return Choice(node.name, condition_from(node.condition), *branches)


def _revived_step(step: Step) -> Step:
    return msgspec.structs.replace(step, parameters=revived(step.parameters))


def order(nodes: Sequence[Node], workflow: str) -> tuple[Node, ...]:
    """Return nodes, each after those of them that it needs, otherwise as they stand; inside of blocks as well.

    Raises
    ------
    WorkflowCyclic
        They wait for each other.
    """
    owner = {inner.name: node.name for node in nodes for inner, _ in _walk([node], ())}
    by_name = {node.name: node for node in nodes}
    done: dict[str, Node] = {}

    def visit(node: Node, path: list[str]) -> None:
        if node.name in path:
            raise WorkflowCyclic(workflow, [*path[path.index(node.name) :], node.name])
        if node.name in done:
            return
        for name in node.needs:
            if name in owner and owner[name] != node.name:
                visit(by_name[owner[name]], [*path, node.name])
            elif name == node.name:
                raise WorkflowCyclic(workflow, [name, name])
        done[node.name] = _with_ordered_members(node, workflow)

    for node in nodes:
        visit(node, [])
    return tuple(done.values())


def _with_ordered_members(node: Node, workflow: str) -> Node:
    if isinstance(node, Loop):
        return msgspec.structs.replace(node, body=order(node.body, workflow))
    if isinstance(node, Choice):
        then, otherwise = order(node.then, workflow), order(node.otherwise, workflow)
        return msgspec.structs.replace(node, then=then, otherwise=otherwise)
    return node
