"""The field frame: the picture of one place at one moment, for everyone who looks at it.

From a snapshot of the tracks and a spec to arrays ready to be drawn: the field now, the predicted
field, the trails, and every emitter with where it is and where it will be. Pure computation; what
the layers look like is for the dashboard.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import pandas as pd
import xarray as xr

from engine.frames.field_dominance import Dominance, cell_areas_km2, dominance_of, groups_of
from engine.frames.field_scene import FieldScene, Places, placed
from engine.frames.spec import FieldSpec
from engine.frames.trails import trail_raster
from engine.rf.dominance import dominance
from engine.rf.field import power_field, sum_intensity, sum_power_mw
from engine.rf.forecast import Prediction
from engine.rf.grid import Grid
from engine.rf.quantise import LEVELS, quantise
from engine.rf.tracks import Tracks
from engine.units import mw_to_dbm

TRAIL_FINENESS = 2
"""Cells of the trail raster per cell of the field, each way: lines need more than a smooth field does."""

MAX_MARKERS = 1_000
"""Emitters within a frame beyond which they are a picture: single markers hide each other and cost every viewer."""

REFERENCE_SIGMA_M = 2_000.0
"""One-sigma position uncertainty at which the forecast layer is drawn half transparent, m."""


@dataclass(frozen=True, slots=True, eq=False)
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
    now_xy, ahead_xy : ndarray of float64, (2, n)
        Their Web Mercator coordinates, m.
    spread_m : float
        Median one-sigma radius of the predicted positions, m; NaN where none is known.
    levels : dict of str to ndarray of uint8, (ny, nx)
        Quantised layers by name, row 0 south (trails `TRAIL_FINENESS` times finer). Field and forecast:
        0 is none or under the limits, 1 … 255 span the limits; the error is half a step (`quantisation_db`).
    forecast_confidence : float
        1/(1 + (σ/2 km)²) with σ the median one-sigma radius of the predicted positions.
    compute_ms : float
        Time the computation took.
    crowd : ndarray of uint8, (ny, nx), or None
        Where there are more than `MAX_MARKERS` emitters: 255 at each, on the cells of the trails.
    dominance : Dominance or None
        Where it is wanted and somebody is there.
    """

    spec: FieldSpec
    moment_s: float
    seq: int
    tracks: Tracks
    now: Prediction
    ahead: Prediction
    now_xy: np.ndarray = field(repr=False)
    ahead_xy: np.ndarray = field(repr=False)
    spread_m: float
    levels: dict[str, np.ndarray] = field(repr=False)
    forecast_confidence: float
    compute_ms: float
    crowd: np.ndarray | None = field(default=None, repr=False)
    dominance: Dominance | None = None

    @property
    def quantisation_db(self) -> float:
        """Largest error of the 8-bit picture inside the limits, dB."""
        return 0.5 * (self.spec.high_dbm - self.spec.low_dbm) / (LEVELS - 1)

    def _dominance_dataset(self, emitters: pd.DataFrame, grid: Grid) -> xr.Dataset:
        spec, now = self.spec, self.now
        by = "ab" if spec.contest == "ab" else spec.group_by
        table = emitters.assign(lat=now.lat, lon=now.lon, alt_m=now.alt_m)
        known = placed(now)
        groups = {
            name: table.iloc[rows[known[rows]]]
            for name, rows in groups_of(self.tracks.table, by, spec.group_a, spec.group_b).items()
        }
        one = dominance(groups, grid, spec.model, contested_db=spec.contested_db, powers=True, horizon=spec.horizon)
        return one.rename({name: f"group_{name}" for name in ("power_dbm", "intensity") if name in one})

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
        if self.dominance is not None:
            out.update(self._dominance_dataset(emitters, grid))
        for name, where in (("field", self.now), ("forecast", self.ahead)):
            if name not in self.spec.layers:
                continue
            table = emitters.assign(lat=where.lat, lon=where.lon, alt_m=where.alt_m)[placed(where)]
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


def _field(spec: FieldSpec, places: Places, only: np.ndarray | None = None) -> np.ndarray:
    """Summed field of all emitters (or rows `only`) that have a position, mW (inverse square: 1/m²), (ny, nx)."""
    (x, y, z), alt_m, eirp_mw, freq_hz, row = places.radiators
    if only is not None:
        kept = np.isin(row, only)
        x, y, z, alt_m, eirp_mw, freq_hz = (values[kept] for values in (x, y, z, alt_m, eirp_mw, freq_hz))
    if spec.model == "inverse_square":
        return sum_intensity(x, y, z, np.ones(len(alt_m)), frame_grid(spec))
    return sum_power_mw(x, y, z, alt_m, eirp_mw, freq_hz, frame_grid(spec), horizon=spec.horizon, model=spec.model)


