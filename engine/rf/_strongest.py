"""Kernel: the strongest and second strongest emitter in every cell of one level, exactly.

Boxes are those of the tree. In a box each emitter has a bound from below and one from above, from its
least and greatest distance; what is below the second best lower bound cannot be among the first two in
any cell and is dropped. The few that are left in a leaf are compared cell by cell in float64.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from engine.rf._chebyshev import LEAF
from engine.rf._laws import FIRST, PLAIN, ROWS, TABLE, TWO_RAY, add_tabled, add_two_ray, factor_at
from engine.rf._summation import _place_cells
from engine.rf._tree import WIDEST_KM, WIDEST_LON, box_radius, push_halves

NONE = -1
"""Index of the strongest where no emitter gives anything."""

MARGIN = 1e-9
"""Share by which bounds are widened against rounding."""


@njit(cache=True, nogil=True, error_model="numpy")
def _bounds(law, emitters, e, nearest, farthest, reach, eps, table):
    """Least and greatest power of an emitter over the distances of a box."""
    gain, floor = emitters[3, e], emitters[5, e]
    if nearest > reach * (1.0 + MARGIN):
        return 0.0, 0.0
    near = max(nearest, floor)
    high = gain / (near * near + eps) if near * near + eps > 0.0 else np.inf
    far = max(farthest, floor)
    low = gain / (far * far + eps) if farthest * (1.0 + MARGIN) <= reach else 0.0
    if law == TWO_RAY:
        rho = emitters[FIRST + 2, e]
        if nearest <= emitters[FIRST + 4, e]:
            return 0.0, high * (1.0 + rho) ** 2
        h4 = emitters[FIRST, e]
        q_near, q_far = rho * near / np.sqrt(near * near + h4), rho * far / np.sqrt(far * far + h4)
        # Both (1 - q)^2 and the sine fall with distance here, q grows.
        sine_near = (factor_at(law, emitters, e, near, table) - (1.0 - q_near) ** 2) / max(q_near, 1e-300)
        sine_far = (factor_at(law, emitters, e, far, table) - (1.0 - q_far) ** 2) / max(q_far, 1e-300)
        return low * ((1.0 - q_far) ** 2 + q_near * sine_far), high * ((1.0 - q_near) ** 2 + q_far * sine_near)
    if law == TABLE:
        # The tables never rise with distance; float32 in the tables, float64 here and in the cells.
        return low * factor_at(law, emitters, e, farthest, table), high * factor_at(law, emitters, e, nearest, table)
    return low, high


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _plain_bounds(low_high, emitters, listed, n, middle, radius, level_reach, least_reach, eps):
    """`_bounds` of `n` plain emitters at once, without a branch: in vector lanes."""
    mid_x, mid_y, mid_z = middle
    for i in range(n):
        e = listed[i]
        x, y, z = emitters[0, e] - mid_x, emitters[1, e] - mid_y, emitters[2, e] - mid_z
        gain, floor = emitters[3, e], emitters[5, e]
        own = emitters[4, e] + level_reach
        reach = own if own > least_reach else least_reach
        distance = np.sqrt(x * x + (y * y + z * z))
        nearest, farthest = distance - radius, distance + radius
        near = nearest if nearest > floor else floor
        far = farthest if farthest > floor else floor
        high, low = gain / (near * near + eps), gain / (far * far + eps)
        low_high[0, i] = low if farthest * (1.0 + MARGIN) <= reach else 0.0
        low_high[1, i] = high if nearest <= reach * (1.0 + MARGIN) else 0.0


@njit(cache=True, nogil=True)
def _contenders(emitters, listed, n, kept, low_high, middle, radius, patch, level_reach, least_reach, eps, law, table):
    """Of `n` emitters in `listed`, keep those that may be first or second somewhere in a box; returns how many."""
    if not patch:
        kept[:n] = listed[:n]
        return n
    if law == PLAIN:
        _plain_bounds(low_high, emitters, listed, n, middle, radius, level_reach, least_reach, eps)
    else:
        mid_x, mid_y, mid_z = middle
        for i in range(n):
            e = listed[i]
            x, y, z = emitters[0, e] - mid_x, emitters[1, e] - mid_y, emitters[2, e] - mid_z
            distance = np.sqrt(x * x + y * y + z * z)
            reach = max(emitters[4, e] + level_reach, least_reach)
            low_high[0, i], low_high[1, i] = _bounds(
                law, emitters, e, max(distance - radius, 0.0), distance + radius, reach, eps, table
            )
    first = second = 0.0
    for i in range(n):
        low = low_high[0, i]
        if low > second:
            first, second = max(low, first), min(low, first)
    m = 0
    for i in range(n):
        if low_high[1, i] > 0.0 and low_high[1, i] * (1.0 + MARGIN) >= second:
            kept[m] = listed[i]
            m += 1
    return m


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _one(power, cells, x0, y0, z0, g, r2, f2, eps):
    """Power of one plain emitter in every cell."""
    cx, cy, cz = cells[0], cells[1], cells[2]
    for c in range(power.size):
        x, y, z = cx[c] - x0, cy[c] - y0, cz[c] - z0
        d2 = x * x + (y * y + z * z)
        value = g / ((d2 if d2 > f2 else f2) + eps)
        power[c] = value if d2 <= r2 else 0.0


@njit(cache=True, nogil=True)
def _rank(power, e, best, second, index):
    """Let one more emitter's power into the first two of every cell; the earlier one stays first in a tie."""
    for c in range(power.size):
        value, top = power[c], best[c]
        wins = value > top
        loser = top if wins else value
        second[c] = loser if loser > second[c] else second[c]
        best[c] = value if wins else top
        index[c] = e if wins else index[c]


