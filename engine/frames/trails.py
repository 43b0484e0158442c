"""Trails: where emitters have been, as a raster of any number of segments (A4).

The fold keeps the last segments of all emitters as plain columns; the raster is made from all of them
at every zoom, as Datashader would, so nothing is thinned out. It knows nothing of colours.
"""

from __future__ import annotations

import threading

import numba
import numpy as np
import pyarrow as pa

from engine.events.schema import ended_drills
from engine.geo import web_mercator
from engine.rf.tracks import MAX_EMITTERS, positions

MAX_SEGMENTS = 2_000_000
"""Segments kept; beyond it the oldest half is dropped."""

MAX_GAP_S = 120.0
"""Two fixes further apart in time than this are not joined by a line, s."""


@numba.njit(cache=True, nogil=True)
def _join(last: np.ndarray, slot: np.ndarray, x: np.ndarray, y: np.ndarray, t: np.ndarray, out: np.ndarray) -> int:
    """Join each fix to the emitter's previous one; writes (x0, y0, x1, y1, t, slot) rows, returns how many."""
    n = 0
    half_world = 20_037_508.0
    for i in range(slot.shape[0]):
        s = slot[i]
        gap = t[i] - last[s, 2]
        # A step of half the world is a crossing of the antimeridian, not a flight across the map.
        if 0.0 < gap <= MAX_GAP_S and abs(x[i] - last[s, 0]) < half_world:
            out[n, 0], out[n, 1], out[n, 2], out[n, 3], out[n, 4] = last[s, 0], last[s, 1], x[i], y[i], t[i]
            out[n, 5] = s
            n += 1
        if not gap <= 0.0:
            last[s, 0], last[s, 1], last[s, 2] = x[i], y[i], t[i]
    return n


