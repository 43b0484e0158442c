"""Fixes as plain arrays sorted by emitter and time, and windows of the newest ones for the kernel.

The bridge from a table to the compiled code, for one forecast or for many moments of a recording.
It must not know filters, and reads nothing itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.geo import wrap_longitude
from engine.rf._fix_trust import mark_table

Array = NDArray[np.float64]

REQUIRED = ("id", "time", "lat", "lon")
FLOATS = ("lat", "lon", "alt_m", "speed_m_s", "track_deg", "vertical_rate_m_s")


class FixTable(NamedTuple):
    """Fixes sorted by emitter and time; rows ``start[g]`` to ``start[g + 1]`` belong to ``ids[g]``."""

    ids: Any
    start: NDArray[np.int64]
    lat: Array
    lon: Array
    alt_m: Array
    speed_m_s: Array
    track_deg: Array
    vertical_rate_m_s: Array
    time_s: Array
    position_time_s: Array
    use: NDArray[np.int64]
    """Marks of `engine.rf._fix_trust`."""
    row: NDArray[np.int64]
    """Row of the table the fix came from."""

    @property
    def group(self) -> NDArray[np.int64]:
        """Index into `ids` of every row."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.start))

    @property
    def measured_s(self) -> Array:
        """When each position was measured, s since 1970: as told, else when it was reported."""
        return np.where(np.isfinite(self.position_time_s), self.position_time_s, self.time_s)


def epoch_s(times: pd.Series) -> Array:
    """Seconds since 1970 of a column of times, aware or taken as UTC; missing times are NaN."""
    utc = pd.to_datetime(times, utc=True)
    return (utc - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)


def fix_table(fixes: pd.DataFrame) -> FixTable:
    """Sort a table of fixes and mark what is news in it; rows without id or time are left out."""
    missing = [name for name in REQUIRED if name not in fixes]
    if missing:
        raise KeyError(f"fixes lack the columns {missing}; they have {list(fixes.columns)}")
    codes, ids = pd.factorize(fixes["id"], sort=True)
    unknown = np.full(len(fixes), np.nan)
    values = {name: fixes[name].to_numpy(np.float64, na_value=np.nan) if name in fixes else unknown for name in FLOATS}
    time_s = epoch_s(fixes["time"])
    measured = epoch_s(fixes["position_time"]) if "position_time" in fixes else unknown
    # every column breaks ties, so that the order of the rows given cannot matter
    order = np.lexsort((*(values[name] for name in reversed(FLOATS)), measured, time_s, codes))
    order = order[(codes[order] >= 0) & np.isfinite(time_s[order])]
    start = np.searchsorted(codes[order], np.arange(len(ids) + 1)).astype(np.int64)
    columns = {name: np.ascontiguousarray(values[name][order]) for name in FLOATS}
    columns["lon"] = wrap_longitude(columns["lon"])
    use, age_s = np.zeros(order.size, np.int64), np.zeros(order.size)
    time_s, measured = time_s[order], measured[order]
    mark_table(
        columns["lat"], columns["lon"], time_s, measured, columns["speed_m_s"], columns["track_deg"], start, use, age_s
    )
    return FixTable(
        ids, start, columns["lat"], columns["lon"], columns["alt_m"], columns["speed_m_s"], columns["track_deg"],
        columns["vertical_rate_m_s"], time_s, measured, use, order,
    )  # fmt: skip


class Windows(NamedTuple):
    """The newest fixes up to some rows of a table, right-aligned, in the order `forecast_batch` takes them."""

    lat: Array
    lon: Array
    alt_m: Array
    time_s: Array
    speed_m_s: Array
    track_deg: Array
    vertical_rate_m_s: Array
    position_time_s: Array
    n_fixes: NDArray[np.int64]


def windows(table: FixTable, ends: NDArray[np.int64], width: int) -> Windows:
    """The `width` newest fixes with news up to each row of `ends`, in ``width + 1`` columns.

    A last row without news tells the time alone and takes the additional place.
    """
    kept = np.append(np.flatnonzero(table.use), -1)
    stop = np.searchsorted(kept[:-1], ends, side="right")
    # the row itself takes the last place, whether it brings news or not
    silent = kept[stop - 1] != ends
    stop -= ~silent
    position = stop[:, None] - np.arange(width, 0, -1)
    rows = np.concatenate([np.where(position >= 0, kept[np.maximum(position, 0)], -1), ends[:, None]], axis=1)
    first = table.start[np.searchsorted(table.start, ends, side="right") - 1]
    inside = rows >= first[:, None]
    rows = np.where(inside, rows, ends[:, None])
    marks = table.use[rows]

    def pick(values: Array, mask: NDArray[np.int64]) -> Array:
        return np.where(mask != 0, values[rows], np.nan)

    return Windows(
        pick(table.lat, marks & 1), pick(table.lon, marks & 1), pick(table.alt_m, marks), table.time_s[rows],
        pick(table.speed_m_s, marks & 2), pick(table.track_deg, marks & 2), pick(table.vertical_rate_m_s, marks),
        pick(table.position_time_s, marks & 1), np.minimum(inside.sum(axis=1), width + silent),
    )  # fmt: skip
