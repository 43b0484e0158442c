"""The grid a field is computed on: bounds, shape, altitudes, and where its cells lie on the earth.

A grid is an immutable value: equal grids have equal keys, so frames can be cached by them. It knows
geometry only and must not know what an emitter is or how its power falls off.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.geo import (
    WEB_MERCATOR_MAX_LAT,
    geodetic_to_ecef,
    inverse_web_mercator,
    radii_of_curvature_m,
    web_mercator,
)

Array = NDArray[np.float64]
Projection = Literal["geographic", "web_mercator"]

MAX_LEVEL_CELLS = 2048 * 2048
"""Most cells of one altitude level (system A2)."""

MAX_CELLS = 2**26
"""Most cells of a whole grid: 512 MiB of float64, the widest array a computation holds."""

MAX_LON = 540.0
"""Longitudes are taken up to one turn beyond the antimeridian, for a map panned past it; degrees."""


@dataclass(frozen=True)
class Grid:
    """Cell-centred grid in latitude, longitude and, optionally, altitude.

    Build one with `Grid.from_bounds` or `Grid.web_mercator`. Rows run from south to north, columns
    from west to east, levels upwards.

    Attributes
    ----------
    projection : {"geographic", "web_mercator"}
        Rows equally spaced in latitude, or in Web Mercator y.
    west, south, east, north : float
        Outer edges, degrees. `east` is always greater than `west`: a grid across the antimeridian
        has longitudes beyond 180, so that its axis stays monotonic.
    shape : (int, int)
        Rows and columns, ``(ny, nx)``.
    alt_m : float or tuple of float
        Altitude of the single level (a 2-D grid) or of each level (a 3-D grid), m.
    """

    projection: Projection
    west: float
    south: float
    east: float
    north: float
    shape: tuple[int, int]
    alt_m: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        if self.projection not in ("geographic", "web_mercator"):
            raise ValueError(f"projection is {self.projection!r}; it must be 'geographic' or 'web_mercator'")
        west, east = _longitude_edges(self.west, self.east)
        south, north = _latitude_edges(self.south, self.north, self.projection)
        shape, alt_m = _shape(self.shape), _altitude(self.alt_m)
        cells = math.prod(shape) * (len(alt_m) if isinstance(alt_m, tuple) else 1)
        if cells > MAX_CELLS:
            raise ValueError(f"the grid has {cells} cells; at most {MAX_CELLS} fit: use fewer levels or rows")
        values = {"west": west, "east": east, "south": south, "north": north, "shape": shape, "alt_m": alt_m}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_bounds(
        cls,
        west: float,
        south: float,
        east: float,
        north: float,
        shape: tuple[int, int] = (128, 128),
        alt_m: float | Sequence[float] | Array = 0.0,
    ) -> Grid:
        """Grid with rows and columns equally spaced in degrees.

        Parameters
        ----------
        west, south, east, north : float
            Outer edges of the outer cells, degrees; ``west > east`` crosses the antimeridian.
        shape : (int, int)
            Rows and columns, ``(ny, nx)``, up to 2048 x 2048 cells.
        alt_m : float or sequence of nz float
            Height above the ellipsoid, m: one number for a 2-D grid, increasing levels for a 3-D one.

        Returns
        -------
        Grid

        Raises
        ------
        ValueError
            Bounds not finite, out of range or empty; shape or altitudes that make no grid.

        Examples
        --------
        >>> grid = Grid.from_bounds(170, -10, -170, 10, shape=(2, 4))
        >>> grid.lon.tolist(), grid.lat.tolist()
        ([172.5, 177.5, 182.5, 187.5], [-5.0, 5.0])
        """
        return cls("geographic", west, south, east, north, shape, alt_m)  # type: ignore[arg-type]

    @classmethod
    def web_mercator(
        cls,
        west: float,
        south: float,
        east: float,
        north: float,
        shape: tuple[int, int] = (128, 128),
        alt_m: float | Sequence[float] | Array = 0.0,
    ) -> Grid:
        """Grid with rows equally spaced in Web Mercator y, as a map draws them.

        Parameters, errors and result are those of `from_bounds`; bounds are still degrees, and must
        lie within the Web Mercator square (|latitude| <= 85.0511).

        Examples
        --------
        >>> grid = Grid.web_mercator(-180, -85.05, 180, 85.05, shape=(4, 4))
        >>> [round(y / 1e6, 2) for y in grid.y_m.tolist()]
        [-15.03, -5.01, 5.01, 15.03]
        """
        return cls("web_mercator", west, south, east, north, shape, alt_m)  # type: ignore[arg-type]

    @property
    def key(self) -> tuple[Any, ...]:
        """Hashable identity of the grid: equal for equal grids, for use in cache keys."""
        return (self.projection, self.west, self.south, self.east, self.north, self.shape, self.alt_m)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Outer edges ``(west, south, east, north)``, degrees, `east` greater than `west`."""
        return self.west, self.south, self.east, self.north

    @property
    def is_3d(self) -> bool:
        """Whether the grid was given a sequence of altitudes, be it of one."""
        return isinstance(self.alt_m, tuple)

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes of a field on this grid."""
        return ("alt", "lat", "lon") if self.is_3d else ("lat", "lon")

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Shape of a field on this grid: ``(ny, nx)``, or ``(nz, ny, nx)`` in 3-D."""
        return (self.level_alt_m.size, *self.shape) if self.is_3d else self.shape

    @cached_property
    def level_alt_m(self) -> Array:
        """Altitudes of the levels, m, float64 of shape (nz,); one for a 2-D grid."""
        return _frozen(np.atleast_1d(np.asarray(self.alt_m, dtype=np.float64)))

    @cached_property
    def lat(self) -> Array:
        """Latitudes of the rows, degrees, float64 of shape (ny,)."""
        if self.projection == "web_mercator":
            return _frozen(inverse_web_mercator(0.0, self.y_m)[0])
        return _frozen(_centres(self.south, self.north, self.shape[0]))

    @cached_property
    def lon(self) -> Array:
        """Longitudes of the columns, degrees, float64 of shape (nx,); beyond 180 across the antimeridian."""
        return _frozen(_centres(self.west, self.east, self.shape[1]))

    @property
    def mercator_bounds(self) -> tuple[float, float, float, float]:
        """Outer edges ``(x_west, y_south, x_east, y_north)`` of a Web Mercator grid, m."""
        if self.projection != "web_mercator":
            raise ValueError(
                "a geographic grid has no equally spaced Web Mercator rows and would be drawn in the wrong place; "
                "use Grid.web_mercator"
            )
        x, y = web_mercator([self.south, self.north], [self.west, self.east])
        return float(x[0]), float(y[0]), float(x[1]), float(y[1])

    @cached_property
    def x_m(self) -> Array:
        """Web Mercator x of the columns, m, float64 of shape (nx,), equally spaced."""
        x_west, _, x_east, _ = self.mercator_bounds
        return _frozen(_centres(x_west, x_east, self.shape[1]))

    @cached_property
    def y_m(self) -> Array:
        """Web Mercator y of the rows, m, float64 of shape (ny,), equally spaced."""
        _, y_south, _, y_north = self.mercator_bounds
        return _frozen(_centres(y_south, y_north, self.shape[0]))

    def lat_at(self, row: Array) -> Array:
        """Latitudes, degrees, at rows that need not be whole: row 0.5 is midway between the first two."""
        part = (np.asarray(row, dtype=np.float64) + 0.5) / self.shape[0]
        if self.projection == "web_mercator":
            _, y_south, _, y_north = self.mercator_bounds
            return np.asarray(inverse_web_mercator(0.0, y_south + part * (y_north - y_south))[0])
        return self.south + part * (self.north - self.south)

    def lon_at(self, col: Array) -> Array:
        """Longitudes, degrees, at columns that need not be whole."""
        return self.west + (np.asarray(col, dtype=np.float64) + 0.5) / self.shape[1] * (self.east - self.west)

    def ecef_m(self) -> tuple[Array, Array, Array]:
        """ECEF coordinates of every cell centre, m.

        Returns
        -------
        x, y, z : ndarray of float64, shape `array_shape`
            Computed anew on every call: a grid keeps only its axes (see `meridian_m`).
        """
        alt_m = self.level_alt_m[:, None, None]
        x, y, z = geodetic_to_ecef(self.lat[None, :, None], self.lon[None, None, :], alt_m)
        return x.reshape(self.array_shape), y.reshape(self.array_shape), z.reshape(self.array_shape)

    @cached_property
    def meridian_m(self) -> tuple[Array, Array]:
        """Distance from the axis and ECEF z of the cells of any one column, m; float64 of shape (nz, ny).

        A cell's ECEF x and y are the first, times cosine and sine of its longitude: all that a
        kernel needs, in nz·ny + nx numbers instead of 3·nz·ny·nx.
        """
        axis, _, z = geodetic_to_ecef(self.lat[None, :], 0.0, self.level_alt_m[:, None])
        return _frozen(axis), _frozen(z)

    @cached_property
    def spacing_m(self) -> float:
        """Smallest cell spacing, m: the least of row height, column width and altitude step.

        Height and width are taken where they are largest: meridians meet at the poles, and a width
        of nothing there would say nothing about the cells of the rest of the grid.
        """
        edges = np.linspace(self.south, self.north, self.shape[0] + 1)
        if self.projection == "web_mercator":
            _, y_south, _, y_north = self.mercator_bounds
            edges = np.asarray(inverse_web_mercator(0.0, np.linspace(y_south, y_north, self.shape[0] + 1))[0])
        meridional, prime_vertical = radii_of_curvature_m(self.lat)
        heights = np.radians(np.diff(edges)) * meridional
        widths = math.radians((self.east - self.west) / self.shape[1]) * prime_vertical * np.cos(np.radians(self.lat))
        steps = [float(heights.max()), float(widths.max())]
        if self.level_alt_m.size > 1:
            steps.append(float(np.diff(self.level_alt_m).min()))
        return min(steps)

    @property
    def floor_m(self) -> float:
        """Half the smallest cell spacing, m: the floor under a distance that keeps one cell from swamping the rest."""
        return self.spacing_m / 2.0