@njit(cache=True, nogil=True)
def _rank_leaf(
    cells, middle, listed, n, emitters, level_reach, least_reach, eps, law, table, row, power, best, second, index
):
    """First and second of the leaf's cells among the `n` emitters in `listed`."""
    mid_x, mid_y, mid_z, _ = middle
    for c in range(power.size):
        best[c], second[c], index[c] = 0.0, 0.0, NONE
    for i in range(n):
        e = listed[i]
        x, y, z = emitters[0, e] - mid_x, emitters[1, e] - mid_y, emitters[2, e] - mid_z
        reach, floor = max(emitters[4, e] + level_reach, least_reach), emitters[5, e]
        if law == PLAIN:
            _one(power, cells, x, y, z, emitters[3, e], reach * reach, floor * floor, eps)
        else:
            row[0, 0], row[1, 0], row[2, 0], row[3, 0] = x, y, z, emitters[3, e]
            row[4, 0], row[5, 0] = reach * reach, floor * floor
            for k in range(FIRST, ROWS):
                row[k, 0] = emitters[k, e]
            for c in range(power.size):
                power[c] = 0.0
            if law == TWO_RAY:
                add_two_ray(power, cells, row, 0, 1, eps, 0.5)
            else:
                add_tabled(power, cells, row, 0, 1, eps, 0.5, table, cells[3, : power.size])
        _rank(power, e, best, second, index)


