"""From values per cell to the eight bits of a picture, and to what a legend must say about them.

Level 0 is nothing. Pure arrays; what colour a level has is for the dashboard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.frames.graph_spec import Scale

TOP = 255
"""Level of the greatest value."""

SHADES = 28
"""Levels of each category: 1 to 28 for the first, 29 to 56 for the second …; nine fit into eight bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """An eight-bit raster and its scale.

    Attributes
    ----------
    cells : ndarray of uint8, (ny, nx)
        Row 0 is south; 0 is nothing.
    ticks : tuple of (float, float)
        Level and the value there, ascending, for a legend.
    values : ndarray of float64, (256,)
        Value of each level; 0 for nothing.
    """

    cells: NDArray[np.uint8]
    ticks: tuple[tuple[float, float], ...]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ruler:
    """How values become a share of the top, and back.

    Attributes
    ----------
    scale : {"linear", "log", "equalised"}
        ``v/top``; ``log(1 + v/unit)/log(1 + top/unit)``; or the share of values that are not greater (histogram
        equalisation).
    top : float
        What is given 1.
    unit : float
        Where the logarithmic scale turns from linear to logarithmic.
    ordered : ndarray of float64
        All values, ascending; used for ``equalised`` alone.
    """

    scale: Scale
    top: float
    unit: float
    ordered: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64], scale: Scale, *, whole: bool) -> Ruler:
        """A ruler for values of 0 or more; `whole` says that they are counts."""
        top = round_top(float(values.max(initial=0.0)))
        unit = 1.0 if whole or top >= 100.0 else top / 1000.0
        return cls(scale, top, unit, np.sort(values) if scale == "equalised" else np.empty(0))

    def shares(self, values: ArrayLike) -> NDArray[np.float64]:
        """Place of each value between nothing and the top, 0 to 1."""
        values = np.asarray(values, np.float64)
        if self.scale == "equalised":
            return np.searchsorted(self.ordered, values, side="right") / max(len(self.ordered), 1)
        if self.scale == "log":
            return np.log1p(values / self.unit) / math.log1p(self.top / self.unit)
        return values / self.top

    def values(self, shares: ArrayLike) -> NDArray[np.float64]:
        """The inverse of `shares`."""
        shares = np.clip(np.asarray(shares, np.float64), 0.0, 1.0)
        if self.scale == "equalised":
            if not len(self.ordered):
                return np.zeros(len(shares))
            n = len(self.ordered)
            return self.ordered[np.clip(np.ceil(shares * n - 1e-9).astype(np.int64) - 1, 0, n - 1)]
        if self.scale == "log":
            return self.unit * np.expm1(shares * math.log1p(self.top / self.unit))
        return shares * self.top

    def ticks(self) -> tuple[tuple[float, float], ...]:
        """Level (1 to 255) and value of a few round values, ascending, none too close to the next."""
        if self.scale == "equalised":
            at = np.unique(self.values([0.0, 0.25, 0.5, 0.75, 1.0])) if len(self.ordered) else np.empty(0)
        elif self.scale == "linear":
            at = np.arange(6) * self.top / 5 if f"{self.top:e}"[0] != "2" else np.arange(5) * self.top / 4
        else:
            least = math.ceil(math.log10(self.unit) - 1e-9)
            decades = [10.0**k for k in range(least, math.floor(math.log10(self.top) + 1e-9) + 1)]
            at = np.array([0.0, *[v for v in decades[-4:] if v < 0.7 * self.top], self.top])
        told: list[tuple[float, float]] = []
        for share, value in zip(self.shares(at), at, strict=True):
            level = 1.0 + (TOP - 1) * float(share)
            if told and level - told[-1][0] < 10.0:
                continue
            told.append((level, float(value)))
        return tuple(told)

    def levels(self, values: ArrayLike) -> NDArray[np.uint8]:
        """Level of each value, 1 to 255."""
        return 1 + np.rint((TOP - 1) * np.clip(self.shares(values), 0.0, 1.0)).astype(np.uint8)

    def per_level(self) -> NDArray[np.float64]:
        """Value of each level, (256,); 0 for level 0."""
        return np.concatenate([[0.0], self.values(np.arange(TOP) / (TOP - 1))])


