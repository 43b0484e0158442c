"""Kernel: the sum over emitters of ``gain / (d^2 + eps)`` in every cell of a grid, masked by a reach.

Plain arrays in, plain array out. It must not know what an emitter, a model or a unit of power is;
`engine.rf.field` puts the physics into `gain`, `floor`, `reach` and `eps`.

Cells are taken in tiles. A tile's cells and emitters are brought to the tile's centre in float64 and
only then rounded to float32, so that what float32 loses is relative to the distance and not to the
radius of the earth. For each tile every emitter goes to one of three places:

- *hidden*: no cell of the tile lies within its reach. It costs nothing more.
- *far*: all cells lie within its reach and well away from it. float32, no comparison.
- *close*: near to or among the cells, where float32 would cancel; or its reach ends among them; or
  it is in some other way beyond what float32 can hold. float64, with the floor under the distance
  and a comparison of distance and reach for each cell.

Four emitters share one division: ``a/p + b/q = (aq + bp)/(pq)``, twice.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

TILE = 32
"""Rows and columns of a tile: its cells and sums stay in the first-level cache."""

BLOCK = 256
"""Emitters added up in float32 before the sum moves to float64: bounds the growth of rounding."""

CLOSE = 1.25
"""Emitters within this many tile radii of the tile's centre are close.

