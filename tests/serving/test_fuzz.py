"""Messages that had bytes changed: refused with a status of the protocol, and nothing is kept of them.

The short version runs with the suite; ``make soak`` goes on for as many seconds as ``MODELYARD_FUZZ_SECONDS`` says, 10
minutes by default, half of them for each protocol.
"""

import asyncio
import gc
import itertools
import json
import os
import random
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
import psutil
import pytest

from modelyard.graphs import Graph, LoadedModel, ModelCard, Resources
from modelyard.serving.application import Application
from modelyard.serving.rpc.schema import SERVICE, message_class
from modelyard.serving.rpc.server import RpcServer

SECONDS = float(os.environ.get("MODELYARD_FUZZ_SECONDS", "600"))
GROWTH = 32 * 1024 * 1024
"""Bytes by which a process may grow after its first third: allocators keep some, a leak of each message is far more."""
LENGTHS = [pytest.param(1.5, id="short"), pytest.param(SECONDS / 2, id="long", marks=[pytest.mark.soak])]
NUMBERS = (0, 1, 2, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


class Sums:
    """Adds the numbers of a row up."""

    def predict(self, matrix: Any) -> Any:
        with np.errstate(all="ignore"):  # infinity less infinity is a number that is none
            return np.asarray(matrix, dtype=float).sum(axis=1)


class Models:
    """A loader of that one model."""

    def load(self, reference: str) -> LoadedModel:
        card = ModelCard(("a", "b"), ("double", "double"), "matrix", "regression", (), "sum", "", "")
        return LoadedModel(Sums(), card, digest="", classes=(), name=reference)


def told(body: Any) -> Any:
    return {"got": str(body)[:40]}


def sums() -> Graph:
    graph = Graph("sums")
    graph.model("sum", "models:/sums/1")
    return graph


def echo() -> Graph:
    graph = Graph("echo")
    graph.to(told)
    return graph


def application(make: Callable[[], Graph]) -> Application:
    return Application(make().open(Resources(models=Models())))


def changed(numbers: random.Random, message: bytes) -> bytes:
    """Return a message with some of its bytes changed, moved, left out or put in."""
    found = bytearray(message)
    for _ in range(numbers.choice((1, 1, 1, 2, 4, 16))):
        at = numbers.randrange(len(found) + 1)
        kind = numbers.randrange(7)
        if kind == 0 and at < len(found):
            found[at] = numbers.randrange(256)
        elif kind == 1 and at < len(found):
            found[at] ^= 1 << numbers.randrange(8)
        elif kind == 2:
            del found[at : at + numbers.choice((1, 2, 4, 8, 64))]
        elif kind == 3:
            found[at:at] = numbers.randbytes(numbers.choice((1, 2, 4, 8)))
        elif kind == 4:
            found[at:at] = found[at : at + numbers.randrange(1, 32)] * numbers.randrange(1, 4)
        elif kind == 5:
            size, number = numbers.choice(((4, "<I"), (8, "<Q"))), numbers.choice(NUMBERS)
            found[at : at + size[0]] = struct.pack(size[1], number % 2 ** (8 * size[0]))
        else:
            text = str(numbers.choice((*NUMBERS, -1, 1e308, "null", "[]", "{}", '"x"', "NaN", "1e400")))
            found[at : at + numbers.randrange(4)] = text.encode()
    return bytes(found)


def binary(datatype: str, shape: list[int], raw: bytes, **more: Any) -> tuple[bytes, int]:
    """Return a request with one binary tensor, and the length of its JSON."""
    tensor = {"name": "x", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(raw)}, **more}
    head = json.dumps({"id": "e", "inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return head + raw, len(head)


TEXTS = b"".join(struct.pack("<I", len(each)) + each for each in (b"one", b"", "zwö".encode(), b"\xff"))
REQUESTS = [
    binary("FP64", [3, 2], np.arange(6.0).tobytes()),
    binary("FP32", [1, 2], np.arange(2, dtype="<f4").tobytes()),
    binary("INT64", [2], np.arange(2).tobytes()),
    binary("BOOL", [2, 2], b"\x00\x01\x01\x00"),
    binary("FP16", [1, 2], np.arange(2, dtype="<f2").tobytes()),
    binary("BF16", [1, 2], b"\x80\x3f\x00\x40"),
    binary("BYTES", [4], TEXTS),
    (json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}]}).encode(), 0),
]


