"""The field at places that are no grid: at nodes, along lines, in a vertical section.

Emitters give the exact field anywhere; a field on a grid gives what lies between its cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from engine.geo import WGS84_A_M, geodetic_to_ecef
from engine.rf._field_sum import Sources
from engine.rf._laws import FIRST, PLAIN
from engine.rf._points import sum_at_points
from engine.rf._sources import prepare
from engine.rf.propagation import horizon_m

Array = NDArray[np.float64]

MAX_POINTS = 4_000_000
"""Most points of one call, of all altitudes together."""


def sample_field(
    field_or_emitters: xr.Dataset | xr.DataArray | pd.DataFrame,
    lat: ArrayLike,
    lon: ArrayLike,
    alt_m: ArrayLike = 0.0,
    model: str = "free_space",
    **options: Any,
) -> NDArray[np.float32]:
    """The field at points: from emitters exactly, from a field on a grid between its cells.

    Parameters
    ----------
    field_or_emitters : pandas.DataFrame, or xarray.Dataset or DataArray
        Emitters as for `power_field`; or a field of it, taken linearly in its own unit between cell
        centres (a dataset: its first variable). Outside the grid, and next to a cell of no power, NaN.
    lat, lon : array_like of float, shape (n,)
        Degrees.
    alt_m : array_like of float, scalar or shape (n,)
        Heights, m; a field of one altitude ignores them.
    model, **options
        Of `power_field`, for emitters; without `method` and `dtype`. The inverse square needs `floor_m`.

    Returns
    -------
    ndarray of float32, shape (n,)
        dBm, NaN where there is no power; or intensity.

    Raises
    ------
    ValueError
        Points that are not finite or too many, or what `power_field` raises.

    Examples
    --------
    >>> mast = pd.DataFrame({"lat": [47.0], "lon": [8.0], "alt_m": [600.0], "eirp_dbm": [30.0], "freq_hz": [1e9]})
    >>> sample_field(mast, [47.0], [8.0], 1600.0).round(2).tolist()
    [-62.45000076293945]

    References
    ----------
    System A8.
    """
    at = [np.asarray(v, dtype=np.float64) for v in (lat, lon, alt_m)]
    at = [np.atleast_1d(v).ravel() for v in np.broadcast_arrays(*at)]
    for name, values in zip(("lat", "lon", "alt_m"), at, strict=True):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} is {values[~np.isfinite(values)][0]} at a point; it must be finite")
    if at[0].size > MAX_POINTS:
        raise ValueError(f"there are {at[0].size} points; at most {MAX_POINTS} fit in one call")
    if isinstance(field_or_emitters, pd.DataFrame):
        ready = prepare(field_or_emitters, model, **options)
        if model == "inverse_square" and "floor_m" not in options:
            raise ValueError("floor_m is missing; without a grid the inverse square has none of its own")
        total, scale = sum_points(ready.sources, *at)
        return ready.values(total, scale).astype(np.float32)
    field = field_or_emitters
    array = field[next(iter(field.data_vars))] if isinstance(field, xr.Dataset) else field
    return _between_cells(array, *at)


def cross_section(
    emitters: pd.DataFrame,
    path: ArrayLike,
    altitudes_m: ArrayLike,
    model: str = "free_space",
    *,
    points: int = 256,
    **options: Any,
) -> xr.Dataset:
    """Vertical section of the field along a line drawn on the map.

    Parameters
    ----------
    emitters, model, **options
        As in `sample_field`.
    path : array_like of float, shape (k, 2)
        Corners of the line, latitude and longitude in degrees; great circles in between.
    altitudes_m : array_like of float, shape (nz,)
        Heights, m, increasing.
    points : int
        Points along the line, equally spaced.

    Returns
    -------
    xarray.Dataset
        The field on (alt, distance); coordinates `alt` (m), `distance` (m along the line), `lat`, `lon`.

    Raises
    ------
    ValueError
        A line of fewer than two points or of no length, or what `sample_field` raises.

    Examples
    --------
    >>> mast = pd.DataFrame({"lat": [47.0], "lon": [8.0], "alt_m": [600.0], "eirp_dbm": [30.0], "freq_hz": [1e9]})
    >>> section = cross_section(mast, [(47.0, 7.0), (47.0, 9.0)], np.linspace(0, 5000, 6), points=11)
    >>> dict(section.sizes), round(float(section.power_dbm.sel(alt=1000.0)[5]), 1)
    ({'alt': 6, 'distance': 11}, -58.4)
    """
    heights = np.asarray(altitudes_m, dtype=np.float64)
    if heights.ndim != 1 or heights.size == 0 or (np.diff(heights) <= 0).any() or not np.isfinite(heights).all():
        raise ValueError(f"altitudes_m are {heights.tolist()}; increasing heights in metres are needed")
    lat, lon, along = _along(np.asarray(path, dtype=np.float64), points)
    ready = prepare(emitters, model, **options)
    shape = (heights.size, lat.size)
    flat = [np.broadcast_to(v, shape).ravel() for v in (lat, lon, heights[:, None])]
    total, scale = sum_points(ready.sources, *flat)
    values = ready.values(total, scale).astype(np.float32).reshape(shape)
    attrs = {"units": ready.model.units, "long_name": ready.model.long_name}
    coords = {
        "alt": ("alt", heights, {"units": "m", "positive": "up"}),
        "distance": ("distance", along, {"units": "m", "long_name": "distance along the line"}),
        "lat": ("distance", lat, {"units": "degrees_north"}),
        "lon": ("distance", lon, {"units": "degrees_east"}),
    }
    about = {"model": ready.model.name, "reference": ready.model.reference, "n_emitters": ready.n}
    return xr.Dataset({ready.model.variable: (("alt", "distance"), values, attrs)}, coords, about)


def sum_points(sources: Sources, lat: Array, lon: Array, alt_m: Array) -> tuple[Array, float]:
    """Sum over emitters at points (m,); the total in units of the strongest per km^2, and its scale."""
    out = np.zeros(lat.size)
    top = float(sources.gain.max(initial=0.0))
    if not top > 0.0:
        return out, 0.0
    rows = sources.rows_km(top)
    points = np.stack(geodetic_to_ecef(lat, lon, alt_m)) / 1e3
    least, eps = float(sources.least_reach_m) / 1e3, float(sources.eps_m2) / 1e6
    code = PLAIN if sources.law is None else sources.law.code
    table = np.zeros((1, 2, 2), np.float32)
    levels, level = np.unique(alt_m, return_inverse=True)
    for k, altitude in enumerate(levels):
        if sources.law is not None:
            rows[FIRST:], table, _ = sources.law.at_level(float(altitude))
        at = np.flatnonzero(level == k)
        part = np.empty(at.size)
        reach = float(horizon_m(0.0, altitude, 0.0)) / 1e3
        sum_at_points(part, np.ascontiguousarray(points[:, at]), reach, rows, least, eps, code, table)
        out[at] = part * (1.0 if sources.level_gain is None else sources.level_gain(float(altitude)))
    return out, top / 1e6


def _along(path: Array, points: int) -> tuple[Array, Array, Array]:
    """Latitude, longitude (degrees) and distance (m) of equally spaced points on the great circles between corners."""
    if path.ndim != 2 or path.shape[1] != 2 or len(path) < 2 or not np.isfinite(path).all():
        raise ValueError(f"path has shape {path.shape}; at least two corners, latitude and longitude each, are needed")
    if points < 2:
        raise ValueError(f"points is {points}; a line needs at least 2")
    lat, lon = np.radians(path).T
    corner = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    angle = 2.0 * np.arcsin(np.clip(np.linalg.norm(np.diff(corner, axis=0), axis=1) / 2.0, 0.0, 1.0))
    ends = np.concatenate([[0.0], np.cumsum(angle)])
    if not ends[-1] > 0.0:
        raise ValueError("path has no length; its corners are all the same")
    at = np.linspace(0.0, ends[-1], points)
    leg = np.clip(np.searchsorted(ends, at, side="right") - 1, 0, angle.size - 1)
    part, whole = at - ends[leg], np.maximum(angle[leg], 1e-300)
    a, b = np.sin(whole - part)[:, None], np.sin(part)[:, None]
    x, y, z = (a * corner[leg] + b * corner[leg + 1]).T
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x)), at * WGS84_A_M


def _between_cells(values: xr.DataArray, lat: Array, lon: Array, alt_m: Array) -> NDArray[np.float32]:
    """Linear between cell centres, NaN outside; longitudes are brought to the grid's own turn."""
    middle = float(values.lon.mean())
    around = middle + (lon - middle + 180.0) % 360.0 - 180.0
    at: dict[str, Any] = {"lat": ("point", lat), "lon": ("point", around)}
    if "alt" in values.dims:
        at["alt"] = ("point", alt_m)
    return values.interp({name: xr.DataArray(v, dims=d) for name, (d, v) in at.items()}).to_numpy().astype(np.float32)