def round_top(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 …: a scale that keeps still while the graph grows.

    Examples
    --------
    >>> round_top(37.0), round_top(0.0)
    (50.0, 1.0)
    """
    if not value > 1e-300:  # what has decayed so far is nothing, and its decade no number
        return 1.0
    decade = 10.0 ** math.floor(math.log10(value))
    return float(next(m * decade for m in (1.0, 2.0, 5.0, 10.0) if value <= m * decade * (1 + 1e-9)))


def quantise(raster: NDArray[np.float64], inside: NDArray[np.bool_], scale: Scale, *, whole: bool = False) -> Levels:
    """Values per cell as levels 1 to 255 where `inside`, 0 elsewhere.

    Parameters
    ----------
    raster : ndarray of float64, (ny, nx)
    inside : ndarray of bool, (ny, nx)
        Cells that hold anything; a value of 0 there is the lowest level, not nothing.
    scale : {"linear", "log", "equalised"}
    whole : bool
        Values are counts.
    """
    cells = np.zeros(raster.shape, np.uint8)
    values = raster[inside].astype(np.float64)
    ruler = Ruler.of(values, scale, whole=whole)
    cells[inside] = ruler.levels(values)
    return Levels(cells, ruler.ticks() if len(values) else (), ruler.per_level())


def categorise(counts: NDArray[np.uint32], scale: Scale) -> Levels:
    """Counts per category and cell as levels: the most frequent category of a cell, in shades of the cell's total.

    Parameters
    ----------
    counts : ndarray of uint32, (k, ny, nx)
        k at most 9. Of equals the first category is shown.

    Returns
    -------
    Levels
        Level ``1 + 28 k + s``, s from 0 to 27 rising with the total; `ticks` of the totals, as if of one category.
    """
    total = counts.sum(axis=0, dtype=np.float64)
    inside = total > 0
    cells = np.zeros(total.shape, np.uint8)
    values = total[inside]
    ruler = Ruler.of(values, scale, whole=True)
    shade = np.rint((SHADES - 1) * np.clip(ruler.shares(values), 0.0, 1.0))
    cells[inside] = (1 + SHADES * counts[:, inside].argmax(axis=0) + shade).astype(np.uint8)
    per_level = np.concatenate([[0.0], np.tile(ruler.values(np.arange(SHADES) / (SHADES - 1)), 9), np.zeros(3)])
    return Levels(cells, ruler.ticks() if len(values) else (), per_level)


def spread(cells: NDArray[np.uint8], radius: int, *, categories: bool = False) -> NDArray[np.uint8]:
    """Each cell grown to a disc, so that a lone node can be seen; where discs meet the higher level stays.

    Parameters
    ----------
    cells : ndarray of uint8, (ny, nx)
    radius : int
        In cells; 0 changes nothing.
    categories : bool
        Levels are of `categorise`: then what holds something is never painted over by another category.

    References
    ----------
    Datashader, `transfer_functions.spread`, of which this is the twin for levels.
    """
    out = cells.copy()
    ny, nx = cells.shape
    disc = radius * radius + (radius if radius > 1 else 0)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dx * dx + dy * dy > disc or not (dx or dy):
                continue
            into = out[max(dy, 0) : ny + min(dy, 0), max(dx, 0) : nx + min(dx, 0)]
            what = cells[max(-dy, 0) : ny + min(-dy, 0), max(-dx, 0) : nx + min(-dx, 0)]
            np.maximum(into, what, out=into)
    if categories:
        out[cells > 0] = cells[cells > 0]
    return out
