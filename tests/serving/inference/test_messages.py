"""Messages of the Open Inference Protocol over HTTP."""

import json
from typing import Any

import numpy as np
import pytest

from modelyard.serving.errors import HttpRefusal
from modelyard.serving.inference import (
    InferenceRequest,
    InferenceResponse,
    OutputRequest,
    Tensor,
    read_request,
    write_response,
)

X = {"name": "x", "shape": [2, 2], "datatype": "FP32"}
RAW = np.arange(4, dtype="<f4").tobytes()


def body(inputs: list[dict[str, Any]], raw: bytes = b"", **more: Any) -> tuple[bytes, str]:
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + raw, str(len(head))


def test_a_request_of_numbers_and_texts() -> None:
    sent, _ = body(
        [{**X, "data": [0, 1, 2, 3]}, {"name": "t", "shape": [1], "datatype": "BYTES", "data": ["é"]}],
        id="a7",
        outputs=[{"name": "y"}],
        parameters={"k": 1},
    )
    request = read_request(sent)
    assert request.id == "a7"
    assert [(each.name, each.datatype, each.array.tolist()) for each in request.tensors] == [
        ("x", "FP32", [[0.0, 1.0], [2.0, 3.0]]),
        ("t", "BYTES", ["é"]),
    ]
    assert request.outputs == (OutputRequest("y"),)
    assert request.parameters == {"k": 1}


def test_binary_tensors_follow_the_json_in_order() -> None:
    inputs = [
        {**X, "parameters": {"binary_data_size": 16}},
        {"name": "j", "shape": [1], "datatype": "INT8", "data": [5]},
        {"name": "b", "shape": [2], "datatype": "BOOL", "parameters": {"binary_data_size": 2}},
    ]
    request = read_request(*body(inputs, RAW + b"\1\0"))
    assert [each.array.tolist() for each in request.tensors] == [[[0.0, 1.0], [2.0, 3.0]], [5], [True, False]]


@pytest.mark.parametrize(
    ("inputs", "raw", "length", "rule"),
    [
        ([], b"", "", "inference request: it has no inputs. Send at least one tensor."),
        ([X], b"", "", "tensor 'x': it has neither data nor binary_data_size."),
        (
            [{**X, "parameters": {"binary_data_size": 16}}],
            b"",
            None,
            "tensor 'x': its 16 bytes are not in the body: 0 are left. "
            "Say in Inference-Header-Content-Length how long the JSON is.",
        ),
        (
            [{**X, "data": [1], "parameters": {"binary_data_size": 16}}],
            RAW,
            None,
            "tensor 'x': binary_data_size is a number of bytes, and replaces data, not 16.",
        ),
        ([{**X, "data": [0, 1, 2, 3]}], b"zz", None, "inference request: 2 bytes are left over after the last tensor."),
        (
            [{**X, "data": [0, 1, 2, 3]}] * 2,
            b"",
            "",
            "tensor 'x': there are two inputs of this name.",
        ),
        (
            [{**X, "data": [0, 1, 2, 3]}],
            b"",
            "9999",
            "inference request: Inference-Header-Content-Length is the length of the JSON in bytes, not '9999'.",
        ),
    ],
)
def test_what_breaks_the_protocol_is_refused(
    inputs: list[dict[str, Any]], raw: bytes, length: str | None, rule: str
) -> None:
    sent, own = body(inputs, raw)
    with pytest.raises(HttpRefusal) as raised:
        read_request(sent, own if length is None else length)
    assert str(raised.value) == rule
    assert raised.value.status == 400


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"inputs": 1}', b'{"inputs": [{"name": "x"}]}', b'{"inputs": [], "id": 7}', b"\xff"]
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(HttpRefusal):
        read_request(raw)


def test_a_response_mixes_json_and_bytes_as_asked() -> None:
    tensors = (Tensor.of("y", np.array([1.5, np.nan])), Tensor.of("label", ["late", "early"]))
    asked = InferenceRequest("7", (), (OutputRequest("label", {"binary_data": True}),))
    raw, length = write_response(InferenceResponse("delays", "3", "7", tensors), asked)
    assert json.loads(raw[:length]) == {
        "model_name": "delays",
        "model_version": "3",
        "id": "7",
        "outputs": [
            {"name": "y", "datatype": "FP64", "shape": [2], "data": [1.5, None]},
            {"name": "label", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 17}},
        ],
    }
    assert raw[length:] == b"\4\0\0\0late\5\0\0\0early"


def test_all_outputs_can_be_asked_for_as_bytes() -> None:
    asked = InferenceRequest("", (), (), {"binary_data_output": True})
    raw, length = write_response(InferenceResponse("m", "", "", (Tensor.of("y", np.int16([[1], [2]])),)), asked)
    assert json.loads(raw[:length]) == {
        "model_name": "m",
        "outputs": [{"name": "y", "datatype": "INT16", "shape": [2, 1], "parameters": {"binary_data_size": 4}}],
    }
    assert raw[length:] == b"\1\0\2\0"


def test_half_precision_has_json() -> None:
    tensor = Tensor.of("y", np.array([0.5, 2.0], dtype=np.float16))
    raw, _ = write_response(InferenceResponse("m", "", "", (tensor,)), InferenceRequest("", ()))
    assert json.loads(raw)["outputs"][0] == {"name": "y", "datatype": "FP16", "shape": [2], "data": [0.5, 2.0]}
