"""One open graph as a service of the Open Inference Protocol.

Every request goes through the graph: its name, and the names of the models in it, are models of the protocol, and the
path of the request says which one is meant. So a router by path, a model's versions and operations, and the steps
around them mean the same as for any other event.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from modelyard.errors import ErrorKind, ModelyardError
from modelyard.graphs import Event, Plan, Response
from modelyard.graphs.answer_columns import AnswerColumns
from modelyard.graphs.batching import MicroBatcher
from modelyard.graphs.ensemble_group import EnsembleGroup
from modelyard.graphs.mapping import answers_one, map_at_once, takes_batches
from modelyard.graphs.models import ModelServer
from modelyard.graphs.models import Tensor as Described
from modelyard.graphs.models.reloads import Reload, prepared
from modelyard.serving.errors import HttpRefusal, RowsExceeded
from modelyard.serving.event_records import Runs
from modelyard.serving.inference.lanes import Lane
from modelyard.serving.inference.messages import InferenceRequest, InferenceResponse
from modelyard.serving.inference.rows import body_of, rows_of
from modelyard.serving.inference.service import (
    FAILED_PARAMETER,
    Caller,
    ModelMetadata,
    ModelState,
    ModelUnknown,
    ServerMetadata,
    VersionUnknown,
    text_of,
)
from modelyard.serving.inference.tensors import Tensor
from modelyard.serving.replies import encode, failed_members
from modelyard.serving.traffic import Traffic

__all__ = ["EventRefused", "GraphService", "OutputUnknown", "RowFailed", "RowFiltered"]

PLATFORM = "modelyard_graph"
HEADER = "x-model-version"
"""Names the version that is to answer, as `modelyard.graphs.models.ModelServer` has it."""
Relay = Callable[[str, str, str], Awaitable[None]]


class EventRefused(HttpRefusal):
    """Raised when the graph answered one row with a `Response` whose status says no."""

    def __init__(self, graph: str, event: str, response: Response) -> None:
        told = response.body if isinstance(response.body, str) else encode(response.body).decode()
        super().__init__(
            f"the graph answers with status {response.status}: {told}",
            where=f"graph {graph}, event {event}",
            facts={"graph": graph, "event": event},
        )
        self._code = response.status

    @property
    def code(self) -> int:
        """The status that the graph gave."""
        return self._code


class RowFiltered(ModelyardError):
    """Raised when the graph filtered a row out: the protocol has no way to say that it has no output."""

    kind = ErrorKind.INVALID

    def __init__(self, graph: str, event: str) -> None:
        super().__init__("the graph filtered the row out", where=f"graph {graph}, event {event}")


class RowFailed(ModelyardError):
    """Raised when one of the rows of a request failed; it is of the same kind as what happened."""

    def __init__(self, index: int, error: ModelyardError) -> None:
        place = f"{error.where}: " if error.where else ""
        what = error.what.removeprefix("row 0: ")  # the only one of its event, which counts it anew
        super().__init__(f"row {index}: {place}{what}", mend=error.mend, facts={**error.facts, "row": index})
        self._kind = error.error_kind

    @property
    def error_kind(self) -> ErrorKind:
        """The kind of the row's own error."""
        return self._kind


