"""The forecast scored as time passes: what was said of every emitter, against where it then was.

`LiveScore.observe` takes a snapshot of the tracks now and then, notes what the forecast says, and
settles what has come due. Bounded in emitters, rounds and cells. It keeps no clock and no thread.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.geo import local_offset_m, offset_position
from engine.rf.field_score import comparison_grid, field_score
from engine.rf.forecast import Prediction
from engine.rf.forecast_score import MAX_GAP_S, normalised_error_squared
from engine.rf.track_record import CHI2_90_2D, SCORED_HORIZONS_S
from engine.rf.tracks import ALT, LAT, LON, MEASURED, TIME, TRACK, Tracks

Array = NDArray[np.float64]

SETTLE_S = 12.0
"""What has come due is settled so much later, s: by then feeds of 10 s have reported beyond it. Feeds of 1 s are
looked at before, for a snapshot holds few fixes."""

MAX_EMITTERS = 2_000
"""Emitters scored of each snapshot; of more, evenly spread ones."""

ROUNDS_KEPT = 120
"""Rounds remembered of each horizon."""

FIELD_EVERY = 3
"""The field is compared in every third round: it costs more than the rest."""

TURNING_DEG_S = 0.5
"""Who turns faster than this over the fixes held is turning, degrees per second."""

EVERYONE, TURNING = "all", "turning"


class ScoreRow(NamedTuple):
    """How the forecast did, of one horizon and one sort of emitter.

    Parameters
    ----------
    horizon_s : float
    who : str
        ``all``, ``turning``, or a kind of emitter.
    n : int
        Predictions scored.
    rmse_m, median_m : float
        Horizontal error, m.
    inside_90 : float
        Share inside the claimed 90 % ellipse, 0 to 1.
    """

    horizon_s: float
    who: str
    n: int
    rmse_m: float
    median_m: float
    inside_90: float


class FieldRow(NamedTuple):
    """Mean over the rounds of one horizon: difference of the fields, dB, and agreement of the strongest emitter."""

    horizon_s: float
    n: int
    rms_db: float
    agreement: float


class _Said(NamedTuple):
    due_s: float
    horizon: int
    table: pd.DataFrame
    where: Prediction
    truth: Array
    """Latitude, longitude, altitude and whether it turns, (4, n), NaN until known; filled in as fixes come."""


class LiveScore:
    """Running score of the forecast over all emitters.

    Parameters
    ----------
    horizons_s : tuple of float
        How far ahead, s.

    Examples
    --------
    >>> LiveScore().rows()
    []
    """

    def __init__(self, horizons_s: tuple[float, ...] = SCORED_HORIZONS_S) -> None:
        self.horizons_s = horizons_s
        self._said: deque[_Said] = deque()
        self._errors: list[deque[pd.DataFrame]] = [deque(maxlen=ROUNDS_KEPT) for _ in horizons_s]
        self._fields: list[deque[tuple[float, float]]] = [deque(maxlen=ROUNDS_KEPT) for _ in horizons_s]
        self._rounds = 0

    def observe(self, tracks: Tracks) -> None:
        """Settle what has come due by the moment of a snapshot, and note what the forecast says at it."""
        waiting: deque[_Said] = deque()
        for said in self._said:
            if tracks.moment_s >= said.due_s:
                _look(said, tracks)
            if tracks.moment_s < said.due_s + SETTLE_S:
                waiting.append(said)
            else:
                self._settle(said)
        self._said = waiting
        if len(tracks):
            self._say(tracks)
        self._rounds += 1

    def _say(self, tracks: Tracks) -> None:
        rows = np.unique(np.linspace(0, len(tracks) - 1, min(len(tracks), MAX_EMITTERS)).astype(np.int64))
        p = tracks.ahead(tracks.age_s[rows][:, None] + np.asarray(self.horizons_s), rows)
        table = tracks.table.iloc[rows].reset_index(drop=True)
        for h, horizon_s in enumerate(self.horizons_s):
            where = _part(p, (slice(None), h))
            self._said.append(_Said(tracks.moment_s + horizon_s, h, table, where, np.full((4, len(table)), np.nan)))

    def _settle(self, said: _Said) -> None:
        known = np.isfinite(said.truth[0] + said.where.lat)
        if not known.any():
            return
        where = _part(said.where, known)
        lat, lon, alt_m, turns = said.truth[:, known]
        east, north = local_offset_m(where.lat, where.lon, lat, lon)
        covariance = where.var_east_m2, where.var_north_m2, where.cov_east_north_m2
        table = said.table[known].reset_index(drop=True)
        self._errors[said.horizon].append(
            pd.DataFrame(
                {
                    "kind": table["emitter_kind"].astype(str),
                    "turning": turns > 0.0,
                    "error_m": np.hypot(east, north),
                    "inside": normalised_error_squared(east, north, *covariance) <= CHI2_90_2D,
                }
            )
        )
        if self._rounds % FIELD_EVERY == 0:
            there = table.assign(lat=lat, lon=lon, alt_m=np.nan_to_num(alt_m))
            foretold = table.assign(lat=where.lat, lon=where.lon, alt_m=np.nan_to_num(where.alt_m))
            found = field_score(foretold, covariance, there, comparison_grid(lat, lon))
            if found.cells:
                self._fields[said.horizon].append((found.rms_db, found.agreement))

    def rows(self) -> list[ScoreRow]:
        """The score of each horizon: of all, of the turning, and of each kind where there is more than one."""
        out = []
        for horizon_s, rounds in zip(self.horizons_s, self._errors, strict=True):
            if not rounds:
                continue
            every = pd.concat(list(rounds), ignore_index=True)
            groups = {EVERYONE: every, TURNING: every[every["turning"]]}
            if every["kind"].nunique() > 1:
                groups |= dict(iter(every.groupby("kind")))
            for who, group in groups.items():
                error = group["error_m"].to_numpy()
                if error.size:
                    out.append(
                        ScoreRow(horizon_s, who, int(error.size), float(np.sqrt(np.mean(error**2))),
                                 float(np.median(error)), float(group["inside"].mean()))
                    )  # fmt: skip
        return out

    def fields(self) -> list[FieldRow]:
        """Mean field error and agreement of each horizon that has any."""
        return [
            FieldRow(horizon_s, len(found), *(float(v) for v in np.mean(found, axis=0)))
            for horizon_s, found in zip(self.horizons_s, self._fields, strict=True)
            if found
        ]


def _part(p: Prediction, which: Any) -> Prediction:
    """The same entries of every array; those that have one per emitter by the emitter's alone."""
    rows = which[0] if isinstance(which, tuple) else which
    arrays = {name: values[which if values.ndim == p.lat.ndim else rows] for name, values in p._asdict().items()}
    return Prediction(**arrays)


