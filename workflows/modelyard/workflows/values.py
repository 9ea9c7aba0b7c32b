"""What a workflow function has in its hands: values that only a run will know."""

import inspect
import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import msgspec

from modelyard.operations import OperationSpec
from modelyard.workflows.conditions import AllOf, AnyOf, Comparison, Condition, Not, Operator
from modelyard.workflows.errors import ResultFieldUnknown, WorkflowInvalid
from modelyard.workflows.references import AnyReference, Collection, Reference, StatusReference

__all__ = ["Predicate", "StepHandle", "Value", "collect", "condition_of", "exit_status", "place", "plain"]

_OWN_FOLDER = f"{os.path.dirname(__file__)}{os.sep}"  # noqa: PTH120 - compared with what code objects hold


class Value:
    """A result or an input that a run will know: pass it to a parameter, or index it for what it has inside.

    Compared, it gives a `Predicate` for `when`. It has no value while the workflow is being defined, so it cannot be
    looped over or put into text, and Python's own ``if`` cannot ask it.
    """

    __slots__ = ("_reference",)

    def __init__(self, reference: AnyReference) -> None:
        self._reference = reference

    def __getitem__(self, key: str | int) -> "Value":
        return Value(msgspec.structs.replace(self._reference, path=(*self._reference.path, key)))

    def or_else(self, value: Any) -> "Value":
        """Return this value with another that stands for it where its step was skipped.

        Parameters
        ----------
        value
            JSON, or a value of the run, such as the result of a step in the other branch.
        """
        if not isinstance(self._reference, Reference | Collection):
            mend = "Leave or_else out."
            raise WorkflowInvalid(f"{self._reference} is never skipped", where=place(), mend=mend)
        return Value(msgspec.structs.replace(self._reference, otherwise=plain(value, place())))

    def __repr__(self) -> str:
        return f"<{self._reference}, known when the workflow runs>"

    def _refuse(self, what: str) -> WorkflowInvalid:
        return WorkflowInvalid(
            f"{self._reference} is known only when the workflow runs: it cannot be {what} while it is defined",
            where=place(),
            mend="Do that in a project function and call it: steps.call(function=…).",
        )

    def __str__(self) -> str:
        raise self._refuse("put into text")

    def __bool__(self) -> bool:
        error = self._refuse("a condition of Python")
        error.mend = "Write: with when(…): …"
        raise error

    def __iter__(self) -> Any:
        error = self._refuse("looped over")
        error.mend = "Write: with each(…) as item: …"
        raise error

    def __len__(self) -> int:
        raise self._refuse("counted")

    def __eq__(self, other: object) -> "Predicate":  # type: ignore[override]
        return _compared(self, "==", other)

    def __ne__(self, other: object) -> "Predicate":  # type: ignore[override]
        return _compared(self, "!=", other)

    def __lt__(self, other: object) -> "Predicate":
        return _compared(self, "<", other)

    def __le__(self, other: object) -> "Predicate":
        return _compared(self, "<=", other)

    def __gt__(self, other: object) -> "Predicate":
        return _compared(self, ">", other)

    def __ge__(self, other: object) -> "Predicate":
        return _compared(self, ">=", other)

    def __and__(self, other: "Value | Predicate") -> "Predicate":
        return Predicate(condition_of(self)) & other

    def __or__(self, other: "Value | Predicate") -> "Predicate":
        return Predicate(condition_of(self)) | other

    def __invert__(self) -> "Predicate":
        return ~Predicate(condition_of(self))

    __hash__ = object.__hash__


class Predicate:
    """What `when` decides by: a comparison, or several joined by ``&``, ``|`` and ``~``."""

    __slots__ = ("_condition",)

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def __and__(self, other: "Value | Predicate") -> "Predicate":
        return Predicate(AllOf((*_parts(self, AllOf), *_parts(other, AllOf))))

    def __or__(self, other: "Value | Predicate") -> "Predicate":
        return Predicate(AnyOf((*_parts(self, AnyOf), *_parts(other, AnyOf))))

    def __invert__(self) -> "Predicate":
        return Predicate(Not(self._condition))

    def __bool__(self) -> bool:
        raise WorkflowInvalid(
            "a comparison is decided only when the workflow runs: Python's if, and, or, not cannot ask it",
            where=place(),
            mend="Write: with when(…): …; join comparisons in brackets by &, | and ~.",
        )