At 1.25 the emitter is a quarter radius from the nearest cell and rounding its coordinates to
float32 changes a power by at most 2e-6, or 8e-6 dB.
"""

FAR_LEAST_KM, FAR_MOST_KM, FAR_LEAST_GAIN = 1e-3, 5e4, 1e-18
"""Range within which a product of four squared distances, and of gains, stays a normal float32."""

# error_model="numpy": Python's check for a zero divisor would be a branch in the loop and keep it scalar.
# Sums may be re-associated and contracted (vector lanes, fused multiply-add); infinities and NaN
# stay honest, and division is a real division.
_FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _add_far(total, cells, listed, start, stop, eps):
    """Add emitters `start` to `stop` of `listed` (rows x, y, z, gain), four at a time, to `total`."""
    cx, cy, cz = cells[0], cells[1], cells[2]
    for i in range(start, stop, 4):
        x0, y0, z0, g0 = listed[0, i], listed[1, i], listed[2, i], listed[3, i]
        x1, y1, z1, g1 = listed[0, i + 1], listed[1, i + 1], listed[2, i + 1], listed[3, i + 1]
        x2, y2, z2, g2 = listed[0, i + 2], listed[1, i + 2], listed[2, i + 2], listed[3, i + 2]
        x3, y3, z3, g3 = listed[0, i + 3], listed[1, i + 3], listed[2, i + 3], listed[3, i + 3]
        for c in range(total.size):
            x, y, z = cx[c], cy[c], cz[c]
            d0 = (x - x0) * (x - x0) + ((y - y0) * (y - y0) + ((z - z0) * (z - z0) + eps))
            d1 = (x - x1) * (x - x1) + ((y - y1) * (y - y1) + ((z - z1) * (z - z1) + eps))
            d2 = (x - x2) * (x - x2) + ((y - y2) * (y - y2) + ((z - z2) * (z - z2) + eps))
            d3 = (x - x3) * (x - x3) + ((y - y3) * (y - y3) + ((z - z3) * (z - z3) + eps))
            d01 = d0 * d1
            d23 = d2 * d3
            total[c] += ((g0 * d1 + g1 * d0) * d23 + (g2 * d3 + g3 * d2) * d01) / (d01 * d23)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _add_guarded(total, cells, listed, start, stop, eps):
    """As `_add_far`, but nothing beyond the reach (row 4, squared), and no d^2 below the floor (row 5, squared)."""
    cx, cy, cz = cells[0], cells[1], cells[2]
    for i in range(start, stop, 4):
        x0, y0, z0, g0, r0, f0 = listed[0, i], listed[1, i], listed[2, i], listed[3, i], listed[4, i], listed[5, i]
        j = i + 1
        x1, y1, z1, g1, r1, f1 = listed[0, j], listed[1, j], listed[2, j], listed[3, j], listed[4, j], listed[5, j]
        j = i + 2
        x2, y2, z2, g2, r2, f2 = listed[0, j], listed[1, j], listed[2, j], listed[3, j], listed[4, j], listed[5, j]
        j = i + 3
        x3, y3, z3, g3, r3, f3 = listed[0, j], listed[1, j], listed[2, j], listed[3, j], listed[4, j], listed[5, j]
        for c in range(total.size):
            x, y, z = cx[c], cy[c], cz[c]
            d0 = (x - x0) * (x - x0) + ((y - y0) * (y - y0) + (z - z0) * (z - z0))
            d1 = (x - x1) * (x - x1) + ((y - y1) * (y - y1) + (z - z1) * (z - z1))
            d2 = (x - x2) * (x - x2) + ((y - y2) * (y - y2) + (z - z2) * (z - z2))
            d3 = (x - x3) * (x - x3) + ((y - y3) * (y - y3) + (z - z3) * (z - z3))
            h0 = g0 if d0 <= r0 else 0.0
            h1 = g1 if d1 <= r1 else 0.0
            h2 = g2 if d2 <= r2 else 0.0
            h3 = g3 if d3 <= r3 else 0.0
            d0 = (d0 if d0 > f0 else f0) + eps
            d1 = (d1 if d1 > f1 else f1) + eps
            d2 = (d2 if d2 > f2 else f2) + eps
            d3 = (d3 if d3 > f3 else f3) + eps
            d01 = d0 * d1
            d23 = d2 * d3
            total[c] += ((h0 * d1 + h1 * d0) * d23 + (h2 * d3 + h3 * d2) * d01) / (d01 * d23)


@njit(cache=True, nogil=True)
def _place_cells(cells64, cells32, axis_km, z_km, cos_lon, sin_lon, row, col, rows, cols):
    """Cells of a tile relative to its middle cell, km; returns that cell's position and the tile's radius."""
    mid_axis, mid_z = axis_km[row + rows // 2], z_km[row + rows // 2]
    mid_x = mid_axis * cos_lon[col + cols // 2]
    mid_y = mid_axis * sin_lon[col + cols // 2]
    radius2 = 0.0
    for i in range(rows):
        axis, z = axis_km[row + i], z_km[row + i] - mid_z
        for j in range(cols):
            c = i * cols + j
            x = axis * cos_lon[col + j] - mid_x
            y = axis * sin_lon[col + j] - mid_y
            cells64[0, c], cells64[1, c], cells64[2, c] = x, y, z
            cells32[0, c], cells32[1, c], cells32[2, c] = x, y, z
            radius2 = max(radius2, x * x + y * y + z * z)
    return mid_x, mid_y, mid_z, np.sqrt(radius2)


@njit(cache=True, nogil=True)
def _pad(listed, n):
    """Fill a list up to a multiple of four with powerless copies of its last emitter; returns the new length."""
    last = n - 1
    while n % 4:
        listed[:, n] = listed[:, last]
        listed[3, n] = 0.0
        n += 1
    return n


@njit(cache=True, nogil=True)
def _sort_emitters(emitters, middle, level_reach, least_reach, exact, far, close):
    """List each emitter as hidden (in no list), far from or close to a tile; returns the lengths of the lists."""
    mid_x, mid_y, mid_z, radius = middle
    n_far = n_close = 0
    for e in range(emitters.shape[1]):
        x, y, z = emitters[0, e] - mid_x, emitters[1, e] - mid_y, emitters[2, e] - mid_z
        gain, floor = emitters[3, e], emitters[5, e]
        reach = max(emitters[4, e] + level_reach, least_reach)
        distance = np.sqrt(x * x + y * y + z * z)
        nearest, farthest = distance - radius, distance + radius
        # The margins cover rounding: a cell is hidden or shown by its own distance, never by the tile's.
        if nearest > reach * (1.0 + 1e-9) or gain == 0.0:
            continue
        holds = nearest >= max(FAR_LEAST_KM, floor) and farthest <= FAR_MOST_KM and gain >= FAR_LEAST_GAIN
        if holds and not exact and distance >= CLOSE * radius and farthest * (1.0 + 1e-9) <= reach:
            far[0, n_far], far[1, n_far], far[2, n_far], far[3, n_far] = x, y, z, gain
            n_far += 1
        else:
            close[0, n_close], close[1, n_close], close[2, n_close], close[3, n_close] = x, y, z, gain
            close[4, n_close], close[5, n_close] = reach * reach, floor * floor
            n_close += 1
    return _pad(far, n_far), _pad(close, n_close)


@njit(cache=True, nogil=True)
def _sum_tile(total64, total32, cells64, cells32, far, n_far, close, n_close, eps):
    """Sum the listed emitters over a tile's cells into `total64`."""
    for c in range(total64.size):
        total64[c] = 0.0
    _add_guarded(total64, cells64, close, 0, n_close, eps)
    for start in range(0, n_far, BLOCK):
        for c in range(total32.size):
            total32[c] = 0.0
        _add_far(total32, cells32, far, start, min(start + BLOCK, n_far), np.float32(eps))
        for c in range(total32.size):
            total64[c] += total32[c]


