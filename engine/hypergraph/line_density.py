"""Line density: how many segments, or how much weight, cross each cell, for any number of segments in bounded time.

`density` with Datashader draws every cell of every segment. Here long segments are drawn with a probability that
falls with their length and count for the more, so that the cost is bounded and no cell is wrong in the mean; with
few segments all are drawn. Plain arrays and tables; it must not know colours or pages.
"""

from __future__ import annotations

from typing import Literal, get_args

import numba
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from engine.hypergraph.density import density_bounds, density_shape, labelled, segment_columns

BUDGET_CELLS = 30_000_000
"""Cells that one picture writes to at most: some 100 ms on two cores, a look at five million segments included."""

MEASURED = 100_000
"""Segments whose lengths are looked at to find which can be drawn all, about."""

PARTS = 8
"""Canvases that are drawn on at the same time, and added up."""

_BINS = 128  # of lengths, two to an octave and finer, to find the limit with

By = Literal["count", "weight", "recency"]


def line_density(
    segments: pd.DataFrame,
    bounds: tuple[float, float, float, float],
    shape: tuple[int, int],
    by: By = "count",
    *,
    budget_cells: int = BUDGET_CELLS,
) -> xr.DataArray:
    """Raster of line segments inside bounds.

    Parameters
    ----------
    segments : pandas.DataFrame, n rows
        `lon0`, `lat0`, `lon1`, `lat1`, or `x0`, `y0`, `x1`, `y1`; `weight` or `last_seen_s` where `by` needs it.
        A row with NaN is nowhere. Degrees are taken as they are: what runs beyond ±180 is drawn there.
    bounds : west, south, east, north
    shape : (ny, nx)
    by : {"count", "weight", "recency"}
        How many, their weight, or the latest `last_seen_s` of those that are drawn: with fewer drawn than there are
        a cell may tell an earlier time than is true, never a later one.
    budget_cells : int
        What the picture may cost. A segment that crosses ℓ cells in view is drawn with probability
        ``p = min(1, L / ℓ)`` and then counts 1/p, with L the greatest length for which all together keep to the
        budget. Which are drawn depends on their rows alone, so that a picture does not flicker.

    Returns
    -------
    xarray.DataArray of float32 or float64
        Dims (`lat`, `lon`) or (`y`, `x`), row 0 is south; 0 where no segment is (``recency``: float64, NaN).
        Attributes: `by`, `units`, `drawn_share` (of segments in view), and `relative_error`: the standard error, as a
        share, of a cell through which as many segments pass as on average through the cells that any passes through
        (0 when all are drawn); of a cell with c times as many it is ``1 / sqrt(c)`` of that. Of weights, as if
        all were equal.

    Raises
    ------
    ValueError
        A column is missing, bounds are empty, the shape is none, the budget is not positive.

    Examples
    --------
    >>> rows = pd.DataFrame({"x0": [0.5], "y0": [0.5], "x1": [2.5], "y1": [0.5]})
    >>> line_density(rows, (0.0, 0.0, 3.0, 2.0), (2, 3)).values.tolist()
    [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]

    References
    ----------
    Horvitz & Thompson, JASA 47 (1952): sums from samples of unequal probability.
    """
    if by not in get_args(By):
        raise ValueError(f"by is {by!r}; it must be one of {', '.join(get_args(By))}")
    if budget_cells < 1:
        raise ValueError(f"budget_cells is {budget_cells}; 1 or more is needed")
    names, degrees = segment_columns(segments)
    column = {"weight": "weight", "recency": "last_seen_s"}.get(by)
    if column is not None and column not in segments:
        raise ValueError(f"by={by!r} needs the column {column!r}; there are {list(segments.columns)}")
    box = density_bounds(bounds, degrees)
    ny, nx = density_shape(shape)
    x0, y0, x1, y1 = (np.ascontiguousarray(segments[name].to_numpy(np.float64, na_value=np.nan)) for name in names)
    amount = np.ascontiguousarray(segments[column].to_numpy(np.float64)) if column is not None else np.empty(0)
    latest = by == "recency"
    values, share, error = _line_density(x0, y0, x1, y1, amount, box, (ny, nx), budget_cells, latest)
    raster = labelled(values, by, None, box, degrees)
    raster.attrs |= {"drawn_share": share, "relative_error": error}
    return raster


