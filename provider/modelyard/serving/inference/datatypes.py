"""The protocol's datatypes, and their image in NumPy."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BFLOAT16", "BYTES", "DATATYPES", "bfloat16_read", "bfloat16_written", "datatype_of"]

BYTES = "BYTES"
BFLOAT16 = "BF16"

DATATYPES: dict[str, "np.dtype[Any]"] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    BFLOAT16: np.dtype("<f4"),
    BYTES: np.dtype(object),
}
"""What a tensor of each datatype becomes; BF16 widens to float32, BYTES becomes objects: text or bytes."""

_NAMES = {(each.kind, each.itemsize): name for name, each in DATATYPES.items() if name not in (BFLOAT16, BYTES)}


def datatype_of(dtype: "np.dtype[Any]") -> str:
    """Return the protocol's name for a NumPy type.

    Raises
    ------
    ValueError
        There is none: complex numbers, dates, structures.

    Examples
    --------
    >>> datatype_of(np.dtype(np.int64)), datatype_of(np.dtype("U7")), datatype_of(np.dtype(np.float16))
    ('INT64', 'BYTES', 'FP16')
    """
    if dtype.kind in "OUSV" and dtype.names is None:
        return BYTES
    try:
        return _NAMES[dtype.kind, dtype.itemsize]
    except KeyError:
        raise ValueError(f"no datatype of the Open Inference Protocol holds {dtype}") from None


def bfloat16_read(raw: bytes) -> "NDArray[np.float32]":
    """Return the numbers of a BF16 buffer: the upper halves of float32 numbers.

    Examples
    --------
    >>> bfloat16_read(bfloat16_written(np.array([1.0, -2.5], dtype=np.float32))).tolist()
    [1.0, -2.5]
    """
    return (np.frombuffer(raw, dtype="<u2").astype("<u4") << 16).view("<f4")


def bfloat16_written(array: "NDArray[np.float32]") -> bytes:
    """Return float32 numbers as a BF16 buffer, rounded to nearest, ties to even.

    Numbers that are not a number stay so: rounding must not carry their mantissa over into infinity.
    """
    bits = np.ascontiguousarray(array, dtype="<f4").view("<u4").ravel()
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    chosen = np.where(np.isnan(array.ravel()), bits | 0x400000, rounded)
    return (chosen >> 16).astype("<u2").tobytes()