def _shared_field(spec: FieldSpec, scene: FieldScene, places: Places, after_s: float) -> np.ndarray:
    """The field of all emitters `after_s` from the scene's moment, in part from what other views had computed."""
    if spec.model == "inverse_square":  # its floor is that of the whole grid
        return _field(spec, places)
    layer = (after_s, spec.model, spec.horizon, spec.height_m)
    return scene.known.raster(layer, spec, lambda part: _field(part, places))


def compute_field_frame(spec: FieldSpec, moment_s: float, tracks: Tracks, segments: np.ndarray) -> FieldFrame:
    """Compute a frame of emitters that nobody else looks at; see `frame_of` for a scene that many share.

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
    return frame_of(spec, FieldScene(moment_s, tracks, lambda _: segments))


def frame_of(spec: FieldSpec, scene: FieldScene, go_on: Callable[[], None] = lambda: None) -> FieldFrame:
    """The frame of a view of a scene; `go_on` is called between its layers and may raise."""
    started = time.perf_counter()
    moment_s, tracks = scene.moment_s, scene.tracks
    now, ahead = scene.at(spec.forecast_s)
    levels: dict[str, np.ndarray] = {}
    for name, places, after_s in (("field", now, 0.0), ("forecast", ahead, spec.forecast_s)):
        if name in spec.layers:
            go_on()
            levels[name] = quantise(mw_to_dbm(_shared_field(spec, scene, places, after_s)), spec.low_dbm, spec.high_dbm)
    go_on()
    if "trails" in spec.layers:
        bounds = (spec.west_m, spec.south_m, spec.east_m, spec.north_m)
        levels["trails"] = trail_raster(
            scene.segments(spec.trail_s), bounds, (TRAIL_FINENESS * spec.ny, TRAIL_FINENESS * spec.nx), moment_s,
            spec.trail_s,
        )  # fmt: skip
    spread_m = ahead.spread_m if np.isfinite(ahead.spread_m) else 0.0
    return FieldFrame(
        spec=spec,
        moment_s=moment_s,
        seq=tracks.seq,
        tracks=tracks,
        now=now.where,
        ahead=ahead.where,
        now_xy=now.xy,
        ahead_xy=ahead.xy,
        spread_m=ahead.spread_m,
        levels=levels,
        forecast_confidence=1.0 / (1.0 + (spread_m / REFERENCE_SIGMA_M) ** 2),
        compute_ms=1e3 * (time.perf_counter() - started),
        crowd=_crowd(spec, now),
        dominance=_dominance(spec, scene, now),
    )


def _dominance(spec: FieldSpec, scene: FieldScene, now: Places) -> Dominance | None:
    if spec.contest == "none" or not len(scene.tracks):
        return None
    # The difference of two is that of A and B, whatever else makes groups.
    by = "ab" if spec.contest == "ab" else spec.group_by
    groups = groups_of(scene.tracks.table, by, spec.group_a, spec.group_b)
    power_dbm = np.stack([mw_to_dbm(_field(spec, now, rows)) for rows in groups.values()])
    power_dbm[~np.isfinite(power_dbm)] = -np.inf
    return dominance_of(
        list(groups), [len(rows) for rows in groups.values()], power_dbm, cell_areas_km2(frame_grid(spec)),
        spec.contest, spec.contested_db, spec.score_weights,
    )  # fmt: skip


def _crowd(spec: FieldSpec, now: Places) -> np.ndarray | None:
    """Dots of two by two cells at all emitters, if there are too many for markers."""
    x, y = now.xy
    ny, nx = TRAIL_FINENESS * spec.ny, TRAIL_FINENESS * spec.nx
    j = (x - spec.west_m) / (spec.east_m - spec.west_m) * nx
    k = (y - spec.south_m) / (spec.north_m - spec.south_m) * ny
    inside = (j >= 0) & (j < nx - 1) & (k >= 0) & (k < ny - 1)
    if np.count_nonzero(inside) <= MAX_MARKERS:
        return None
    columns, rows = j[inside].astype(int), k[inside].astype(int)
    out = np.zeros((ny, nx), dtype=np.uint8)
    for up, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        out[rows + up, columns + across] = 255
    return out
