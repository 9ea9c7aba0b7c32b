"""A graph that is a member of a router or ensemble: a plan of its own, opened and closed with the outer one."""

from typing import Any, Self

from modelyard.graphs.calls import StepCall
from modelyard.graphs.compiled import compile_plan
from modelyard.graphs.errors import GraphInvalid, StepFailed
from modelyard.graphs.event import Event
from modelyard.graphs.group_errors import MemberFailed, RowsFailed
from modelyard.graphs.mapping import map_plan
from modelyard.graphs.plan import Plan

__all__ = ["MemberGraph"]


class MemberGraph:
    """Runs events through an inner plan.

    An event that the inner graph filters out has the answer None.

    Parameters
    ----------
    graph, step
        How errors call the place.
    plan
        The inner plan; it is not open yet.
    """

    def __init__(self, graph: str, step: str, plan: Plan) -> None:
        if plan.streams:
            raise GraphInvalid(graph, "a graph that streams is no member", step=step)
        self.plan = plan
        plan.compiled = compile_plan(plan)

    @property
    def call(self) -> StepCall:
        """What the group calls."""
        if self.plan.is_async:
            return StepCall(self._run_async, is_async=True, full_event=True)
        return StepCall(self._run, full_event=True, batch=self._map)

    def _run(self, event: Event) -> Any:
        try:
            reply = self.plan.run(event)
        except StepFailed as failed:
            raise _unwrapped(failed) from failed.cause
        event.status = 0 if event.status == 204 else event.status
        return reply

    async def _run_async(self, event: Event) -> Any:
        try:
            reply = await self.plan.run_async(event)
        except StepFailed as failed:
            raise _unwrapped(failed) from failed.cause
        event.status = 0 if event.status == 204 else event.status
        return reply

    def _map(self, bodies: Any) -> Any:
        rows = map_plan(self.plan, bodies)
        if rows.errors:
            told = {
                row: _unwrapped(error) if isinstance(error, StepFailed) else error for row, error in rows.errors.items()
            }
            raise RowsFailed(list(rows.values), told)
        return rows.values

    enters_either_way = True
    """It is opened on the event loop if the outer graph is, and without one otherwise."""

    def __enter__(self) -> Self:
        self.plan.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.plan.close()

    async def __aenter__(self) -> Self:
        await self.plan.open_async()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.plan.close_async()


def _unwrapped(failed: StepFailed) -> MemberFailed:
    return MemberFailed(str(failed.facts["step"]), failed.cause)
