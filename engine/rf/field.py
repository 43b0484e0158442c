"""The field of many emitters on a grid: received power, or intensity, summed in linear units.

`power_field` takes a table and gives a labelled frame; `sum_power_mw` and `sum_intensity` are the
same sums from plain arrays for a live server. This module must not know where emitters come from or
how a frame is drawn.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import numba
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from engine.rf._field_sum import ROUNDING_DB, Method, Sources, choose, error_bound_db, strongest_sources, sum_sources
from engine.rf._sources import Horizon, Prepared, check_horizon, height_reach, in_dbm, law_of, level_gain_of, prepare
from engine.rf.clutter import Clutter
from engine.rf.grid import Grid
from engine.rf.propagation import MIN_HORIZON_M, unit_loss_distance_m
from engine.units import dbm_to_mw

Array = NDArray[np.float64]

METHOD_TEXT: dict[str, str] = {
    "direct": "sum over emitters in linear units, {dtype} relative to each tile's centre",
    "tree": "sum over emitters in linear units, far ones interpolated from 8 x 8 Chebyshev nodes of quadtree boxes",
}
"""How a field was summed, for its attributes."""


def power_field(
    emitters: pd.DataFrame,
    grid: Grid,
    model: str = "free_space",
    *,
    horizon: Horizon = True,
    floor_m: float | None = None,
    min_horizon_m: float = MIN_HORIZON_M,
    dtype: Literal["float32", "float64"] = "float32",
    weights: ArrayLike | None = None,
    method: str = "auto",
    rain_mm_h: float = 0.0,
    clutter: Clutter | None = None,
) -> xr.Dataset:
    """Field of a table of emitters on a grid, summed over emitters in linear units.

    ``free_space`` gives `power_dbm`, the power received by an isotropic antenna: the sum of
    ``EIRP - 20 log10(4 pi d / lambda)`` in mW, reported in dBm. ``inverse_square`` gives the unitless
    `intensity`, the sum of ``weight / (d^2 + floor_m^2)`` with d in metres. d is the slant range
    between WGS-84 positions, altitude included.

    **No power at all is NaN**: it draws as nothing and is "missing" to NetCDF and to statistics. To
    add or subtract fields use `linear_mw`, which turns it into 0 mW. An intensity of nothing is 0.

    **With the default options a cell beyond an emitter's radio horizon gets nothing from it**:
    beyond ``max(4.12 (sqrt(alt_emitter) + sqrt(alt_grid)) km, min_horizon_m)``, heights in metres
    above the ellipsoid, by the same slant range. Inside it the free-space formula holds unchanged.
    ``horizon=False`` gives the bare formula everywhere, through the earth. ``inverse_square`` is
    about no radio path and has no horizon. ``horizon="diffraction"`` (``free_space`` and
    ``atmospheric``) hides nothing and takes off what P.528 finds within and beyond the horizon, at
    the median: the cliff becomes a slope.

    The other models are free space with a factor: ``two_ray`` adds the ray reflected by flat ground,
    for low antennas; ``atmospheric`` takes off gas along the slanted path, and rain if there is any;
    ``scale_height`` is the crude baseline, ``exp(-altitude of the cell / 8000 m)``.

    Parameters
    ----------
    emitters : pandas.DataFrame, n rows
        Columns `lat`, `lon` (degrees), `alt_m` (m above the ellipsoid), for ``free_space`` also
        `eirp_dbm` (dBm) and `freq_hz` (Hz); optional `weight` multiplies linear power (1 if there
        is none). Other columns are ignored. No rows is a field of nothing.
    grid : Grid
    model : str
        A name in `MODELS`.
    horizon : bool or "diffraction"
        Whether the radio horizon hides cells, or what is bent around it is counted; see above.
    floor_m : float, optional
        Floor under the distance, m. Powers: no distance counts as less; by default
        lambda/(4 pi), where the loss is 0 dB, so that nothing receives more than was radiated.
        ``inverse_square``: its square is added to every d^2; by default `Grid.floor_m`.
    min_horizon_m : float
        Distance, m, that every emitter reaches, whatever its height; 0 for the bare 4/3-earth
        formula. The default is the horizon of two handheld antennas, 10.1 km.
    dtype : {"float32", "float64"}
        Arithmetic and type of the field. float32 is within 5e-5 dB of the exact sum (about half of
        it the rounding of the stored dBm); float64 is the reference path, some 2.5 times slower.
    weights : array_like of float, shape (n,), optional
        Used instead of the column `weight`.
    method : {"auto", "direct", "tree"}
        How the sum is done. ``direct`` adds every emitter in every cell. ``tree`` interpolates the field of
        emitters that are well away, which costs at most 0.005 dB and is many times faster for many of them;
        none is left out. ``auto`` takes the tree where it is faster, and never for float64.
    rain_mm_h : float
        Rain rate below 3 km for ``atmospheric``, mm/h.
    clutter : engine.rf.clutter.Clutter, optional
        What stands around the emitters; those below its height lose by P.2108.

    Returns
    -------
    xarray.Dataset
        `power_dbm` (dBm) or `intensity` on ``grid.dims``, units and model in the attributes. Time
        and `seq` are the caller's to assign.

    Raises
    ------
    ValueError
        Unknown model, missing column, a value that is not finite or out of range; named with its row.

    Examples
    --------
    >>> mast = pd.DataFrame({"lat": [47.0], "lon": [8.0], "alt_m": [600.0], "eirp_dbm": [30.0], "freq_hz": [1e9]})
    >>> field = power_field(mast, Grid.from_bounds(7.99, 46.99, 8.01, 47.01, shape=(1, 1), alt_m=1600.0))
    >>> round(field.power_dbm.item(), 2)
    -62.45

    References
    ----------
    ITU-R P.525-4 (free space); P.310 (4/3 earth); P.676-13, P.838-3 (air); P.528-5 (horizon); P.2108-1 (clutter).
    """
    if dtype not in ROUNDING_DB:
        raise ValueError(f"dtype is {dtype!r}; it must be 'float32' or 'float64'")
    ready = prepare(
        emitters, model, horizon=horizon, floor_m=floor_m, default_floor_m=grid.floor_m, min_horizon_m=min_horizon_m,
        weights=weights, rain_mm_h=rain_mm_h, clutter=clutter,
    )  # fmt: skip
    exact = dtype == "float64"
    way = choose(method, ready.n, grid, ready.sources.law is None, exact)
    values = ready.values(*sum_sources(ready.sources, grid, way, exact), exact)
    return _frame(values.astype(dtype, copy=False).reshape(grid.array_shape), grid, ready, (way, dtype))


def sum_power_mw(
    x_m: Array,
    y_m: Array,
    z_m: Array,
    alt_m: Array,
    eirp_mw: Array,
    freq_hz: Array,
    grid: Grid,
    *,
    horizon: Horizon = True,
    floor_m: float | None = None,
    min_horizon_m: float = MIN_HORIZON_M,
    method: str = "auto",
    model: str = "free_space",
) -> NDArray[np.float32]:
    """Received power in mW, from arrays that are already right: the live server's way in.

    Inside the house types are trusted, so nothing is validated; `power_field` explains the meaning
    of the options and is what this agrees with.

    Parameters
    ----------
    x_m, y_m, z_m : float64, shape (n,)
        ECEF positions, m.
    alt_m : float64, shape (n,)
        Heights above the ellipsoid, m, for the radio horizon.
    eirp_mw, freq_hz : float64, shape (n,)
        EIRP, mW (times weight or confidence where that is wanted), and frequency, Hz.
    grid : Grid
    horizon, floor_m, min_horizon_m, method, model
        As in `power_field`.

    Returns
    -------
    ndarray of float32, shape ``grid.array_shape``
        Power, mW; 0 where there is none.

    Examples
    --------
    >>> from engine.geo import geodetic_to_ecef
    >>> x, y, z = (np.atleast_1d(v) for v in geodetic_to_ecef(0.0, 0.0, 0.0))
    >>> above = Grid.from_bounds(-1, -1, 1, 1, shape=(1, 1), alt_m=1000.0)
    >>> mw = sum_power_mw(x, y, z, np.zeros(1), np.ones(1), np.array([1e9]), above)
    >>> round(float(10 * np.log10(mw[0, 0])), 2)
    -92.45
    """
    unit = unit_loss_distance_m(freq_hz)
    sources = Sources(
        np.stack([x_m, y_m, z_m]), np.asarray(eirp_mw) * unit**2, unit if floor_m is None else floor_m,
        height_reach(alt_m, check_horizon(horizon, model)), min_horizon_m,
        law=law_of(model, np.asarray(alt_m), np.asarray(freq_hz), horizon), level_gain=level_gain_of(model),
    )  # fmt: skip
    return _linear(sources, grid, method)


def sum_intensity(
    x_m: Array,
    y_m: Array,
    z_m: Array,
    weight: Array,
    grid: Grid,
    *,
    floor_m: float | None = None,
    method: str = "auto",
) -> NDArray[np.float32]:
    """Unitless ``sum of weight / (d^2 + floor_m^2)`` from arrays that are already right.

    Parameters
    ----------
    x_m, y_m, z_m, weight : float64, shape (n,)
        ECEF positions, m, and weights, not negative.
    grid : Grid
    floor_m : float, optional
        m; by default `Grid.floor_m`, half the smallest cell spacing.
    method : {"auto", "direct", "tree"}
        As in `power_field`.

    Returns
    -------
    ndarray of float32, shape ``grid.array_shape``

    Examples
    --------
    >>> from engine.geo import geodetic_to_ecef
    >>> x, y, z = (np.atleast_1d(v) for v in geodetic_to_ecef(0.0, 0.0, 0.0))
    >>> here = Grid.from_bounds(-1, -1, 1, 1, shape=(1, 1))
    >>> float(sum_intensity(x, y, z, np.ones(1), here, floor_m=2.0)[0, 0])
    0.25
    """
    floor = grid.floor_m if floor_m is None else floor_m
    return _linear(Sources(np.stack([x_m, y_m, z_m]), np.asarray(weight), eps_m2=floor**2), grid, method)


def _linear(sources: Sources, grid: Grid, method: str) -> NDArray[np.float32]:
    way = choose(method, sources.gain.size, grid, sources.law is None, False)
    total, scale = sum_sources(sources, grid, way)
    total *= scale
    return total.reshape(grid.array_shape).astype(np.float32)


def linear_mw(power_dbm: xr.DataArray) -> xr.DataArray:
    """Power in mW from a field in dBm, with 0 mW where there is no power (NaN): what can be added.

    Examples
    --------
    >>> linear_mw(xr.DataArray([30.0, np.nan])).values.tolist()
    [1000.0, 0.0]
    """
    linear = dbm_to_mw(power_dbm.astype(np.float64)).fillna(0.0)  # type: ignore[type-var]
    return linear.assign_attrs(units="mW")


def warm() -> None:
    """Compile the field kernel, or load it from the cache, and check that it may run concurrently.

    Each kernel has one signature for all models, options and grids: a small sum by either method compiles everything.

    Raises
    ------
    RuntimeError
        Numba would run its threads on the `workqueue` layer, which kills a process that uses it
        from two threads.
    """
    one, grid = np.ones(1), Grid.from_bounds(0, 0, 1, 1, shape=(1, 1))
    for method in ("direct", "tree"):
        sum_intensity(one, one, one, one, grid, method=method)
    sources = Sources(np.ones((3, 1)), one)
    strongest_sources(sources, grid)
    in_dbm(np.ones((1, 1, 1)), 1.0, 0.0)
    if numba.threading_layer() == "workqueue":
        raise RuntimeError("Numba's threading layer is 'workqueue'; 'omp' or 'tbb' is needed: install one of them")


def _frame(values: NDArray[Any], grid: Grid, ready: Prepared, way: tuple[Method, str]) -> xr.Dataset:
    """Label a field with coordinates and attributes."""
    attrs = field_attrs(ready, grid) | {
        "summation": way[0],
        "method": METHOD_TEXT[way[0]].format(dtype=way[1]),
        "error_bound_db": error_bound_db(*way),
    }
    model = ready.model
    labelled = (grid.dims, values, {"units": model.units, "long_name": model.long_name})
    return xr.Dataset({model.variable: labelled}, grid_coords(grid), attrs)


def grid_coords(grid: Grid) -> dict[str, Any]:
    """Coordinates of a field on a grid, with units."""
    coords: dict[str, Any] = {
        "lat": ("lat", grid.lat, {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": ("lon", grid.lon, {"units": "degrees_east", "standard_name": "longitude"}),
        "alt": (("alt",) if grid.is_3d else (), grid.level_alt_m if grid.is_3d else grid.alt_m,
                {"units": "m", "standard_name": "height_above_reference_ellipsoid", "positive": "up"}),
    }  # fmt: skip
    if grid.projection == "web_mercator":
        coords["x_m"] = ("lon", grid.x_m, {"units": "m", "long_name": "Web Mercator x (EPSG:3857)"})
        coords["y_m"] = ("lat", grid.y_m, {"units": "m", "long_name": "Web Mercator y (EPSG:3857)"})
    return coords


def field_attrs(ready: Prepared, grid: Grid) -> dict[str, Any]:
    """Attributes that say what was computed from what, of types that NetCDF can store (no booleans, no None)."""
    return {
        "model": ready.model.name,
        "reference": ready.model.reference,
        "n_emitters": ready.n,
        "parameters": json.dumps(ready.parameters),
        "bounds": list(grid.bounds),
        "projection": grid.projection,
    }
