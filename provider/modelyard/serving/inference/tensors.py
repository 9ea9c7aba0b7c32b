"""One tensor: JSON numbers or raw bytes on the outside, a NumPy array inside."""

import struct
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelyard.serving.inference.datatypes import BFLOAT16, BYTES, DATATYPES, bfloat16_read, bfloat16_written
from modelyard.serving.inference.datatypes import datatype_of as datatype_of_dtype
from modelyard.serving.inference.errors import TensorInvalid

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Tensor", "checked_shape", "decode", "parse"]

_LARGEST = 2**63 - 1
_BEYOND = 2**64
_LENGTH = struct.Struct("<I")
_KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "O": "U"}
"""The kinds of JSON values that fit a datatype's kind: a truth value is no number, a fraction no integer."""


class Tensor(NamedTuple):
    """A named array with the datatype that it travels as.

    Parameters
    ----------
    name
        Unique in its request.
    datatype
        A name of the protocol: ``FP32``, ``INT64``, ``BYTES``, …
    array
        Of the shape that the message says; text or bytes for ``BYTES``.
    """

    name: str
    datatype: str
    array: "NDArray[Any]"

    @classmethod
    def of(cls, name: str, values: Any) -> "Tensor":
        """Return the tensor of an array, with the datatype that follows from it.

        Raises
        ------
        ValueError
            No datatype holds such values.

        Examples
        --------
        >>> Tensor.of("label", ["late", "early"]).datatype
        'BYTES'
        """
        array = np.asarray(values)
        return cls(name, datatype_of_dtype(array.dtype), array)

    @property
    def shape(self) -> list[int]:
        """The extents, in elements."""
        return list(self.array.shape)

    def data(self) -> Any:
        """Return the values for a JSON message: flat, row by row; not a number becomes null.

        Raises
        ------
        TensorInvalid
            Bytes in it are not UTF-8, and JSON has no other text.
        """
        flat = self.array.ravel()
        if self.datatype != BYTES:
            return np.ascontiguousarray(flat)
        try:
            return [each.decode() if isinstance(each, bytes) else str(each) for each in flat.tolist()]
        except UnicodeDecodeError as error:
            raise TensorInvalid(
                self.name, f"its bytes are not UTF-8 text: {error.reason}", mend="Ask for binary output."
            ) from None

    def raw(self) -> bytes:
        """Return the values as the binary extension has them: little endian, rows first, bytes with their lengths."""
        if self.datatype == BFLOAT16:
            return bfloat16_written(self.array)
        if self.datatype != BYTES:
            return np.ascontiguousarray(self.array, dtype=DATATYPES[self.datatype]).tobytes()
        pieces: list[bytes] = []
        for each in self.array.ravel().tolist():
            text = each if isinstance(each, bytes) else str(each).encode()
            pieces += (_LENGTH.pack(len(text)), text)
        return b"".join(pieces)


