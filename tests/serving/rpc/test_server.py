"""The service over a real gRPC connection, asked by the client of another server, tritonclient."""

import logging
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from modelyard.serving.errors import PortTaken
from modelyard.serving.rpc import SERVICE, RpcServer
from modelyard.serving.rpc.schema import file_descriptor

STEP = "graph sums, step divide, event e7"


@pytest.fixture
def client(running: Any) -> Iterator[InferenceServerClient]:
    client = InferenceServerClient(running.address)
    yield client
    client.close()


@pytest.fixture
def stub(running: Any) -> Iterator[Any]:
    with grpc.insecure_channel(running.address) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def tensor(name: str, array: Any, datatype: str) -> InferInput:
    found = InferInput(name, list(array.shape), datatype)
    found.set_data_from_numpy(array)
    return found


def test_server_and_models_tell_about_themselves(client: InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("sum")
    assert client.is_model_ready("sum", "3")
    assert not client.is_model_ready("broken")
    server = client.get_server_metadata()
    assert (server.name, server.version) == ("sums", "0.1")
    assert list(server.extensions) == ["binary_tensor_data", "model_repository"]
    model = client.get_model_metadata("sum")
    assert (model.name, list(model.versions), model.platform) == ("sum", ["3"], "numpy")
    assert [(each.name, each.datatype, list(each.shape)) for each in model.inputs] == [("x", "FP64", [-1, 2])]
    assert [(each.name, each.datatype, list(each.shape)) for each in model.outputs] == [("sum", "FP64", [-1])]


def test_raw_tensors_are_answered_with_raw_ones(client: InferenceServerClient) -> None:
    array = np.array([[1.0, 2.0], [3.5, -4.0]])
    found = client.infer("sum", [tensor("x", array, "FP64")], request_id="a7", outputs=[InferRequestedOutput("sum")])
    assert found.as_numpy("sum").tolist() == [3.0, -0.5]
    response = found.get_response()
    assert (response.id, response.model_name, response.model_version) == ("a7", "sum", "3")
    assert len(response.raw_output_contents) == 1


@pytest.mark.parametrize(
    ("datatype", "array"),
    [
        ("BOOL", np.array([True, False])),
        ("INT8", np.array([-128, 127], dtype=np.int8)),
        ("INT16", np.array([-(2**15), 2**15 - 1], dtype=np.int16)),
        ("INT32", np.array([-(2**31), 2**31 - 1], dtype=np.int32)),
        ("INT64", np.array([-(2**63), 2**63 - 1])),
        ("UINT8", np.array([0, 255], dtype=np.uint8)),
        ("UINT16", np.array([0, 2**16 - 1], dtype=np.uint16)),
        ("UINT32", np.array([0, 2**32 - 1], dtype=np.uint32)),
        ("UINT64", np.array([0, 2**64 - 1], dtype=np.uint64)),
        ("FP16", np.array([0.5, -2.0], dtype=np.float16)),
        ("FP32", np.array([0.1, -np.inf], dtype=np.float32)),
        ("FP64", np.array([0.1, 1e300])),
        ("BYTES", np.array([b"a\xff", b""], dtype=object)),
    ],
)
def test_each_datatype_comes_back_raw_and_typed(
    client: InferenceServerClient, stub: Any, datatype: str, array: Any
) -> None:
    back = client.infer("echo", [tensor("x", array, datatype)]).as_numpy("x")
    assert back.dtype == array.dtype
    assert back.tolist() == array.tolist()
    if datatype == "FP16":
        return  # the protocol has no typed contents for it
    fields = {"BOOL": "bool", "INT64": "int64", "UINT64": "uint64", "FP32": "fp32", "FP64": "fp64", "BYTES": "bytes"}
    field = fields.get(datatype, "uint" if datatype.startswith("U") else "int") + "_contents"
    request = service_pb2.ModelInferRequest(model_name="echo")
    sent = request.inputs.add(name="x", datatype=datatype, shape=[2])
    getattr(sent.contents, field).extend(array.tolist())
    response = stub.ModelInfer(request)
    assert list(response.raw_output_contents) == []
    assert list(getattr(response.outputs[0].contents, field)) == array.tolist()


def test_parameters_come_back_with_their_types(client: InferenceServerClient) -> None:
    given = {"flag": True, "count": -3, "text": "é"}
    found = client.infer("echo", [tensor("x", np.zeros(1), "FP64")], parameters=given).get_response()
    told = {name: getattr(each, each.WhichOneof("parameter_choice")) for name, each in found.parameters.items()}
    assert told == given


def test_metadata_and_deadline_reach_the_service(running: Any, client: InferenceServerClient) -> None:
    client.infer("sum", [tensor("x", np.zeros((1, 2)), "FP64")], headers={"x-key": "k7"}, client_timeout=20)
    caller = running.service.callers[-1]
    assert caller.headers["x-key"] == "k7"
    assert caller.deadline is not None
    client.infer("sum", [tensor("x", np.zeros((1, 2)), "FP64")])
    assert running.service.callers[-1].deadline is None


@pytest.mark.parametrize(
    ("model", "version", "request_id", "status", "message"),
    [
        ("summ", "", "", "NOT_FOUND", "no model is called 'summ'. Did you mean sum?"),
        ("sum", "9", "", "NOT_FOUND", "the version '9' of sum is not served. Served: 3."),
        ("broken", "", "invalid", "INVALID_ARGUMENT", f"{STEP}: at: must be a time."),
        (
            "broken",
            "",
            "raised",
            "UNKNOWN",
            "graph sums, step divide, event e7: the step raised ZeroDivisionError: zero.",
        ),
        ("broken", "", "", "INTERNAL", "the server failed; see its log"),
    ],
)
def test_errors_have_the_status_of_their_kind(
    client: InferenceServerClient, caplog: Any, model: str, version: str, request_id: str, status: str, message: str
) -> None:
    with pytest.raises(InferenceServerException) as raised, caplog.at_level(logging.ERROR):
        client.infer(model, [tensor("x", np.zeros((1, 2)), "FP64")], model_version=version, request_id=request_id)
    assert raised.value.status() == f"StatusCode.{status}"
    assert raised.value.message() == message
    assert ("ZeroDivisionError: a secret\n" in caplog.text) == (request_id == "" and model == "broken")


def test_an_error_names_step_and_event_in_its_trailers(stub: Any) -> None:
    request = service_pb2.ModelInferRequest(model_name="broken", id="invalid")
    request.inputs.add(name="x", datatype="FP64", shape=[0])
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(request)
    trailers = {name: value for name, value in raised.value.trailing_metadata() if name.startswith("x-")}
    assert trailers == {"x-graph": "sums", "x-step": "divide", "x-event": "e7"}


def test_malformed_tensors_are_refused(stub: Any) -> None:
    def refused(**fields: Any) -> str:
        raws = fields.pop("raws", [])
        request = service_pb2.ModelInferRequest(model_name="echo", raw_input_contents=raws)
        if fields:
            request.inputs.add(name="x", **fields)
        with pytest.raises(grpc.RpcError) as raised:
            stub.ModelInfer(request)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        return str(raised.value.details())

    assert refused() == "inference request: it has no inputs. Send at least one tensor."
    assert refused(datatype="FP64", shape=[2], raws=[b"\0" * 8]) == (
        "tensor 'x': its shape [2] of FP64 takes 16 bytes, it has 8."
    )
    assert refused(datatype="FP64", shape=[2]) == "tensor 'x': its shape [2] has 2 elements, its fp64_contents 0."
    assert refused(datatype="INT8", shape=[1], contents={"int_contents": [300]}) == (
        "tensor 'x': a value is beyond INT8: 300 to 300."
    )
    assert refused(datatype="FP16", shape=[1]) == "tensor 'x': FP16 has no typed contents. Send raw contents."
    assert refused(datatype="INT8", shape=[1], contents={"int_contents": [3]}, raws=[b"\3"]) == (
        "tensor 'x': it has contents besides raw contents. Send one of them."
    )
    assert refused(datatype="INT8", shape=[1], raws=[b"\3", b"\4"]) == (
        "inference request: it has 1 inputs, and raw contents of 2."
    )


def test_a_message_above_the_limit_is_refused(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as raised:
        client.infer("echo", [tensor("x", np.zeros(1 << 18), "FP64")])
    assert raised.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_requests_of_a_stream_are_answered_in_order(running: Any) -> None:
    from modelyard.serving.rpc.schema import message_class

    request, response = message_class("ModelInferRequest"), message_class("ModelInferResponse")
    asked = []
    for number, rows in enumerate([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]]):
        message: Any = request(model_name="sum", id=str(number))
        message.inputs.add(name="x", datatype="FP64", shape=[len(rows), 2])
        message.raw_input_contents.append(np.array(rows).tobytes())
        asked.append(message)
    with grpc.insecure_channel(running.address) as channel:
        call = channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        found: list[Any] = list(call(iter(asked)))
    assert [(each.id, np.frombuffer(each.raw_output_contents[0]).tolist()) for each in found] == [
        ("0", [3.0]),
        ("0", [7.0]),
        ("1", [11.0]),
    ]


def test_the_repository_is_listed_and_loaded(running: Any, client: InferenceServerClient) -> None:
    index = client.get_model_repository_index()
    assert [(each.name, each.version, each.state, each.reason) for each in index.models] == [
        ("sum", "3", "READY", ""),
        ("broken", "3", "UNAVAILABLE", "it is broken"),
    ]
    client.load_model("sum", config='{"a": 1}')
    client.unload_model("sum")
    assert running.service.loaded == [("sum", {"config": '{"a": 1}'})]
    assert running.service.unloaded == ["sum"]


def test_health_and_reflection_answer_as_clients_expect(running: Any) -> None:
    with grpc.insecure_channel(running.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE):
            found = health.Check(health_pb2.HealthCheckRequest(service=name))
            assert found.status == health_pb2.HealthCheckResponse.SERVING
        reflected = ProtoReflectionDescriptorDatabase(channel)
        assert SERVICE in set(reflected.get_services())
        described = descriptor_pb2.FileDescriptorProto()
        described.ParseFromString(reflected.FindFileContainingSymbol(SERVICE).SerializeToString())
        assert described == file_descriptor()


def test_a_taken_port_is_named(running: Any) -> None:
    async def second() -> None:
        await RpcServer(running.service, port=running.server.port).start()

    with pytest.raises(PortTaken) as raised:
        running.on_loop(second())
    assert str(running.server.port) in str(raised.value)


def test_the_schema_is_what_other_servers_speak() -> None:
    """Every field of ours has the number, type and label that tritonclient's copy of the protocol gives it."""

    def fields(message: Any, prefix: str = "") -> dict[str, set[tuple[Any, ...]]]:
        name = f"{prefix}{message.name}"
        found = {name: {(each.number, each.name, each.type, each.label, each.type_name) for each in message.field}}
        for inner in message.nested_type:
            found |= fields(inner, f"{name}.")
        return found

    theirs, ours = descriptor_pb2.FileDescriptorProto(), file_descriptor()
    service_pb2.DESCRIPTOR.CopyToProto(theirs)
    known = {name: each for message in theirs.message_type for name, each in fields(message).items()}
    own = {name: each for message in ours.message_type for name, each in fields(message).items()}
    # model metadata with parameters is what other servers of the field add
    added = {name: own[name] - known[name] for name in own if name in known and own[name] != known[name]}
    assert sorted(added) == ["ModelMetadataResponse", "ModelMetadataResponse.TensorMetadata"]
    assert all(name.endswith("ParametersEntry") for name in own if name not in known)
    assert not any(known[name] - own[name] for name in own if name in known)
