"""Shows what every step did with one event."""

from dataclasses import dataclass
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.graphs.event import Event
from modelyard.graphs.plan import Plan
from modelyard.graphs.tokens import TraceEntry

__all__ = ["Trace", "trace_plan"]


@dataclass(frozen=True, slots=True)
class Trace:
    """One event's way through a graph.

    Parameters
    ----------
    steps
        What each step got and gave, how long it took, and its error, in the order in which they ran.
    reply
        The reply, if there is one.
    error
        What the caller would have got instead.
    reported
        Errors that came after the reply.
    """

    steps: tuple[TraceEntry, ...]
    reply: Any
    error: ModelyardError | None
    reported: tuple[ModelyardError, ...]

    def __str__(self) -> str:
        lines = []
        for step in self.steps:
            told = f"✗ {type(step.error).__name__}: {step.error}" if step.error else f"→ {step.output!r:.100}"
            lines.append(f"{step.step:<20} {step.seconds * 1e3:9.3f} ms  {step.input!r:.100} {told}")
        lines.append(f"error: {self.error}" if self.error else f"reply: {self.reply!r:.200}")
        return "\n".join([*lines, *(f"after the reply: {error}" for error in self.reported)])


def trace_plan(plan: Plan, event: Event) -> Trace:
    """Run one event, step by step, and take everything down."""
    steps: list[TraceEntry] = []
    plan.reported.clear()
    reply, failed = None, None
    try:
        reply = plan.interpret(event, steps)
    except ModelyardError as error:
        failed = error
    return Trace(tuple(steps), reply, failed, tuple(plan.reported))
