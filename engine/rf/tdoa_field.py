"""Where a set of sensors can locate, and how well: dilutions of precision as a field on a grid.

What the geometry alone allows, before anything has been received. This module must not know
measurements or positions found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from engine.geo import geodetic_to_ecef, radio_horizon_m
from engine.rf._ellipsoid import ecef_to_geodetic
from engine.rf._tdoa_bound import bound_batch
from engine.rf._tdoa_input import checked_sensors
from engine.rf.grid import Grid

BLOCK_CELLS = 4096
"""Cells that a thread takes at a time."""

BLOCK_WEIGHTS = 4_000_000
"""Pairs of cell and sensor held at a time where each cell has its own sensors."""


def gdop_field(sensors_ecef_m: ArrayLike, grid: Grid, *, reach_m: float = np.inf, horizon: bool = False) -> xr.Dataset:
    """Dilution of precision of TDoA in every cell of a grid.

    The standard deviation of a position whose ranges have standard deviation 1: times ``c sigma_s``
    it is the Cramér–Rao bound in metres. Sensors on the ground hardly determine the height of an
    emitter near the ground, so `gdop` is large there even where the horizontal position is good;
    `hdop_known_alt` is what is left where the height is known. Without `reach_m` and `horizon` every sensor hears
    every cell.

    Parameters
    ----------
    sensors_ecef_m : array_like of float, shape (M, 3)
        Sensors, ECEF, m.
    grid : Grid
    reach_m : float
        A sensor farther from a cell than this does not hear it, m.
    horizon : bool
        Neither does one beyond the 4/3-earth radio horizon.

    Returns
    -------
    xarray.Dataset
        `gdop`, `hdop`, `vdop` (three unknown coordinates: all of it, its horizontal and its vertical
        part) and `hdop_known_alt`, float32 on ``grid.dims``; infinite where nothing is determined. `n_hear`, int16:
        how many sensors hear the cell.

    Raises
    ------
    ValueError
        `sensors_ecef_m` is not of shape (M, 3), or `reach_m` is not above 0.

    Examples
    --------
    >>> sensors = np.stack(geodetic_to_ecef([46.0, 46.0, 48.0, 48.0], [7.0, 9.0, 7.0, 9.0], 0.0), axis=-1)
    >>> field = gdop_field(sensors, Grid.from_bounds(6, 45, 10, 49, shape=(3, 3), alt_m=10_000.0))
    >>> bool(field.hdop_known_alt.values.argmin() == 4)
    True

    References
    ----------
    Torrieri 1984, Statistical theory of passive location systems, IEEE Trans. AES 20.
    """
    sensors = checked_sensors(sensors_ecef_m, None)
    if len(sensors) != 1:
        raise ValueError(f"sensors_ecef_m has shape {sensors.shape}; (M, 3) is needed: one set for the whole grid")
    if not reach_m > 0.0:
        raise ValueError(f"reach_m is {reach_m}; it must be a distance above 0 m")
    cells = np.stack([axis.ravel() for axis in grid.ecef_m()], axis=-1)
    dilution, n_hear = np.empty((len(cells), 4)), np.empty(len(cells), np.int16)
    step = max(1, BLOCK_WEIGHTS // sensors.shape[1])
    for start in range(0, len(cells), step):
        part = slice(start, start + step)
        hears = np.ones((1, sensors.shape[1]))
        if horizon or reach_m < np.inf:
            hears = _hears(sensors[0], cells[part], reach_m, horizon)
        n_hear[part] = hears.sum(axis=1)
        some = cells[part]
        bound_batch(
            sensors, some, hears, 0.0, np.empty((len(some), 3, 3)), dilution[part], max(1, len(some) // BLOCK_CELLS)
        )
    # Two unknowns across the ground take three sensors, and where there are fewer the kernel divides by nothing.
    dilution[n_hear < 4, :3] = np.inf
    dilution[n_hear < 3, 3] = np.inf
    names = {
        "gdop": "geometric dilution of precision",
        "hdop": "horizontal dilution of precision",
        "vdop": "vertical dilution of precision",
        "hdop_known_alt": "horizontal dilution of precision at known height",
    }
    fields: dict[str, Any] = {
        name: (
            grid.dims,
            dilution[:, k].reshape(grid.array_shape).astype(np.float32),
            {"units": "1", "long_name": text},
        )
        for k, (name, text) in enumerate(names.items())
    }
    fields["n_hear"] = (
        grid.dims,
        n_hear.reshape(grid.array_shape),
        {"units": "1", "long_name": "number of sensors that hear the cell"},
    )
    alt = ("alt", grid.level_alt_m) if grid.is_3d else ((), grid.alt_m)
    attrs = {"n_sensors": int(sensors.shape[1]), "bounds": list(grid.bounds), "projection": grid.projection}
    return xr.Dataset(fields, {"lat": ("lat", grid.lat), "lon": ("lon", grid.lon), "alt": alt}, attrs)


def warm() -> None:
    """Compile the kernels, or load them from the cache."""
    sensors = np.stack(geodetic_to_ecef([46.0, 46.0, 48.0, 48.0], [7.0, 9.0, 7.0, 9.0], 0.0), axis=-1)
    gdop_field(sensors, Grid.from_bounds(6, 45, 10, 49, shape=(3, 3), alt_m=10_000.0), reach_m=4e5, horizon=True)


def _hears(sensors: np.ndarray, cells: np.ndarray, reach_m: float, horizon: bool) -> np.ndarray:
    """1.0 where a sensor hears a cell, else 0.0; shape (cells, sensors)."""
    x, y, z = (cells[:, None, k] - sensors[None, :, k] for k in range(3))
    away_m = np.sqrt(x * x + y * y + z * z)
    most_m: np.ndarray | float = reach_m
    if horizon:
        heights = [ecef_to_geodetic(*points.T)[2] for points in (cells, sensors)]
        most_m = np.minimum(radio_horizon_m(heights[0][:, None], heights[1][None, :]), reach_m)
    return np.asarray(away_m <= most_m, dtype=np.float64)
