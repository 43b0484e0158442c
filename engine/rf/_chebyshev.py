"""How a grid is halved into boxes, and the Chebyshev nodes and interpolation weights of each box.

Positions are in units of rows and columns, so a plan depends on the shape of a grid alone. A smooth
field is tabled at a box's nodes, carried to the nodes of its halves, and from the smallest boxes
(leaves) to the cells; since a polynomial is carried exactly, only the first step costs accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAF = 16
"""Cells of a leaf, each way: two of its rows fill two vector registers of float32."""

NODES = 8
"""Chebyshev nodes of a box, each way."""

ROOT_BOXES = 16
"""Boxes at the coarsest level, at least: larger ones are well away from no emitter of a usual picture,
and threads need something to share."""


@dataclass(frozen=True, eq=False)
class Axis:
    """Boxes of all levels along one axis, coarsest level first.

    Attributes
    ----------
    start : int64, (levels + 1,)
        Where each level's boxes begin.
    low, high : int64, (boxes,)
        First cell, and the one after the last.
    node : float64, (boxes, NODES)
        Positions of the nodes.
    centre : float64, (boxes,)
        Middle between the first and the last cell.
    down : float64, (boxes, NODES, NODES)
        From values at the parent's nodes to values at this box's (zero at the coarsest level).
    cell : float64, (leaves, LEAF, NODES)
        From values at a leaf's nodes to values at its cells (zero beyond the last).
    """

    start: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    node: Array
    centre: Array
    down: Array
    cell: Array


@lru_cache(maxsize=64)
def plan(shape: tuple[int, int]) -> tuple[Axis, Axis]:
    """Rows and columns of the boxes of a grid of a shape."""
    leaves = tuple(-(-n // LEAF) for n in shape)
    levels = 1
    while _boxes(leaves[0], levels) * _boxes(leaves[1], levels) >= ROOT_BOXES:
        levels += 1
    levels = max(levels - 1, 1)
    rows, cols = (_axis(n, levels) for n in shape)
    return rows, cols


def _boxes(leaves: int, level: int) -> int:
    """Boxes along an axis, `level` - 1 halvings above the leaves."""
    return -(-leaves // 2 ** (level - 1))


def _axis(n: int, levels: int) -> Axis:
    unit = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
    start, low, high, down = [0], [], [], []
    for level in range(levels):
        width = LEAF * 2 ** (levels - 1 - level)
        count = -(-n // width)
        for box in range(count):
            low.append(box * width)
            high.append(min((box + 1) * width, n))
        start.append(start[-1] + count)
    lo, hi = np.array(low), np.array(high)
    centre = (lo + hi - 1) / 2.0
    # A box of one cell still gets some width, or its nodes would fall together; so little that no emitter that is away
    # from the cell is near the nodes, even where a cell is half the earth.
    half = np.maximum((hi - 1 - lo) / 2.0, 1e-9)
    node = centre[:, None] + half[:, None] * unit
    for level in range(levels):
        for box in range(start[level], start[level + 1]):
            if level == 0:
                down.append(np.zeros((NODES, NODES)))
                continue
            parent = start[level - 1] + (box - start[level]) // 2
            down.append(lagrange_weights((node[box] - centre[parent]) / half[parent], unit))
    cell = np.zeros((start[-1] - start[-2], LEAF, NODES))
    for leaf, box in enumerate(range(start[-2], start[-1])):
        cells = np.arange(lo[box], hi[box])
        cell[leaf, : cells.size] = lagrange_weights((cells - centre[box]) / half[box], unit)
    return Axis(np.array(start), lo, hi, node, centre, np.array(down), cell)


def lagrange_weights(at: Array, unit: Array) -> Array:
    """Lagrange weights of the Chebyshev nodes at positions within [-1, 1], by the barycentric formula.

    References
    ----------
    Berrut and Trefethen (2004), Barycentric Lagrange interpolation, SIAM Review 46, section 5.
    """
    sign = (-1.0) ** np.arange(unit.size)
    weight = sign * np.sin(np.pi * (np.arange(unit.size) + 0.5) / unit.size)
    apart = at[:, None] - unit
    on_node = apart == 0.0
    terms = weight / np.where(on_node, 1.0, apart)
    hit = on_node.any(axis=1)
    terms[hit] = on_node[hit]
    return terms / terms.sum(axis=1, keepdims=True)
