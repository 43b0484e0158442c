"""From emitters as plain arrays to their sum on a grid: which of the two kernels does it, and what it is given.

`engine.rf._summation` sums every emitter in every cell; `engine.rf._tree` interpolates what is smooth.
This module must not know tables, units of power or labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

import numba
import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from engine.geo import geodetic_to_ecef
from engine.rf._chebyshev import plan
from engine.rf._laws import FIRST, PLAIN, ROWS
from engine.rf._strongest import NONE, strongest_by_boxes
from engine.rf._summation import sum_over_emitters
from engine.rf._tree import ERROR_DB, sum_by_boxes
from engine.rf.grid import Grid
from engine.rf.propagation import horizon_m

Array = NDArray[np.float64]
Method = Literal["direct", "tree"]

METHODS = ("auto", "direct", "tree")

TREE_FROM_PAIRS = {True: 1.5e7, False: 1e6}
"""Emitters times cells of a level from which the tree is faster, for the plain law and for the others."""

ROUNDING_DB = {"float32": 5e-5, "float64": 1e-6}
"""Largest error of arithmetic, dB, at 1 cm and more; see docs/engine-rf-field.md."""


class Law(Protocol):
    """A factor on ``gain / d^2``: its kernel, and what the kernel needs for cells at one altitude."""

    @property
    def code(self) -> int:
        """Which law, of `engine.rf._laws`."""
        ...

    def at_level(self, alt_m: float) -> tuple[Array, NDArray[np.float32], NDArray[np.float32]]:
        """Rows of `engine.rf._laws` beyond the first, (ROWS - FIRST, n), with tables and widths of smoothness."""
        ...


@dataclass(frozen=True, eq=False)
class Sources:
    """What the kernels sum: all lengths m, gains in any unit of power times m^2.

    Attributes
    ----------
    position_m : float64, (3, n)
        ECEF.
    gain : float64, (n,)
        Power at distance d is gain/d^2 times the factor of the law.
    floor_m, reach_m : float64, (n,) or float
        No distance counts as less; nothing arrives beyond, the level's own reach added.
    least_reach_m : float
        No reach is less.
    eps_m2 : float
        Added to every d^2.
    law : Law or None
        None is the plain law.
    level_gain : function of altitude (m), optional
        Factor on everything received at that altitude.
    """

    position_m: Array
    gain: Array
    floor_m: Any = 0.0
    reach_m: Any = np.inf
    least_reach_m: float = 0.0
    eps_m2: float = 0.0
    law: Law | None = None
    level_gain: Callable[[float], float] | None = None

    def rows_km(self, top: float) -> Array:
        """Emitter rows for the kernels, gains relative to `top`."""
        rows = np.zeros((ROWS, self.gain.size))
        rows[:3] = self.position_m
        rows[:3] /= 1e3
        rows[3] = self.gain / top
        rows[4] = np.asarray(self.reach_m) / 1e3
        rows[5] = np.asarray(self.floor_m) / 1e3
        return rows


def choose(method: str, n: int, grid: Grid, plain: bool, exact: bool) -> Method:
    """Which summation is used: the asked-for one, or by size.

    Raises
    ------
    ValueError
        `method` is none of `METHODS`.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    if method != "auto":
        return method  # type: ignore[return-value]
    big = n * grid.shape[0] * grid.shape[1] >= TREE_FROM_PAIRS[plain]
    return "tree" if big and not exact else "direct"


def error_bound_db(method: Method, dtype: str) -> float:
    """Largest error of a sum, dB, relative to the law it sums."""
    return ROUNDING_DB["float32" if method == "tree" else dtype] + (ERROR_DB if method == "tree" else 0.0)


@lru_cache(maxsize=16)
def boxes(grid: Grid) -> tuple[Any, ...]:
    """Row and column plans of a grid, nodes and centres of its columns' longitudes."""
    rows, cols = plan(grid.shape)
    node, centre = np.radians(grid.lon_at(cols.node)), np.radians(grid.lon_at(cols.centre))
    half = np.radians((grid.east - grid.west) / grid.shape[1]) * (cols.high - 1 - cols.low) / 2.0
    col_nodes = (np.cos(node), np.sin(node), np.cos(centre), np.sin(centre), half)
    plans = tuple((a.start, a.low, a.high, a.down, a.cell) for a in (rows, cols))
    return *plans, col_nodes


@lru_cache(maxsize=16)
def row_nodes(grid: Grid) -> tuple[Array, Array, Array, Array]:
    """Distance from the axis and ECEF z, km, at the nodes and at the centres of the boxes of rows, level by level."""
    rows, _ = plan(grid.shape)
    alt_m = grid.level_alt_m
    axis, _, z = geodetic_to_ecef(grid.lat_at(rows.node), 0.0, alt_m[:, None, None])
    mid_axis, _, mid_z = geodetic_to_ecef(grid.lat_at(rows.centre), 0.0, alt_m[:, None])
    node, centre = (np.ascontiguousarray(v) / 1e3 for v in (axis, z)), (mid_axis / 1e3, mid_z / 1e3)
    return (*node, *centre)


