"""The field in three dimensions, at a few fixed levels of detail, as what a page draws and a file keeps.

Every cell has its own slant range to every emitter: a volume is no 2-D field scaled by height.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from engine.rf._field_sum import choose, error_bound_db, sum_sources
from engine.rf._sources import prepare
from engine.rf.field import field_attrs, grid_coords
from engine.rf.grid import Grid

DETAILS = (16, 32, 64)
"""Cells each way of the levels of detail (system A6)."""

TOP_M = 20_000.0
"""Highest level, m (system A5)."""


def volume_grid(
    west: float, south: float, east: float, north: float, cells: int = 64, levels: int | None = None,
    *, top_m: float = TOP_M, web_mercator: bool = True,
) -> Grid:  # fmt: skip
    """Grid of a volume: as many cells each way, and levels from 0 m to the top.

    Parameters
    ----------
    west, south, east, north : float
        Outer edges, degrees.
    cells : int
        Rows and columns; one of `DETAILS` is shared between viewers.
    levels : int, optional
        As many as `cells` if not given.
    top_m : float
        Highest level, m.
    web_mercator : bool
        Rows as a map draws them; otherwise equally spaced in latitude.

    Examples
    --------
    >>> volume_grid(5, 45, 11, 48, 16).array_shape
    (16, 16, 16)
    """
    alt_m = np.linspace(0.0, top_m, cells if levels is None else levels)
    build = Grid.web_mercator if web_mercator else Grid.from_bounds
    return build(west, south, east, north, shape=(cells, cells), alt_m=alt_m)


def power_volume(
    emitters: pd.DataFrame, grid: Grid, model: str = "free_space", *, method: str = "auto", **options: Any
) -> xr.Dataset:
    """Field of emitters in a volume, with a floor under the distance that comes from the grid.

    As `power_field`, but the square of half the smallest cell spacing is added to every squared
    distance: the cell an emitter is in does not swamp the picture, and one step straight up from a
    ground emitter keeps a fifth of its value. Ten spacings away that is 0.01 dB.

    Parameters
    ----------
    emitters, model, method, **options
        As in `power_field`; `floor_m` is half the smallest spacing unless given.
    grid : Grid
        With altitudes; see `volume_grid`.

    Returns
    -------
    xarray.Dataset
        `power_dbm` (dBm, NaN for none) or `intensity`, float32, on (alt, lat, lon).

    Raises
    ------
    ValueError
        A grid of one altitude, or what `power_field` raises.

    Examples
    --------
    >>> mast = pd.DataFrame({"lat": [47.0], "lon": [8.0], "alt_m": [0.0], "eirp_dbm": [30.0], "freq_hz": [1e9]})
    >>> power_volume(mast, volume_grid(7, 46, 9, 48, 16)).power_dbm.dims
    ('alt', 'lat', 'lon')

    References
    ----------
    System A5.
    """
    if not grid.is_3d:
        raise ValueError(f"the grid has the one altitude {grid.alt_m} m; a volume needs a sequence of altitudes")
    ready = prepare(emitters, model, default_floor_m=grid.floor_m, **options)
    if ready.top_dbm is not None:
        given = options.get("floor_m")
        floor = grid.floor_m if given is None else float(given)
        ready = replace(ready, sources=replace(ready.sources, floor_m=0.0, eps_m2=floor**2))
        ready.parameters["floor_m"] = floor
    way = choose(method, ready.n, grid, ready.sources.law is None, False)
    values = ready.values(*sum_sources(ready.sources, grid, way)).astype(np.float32, copy=False)
    attrs = field_attrs(ready, grid) | {"summation": way, "error_bound_db": error_bound_db(way, "float32")}
    labelled = (grid.dims, values.reshape(grid.array_shape), {"units": ready.model.units,
                                                              "long_name": ready.model.long_name})  # fmt: skip
    return xr.Dataset({ready.model.variable: labelled}, grid_coords(grid), attrs)
