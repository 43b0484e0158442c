"""Places components side by side: each where it is free, as near to the middle as there is room.

A grid of cells says where nodes are. Works on boxes and positions, not on graphs.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

GAP = 1.5
"""Free space round a component, in edge lengths."""

CELLS = 400
"""Cells along the side of what is placed, about."""


def boxes(x: Array, y: Array, label: Ints, n: int) -> Array:
    """Lowest x and y, highest x and y of each of n labels; shape (n, 4)."""
    box = np.empty((n, 4))
    for column, values, reduce, start in (
        (0, x, np.minimum, np.inf), (1, y, np.minimum, np.inf), (2, x, np.maximum, -np.inf), (3, y, np.maximum, -np.inf)
    ):  # fmt: skip
        out = np.full(n, start)
        reduce.at(out, label, values)
        box[:, column] = out
    return box


def packed(width: Array, height: Array, fixed_x: Array, fixed_y: Array) -> tuple[Array, Array]:
    """Where the lower left corners of boxes go, so that none covers another or a fixed point.

    Larger boxes come first; with nothing fixed, the largest lies in the middle. The same boxes give the same places.

    Parameters
    ----------
    width, height : ndarray, shape (k,)
    fixed_x, fixed_y : ndarray, shape (f,)
        Points that stay.

    Returns
    -------
    x, y : ndarray, shape (k,)
    """
    wide, high = width + GAP, height + GAP
    low_x, low_y, high_x, high_y = 0.0, 0.0, 0.0, 0.0
    if len(fixed_x):
        low_x, low_y, high_x, high_y = fixed_x.min(), fixed_y.min(), fixed_x.max(), fixed_y.max()
    cell = max(GAP, max(np.sqrt((wide * high).sum()), high_x - low_x, high_y - low_y) / CELLS)
    cells_wide, cells_high = np.ceil(wide / cell).astype(np.int64), np.ceil(high / cell).astype(np.int64)
    # Twice the cells needed lie round what is there.
    margin = int(0.75 * np.sqrt((cells_wide * cells_high).sum())) + int(max(cells_wide.max(), cells_high.max())) + 2
    x0, y0 = low_x - margin * cell, low_y - margin * cell
    columns, rows = int((high_x - x0) / cell) + margin + 1, int((high_y - y0) / cell) + margin + 1
    taken = np.zeros((rows, columns), np.bool_)
    if len(fixed_x):
        i, j = ((fixed_y - y0) / cell).astype(np.int64), ((fixed_x - x0) / cell).astype(np.int64)
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                taken[i + di, j + dj] = True
    from_middle = (np.arange(rows)[:, None] - 0.5 * rows) ** 2 + (np.arange(columns)[None, :] - 0.5 * columns) ** 2
    nearest = np.argsort(from_middle.ravel(), kind="stable")
    order = np.lexsort((np.arange(len(wide)), cells_wide, cells_high, -(cells_wide * cells_high)))
    at = _place(taken, nearest, cells_wide[order], cells_high[order])
    x, y = np.empty(len(wide)), np.empty(len(wide))
    # In the middle of its cells, so that gaps are even.
    x[order] = x0 + (at[:, 1] + 0.5 * cells_wide[order]) * cell - 0.5 * width[order]
    y[order] = y0 + (at[:, 0] + 0.5 * cells_high[order]) * cell - 0.5 * height[order]
    return x, y


@njit(cache=True, nogil=True)
def _place(taken, nearest, wide, high):
    """Row and column of the first cell of each box, largest boxes first."""
    rows, columns = taken.shape
    out = np.empty((wide.size, 2), np.int64)
    tried, beyond = 0, 0
    for k in range(wide.size):
        w, h = wide[k], high[k]
        if k > 0 and (w != wide[k - 1] or h != high[k - 1]):
            # Where a box found no room, one of the same size finds none later.
            tried = 0
        found = False
        while tried < nearest.size and not found:
            i, j = nearest[tried] // columns - h // 2, nearest[tried] % columns - w // 2
            tried += 1
            if i >= 0 and j >= 0 and i + h <= rows and j + w <= columns and not taken[i : i + h, j : j + w].any():
                taken[i : i + h, j : j + w] = True
                out[k, 0], out[k, 1] = i, j
                found = True
        if not found:
            # No room left as large as this: in a row above all else.
            out[k, 0], out[k, 1] = rows, beyond
            beyond += w
    return out
