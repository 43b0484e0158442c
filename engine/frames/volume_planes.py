"""Planes through a volume: an altitude slice and a vertical section along a line, both exact sums over all emitters.

They are no interpolation of the volume: every cell of a plane has its own slant ranges.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from engine.frames.field_scene import carried
from engine.frames.volume_frame import compute_volume_frame, in_dbm, placed_table
from engine.frames.volume_spec import SECTION_SHAPE, SLICE_CELLS, PlanesSpec, VolumeSpec
from engine.rf.field import power_field
from engine.rf.forecast import Prediction
from engine.rf.grid import Grid
from engine.rf.propagation import MODELS
from engine.rf.quantise import as_bytes, quantisation_error_db
from engine.rf.sample import cross_section, sample_field
from engine.rf.tracks import Tracks
from engine.rf.volume import TOP_M

POINT_FLOOR_M = 1.0
"""Floor under the distance of the unitless inverse square, which has no grid to take one from, m."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanesFrame:
    """One computed slice and section.

    Attributes
    ----------
    spec : PlanesSpec
        What was asked for.
    moment_s : float
        The moment shown, epoch seconds.
    seq : int
        Last event that is in it.
    tracks : Tracks
        The emitters, at their last fixes.
    now, ahead : Prediction
        Every emitter carried to the moment and to the forecast.
    slice, section : ndarray of uint8, (2, rows, columns)
        Now and predicted, row 0 south or at the ground; bytes as in `VolumeFrame.levels`.
    along : xarray.Dataset
        `distance` (m along the line), `lat` and `lon` of the section's columns, `alt` (m) of its rows.
    compute_ms : float
        Time the computation took.
    """

    spec: PlanesSpec
    moment_s: float
    seq: int
    tracks: Tracks
    now: Prediction
    ahead: Prediction
    slice: np.ndarray = field(repr=False)
    section: np.ndarray = field(repr=False)
    along: xr.Dataset = field(repr=False)
    compute_ms: float

    @property
    def quantisation_db(self) -> float:
        """Largest error of the bytes inside the limits, dB."""
        return quantisation_error_db(self.spec.volume.low_dbm, self.spec.volume.high_dbm)

    def at(self, lat: float, lon: float, alt_m: float) -> tuple[float, float]:
        """The field now and the predicted one at a point, exactly, dBm (dB re 1/m² where unitless); NaN for none."""
        v = self.spec.volume
        out = []
        for where in (self.now, self.ahead):
            table = placed_table(self.tracks, where)
            value = np.nan
            if len(table):
                value = float(sample_field(table, [lat], [lon], alt_m, v.model, **_options(self.spec))[0])
            if v.model == "inverse_square":
                value = 10.0 * np.log10(value) if value > 0.0 else np.nan
            out.append(value)
        return out[0], out[1]

    def section_dataset(self) -> xr.Dataset:
        """The section computed anew, both fields in full precision."""
        out = self.along.copy()
        for prefix, where in (("", self.now), ("forecast_", self.ahead)):
            table = placed_table(self.tracks, where)
            if len(table):
                one = _section(self.spec, table)
                for name in one.data_vars:
                    out[f"{prefix}{name}"] = one[name]
        return out


def slice_grid(spec: PlanesSpec) -> Grid:
    """The grid of a slice: rows equally spaced in Web Mercator."""
    v = spec.volume
    return Grid.web_mercator(v.west, v.south, v.east, v.north, shape=(SLICE_CELLS, SLICE_CELLS), alt_m=spec.alt_m)


def compute_planes_frame(spec: PlanesSpec, moment_s: float, tracks: Tracks) -> PlanesFrame:
    """Compute a slice and a section.

    Parameters
    ----------
    spec : PlanesSpec
        What to compute.
    moment_s : float
        The moment shown, epoch seconds.
    tracks : Tracks
        Snapshot of the fold at that moment.

    Returns
    -------
    PlanesFrame

    Raises
    ------
    ValueError
        A line of no length.
    """
    started = time.perf_counter()
    v = spec.volume
    now, ahead = carried(tracks, tracks.age_s), carried(tracks, tracks.age_s + v.forecast_s)
    grid = slice_grid(spec)
    flat = np.zeros((2, *grid.array_shape), np.uint8)
    upright = np.zeros((2, *SECTION_SHAPE), np.uint8)
    # The corners have their places also where no emitter is.
    along = _section(spec, tracks.emitters()[:0])
    for part, where in enumerate((now, ahead)):
        table = placed_table(tracks, where)
        if not len(table):
            continue
        sheet = in_dbm(power_field(table, grid, model=v.model, horizon=v.horizon))
        flat[part] = as_bytes(sheet, v.low_dbm, v.high_dbm).to_numpy()
        upright[part] = as_bytes(in_dbm(_section(spec, table)), v.low_dbm, v.high_dbm).to_numpy()
    return PlanesFrame(
        spec, moment_s, tracks.seq, tracks, now, ahead, flat, upright, along.drop_vars(list(along.data_vars)),
        1e3 * (time.perf_counter() - started),
    )  # fmt: skip


def warm_volumes(tracks: Tracks) -> None:
    """Run every kernel behind volumes and planes once, with every model."""
    for model in MODELS:
        for horizon in (True, False):
            spec = VolumeSpec(7.0, 45.0, 9.0, 47.0, "16", model, horizon)
            compute_volume_frame(spec, 0.0, tracks)
            compute_planes_frame(PlanesSpec(spec, 9e3, (45.5, 7.5, 46.5, 8.5)), 0.0, tracks).at(46.0, 8.0, 9e3)


def _options(spec: PlanesSpec) -> dict[str, object]:
    options: dict[str, object] = {"horizon": spec.volume.horizon}
    if spec.volume.model == "inverse_square":
        options["floor_m"] = POINT_FLOOR_M
    return options


def _section(spec: PlanesSpec, table: object) -> xr.Dataset:
    (lat0, lon0, lat1, lon1), (heights, points) = spec.line, SECTION_SHAPE
    alts = np.linspace(0.0, TOP_M, heights)
    return cross_section(
        table, [(lat0, lon0), (lat1, lon1)], alts, spec.volume.model, points=points, **_options(spec)  # type: ignore[arg-type]
    )  # fmt: skip
