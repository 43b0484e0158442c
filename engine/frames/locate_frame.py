"""What the Locate page shows at a moment: sensors, fixes, the lines of the selected message, dilution as a field.

A frame like the others: computed once for all who look at it, from arrivals that a fold has gathered. It knows
nothing of how a page draws it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from engine.frames.spec import snap_view
from engine.geo import inverse_web_mercator, slant_range_m
from engine.rf.arrival_fixes import Fixes, FixSettings, sensors_ecef_m
from engine.rf.grid import Grid
from engine.rf.hyperbola import hyperbola
from engine.rf.tdoa import SPEED_IN_AIR_M_S
from engine.rf.tdoa_field import gdop_field

DILUTIONS = ("none", "error_m", "hdop_known_alt", "hdop", "gdop")
"""What the field may show: nothing, the error at known height, or a dilution of precision."""

LIMITS = {"error_m": (10.0, 1_000.0)}
"""Limits of the colours, m; of a dilution `DILUTION_LIMITS`."""

DILUTION_LIMITS = (0.3, 100.0)

FIELD_CELLS = 40_000
"""Cells of the field at most."""

SQUARE_90 = -2.0 * np.log(0.1)
"""Quantile 0.9 of chi-squared with two degrees of freedom."""


@dataclass(frozen=True, slots=True)
class LocateSpec:
    """Everything that determines a locate frame, besides the events.

    Attributes
    ----------
    west_m, south_m, east_m, north_m : float
        Bounds of the field, Web Mercator metres.
    nx, ny : int
        Cells across and up.
    settings : FixSettings
        What is taken for true while fixes are computed.
    dilution : str
        One of `DILUTIONS`.
    field_alt_m : float
        Height of the field, m.
    reach_m : float
        How far a sensor hears at most, m; beyond the radio horizon none does.
    window_s : float
        How far back fixes reach, s.
    selected : str
        Emitter looked at closely, or the key of one of its messages; empty for none.
    moment_s : float or None
        The moment shown, epoch seconds; None is live.
    """

    west_m: float
    south_m: float
    east_m: float
    north_m: float
    nx: int
    ny: int
    settings: FixSettings = field(default_factory=FixSettings)
    dilution: str = "error_m"
    field_alt_m: float = 10_000.0
    reach_m: float = 400_000.0
    window_s: float = 900.0
    selected: str = ""
    moment_s: float | None = None

    @property
    def grid(self) -> Grid:
        """The grid of the field."""
        south, west = inverse_web_mercator(self.west_m, self.south_m)
        north, east = inverse_web_mercator(self.east_m, self.north_m)
        shape = (self.ny, self.nx)
        return Grid.web_mercator(float(west), float(south), float(east), float(north), shape, self.field_alt_m)


def field_bounds(view: tuple[float, float, float, float]) -> tuple[float, float, float, float, int, int]:
    """Bounds and shape of the field for a view, Web Mercator metres; nearly equal views share one."""
    return snap_view(*view, max_cells=FIELD_CELLS)


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredLine:
    """Where one pair of sensors has the emitter.

    Attributes
    ----------
    sensor, reference : str
        Later and first to hear.
    tdoa_s : float
        Between them.
    line : ndarray of float64, (n, 2)
        Latitude and longitude, degrees, at the height of the fix.
    """

    sensor: str
    reference: str
    tdoa_s: float
    line: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LocateFrame:
    """Everything the Locate page draws.

    Attributes
    ----------
    spec : LocateSpec
    moment_s : float
        Epoch seconds.
    seq : int
        Last event folded.
    fixes : Fixes
        All of the window, oldest first.
    sensors : DataFrame
        ``sensor``, ``lat``, ``lon``, ``alt_m``, ``sensor_type``, ``on``, ``heard`` (messages), ``farthest_m`` (to
        what it heard), ``residual_ns`` (median size).
    lines : tuple of MeasuredLine
        Of the selected message.
    row : int
        The selected message's row of the fixes; -1 for none.
    values, levels : ndarray of float32 and uint8, (ny, nx), or None
        The field, and what is drawn of it: 255 at the lower limit, 1 at the upper one, evenly in the logarithm; 0
        where nothing is determined.
    compute_ms : float
    """

    spec: LocateSpec
    moment_s: float
    seq: int
    fixes: Fixes
    sensors: pd.DataFrame
    lines: tuple[MeasuredLine, ...]
    row: int
    values: NDArray[np.float32] | None
    levels: NDArray[np.uint8] | None
    compute_ms: float

    @property
    def newest(self) -> pd.DataFrame:
        """The newest fix of each emitter that has one."""
        table = self.fixes.table
        return table[table["ok"]].groupby("entity", sort=False).tail(1)

    @property
    def score(self) -> dict[str, float]:
        """How well fixes agree with reports: ``n``, ``ok`` (share), ``error_m`` (median), ``inside`` (of 90 %)."""
        table = self.fixes.table
        told = table["square"].notna()
        return {
            "n": len(table),
            "ok": float(table["ok"].mean()) if len(table) else np.nan,
            "error_m": float(table["error_m"].median()) if told.any() else np.nan,
            "inside": float((table["square"][told] <= SQUARE_90).mean()) if told.any() else np.nan,
        }

    def to_dataset(self) -> xr.Dataset:
        """Fixes, residuals, sensors and the field, with units in attributes."""
        fixes, table = self.fixes, self.fixes.table
        out = xr.Dataset(coords={"fix": np.arange(len(table)), "sensor": self.sensors["sensor"].to_numpy(dtype=str)})
        for name in table:
            values = table[name].to_numpy()
            out[name] = ("fix", values.astype(str) if values.dtype == object else values, _attrs(str(name)))
        index = fixes.arrivals.sensor_index
        residual = np.full((len(table), len(self.sensors)), np.nan)
        rows, places = np.nonzero(index >= 0)
        residual[rows, index[rows, places]] = fixes.residual_s[rows, places]
        out["residual_s"] = (("fix", "sensor"), residual, {"units": "s", "long_name": "arrival measured less computed"})
        out["covariance_m2"] = (("fix", "axis", "axis_b"), fixes.covariance_m2, {"units": "m2"})
        for name in ("lat", "lon", "alt_m"):
            out[f"sensor_{name}"] = ("sensor", self.sensors[name].to_numpy(np.float64), _attrs(name))
        if self.values is not None:
            grid, unit = self.spec.grid, "m" if self.spec.dilution == "error_m" else "1"
            out = out.assign_coords(grid_lat=("y", grid.lat), grid_lon=("x", grid.lon))
            out["dilution"] = (("y", "x"), self.values, {"units": unit, "long_name": self.spec.dilution})
        s = self.spec.settings
        out.attrs |= {
            "moment_epoch_s": self.moment_s, "seq": self.seq, "sigma_ns": s.sigma_ns,
            "alt_sigma_m": np.nan if s.alt_sigma_m is None else s.alt_sigma_m,
            "report_sigma_m": s.report_sigma_m, "sensors_off": ",".join(s.off), "field_alt_m": self.spec.field_alt_m,
        }  # fmt: skip
        return out


def dilution_of(fixes: Fixes, spec: LocateSpec) -> xr.Dataset:
    """Dilutions on the spec's grid, of the sensors that are on; for a board to keep."""
    sensors = fixes.arrivals.sensors
    on = sensors[~sensors["sensor"].isin(spec.settings.off)]
    return gdop_field(sensors_ecef_m(on), spec.grid, reach_m=spec.reach_m, horizon=True)


