"""A region of the graph's picture, drawn by a viewer: a box or a lasso, in cells of the raster.

What is inside is a matter of cells, so that the picture, the numbers and the table can never disagree: a row is
inside when the cell that its node falls in is, and a cell is inside when its centre is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_CORNERS = 48
"""Corners of a lasso at most."""

MAX_REGION_CELLS = 4_000_000
"""Cells of the box around a region at most: a region is drawn in a view, which has far fewer."""

MAX_STEP = 50
"""Cells are 2^(step/2) units wide; 2^25 is the whole world."""


def cell_size(step: int) -> float:
    """Side of a cell in units of the space, 2^(step/2)."""
    return float(2.0 ** (step / 2.0))


def cells_of(values: ArrayLike, step: int) -> NDArray[np.int64]:
    """Number of the cell that each coordinate falls in, counted from the origin of the space; 0 where it is NaN.

    Examples
    --------
    >>> cells_of([-0.5, 0.0, 3.9], step=2).tolist()
    [-1, 0, 1]
    """
    return np.floor(np.nan_to_num(np.asarray(values, np.float64)) / cell_size(step)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class GraphRegion:
    """A box or a lasso.

    Attributes
    ----------
    shape : {"box", "lasso"}
    step : int
        Of the lattice that it was drawn on, see `cell_size`.
    corners : tuple of int
        Box: west, south, east, north, in cells, east and north excluded. Lasso: x and y of each corner, alternating,
        in cells.

    Raises
    ------
    ValueError
        When it encloses nothing, or too much.
    """

    shape: Literal["box", "lasso"]
    step: int
    corners: tuple[int, ...]

    def __post_init__(self) -> None:
        n = len(self.corners)
        if self.shape not in ("box", "lasso") or not 0 <= self.step <= MAX_STEP:
            raise ValueError(f"a region is a box or a lasso on a lattice of step 0 to {MAX_STEP}")
        if n != 4 if self.shape == "box" else (n % 2 or not 6 <= n <= 2 * MAX_CORNERS):
            raise ValueError(f"a box has 4 numbers, a lasso 3 to {MAX_CORNERS} corners; there are {n} numbers")
        west, south, east, north = self.box
        if not (west < east and south < north and (east - west) * (north - south) <= MAX_REGION_CELLS):
            raise ValueError(f"the region from {west}, {south} to {east}, {north} encloses nothing, or too much")

    @property
    def box(self) -> tuple[int, int, int, int]:
        """West, south, east and north of the box around it, in cells."""
        if self.shape == "box":
            return self.corners  # type: ignore[return-value]
        x, y = self.corners[::2], self.corners[1::2]
        return min(x), min(y), max(x), max(y)

    def outline(self) -> tuple[list[float], list[float]]:
        """x and y of its corners, in units of the space."""
        cell = cell_size(self.step)
        if self.shape == "box":
            west, south, east, north = (v * cell for v in self.corners)
            return [west, east, east, west], [south, south, north, north]
        return [v * cell for v in self.corners[::2]], [v * cell for v in self.corners[1::2]]

    def mask(self) -> NDArray[np.bool_]:
        """Which cells of its box are inside, (rows from south, columns from west): even-odd rule at cell centres.

        References
        ----------
        Shimrat, Algorithm 112, Communications of the ACM 5 (1962).
        """
        west, south, east, north = self.box
        if self.shape == "box":
            return np.ones((north - south, east - west), bool)
        column, row = np.arange(west, east) + 0.5, np.arange(south, north) + 0.5
        x, y = np.array(self.corners[::2], np.float64), np.array(self.corners[1::2], np.float64)
        inside = np.zeros((len(row), len(column)), bool)
        for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
            rows = np.flatnonzero((y0 > row) != (y1 > row))
            if len(rows):
                crossing = x0 + (row[rows] - y0) * (x1 - x0) / (y1 - y0)
                inside[rows] ^= column[None, :] < crossing[:, None]
        return inside

    def contains(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
        """Which positions fall in a cell that is inside; a position that is NaN does not.

        Examples
        --------
        >>> GraphRegion("box", 0, (0, 0, 2, 1)).contains([0.5, 1.9, 2.0], [0.5, 0.5, 0.5]).tolist()
        [True, True, False]
        """
        known = np.isfinite(np.asarray(x, np.float64) + np.asarray(y, np.float64))
        west, south, east, north = self.box
        i, j = cells_of(x, self.step) - west, cells_of(y, self.step) - south
        near = np.flatnonzero(known & (i >= 0) & (j >= 0) & (i < east - west) & (j < north - south))
        out = np.zeros(len(known), bool)
        out[near] = self.mask()[j[near], i[near]]
        return out