def sum_sources(sources: Sources, grid: Grid, method: Method, exact: bool = False) -> tuple[Array, float]:
    """Sum over emitters on a grid.

    Returns
    -------
    total : float64, (nz, ny, nx)
        In units of the strongest emitter, per km^2.
    scale : float
        Times this, it is the sum in the unit of `gain` per m^2.
    """
    out = np.zeros((grid.level_alt_m.size, *grid.shape))
    top = float(sources.gain.max(initial=0.0))
    if not top > 0.0:
        return out, 0.0
    workers = numba.get_num_threads()
    if sources.law is None and method == "direct":
        axis_m, z_m = grid.meridian_m
        lon = np.radians(grid.lon)
        sum_over_emitters(
            out, axis_m / 1e3, z_m / 1e3, np.cos(lon), np.sin(lon), horizon_m(0.0, grid.level_alt_m, 0.0) / 1e3,
            sources.rows_km(top)[:FIRST], float(sources.least_reach_m) / 1e3, float(sources.eps_m2) / 1e6, bool(exact),
            workers,
        )  # fmt: skip
        _apply_level_gain(sources, grid, out)
        return out, top / 1e6
    for at, inputs in level_inputs(sources, grid, top):
        sum_by_boxes(out[at], *inputs, 0 if method == "tree" else 1 + bool(exact), workers)  # type: ignore[call-arg]
    _apply_level_gain(sources, grid, out)
    return out, top / 1e6


def _apply_level_gain(sources: Sources, grid: Grid, *outs: Array) -> None:
    if sources.level_gain is not None:
        for k, alt_m in enumerate(grid.level_alt_m):
            for out in outs:
                out[k] *= sources.level_gain(float(alt_m))


def strongest_sources(sources: Sources, grid: Grid) -> tuple[Array, Array, NDArray[np.int32], float]:
    """Power of the strongest and the second strongest emitter, and the index of the strongest (-1: none).

    Returns
    -------
    best, second : float64, (nz, ny, nx)
        In units of the strongest emitter, per km^2.
    index : int32, (nz, ny, nx)
    scale : float
        As in `sum_sources`.
    """
    shape = (grid.level_alt_m.size, *grid.shape)
    best, second, index = np.zeros(shape), np.zeros(shape), np.full(shape, NONE, np.int32)
    top = float(sources.gain.max(initial=0.0))
    if not top > 0.0:
        return best, second, index, 0.0
    workers = numba.get_num_threads()
    for at, inputs in level_inputs(sources, grid, top):
        strongest_by_boxes(best[at], second[at], index[at], *inputs, workers)  # type: ignore[call-arg]
    _apply_level_gain(sources, grid, best, second)
    return best, second, index, top / 1e6


def level_inputs(sources: Sources, grid: Grid, top: float) -> Iterator[tuple[slice, tuple[Any, ...]]]:
    """Levels, and what the kernels by boxes are given for them after their outputs: all at once for the plain law."""
    rows = sources.rows_km(top)
    lon = np.radians(grid.lon)
    cos_lon, sin_lon = np.cos(lon), np.sin(lon)
    axis_m, z_m = grid.meridian_m
    level_reach = horizon_m(0.0, grid.level_alt_m, 0.0) / 1e3
    least, eps = float(sources.least_reach_m) / 1e3, float(sources.eps_m2) / 1e6
    row_plan, col_plan, col_nodes = boxes(grid)
    nodes = row_nodes(grid)
    code = PLAIN if sources.law is None else sources.law.code
    table = smooth = np.zeros((1, 2, 2), np.float32)
    count = grid.level_alt_m.size
    for at in [slice(0, count)] if sources.law is None else [slice(k, k + 1) for k in range(count)]:
        if sources.law is not None:
            rows[FIRST:], table, smooth = sources.law.at_level(float(grid.level_alt_m[at][0]))
        yield at, (
            axis_m[at] / 1e3, z_m[at] / 1e3, cos_lon, sin_lon, level_reach[at], rows, least, eps, code, table,
            smooth, row_plan, col_plan, tuple(part[at] for part in nodes), col_nodes,
        )  # fmt: skip


@njit(cache=True, nogil=True, parallel=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def decibels(linear, offset_db, out):
    """``10 log10(linear) + offset_db`` of positive normal numbers, NaN for others, by series: to 1e-8 dB.

    Parameters
    ----------
    linear : float64, shape (n,)
    offset_db : float
    out : float32, shape (n,)
    """
    for i in prange(linear.size):
        bits = np.float64(linear[i]).view(np.int64)
        # Exponent and mantissa, the latter brought to sqrt(1/2) ... sqrt(2).
        power = (bits - 4604544271217802189) >> 52
        m = np.int64(bits - (power << 52)).view(np.float64)
        t = (m - 1.0) / (m + 1.0)
        s = t * t
        log2 = power + t * (
            2.8853900817779268 + s * (0.9617966939259756 + s * (0.5770780163555853 + s * (
                0.4121985831111324 + s * (0.32059889797532520 + s * 0.26230818925253880))))
        )  # fmt: skip
        out[i] = 3.0102999566398120 * log2 + offset_db if linear[i] > 0.0 else np.nan
