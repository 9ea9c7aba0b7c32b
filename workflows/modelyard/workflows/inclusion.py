"""Workflows inside workflows."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from modelyard.errors import ModelyardError, near_name
from modelyard.operations import ParameterMissing, ParameterUnknown
from modelyard.workflows.conditions import mapped
from modelyard.workflows.definition import Choice, Loop, Node, Step, Workflow
from modelyard.workflows.errors import ValueMissing, WorkflowInvalid
from modelyard.workflows.references import (
    AnyReference,
    Collection,
    InputReference,
    ItemReference,
    Path,
    Reference,
    replace_references,
)
from modelyard.workflows.tracing import Trace, current_trace
from modelyard.workflows.values import Value, plain

__all__ = ["Included", "include"]


class Included(Mapping[str, Value]):
    """The results of an included workflow: what its function returned, by name."""

    def __init__(self, workflow: str, values: Mapping[str, Any], where: str) -> None:
        self._workflow = workflow
        self._values = {name: Value(each) if isinstance(each, AnyReference) else each for name, each in values.items()}
        self._where = where

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise WorkflowInvalid(
                f"workflow {self._workflow} returns no {name!r}", where=self._where, mend=near_name(name, self._values)
            )
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def include(workflow: Workflow, parameters: Mapping[str, Any] | None = None, *, name: str = "") -> Included:
    """Make another workflow's steps part of the one that is being defined.

    The steps keep their names, with the inclusion's before them: ``eu-train``. An exit handler of the included workflow
    is not taken over: there is one for the whole.

    Parameters
    ----------
    workflow
        What to include.
    parameters
        Its parameters, by name: JSON and values of this workflow.
    name
        The inclusion's name; the workflow's, numbered, if left out.

    Returns
    -------
    Included
        What the workflow's function returns, by name.

    Raises
    ------
    WorkflowInvalid
        A parameter is unknown, missing or does not fit.

    Examples
    --------
    >>> from modelyard.workflows import include, steps, workflow
    >>> @workflow
    ... def prepared(month: int):
    ...     return {"rows": steps(name="rows").call(function="rows", parameters={"month": month}).value["rows"]}
    >>> @workflow
    ... def both():
    ...     june, july = (include(prepared, {"month": month}) for month in (6, 7))
    ...     steps(name="compare").call(function="compare", parameters={"a": june["rows"], "b": july["rows"]})
    >>> [step.name for step in both.steps]
    ['prepared-rows', 'prepared-2-rows', 'compare']
    """
    trace = current_trace("include")
    prefix = name or trace.free_name(workflow.name)
    where = trace.where("inclusion", prefix)
    given = plain(dict(parameters or {}), where)
    values = _bound(workflow, given, trace, where)
    trace.names.add(prefix)
    renaming = _Renaming(prefix, values)
    _add(trace, tuple(map(renaming.node, workflow.body)))
    return Included(workflow.name, {key: renaming.value(each) for key, each in workflow.results.items()}, where)


def _bound(workflow: Workflow, given: Mapping[str, Any], trace: Trace, where: str) -> dict[str, Any]:
    known = [each.name for each in workflow.inputs]
    owner = f"workflow {workflow.name}"
    bound: dict[str, Any] = {}
    for name in given:
        if name not in known:
            raise _refused(ParameterUnknown(owner, name, known), where)
    for each in workflow.inputs:
        if each.name in given:
            trace.scope().check(given[each.name], each.type, f"{where}, parameter {each.name}")
            bound[each.name] = given[each.name]
        elif each.required:
            raise _refused(ParameterMissing(owner, each.name, each.doc or each.type.described()), where)
        else:
            bound[each.name] = each.default
    return bound


def _refused(error: ModelyardError, where: str) -> WorkflowInvalid:
    return WorkflowInvalid(error.what, where=where, mend=error.mend, facts=error.facts)


def _add(trace: Trace, nodes: tuple[Node, ...]) -> None:
    """Take nodes in as if the function had called them here."""
    for node in nodes:
        if isinstance(node, Step):
            trace.add_step(node)
        elif isinstance(node, Loop):
            _add_block(trace, node, {"": node.body}, "loop")
        else:
            _add_block(trace, node, {"then": node.then, "otherwise": node.otherwise}, "choice")


def _add_block(trace: Trace, block: Choice | Loop, branches: dict[str, tuple[Node, ...]], what: str) -> None:
    empty: Any = (
        Loop(block.name, block.items, (), block.parallel)
        if isinstance(block, Loop)
        else Choice(block.name, block.condition)
    )
    trace.add_block(empty, what)
    for branch, members in branches.items():
        if members:
            with trace.within(empty if branch != "otherwise" else trace.body[-1], branch):  # type: ignore[arg-type]
                _add(trace, members)


class _Renaming:
    """Puts a workflow's nodes under another name, and values in the place of its inputs."""

    def __init__(self, prefix: str, values: Mapping[str, Any]) -> None:
        self._prefix = prefix
        self._values = values

    def name(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def node(self, node: Node) -> Node:
        if isinstance(node, Loop):
            body = tuple(map(self.node, node.body))
            return Loop(self.name(node.name), self.value(node.items), body, node.parallel)
        if isinstance(node, Choice):
            then, otherwise = (tuple(map(self.node, each)) for each in (node.then, node.otherwise))
            return Choice(self.name(node.name), mapped(node.condition, self.value), then, otherwise)
        after = tuple(map(self.name, node.after))
        return msgspec.structs.replace(
            node, name=self.name(node.name), parameters=self.value(node.parameters), after=after
        )

    def value(self, value: Any) -> Any:
        return replace_references(value, self._reference)

    def _reference(self, reference: AnyReference) -> Any:
        if isinstance(reference, InputReference):
            return _inside(self._values[reference.name], reference.path, reference)
        if isinstance(reference, ItemReference):
            return msgspec.structs.replace(reference, loop=self.name(reference.loop))
        if isinstance(reference, Collection):
            of = self._reference(reference.of)
            return self._standby(msgspec.structs.replace(reference, of=of))
        if isinstance(reference, Reference):
            return self._standby(msgspec.structs.replace(reference, step=self.name(reference.step)))
        return reference

    def _standby(self, reference: Reference | Collection) -> Reference | Collection:
        if reference.otherwise is msgspec.UNSET:
            return reference
        return msgspec.structs.replace(reference, otherwise=self.value(reference.otherwise))


def _inside(value: Any, path: Path, reference: InputReference) -> Any:
    for index, key in enumerate(path):
        if isinstance(value, AnyReference):
            return msgspec.structs.replace(value, path=(*value.path, *path[index:]))
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueMissing(str(reference), key, value) from error
    return value