@njit(cache=True, nogil=True)
def _rank_root(
    best, second, index, root, axis_km, z_km, cos_lon, sin_lon, level_reach, emitters, least_reach, eps, law, table,
    row_plan, col_plan, row_nodes, col_nodes,
):  # fmt: skip
    """Do one of the coarsest boxes and everything within it, depth first."""
    r_start, r_low, r_high = row_plan[0], row_plan[1], row_plan[2]
    c_start, c_low, c_high = col_plan[0], col_plan[1], col_plan[2]
    m_axis, m_z, m_cos, m_sin, half_lon = row_nodes[2], row_nodes[3], col_nodes[2], col_nodes[3], col_nodes[4]
    n, levels = emitters.shape[1], r_start.size - 1
    kept, count = np.empty((levels + 1, n), np.int32), np.zeros(levels + 1, np.int64)
    stack, low_high, row_of = np.empty((4 * levels + 4, 3), np.int64), np.empty((2, n)), np.empty((ROWS, 1))
    cells64, cells32 = np.empty((4, LEAF * LEAF)), np.empty((3, LEAF * LEAF), np.float32)
    power, first, other = np.empty(LEAF * LEAF), np.empty(LEAF * LEAF), np.empty(LEAF * LEAF)
    which = np.empty(LEAF * LEAF, np.int64)
    for e in range(n):
        if emitters[3, e] > 0.0:
            kept[0, count[0]] = e
            count[0] += 1
    columns = c_start[1] - c_start[0]
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, root // columns, root % columns
    depth = 1
    while depth:
        depth -= 1
        level, row, col = stack[depth, 0], stack[depth, 1], stack[depth, 2]
        by, bx = r_start[level] + row, c_start[level] + col
        r0, r1, c0, c1 = r_low[by], r_high[by], c_low[bx], c_high[bx]
        middle = m_axis[by] * m_cos[bx], m_axis[by] * m_sin[bx], m_z[by]
        radius = box_radius(axis_km, z_km, cos_lon, sin_lon, r0, r1, c0, c1, *middle)
        patch = radius <= WIDEST_KM and half_lon[bx] <= WIDEST_LON
        count[level + 1] = _contenders(
            emitters, kept[level], count[level], kept[level + 1], low_high, middle, radius, patch, level_reach,
            least_reach, eps, law, table,
        )  # fmt: skip
        if level + 1 < levels:
            depth = push_halves(stack, depth, level, row, col, r_start, c_start)
            continue
        rows, cols = r1 - r0, c1 - c0
        size = rows * cols
        centre = _place_cells(cells64, cells32, axis_km, z_km, cos_lon, sin_lon, r0, c0, rows, cols)
        _rank_leaf(
            cells64, centre, kept[level + 1], count[level + 1], emitters, level_reach, least_reach, eps, law, table,
            row_of, power[:size], first, other, which,
        )  # fmt: skip
        for i in range(rows):
            for j in range(cols):
                c = i * cols + j
                best[r0 + i, c0 + j], second[r0 + i, c0 + j], index[r0 + i, c0 + j] = first[c], other[c], which[c]


@njit(cache=True, nogil=True, parallel=True)
def strongest_by_boxes(
    best, second, index, axis_km, z_km, cos_lon, sin_lon, level_reach_km, emitters, least_reach_km, eps_km2, law, table,
    smooth, row_plan, col_plan, row_nodes, col_nodes, workers,
):  # fmt: skip
    """Power of the strongest and of the second strongest emitter, and which is the strongest, for every cell.

    Parameters
    ----------
    best, second : float64, shape (nz, ny, nx)
        Receive powers in units of gain per km^2; 0 where there is none.
    index : int32, shape (nz, ny, nx)
        Receives the column of `emitters` of the strongest, the first of equals; `NONE` where there is none.

    The others are those of `engine.rf._tree.sum_by_boxes`.
    """
    columns = col_plan[0][1] - col_plan[0][0]
    roots = (row_plan[0][1] - row_plan[0][0]) * columns
    for worker in prange(workers):
        for task in range(worker, roots * best.shape[0], workers):
            k = task // roots
            nodes = (row_nodes[0][k], row_nodes[1][k], row_nodes[2][k], row_nodes[3][k])
            _rank_root(
                best[k], second[k], index[k], task % roots, axis_km[k], z_km[k], cos_lon, sin_lon, level_reach_km[k],
                emitters, least_reach_km, eps_km2, law, table, row_plan, col_plan, nodes, col_nodes,
            )  # fmt: skip
