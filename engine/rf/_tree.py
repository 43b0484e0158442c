"""Kernel: the sum over emitters in every cell of one level, by boxes, smooth fields being interpolated.

The grid is halved into boxes down to leaves of 16 x 16 cells. From a box downwards an emitter is

- *hidden*, if no cell lies within its reach: it is dropped;
- *smooth*, if it is well away from the box (`SEPARATION` radii of the box) and nothing of its law
  ends, kinks or swings within: it is summed at the box's 8 x 8 Chebyshev nodes only;
- otherwise *left* to the box's halves, and in a leaf summed cell by cell.

No emitter is left out for being weak or far. Laws are those of `engine.rf._laws`; with `direct` every
emitter goes to the leaves, which is the brute force these laws are compared with. Coordinates are km,
relative to the middle of a box and in float32 except where that would cancel.

References
----------
Fong and Darve (2009), The black-box fast multipole method, J. Comput. Phys. 228: Chebyshev expansions.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from engine.rf._chebyshev import LEAF, NODES
from engine.rf._laws import (
    FIRST,
    PLAIN,
    ROWS,
    SMOOTH_STRIDE,
    TABLE,
    TWO_RAY,
    add_tabled,
    add_two_ray,
)
from engine.rf._summation import (
    BLOCK,
    CLOSE,
    FAR_LEAST_GAIN,
    FAR_LEAST_KM,
    FAR_MOST_KM,
    _add_far,
    _add_guarded,
    _pad,
    _place_cells,
)

SEPARATION = 2.0
"""An emitter this many box radii from its middle is interpolated with at most `ERROR_DB`."""

ERROR_DB = 4e-3
"""Largest error of the interpolation, dB: measured for 1/d^2 over boxes of any proportion and emitters in any
direction at the least separation (3.3e-3 dB for the most elongated box, 3e-4 dB for a square one)."""

WIDEST_KM, WIDEST_LON = 600.0, 0.4
"""Radius, and half the difference of longitudes (rad), beyond which a box is no patch of a plane."""

SAME_SIDE = 2e-6
"""Share of d^2 by which float32 could mistake on which side of its reach a cell lies: four times the rounding."""

_FAST = {"reassoc", "contract", "nsz"}
_N2 = NODES * NODES


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _add_cut(total, spare, cells, listed, i, eps):
    """As `_add_guarded` for four emitters in float32; adds nothing and says so if any cell is on the fence."""
    cx, cy, cz = cells[0], cells[1], cells[2]
    same = np.float32(SAME_SIDE)
    zero, one = np.float32(0.0), np.float32(1.0)
    x0, y0, z0, g0, r0 = listed[0, i], listed[1, i], listed[2, i], listed[3, i], listed[4, i]
    j = i + 1
    x1, y1, z1, g1, r1 = listed[0, j], listed[1, j], listed[2, j], listed[3, j], listed[4, j]
    j = i + 2
    x2, y2, z2, g2, r2 = listed[0, j], listed[1, j], listed[2, j], listed[3, j], listed[4, j]
    j = i + 3
    x3, y3, z3, g3, r3 = listed[0, j], listed[1, j], listed[2, j], listed[3, j], listed[4, j]
    s0, s1, s2, s3 = same * r0, same * r1, same * r2, same * r3
    fence = zero
    for c in range(total.size):
        x, y, z = cx[c], cy[c], cz[c]
        d0 = (x - x0) * (x - x0) + ((y - y0) * (y - y0) + (z - z0) * (z - z0))
        d1 = (x - x1) * (x - x1) + ((y - y1) * (y - y1) + (z - z1) * (z - z1))
        d2 = (x - x2) * (x - x2) + ((y - y2) * (y - y2) + (z - z2) * (z - z2))
        d3 = (x - x3) * (x - x3) + ((y - y3) * (y - y3) + (z - z3) * (z - z3))
        fence += (one if abs(d0 - r0) < s0 else zero) + (one if abs(d1 - r1) < s1 else zero)
        fence += (one if abs(d2 - r2) < s2 else zero) + (one if abs(d3 - r3) < s3 else zero)
        h0 = g0 if d0 <= r0 else zero
        h1 = g1 if d1 <= r1 else zero
        h2 = g2 if d2 <= r2 else zero
        h3 = g3 if d3 <= r3 else zero
        d0 += eps
        d1 += eps
        d2 += eps
        d3 += eps
        d01 = d0 * d1
        d23 = d2 * d3
        spare[c] = ((h0 * d1 + h1 * d0) * d23 + (h2 * d3 + h3 * d2) * d01) / (d01 * d23)
    if fence > zero:
        return False
    for c in range(total.size):
        total[c] += spare[c]
    return True


@njit(cache=True, nogil=True)
def _add_listed(total64, total32, cells, listed, n, eps, law, table, loss):
    """Add float32 emitters, `BLOCK` at a time, to the float64 sum."""
    eps32, half = np.float32(eps), np.float32(0.5)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        for c in range(total32.size):
            total32[c] = 0.0
        if law == PLAIN:
            _add_far(total32, cells, listed, start, stop, eps32)
        elif law == TWO_RAY:
            add_two_ray(total32, cells, listed, start, stop, eps32, half)
        else:
            add_tabled(total32, cells, listed, start, stop, eps32, half, table, loss)
        for c in range(total32.size):
            total64[c] += total32[c]


@njit(cache=True, nogil=True)
def _copy(listed, n, emitters, e, x, y, z, reach, law):
    """Append emitter `e` at a relative position; returns the new length."""
    listed[0, n], listed[1, n], listed[2, n], listed[3, n] = x, y, z, emitters[3, e]
    listed[4, n], listed[5, n] = reach * reach, emitters[5, e] * emitters[5, e]
    if law != PLAIN:
        for row in range(FIRST, ROWS):
            listed[row, n] = emitters[row, e]
    return n + 1


@njit(cache=True, nogil=True)
def _calm(law, emitters, e, distance, radius, smooth):
    """Whether an emitter's law has no lobe, kink or steep fall within a box that is too fine for its nodes."""
    if law == TWO_RAY:
        return distance - radius > emitters[FIRST + 4, e]
    if law == TABLE:
        kind, row = int(emitters[FIRST, e]), int(emitters[FIRST + 1, e])
        at = int(min(distance * emitters[FIRST + 3, e] / SMOOTH_STRIDE, smooth.shape[2] - 1.0))
        width = min(smooth[kind, row, at], smooth[kind, row + 1, at])
        return radius * emitters[FIRST + 3, e] <= width
    return True