class OutputUnknown(HttpRefusal):
    """Raised when a client asks for an output that the reply does not have."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no output {name!r}", mend=f"Outputs: {', '.join(known)}.", facts={"output": name})


class _ApartError(Exception):
    """The rows are to be asked one by one."""


class _Row(NamedTuple):
    """One row on its way into the graph."""

    body: Any
    id: str
    caller: Caller


class GraphService:
    """Answers requests of the Open Inference Protocol with one plan.

    Parameters
    ----------
    plan
        The open graph.
    version
        What the protocol calls the graph's version: that of the revision.
    server_version
        That of the server's code.
    rows
        The most rows in one request.
    batch
        How many rows of different requests are answered at once, where every step of the graph takes batches; 1
        answers each request by itself.
    alone
        Whether the request that is being answered is the only one that the server has: it is then answered at once,
        and waits for no turn of the loop.
    traffic
        Is told of requests that bring several rows, each of which is an event of its own.
    observe
        Is told the graph and how many rows went through all its steps at once.
    runs
        Runs events and takes down how they end, so that each row is one; None is the plan itself.

    Attributes
    ----------
    relay
        Has a model loaded by every worker, where there are several; None loads it here.
    lanes
        Path → what answers the requests there that bring one row of numbers.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        version: str = "",
        server_version: str = "",
        rows: int = 100_000,
        batch: int = 32,
        alone: Callable[[], bool] | None = None,
        observe: Callable[[str, int], None] | None = None,
        traffic: Traffic | None = None,
        runs: Runs | None = None,
    ) -> None:
        self.relay: Relay | None = None
        self._traffic = traffic or Traffic()
        self.plan = plan
        self.version = version
        self._server_version = server_version
        self._rows = rows
        self._models = _named(plan)
        self._runs: Runs = runs or plan
        self._vectorised = takes_batches(plan) and runs is None
        self._answer = answers_one(plan)
        self._batcher = MicroBatcher(
            self._one,
            self._together,
            limit=max(batch, 1),
            alone=_always if batch <= 1 else alone,
            observe=None if observe is None else lambda size: observe(plan.graph, size),
        )
        self._ensembles = [each for each in plan.groups.values() if isinstance(each, EnsembleGroup)]
        self._routed = any(node.kind == "router" for node in plan.nodes)
        self._features = frozenset(
            tensor["name"] for model in self._models.values() for tensor in model.metadata()["inputs"]
        )
        names = [plan.graph, *(() if self._routed else self._models)] if self._vectorised else []
        self.lanes = {f"/v2/models/{name}/infer": Lane(name, version, self._features, self._batcher) for name in names}

    def ready(self) -> bool:
        """Return whether every model answers."""
        return all(model.ready() for model in self.plan.models.values())

    def server(self) -> ServerMetadata:
        """Return who serves."""
        return ServerMetadata(self.plan.graph, self._server_version)

    def model_ready(self, name: str, version: str) -> bool:
        """Return whether one model answers."""
        model = self._known(name, version)
        return self.ready() if model is None else model.ready()

    def model(self, name: str, version: str) -> ModelMetadata:
        """Return what is known about one model; of the graph itself, what its only model says."""
        model = self._known(name, version)
        if model is not None:
            said = model.metadata(version)
            versions = tuple(said["versions"])
            return ModelMetadata(name, versions, said["platform"], _tensors(said["inputs"]), _tensors(said["outputs"]))
        versions = (self.version,) if self.version else ()
        only = next(iter(self._models.values())).metadata() if len(self.plan.nodes) == 1 and self._models else {}
        inputs, outputs = _tensors(only.get("inputs", ())), _tensors(only.get("outputs", ()))
        return ModelMetadata(name, versions, PLATFORM, inputs, outputs)

    async def infer(self, name: str, version: str, request: InferenceRequest, caller: Caller) -> InferenceResponse:
        """Return the graph's answer: a row of outputs for each row of inputs.

        Raises
        ------
        RowsExceeded
            The request has more rows than the limit.
        StepFailed
            A step raised about a row.
        EventRefused, RowFiltered
            A row has an answer that is no output.
        """
        self._known(name, version)
        rows = self._rows_in(request)
        default = not version and HEADER not in caller.headers
        in_time = (deadline := caller.deadline) is None or deadline > monotonic()
        if self._vectorised and default and in_time and (name == self.plan.graph or not self._routed):
            try:
                replies = [await self._batcher(rows[0])] if len(rows) == 1 else self._replies(rows)
                return self._response(name, version, request, replies)
            except _ApartError:  # as events, each row says what is wrong with it, or who is missing
                pass
        events = [self._event(_Row(row, request.id, caller)) for row in body_of(rows)]
        return self._response(name, version, request, await self._one_by_one(events), events)

    async def stream(
        self, name: str, version: str, request: InferenceRequest, caller: Caller
    ) -> AsyncIterator[InferenceResponse]:
        """Yield the graph's answers as they come; for a graph that does not stream one for each row."""
        self._known(name, version)
        for row in body_of(self._rows_in(request)):
            event = self._event(_Row(row, request.id, caller))
            if self.plan.streams:
                async for reply in self._runs.stream_async(event):
                    yield self._response(name, version, request, [self._told(event, reply)], [event])
            else:
                reply = self._told(event, await self._run(event))
                yield self._response(name, version, request, [reply], [event])

    def index(self, *, ready: bool) -> Sequence[ModelState]:
        """Return the graph and its models."""
        found = [ModelState(self.plan.graph, self.version, "READY" if self.ready() else "LOADING")]
        for name, model in self._models.items():
            if name == self.plan.graph:
                continue
            state = "READY" if model.ready() else "UNAVAILABLE"
            found += [ModelState(name, version, state, "") for version in model.versions]
        return [each for each in found if each.state == "READY" or not ready]

    async def load(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Load a model anew, without a dropped request; the parameter ``reference`` names another one."""
        load = self.load_here if self.relay is None else self.relay
        await load(name, text_of(parameters, "reference"), text_of(parameters, "version"))

    async def load_here(self, name: str, reference: str, version: str) -> None:
        """Load a model anew in this process, whoever else serves it."""
        await asyncio.to_thread((await self.prepare(name, reference, version)).serve)

    async def prepare(self, name: str, reference: str, version: str) -> Reload:
        """Load a model beside the one that serves, for whoever says when it is to serve."""
        if name not in self._models:
            raise ModelUnknown(name, list(self._models))
        return await asyncio.to_thread(prepared, self._models[name], reference, version=version)

    async def unload(self, name: str) -> None:
        """Refuse: a model belongs to its graph, and goes with it."""
        self._known(name, "")
        raise HttpRefusal(
            f"{name} belongs to the graph {self.plan.graph} and is served as long as it is",
            mend="Undeploy the endpoint.",
        )

    def _known(self, name: str, version: str) -> ModelServer | None:
        if name in self._models:
            model = self._models[name]
            if version and version not in model.versions:
                raise VersionUnknown(name, version, [each for each in model.versions if each])
            if name != self.plan.graph or version:
                return model
        elif name != self.plan.graph:
            raise ModelUnknown(name, [self.plan.graph, *self._models])
        elif version and version != self.version:
            raise VersionUnknown(name, version, [self.version] if self.version else [])
        return None

    def _rows_in(self, request: InferenceRequest) -> Any:
        rows = rows_of(request.tensors, self._features)
        if len(rows) > self._rows:
            raise RowsExceeded(len(rows), self._rows)
        return rows

    def _together(self, rows: list[Any]) -> Any:
        return self._replies(np.array(rows) if isinstance(rows[0], np.ndarray | tuple) else rows)

    def _one(self, row: Any) -> Any:
        if type(row) is tuple and self._answer is not None:
            partial = self._partial()
            try:
                reply = self._answer([*row])
            except Exception as error:
                raise _ApartError from error
            if type(reply) is Response or (self._ensembles and self._partial() != partial):
                raise _ApartError
            return reply
        return self._replies(np.array(row).reshape(1, -1) if isinstance(row, np.ndarray | tuple) else [row])[0]

    def _replies(self, rows: Any) -> Any:
        partial = self._partial()
        found = map_at_once(self.plan, rows)
        if found is None or found.errors or not _plain(found.values) or self._partial() != partial:
            raise _ApartError
        return found.values

    def _partial(self) -> int:
        """Return how many rows ensembles answered without some of their members: a batch does not say which."""
        return sum(each.partial for each in self._ensembles) if self._ensembles else 0

    async def _one_by_one(self, events: list[Event]) -> list[Any]:
        if len(events) == 1:
            return [self._told(events[0], await self._run(events[0]))]
        if not self.plan.is_async:
            return [await self._told_row(index, event) for index, event in enumerate(events)]
        tasks = [asyncio.ensure_future(self._told_row(index, event)) for index, event in enumerate(events)]
        self._traffic.gathered += 1
        try:
            return [await task for task in tasks]
        finally:
            self._traffic.gathered -= 1
            for task in tasks:  # after the first failure nobody wants the others
                task.cancel()

    async def _told_row(self, index: int, event: Event) -> Any:
        try:
            return self._told(event, await self._run(event))
        except ModelyardError as error:
            raise RowFailed(index, error) from error

    def _event(self, row: _Row) -> Event:
        return Event(
            row.body, id=row.id, path=row.caller.path, headers=row.caller.headers, deadline=row.caller.deadline
        )

    async def _run(self, event: Event) -> Any:
        return await self._runs.run_async(event)

    def _told(self, event: Event, reply: Any) -> Any:
        if isinstance(reply, Response):
            if reply.status >= 400:
                raise EventRefused(self.plan.graph, event.id, reply)
            reply = reply.body
        if event.status == 204:
            raise RowFiltered(self.plan.graph, event.id)
        return reply

    def _response(
        self, name: str, version: str, request: InferenceRequest, replies: Any, events: Sequence[Event] = ()
    ) -> InferenceResponse:
        failed = {each for event in events if event.metadata for each in failed_members(event.metadata)}
        told = {FAILED_PARAMETER: ", ".join(sorted(failed))} if failed else {}
        response = InferenceResponse(name, version or self.version, request.id, None, told, replies=replies)
        if not request.outputs:
            return response
        tensors = _wanted(response.tensors, [each.name for each in request.outputs])
        return InferenceResponse(name, response.model_version, request.id, tensors, told)


def _always() -> bool:
    return True


def _plain(replies: Any) -> bool:
    """Whether no reply carries a status of its own: that is for events to look at."""
    return isinstance(replies, np.ndarray | AnswerColumns) or not any(type(each) is Response for each in replies)


def _named(plan: Plan) -> dict[str, ModelServer]:
    """Return the models by the shortest name that is theirs alone."""
    short = [name.rpartition(".")[2] for name in plan.models]
    return {
        (tail if short.count(tail) == 1 else name): model
        for (name, model), tail in zip(plan.models.items(), short, strict=True)
    }


def _tensors(described: Sequence[Mapping[str, Any]]) -> tuple[Described, ...]:
    return tuple(Described.read(each) for each in described)


def _wanted(tensors: tuple[Tensor, ...], names: Sequence[str]) -> tuple[Tensor, ...]:
    known = {each.name: each for each in tensors}
    for name in names:
        if name not in known:
            raise OutputUnknown(name, list(known))
    return tuple(known[name] for name in names)
