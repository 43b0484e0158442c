"""The door of the hypergraph: columns of a table, checked and turned into arrays before anything changes.

Accepts a DataFrame, an Arrow table or a mapping of columns. It must not know how they are stored.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

Array = NDArray[np.float64]
NOTHING = np.empty(0)

MAX_LAT, MAX_LON = 90.0, 180.0
"""Largest absolute value of a position, degrees."""


def require(table: Any, needed: Collection[str], allowed: Collection[str]) -> None:
    """Refuse a table that lacks a column, or has one that would be silently ignored."""
    names = list(table.column_names if isinstance(table, pa.Table) else table.keys())
    missing = [name for name in needed if name not in names]
    unknown = [name for name in names if name not in allowed]
    if missing or unknown:
        wrong = f"lacks {missing}" if missing else f"has the unknown columns {unknown}"
        raise ValueError(f"the table {wrong}; its columns are {names}, it may have {sorted(allowed)}")


def column(table: Any, name: str) -> Any | None:
    """A column of a table, None where there is none."""
    if isinstance(table, pa.Table):
        return table[name] if name in table.column_names else None
    return table.get(name)


def numbers(table: Any, name: str) -> Array:
    """A column as float64, NaN where missing; of length 0 where there is no such column."""
    values = column(table, name)
    if values is None:
        return NOTHING
    try:
        if isinstance(values, pa.ChunkedArray | pa.Array):
            values = values.to_pandas()
        if isinstance(values, pd.Series):
            out = values.to_numpy(np.float64, na_value=np.nan)
        else:
            out = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"column {name!r} is not numbers: {error}") from error
    return np.ascontiguousarray(out)


def weights(table: Any, name: str = "weight") -> Array:
    """A column of weights, NaN where not stated; 0 is a weight."""
    out = numbers(table, name)
    bad = (out < 0.0) | np.isinf(out)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"column {name!r} is {out[row]} in row {row}; it must be finite and not negative")
    return out


def times_s(table: Any, name: str = "time") -> Array:
    """A column of moments as seconds since 1970, from such seconds or from timestamps; NaN where not known."""
    values = column(table, name)
    if values is None:
        return NOTHING
    if isinstance(values, pa.ChunkedArray | pa.Array):
        values = values.to_pandas()
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        values = pd.Series(values)
    if isinstance(values, pd.Series) and pd.api.types.is_datetime64_any_dtype(values.dtype):
        utc = values.dt.tz_convert("UTC").dt.tz_localize(None) if values.dt.tz is not None else values
        micros = utc.to_numpy("datetime64[us]")
        out = micros.astype(np.int64) * 1e-6
        out[np.isnat(micros)] = np.nan
        return out
    out = numbers({name: values}, name)
    if np.isinf(out).any():
        row = int(np.flatnonzero(np.isinf(out))[0])
        raise ValueError(f"column {name!r} is {out[row]} in row {row}; it must be a moment in seconds since 1970")
    return out


def moment_s(value: Any, name: str) -> float:
    """One moment as seconds since 1970, from such seconds or from a timestamp (UTC where it names no zone)."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        out = float(value)
    else:
        stamp = pd.Timestamp(value)
        stamp = stamp.tz_localize("UTC") if stamp.tz is None else stamp
        out = (stamp - pd.Timestamp(0, tz="UTC")).total_seconds()
    if not np.isfinite(out):
        raise ValueError(f"{name} is {value!r}; it must be a moment in seconds since 1970, or a timestamp")
    return out


def positions(table: Any) -> tuple[Array, Array]:
    """Columns `lat` and `lon`, degrees; a row has both or neither (NaN), and both within their limits."""
    lat, lon = numbers(table, "lat"), numbers(table, "lon")
    if len(lat) != len(lon):
        raise ValueError("a table with positions needs both columns, 'lat' and 'lon'")
    bad = (np.abs(lat) > MAX_LAT) | (np.abs(lon) > MAX_LON) | (np.isnan(lat) != np.isnan(lon))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"the position in row {row} is lat {lat[row]}, lon {lon[row]}; "
            "it must be within ±90 and ±180 degrees, or missing in both columns"
        )
    return lat, lon