@njit(cache=True, nogil=True)
def _sum_leaf(
    total64, total32, spare, cells64, cells32, middle, near, n_near, emitters, level_reach, least_reach, eps, law,
    table, exact, far, cut, close,
):  # fmt: skip
    """Add what is left of the emitters to a leaf's cells, one by one; `total64` holds the smooth part already."""
    mid_x, mid_y, mid_z, radius = middle
    n_far = n_cut = n_close = 0
    for i in range(n_near):
        e = near[i]
        x, y, z = emitters[0, e] - mid_x, emitters[1, e] - mid_y, emitters[2, e] - mid_z
        floor = emitters[5, e]
        reach = max(emitters[4, e] + level_reach, least_reach)
        distance = np.sqrt(x * x + y * y + z * z)
        nearest, farthest = distance - radius, distance + radius
        if nearest > reach * (1.0 + 1e-9):
            continue
        holds = nearest >= max(FAR_LEAST_KM, floor) and farthest <= FAR_MOST_KM and emitters[3, e] >= FAR_LEAST_GAIN
        holds = (
            holds
            and not exact
            and distance >= CLOSE * radius
            and not (law == TWO_RAY and nearest <= emitters[FIRST + 4, e])
        )
        if holds and farthest * (1.0 + 1e-9) <= reach:
            n_far = _copy(far, n_far, emitters, e, x, y, z, min(reach, 1e9), law)
        elif holds and law == PLAIN:
            n_cut = _copy(cut, n_cut, emitters, e, x, y, z, reach, law)
        else:
            n_close = _copy(close, n_close, emitters, e, x, y, z, reach, law)
    if law == PLAIN:
        n_cut = _pad(cut, n_cut)
        for c in range(total32.size):
            total32[c] = 0.0
        for start in range(0, n_cut, 4):
            for row in range(5):
                for i in range(start, start + 4):
                    far[row, n_far + 3 + i - start] = cut[row, i]
            if not _add_cut(total32, spare, cells32, far, n_far + 3, np.float32(eps)):
                for i in range(start, start + 4):
                    for row in range(FIRST):
                        close[row, n_close] = cut[row, i]
                    n_close += 1
        for c in range(total32.size):
            total64[c] += total32[c]
        n_far, n_close = _pad(far, n_far), _pad(close, n_close)
        _add_guarded(total64, cells64, close, 0, n_close, eps)
    elif law == TWO_RAY:
        add_two_ray(total64, cells64, close, 0, n_close, eps, 0.5)
    else:
        add_tabled(total64, cells64, close, 0, n_close, eps, 0.5, table, cells64[3, : total64.size])
    _add_listed(total64, total32, cells32, far, n_far, eps, law, table, spare)


@njit(cache=True, nogil=True)
def _place_nodes(nodes64, nodes32, axis, z, cos_lon, sin_lon, mid_x, mid_y, mid_z):
    for i in range(NODES):
        for j in range(NODES):
            c = i * NODES + j
            nodes64[0, c] = axis[i] * cos_lon[j] - mid_x
            nodes64[1, c] = axis[i] * sin_lon[j] - mid_y
            nodes64[2, c] = z[i] - mid_z
            for k in range(3):
                nodes32[k, c] = nodes64[k, c]


