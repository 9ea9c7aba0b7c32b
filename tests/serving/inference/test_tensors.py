"""Tensors keep their values through JSON and through bytes, and refuse what does not fit."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelyard.serving.inference import DATATYPES, Tensor, TensorInvalid, datatype_of
from modelyard.serving.inference.datatypes import bfloat16_read, bfloat16_written
from modelyard.serving.inference.tensors import decode, parse

NUMERIC = [name for name in DATATYPES if name not in ("BYTES", "BF16")]
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@given(st.data())
def test_numbers_come_back_from_bytes_bit_by_bit(data: st.DataObject) -> None:
    datatype = data.draw(st.sampled_from(NUMERIC))
    array = data.draw(arrays.arrays(DATATYPES[datatype], SHAPES))
    tensor = Tensor("x", datatype, array)
    again = decode("x", datatype, tensor.shape, tensor.raw())
    assert again.array.dtype == array.dtype
    assert again.array.tobytes() == array.tobytes()
    assert again.shape == list(array.shape)


@given(st.data())
def test_numbers_come_back_from_json(data: st.DataObject) -> None:
    datatype = data.draw(st.sampled_from(NUMERIC))
    dtype = DATATYPES[datatype]
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    array = data.draw(arrays.arrays(dtype, SHAPES, elements=arrays.from_dtype(dtype, **finite)))
    flat, nested = json.loads(json.dumps(array.ravel().tolist())), json.loads(json.dumps(np.atleast_1d(array).tolist()))
    for sent in (flat, nested):
        assert parse("x", datatype, array.shape, sent).array.tobytes() == array.tobytes()


@given(st.lists(st.binary(max_size=9), max_size=7))
def test_bytes_come_back(values: list[bytes]) -> None:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    tensor = Tensor("x", "BYTES", array)
    assert decode("x", "BYTES", [len(values)], tensor.raw()).array.tolist() == values


@given(arrays.arrays(np.float32, 7))
def test_bfloat16_keeps_eight_bits_and_what_is_not_a_number(array: "np.ndarray[Any, np.dtype[np.float32]]") -> None:
    again = bfloat16_read(bfloat16_written(array))
    assert np.array_equal(np.isnan(again), np.isnan(array))
    there = np.isfinite(again) & np.isfinite(array)
    assert np.all(np.abs(again[there] - array[there]) <= np.maximum(np.abs(array[there]) * 2.0**-8, 2.0**-133))


def test_bfloat16_rounds_to_even() -> None:
    # 1 + 2⁻⁸ lies between 1 and 1 + 2⁻⁷ and goes to the even neighbour, 1 + 3·2⁻⁸ to 1 + 2⁻⁶
    array = np.array([1 + 2**-8, 1 + 3 * 2**-8, -0.0, np.inf], dtype=np.float32)
    assert bfloat16_read(bfloat16_written(array)).tolist() == [1.0, 1 + 2**-6, -0.0, np.inf]


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "rule"),
    [
        ("FP64", [2], [1.0], "its shape [2] has 2 elements, its data 1."),
        ("FP64", [1], ["1.5"], "FP64 does not hold texts."),
        ("FP64", [1], [True], "FP64 does not hold truth values."),
        ("INT32", [1], [1.5], "INT32 does not hold fractions."),
        ("INT32", [1], [None], "INT32 does not hold values of several kinds."),
        ("INT8", [2], [1, 300], "a value is beyond INT8: 1 to 300."),
        ("UINT64", [2], [-1, 2**63], "a value is beyond UINT64: -1 to 9223372036854775808."),
        ("INT64", [2], [0, 2**63], "a value is beyond INT64: 0 to 9223372036854775808."),
        ("UINT16", [1], [-1], "a value is beyond UINT16: -1 to -1."),
        ("FP16", [1], [70000.0], "a value is beyond FP16: 70000.0 to 70000.0."),
        ("BOOL", [1], [1], "BOOL does not hold such numbers."),
        ("BYTES", [1], [7], "BYTES holds texts, not 7. Send text, or another datatype."),
        ("FP64", [-1], [1.0], "its shape [-1] has a negative extent. Name each extent."),
        ("FP64", [2**40, 2**40], [1.0], "its shape [1099511627776, 1099511627776] is too large."),
        ("FP64", [1], "1", "its data is a list, not str."),
        ("FLOAT", [1], [1.0], f"the datatype 'FLOAT' is unknown. Use one of {', '.join(DATATYPES)}."),
    ],
)
def test_what_does_not_fit_is_refused(datatype: str, shape: list[int], data: Any, rule: str) -> None:
    with pytest.raises(TensorInvalid) as raised:
        parse("x", datatype, shape, data)
    assert str(raised.value) == f"tensor 'x': {rule}"
    assert raised.value.status == 400


def test_ragged_lists_are_refused() -> None:
    with pytest.raises(TensorInvalid, match="its data is not an even array of numbers"):
        parse("x", "FP64", [3], [[1.0, 2.0], [3.0]])


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "rule"),
    [
        ("FP32", [2], b"\0" * 7, "its shape [2] of FP32 takes 8 bytes, it has 7."),
        ("BF16", [2], b"\0" * 5, "its shape [2] of BF16 takes 4 bytes, it has 5."),
        ("BYTES", [2], b"\1\0\0\0a", "2 elements of BYTES do not fit into 5 bytes."),
        ("BYTES", [1], b"\xff\0\0\0ab", "element 0 has 255 bytes, 2 are left."),
        ("BYTES", [2], b"\4\0\0\0abcd\1", "its bytes end before the length of element 1."),
        ("BYTES", [1], b"\1\0\0\0ab", "1 bytes are left over after its 1 elements."),
        ("BYTES", [2**50], b"", "1125899906842624 elements of BYTES do not fit into 0 bytes."),
    ],
)
def test_buffers_that_do_not_fit_are_refused(datatype: str, shape: list[int], raw: bytes, rule: str) -> None:
    with pytest.raises(TensorInvalid) as raised:
        decode("x", datatype, shape, raw)
    assert str(raised.value) == f"tensor 'x': {rule}"


def test_missing_values_are_not_a_number() -> None:
    array = parse("x", "FP32", [2, 2], [[None, 1], [2.5, None]]).array
    assert np.array_equal(array, np.array([[np.nan, 1], [2.5, np.nan]], dtype=np.float32), equal_nan=True)
    assert np.isnan(parse("x", "FP64", [1], [None]).array).all()
    assert parse("x", "FP64", [2], [2**70, 1]).array.tolist() == [2.0**70, 1.0]


def test_bytes_that_are_no_text_have_no_json() -> None:
    with pytest.raises(TensorInvalid, match=r"its bytes are not UTF-8 text: .*\. Ask for binary output\."):
        Tensor("x", "BYTES", np.array([b"\xff"], dtype=object)).data()


def test_types_without_a_name_are_refused() -> None:
    assert datatype_of(np.dtype(np.uint8)) == "UINT8"
    with pytest.raises(ValueError, match="no datatype of the Open Inference Protocol holds complex128"):
        datatype_of(np.dtype(np.complex128))
