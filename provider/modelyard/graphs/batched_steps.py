"""Steps that answer the rows of several events with one call, where a server asks for it; see `batching`."""

from typing import Any

from modelyard.graphs.batching import Batching, MicroBatcher
from modelyard.graphs.calls import StepCall
from modelyard.graphs.ensemble_group import EnsembleGroup
from modelyard.graphs.event import Event
from modelyard.graphs.models.rows import is_row
from modelyard.graphs.models.server import ModelServer
from modelyard.graphs.settings import StepSettings

__all__ = ["batched_ensemble", "batched_model"]


def batched_model(call: StepCall, step: str, settings: StepSettings, batching: Batching) -> StepCall:
    """Return the call of a model step such that the rows of one turn of the loop are one call of the model.

    A model that waits, streams, runs elsewhere or takes no batches stays as it is.

    Parameters
    ----------
    call
        The model's own; its owner is the `ModelServer`.
    step
        The step's name.
    settings
        What is asked of the step.
    batching
        How rows are gathered.
    """
    if call.batch is None or call.is_async or call.yields or not _plain(settings):
        return call
    server: ModelServer = call.owner
    single, asks_default = server.do_event, server.asks_default

    def together(events: list[Event]) -> Any:
        return server.do_batch([event.body for event in events])

    batcher = _batcher(single, together, step, batching)

    async def ask(event: Event) -> Any:
        if is_row(event.body) and asks_default(event):
            return await batcher(event)
        return single(event)

    return call._replace(function=ask, is_async=True)


def batched_ensemble(group: EnsembleGroup, call: StepCall, settings: StepSettings, batching: Batching) -> StepCall:
    """Return the call of an ensemble such that each member is called once for the rows of one turn of the loop.

    An ensemble that answers although a member failed stays as it is: what it says of the failure belongs to one event.

    Parameters
    ----------
    group
        The ensemble.
    call, settings, batching
        As for `batched_model`.
    """
    if call.batch is None or call.is_async or not _plain(settings) or group.failing.on_member_error != "fail":
        return call
    batch, told = call.batch, group.told

    def together(events: list[Event]) -> Any:
        replies = batch([event.body for event in events])
        for event in events:
            event.metadata[group.name] = told()
        return replies

    batcher = _batcher(group.call, together, group.name, batching)

    async def ask(event: Event) -> Any:
        if event.path == "/" or group.asks_all(event):
            return await batcher(event)
        return group.call(event)

    return call._replace(function=ask, is_async=True)


def _plain(settings: StepSettings) -> bool:
    return settings.concurrency == "inline" and not settings.timeout and not settings.validate


def _batcher(single: Any, together: Any, step: str, batching: Batching) -> MicroBatcher:
    observe = batching.observe
    return MicroBatcher(
        single,
        together,
        limit=batching.limit,
        alone=batching.alone,
        observe=None if observe is None else lambda size: observe(step, size),
    )
