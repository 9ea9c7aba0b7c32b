"""Takes down what model steps see and say, where somebody wants to know; costs nothing where nobody does."""

from collections.abc import Callable
from typing import Any

from modelyard.graphs.calls import StepCall
from modelyard.graphs.event import Event
from modelyard.graphs.isolation import isolated
from modelyard.graphs.models.rows import is_row
from modelyard.graphs.models.server import ModelServer, asked_version
from modelyard.graphs.ports import Recorder

__all__ = ["recorded_model"]


def recorded_model(call: StepCall, step: str, recorder: Recorder) -> StepCall:
    """Return the call of a model step such that the recorder learns of each prediction.

    A recorded step is always asked about events, never about bodies alone: a record without its event's id could not be
    joined with anything. Rows of several events are still gathered, where a server asks for it. A model that streams
    stays as it is, and is not recorded.

    Parameters
    ----------
    call
        The model's; its owner is the `ModelServer`.
    step
        The step's name.
    recorder
        Who takes down.
    """
    if call.yields:
        return call
    server: ModelServer = call.owner
    keep: Callable[[Any], Any] = _same if server.leaves_body else isolated
    function = call.function

    def tell(event: Event, body: Any, answer: Any) -> None:
        several = isinstance(body, list) and isinstance(answer, list) and len(body) == len(answer) and not is_row(body)
        rows, answers = (body, answer) if several else ([body], [answer])
        recorder.record(event, step, rows, answers)

    def ask(event: Event) -> Any:
        if asked_version(server, event) is None:
            return function(event)
        body = keep(event.body)
        answer = function(event)
        tell(event, body, answer)
        return answer

    async def ask_async(event: Event) -> Any:
        if asked_version(server, event) is None:
            return await function(event)
        body = keep(event.body)
        answer = await function(event)
        tell(event, body, answer)
        return answer

    return call._replace(function=ask_async if call.is_async else ask, batch=None)


def _same(body: Any) -> Any:
    return body
