"""Small pictures of runs, made in threads of their own and kept in a bounded number.

The wall asks for a page of them and is rung when more are there; a picture that cannot be made has a reason.
"""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from PIL import Image

from dashboard.components.array_levels import COLOURS, NOT_A_NUMBER, palette
from engine.run_grids import GridUnavailable, RunGrids

SIDE_PX = 96
"""Cells of a thumbnail along its side."""

KEPT = 600
"""Thumbnails kept; the least recently used goes first. One is some 6 kB."""

Limits = tuple[float, float] | None
Key = tuple[str, str, Limits, str]


def thumbnail_png(grid: np.ndarray, limits: Limits = None, theme: str = "light") -> bytes:
    """A grid as a small PNG: block means where it is larger, its rows upwards; cells without a value are grey.

    Parameters
    ----------
    grid : ndarray, shape (rows, columns)
    limits : (float, float), optional
        Values of the first and the last colour; by default those of the grid itself.
    theme : str

    Examples
    --------
    >>> thumbnail_png(np.arange(16.0).reshape(4, 4))[1:4]
    b'PNG'
    """
    rows, columns = (max(n // SIDE_PX, 1) for n in grid.shape)
    cut = grid[: grid.shape[0] // rows * rows, : grid.shape[1] // columns * columns].astype(np.float64)
    small = cut.reshape(cut.shape[0] // rows, rows, cut.shape[1] // columns, columns).mean(axis=(1, 3))
    finite = np.isfinite(small)
    low, high = limits or ((float(small[finite].min()), float(small[finite].max())) if finite.any() else (0.0, 1.0))
    level = np.zeros(small.shape, np.uint8)
    span = max(high - low, np.finfo(float).tiny)
    top = COLOURS - 1
    level[finite] = np.clip(COLOURS * (small[finite] - low) / span, 0, top).astype(np.uint8)
    level[~finite] = NOT_A_NUMBER
    image = Image.fromarray(np.ascontiguousarray(level[::-1])).convert("P")
    image.putpalette(_palette_bytes(theme))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@cache
def _palette_bytes(theme: str) -> bytes:
    return bytes(int(colour[i : i + 2], 16) for colour in palette("sequential", theme) for i in (1, 3, 5))


class Thumbnails:
    """Thumbnails of the runs in a folder, shared by all sessions of the process.

    Parameters
    ----------
    grids : RunGrids
    kept : int
        Bound of what is kept.
    """

    def __init__(self, grids: RunGrids, kept: int = KEPT) -> None:
        self._grids, self._bound = grids, kept
        self._kept: OrderedDict[Key, str] = OrderedDict()
        self._wanted: dict[Key, set[Callable[[], None]]] = {}
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="thumbnails")

    def __len__(self) -> int:
        return len(self._kept)

    def ask(
        self, runs: Iterable[str], dataset: str, limits: Limits, theme: str, ring: Callable[[], None]
    ) -> dict[str, str]:
        """The thumbnails that are there, as data URIs by run id; `ring` is called when others have been made.

        A run without a picture has its reason instead, as text that does not begin with ``data:``.
        """
        there: dict[str, str] = {}
        for run in runs:
            key = (run, dataset, limits, theme)
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None:
                    self._kept.move_to_end(key)
                    there[run] = kept
                    continue
                waiting = self._wanted.get(key)
                if waiting is not None:
                    waiting.add(ring)
                    continue
                if len(self._wanted) >= self._bound:
                    continue  # asked for again when the wall is drawn next
                self._wanted[key] = {ring}
            self._workers.submit(self._make, key)
        return there

    def stop(self) -> None:
        """Make no more."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _make(self, key: Key) -> None:
        run, dataset, limits, theme = key
        try:
            made = "data:image/png;base64," + base64.b64encode(
                thumbnail_png(self._grids.grid(run, dataset), limits, theme)
            ).decode("ascii")
        except GridUnavailable as error:
            made = str(error)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._bound:
                self._kept.popitem(last=False)
            rings = self._wanted.pop(key, set())
        for ring in rings:
            ring()


_shared: dict[int, Thumbnails] = {}
_sharing = threading.Lock()


def shared_thumbnails(grids: RunGrids) -> Thumbnails:
    """The thumbnails of a folder's grids, one for all sessions of the process."""
    with _sharing:
        for key in [k for k, made in _shared.items() if made._grids is not grids]:
            _shared.pop(key).stop()
        return _shared.setdefault(id(grids), Thumbnails(grids))
