"""The air at one moment, shared by all frames of that moment: tracks, where everybody is and will be, trails.

Nothing in it depends on a view. Who pans, zooms or changes a layer pays for cells only; a thousand views of
one tick run the tracking filter once. It knows nothing of grids or pictures.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engine.frames.field_reuse import KnownCells
from engine.geo import geodetic_to_ecef, web_mercator
from engine.rf.forecast import Prediction
from engine.rf.tracks import Tracks
from engine.units import dbm_to_mw

PAST_KEPT = 3
"""Past moments that are kept at hand for those who pan over them; the least recently used goes first."""


def carried(tracks: Tracks, horizon_s: np.ndarray) -> Prediction:
    """Every emitter carried `horizon_s`, (n,) or (n, H) seconds, past its own last fix by the tracking filter."""
    return tracks.ahead(horizon_s)


def _one_horizon(both: Prediction, k: int) -> Prediction:
    """One horizon of a prediction for several; what has no horizon stays."""
    return Prediction._make(np.ascontiguousarray(column[:, k]) if column.ndim == 2 else column for column in both)


def placed(where: Prediction) -> np.ndarray:
    """Which emitters have a position: none has whose positions were all measured too long ago."""
    return np.isfinite(where.lat) & np.isfinite(where.lon) & np.isfinite(where.alt_m)


class Radiators(NamedTuple):
    """Emitters that have a position, as `engine.rf.sum_power_mw` takes them.

    Attributes
    ----------
    ecef_m : ndarray of float64, (3, m)
    alt_m, eirp_mw, freq_hz : ndarray of float64, (m,)
    row : ndarray of int64, (m,)
        Which emitters they are.
    """

    ecef_m: np.ndarray
    alt_m: np.ndarray
    eirp_mw: np.ndarray
    freq_hz: np.ndarray
    row: np.ndarray


class Places(NamedTuple):
    """All emitters at one horizon, in the forms that views need.

    Attributes
    ----------
    where : Prediction
    xy : ndarray of float64, (2, n)
        Web Mercator, m.
    radiators : Radiators
    spread_m : float
        Median one-sigma radius of the positions, m; NaN where none is known.
    """

    where: Prediction
    xy: np.ndarray
    radiators: Radiators
    spread_m: float


class FieldScene:
    """The emitters of one moment.

    Parameters
    ----------
    moment_s : float
        Epoch seconds.
    tracks : Tracks
        Snapshot of the fold at that moment.
    segments : callable (start_s) -> ndarray of float64, (n, 5)
        Trail segments that end after `start_s` and up to the moment, see `engine.frames.trails`.

    Attributes
    ----------
    known : KnownCells
        Fields of this moment that views have asked for.
    """

    def __init__(self, moment_s: float, tracks: Tracks, segments: Callable[[float], np.ndarray]) -> None:
        self.moment_s = moment_s
        self.tracks = tracks
        self._segments = segments
        self._lock = threading.Lock()
        self._places: dict[float, Places] = {}
        self._trail: tuple[float, np.ndarray] | None = None
        self.known = KnownCells()

    def at(self, forecast_s: float) -> tuple[Places, Places]:
        """Every emitter carried to the moment, and `forecast_s` seconds beyond it."""
        with self._lock:
            if 0.0 not in self._places or forecast_s not in self._places:
                age_s = self.tracks.age_s
                both = carried(self.tracks, np.column_stack([age_s, age_s + forecast_s]))
                # A view that asks for its own horizon keeps the picture of now that others have.
                if 0.0 not in self._places:
                    self._places[0.0] = self._at(_one_horizon(both, 0))
                self._places[forecast_s] = self._at(_one_horizon(both, 1))
            return self._places[0.0], self._places[forecast_s]

    def segments(self, trail_s: float) -> np.ndarray:
        """Trail segments of at least the last `trail_s` seconds, (n, 5)."""
        with self._lock:
            start_s = self.moment_s - trail_s
            if self._trail is None or self._trail[0] > start_s:
                self._trail = (start_s, self._segments(start_s))
            return self._trail[1]

    def _at(self, where: Prediction) -> Places:
        row = np.flatnonzero(placed(where))
        alt_m, table = np.asarray(where.alt_m)[row], self.tracks.table
        radiators = Radiators(
            np.stack(geodetic_to_ecef(np.asarray(where.lat)[row], np.asarray(where.lon)[row], alt_m)),
            alt_m,
            dbm_to_mw(table["eirp_dbm"].to_numpy(dtype=float)[row]),
            table["freq_hz"].to_numpy(dtype=float)[row],
            row,
        )
        sigma_m = np.sqrt(np.asarray(where.var_east_m2) + np.asarray(where.var_north_m2))
        known = sigma_m[np.isfinite(sigma_m)]
        spread_m = float(np.median(known)) if len(known) else float("nan")
        return Places(where, np.stack(web_mercator(where.lat, where.lon)), radiators, spread_m)


class FieldScenes:
    """Scenes of the moments that are looked at: the newest live one and a few of the past, each made once.

    Parameters
    ----------
    tracks : callable (moment_s, live) -> Tracks
    segments : callable (start_s, moment_s, live) -> ndarray
    """

    def __init__(
        self, tracks: Callable[[float, bool], Tracks], segments: Callable[[float, float, bool], np.ndarray]
    ) -> None:
        self._tracks = tracks
        self._segments = segments
        self._lock = threading.Lock()
        # The scene of the last tick serves wishes while that of the next is made.
        self._live: tuple[FieldScene, ...] = ()
        self._past: OrderedDict[float, FieldScene] = OrderedDict()

    def scene(self, moment_s: float, *, live: bool) -> FieldScene:
        """The air at a moment, epoch s; live from the running folds."""
        with self._lock:
            scenes = self._live if live else tuple(self._past.values())
            scene = next((known for known in scenes if known.moment_s == moment_s), None)
        if scene is None:
            tracks = self._tracks(moment_s, live)
            scene = FieldScene(moment_s, tracks, lambda start_s: self._segments(start_s, moment_s, live))
        with self._lock:
            if live:
                if scene not in self._live:
                    self._live = (*self._live[-1:], scene)
                return scene
            scene = self._past.setdefault(moment_s, scene)
            self._past.move_to_end(moment_s)
            while len(self._past) > PAST_KEPT:
                self._past.popitem(last=False)
            return scene