def compute_locate_frame(
    spec: LocateSpec,
    moment_s: float,
    fixes: Fixes,
    dilution: xr.Dataset | None,
    lines: tuple[MeasuredLine, ...] | None = None,
    started: float | None = None,
) -> LocateFrame:
    """Put a frame together.

    Parameters
    ----------
    spec : LocateSpec
    moment_s : float
        Epoch seconds.
    fixes : Fixes
        Computed with ``spec.settings``.
    dilution : Dataset, optional
        As `dilution_of` gives it; None where no field is wanted.
    lines : tuple of MeasuredLine, optional
        Of the selected message, where they are at hand; computed if not.
    started : float, optional
        `time.perf_counter` when the work for it began.
    """
    started = time.perf_counter() if started is None else started
    row = selected_row(fixes.table, spec.selected)
    values = levels = None
    if dilution is not None and spec.dilution != "none":
        values = _values(dilution, spec)
        levels = to_levels(values, limits(spec.dilution))
    if lines is None:
        lines = measured_lines(fixes, row, spec.field_alt_m)
    return LocateFrame(
        spec, moment_s, fixes.arrivals.seq, fixes, _sensor_table(fixes), lines, row, values, levels,
        1e3 * (time.perf_counter() - started),
    )  # fmt: skip


def selected_row(table: pd.DataFrame, selected: str) -> int:
    """Row of the message with this key, else of the newest message of this emitter; -1 for none."""
    if not selected:
        return -1
    found = np.flatnonzero(table["key"].to_numpy(dtype=object) == selected)
    if not len(found):
        found = np.flatnonzero(table["entity"].to_numpy(dtype=object) == selected)
    return int(found[-1]) if len(found) else -1