def _look(said: _Said, tracks: Tracks) -> None:
    """Fill in the truth of those that a snapshot places at the due moment."""
    rows = pd.Index(tracks.table["id"]).get_indexer(pd.Index(said.table["id"]))
    wanted = np.flatnonzero((rows >= 0) & np.isnan(said.truth[0]))
    ring = tracks.ring[rows[wanted]]
    lat, lon = positions_at(ring, said.due_s)
    known = np.isfinite(lat)
    said.truth[:, wanted[known]] = np.stack([lat, lon, ring[:, -1, ALT], turning(ring)])[:, known]


def positions_at(ring: Array, time_s: float) -> tuple[Array, Array]:
    """Latitude and longitude of each emitter at a moment, between the two fixes around it, NaN where unknown.

    Parameters
    ----------
    ring : ndarray of float64, (n, K, 8)
        Fixes as in `Tracks.ring`. A leg over 22 s, or one that repeats a place while it moves, tells nothing.
    time_s : float
        Epoch s.

    Examples
    --------
    >>> ring = np.full((1, 2, 8), np.nan)
    >>> ring[0, :, :3] = [[0.0, 47.0, 8.0], [10.0, 47.1, 8.0]]
    >>> lat, lon = positions_at(ring, 5.0)
    >>> round(float(lat[0]), 6)
    47.05
    """
    moment = np.where(np.isfinite(ring[:, :, MEASURED]), ring[:, :, MEASURED], ring[:, :, TIME])
    after = np.argmax(moment >= time_s, axis=1)
    rows = np.arange(len(ring))
    before = np.maximum(after - 1, 0)
    t0, t1 = moment[rows, before], moment[rows, after]
    with np.errstate(invalid="ignore"):
        known = (after > 0) & (t0 <= time_s) & (t1 >= time_s) & (t1 - t0 <= MAX_GAP_S) & (t1 > t0)
    share = np.where(known, (time_s - t0) / np.where(known, t1 - t0, 1.0), 0.0)
    a, b = ring[rows, before], ring[rows, after]
    east, north = local_offset_m(a[:, LAT], a[:, LON], b[:, LAT], b[:, LON])
    lat, lon = offset_position(a[:, LAT], a[:, LON], east * share, north * share)
    return np.where(known, lat, np.nan), np.where(known, lon, np.nan)


def turning(ring: Array) -> NDArray[np.bool_]:
    """Whether the reported track turned faster than 0.5 degrees per second over the fixes held.

    Examples
    --------
    >>> ring = np.zeros((1, 2, 8))
    >>> ring[0, :, TIME], ring[0, :, TRACK] = [0.0, 10.0], [355.0, 5.0]
    >>> turning(ring).tolist()
    [True]
    """
    track, time_s = ring[:, :, TRACK], ring[:, :, TIME]
    with np.errstate(invalid="ignore"):
        step = (np.diff(track, axis=1) + 180.0) % 360.0 - 180.0
        span_s = np.nansum(np.where(np.isfinite(step), np.diff(time_s, axis=1), 0.0), axis=1)
        turned = np.abs(np.nansum(step, axis=1))
    return turned > TURNING_DEG_S * np.maximum(span_s, 1.0)
