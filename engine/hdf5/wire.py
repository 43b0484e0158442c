"""How the dashboard and a reader process talk: one JSON header, then the arrays as they lie in memory.

Not pickle: what comes back was computed from a hostile file, by a library that such a file may have taken over.
Nothing that is read here can name a class or run code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

MAX_HEADER_BYTES = 64 << 20
MAX_ARRAY_BYTES = 1 << 30
_KINDS = frozenset("biufc")


class Garbled(Exception):
    """What came is no message."""


def pack(message: Any) -> list[bytes]:
    """Byte strings of a message of dicts, lists, texts, numbers and numeric arrays.

    Examples
    --------
    >>> parts = pack({"a": np.arange(3, dtype="i2")})
    >>> stream = iter_bytes(b"".join(parts))
    >>> unpack(stream)["a"].tolist()
    [0, 1, 2]
    """
    arrays: list[np.ndarray] = []

    def keep(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind in _KINDS:
            arrays.append(np.ascontiguousarray(value))
            return {"$array": len(arrays) - 1}
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"a message cannot hold a {type(value).__name__}")

    body = json.dumps(message, default=keep)
    head = json.dumps([[array.dtype.str, list(array.shape)] for array in arrays])
    sizes = struct.pack("<QQ", len(head), len(body))
    return [sizes, head.encode(), body.encode(), *(array.tobytes() for array in arrays)]


def unpack(read: Callable[[int], bytes]) -> Any:
    """The message that `read` (exactly n bytes) brings.

    Raises
    ------
    Garbled
        If it is none, or larger than a message may be.
    """
    head_size, body_size = struct.unpack("<QQ", read(16))
    if max(head_size, body_size) > MAX_HEADER_BYTES:
        raise Garbled(f"a header of {max(head_size, body_size)} bytes; at most {MAX_HEADER_BYTES} are taken")
    try:
        declared, body = json.loads(read(head_size)), json.loads(read(body_size))
        types = [(np.dtype(name), tuple(int(n) for n in shape)) for name, shape in declared]
    except (ValueError, TypeError) as error:
        raise Garbled(str(error)) from error
    arrays = []
    for dtype, shape in types:
        size = dtype.itemsize * int(np.prod(shape, dtype=object))
        if dtype.kind not in _KINDS or not 0 <= size <= MAX_ARRAY_BYTES or min(shape, default=0) < 0:
            raise Garbled(
                f"an array of {dtype} and shape {shape}; at most {MAX_ARRAY_BYTES} bytes of numbers are taken"
            )
        arrays.append(np.frombuffer(bytearray(read(size)), dtype).reshape(shape))

    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() == {"$array"}:
                return arrays[value["$array"]]
            return {key: restore(entry) for key, entry in value.items()}
        return [restore(entry) for entry in value] if isinstance(value, list) else value

    return restore(body)


def iter_bytes(content: bytes) -> Callable[[int], bytes]:
    """A `read` over bytes at hand."""
    at = 0

    def read(count: int) -> bytes:
        nonlocal at
        at += count
        return content[at - count : at]

    return read