def checked_shape(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape, if it is one.

    Raises
    ------
    TensorInvalid
        An extent is negative, or the whole is more than any machine holds.
    """
    size = 1
    for extent in shape:
        if extent < 0:
            raise TensorInvalid(name, f"its shape {list(shape)} has a negative extent", mend="Name each extent.")
        size *= extent or 1
    if size > _LARGEST:
        raise TensorInvalid(name, f"its shape {list(shape)} is too large")
    return tuple(shape)


def parse(name: str, datatype: str, shape: Sequence[int], data: Any) -> Tensor:
    """Return the tensor of a JSON message.

    Parameters
    ----------
    name, datatype, shape
        As the message says.
    data
        A list, flat or nested as the shape says; null in a tensor of fractions is a missing value (not a number).

    Raises
    ------
    TensorInvalid
        Values, datatype and shape do not fit each other.

    Examples
    --------
    >>> parse("x", "FP64", [2, 2], [[1, 2.5], [None, 4]]).array.tolist()
    [[1.0, 2.5], [nan, 4.0]]
    """
    extents = checked_shape(name, shape)
    dtype = DATATYPES.get(datatype) or _known(name, datatype)
    if not isinstance(data, list):
        raise TensorInvalid(name, f"its data is a list, not {type(data).__name__}")
    flat = _texts(name, data) if dtype.kind == "O" else _numbers(name, datatype, dtype, data)
    if flat.size != prod(extents):
        raise TensorInvalid(name, f"its shape {list(extents)} has {prod(extents)} elements, its data {flat.size}")
    return Tensor(name, datatype, flat.reshape(extents))


def _known(name: str, datatype: str) -> "np.dtype[Any]":
    try:
        return DATATYPES[datatype]
    except KeyError:
        raise TensorInvalid(
            name, f"the datatype {datatype!r} is unknown", mend=f"Use one of {', '.join(DATATYPES)}."
        ) from None


def _numbers(name: str, datatype: str, dtype: "np.dtype[Any]", data: list[Any]) -> "NDArray[Any]":
    try:
        # NumPy refuses ragged lists; without a type it shows which kinds of values there are
        found = np.array(data)
        if found.dtype == dtype:
            return found
        if found.dtype.kind == "O" and dtype.kind == "f":
            found = _with_missing(found)
        elif found.dtype.kind in "fO" and dtype.kind in "iu":
            found = _whole(name, datatype, found, data)
    except (ValueError, OverflowError) as error:
        raise TensorInvalid(name, f"its data is not an even array of numbers: {error}") from None
    if found.size == 0:
        return np.zeros(0, dtype)
    if found.dtype == dtype:
        return found
    if found.dtype.kind not in _KINDS[dtype.kind]:
        shown = {"b": "truth values", "f": "fractions", "U": "texts", "O": "values of several kinds"}
        raise TensorInvalid(name, f"{datatype} does not hold {shown.get(found.dtype.kind, 'such numbers')}")
    if dtype.kind in "iu" and not _within(found, dtype):
        raise TensorInvalid(name, f"a value is beyond {datatype}: {found.min()} to {found.max()}")
    with np.errstate(over="ignore"):
        cast = found.astype(dtype).ravel()
    if dtype.kind == "f" and dtype.itemsize < found.dtype.itemsize and bool(np.isinf(cast).any()):
        raise TensorInvalid(name, f"a value is beyond {datatype}: {np.nanmin(found)} to {np.nanmax(found)}")
    return cast


def _with_missing(found: "NDArray[Any]") -> "NDArray[Any]":
    """Return fractions where there were missing values, or whole numbers beyond 64 bits."""
    flat = found.ravel()
    if any(isinstance(each, list) for each in flat):
        return found
    there = [float(each) if type(each) is int else each for each in flat if each is not None]
    # by way of a list of the values that are there, so that their kind is seen
    present = np.array(there)
    if present.dtype.kind not in "iuf" and present.size:
        return present
    filled = np.full(flat.size, np.nan)
    filled[[each is not None for each in flat]] = present
    return filled


def _whole(name: str, datatype: str, found: "NDArray[Any]", data: list[Any]) -> "NDArray[Any]":
    """Return whole numbers beyond 63 bits as they are: beside smaller ones NumPy makes fractions of them."""
    objects = np.array(data, dtype=object).ravel()
    if not objects.size or not all(type(each) is int for each in objects):
        return found
    least, largest = min(objects), max(objects)
    if least < 0 or largest >= _BEYOND:
        raise TensorInvalid(name, f"a value is beyond {datatype}: {least} to {largest}")
    return objects.astype(np.uint64)


def _within(found: "NDArray[Any]", dtype: "np.dtype[Any]") -> bool:
    limits = np.iinfo(dtype)
    return int(found.min()) >= limits.min and int(found.max()) <= limits.max


def _texts(name: str, data: list[Any]) -> "NDArray[Any]":
    flat: list[Any] = []
    waiting = [iter(data)]
    while waiting:
        for each in waiting[-1]:
            if isinstance(each, list):
                waiting.append(iter(each))
                break
            if not isinstance(each, str):
                raise TensorInvalid(name, f"BYTES holds texts, not {each!r}", mend="Send text, or another datatype.")
            flat.append(each)
        else:
            waiting.pop()
    array = np.empty(len(flat), dtype=object)
    array[:] = flat
    return array


def decode(name: str, datatype: str, shape: Sequence[int], raw: bytes | memoryview) -> Tensor:
    """Return the tensor of the binary extension; numbers are looked at where they lie, without a copy.

    Raises
    ------
    TensorInvalid
        The buffer is too short or too long.

    Examples
    --------
    >>> decode("x", "INT32", [2], Tensor("x", "INT32", np.array([7, -1])).raw()).array.tolist()
    [7, -1]
    """
    extents = checked_shape(name, shape)
    dtype = _known(name, datatype)
    count = prod(extents)
    if datatype == BYTES:
        return Tensor(name, datatype, _lengths(name, bytes(raw), count).reshape(extents))
    size = count * (2 if datatype == BFLOAT16 else dtype.itemsize)
    if len(raw) != size:
        raise TensorInvalid(name, f"its shape {list(extents)} of {datatype} takes {size} bytes, it has {len(raw)}")
    if datatype == BFLOAT16:
        return Tensor(name, datatype, bfloat16_read(bytes(raw)).reshape(extents))
    if datatype == "BOOL":
        return Tensor(name, datatype, (np.frombuffer(raw, dtype=np.uint8) != 0).reshape(extents))
    return Tensor(name, datatype, np.frombuffer(raw, dtype=dtype).reshape(extents))


def _lengths(name: str, raw: bytes, count: int) -> "NDArray[Any]":
    if count > len(raw) // _LENGTH.size:
        raise TensorInvalid(name, f"{count} elements of BYTES do not fit into {len(raw)} bytes")
    array = np.empty(count, dtype=object)
    position = 0
    for index in range(count):
        if position + _LENGTH.size > len(raw):
            raise TensorInvalid(name, f"its bytes end before the length of element {index}")
        (length,) = _LENGTH.unpack_from(raw, position)
        position += _LENGTH.size
        if position + length > len(raw):
            raise TensorInvalid(name, f"element {index} has {length} bytes, {len(raw) - position} are left")
        array[index] = raw[position : position + length]
        position += length
    if position != len(raw):
        raise TensorInvalid(name, f"{len(raw) - position} bytes are left over after its {count} elements")
    return array
