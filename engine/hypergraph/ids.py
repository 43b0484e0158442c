"""Ids as columns: text and integers to dense slots and back, without a Python object per id.

All ids lie end to end in one byte array behind an open hash table. It must not know whether an id
names a node or a hyperedge.
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from engine.hypergraph._id_kernel import fill_table, gather_bytes, intern_rows, refill_table

Slots = NDArray[np.int32]

TEXT, INTEGER = 0, 1

MANY = 10_000
"""Rows from which a column is reduced to its distinct ids first."""


class EncodedIds(NamedTuple):
    """Ids as bytes end to end; row i is ``data[offsets[i]:offsets[i + 1]]``, all arrays read-only."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    tags: NDArray[np.uint8]
    codes: NDArray[np.int64] | None
    """Where the ids came as a dictionary: the row above of each id."""

    @property
    def n_rows(self) -> int:
        """How many ids there are, repeats included."""
        return len(self.tags) if self.codes is None else len(self.codes)


def encode_ids(values: Any, name: str) -> EncodedIds:
    """Bytes of a column of ids.

    Parameters
    ----------
    values : Series, ndarray, Arrow array or sequence
        Text or integers; both may be mixed, and ``1`` and ``"1"`` are different ids.
    name : str
        What the column is called in errors.

    Returns
    -------
    EncodedIds

    Raises
    ------
    ValueError
        An id is missing.
    TypeError
        An id is neither text nor an integer that fits 64 bits.

    Examples
    --------
    >>> encode_ids(["ab", "c"], "node").offsets.tolist()
    [0, 2, 3]
    """
    try:
        # NaN in an object column is a missing id; pandas' own columns know what is missing.
        array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return _encode_mixed(values, name)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    codes = None
    if len(array) > MANY and (pa.types.is_integer(array.type) or pa.types.is_large_string(array.type)):
        # Arrow finds the distinct ids of a long column twice as fast as the table below could.
        _refuse_missing(array, name)
        array = array.dictionary_encode()
        codes, array = array.indices.to_numpy(zero_copy_only=False).astype(np.int64), array.dictionary
    elif isinstance(array, pa.DictionaryArray):
        _refuse_missing(array, name)
        # Of the categories given only those that occur are ids, and in order of appearance.
        codes, used = pd.factorize(array.indices.to_numpy(zero_copy_only=False))
        array = array.dictionary.take(pa.array(used))
        _refuse_missing(array, name)
    elif array.null_count:
        _refuse_missing(array, name)
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        array = array.cast(pa.large_string())
    elif not len(array):
        # An empty table's columns are of any type.
        array = pa.array([], pa.large_string())
    if pa.types.is_large_string(array.type):
        _, at, data = array.buffers()
        offsets = np.frombuffer(at, dtype=np.int64)[array.offset :][: len(array) + 1] if at else np.zeros(1, np.int64)
        text = np.frombuffer(data if data is not None else b"", dtype=np.uint8)
        return _encoded(text, offsets, np.full(len(array), TEXT, np.uint8), codes)
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        numbers = np.ascontiguousarray(array.to_numpy(zero_copy_only=False), dtype=np.int64)
        return _encoded(
            numbers.view(np.uint8), np.arange(len(numbers) + 1, dtype=np.int64) * 8,
            np.full(len(numbers), INTEGER, np.uint8), codes,
        )  # fmt: skip
    encoded = _encode_mixed(array.to_pylist(), name)
    return encoded._replace(codes=codes)


def _refuse_missing(array: pa.Array, name: str) -> None:
    if array.null_count:
        row = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise ValueError(f"column {name!r} has no id in row {row}; it must be text or an integer")


def _encode_mixed(values: Any, name: str) -> EncodedIds:
    """The slow way, id by id, for columns that hold text and integers both."""
    pieces, tags = [], np.empty(len(values), np.uint8)
    for row, value in enumerate(values):
        if isinstance(value, str):
            pieces.append(value.encode())
            tags[row] = TEXT
        elif isinstance(value, int | np.integer) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
            pieces.append(int(value).to_bytes(8, "little", signed=True))
            tags[row] = INTEGER
        elif value is None or value is pd.NA or value != value:
            raise ValueError(f"column {name!r} has no id in row {row}; it must be text or an integer")
        else:
            raise TypeError(
                f"column {name!r} is {value!r} ({type(value).__name__}) in row {row}; "
                "an id must be text or an integer of 64 bits"
            )
    offsets = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    return _encoded(np.frombuffer(b"".join(pieces), dtype=np.uint8), offsets, tags, None)


def _encoded(data: Any, offsets: Any, tags: Any, codes: Any) -> EncodedIds:
    # Arrow's memory is read-only; made so throughout, the kernels see one type and compile once.
    for array in (data, offsets, tags):
        array.flags.writeable = False
    return EncodedIds(data, offsets, tags, codes)