def _compared(left: Value, operator: Operator, right: object) -> Predicate:
    sides = (plain(side, place()) for side in (left, right))
    return Predicate(Comparison(next(sides), operator, next(sides)))


def _parts(test: Value | Predicate, kind: type[AllOf] | type[AnyOf]) -> Sequence[Condition]:
    condition = condition_of(test)
    return condition.parts if isinstance(condition, kind) else (condition,)


def condition_of(test: object) -> Condition:
    """Return the condition that a comparison, or a value that is true or false, stands for.

    Raises
    ------
    WorkflowInvalid
        It is neither.
    """
    if isinstance(test, Predicate):
        return test._condition  # noqa: SLF001 - a test offers operators alone
    if isinstance(test, Value):
        return Comparison(plain(test, ""), "==", right=True)
    raise WorkflowInvalid(
        f"a condition must be known only when the workflow runs, got {test!r}",
        where=place(),
        mend="Compare a result or a parameter; for what is known now, use Python's own if.",
    )


class StepHandle:
    """A step that was called: its attributes are references to the fields of its result."""

    __slots__ = ("_spec", "_step")

    def __init__(self, step: str, spec: OperationSpec) -> None:
        self._step = step
        self._spec = spec

    def __getattr__(self, name: str) -> Value:
        if name.startswith("__"):
            raise AttributeError(name)
        known = [each.name for each in self._spec.results]
        if name not in known:
            raise ResultFieldUnknown(self._step, self._spec.name, name, known, where=place())
        return Value(Reference(self._step, name))

    def __repr__(self) -> str:
        return f"<step {self._step}>"


exit_status = Value(StatusReference())
"""How the workflow ended, for its exit handler.

``exit_status["state"]`` is succeeded or failed, ``exit_status["error"]`` says in words what failed (empty where nothing
did), ``exit_status["workflow_run"]`` names the run."""


def collect(value: Value) -> Value:
    """Return the results of a step inside a loop, of all items, as one list in the order of the items.

    Parameters
    ----------
    value
        A result of a step inside a loop that has ended here.

    Raises
    ------
    WorkflowInvalid
        It is something else.
    """
    reference = value._reference if isinstance(value, Value) else value  # noqa: SLF001
    if not isinstance(reference, Reference):
        mend = "Pass it the field of a step's result: collect(scored.rows)."
        raise WorkflowInvalid(f"collect takes the result of a step, got {value!r}", where=place(), mend=mend)
    return Value(Collection(reference))


def plain(value: Any, where: str) -> Any:
    """Return a value as JSON and references, copied.

    Raises
    ------
    WorkflowInvalid
        It has no image in JSON.
    """
    if isinstance(value, Value):
        return value._reference  # noqa: SLF001 - a value's public names would look like what it has inside
    if isinstance(value, StepHandle):
        fields = [each.name for each in value._spec.results]  # noqa: SLF001
        raise WorkflowInvalid(
            f"{value!r} is a step, not a value", where=where, mend=f"Pass one of its results: {', '.join(fields)}."
        )
    if isinstance(value, list | tuple):
        return [plain(each, f"{where}[{index}]") for index, each in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise WorkflowInvalid(
        f"{type(value).__name__} is not JSON", where=where, mend="Pass text, numbers, lists or mappings with text keys."
    )


def place() -> str:
    """Return the file and line of the user's code that called into this package."""
    frame = inspect.currentframe()
    while frame is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{'/'.join(Path(frame.f_code.co_filename).parts[-2:])}:{frame.f_lineno}"


def _is_ours(file: str) -> bool:
    """Whether code belongs to the builder; the ready workflows of the library are written as users write theirs."""
    own = file.startswith(_OWN_FOLDER) and not file.startswith(f"{_OWN_FOLDER}library{os.sep}")
    return own or file.endswith(f"{os.sep}contextlib.py")
