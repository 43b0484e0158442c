"""Columns that grow: numbers per slot, text per slot, and a small vocabulary of kinds.

The storage under nodes, hyperedges and incidences. It must not know which of them it holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from engine.hypergraph.ids import gather_text, grown

MAX_KINDS = 30_000
"""Kinds that one graph may tell apart; they are codes of 16 bits."""


class Columns:
    """Arrays of one length, each with a value that new slots start with.

    Examples
    --------
    >>> columns = Columns(size=(np.int32, 0))
    >>> columns.resize(2)
    >>> columns["size"].tolist()
    [0, 0]
    """

    def __init__(self, **fills: tuple[Any, Any]) -> None:
        self.n = 0
        self._fills = {name: fill for name, (_, fill) in fills.items()}
        self._arrays: dict[str, NDArray[Any]] = {name: np.empty(0, dtype) for name, (dtype, _) in fills.items()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The column, a view of the live memory: valid until the next `resize`."""
        return self._arrays[name][: self.n]

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in self._arrays.values())

    def add_column(self, name: str, dtype: Any, fill: Any) -> None:
        """Begin a column that nothing had so far; one that is there stays."""
        if name not in self._arrays:
            self._fills[name] = fill
            self._arrays[name] = np.empty(len(next(iter(self._arrays.values()))), dtype)
            self._arrays[name][: self.n] = fill

    def resize(self, n: int) -> None:
        """Have n slots; new ones hold the columns' starting values."""
        for name, array in self._arrays.items():
            if n > len(array):
                # Room that is not written to takes no memory yet; with it the next rows cost no copy.
                array = self._arrays[name] = grown(array, self.n, n + n // 4 + 64)
            array[self.n : n] = self._fills[name]
        self.n = n

    def reset(self, slots: NDArray[Any], *names: str) -> None:
        """Set columns of some slots back to their starting values."""
        for name in names:
            if name in self._arrays:
                self._arrays[name][slots] = self._fills[name]

    def replace(self, name: str, array: NDArray[Any]) -> None:
        """Put another array of n values in the place of a column; who holds the old one keeps it."""
        if len(array) != self.n:
            raise ValueError(f"column {name!r} would have {len(array)} values; it must have {self.n}")
        self._arrays[name] = array

    def keep(self, slots: NDArray[np.int64]) -> None:
        """Drop all but some slots, which become 0, 1, … in the order given."""
        for name, array in self._arrays.items():
            self._arrays[name] = array[slots]
        self.n = len(slots)


class TextColumn:
    """Text per slot, end to end in one byte array; a slot may have none.

    Examples
    --------
    >>> column = TextColumn()
    >>> column.set(np.array([3, 1]), ["c", None])
    >>> column.take(np.array([1, 3])).to_pylist()
    [None, 'c']
    """

    def __init__(self) -> None:
        self._arena = np.empty(0, np.uint8)
        self._used = 0
        self._start = np.empty(0, np.int64)
        self._length = np.empty(0, np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._arena.nbytes + self._start.nbytes + self._length.nbytes

    def set(self, slots: NDArray[Any], texts: Any) -> None:
        """Give slots their texts (a sequence or Arrow array); None takes a text away."""
        array = pa.array(texts, pa.large_string()) if not isinstance(texts, pa.Array) else texts.cast(pa.large_string())
        if not len(slots):
            return
        self._reach(int(np.max(slots)) + 1)
        _, at, data = array.buffers()
        offsets = np.frombuffer(at, np.int64)[array.offset :][: len(array) + 1]
        new = np.frombuffer(data if data is not None else b"", np.uint8)[offsets[0] : offsets[-1]]
        if self._used + len(new) > len(self._arena):
            self._make_room(len(new))
        self._arena[self._used : self._used + len(new)] = new
        self._start[slots] = self._used + offsets[:-1] - offsets[0]
        missing = array.is_null().to_numpy(zero_copy_only=False)
        self._length[slots] = np.where(missing, -1, np.diff(offsets))
        self._used += len(new)

    def take(self, slots: NDArray[Any]) -> pa.Array:
        """Arrow text array of some slots, null where there is none."""
        slots = np.asarray(slots, np.int64)
        known = slots < len(self._start)
        inside = np.where(known, slots, 0)
        if not len(self._start):
            return pa.nulls(len(slots), pa.large_string())
        return gather_text(self._arena, self._start[inside],
                           self._start[inside] + np.where(known, self._length[inside], -1))  # fmt: skip

    def clear(self, slots: NDArray[Any]) -> None:
        """Take the texts of slots away."""
        self._length[slots[slots < len(self._length)]] = -1

    def keep(self, slots: NDArray[np.int64]) -> None:
        """Drop all but some slots, which become 0, 1, … in the order given."""
        texts = self.take(slots)
        fresh = TextColumn()
        fresh.set(np.arange(len(slots)), texts)
        self.__dict__.update(fresh.__dict__)

    def _reach(self, n: int) -> None:
        have = len(self._start)
        if n > have:
            size = max(n, have + have // 2)
            self._start, self._length = grown(self._start, have, size), grown(self._length, have, size)
            self._start[have:], self._length[have:] = 0, -1

    def _make_room(self, more: int) -> None:
        """Room for more bytes: what was overwritten goes first, so that a text set again and again stays one text."""
        live = int(np.maximum(self._length, 0).sum())
        if live < self._used // 2:
            self.keep(np.arange(len(self._start)))
        if self._used + more > len(self._arena):
            self._arena = grown(self._arena, self._used, max(self._used + more, self._used + self._used // 2, 256))


class Vocabulary:
    """Names of kinds as small codes, in order of first appearance.

    Examples
    --------
    >>> kinds = Vocabulary()
    >>> kinds.encode(["host", None, "flow", "host"], "kind").tolist()
    [0, -1, 1, 0]
    >>> kinds.names
    ['host', 'flow']
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._codes: dict[str, int] = {}

    def check(self, values: Any, name: str) -> pa.DictionaryArray:
        """A column as a dictionary of texts, or an error that names the column."""
        array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        if not isinstance(array, pa.DictionaryArray):
            array = array.dictionary_encode()
        words = array.dictionary
        if not (pa.types.is_null(words.type) or pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
            raise TypeError(f"column {name!r} is {words.type}; a kind must be text, or missing")
        new = sum(word not in self._codes for word in words.to_pylist())
        if len(self.names) + new > MAX_KINDS:
            raise ValueError(
                f"column {name!r} brings {new} new kinds to {len(self.names)}; {MAX_KINDS} can be told apart"
            )
        return array

    def encode(self, values: Any, name: str) -> NDArray[np.int16]:
        """Codes of a column of kinds, -1 where missing; kinds never seen get the next codes."""
        array = self.check(values, name)
        codes = np.empty(len(array.dictionary) + 1, np.int16)
        codes[-1] = -1
        for i, word in enumerate(array.dictionary.to_pylist()):
            codes[i] = -1 if word is None else self._codes.setdefault(word, len(self._codes))
        self.names[len(self.names) :] = list(self._codes)[len(self.names) :]
        return codes[array.indices.fill_null(len(codes) - 1).to_numpy(zero_copy_only=False)]

    def decode(self, codes: NDArray[np.int16]) -> pd.Categorical:
        """Kinds of codes, as a categorical column."""
        return pd.Categorical.from_codes(codes, categories=pd.Index(self.names, dtype="str"))

    def code(self, name: str) -> int:
        """Code of a kind, -2 (which nothing has) for a kind never seen."""
        return self._codes.get(name, -2)
