"""Requests and responses of the Open Inference Protocol as they travel over HTTP, binary tensors included.

The layout is that of the protocol's specification and of its extension for binary tensors: the JSON comes first, its
length is in the header ``Inference-Header-Content-Length``, and the buffers follow in the order of the tensors.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import orjson

from modelyard.serving.event_ids import EVENT_ID, is_event_id
from modelyard.serving.inference.errors import InferenceRefused, TensorInvalid
from modelyard.serving.inference.rows import tensors_of
from modelyard.serving.inference.tensors import Tensor, decode, parse
from modelyard.serving.unreadable import UNREADABLE

__all__ = [
    "LENGTH_HEADER",
    "InferenceRequest",
    "InferenceResponse",
    "OutputRequest",
    "plain_outputs",
    "read_request",
    "write_response",
]

LENGTH_HEADER = "inference-header-content-length"
_NOTHING: Mapping[str, Any] = {}
_PLAIN: dict[type, str] = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
_HALF = 2**63
_ONE = (1, 1)


class _Input(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any = msgspec.UNSET
    parameters: dict[str, Any] = {}


class OutputRequest(msgspec.Struct, frozen=True):
    """An output that the client asks for.

    Parameters
    ----------
    name
        Which one.
    parameters
        ``binary_data`` asks for its bytes, ``classification`` for its best classes.
    """

    name: str
    parameters: dict[str, Any] = {}


class _Message(msgspec.Struct):
    inputs: list[_Input]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[OutputRequest] = []


class InferenceRequest(NamedTuple):
    """What a client asks.

    Parameters
    ----------
    id
        The client's name for it; empty if it has none.
    tensors
        The inputs, in order.
    outputs
        The outputs that are wanted; none means all.
    parameters
        What else the client said.
    """

    id: str
    tensors: tuple[Tensor, ...]
    outputs: tuple[OutputRequest, ...] = ()
    parameters: dict[str, Any] = {}  # noqa: RUF012 (a default that nobody changes)

    def binary(self, name: str) -> bool:
        """Whether the client wants this output as bytes."""
        for each in self.outputs:
            if each.name == name and "binary_data" in each.parameters:
                return bool(each.parameters["binary_data"])
        return bool(self.parameters.get("binary_data_output"))


class InferenceResponse:
    """What the client gets.

    Parameters
    ----------
    model_name, model_version
        Who answered.
    id
        That of the request.
    tensors
        The outputs, in order.
    parameters
        What else there is to say.
    replies
        What a graph said about each row, instead of `tensors`: they are made when somebody asks for them.
    """

    __slots__ = ("_tensors", "id", "model_name", "model_version", "parameters", "replies")

    def __init__(
        self,
        model_name: str,
        model_version: str,
        id: str,  # noqa: A002 (the protocol's name for it)
        tensors: tuple[Tensor, ...] | None = None,
        parameters: Mapping[str, Any] = _NOTHING,
        *,
        replies: Sequence[Any] = (),
    ) -> None:
        self.model_name = model_name
        self.model_version = model_version
        self.id = id
        self.parameters = parameters
        self.replies = replies
        self._tensors = tensors

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The outputs, in order."""
        if self._tensors is None:
            self._tensors = tensors_of(self.replies)
        return self._tensors

    def plain_outputs(self) -> list[dict[str, Any]] | None:
        """Return the outputs of one row of plain values as JSON has them; None if it takes tensors to tell."""
        if self._tensors is not None or len(self.replies) != 1 or type(self.replies[0]) is not dict:
            return None
        return plain_outputs(self.replies[0])


def plain_outputs(reply: dict[Any, Any]) -> list[dict[str, Any]] | None:
    """Return the outputs of a row of which all values are plain, as JSON has them; None if it takes tensors to tell.

    It says what the tensors would, without making them: most requests are one row.

    Examples
    --------
    >>> plain_outputs({"label": True})
    [{'name': 'label', 'datatype': 'BOOL', 'shape': (1, 1), 'data': [True]}]
    """
    outputs = []
    for name, value in reply.items():
        datatype = _PLAIN.get(type(value))
        if datatype is None or type(name) is not str or (datatype == "INT64" and not -_HALF <= value < _HALF):
            return None
        outputs.append({"name": name, "datatype": datatype, "shape": _ONE, "data": [value]})
    return outputs or None


_DECODER = msgspec.json.Decoder(_Message)


