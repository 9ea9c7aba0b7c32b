"""Models that graphs of tests find by their dotted paths, and a loader of model folders."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from modelyard.data.digests import digest_of
from modelyard.graphs import Event, EventInvalid
from modelyard.graphs.models import LoadedModel, Model, Signature, Tensor, model_operation, open_model


class Folders:
    """Loads models from folders named like their references; what one names may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, str] = {}
        self.asked: list[str] = []

    def load(self, reference: str) -> LoadedModel:
        self.asked.append(reference)
        name = self.names.get(reference, reference)
        folder = self.folder / name
        return open_model(folder, digest=digest_of(folder), name=f"models:/{name}/1")


class Times(Model):
    """Multiplies."""

    def __init__(self, factor: float = 2) -> None:
        self.factor = factor

    def predict(self, inputs: Any) -> Any:
        return inputs * self.factor

    def metrics(self) -> dict[str, float]:
        return {"factor": self.factor}

    def signature(self) -> Signature:
        return Signature((Tensor("x", "FP64", (-1, 1)),), (Tensor("y", "FP64", (-1, 1)),))


class Hooked(Model):
    """Writes down which of its hooks are called, in order."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def load(self) -> None:
        self.calls.append("load")

    def close(self) -> None:
        self.calls.append("close")

    def ready(self) -> bool:
        self.calls.append("ready")
        return True

    def example(self) -> Any:
        self.calls.append("example")
        return None

    def preprocess(self, body: Any) -> Any:
        self.calls.append(("preprocess", body))
        return body + 1

    def validate(self, inputs: Any) -> Any:
        self.calls.append(("validate", inputs))
        if inputs < 0:
            raise EventInvalid("must be above -1", field="body")
        return "ignored"

    def predict(self, inputs: Any) -> Any:
        self.calls.append(("predict", inputs))
        return inputs * 10

    def postprocess(self, outputs: Any) -> Any:
        self.calls.append(("postprocess", outputs))
        return {"answer": outputs}

    def explain(self, inputs: Any) -> Any:
        self.calls.append(("explain", inputs))
        return {"because": inputs}

    @model_operation()
    def threshold(self, body: Any) -> Any:
        self.calls.append(("threshold", body))
        return body

    @model_operation(name="who-asks", full_event=True)
    def asker(self, event: Event) -> Any:
        return event.headers.get("user-agent", "nobody")


class HookedAsync(Model):
    """The same hooks as coroutines, but for two."""

    async def load(self) -> None:
        await asyncio.sleep(0)
        self.loaded = True

    async def preprocess(self, body: Any) -> Any:
        await asyncio.sleep(0)
        return body + 1

    def validate(self, inputs: Any) -> Any:
        if inputs < 0:
            raise EventInvalid("must be above -1", field="body")

    async def predict(self, inputs: Any) -> Any:
        await asyncio.sleep(0)
        return inputs * 10

    def postprocess(self, outputs: Any) -> Any:
        return {"answer": outputs, "loaded": self.loaded}

    @model_operation()
    def threshold(self, body: Any) -> Any:
        return body


class Streaming(Model):
    """Says one word after the other."""

    def preprocess(self, body: Any) -> Any:
        return body.split()

    def predict(self, inputs: Any) -> Iterator[Any]:
        yield from inputs

    def postprocess(self, outputs: Any) -> Any:
        return outputs.upper()

    @model_operation()
    def count(self, body: Any) -> Any:
        return len(body.split())


class StreamingAsync(Model):
    """Says one word after the other, and waits in between."""

    async def predict(self, inputs: Any) -> AsyncIterator[Any]:
        for word in inputs.split():
            await asyncio.sleep(0)
            yield word


class Switched(Model):
    """Is ready when it is told so."""

    is_ready = False

    def ready(self) -> bool:
        return Switched.is_ready

    def predict(self, inputs: Any) -> Any:
        return inputs

    @model_operation()
    def echo(self, body: Any) -> Any:
        return body


class Process(Model):
    """Tells in which process it runs, and how often it was loaded there."""

    def load(self) -> None:
        self.loaded_in = os.getpid()

    def predict(self, inputs: Any) -> Any:
        if inputs == "fail":
            raise ValueError("no such input")
        return {"here": os.getpid(), "loaded_in": self.loaded_in}


class Unsendable(Model):
    """Keeps what no process can be sent."""

    def load(self) -> None:
        self.handle = (each for each in "abc")

    def predict(self, inputs: Any) -> Any:
        return inputs


class Referring(Model):
    """Loads what its source names."""

    def load(self) -> None:
        self.loaded = self.fetch()
        self.name, self.digest = self.loaded.name, self.loaded.digest

    def predict(self, inputs: Any) -> Any:
        import numpy as np

        return self.loaded.predict(np.array([inputs])).labels.tolist()[0]


def half(body: Any, by: float = 2.0) -> Any:
    return body / by


def fail(body: Any) -> Any:
    raise ValueError(f"cannot take {body!r}")


async def slowly(body: Any, seconds: float = 0.0) -> Any:
    await asyncio.sleep(seconds)
    return body


def chosen(body: Any) -> Any:
    return body["models"]


def chosen_a(body: Any) -> str:
    return "a"


def doubled(body: Any) -> Any:
    return body * 2
