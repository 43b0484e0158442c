"""Where a set of sensors can locate, and how well: dilutions of precision as a field on a grid.

What the geometry alone allows, before anything has been received. This module must not know
measurements or positions found.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from engine.geo import geodetic_to_ecef  # noqa: F401
from engine.rf._tdoa_bound import bound_batch
from engine.rf._tdoa_input import checked_sensors
from engine.rf.grid import Grid

BLOCK_CELLS = 4096
"""Cells that a thread takes at a time."""


def gdop_field(sensors_ecef_m: ArrayLike, grid: Grid) -> xr.Dataset:
    """Dilution of precision of TDoA in every cell of a grid.

    The standard deviation of a position whose ranges have standard deviation 1: times ``c sigma_s``
    it is the Cramér–Rao bound in metres. Sensors on the ground hardly determine the height of an
    emitter near the ground, so `gdop` is large there even where the horizontal position is good;
    `hdop_known_alt` is what is left where the height is known. No account is taken of who hears whom.

    Parameters
    ----------
    sensors_ecef_m : array_like of float, shape (M, 3)
        Sensors, ECEF, m.
    grid : Grid

    Returns
    -------
    xarray.Dataset
        `gdop`, `hdop`, `vdop` (three unknown coordinates: all of it, its horizontal and its vertical
        part) and `hdop_known_alt`, float32 on ``grid.dims``; infinite where nothing is determined.

    Raises
    ------
    ValueError
        `sensors_ecef_m` is not of shape (M, 3).

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
    cells = np.stack([axis.ravel() for axis in grid.ecef_m()], axis=-1)
    bound, dilution = np.empty((len(cells), 3, 3)), np.empty((len(cells), 4))
    bound_batch(sensors, cells, np.ones((1, sensors.shape[1])), 0.0, bound, dilution, max(1, len(cells) // BLOCK_CELLS))
    names = {
        "gdop": "geometric dilution of precision",
        "hdop": "horizontal dilution of precision",
        "vdop": "vertical dilution of precision",
        "hdop_known_alt": "horizontal dilution of precision at known height",
    }
    fields = {
        name: (
            grid.dims,
            dilution[:, k].reshape(grid.array_shape).astype(np.float32),
            {"units": "1", "long_name": text},
        )
        for k, (name, text) in enumerate(names.items())
    }
    alt = ("alt", grid.level_alt_m) if grid.is_3d else ((), grid.alt_m)
    attrs = {"n_sensors": int(sensors.shape[1]), "bounds": list(grid.bounds), "projection": grid.projection}
    return xr.Dataset(fields, {"lat": ("lat", grid.lat), "lon": ("lon", grid.lon), "alt": alt}, attrs)
