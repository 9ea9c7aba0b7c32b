"""A plan: a graph that is open, with its classes built and its models loaded, ready to run events."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from modelyard.graphs.calls import StepCall
from modelyard.graphs.errors import StepFailed
from modelyard.graphs.event import Event
from modelyard.graphs.model_files import LoadedModel

__all__ = ["Plan"]


class Plan:
    """Runs events through a chain of steps.

    Parameters
    ----------
    graph
        The graph's name.
    calls
        The steps by name, in order.
    models
        The loaded model of each model step.
    """

    def __init__(self, graph: str, calls: Mapping[str, StepCall], models: Mapping[str, LoadedModel]) -> None:
        self.graph = graph
        self.models = dict(models)
        self.is_async = any(call.is_async for call in calls.values())
        self.steps = tuple(calls)
        self._calls = tuple(calls.values())

    def run(self, event: Event) -> Any:
        """Return the reply to `event`, computed in this thread.

        Raises
        ------
        StepFailed
            A step raised; the error names graph, step and event.
        """
        body, index = event.body, 0
        try:
            for index, call in enumerate(self._calls):  # noqa: B007 (the handler names the step by it)
                body = call.function(event if call.full_event else body)
                event.body = body
        except Exception as error:
            raise self._failed(index, event, error) from error
        return body

    async def run_async(self, event: Event) -> Any:
        """Return the reply to `event`, awaiting the steps that are coroutines.

        Raises
        ------
        StepFailed
            A step raised; the error names graph, step and event.
        """
        body, index = event.body, 0
        try:
            for index, call in enumerate(self._calls):  # noqa: B007 (the handler names the step by it)
                function: Callable[[Any], Any] = call.function
                result = function(event if call.full_event else body)
                body = await cast("Awaitable[Any]", result) if call.is_async else result
                event.body = body
        except Exception as error:
            raise self._failed(index, event, error) from error
        return body

    def _failed(self, index: int, event: Event, error: Exception) -> StepFailed:
        event.error, event.origin = error, self.steps[index]
        return StepFailed(self.graph, self.steps[index], event.id, error)
