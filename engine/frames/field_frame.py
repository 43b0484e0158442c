"""The field frame: the picture of one place at one moment, for everyone who looks at it.

From a snapshot of the tracks and a spec to arrays ready to be drawn: the field now, the predicted
field, the trails, and every emitter with where it is and where it will be. Pure computation; what
the layers look like is for the dashboard.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import xarray as xr

from engine.frames.spec import FieldSpec
from engine.frames.trails import trail_raster
from engine.geo import geodetic_to_ecef, web_mercator
from engine.rf.field import power_field, sum_intensity, sum_power_mw
from engine.rf.forecast import Prediction, predict_batch
from engine.rf.grid import Grid
from engine.rf.quantise import LEVELS, quantise
from engine.rf.tracks import ALT, CLIMB, LAT, LON, MEASURED, SPEED, TIME, TRACK, Tracks
from engine.units import dbm_to_mw, mw_to_dbm

TRAIL_FINENESS = 2
"""Cells of the trail raster per cell of the field, each way: lines need more than a smooth field does."""

REFERENCE_SIGMA_M = 2_000.0
"""One-sigma position uncertainty at which the forecast layer is drawn half transparent, m."""


@dataclass(frozen=True, slots=True)
class FieldFrame:
    """One computed frame.

    Attributes
    ----------
    spec : FieldSpec
        What was asked for.
    moment_s : float
        The moment shown, epoch seconds.
    seq : int
        Last event that is in it.
    tracks : Tracks
        The emitters, at their last fixes.
    now, ahead : Prediction
        Every emitter carried to the moment and to `forecast_s` after it, with covariances.
    levels : dict of str to ndarray of uint8, (ny, nx)
        Quantised layers by name, row 0 south (trails `TRAIL_FINENESS` times finer). Field and forecast:
        0 is none or under the limits, 1 … 255 span the limits; the error is half a step (`quantisation_db`).
    forecast_confidence : float
        1/(1 + (σ/2 km)²) with σ the median one-sigma radius of the predicted positions.
    compute_ms : float
        Time the computation took.
    """

    spec: FieldSpec
    moment_s: float
    seq: int
    tracks: Tracks
    now: Prediction
    ahead: Prediction
    levels: dict[str, np.ndarray] = field(repr=False)
    forecast_confidence: float
    compute_ms: float

    @property
    def quantisation_db(self) -> float:
        """Largest error of the 8-bit picture inside the limits, dB."""
        return 0.5 * (self.spec.high_dbm - self.spec.low_dbm) / (LEVELS - 1)

    def emitter_xy(self, which: Prediction) -> tuple[np.ndarray, np.ndarray]:
        """Web Mercator coordinates, m, of all emitters now or ahead."""
        return web_mercator(which.lat, which.lon)

    def to_dataset(self) -> xr.Dataset:
        """The frame as a dataset with full-precision fields, units and everything needed to repeat it.

        The fields are computed anew from the emitters in the frame, so nothing of the 8-bit picture is in it.
        """
        grid = frame_grid(self.spec)
        # Also a frame without a field has a place.
        out = xr.Dataset(
            coords={
                "lat": ("lat", grid.lat, {"units": "degrees_north", "standard_name": "latitude"}),
                "lon": ("lon", grid.lon, {"units": "degrees_east", "standard_name": "longitude"}),
            }
        )
        emitters = self.tracks.emitters()
        for name, where in (("field", self.now), ("forecast", self.ahead)):
            if name not in self.spec.layers:
                continue
            table = emitters.assign(lat=where.lat, lon=where.lon, alt_m=where.alt_m)[_placed(where)]
            one = power_field(table, grid, model=self.spec.model, horizon=self.spec.horizon)
            for variable in one.data_vars:
                out[str(variable) if name == "field" else f"forecast_{variable}"] = one[variable]
            out.attrs.update(one.attrs)
        ids = emitters["id"].astype(str).to_numpy(dtype=object)
        for name, where in (("emitter", self.now), ("predicted", self.ahead)):
            for quantity, unit in (("lat", "degrees_north"), ("lon", "degrees_east"), ("alt_m", "m")):
                out[f"{name}_{quantity}"] = ("emitter", np.asarray(getattr(where, quantity)), {"units": unit})
        out["emitter_eirp_dbm"] = ("emitter", emitters["eirp_dbm"].to_numpy(dtype=float), {"units": "dBm"})
        out["emitter_freq_hz"] = ("emitter", emitters["freq_hz"].to_numpy(dtype=float), {"units": "Hz"})
        out = out.assign_coords(emitter=("emitter", ids))
        out.attrs.update(
            moment=datetime.fromtimestamp(self.moment_s, UTC).isoformat(),
            seq=self.seq,
            forecast_s=self.spec.forecast_s,
            height_m=self.spec.height_m,
            title="Received power, now and predicted",
        )
        return out


@lru_cache(maxsize=64)
def _grid(west_m: float, south_m: float, east_m: float, north_m: float, nx: int, ny: int, height_m: float) -> Grid:
    bounds = FieldSpec(west_m, south_m, east_m, north_m, nx, ny).bounds_deg
    return Grid.web_mercator(*bounds, shape=(ny, nx), alt_m=height_m)


def frame_grid(spec: FieldSpec) -> Grid:
    """The grid of a spec: rows equally spaced in Web Mercator, so that the map shows it undistorted."""
    return _grid(spec.west_m, spec.south_m, spec.east_m, spec.north_m, spec.nx, spec.ny, spec.height_m)


def carried(tracks: Tracks, horizon_s: np.ndarray) -> Prediction:
    """Every emitter carried `horizon_s` (n,) seconds past its own last fix by the tracking filter."""
    r = tracks.ring
    return predict_batch(
        r[:, :, LAT], r[:, :, LON], r[:, :, ALT], r[:, :, TIME], r[:, :, SPEED], r[:, :, TRACK], r[:, :, CLIMB],
        tracks.count, horizon_s, position_time_s=r[:, :, MEASURED],
    )  # fmt: skip


def _placed(where: Prediction) -> np.ndarray:
    """Which emitters have a position: none has whose positions were all measured too long ago."""
    return np.isfinite(where.lat) & np.isfinite(where.lon) & np.isfinite(where.alt_m)


def _field(spec: FieldSpec, tracks: Tracks, where: Prediction) -> np.ndarray:
    """Summed field of all emitters that have a position, mW (or 1/m² for the inverse square), (ny, nx)."""
    placed = _placed(where)
    alt_m = np.asarray(where.alt_m)[placed]
    x, y, z = (np.ascontiguousarray(c) for c in geodetic_to_ecef(where.lat[placed], where.lon[placed], alt_m))
    if spec.model == "inverse_square":
        return sum_intensity(x, y, z, np.ones(len(alt_m)), frame_grid(spec))
    eirp_mw = dbm_to_mw(tracks.table["eirp_dbm"].to_numpy(dtype=float)[placed])
    freq_hz = tracks.table["freq_hz"].to_numpy(dtype=float)[placed]
    return sum_power_mw(x, y, z, alt_m, eirp_mw, freq_hz, frame_grid(spec), horizon=spec.horizon, model=spec.model)


def compute_field_frame(spec: FieldSpec, moment_s: float, tracks: Tracks, segments: np.ndarray) -> FieldFrame:
    """Compute a frame.

    Parameters
    ----------
    spec : FieldSpec
        What to compute.
    moment_s : float
        The moment shown, epoch seconds.
    tracks : Tracks
        Snapshot of the fold at that moment.
    segments : ndarray of float64, (n, 5)
        Trail segments, see `engine.frames.trails`.

    Returns
    -------
    FieldFrame
    """
    started = time.perf_counter()
    age_s = tracks.age_s
    now = carried(tracks, age_s)
    ahead = carried(tracks, age_s + spec.forecast_s)
    levels: dict[str, np.ndarray] = {}
    for name, where in (("field", now), ("forecast", ahead)):
        if name in spec.layers:
            levels[name] = quantise(mw_to_dbm(_field(spec, tracks, where)), spec.low_dbm, spec.high_dbm)
    if "trails" in spec.layers:
        bounds = (spec.west_m, spec.south_m, spec.east_m, spec.north_m)
        levels["trails"] = trail_raster(
            segments, bounds, (TRAIL_FINENESS * spec.ny, TRAIL_FINENESS * spec.nx), moment_s, spec.trail_s
        )
    sigma_m = np.sqrt(np.asarray(ahead.var_east_m2) + np.asarray(ahead.var_north_m2))
    known = sigma_m[np.isfinite(sigma_m)]
    spread = float(np.median(known)) if len(known) else 0.0
    return FieldFrame(
        spec=spec,
        moment_s=moment_s,
        seq=tracks.seq,
        tracks=tracks,
        now=now,
        ahead=ahead,
        levels=levels,
        forecast_confidence=1.0 / (1.0 + (spread / REFERENCE_SIGMA_M) ** 2),
        compute_ms=1e3 * (time.perf_counter() - started),
    )
