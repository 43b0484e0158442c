"""A tree of boxes over points of a rectangle, for box queries in logarithmic time.

Points are sorted along the Z-order curve and packed; each level holds the bounds of `FAN` boxes of the
level below. It must not know that the rectangle is a map.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

FAN = 16
"""Points in a leaf, and boxes in a box."""

Array = NDArray[np.float64]


@numba.njit(cache=True, nogil=True)
def _spread(v):
    """The bits of a 31-bit integer with a zero after each (Morton, 1966)."""
    v = (v | (v << np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    v = (v | (v << np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    v = (v | (v << np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    v = (v | (v << np.uint64(2))) & np.uint64(0x3333333333333333)
    return (v | (v << np.uint64(1))) & np.uint64(0x5555555555555555)


@numba.njit(cache=True, nogil=True)
def _z_order(x, y, x0, y0, scale):
    out = np.empty(x.size, np.uint64)
    for i in range(x.size):
        a = np.uint64((x[i] - x0) * scale)
        b = np.uint64((y[i] - y0) * scale)
        out[i] = _spread(a) | (_spread(b) << np.uint64(1))
    return out


@numba.njit(cache=True, nogil=True)
def _query(x, y, boxes, level_start, west, south, east, north, out):
    """Places of the points inside; returns (how many, boxes looked at). `out` too short: how many only."""
    found, visited = 0, 0
    top = level_start.size - 2
    stack_level, stack_box = np.empty(FAN * (top + 2), np.int64), np.empty(FAN * (top + 2), np.int64)
    depth = 0
    for b in range(level_start[top + 1] - level_start[top]):
        stack_level[depth], stack_box[depth] = top, b
        depth += 1
    while depth > 0:
        depth -= 1
        level, b = stack_level[depth], stack_box[depth]
        visited += 1
        box = boxes[level_start[level] + b]
        if box[0] > east or box[2] < west or box[1] > north or box[3] < south:
            continue
        if level == 0:
            for i in range(b * FAN, min((b + 1) * FAN, x.size)):
                if west <= x[i] <= east and south <= y[i] <= north:
                    if found < out.size:
                        out[found] = i
                    found += 1
        else:
            below = level_start[level] - level_start[level - 1]
            for child in range(b * FAN, min((b + 1) * FAN, below)):
                stack_level[depth], stack_box[depth] = level - 1, child
                depth += 1
    return found, visited


class BoxTree:
    """Points of the plane that box queries find.

    Parameters
    ----------
    x, y : float64, shape (n,)
        Finite.

    Examples
    --------
    >>> BoxTree(np.array([0.0, 5.0]), np.array([0.0, 5.0])).query(4.0, 4.0, 6.0, 6.0).tolist()
    [1]
    """

    def __init__(self, x: Array, y: Array) -> None:
        span = max(float(np.ptp(x)), float(np.ptp(y)), 1e-300) if len(x) else 1.0
        key = _z_order(x, y, x.min(initial=np.inf), y.min(initial=np.inf), (2.0**31 - 1.0) / span)
        self._order = np.argsort(key, kind="stable")
        self._x, self._y = np.ascontiguousarray(x[self._order]), np.ascontiguousarray(y[self._order])
        levels = [_pack(np.stack([self._x, self._y, self._x, self._y], axis=1))]
        while len(levels[-1]) > FAN:
            levels.append(_pack(levels[-1]))
        self._boxes = np.concatenate(levels)
        self._level_start = np.cumsum([0, *(len(level) for level in levels)])
        self.visited = 0
        """Boxes that the last query looked at."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._order.nbytes + self._x.nbytes + self._y.nbytes + self._boxes.nbytes

    def query(self, west: float, south: float, east: float, north: float) -> NDArray[np.int64]:
        """Indices of the points inside or on the edge of a box, ascending."""
        out = np.empty(256, np.int64)
        box = float(west), float(south), float(east), float(north)
        found, self.visited = _query(self._x, self._y, self._boxes, self._level_start, *box, out)
        if found > len(out):
            out = np.empty(found, np.int64)
            found, self.visited = _query(self._x, self._y, self._boxes, self._level_start, *box, out)
        return np.sort(self._order[out[:found]])


def _pack(boxes: NDArray[Any]) -> NDArray[np.float64]:
    """Bounds of each `FAN` boxes in a row."""
    starts = np.arange(0, len(boxes), FAN)
    if not len(boxes):
        return np.empty((0, 4))
    least, most = np.minimum.reduceat(boxes, starts), np.maximum.reduceat(boxes, starts)
    return np.concatenate([least[:, :2], most[:, 2:]], axis=1)