def read_request(raw: bytes, header_length: str = "") -> InferenceRequest:
    """Return the request in an HTTP body.

    Parameters
    ----------
    raw
        The whole body.
    header_length
        The header ``Inference-Header-Content-Length``; empty if all tensors are JSON.

    Raises
    ------
    InferenceRefused
        It is no request.
    TensorInvalid
        A tensor is not what it says.

    Examples
    --------
    >>> request = read_request(b'{"inputs": [{"name": "x", "shape": [2], "datatype": "INT8", "data": [1, 2]}]}')
    >>> request.tensors[0].array
    array([1, 2], dtype=int8)
    """
    length = _length(raw, header_length) if header_length else len(raw)
    try:
        message = _DECODER.decode(raw if length == len(raw) else memoryview(raw)[:length])
    except UNREADABLE as error:
        raise InferenceRefused(f"it is not a request of the Open Inference Protocol: {error}") from None
    if message.id and not is_event_id(message.id):
        raise InferenceRefused(f"its id is {EVENT_ID}, not {message.id!r:.80}")
    if not message.inputs:
        raise InferenceRefused("it has no inputs", mend="Send at least one tensor.")
    if len(message.inputs) == 1 and not message.inputs[0].parameters and length == len(raw):
        tensors: tuple[Tensor, ...] = (_from_json(message.inputs[0]),)
    else:
        tensors = tuple(_tensors(message.inputs, raw, length, marked=bool(header_length)))
    return InferenceRequest(message.id, tensors, tuple(message.outputs), message.parameters)


def _from_json(sent: _Input) -> Tensor:
    if sent.data is msgspec.UNSET:
        raise TensorInvalid(sent.name, "it has neither data nor binary_data_size")
    return parse(sent.name, sent.datatype, sent.shape, sent.data)


def _tensors(inputs: list[_Input], raw: bytes, position: int, *, marked: bool) -> list[Tensor]:
    """Return tensors of JSON and of the bytes that follow it, in order."""
    tensors: list[Tensor] = []
    rest = memoryview(raw)
    for each in inputs:
        size = each.parameters.get("binary_data_size")
        if size is None:
            tensors.append(_from_json(each))
            continue
        if isinstance(size, bool) or not isinstance(size, int) or size < 0 or each.data is not msgspec.UNSET:
            raise TensorInvalid(each.name, f"binary_data_size is a number of bytes, and replaces data, not {size!r}")
        if not marked or position + size > len(raw):
            raise TensorInvalid(
                each.name,
                f"its {size} bytes are not in the body: {len(raw) - position} are left",
                mend="Say in Inference-Header-Content-Length how long the JSON is.",
            )
        tensors.append(decode(each.name, each.datatype, each.shape, rest[position : position + size]))
        position += size
    if position != len(raw):
        raise InferenceRefused(f"{len(raw) - position} bytes are left over after the last tensor")
    _unique(tensors)
    return tensors


def _length(raw: bytes, header_length: str) -> int:
    told = len(header_length) < 16 and header_length.isascii() and header_length.isdecimal()
    if not told or int(header_length) > len(raw):
        raise InferenceRefused(
            f"Inference-Header-Content-Length is the length of the JSON in bytes, not {header_length!r:.40}"
        )
    return int(header_length)


def _unique(tensors: Sequence[Tensor]) -> None:
    seen: set[str] = set()
    for each in tensors:
        if each.name in seen:
            raise TensorInvalid(each.name, "there are two inputs of this name")
        seen.add(each.name)


def write_response(response: InferenceResponse, request: InferenceRequest) -> tuple[bytes, int]:
    """Return a response's body, and the length of its JSON; 0 if it has no binary tensors.

    Raises
    ------
    TensorInvalid
        Bytes that are no text were asked for as JSON.

    Examples
    --------
    >>> import numpy as np
    >>> asked = InferenceRequest("7", ())
    >>> write_response(InferenceResponse("m", "1", "7", (Tensor.of("y", np.array([1, 2])),)), asked)[0].decode()
    '{"model_name":"m","model_version":"1","id":"7","outputs":[{"name":"y","datatype":"INT64","shape":[2],"data":[1,2]}]}'
    """
    outputs = response.plain_outputs() if not request.outputs and not request.parameters else None
    buffers: list[bytes] = []
    if outputs is None:
        outputs, buffers = _outputs(response, request)
    message: dict[str, Any] = {"model_name": response.model_name}
    if response.model_version:
        message["model_version"] = response.model_version
    if response.id:
        message["id"] = response.id
    if response.parameters:
        message["parameters"] = response.parameters
    message["outputs"] = outputs
    head = orjson.dumps(message, _plain, orjson.OPT_SERIALIZE_NUMPY)
    if not buffers:
        return head, 0
    return b"".join((head, *buffers)), len(head)


def _outputs(response: InferenceResponse, request: InferenceRequest) -> tuple[list[dict[str, Any]], list[bytes]]:
    outputs: list[dict[str, Any]] = []
    buffers: list[bytes] = []
    for each in response.tensors:
        said: dict[str, Any] = {"name": each.name, "datatype": each.datatype, "shape": each.shape}
        if request.binary(each.name):
            buffers.append(each.raw())
            said["parameters"] = {"binary_data_size": len(buffers[-1])}
        else:
            said["data"] = each.data()
        outputs.append(said)
    return outputs, buffers


def _plain(value: Any) -> Any:
    # orjson writes no float16 of its own, nor arrays of other byte orders
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(type(value).__name__)
