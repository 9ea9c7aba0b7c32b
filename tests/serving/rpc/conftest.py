"""A service that answers from plain NumPy, behind a real gRPC server."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from threading import Thread
from typing import Any

import numpy as np
import pytest

from modelyard.graphs import EventInvalid, StepFailed
from modelyard.graphs.models import Tensor as Described
from modelyard.serving.inference import InferenceRequest, InferenceResponse, Tensor
from modelyard.serving.inference.service import (
    Caller,
    ModelMetadata,
    ModelState,
    ModelUnknown,
    ServerMetadata,
    VersionUnknown,
)
from modelyard.serving.rpc import RpcServer


class Sums:
    """``sum`` adds up each row of numbers, ``echo`` gives back what it gets, ``broken`` raises."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        self.loaded: list[tuple[str, Mapping[str, Any]]] = []
        self.unloaded: list[str] = []

    def _check(self, name: str, version: str) -> None:
        if name not in ("sum", "echo", "broken"):
            raise ModelUnknown(name, ["sum", "echo", "broken"])
        if version not in ("", "3"):
            raise VersionUnknown(name, version, ["3"])

    def ready(self) -> bool:
        return True

    def server(self) -> ServerMetadata:
        return ServerMetadata("sums", "0.1")

    def model_ready(self, name: str, version: str) -> bool:
        self._check(name, version)
        return name != "broken"

    def model(self, name: str, version: str) -> ModelMetadata:
        self._check(name, version)
        return ModelMetadata(
            name, ("3",), "numpy", (Described("x", "FP64", (-1, 2)),), (Described("sum", "FP64", (-1,)),)
        )

    async def infer(self, name: str, version: str, request: InferenceRequest, caller: Caller) -> InferenceResponse:
        self._check(name, version)
        self.callers.append(caller)
        if name == "broken":
            cause = EventInvalid("must be a time", field="at") if request.id == "invalid" else ZeroDivisionError("zero")
            raise StepFailed("sums", "divide", "e7", cause) if request.id else ZeroDivisionError("a secret")
        if name == "echo":
            return InferenceResponse("echo", "3", request.id, request.tensors, dict(request.parameters))
        total = request.tensors[0].array.sum(axis=1)
        return InferenceResponse("sum", "3", request.id, (Tensor.of("sum", total),))

    async def stream(
        self, name: str, version: str, request: InferenceRequest, caller: Caller
    ) -> AsyncIterator[InferenceResponse]:
        self._check(name, version)
        for row in request.tensors[0].array:
            yield InferenceResponse(name, "3", request.id, (Tensor.of("sum", np.array([row.sum()])),))

    def index(self, *, ready: bool) -> Sequence[ModelState]:
        states = [ModelState("sum", "3", "READY"), ModelState("broken", "3", "UNAVAILABLE", "it is broken")]
        return states[:1] if ready else states

    async def load(self, name: str, parameters: Mapping[str, Any]) -> None:
        self._check(name, "")
        self.loaded.append((name, parameters))

    async def unload(self, name: str) -> None:
        self.unloaded.append(name)


class Running:
    """A server on a loop of its own."""

    def __init__(self, service: Sums) -> None:
        self.service = service
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        self.server = self.on_loop(self._begin())
        self.address = f"127.0.0.1:{self.server.port}"

    async def _begin(self) -> RpcServer:
        server = RpcServer(self.service, message_limit=1 << 20)
        await server.start()
        return server

    def on_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def end(self) -> None:
        self.on_loop(self.server.stop(5))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    running = Running(Sums())
    yield running
    running.end()
