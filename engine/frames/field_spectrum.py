"""Spectrum of a field frame (A9): power by wavelength, what k plane waves keep, and whether it is unusual.

Computed from full-precision fields on a coarser grid of the same place, cut off at the lower colour limit: a transform
needs a value everywhere, and below the limit nothing is shown. What is usual is learnt from the frames seen before.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from engine.frames.field_frame import FieldFrame, frame_grid
from engine.frames.field_scene import placed
from engine.rf import power_field
from engine.rf.forecast import Prediction
from engine.rf.spectrum import radial_spectrum, spectral_anomaly, spectral_reference, strongest_waves

MAX_SIDE = 96
"""Cells along the longer side."""

WAVES = (16, 64, 256)
"""Numbers of plane waves whose error is told."""

REFERENCE_STEP_S, REFERENCE_FIELDS, MIN_REFERENCE = 10.0, 60, 12
"""The reference is of fields so far apart at least, of so many at most, and is none with fewer."""

ONE_IN = 1000.0
"""One usual field in so many scores above the threshold, if fields were independent."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldSpectrum:
    """What plane waves a field is made of.

    Attributes
    ----------
    moment_s : float
        Of the frame, epoch s.
    wavelength_km : ndarray, (rings,)
        On the ground at the middle of the view, falling.
    power_db2 : dict of str to ndarray, (rings,)
        Mean squared magnitude by ring, dB²: ``field`` and ``forecast``, as far as they are shown.
    kept : tuple of (waves, bytes, rmse_db, max_error_db)
        Error of the k strongest plane waves of the field now.
    score, threshold : float
        Mean squared deviation of the log spectrum from the reference, about 1 for a usual field, and the score that one
        usual field in `ONE_IN` exceeds; NaN without a reference.
    references : int
        Fields in the reference.
    """

    moment_s: float
    wavelength_km: np.ndarray
    power_db2: dict[str, np.ndarray] = field(repr=False)
    kept: tuple[tuple[int, int, float, float], ...]
    score: float
    threshold: float
    references: int

    @property
    def unusual(self) -> bool:
        """Whether the score is above the threshold."""
        return self.score > self.threshold


class SpectrumWindow:
    """The fields of one view over time: what is usual there.

    A change of the place, the model or the limits begins anew. It is for one thread at a time.
    """

    def __init__(self) -> None:
        self._of: object = None
        self._seen: deque[tuple[float, xr.DataArray]] = deque(maxlen=REFERENCE_FIELDS)

    def look(self, frame: FieldFrame) -> FieldSpectrum | None:
        """The spectrum of a frame against the frames before it; None where no field is above the lower limit."""
        spec = replace(frame.spec, moment_s=None, trail_s=0.0, layers=(), contest="none")
        if spec != self._of:
            self._of = spec
            self._seen.clear()
        now = cut_field(frame, frame.now)
        if np.ptp(now.to_numpy()) == 0.0:
            return None
        spacing = spacing_km(frame, now)
        rings = {"field": radial_spectrum(now, spacing=spacing)}
        if "forecast" in frame.spec.layers:
            ahead = cut_field(frame, frame.ahead)
            if np.ptp(ahead.to_numpy()) > 0.0:
                rings["forecast"] = radial_spectrum(ahead, spacing=spacing)
        kept = []
        for k in WAVES:
            waves = strongest_waves(now, k)[0].attrs
            kept.append((k, int(waves["bytes"]), float(waves["rmse"]), float(waves["max_error"])))
        before = [one for moment_s, one in self._seen if moment_s <= frame.moment_s - REFERENCE_STEP_S]
        score = threshold = math.nan
        if len(before) >= MIN_REFERENCE:
            reference = spectral_reference(before, one_in=ONE_IN)
            score, threshold = float(spectral_anomaly(now, reference)["score"]), reference.threshold
        if not self._seen or frame.moment_s >= self._seen[-1][0] + REFERENCE_STEP_S:
            self._seen.append((frame.moment_s, now))
        return FieldSpectrum(
            frame.moment_s, 1.0 / rings["field"]["frequency"].to_numpy(),
            {name: one["power"].to_numpy() for name, one in rings.items()}, tuple(kept), score, threshold, len(before),
        )  # fmt: skip


def cut_field(frame: FieldFrame, where: Prediction) -> xr.DataArray:
    """Received power of the emitters at the places of a prediction, dBm (inverse square: dB), never below the limit."""
    spec = frame.spec
    shrink = max(spec.nx, spec.ny) / MAX_SIDE
    small = replace(spec, nx=max(round(spec.nx / shrink), 2), ny=max(round(spec.ny / shrink), 2))
    emitters = frame.tracks.emitters().assign(lat=where.lat, lon=where.lon, alt_m=where.alt_m)[placed(where)]
    found = power_field(emitters, frame_grid(small if shrink > 1.0 else spec), model=spec.model, horizon=spec.horizon)
    values = found["power_dbm" if "power_dbm" in found else "intensity"]
    level_db = values.to_numpy().astype(np.float64)
    if "power_dbm" not in found:
        with np.errstate(divide="ignore"):
            level_db = 10.0 * np.log10(level_db)
    level_db = np.maximum(np.where(np.isfinite(level_db), level_db, spec.low_dbm), spec.low_dbm)
    return values.copy(data=level_db).assign_attrs(units="dB")


def spacing_km(frame: FieldFrame, values: xr.DataArray) -> tuple[float, float]:
    """Step between rows and between columns on the ground at the middle of the view, km: Web Mercator is conformal."""
    spec = frame.spec
    _, south, _, north = spec.bounds_deg
    shrink = math.cos(math.radians(0.5 * (south + north))) * 1e-3
    ny, nx = values.shape
    return (spec.north_m - spec.south_m) / ny * shrink, (spec.east_m - spec.west_m) / nx * shrink
