"""Numbers of a dataset, block by block, and what a damaged chunk costs; runs in a reader process.

A block is read as a whole; if that fails, chunk by chunk, and the chunks that cannot be read are NaN and counted.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import h5py
import numpy as np

from engine.hdf5.errors import Unreadable

MAX_CHUNK_BYTES = 512 << 20
"""A compressed chunk is decoded as a whole; a larger one is not read."""

PARTS = ("value", "magnitude", "phase", "real", "imaginary")
"""What may be shown of a number; of a real one only its value."""

_OF_COMPLEX: dict[str, Any] = {"phase": np.angle, "real": np.real, "imaginary": np.imag}
_CUT = "it lies beyond the end of the file, which is truncated"

Box = tuple[tuple[int, int], ...]
"""First and one past the last cell along each dimension."""


@dataclass(eq=False)
class Numbers:
    """Reads boxes of a dataset as real numbers.

    Attributes
    ----------
    dataset : h5py.Dataset
    part : str
        One of `PARTS`; ``value`` of a complex number is its magnitude.
    member : str
        Of a compound type, which of its members; else empty.
    fill : list of float
        Stored values that mean "none"; they become NaN.
    scale, offset : float
        Shown = stored · scale + offset.
    size : int or None
        Length of a truncated file, bytes.
    missed : callable () -> int
        How many bytes were asked for so far that the file does not have.
    """

    dataset: h5py.Dataset
    part: str = "value"
    member: str = ""
    fill: list[float] = field(default_factory=list)
    scale: float = 1.0
    offset: float = 0.0
    size: int | None = None
    missed: Callable[[], int] = lambda: 0
    damaged: set[tuple[int, ...]] = field(default_factory=set)
    damage: str = ""

    def __post_init__(self) -> None:
        plist = self.dataset.id.get_create_plist()
        kind = self.dataset.dtype
        if self.member:
            if kind.names is None or self.member not in kind.names:
                raise Unreadable(
                    f"its type has no member {self.member!r}; it has {', '.join(kind.names or ()) or 'none'}"
                )
            kind = kind[self.member]
        if kind.kind not in "biufc" or kind.subdtype is not None:
            raise Unreadable(f"{kind} is no number, so there is no picture of it; ask for its table")
        if self.part not in PARTS or (kind.kind != "c" and self.part not in ("value", "real")):
            raise Unreadable(f"{self.part!r} cannot be shown of {kind}")
        self.filtered = plist.get_nfilters() > 0
        self.complex = kind.kind == "c"
        self.chunks: tuple[int, ...] | None = self.dataset.chunks
        if self.chunks and self.filtered and math.prod(self.chunks) * kind.itemsize > MAX_CHUNK_BYTES:
            raise Unreadable(f"its chunks of {self.chunks} are larger than {MAX_CHUNK_BYTES >> 20} MiB and compressed, "
                             "so that no part of one can be read alone")  # fmt: skip
        whole = kind.kind in "biu" and not self.fill and self.scale == 1 and self.offset == 0
        single = (kind.itemsize <= 4 and kind.kind == "f") or (kind.kind == "c" and kind.itemsize <= 8)
        self.out = kind.newbyteorder("=") if whole else np.dtype("f4" if single else "f8")
        if kind.kind == "b":
            self.out = np.dtype("u1")
        if kind.kind in "iu" and kind.itemsize <= 2 and not whole:
            self.out = np.dtype("f4")
        self.itemsize = kind.itemsize

    def read(self, box: Box) -> np.ndarray:
        """The numbers of a box; float with NaN where chunks are damaged."""
        try:
            return self._decode(self._raw(tuple(slice(*side) for side in box)))
        except (OSError, RuntimeError) as error:
            self.damage = self.damage or str(error)[:300]
        if self.chunks is None:
            return self._rest(box)
        out = np.full([high - low for low, high in box], np.nan, np.result_type(self.out, "f4"))
        for place in product(*(range(low // size, -(-high // size)) for (low, high), size in
                               zip(box, self.chunks, strict=True))):  # fmt: skip
            part = [(max(low, at * size), min(high, (at + 1) * size)) for (low, high), at, size in
                    zip(box, place, self.chunks, strict=True)]  # fmt: skip
            if place in self.damaged:
                continue
            try:
                found = self._decode(self._raw(tuple(slice(*side) for side in part)))
            except (OSError, RuntimeError):
                self.damaged.add(place)
                continue
            out[tuple(slice(a - low, b - low) for (a, b), (low, _) in zip(part, box, strict=True))] = found
        return out

    def _raw(self, selection: tuple[slice, ...]) -> np.ndarray:
        source: Any = self.dataset.fields(self.member) if self.member else self.dataset
        before = self.missed()
        raw = np.asarray(source[selection])
        if self.missed() > before:
            raise OSError(_CUT)
        return raw

    def _rest(self, box: Box) -> np.ndarray:
        """A box without chunks, as far as it is there: values lie row after row from one place in the file."""
        self.damaged.add(())
        out = np.full([high - low for low, high in box], np.nan, np.result_type(self.out, "f4"))
        start = self.dataset.id.get_offset()
        if self.damage != _CUT or start is None or self.size is None:
            return out
        cells = (self.size - start) // self.dataset.dtype.itemsize
        whole = np.unravel_index(max(cells - 1, 0), self.dataset.shape)[0] if cells > 0 else 0
        low, high = box[0][0], min(box[0][1], int(whole))
        if high > low:
            with contextlib.suppress(OSError, RuntimeError):
                out[: high - low] = self._decode(self._raw((slice(low, high), *(slice(*side) for side in box[1:]))))
        return out

    def _decode(self, raw: np.ndarray) -> np.ndarray:
        if self.complex:
            take: Callable[[np.ndarray], np.ndarray] = _OF_COMPLEX.get(self.part, np.abs)
            raw = take(raw)
        if not self.fill and self.scale == 1 and self.offset == 0:
            return raw.astype(self.out, copy=False)
        none = np.zeros(raw.shape, bool)
        for value in self.fill:
            # Compared as stored: 1e20 as float32 is another number than as float64.
            none |= raw == np.asarray(value, raw.dtype if raw.dtype.kind == "f" else "f8")
        out = raw.astype("f8") * self.scale + self.offset
        out[none] = np.nan
        return out.astype(self.out, copy=False)
