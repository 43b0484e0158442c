"""The air at one moment, shared by all frames of that moment: tracks, where everybody is and will be, trails.

Nothing in it depends on a view. Who pans, zooms or changes a layer pays for cells only; a thousand views of
one tick run the tracking filter once. It knows nothing of grids or pictures.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from engine.frames.field_reuse import KnownCells
from engine.geo import geodetic_to_ecef
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
        self._where: dict[float, Prediction] = {}
        self._trail: tuple[float, np.ndarray] | None = None
        self.known = KnownCells()

    def at(self, forecast_s: float) -> tuple[Prediction, Prediction]:
        """Every emitter carried to the moment, and `forecast_s` seconds beyond it."""
        with self._lock:
            if 0.0 not in self._where or forecast_s not in self._where:
                age_s = self.tracks.age_s
                both = carried(self.tracks, np.column_stack([age_s, age_s + forecast_s]))
                now, ahead = _one_horizon(both, 0), _one_horizon(both, 1)
                # A view that asks for its own horizon keeps the picture of now that others have.
                self._where.setdefault(0.0, now)
                self._where[forecast_s] = ahead
            return self._where[0.0], self._where[forecast_s]

    def segments(self, trail_s: float) -> np.ndarray:
        """Trail segments of at least the last `trail_s` seconds, (n, 5)."""
        with self._lock:
            start_s = self.moment_s - trail_s
            if self._trail is None or self._trail[0] > start_s:
                self._trail = (start_s, self._segments(start_s))
            return self._trail[1]

    def radiators(self, where: Prediction) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Emitters that have a position, for `engine.rf.sum_power_mw`.

        Returns
        -------
        ecef_m : ndarray of float64, (3, m)
        alt_m, eirp_mw, freq_hz : ndarray of float64, (m,)
        row : ndarray of int64, (m,)
            Which emitters they are.
        """
        row = np.flatnonzero(placed(where))
        alt_m = np.asarray(where.alt_m)[row]
        ecef_m = np.stack(geodetic_to_ecef(np.asarray(where.lat)[row], np.asarray(where.lon)[row], alt_m))
        table = self.tracks.table
        eirp_mw = dbm_to_mw(table["eirp_dbm"].to_numpy(dtype=float)[row])
        return ecef_m, alt_m, eirp_mw, table["freq_hz"].to_numpy(dtype=float)[row], row


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
