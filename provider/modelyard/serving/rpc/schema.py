"""The messages of ``inference.GRPCInferenceService``, in a descriptor pool of their own.

The protocol is one package, ``inference``, that every server and client of the field compiles for itself; two copies
in protobuf's default pool refuse each other. Here the descriptors are written down as data and live apart, so that a
graph may import a client library of another server.

It is the superset of what servers of the field speak: the calls of the Open Inference Protocol, streamed inference
and the model repository.
"""

from functools import cache
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

__all__ = ["METHODS", "PACKAGE", "SERVICE", "Method", "file_descriptor", "message_class", "pool"]

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"
_FILE = "modelyard/open_inference.proto"


class Method(NamedTuple):
    """One call of the service: its messages, and whether they stream."""

    request: str
    response: str
    streams: bool = False


METHODS = {
    "ServerLive": Method("ServerLiveRequest", "ServerLiveResponse"),
    "ServerReady": Method("ServerReadyRequest", "ServerReadyResponse"),
    "ModelReady": Method("ModelReadyRequest", "ModelReadyResponse"),
    "ServerMetadata": Method("ServerMetadataRequest", "ServerMetadataResponse"),
    "ModelMetadata": Method("ModelMetadataRequest", "ModelMetadataResponse"),
    "ModelInfer": Method("ModelInferRequest", "ModelInferResponse"),
    "ModelStreamInfer": Method("ModelInferRequest", "ModelInferResponse", streams=True),
    "RepositoryIndex": Method("RepositoryIndexRequest", "RepositoryIndexResponse"),
    "RepositoryModelLoad": Method("RepositoryModelLoadRequest", "RepositoryModelLoadResponse"),
    "RepositoryModelUnload": Method("RepositoryModelUnloadRequest", "RepositoryModelUnloadResponse"),
}

_PARAMETERS = "map parameters InferParameter"
_NAMED = ("1 string name", "2 string version")
_TENSOR = ("1 string name", "2 string datatype", "3 int64* shape", f"4 {_PARAMETERS}")
_CHOICE = ("1 bool| bool_param", "2 int64| int64_param", "3 string| string_param")
_REPOSITORY = ("1 string repository_name", "2 string model_name", "3 map parameters ModelRepositoryParameter")
_MESSAGES: dict[str, tuple[str, ...]] = {
    "InferParameter": (*_CHOICE, "4 double| double_param", "5 uint64| uint64_param"),
    "InferTensorContents": (
        "1 bool* bool_contents",
        "2 int32* int_contents",
        "3 int64* int64_contents",
        "4 uint32* uint_contents",
        "5 uint64* uint64_contents",
        "6 float* fp32_contents",
        "7 double* fp64_contents",
        "8 bytes* bytes_contents",
    ),
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("1 bool live",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("1 bool ready",),
    "ModelReadyRequest": _NAMED,
    "ModelReadyResponse": ("1 bool ready",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": (*_NAMED, "3 string* extensions"),
    "ModelMetadataRequest": _NAMED,
    "ModelMetadataResponse.TensorMetadata": _TENSOR,
    "ModelMetadataResponse": (
        "1 string name",
        "2 string* versions",
        "3 string platform",
        "4 ModelMetadataResponse.TensorMetadata* inputs",
        "5 ModelMetadataResponse.TensorMetadata* outputs",
        f"6 {_PARAMETERS}",
    ),
    "ModelInferRequest.InferInputTensor": (*_TENSOR, "5 InferTensorContents contents"),
    "ModelInferRequest.InferRequestedOutputTensor": ("1 string name", f"2 {_PARAMETERS}"),
    "ModelInferRequest": (
        "1 string model_name",
        "2 string model_version",
        "3 string id",
        f"4 {_PARAMETERS}",
        "5 ModelInferRequest.InferInputTensor* inputs",
        "6 ModelInferRequest.InferRequestedOutputTensor* outputs",
        "7 bytes* raw_input_contents",
    ),
    "ModelInferResponse.InferOutputTensor": (*_TENSOR, "5 InferTensorContents contents"),
    "ModelInferResponse": (
        "1 string model_name",
        "2 string model_version",
        "3 string id",
        f"4 {_PARAMETERS}",
        "5 ModelInferResponse.InferOutputTensor* outputs",
        "6 bytes* raw_output_contents",
    ),
    "ModelRepositoryParameter": (*_CHOICE, "4 bytes| bytes_param"),
    "RepositoryIndexRequest": ("1 string repository_name", "2 bool ready"),
    "RepositoryIndexResponse.ModelIndex": (*_NAMED, "3 string state", "4 string reason"),
    "RepositoryIndexResponse": ("1 RepositoryIndexResponse.ModelIndex* models",),
    "RepositoryModelLoadRequest": _REPOSITORY,
    "RepositoryModelLoadResponse": (),
    "RepositoryModelUnloadRequest": _REPOSITORY,
    "RepositoryModelUnloadResponse": (),
}
"""Fields as ``number type name``; ``*`` is repeated, ``|`` one of the message's choice, ``map`` from text."""

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _FIELD.TYPE_BOOL,
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "uint32": _FIELD.TYPE_UINT32,
    "uint64": _FIELD.TYPE_UINT64,
    "float": _FIELD.TYPE_FLOAT,
    "double": _FIELD.TYPE_DOUBLE,
}


@cache
def pool() -> DescriptorPool:
    """Return the pool that holds the protocol's descriptors, and nothing else."""
    found = DescriptorPool()
    found.Add(file_descriptor())
    return found


@cache
def message_class(name: str) -> type[Message]:
    r"""Return the class of a message, by its name in the package.

    Examples
    --------
    >>> message_class("ModelReadyResponse")(ready=True).SerializeToString()
    b'\x08\x01'
    """
    found: type[Message] = message_factory.GetMessageClass(pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))
    return found


def file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    """Return the protocol's descriptors as one file, for whoever builds a pool."""
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package=PACKAGE, syntax="proto3")
    made: dict[str, descriptor_pb2.DescriptorProto] = {}
    for name in sorted(_MESSAGES, key=lambda each: each.count(".")):
        outer, _, own = name.rpartition(".")
        message = made[outer].nested_type.add(name=own) if outer else file.message_type.add(name=own)
        made[name] = message
        for field in _MESSAGES[name]:
            _add_field(name, message, field)
    service = file.service.add(name=SERVICE.rpartition(".")[2])
    for name, method in METHODS.items():
        service.method.add(
            name=name,
            input_type=f".{PACKAGE}.{method.request}",
            output_type=f".{PACKAGE}.{method.response}",
            client_streaming=method.streams or None,
            server_streaming=method.streams or None,
        )
    return file


def _add_field(owner: str, message: descriptor_pb2.DescriptorProto, text: str) -> None:
    number, kind, name, *value = text.split()
    field = message.field.add(name=name, number=int(number), label=_FIELD.LABEL_OPTIONAL)
    if kind.endswith("|"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
        field.oneof_index = 0
    if kind.endswith("*") or kind == "map":
        field.label = _FIELD.LABEL_REPEATED
    if kind == "map":
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_STRING)
        _typed(entry.field.add(name="value", number=2, label=_FIELD.LABEL_OPTIONAL), value[0])
        _typed(field, f"{owner}.{entry.name}")
    else:
        _typed(field, kind.rstrip("*|"))


def _typed(field: Any, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