class IdTable:
    """Ids and their slots 0 … n-1, in order of first appearance.

    Examples
    --------
    >>> table = IdTable()
    >>> table.intern(encode_ids(["a", "b", "a"], "node")).tolist()
    [0, 1, 0]
    >>> table.find(encode_ids(["b", "c"], "node")).tolist()
    [1, -1]
    >>> list(table.take(np.array([1, 0])))
    ['b', 'a']
    """

    def __init__(self) -> None:
        self.n = 0
        # Names come from the network: with a hash that cannot be foretold none can be made to collide.
        self._seed = np.uint64(secrets.randbits(64))
        self._arena = np.empty(1024, np.uint8)
        self._starts = np.zeros(65, np.int64)
        self._tags = np.empty(64, np.uint8)
        self._table = np.full(128, -1, np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(a.nbytes for a in (self._arena, self._starts, self._tags, self._table))

    def intern(self, ids: EncodedIds) -> Slots:
        """Slot of each id; ids never seen get the next slots."""
        out = np.empty(len(ids.tags), np.int32)
        row, last = self._look_up(ids, 0, True, out), -1
        while row < len(out):
            self._grow(len(out) - row, int(ids.offsets[-1] - ids.offsets[row]), stuck=row == last)
            last, row = row, self._look_up(ids, row, True, out)
        return out if ids.codes is None else out[ids.codes]

    def find(self, ids: EncodedIds) -> Slots:
        """Slot of each id, -1 where there is none."""
        out = np.empty(len(ids.tags), np.int32)
        self._look_up(ids, 0, False, out)
        return out if ids.codes is None else out[ids.codes]

    def _look_up(self, ids: EncodedIds, row: int, insert: bool, out: Slots) -> int:
        done, self.n = intern_rows(
            ids.data, ids.offsets, ids.tags, row, insert, self._seed, self._arena, self._starts, self._tags,
            self._table, self.n, out,
        )  # fmt: skip
        return int(done)

    def take(self, slots: NDArray[Any]) -> pd.Index:
        """Ids of slots: an index of text, of int64, or of objects where both occur."""
        slots = np.asarray(slots, dtype=np.int64)
        tags = self._tags[slots]
        if not tags.any():
            return pd.Index(self.texts(slots).to_pandas())
        if tags.all():
            return pd.Index(self._integers(slots))
        mixed = np.empty(len(slots), object)
        mixed[tags == TEXT] = self.texts(slots[tags == TEXT]).to_pylist()
        mixed[tags == INTEGER] = self._integers(slots[tags == INTEGER]).tolist()
        return pd.Index(mixed)

    def keep(self, slots: NDArray[np.int64]) -> None:
        """Forget all but some slots, which become 0, 1, … in the order given."""
        starts, stops = self._starts[slots], self._starts[slots + 1]
        self.n = len(slots)
        offsets = np.zeros(self.n + 1, np.int64)
        np.cumsum(stops - starts, out=offsets[1:])
        arena = np.empty(max(int(offsets[-1]), 1024), np.uint8)
        gather_bytes(self._arena, starts, stops, offsets, arena)
        self._arena, self._starts = arena, offsets
        self._tags = self._tags[slots]
        self._table = _empty_table(self.n)
        fill_table(self._arena, self._starts, self._tags, self._seed, self.n, self._table)

    def fill(self, ids: pa.LargeStringArray) -> None:
        """Take ids, all text and all different, as slots 0, 1, … of a table that was empty."""
        self.n = len(ids)
        _, at, data = ids.buffers()
        offsets = np.frombuffer(at, np.int64)[ids.offset :][: self.n + 1] if at else np.zeros(1, np.int64)
        text = np.frombuffer(data if data is not None else b"", np.uint8)[offsets[0] : offsets[-1]]
        self._starts, self._tags = offsets - offsets[0], np.full(self.n, TEXT, np.uint8)
        self._arena, self._table = grown(text, len(text), max(len(text), 1024)), _empty_table(self.n)
        fill_table(self._arena, self._starts, self._tags, self._seed, self.n, self._table)

    def texts(self, slots: NDArray[np.int64]) -> pa.Array:
        """Ids of slots that all hold text, as an Arrow array."""
        return gather_text(self._arena, self._starts[slots], self._starts[slots + 1])

    def _integers(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        starts = self._starts[slots]
        out = np.empty(8 * len(slots), np.uint8)
        gather_bytes(self._arena, starts, starts + 8, np.arange(len(slots), dtype=np.int64) * 8, out)
        return out.view(np.int64)

    def _grow(self, more_ids: int, more_bytes: int, stuck: bool) -> None:
        """Make room for at most so many further ids; by half more at a time unless that was not enough."""
        n, used = self.n, int(self._starts[self.n])
        wanted = n + more_ids if stuck else min(n + more_ids, max(256, n + n // 2))
        if wanted > len(self._tags):
            self._tags = grown(self._tags, n, wanted)
            self._starts = grown(self._starts, n + 1, wanted + 1)
        if stuck or used + more_bytes > len(self._arena):
            mean = 1 + used // max(n, 1)
            room = used + more_bytes if stuck else used + min(more_bytes, max(4096, (wanted - n) * mean))
            self._arena = grown(self._arena, used, max(room, len(self._arena)))
        if 3 * (wanted + 1) > 2 * len(self._table):
            old, self._table = self._table, _empty_table(wanted)
            refill_table(old, self._table)


def _empty_table(n: int) -> NDArray[np.int64]:
    """A table of the least power of two in which n ids fill two thirds at most."""
    size = 128
    while 2 * size < 3 * (n + 1):
        size *= 2
    return np.full(size, -1, np.int64)


def grown(array: NDArray[Any], used: int, size: int) -> NDArray[Any]:
    """A longer copy of an array of which the first `used` entries count."""
    longer = np.empty(size, array.dtype)
    longer[:used] = array[:used]
    return longer


def gather_text(arena: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> pa.Array:
    """Arrow text array of pieces of UTF-8 in a byte array; a piece that stops before it starts is missing."""
    missing = stops < starts
    stops = np.maximum(stops, starts)
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(stops - starts, out=offsets[1:])
    out = np.empty(int(offsets[-1]), np.uint8)
    gather_bytes(arena, starts, stops, offsets, out)
    valid = pa.array(~missing).buffers()[1] if missing.any() else None
    return pa.LargeStringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(out), valid)