class TrailFold:
    """Fold of `emitter.fix` events into trail segments in Web Mercator coordinates.

    Examples
    --------
    >>> from engine.events.schema import FIX, event_table
    >>> fold = TrailFold()
    >>> fold.apply(event_table([0, 5_000_000], FIX, ["a", "a"], "doc", lat=[47.0, 47.1], lon=[8.0, 8.0]))
    >>> len(fold.segments(0.0, 10.0))
    1
    """

    def __init__(self, max_segments: int = MAX_SEGMENTS) -> None:
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}
        self._last = np.full((64, 3), np.nan)
        self._rows = np.empty((4096, 6))
        self._n = 0
        self.max_segments = max_segments
        self.dropped = 0

    def apply(self, events: pa.Table) -> None:
        """Fold one event batch (schema `engine.events.SCHEMA`, in log order)."""
        fixes = positions(events)
        if fixes.num_rows:
            self._fold(fixes)
        for prefix in ended_drills(events):
            self._forget(prefix)

    def _fold(self, fixes: pa.Table) -> None:
        entity = fixes["entity"].combine_chunks().dictionary_encode()
        codes = entity.indices.to_numpy(zero_copy_only=False)
        x, y = web_mercator(fixes["lat"].to_numpy(), fixes["lon"].to_numpy())
        t = fixes["time"].cast(pa.int64()).to_numpy() * 1e-6
        out = np.empty((len(t), 6))
        with self._lock:
            slots = self._slots_for(entity.dictionary.to_pylist())
            n = _join(self._last, slots[codes], x, y, t, out)
            self._keep(out[:n])

    def segments(self, start_s: float, end_s: float) -> np.ndarray:
        """Segments that end in (start_s, end_s], rows of (x0, y0, x1, y1, t): metres and epoch seconds."""
        with self._lock:
            rows = self._rows[: self._n]
            return rows[(rows[:, 4] > start_s) & (rows[:, 4] <= end_s), :5]

    def _forget(self, prefix: str) -> None:
        """Drop the segments of all emitters whose identities begin so."""
        with self._lock:
            gone = [slot for name, slot in self._slots.items() if name.startswith(prefix)]
            kept = self._rows[: self._n][~np.isin(self._rows[: self._n, 5], gone)]
            self._rows[: len(kept)] = kept
            self._n = len(kept)
            self._last[gone] = np.nan

    def _slots_for(self, ids: list[str]) -> np.ndarray:
        if len(self._slots) > MAX_EMITTERS:
            # Forgetting where all were last costs each of them one segment, once in twenty thousand identities.
            self._slots.clear()
            self._rows[: self._n, 5] = -1.0
            self._last.fill(np.nan)
        for name in ids:
            self._slots.setdefault(name, len(self._slots))
        if len(self._slots) > len(self._last):
            grown = np.full((max(len(self._slots), 2 * len(self._last)), 3), np.nan)
            grown[: len(self._last)] = self._last
            self._last = grown
        return np.array([self._slots[name] for name in ids], dtype=np.int64)

    def _keep(self, rows: np.ndarray) -> None:
        if self._n + len(rows) > self.max_segments:
            drop = min(self._n, max(self.max_segments // 2, self._n + len(rows) - self.max_segments))
            self._rows[: self._n - drop] = self._rows[drop : self._n].copy()
            self._n -= drop
            self.dropped += drop
            if self._n == 0:
                rows = rows[-self.max_segments :]
        need = self._n + len(rows)
        if need > len(self._rows):
            grown = np.empty((min(max(need, 2 * len(self._rows)), max(need, self.max_segments)), 6))
            grown[: self._n] = self._rows[: self._n]
            self._rows = grown
        self._rows[self._n : need] = rows
        self._n = need


def trail_raster(
    segments: np.ndarray,
    bounds_m: tuple[float, float, float, float],
    shape: tuple[int, int],
    moment_s: float,
    trail_s: float,
) -> np.ndarray:
    """Recency of the newest trail through each cell, as bytes.

    Parameters
    ----------
    segments : ndarray of float64, (n, 5)
        Rows of (x0, y0, x1, y1, t) as `TrailFold.segments` gives.
    bounds_m : west, south, east, north
        Web Mercator metres.
    shape : (ny, nx)
    moment_s, trail_s : float
        The moment shown (epoch s) and the age at which a trail fades out, s.

    Returns
    -------
    ndarray of uint8, (ny, nx)
        0 where nothing passed, 1 for a trail as old as `trail_s`, 255 for one of this moment; row 0 is south.
    """
    ny, nx = shape
    workers = numba.get_num_threads() if len(segments) > 10_000 else 1
    out = np.zeros((workers, ny, nx), dtype=np.uint8)
    _draw(segments, np.array(bounds_m, dtype=np.float64), moment_s, trail_s, out)
    return out[0] if workers == 1 else out.max(axis=0)


@numba.njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def _draw(segments: np.ndarray, bounds: np.ndarray, moment_s: float, trail_s: float, out: np.ndarray) -> None:
    """Draw segments into as many rasters as there are workers, the newest on top.

    Lines are drawn as Datashader draws them: cut to the raster (Liang and Barsky), then one cell for each step of the
    longer side (Bresenham). From rows as they are, without a table of them, it takes a fifth of the time.
    """
    workers, ny, nx = out.shape
    west, south = bounds[0], bounds[1]
    per_x, per_y = nx / (bounds[2] - west), ny / (bounds[3] - south)
    n = segments.shape[0]
    for worker in numba.prange(workers):
        raster = out[worker]
        for i in range(n * worker // workers, n * (worker + 1) // workers):
            fresh = 1.0 - (moment_s - segments[i, 4]) / trail_s
            if not fresh >= 0.0:
                continue
            x0, y0 = (segments[i, 0] - west) * per_x, (segments[i, 1] - south) * per_y
            x1, y1 = (segments[i, 2] - west) * per_x, (segments[i, 3] - south) * per_y
            if max(x0, x1) < 0.0 or min(x0, x1) >= nx or max(y0, y1) < 0.0 or min(y0, y1) >= ny:
                continue
            low, high = _inside(x0, x1 - x0, float(nx), 0.0, 1.0)
            low, high = _inside(y0, y1 - y0, float(ny), low, high)
            if low > high:
                continue
            level = np.uint8(1.0 + 254.0 * min(fresh, 1.0))
            j0, k0 = int(min(x0 + low * (x1 - x0), nx - 1.0)), int(min(y0 + low * (y1 - y0), ny - 1.0))
            j1, k1 = int(min(x0 + high * (x1 - x0), nx - 1.0)), int(min(y0 + high * (y1 - y0), ny - 1.0))
            steps = max(abs(j1 - j0), abs(k1 - k0))
            for step in range(steps + 1):
                # Rounded halves: the cell whose middle is nearest to the line.
                j = j0 + (2 * step * (j1 - j0) + steps) // (2 * steps) if steps else j0
                k = k0 + (2 * step * (k1 - k0) + steps) // (2 * steps) if steps else k0
                if level > raster[k, j]:
                    raster[k, j] = level


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _inside(start: float, length: float, size: float, low: float, high: float) -> tuple[float, float]:
    """The part low … high of ``start + t length`` that lies within 0 … size."""
    if length == 0.0:
        return (low, high) if 0.0 <= start < size else (1.0, 0.0)
    a, b = -start / length, (size - start) / length
    return max(low, min(a, b)), min(high, max(a, b))