def resident() -> int:
    """Return how many bytes of memory this process has."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def fuzz(seconds: float, ask: Callable[[random.Random], Awaitable[str]]) -> Counter[str]:
    """Ask for so long, and return which answers came how often; the memory must stay what it was."""
    numbers, seen, begun, third = random.Random(5), Counter[str](), time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds or seen.total() < 500:
        for _ in range(100):
            seen[await ask(numbers)] += 1
        if not third and passed > seconds / 3:
            third = resident()
    grown = resident() - (third or resident())
    print(f"{seen.total()} messages, {grown / 2**20:.1f} MiB more: {dict(seen)}")
    assert grown < GROWTH
    return seen


@pytest.mark.timeout(0)
@pytest.mark.parametrize("seconds", LENGTHS)
@pytest.mark.parametrize("make", [sums, echo])
def test_tensors_with_changed_bytes_are_answered_or_refused_over_http(
    make: Callable[[], Graph], seconds: float
) -> None:
    answering = application(make)
    path = f"/v2/models/{answering.plan.graph}/infer"

    async def ask(numbers: random.Random) -> str:
        message, length = numbers.choice(REQUESTS)
        body = changed(numbers, message) if numbers.random() < 0.9 else message
        if numbers.random() < 0.1:
            length = numbers.choice((0, 1, length - 1, length + 1, len(body), len(body) + 1, *NUMBERS))
        headers = {"content-type": "application/octet-stream"}
        if length:
            headers["inference-header-content-length"] = str(length)
        status, answer = await asked(answering, path, headers, body)
        if status >= 400:
            error = json.loads(answer)["error"]
            assert isinstance(error, str | dict), answer
            assert b"Traceback" not in answer
        assert status < 500, (status, answer, length, body)
        return str(status)

    with answering.plan:
        seen = asyncio.run(fuzz(seconds / 2, ask))
    assert set(seen) <= {"200", "400", "413", "415", "422"}
    assert seen["200"] > 20
    assert seen["400"] > 100


async def asked(answering: Application, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """Return the status and the body of the answer to one request, as any ASGI server would get it."""
    fields = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    await answering({**scope, "headers": [*fields, (b"content-length", b"%d" % len(body))]}, receive, send)
    return messages[0]["status"], b"".join(each.get("body", b"") for each in messages[1:])


def calls() -> list[bytes]:
    """Return whole messages of ``ModelInfer``, with typed and with raw contents."""
    request, tensor = message_class("ModelInferRequest"), message_class("ModelInferRequest.InferInputTensor")
    typed = request(model_name="sums", inputs=[tensor(name="x", datatype="FP64", shape=[1, 2])])
    typed.inputs[0].contents.fp64_contents.extend([1.0, 2.0])
    raws = [("FP64", [3, 2], np.arange(6.0).tobytes()), ("BYTES", [4], TEXTS), ("BF16", [1, 2], b"\x80\x3f\x00\x40")]
    raw = [
        request(model_name="sums", inputs=[tensor(name="x", datatype=kind, shape=shape)], raw_input_contents=[content])
        for kind, shape, content in raws
    ]
    return [each.SerializeToString() for each in (typed, *raw)]


def test_what_metadata_cannot_hold_does_not_hide_the_status() -> None:
    request, tensor = message_class("ModelInferRequest"), message_class("ModelInferRequest.InferInputTensor")
    odd = request(model_name="sums", id="e7äß", inputs=[tensor(name="z", datatype="FP64", shape=[1])])
    odd.inputs[0].contents.fp64_contents.append(1.0)
    long = request(model_name="ä" * 20_000, inputs=odd.inputs)

    async def scene() -> list[tuple[str, dict[str, Any]]]:
        answering, found = application(sums), []
        server = RpcServer(answering.service)
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            call: Any = channel.unary_unary(f"/{SERVICE}/ModelInfer")
            for message in (odd, long):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call(message.SerializeToString())
                found.append((str(caught.value.code().name), dict(caught.value.trailing_metadata() or ())))
        await server.stop(1)
        answering.plan.close()
        return found

    (status, trailers), (unknown, _) = asyncio.run(scene())
    assert (status, trailers["x-event"], unknown) == ("INVALID_ARGUMENT", "e7??", "NOT_FOUND")


@pytest.mark.timeout(0)
@pytest.mark.parametrize("seconds", LENGTHS)
def test_calls_with_changed_bytes_are_answered_or_refused(seconds: float) -> None:
    whole = calls()
    turn = itertools.count()

    async def scene() -> Counter[str]:
        answering = application(sums)
        server = RpcServer(answering.service)
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            call: Any = channel.unary_unary(f"/{SERVICE}/ModelInfer")

            async def ask(numbers: random.Random) -> str:
                message = numbers.choice(whole)
                try:
                    await call(message if next(turn) % 10 == 0 else changed(numbers, message))
                except grpc.aio.AioRpcError as error:
                    return str(error.code().name)
                return "OK"

            seen = await fuzz(seconds, ask)
        await server.stop(1)
        answering.plan.close()
        return seen

    seen = asyncio.run(scene())
    assert set(seen) <= {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED"}
    assert seen["OK"] > 20
    assert seen["INVALID_ARGUMENT"] > 100