@njit(cache=True, nogil=True)
def box_radius(axis_km, z_km, cos_lon, sin_lon, r0, r1, c0, c1, mid_x, mid_y, mid_z):
    """Distance from the middle of a box to its farthest corner: no cell of a patch is farther."""
    square = 0.0
    for row in (r0, r1 - 1):
        for col in (c0, c1 - 1):
            x, y = axis_km[row] * cos_lon[col] - mid_x, axis_km[row] * sin_lon[col] - mid_y
            z = z_km[row] - mid_z
            square = max(square, x * x + y * y + z * z)
    return np.sqrt(square) * (1.0 + 1e-6)


@njit(cache=True, nogil=True)
def _apply(out, left, inner, right, rows, n, m, cols, spare):
    """``out = left inner right^T`` for left (rows, n), inner (n, m), right (cols, m), flat and row-major."""
    for i in range(rows):
        for b in range(m):
            value = 0.0
            for a in range(n):
                value += left[i, a] * inner[a * m + b]
            spare[i * m + b] = value
    for i in range(rows):
        for j in range(cols):
            value = 0.0
            for b in range(m):
                value += spare[i * m + b] * right[j, b]
            out[i * cols + j] = value


@njit(cache=True, nogil=True)
def _divide(
    emitters, listed, n, near, far, mid_x, mid_y, mid_z, radius, patch, expand, level_reach, least_reach, law, smooth
):
    """Of `n` emitters in `listed`, put the smooth ones into `far` and those left into `near`; returns how many."""
    n_near = n_far = 0
    for i in range(n):
        e = listed[i]
        x, y, z = emitters[0, e] - mid_x, emitters[1, e] - mid_y, emitters[2, e] - mid_z
        reach = max(emitters[4, e] + level_reach, least_reach)
        distance = np.sqrt(x * x + y * y + z * z)
        if patch and distance - radius > reach * (1.0 + 1e-9):
            continue
        if (
            patch and expand
            and distance >= SEPARATION * radius
            and (distance + radius) * (1.0 + 1e-9) <= reach
            and distance - radius >= max(FAR_LEAST_KM, emitters[5, e])
            and distance + radius <= FAR_MOST_KM
            and emitters[3, e] >= FAR_LEAST_GAIN
            and _calm(law, emitters, e, distance, radius, smooth)
        ):  # fmt: skip
            n_far = _copy(far, n_far, emitters, e, x, y, z, min(reach, 1e9), law)
        else:
            near[n_near] = e
            n_near += 1
    return n_near, n_far


@njit(cache=True, nogil=True)
def push_halves(stack, depth, level, row, col, r_start, c_start):
    """Put a box's halves, (level, row, column) each, on the stack; returns its new depth."""
    rows, cols = r_start[level + 2] - r_start[level + 1], c_start[level + 2] - c_start[level + 1]
    for k in range(4):
        down, right = 2 * row + k // 2, 2 * col + k % 2
        if down < rows and right < cols:
            stack[depth, 0], stack[depth, 1], stack[depth, 2] = level + 1, down, right
            depth += 1
    return depth