def _centres(low: float, high: float, n: int) -> Array:
    return low + (np.arange(n, dtype=np.float64) + 0.5) * ((high - low) / n)


def _frozen(values: Any) -> Array:
    values = np.ascontiguousarray(values, dtype=np.float64)
    values.setflags(write=False)
    return values


def _finite(name: str, value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {value}; it must be a finite number")
    return number


def _longitude_edges(west: Any, east: Any) -> tuple[float, float]:
    west, east = _finite("west", west), _finite("east", east)
    for name, value in (("west", west), ("east", east)):
        if abs(value) > MAX_LON:
            raise ValueError(f"{name} is {value} degrees; a longitude edge must lie within ±{MAX_LON:g}")
    if west > east:
        east += 360.0
    if not 0.0 < east - west <= 360.0:
        raise ValueError(f"west {west} and east {east} degrees are {east - west} apart; 0 < width <= 360 is needed")
    return west, east


def _latitude_edges(south: Any, north: Any, projection: Projection) -> tuple[float, float]:
    south, north = _finite("south", south), _finite("north", north)
    # A hair beyond the square's edge is rounding in a viewport, not a mistake.
    limit = WEB_MERCATOR_MAX_LAT + 1e-9 if projection == "web_mercator" else 90.0
    for name, value in (("south", south), ("north", north)):
        if abs(value) > limit:
            raise ValueError(f"{name} is {value} degrees; an edge of a {projection} grid must lie within ±{limit:.7g}")
    if south >= north:
        raise ValueError(f"south {south} is not below north {north} degrees")
    return south, north


def _shape(shape: Any) -> tuple[int, int]:
    try:
        ny, nx = (operator.index(n) for n in shape)
    except (TypeError, ValueError) as error:
        raise ValueError(f"shape is {shape!r}; it must be two whole numbers (ny, nx)") from error
    if ny < 1 or nx < 1:
        raise ValueError(f"shape is {(ny, nx)}; each must be at least 1")
    if ny * nx > MAX_LEVEL_CELLS:
        raise ValueError(f"shape is {(ny, nx)}, {ny * nx} cells; a level has at most {MAX_LEVEL_CELLS} (2048 x 2048)")
    return ny, nx


def _altitude(alt_m: Any) -> float | tuple[float, ...]:
    levels = np.asarray(alt_m, dtype=np.float64)
    if not np.isfinite(levels).all():
        raise ValueError(f"alt_m is {alt_m}; altitudes must be finite numbers of metres")
    if levels.ndim == 0:
        return float(levels)
    if levels.ndim > 1 or levels.size == 0 or (np.diff(levels) <= 0).any():
        raise ValueError(f"alt_m is {alt_m}; it must be one altitude or a sequence of increasing altitudes, m")
    return tuple(levels.tolist())
