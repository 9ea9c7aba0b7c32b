"""Tensors in gRPC messages: typed contents or raw bytes."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from modelyard.serving.event_ids import EVENT_ID, is_event_id
from modelyard.serving.inference.datatypes import BYTES, DATATYPES
from modelyard.serving.inference.errors import InferenceRefused, TensorInvalid
from modelyard.serving.inference.messages import InferenceRequest, InferenceResponse, OutputRequest
from modelyard.serving.inference.tensors import Tensor, checked_shape, decode
from modelyard.serving.rpc.schema import message_class

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["parameters_of", "read_infer", "write_infer"]

_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where the protocol keeps the values of a datatype; FP16 and BF16 travel as raw bytes only."""


def parameters_of(messages: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as plain values; one that holds nothing is None."""
    found: dict[str, Any] = {}
    for name, message in messages.items():
        chosen = message.WhichOneof("parameter_choice")
        found[name] = getattr(message, chosen) if chosen else None
    return found


def read_infer(message: Any) -> tuple[InferenceRequest, bool]:
    """Return the request in a ``ModelInferRequest``, and whether its tensors are raw bytes.

    Raises
    ------
    InferenceRefused
        It has no inputs, another number of raw buffers than of inputs, or an id that is none.
    TensorInvalid
        Contents, datatype and shape of a tensor do not fit each other.
    """
    raws: Sequence[bytes] = message.raw_input_contents
    if not is_event_id(message.id):
        raise InferenceRefused(f"its id is {EVENT_ID}, not {message.id!r:.80}")
    if not message.inputs:
        raise InferenceRefused("it has no inputs", mend="Send at least one tensor.")
    if raws and len(raws) != len(message.inputs):
        raise InferenceRefused(f"it has {len(message.inputs)} inputs, and raw contents of {len(raws)}")
    tensors = []
    seen: set[str] = set()
    for index, each in enumerate(message.inputs):
        if each.name in seen:
            raise TensorInvalid(each.name, "there are two inputs of this name")
        seen.add(each.name)
        if raws and each.HasField("contents"):
            raise TensorInvalid(each.name, "it has contents besides raw contents", mend="Send one of them.")
        shape = list(each.shape)
        tensors.append(decode(each.name, each.datatype, shape, raws[index]) if raws else _typed(each, shape))
    outputs = tuple(OutputRequest(each.name, parameters_of(each.parameters)) for each in message.outputs)
    request = InferenceRequest(message.id, tuple(tensors), outputs, parameters_of(message.parameters))
    return request, bool(raws)


def _typed(message: Any, shape: list[int]) -> Tensor:
    extents = checked_shape(message.name, shape)
    if message.datatype not in DATATYPES:
        known = ", ".join(DATATYPES)
        raise TensorInvalid(message.name, f"the datatype {message.datatype!r} is unknown", mend=f"Use one of {known}.")
    field = _CONTENTS.get(message.datatype)
    if field is None:
        raise TensorInvalid(message.name, f"{message.datatype} has no typed contents", mend="Send raw contents.")
    values = getattr(message.contents, field)
    if len(values) != prod(extents):
        raise TensorInvalid(message.name, f"its shape {shape} has {prod(extents)} elements, its {field} {len(values)}")
    return Tensor(message.name, message.datatype, _array(message.name, message.datatype, values).reshape(extents))


def _array(name: str, datatype: str, values: Any) -> "NDArray[Any]":
    dtype = DATATYPES[datatype]
    if datatype == BYTES:
        array = np.empty(len(values), dtype=object)
        array[:] = list(values)
        return array
    wide = np.array(values, dtype=dtype if dtype.itemsize >= 4 or dtype.kind == "b" else np.int64)
    if wide.dtype != dtype and wide.size:
        limits = np.iinfo(dtype)
        if wide.min() < limits.min or wide.max() > limits.max:
            raise TensorInvalid(name, f"a value is beyond {datatype}: {wide.min()} to {wide.max()}")
    return wide.astype(dtype, copy=False)


def write_infer(response: InferenceResponse, *, raw: bool) -> Any:
    """Return a ``ModelInferResponse``; raw contents if the request had them, or if an output has no typed ones."""
    message: Any = message_class("ModelInferResponse")(
        model_name=response.model_name, model_version=response.model_version, id=response.id
    )
    for name, value in response.parameters.items():
        _set_parameter(message.parameters[name], value)
    raw = raw or any(each.datatype not in _CONTENTS for each in response.tensors)
    for each in response.tensors:
        output = message.outputs.add(name=each.name, datatype=each.datatype, shape=each.shape)
        if raw:
            message.raw_output_contents.append(each.raw())
            continue
        flat = each.array.ravel().tolist()
        if each.datatype == BYTES:
            flat = [value if isinstance(value, bytes) else str(value).encode() for value in flat]
        getattr(output.contents, _CONTENTS[each.datatype]).extend(flat)
    return message


def _set_parameter(message: Any, value: Any) -> None:
    if isinstance(value, bool):
        message.bool_param = value
    elif isinstance(value, int):
        message.int64_param = value
    elif isinstance(value, float):
        message.double_param = value
    else:
        message.string_param = str(value)
