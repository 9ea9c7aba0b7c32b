"""The floor: uvicorn, the codecs that we use, and one call of the model for the requests of one turn of the loop.

``python bare_server.py FOLDER MODEL PORT``; it knows one path, checks nothing, and counts nothing.
"""

import asyncio
import gc
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
import uvicorn

_JSON = (b"content-type", b"application/json")


class Tensor(msgspec.Struct):
    """An input."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class Message(msgspec.Struct):
    """A request."""

    inputs: list[Tensor]


def answering(folder: Path, which: str) -> Callable[[Any], tuple[list[int], list[float]]]:
    """Return what says labels, and probabilities or shares, of rows."""
    names = ("linear", "boosted", "bayes") if which == "vote" else (which,)
    models = [pickle.loads((folder / f"{name}.pkl").read_bytes()) for name in names]

    def one(rows: Any) -> tuple[list[int], list[float]]:
        probabilities = models[0].predict_proba(rows)
        return probabilities.argmax(axis=1).tolist(), probabilities[:, 1].tolist()

    def vote(rows: Any) -> tuple[list[int], list[float]]:
        votes = np.sum([model.predict(rows) for model in models], axis=0)
        labels = (votes * 2 > len(models)).astype(int)
        return labels.tolist(), (np.where(labels == 1, votes, len(models) - votes) / len(models)).tolist()

    return vote if which == "vote" else one


class Server:
    """The ASGI application."""

    def __init__(self, folder: Path, which: str) -> None:
        self._answer = answering(folder, which)
        self._second = "share" if which == "vote" else "probability"
        self._decoder = msgspec.json.Decoder(Message)
        self._waiting: list[tuple[Any, asyncio.Future[tuple[int, float]]]] = []

    def _flush(self) -> None:
        turn, self._waiting = self._waiting, []
        labels, numbers = self._answer(np.stack([row for row, _ in turn]))
        for (_, future), label, number in zip(turn, labels, numbers, strict=True):
            future.set_result((label, number))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        message = await receive()
        row = np.array(self._decoder.decode(message["body"]).inputs[0].data)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[int, float]] = loop.create_future()
        self._waiting.append((row, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._flush)
        label, number = await future
        outputs = [
            {"name": "label", "datatype": "INT64", "shape": [1, 1], "data": [label]},
            {"name": self._second, "datatype": "FP64", "shape": [1, 1], "data": [number]},
        ]
        body = orjson.dumps({"model_name": "model", "outputs": outputs})
        headers = [_JSON, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    folder, which, port = sys.argv[1:4]
    server = Server(Path(folder), which)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # as our workers have it
    uvicorn.run(
        server,
        port=int(port),
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        loop="uvloop",
        http="httptools",
    )