@njit(cache=True, nogil=True)
def _sum_share(
    out, worker, workers, axis_km, z_km, cos_lon, sin_lon, level_reach_km, emitters, least_reach_km, eps, exact
):
    """Do every `workers`-th tile, starting with number `worker`."""
    nz, ny, nx = out.shape
    n = emitters.shape[1]
    tiles_y, tiles_x = (ny + TILE - 1) // TILE, (nx + TILE - 1) // TILE
    cells64, total64 = np.empty((3, TILE * TILE), np.float64), np.empty(TILE * TILE, np.float64)
    cells32, total32 = np.empty((3, TILE * TILE), np.float32), np.empty(TILE * TILE, np.float32)
    far, close = np.empty((4, n + 3), np.float32), np.empty((6, n + 3), np.float64)
    for tile in range(worker, nz * tiles_y * tiles_x, workers):
        k = tile // (tiles_y * tiles_x)
        row, col = tile // tiles_x % tiles_y * TILE, tile % tiles_x * TILE
        rows, cols = min(TILE, ny - row), min(TILE, nx - col)
        middle = _place_cells(cells64, cells32, axis_km[k], z_km[k], cos_lon, sin_lon, row, col, rows, cols)
        n_far, n_close = _sort_emitters(emitters, middle, level_reach_km[k], least_reach_km, exact, far, close)
        cells = rows * cols
        _sum_tile(total64[:cells], total32[:cells], cells64, cells32, far, n_far, close, n_close, eps)
        for i in range(rows):
            for j in range(cols):
                out[k, row + i, col + j] = total64[i * cols + j]


@njit(cache=True, nogil=True, parallel=True)
def sum_over_emitters(
    out, axis_km, z_km, cos_lon, sin_lon, level_reach_km, emitters, least_reach_km, eps_km2, exact, workers
):
    """Sum over emitters of ``gain / (max(d, floor)^2 + eps)`` where ``d <= reach``, for every cell.

    Parameters
    ----------
    out : float64, shape (nz, ny, nx)
        Receives the sums, in units of gain per km^2.
    axis_km, z_km : float64, shape (nz, ny)
        Distance from the earth's axis, and ECEF z, of the cells of any one column.
    cos_lon, sin_lon : float64, shape (nx,)
        Of the columns' longitudes.
    level_reach_km : float64, shape (nz,)
        What a level adds to the reach of every emitter.
    emitters : float64, shape (6, n)
        Rows: ECEF x, y, z (km), gain (0 to 1), reach (km), floor under the distance (km).
    least_reach_km : float
        No reach is less than this.
    eps_km2 : float
        Added to every squared distance; it or every floor must be positive.
    exact : bool
        Do everything in float64.
    workers : int
        Number of threads that share the tiles. Each takes every `workers`-th, which spreads the
        uneven work of close and hidden emitters.
    """
    for worker in prange(workers):
        _sum_share(
            out, worker, workers, axis_km, z_km, cos_lon, sin_lon, level_reach_km, emitters, least_reach_km, eps_km2,
            exact,
        )  # fmt: skip
