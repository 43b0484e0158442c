"""Barnes-Hut repulsion in the plane: a quadtree in Morton order, walked without a stack.

Plain arrays in and out. A tree node is followed by its descendants, and `skip` says where the next node after them
is, so a walk goes forward only.

References: Barnes & Hut, Nature 324 (1986); Morton order: Warren & Salmon, Supercomputing '93.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVELS = 21
LEAF = 8
"""Points that a leaf holds at most, unless they share a cell of the finest level."""

THETA2 = 0.81
"""Square of the opening angle: a cell is one mass when its side is below 0.9 of its distance."""

# Points in the same place push each other as if they were this far apart (in edge lengths, squared).
SOFT2 = 1e-4


@njit(cache=True, nogil=True)
def _morton(x, y, x0, y0, scale):
    keys = np.empty(x.size, np.uint64)
    for i in range(x.size):
        key = np.uint64(0)
        a = np.uint64((x[i] - x0) * scale)
        b = np.uint64((y[i] - y0) * scale)
        for v, shift in ((a, np.uint64(0)), (b, np.uint64(1))):
            v = (v | (v << np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
            v = (v | (v << np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
            v = (v | (v << np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
            v = (v | (v << np.uint64(2))) & np.uint64(0x3333333333333333)
            v = (v | (v << np.uint64(1))) & np.uint64(0x5555555555555555)
            key |= v << shift
        keys[i] = key
    return keys


@njit(cache=True, nogil=True)
def _build(keys, x, y, mass, side):
    """Depth-first nodes: (centre x, y, mass, squared side), and (skip, first point, last point; -1 for inner)."""
    capacity = 4 * (keys.size // 2 + 2 * LEVELS) + 64
    value = np.empty((capacity, 4))
    link = np.empty((capacity, 3), np.int64)
    # Work still to do, as (first, last, level, node) with node -1 for a range that is not a node yet.
    first = np.empty(8 * LEVELS, np.int64)
    last = np.empty(8 * LEVELS, np.int64)
    level = np.empty(8 * LEVELS, np.int64)
    owner = np.empty(8 * LEVELS, np.int64)
    first[0], last[0], level[0], owner[0] = 0, keys.size, 0, -1
    top, used = 1, 0
    while top > 0:
        top -= 1
        a, b, depth, node = first[top], last[top], level[top], owner[top]
        if node >= 0:
            # All descendants are there.
            link[node, 0] = used
            continue
        if used == capacity:
            capacity *= 2
            more = np.empty((capacity, 4))
            more[:used] = value
            value = more
            further = np.empty((capacity, 3), np.int64)
            further[:used] = link
            link = further
        node = used
        used += 1
        m, sx, sy = 0.0, 0.0, 0.0
        for i in range(a, b):
            m += mass[i]
            sx += mass[i] * x[i]
            sy += mass[i] * y[i]
        value[node, 0], value[node, 1], value[node, 2] = sx / m, sy / m, m
        value[node, 3] = (side / (1 << depth)) ** 2
        link[node, 1], link[node, 2] = a, b
        if b - a <= LEAF or depth == LEVELS:
            link[node, 0] = used
            continue
        link[node, 1] = -1
        first[top], last[top], level[top], owner[top] = a, b, depth, node
        top += 1
        shift = np.uint64(2 * (LEVELS - 1 - depth))
        end = b
        # The stack gives the quadrants back in reverse; their order does not matter.
        for quadrant in range(3, -1, -1):
            lo, hi = a, end
            while lo < hi:
                mid = (lo + hi) // 2
                if (keys[mid] >> shift) & np.uint64(3) < np.uint64(quadrant):
                    lo = mid + 1
                else:
                    hi = mid
            if lo < end:
                first[top], last[top], level[top], owner[top] = lo, end, depth + 1, -1
                top += 1
            end = lo
    return value[:used], link[:used]


def _push(targets, x, y, px, py, pm, value, link, out):
    """Adds Σ m (x − u)/|x − u|² to columns 0 and 1 of `out`, Σ m/|x − u|² to column 2, for each target row."""
    for t in prange(targets.size):
        v = targets[t]
        xv, yv = x[v], y[v]
        fx, fy, curvature = 0.0, 0.0, 0.0
        i = 0
        while i < value.shape[0]:
            if link[i, 1] < 0:
                dx, dy = xv - value[i, 0], yv - value[i, 1]
                d2 = dx * dx + dy * dy
                if value[i, 3] < THETA2 * d2:
                    q = value[i, 2] / d2
                    fx += dx * q
                    fy += dy * q
                    curvature += q
                    i = link[i, 0]
                else:
                    i += 1
            else:
                for j in range(link[i, 1], link[i, 2]):
                    dx, dy = xv - px[j], yv - py[j]
                    q = pm[j] / (dx * dx + dy * dy + SOFT2)
                    if dx != 0.0 or dy != 0.0:
                        fx += dx * q
                        fy += dy * q
                        curvature += q
                i = link[i, 0]
        out[t, 0], out[t, 1], out[t, 2] = fx, fy, curvature


# Two threads on busy cores wait for each other longer than a small graph takes.
_push_alone = njit(cache=True, nogil=True, fastmath=True)(_push)
_push_together = njit(cache=True, nogil=True, fastmath=True, parallel=True)(_push)
MANY = 8_192
"""Rows from which the work is shared among cores."""


class Tree:
    """Quadtree over n points with masses, for `push`; `look` is called between the parts of building it."""

    def __init__(self, x: Array, y: Array, mass: Array, look: Callable[[], None] = lambda: None) -> None:
        x0, y0 = float(x.min()), float(y.min())
        side = max(float(x.max()) - x0, float(y.max()) - y0, 1e-9) * (1.0 + 1e-9)
        keys = _morton(x, y, x0, y0, (1 << LEVELS) / side)
        look()
        order = np.argsort(keys, kind="stable")
        look()
        self._points = x[order], y[order], mass[order]
        self.order = order
        look()
        self._value, self._link = _build(keys[order], *self._points, side)

    def push(self, targets: NDArray[np.int64], x: Array, y: Array, out: Array) -> None:
        """Repulsion at some rows of x, y: force and curvature into `out`, shape (len(targets), 3)."""
        push = _push_together if len(targets) >= MANY else _push_alone
        push(targets, x, y, *self._points, self._value, self._link, out)


def pushes_exactly(x: Any, y: Any, mass: Any) -> Array:
    """The same for all points by summing over all pairs; what the tree is held against."""
    dx, dy = x[:, None] - x[None, :], y[:, None] - y[None, :]
    q = mass[None, :] / (dx**2 + dy**2 + SOFT2)
    q[(dx == 0.0) & (dy == 0.0)] = 0.0
    return np.stack([(dx * q).sum(1), (dy * q).sum(1), q.sum(1)], axis=1)