@njit(cache=True, nogil=True)
def _sum_root(
    out, root, axis_km, z_km, cos_lon, sin_lon, level_reach, emitters, least_reach, eps, law, table, smooth, direct,
    row_plan, col_plan, row_nodes, col_nodes,
):  # fmt: skip
    """Do one of the coarsest boxes and everything within it, depth first."""
    r_start, r_low, r_high, r_down, r_cell = row_plan
    c_start, c_low, c_high, c_down, c_cell = col_plan
    n_axis, n_z, m_axis, m_z = row_nodes
    n_cos, n_sin, m_cos, m_sin, half_lon = col_nodes
    n, levels = emitters.shape[1], r_start.size - 1
    near = np.empty((levels + 1, n), np.int32)
    count = np.zeros(levels + 1, np.int64)
    expansion = np.zeros((levels, _N2))
    stack = np.empty((4 * levels + 4, 3), np.int64)
    cells64, cells32 = np.empty((4, LEAF * LEAF)), np.empty((3, LEAF * LEAF), np.float32)
    total64, total32 = np.empty(LEAF * LEAF), np.empty(LEAF * LEAF, np.float32)
    spare64, spare32 = np.empty(LEAF * LEAF), np.empty(LEAF * LEAF, np.float32)
    far, cut, close = np.empty((ROWS, n + 8), np.float32), np.empty((FIRST, n + 8)), np.empty((ROWS, n + 8))
    for e in range(n):
        if emitters[3, e] > 0.0:
            near[0, count[0]] = e
            count[0] += 1
    columns = c_start[1] - c_start[0]
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, root // columns, root % columns
    depth = 1
    while depth:
        depth -= 1
        level, row, col = stack[depth, 0], stack[depth, 1], stack[depth, 2]
        by, bx = r_start[level] + row, c_start[level] + col
        r0, r1, c0, c1 = r_low[by], r_high[by], c_low[bx], c_high[bx]
        mid_x, mid_y, mid_z = m_axis[by] * m_cos[bx], m_axis[by] * m_sin[bx], m_z[by]
        radius = box_radius(axis_km, z_km, cos_lon, sin_lon, r0, r1, c0, c1, mid_x, mid_y, mid_z)
        patch = radius <= WIDEST_KM and half_lon[bx] <= WIDEST_LON
        values = expansion[level]
        if level:
            _apply(values, r_down[by], expansion[level - 1], c_down[bx], NODES, NODES, NODES, NODES, spare64)
        n_near, n_far = _divide(
            emitters, near[level], count[level], near[level + 1], far, mid_x, mid_y, mid_z, radius, patch, direct == 0,
            level_reach, least_reach, law, smooth,
        )  # fmt: skip
        count[level + 1] = n_near
        if n_far:
            _place_nodes(cells64, cells32, n_axis[by], n_z[by], n_cos[bx], n_sin[bx], mid_x, mid_y, mid_z)
            if law == PLAIN:
                n_far = _pad(far, n_far)
            _add_listed(values, total32[:_N2], cells32, far, n_far, eps, law, table, spare32)
        if level + 1 < levels:
            depth = push_halves(stack, depth, level, row, col, r_start, c_start)
            continue
        rows, cols = r1 - r0, c1 - c0
        size = rows * cols
        _apply(total64, r_cell[row], values, c_cell[col], rows, NODES, NODES, cols, spare64)
        middle = _place_cells(cells64, cells32, axis_km, z_km, cos_lon, sin_lon, r0, c0, rows, cols)
        _sum_leaf(
            total64[:size], total32[:size], spare32[:size], cells64, cells32, middle,
            near[level + 1], n_near, emitters, level_reach, least_reach, eps, law, table, direct > 1, far, cut, close,
        )  # fmt: skip
        for i in range(rows):
            for j in range(cols):
                out[r0 + i, c0 + j] = total64[i * cols + j]


@njit(cache=True, nogil=True, parallel=True)
def sum_by_boxes(
    out, axis_km, z_km, cos_lon, sin_lon, level_reach_km, emitters, least_reach_km, eps_km2, law, table, smooth,
    row_plan, col_plan, row_nodes, col_nodes, direct, workers,
):  # fmt: skip
    """Sum of ``gain factor / (max(d, floor)^2 + eps)`` over emitters with ``d <= reach``, for every cell.

    Parameters
    ----------
    out : float64, shape (nz, ny, nx)
        Receives the sums, in units of gain per km^2. What is interpolated may be a rounding error below 0.
    axis_km, z_km : float64, shape (nz, ny)
        Distance from the earth's axis, and ECEF z, of the cells of any one column.
    cos_lon, sin_lon : float64, shape (nx,)
        Of the columns' longitudes.
    level_reach_km : float64, shape (nz,)
    least_reach_km, eps_km2 : float
        As in `engine.rf._summation.sum_over_emitters`.
    emitters : float64, shape (ROWS, n)
        Rows: ECEF x, y, z (km), gain (0 to 1), reach (km), floor (km), and those of the law, which hold for
        one level: all but the plain law are summed level by level.
    law : int
        A law of `engine.rf._laws`.
    table, smooth : float32, shape (kinds, rows, steps)
        Tables of that law: log2 of the factor, and the radius in steps within which nodes represent it.
    row_plan, col_plan : tuples of arrays
        Of `engine.rf._chebyshev.Axis`: start, low, high, down, cell.
    row_nodes, col_nodes : tuples of float64
        Nodes and centres of the boxes: axis and z, axis and z (km), with a leading axis of levels; cosine and sine of
        longitude, cosine and sine, half the difference of longitudes (rad).
    direct : int
        0: by expansions. 1: every emitter in every cell. 2: the same in float64.
    workers : int
        Number of threads that share the coarsest boxes.
    """
    columns = col_plan[0][1] - col_plan[0][0]
    roots = (row_plan[0][1] - row_plan[0][0]) * columns
    for worker in prange(workers):
        for task in range(worker, roots * out.shape[0], workers):
            k = task // roots
            nodes = (row_nodes[0][k], row_nodes[1][k], row_nodes[2][k], row_nodes[3][k])
            _sum_root(
                out[k], task % roots, axis_km[k], z_km[k], cos_lon, sin_lon, level_reach_km[k], emitters,
                least_reach_km, eps_km2, law, table, smooth, direct, row_plan, col_plan, nodes, col_nodes,
            )  # fmt: skip
