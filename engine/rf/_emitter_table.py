"""Columns of an emitter table as checked arrays, and errors that name the column, the row and what would be right."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LIMITS = {"lat": 90.0, "lon": 180.0, "alt_m": 1e9, "eirp_dbm": 1e3, "freq_hz": 3e12}
"""Largest size of a value in each column."""


def emitter_columns(
    emitters: pd.DataFrame, columns: tuple[str, ...], weights: ArrayLike | None = None
) -> dict[str, Array]:
    """The named columns and `weight` (1 if there is none), float64 of shape (n,).

    Raises
    ------
    ValueError
        Missing column, a value that is not finite or out of range; named with its row.
    """
    table = {name: _column(emitters, name) for name in columns}
    table["weight"] = _weights(emitters, weights)
    return table


def _numbers(emitters: pd.DataFrame, name: str) -> Array:
    """A column as float64, NaN for what is missing, or an error that names the column."""
    if name not in emitters:
        raise ValueError(f"emitters have no column {name!r}; columns are {list(emitters.columns)}")
    try:
        return emitters[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} of emitters is {emitters[name].dtype}, not numbers: {error}") from error


def _column(emitters: pd.DataFrame, name: str) -> Array:
    """A column within its limits, or an error that names the column, the value and what would be right."""
    values = _numbers(emitters, name)
    bad = ~(np.abs(values) <= LIMITS[name])
    if name == "freq_hz":
        bad |= values <= 0.0
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        right = "above 0 and at most " if name == "freq_hz" else "within ±"
        raise ValueError(
            f"column {name!r} of emitters is {values[row]} in row {row}; it must be finite and {right}{LIMITS[name]:g}"
        )
    return values


def _weights(emitters: pd.DataFrame, weights: ArrayLike | None) -> Array:
    if weights is not None:
        values = np.asarray(weights, dtype=np.float64)
    else:
        values = _numbers(emitters, "weight") if "weight" in emitters else np.ones(len(emitters))
    if values.shape != (len(emitters),):
        raise ValueError(f"weights have shape {values.shape}; one for each of the {len(emitters)} emitters is needed")
    bad = ~(np.isfinite(values) & (values >= 0.0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"'weight' is {values[row]} in row {row}; it must be finite and not negative")
    return values
