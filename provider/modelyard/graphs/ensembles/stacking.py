"""The ensemble whose last member judges the answers of the others: stacking."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from modelyard.graphs.ensembles.columns import values_column
from modelyard.graphs.ensembles.combining import Combining, is_rows, plain, value_of
from modelyard.graphs.group_errors import AnswerWrong, MemberFailed

__all__ = ["Stacking"]


class Stacking(Combining):
    """Asks one member, the final one, about the answers of the others: its answer is the ensemble's.

    The final member gets a mapping of member to value, in the order of the members: the names of the members are the
    names of its features.

    Parameters
    ----------
    final
        The member that judges; a model that was fitted on the others' answers.
    field
        Which value is taken of members that answer with mappings: ``label``, or ``probability``.
    passthrough
        Whether it gets the features of the row as well, before the answers; a row that has one of a member's name is
        refused.
    missing
        What it gets for a member that failed, if the ensemble answers from the rest: ``none`` stands for None, and
        with ``error`` the ensemble fails.

    Raises
    ------
    ValueError
        `final` is no member, or the only one; or `missing` is unknown.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("delay")
    >>> members = {
    ...     "near": lambda body: body["x"],
    ...     "far": lambda body: 10 * body["x"],
    ...     "judge": lambda row: row["near"] + row["far"],
    ... }
    >>> step = graph.ensemble(Stacking, members=members, final="judge")
    >>> graph.test({"x": 2})
    22
    """

    label_alone: ClassVar[bool] = True

    def __init__(
        self,
        final: str,
        field: str = "label",
        passthrough: bool = False,
        missing: Literal["error", "none"] = "error",
        *,
        members: tuple[str, ...] = (),
    ) -> None:
        super().__init__(field)
        if final not in members:
            raise ValueError(f"final is a member, {final!r} is none: {', '.join(members)}")
        if len(members) < 2:
            raise ValueError("stacking has members besides the final one")
        if missing not in ("error", "none"):
            raise ValueError(f"missing is error or none, not {missing!r}")
        self.final = final
        self.missing = missing
        self._members = tuple(name for name in members if name != final)
        self.keeps_body = passthrough

    def final_body(self, body: Any, combined: Any) -> Any:
        """Return the final member's features: the answers, after the row's own with `passthrough`."""
        return _passed_through(body, combined) if self.keeps_body else combined

    def one(self, answers: Mapping[str, Any], failures: Mapping[str, BaseException]) -> Any:
        """Return the final member's features for one row."""
        row: dict[str, Any] = {}
        for member in self._members:
            if member in answers:
                value = plain(value_of(member, answers[member], self.field))
                if is_rows(value) or isinstance(value, Mapping):
                    raise AnswerWrong(member, f"it answered {value!r:.80}, which is no plain value")
                row[member] = value
            elif self.missing == "error":
                raise MemberFailed(member, failures[member]) from failures[member]
            else:
                row[member] = None
        return row

    def combine_batch(self, answers: Mapping[str, Any]) -> Any:
        """Return the final member's features for many rows."""
        columns = [values_column(member, answers[member], self.field) for member in self._members]
        plain_columns = [column.tolist() if hasattr(column, "tolist") else column for column in columns]
        found = []
        for row in zip(*plain_columns, strict=True):
            for member, value in zip(self._members, row, strict=True):
                if is_rows(value) or isinstance(value, Mapping) or hasattr(value, "dtype"):
                    raise AnswerWrong(member, "not all of its answers are plain values")
            found.append(dict(zip(self._members, row, strict=True)))
        return found


def _passed_through(body: Any, combined: Any) -> Any:
    if isinstance(combined, list):
        return [_passed_through(*each) for each in zip(body, combined, strict=True)]
    if not isinstance(body, Mapping):
        raise TypeError(f"passthrough needs a row that is a mapping of features, not {type(body).__name__}")
    both = [repr(name) for name in combined if name in body]
    if both:
        raise ValueError(f"passthrough: the row has a feature {', '.join(both)}, and so is a member called: rename it")
    return {**body, **combined}
