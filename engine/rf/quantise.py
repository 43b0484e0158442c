"""Powers as bytes for the browser and as half floats for files, with the error that this costs."""

from __future__ import annotations

import numpy as np
import xarray as xr

LEVELS = 255
"""Steps between the limits in 8 bits; 0 is kept for "no power or under the limits"."""


def quantise(power_dbm: np.ndarray, low_dbm: float, high_dbm: float) -> np.ndarray:
    """Power in dBm as bytes: 0 for none or under `low_dbm`, 1 … 255 across the limits.

    Examples
    --------
    >>> quantise(np.array([-np.inf, -91.0, -90.0, -50.0, 0.0]), -90.0, -50.0).tolist()
    [0, 0, 1, 255, 255]
    """
    step = (LEVELS - 1) / (high_dbm - low_dbm)
    with np.errstate(invalid="ignore"):
        level = np.rint((power_dbm - low_dbm) * step) + 1.0
        return np.where(power_dbm >= low_dbm, np.minimum(level, 255.0), 0.0).astype(np.uint8)


def quantisation_error_db(low_dbm: float, high_dbm: float) -> float:
    """Largest error of a byte inside the limits, dB: half a step."""
    return 0.5 * (high_dbm - low_dbm) / (LEVELS - 1)


def as_bytes(power_dbm: xr.DataArray, low_dbm: float, high_dbm: float) -> xr.DataArray:
    """A field as bytes, with what turns them back into dBm in the attributes.

    Parameters
    ----------
    power_dbm : xarray.DataArray
        dBm, any dims; NaN is no power.
    low_dbm, high_dbm : float
        Limits, dBm. Powers above the upper one count as it, below the lower one as none.

    Returns
    -------
    xarray.DataArray of uint8
        ``dBm = low_dbm + (byte - 1) step_db`` for bytes from 1; `error_db` is half a step.

    Raises
    ------
    ValueError
        Limits that do not increase.

    Examples
    --------
    >>> field = xr.DataArray([-120.0, -40.0, np.nan])
    >>> as_bytes(field, -120.0, -40.0).values.tolist()
    [1, 255, 0]
    """
    if not low_dbm < high_dbm:
        raise ValueError(f"limits are {low_dbm} and {high_dbm} dBm; the first must be below the second")
    step = (high_dbm - low_dbm) / (LEVELS - 1)
    error = quantisation_error_db(low_dbm, high_dbm)
    attrs = {"low_dbm": low_dbm, "high_dbm": high_dbm, "step_db": step, "error_db": error, "units": "1"}
    return power_dbm.copy(data=quantise(power_dbm.to_numpy(), low_dbm, high_dbm)).assign_attrs(attrs)


def from_bytes(levels: xr.DataArray) -> xr.DataArray:
    """Powers in dBm, float32, from the bytes of `as_bytes`; NaN for 0."""
    low, step = levels.attrs["low_dbm"], levels.attrs["step_db"]
    values = np.where(levels == 0, np.nan, low + (levels.to_numpy().astype(np.float32) - 1.0) * step)
    return levels.copy(data=values.astype(np.float32)).assign_attrs(units="dBm")


def for_storage(dataset: xr.Dataset) -> xr.Dataset:
    """Float fields as float16 with compression asked for; `error_db` is the largest rounding, by variable.

    Half a unit in the last of 11 bits: 0.03 dB between 64 and 128 dBm of either sign. The file is
    written by whoever calls, ``to_netcdf("volume.h5", engine="h5netcdf", invalid_netcdf=True)``:
    NetCDF itself knows no float16.

    Examples
    --------
    >>> stored = for_storage(xr.Dataset({"power_dbm": ("x", np.array([-99.97], np.float32))}))
    >>> stored.power_dbm.dtype, round(stored.power_dbm.attrs["error_db"], 3)
    (dtype('float16'), 0.031)
    """
    out = dataset.copy()
    for name, values in dataset.data_vars.items():
        if values.dtype.kind != "f":
            continue
        size = np.abs(values.to_numpy()[np.isfinite(values.to_numpy())]).max(initial=0.0)
        if size > np.finfo(np.float16).max:
            raise ValueError(f"{name} reaches {size:g}; float16 ends at {np.finfo(np.float16).max}")
        half = values.astype(np.float16)
        error = 0.5 * float(np.spacing(np.float16(size)))
        out[name] = half.assign_attrs(
            values.attrs | {"error_db" if values.attrs.get("units", "dBm") == "dBm" else "error": error}
        )
        out[name].encoding = {"dtype": "float16", "zlib": True, "complevel": 4, "shuffle": True}
    return out