def _line_density(
    x0: NDArray[np.float64], y0: NDArray[np.float64], x1: NDArray[np.float64], y1: NDArray[np.float64],
    amount: NDArray[np.float64], box: tuple[float, float, float, float], shape: tuple[int, int], budget: int,
    latest: bool,
) -> tuple[NDArray[np.floating], float, float]:  # fmt: skip
    west, south, east, north = box
    ny, nx = shape
    sx, sy = nx / (east - west), ny / (north - south)
    # The limit needs no more than a sample of the lengths; the budget is kept to within the accuracy of that.
    step = max(1, len(x0) // MEASURED)
    counts, totals = _measured(x0, y0, x1, y1, west, south, sx, sy, nx, ny, step)
    limit = _limit(counts * step, totals * step, budget)
    # Seconds since 1970 need more than 24 bits.
    canvases = np.full((PARTS, ny, nx), -np.inf) if latest else np.zeros((PARTS, ny, nx), np.float32)
    tally = np.zeros((PARTS, 4))
    _draw(x0, y0, x1, y1, amount, limit, west, south, sx, sy, canvases, tally, latest)
    values = canvases.max(axis=0) if latest else canvases.sum(axis=0)
    if latest:
        values[np.isneginf(values)] = np.nan
    drawn, in_view, cells, variance = (float(amount) for amount in tally.sum(axis=0))
    if drawn == in_view:
        return values, 1.0, 0.0
    touched = max(int(np.count_nonzero(np.isfinite(values) if latest else values)), 1)
    return values, drawn / in_view, float(np.sqrt(variance / touched) / (cells / touched))


_EDGES = np.concatenate([[0.0], 2.0 ** (np.arange(_BINS) / 8.0)])


def _limit(counts: NDArray[np.int64], totals: NDArray[np.float64], budget: int) -> float:
    """Greatest L for which Σ min(ℓ, L) keeps to the budget; lengths are known to a twelfth."""
    if totals.sum() <= budget:
        return np.inf
    shorter, longer = np.cumsum(totals), counts.sum() - np.cumsum(counts)
    costs = shorter + longer * _EDGES[1:]
    place = int(np.searchsorted(costs, budget))
    if place == 0:
        return max(budget / max(counts.sum(), 1), 1e-6)
    return float(max((budget - shorter[place - 1]) / max(longer[place - 1], 1), _EDGES[place] * 1e-6))


@numba.njit(cache=True, nogil=True, inline="always")
def _clip(ax, ay, bx, by, nx, ny):
    """The share of a segment inside the cells, from t0 to t1; t0 > t1 where there is none (Liang & Barsky 1984)."""
    t0, t1 = 0.0, 1.0
    dx, dy = bx - ax, by - ay
    for side in range(4):
        if side == 0:
            p, q = -dx, ax
        elif side == 1:
            p, q = dx, nx - ax
        elif side == 2:
            p, q = -dy, ay
        else:
            p, q = dy, ny - ay
        if p == 0.0:
            if q < 0.0:
                return 1.0, 0.0
        else:
            r = q / p
            if p < 0.0:
                t0 = max(t0, r)
            else:
                t1 = min(t1, r)
    return t0, t1


@numba.njit(cache=True, nogil=True, inline="always")
def _cells(ax, ay, bx, by, t0, t1):
    """Cells along the longer side of a segment, of which the part from t0 to t1 is in view; 0 for none of it."""
    return 1.0 + max(abs(bx - ax), abs(by - ay)) * (t1 - t0) if t0 <= t1 else 0.0


@numba.njit(cache=True, nogil=True)
def _measured(x0, y0, x1, y1, west, south, sx, sy, nx, ny, step):
    """How many segments, and cells, there are of each length, in eighths of an octave, looking at one in `step`."""
    counts, totals = np.zeros(128, np.int64), np.zeros(128)
    for i in range(0, x0.size, step):
        ax, ay, bx, by = (x0[i] - west) * sx, (y0[i] - south) * sy, (x1[i] - west) * sx, (y1[i] - south) * sy
        if not np.isfinite(ax + ay + bx + by):
            continue
        t0, t1 = _clip(ax, ay, bx, by, nx, ny)
        cells = _cells(ax, ay, bx, by, t0, t1)
        if cells > 0.0:
            place = min(int(np.log2(cells) * 8.0) + 1, 127)
            counts[place] += 1
            totals[place] += cells
    return counts, totals


@numba.njit(cache=True, nogil=True, inline="always")
def _chance(row):
    """A number in [0, 1) that belongs to a row (splitmix64; Steele, Lea & Flood 2014)."""
    h = np.uint64(row) + np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.float64((h ^ (h >> np.uint64(31))) >> np.uint64(11)) / 9007199254740992.0


@numba.njit(cache=True, nogil=True, parallel=True)
def _draw(x0, y0, x1, y1, amount, limit, west, south, sx, sy, canvases, tally, latest):
    """Add the segments that chance takes to the canvases, a part of the rows to each.

    `tally` counts those drawn, those in view, their cells, and the sum of (1 - p) / p over these.
    """
    parts, ny, nx = canvases.shape
    per = (x0.size + parts - 1) // parts
    for part in numba.prange(parts):
        canvas = canvases[part]
        drawn, in_view, all_cells, variance = 0, 0, 0.0, 0.0
        for i in range(part * per, min((part + 1) * per, x0.size)):
            ax, ay, bx, by = (x0[i] - west) * sx, (y0[i] - south) * sy, (x1[i] - west) * sx, (y1[i] - south) * sy
            if not np.isfinite(ax + ay + bx + by):
                continue
            t0, t1 = _clip(ax, ay, bx, by, nx, ny)
            cells = _cells(ax, ay, bx, by, t0, t1)
            if cells <= 0.0:
                continue
            p = min(1.0, limit / cells)
            in_view += 1
            all_cells += cells
            variance += cells * (1.0 - p) / p
            if p < 1.0 and _chance(i) >= p:
                continue
            drawn += 1
            value = amount[i] if latest else (amount[i] if amount.size else 1.0) / p
            _walk(
                canvas,
                ax + t0 * (bx - ax),
                ay + t0 * (by - ay),
                ax + t1 * (bx - ax),
                ay + t1 * (by - ay),
                value,
                latest,
            )
        tally[part, 0], tally[part, 1], tally[part, 2], tally[part, 3] = drawn, in_view, all_cells, variance


@numba.njit(cache=True, nogil=True, inline="always")
def _walk(canvas, ax, ay, bx, by, value, latest):
    """Give a value to one cell per step along the longer side, from the cell of one end to that of the other.

    It is added, or with `latest` stays if it is greater than what is there.
    """
    ny, nx = canvas.shape
    if abs(bx - ax) >= abs(by - ay):
        if bx < ax:
            ax, ay, bx, by = bx, by, ax, ay
        first, last = min(int(ax), nx - 1), min(int(bx), nx - 1)
        slope = (by - ay) / (bx - ax) if bx > ax else 0.0
        y = ay + (first + 0.5 - ax) * slope
        low, high = min(ay, by), max(ay, by)
        for column in range(first, last + 1):
            row = min(int(min(max(y, low), high)), ny - 1)
            canvas[row, column] = max(canvas[row, column], value) if latest else canvas[row, column] + value
            y += slope
    else:
        if by < ay:
            ax, ay, bx, by = bx, by, ax, ay
        first, last = min(int(ay), ny - 1), min(int(by), ny - 1)
        slope = (bx - ax) / (by - ay)
        x = ax + (first + 0.5 - ay) * slope
        low, high = min(ax, bx), max(ax, bx)
        for row in range(first, last + 1):
            column = min(int(min(max(x, low), high)), nx - 1)
            canvas[row, column] = max(canvas[row, column], value) if latest else canvas[row, column] + value
            x += slope