def limits(dilution: str) -> tuple[float, float]:
    """Limits of the colours of a field."""
    return LIMITS.get(dilution, DILUTION_LIMITS)


def to_levels(values: NDArray[np.float32], bounds: tuple[float, float]) -> NDArray[np.uint8]:
    """Eight-bit levels of a field, evenly in the logarithm: 255 at the lower limit, 1 at the upper, 0 for none.

    Examples
    --------
    >>> to_levels(np.array([1.0, 10.0, 100.0, np.inf], np.float32), (1.0, 100.0)).tolist()
    [255, 128, 1, 0]
    """
    low, high = bounds
    known = np.isfinite(values)
    share = np.log(np.clip(np.where(known, values, high), low, high) / low) / np.log(high / low)
    return np.where(known, np.rint(255.0 - 254.0 * share), 0.0).astype(np.uint8)


def measured_lines(fixes: Fixes, row: int, alt_m: float) -> tuple[MeasuredLine, ...]:
    """The lines of a message, each sensor against the first that heard; at the height of its fix, if it has one."""
    if row < 0:
        return ()
    one, arrivals = fixes.table.iloc[row], fixes.arrivals
    heard = np.flatnonzero(fixes.used[row])
    if len(heard) < 2:
        return ()
    heard = heard[np.argsort(arrivals.toa_s[row, heard], kind="stable")]
    height = next((float(h) for h in (one["alt_m"], one["reported_alt_m"]) if np.isfinite(h)), alt_m)
    through = (float(one["lat"]), float(one["lon"])) if one["ok"] else None
    where = arrivals.sensors[["lat", "lon", "alt_m"]].to_numpy(np.float64)[arrivals.sensor_index[row, heard]]
    names = arrivals.sensors["sensor"].to_numpy(dtype=object)[arrivals.sensor_index[row, heard]]
    lines = []
    for k in range(1, len(heard)):
        tdoa_s = float(arrivals.toa_s[row, heard[k]] - arrivals.toa_s[row, heard[0]])
        line = hyperbola(where[[0, k]], tdoa_s, height, speed_m_s=SPEED_IN_AIR_M_S, through=through)
        lines.append(MeasuredLine(str(names[k]), str(names[0]), tdoa_s, line))
    return tuple(lines)


def _values(dilution: xr.Dataset, spec: LocateSpec) -> NDArray[np.float32]:
    if spec.dilution == "error_m":
        metres = dilution["hdop_known_alt"].to_numpy() * (SPEED_IN_AIR_M_S * spec.settings.sigma_ns * 1e-9)
        return np.asarray(metres, np.float32)
    return np.asarray(dilution[spec.dilution].to_numpy(), np.float32)


def _sensor_table(fixes: Fixes) -> pd.DataFrame:
    arrivals, table = fixes.arrivals, fixes.table
    rows, places = np.nonzero(arrivals.sensor_index >= 0)
    at = arrivals.sensor_index[rows, places]
    stand = arrivals.sensors.iloc[at]
    lat, lon, alt = (
        table[name].fillna(table[f"reported_{name}"]).to_numpy(np.float64)[rows] for name in ("lat", "lon", "alt_m")
    )
    away_m = slant_range_m(stand["lat"], stand["lon"], stand["alt_m"], lat, lon, np.nan_to_num(alt))
    pairs = pd.DataFrame(
        {"at": at, "away_m": away_m, "residual_ns": np.abs(fixes.residual_s[rows, places]) * 1e9}
    ).groupby("at")
    everyone = range(len(arrivals.sensors))
    return arrivals.sensors.assign(
        on=~arrivals.sensors["sensor"].isin(fixes.settings.off),
        heard=pairs.size().reindex(everyone, fill_value=0).to_numpy(np.int64),
        farthest_m=pairs["away_m"].max().reindex(everyone).to_numpy(np.float64),
        residual_ns=pairs["residual_ns"].median().reindex(everyone).to_numpy(np.float64),
    )


def _attrs(name: str) -> dict[str, str]:
    units = {"time_s": "seconds since 1970-01-01", "chi2": "1", "gdop": "1", "external_reliability": "1", "square": "1"}
    ending = {"_m": "m", "_s": "s", "_deg": "degrees", "lat": "degrees_north", "lon": "degrees_east"}
    unit = units.get(name) or next((unit for end, unit in ending.items() if name.endswith(end)), "")
    # xarray takes a unit of "seconds since" for a time of its own.
    return {} if not unit or name == "time_s" else {"units": unit}
