"""The volume frame: the field of one region now and as predicted, in three dimensions, for everyone who looks at it.

From a snapshot of the tracks and a spec to two volumes of bytes on one scale, ready to be sent: whole, or only
what changed since another frame. Pure computation.
"""

from __future__ import annotations

import itertools
import time
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import xarray as xr

from engine.frames.field_scene import carried
from engine.frames.volume_spec import DETAILS, VolumeSpec
from engine.rf.forecast import Prediction
from engine.rf.grid import Grid
from engine.rf.quantise import as_bytes, for_storage, quantisation_error_db
from engine.rf.tracks import Tracks
from engine.rf.volume import power_volume, volume_grid

_versions = itertools.count(1)

DELTAS_KEPT = 4
"""Differences of a frame to others that are kept; viewers who keep up need one."""


@dataclass(frozen=True, slots=True, eq=False)
class VolumeFrame:
    """One computed volume.

    Attributes
    ----------
    spec : VolumeSpec
        What was asked for.
    moment_s : float
        The moment shown, epoch seconds.
    seq : int
        Last event that is in it.
    tracks : Tracks
        The emitters, at their last fixes.
    now, ahead : Prediction
        Every emitter carried to the moment and to `forecast_s` after it.
    levels : ndarray of uint8, (2, nz, ny, nx)
        The field now and the predicted one; 0 is none or under the limits, 1 … 255 span them.
    version : int
        Different for every frame of this process.
    compute_ms : float
        Time the computation took.
    """

    spec: VolumeSpec
    moment_s: float
    seq: int
    tracks: Tracks
    now: Prediction
    ahead: Prediction
    levels: np.ndarray = field(repr=False)
    version: int
    compute_ms: float
    _packed: dict[int, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def quantisation_db(self) -> float:
        """Largest error of the bytes inside the limits, dB."""
        return quantisation_error_db(self.spec.low_dbm, self.spec.high_dbm)

    @property
    def grid(self) -> Grid:
        """Where the cells lie."""
        return spec_grid(self.spec)

    def packed(self, since: VolumeFrame | None = None) -> bytes:
        """The levels for a browser, deflated: whole, or (`since` given) the exclusive or with another frame's.

        A cell that did not change is 0 in the difference, so that what stays costs next to nothing. Made once for
        all who go the same step.

        Parameters
        ----------
        since : VolumeFrame, optional
            What the browser has; it must have the same shape.

        Raises
        ------
        ValueError
            When the shapes differ.
        """
        if since is not None and since.levels.shape != self.levels.shape:
            raise ValueError(f"shapes are {self.levels.shape} and {since.levels.shape}; a difference needs equal ones")
        key = since.version if since is not None else 0
        if key not in self._packed:
            data = self.levels if since is None else np.bitwise_xor(self.levels, since.levels)
            if len(self._packed) > DELTAS_KEPT:
                self._packed.pop(next(reversed(self._packed)), None)
            self._packed[key] = zlib.compress(data.tobytes(), 1)
        return self._packed[key]

    def to_dataset(self) -> xr.Dataset:
        """Both volumes computed anew as float32, dims (alt, lat, lon), with units and what is needed to repeat them."""
        out = xr.Dataset()
        for name, where in (("field", self.now), ("forecast", self.ahead)):
            one = power_volume(placed_table(self.tracks, where), self.grid, self.spec.model, horizon=self.spec.horizon)
            for variable in one.data_vars:
                out[str(variable) if name == "field" else f"forecast_{variable}"] = one[variable]
            out.attrs.update(one.attrs)
        out.attrs.update(
            title="Received power in a volume, now and predicted", seq=self.seq, forecast_s=self.spec.forecast_s,
            moment=datetime.fromtimestamp(self.moment_s, UTC).isoformat(),
        )  # fmt: skip
        return out

    def to_storage(self) -> xr.Dataset:
        """`to_dataset` as float16, compressed, with the largest rounding in `error_db` of each variable."""
        return for_storage(self.to_dataset())


def spec_grid(spec: VolumeSpec) -> Grid:
    """The grid of a spec: rows as a map draws them, levels from 0 m to 20 km."""
    cells, levels = DETAILS[spec.detail]
    return volume_grid(spec.west, spec.south, spec.east, spec.north, cells, levels)


def placed_table(tracks: Tracks, where: Prediction) -> pd.DataFrame:
    """The emitters that have a position, at the places of a prediction, as `engine.rf.power_field` takes them."""
    table = tracks.emitters().assign(lat=where.lat, lon=where.lon, alt_m=where.alt_m)
    known = np.isfinite(where.lat) & np.isfinite(where.lon) & np.isfinite(where.alt_m)
    return table[known]


def in_dbm(dataset: xr.Dataset) -> xr.DataArray:
    """The one variable of a field in dBm, or in dB re 1/m² where the model is unitless; NaN is none."""
    if "power_dbm" in dataset:
        return dataset["power_dbm"]
    with np.errstate(divide="ignore"):
        return dataset["intensity"].copy(data=10.0 * np.log10(dataset["intensity"].to_numpy()))


def compute_volume_frame(spec: VolumeSpec, moment_s: float, tracks: Tracks) -> VolumeFrame:
    """Compute a volume.

    Parameters
    ----------
    spec : VolumeSpec
        What to compute.
    moment_s : float
        The moment shown, epoch seconds.
    tracks : Tracks
        Snapshot of the fold at that moment.

    Returns
    -------
    VolumeFrame
    """
    started = time.perf_counter()
    now, ahead = carried(tracks, tracks.age_s), carried(tracks, tracks.age_s + spec.forecast_s)
    grid = spec_grid(spec)
    levels = np.zeros((2, *grid.array_shape), np.uint8)
    for part, where in enumerate((now, ahead)):
        table = placed_table(tracks, where)
        if len(table):
            values = in_dbm(power_volume(table, grid, spec.model, horizon=spec.horizon))
            levels[part] = as_bytes(values, spec.low_dbm, spec.high_dbm).to_numpy()
    return VolumeFrame(
        spec, moment_s, tracks.seq, tracks, now, ahead, levels, next(_versions), 1e3 * (time.perf_counter() - started)
    )
