"""The way of the request that most are: one row of numbers as JSON. Whatever is anything else takes the long way."""

from asyncio import Future
from collections.abc import Collection
from operator import itemgetter
from typing import Any, Literal

import msgspec
import orjson

from modelyard.graphs.batching import MicroBatcher
from modelyard.serving.asgi import Message, Scope
from modelyard.serving.event_ids import is_event_id
from modelyard.serving.inference.messages import (
    LENGTH_HEADER,
    InferenceRequest,
    InferenceResponse,
    plain_outputs,
    write_response,
)
from modelyard.serving.unreadable import UNREADABLE

__all__ = ["Lane", "Row"]

_NUMBERS = b'"FP64"'
_TELLING = frozenset({LENGTH_HEADER.encode(), b"x-request-id", b"x-request-timeout", b"x-model-version"})
"""Headers that say something about the answer."""
_NAMES = itemgetter(0)


class _Input(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    shape: tuple[int, int]
    datatype: Literal["FP64"]
    data: tuple[float, ...]


class Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message that holds one row of numbers, and nothing else but an id."""

    inputs: tuple[_Input]
    id: str = ""


_READ = msgspec.json.Decoder(Row).decode


class Lane:
    """Answers requests of one row for one model; it says what the long way would.

    Parameters
    ----------
    name, version
        Who answers, as the reply has it.
    features
        The names that the model knows: a lone tensor of that name is a column, not a row.
    batcher
        Asks the model; it takes rows as tuples of numbers.
    """

    __slots__ = ("_batcher", "_features", "_said", "name", "version")

    def __init__(self, name: str, version: str, features: Collection[str], batcher: MicroBatcher) -> None:
        self.name, self.version = name, version
        self._features = features
        self._batcher = batcher
        self._said = {"model_name": name, "model_version": version} if version else {"model_name": name}

    def read(self, scope: Scope, message: Message, limit: int) -> Row | None:
        """Return the row in a request; None if it is for the long way, as everything invalid is.

        Parameters
        ----------
        scope, message
            The request, and the first piece of its body.
        limit
            The largest body, in bytes.
        """
        body: bytes = message.get("body", b"")
        if _NUMBERS not in body or len(body) > limit or message.get("more_body"):
            return None
        if not _TELLING.isdisjoint(map(_NAMES, scope["headers"])):
            return None
        try:
            row = _READ(body)
        except UNREADABLE:
            return None
        sent = row.inputs[0]
        if row.id and not is_event_id(row.id):
            return None
        return row if sent.shape == (1, len(sent.data)) and sent.name not in self._features else None

    def ask(self, row: Row) -> "Future[Any] | bytes":
        """Return what waits for the reply, or the whole body of the response if nobody else asks at the moment.

        Raises
        ------
        Exception
            The row is for the long way, which says what is wrong with it.
        """
        batcher, data = self._batcher, row.inputs[0].data
        return self.written(row, batcher.at_once(data)) if batcher.is_free() else batcher.gathered(data)

    def written(self, row: Row, reply: Any) -> bytes:
        """Return the body of the response.

        Raises
        ------
        Exception
            The reply cannot be written.
        """
        outputs = plain_outputs(reply) if type(reply) is dict else None
        if outputs is None:
            response = InferenceResponse(self.name, self.version, row.id, replies=[reply])
            return write_response(response, InferenceRequest(row.id, ()))[0]
        if row.id:
            return orjson.dumps({**self._said, "id": row.id, "outputs": outputs})
        return orjson.dumps({**self._said, "outputs": outputs})
