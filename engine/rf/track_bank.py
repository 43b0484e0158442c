"""A bank of tracks that live on: takes the newest fix of each emitter and predicts all of them.

The same filter as `engine.rf.forecast`, kept between calls instead of run anew over a window. Plain
arrays and slots; which emitter has which slot is the caller's affair. Not for several threads at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.rf._imm_batch import OUT, PLANES, forget_tracks, predict_tracks, settle_tracks, update_tracks
from engine.rf._imm_memory import MEMORY, NOW, PENDING
from engine.rf._imm_models import TUNED, Constants
from engine.rf.forecast import WINDOW_FIXES, Prediction, as_prediction

Array = NDArray[np.float64]


class TrackStates(NamedTuple):
    """Some tracks as they were at one moment: all that a forecast needs, and no later fix changes it.

    Parameters
    ----------
    x, cov, mu : ndarray of float64, (n, 4, 6), (n, 4, 6, 6) and (n, 4)
        State, covariance and probability of each model.
    memory : ndarray of float64, (n, 32)
        See `engine.rf._imm_memory`.
    tuning : Constants
    """

    x: Array
    cov: Array
    mu: Array
    memory: Array
    tuning: Constants

    @property
    def newest_s(self) -> Array:
        """Time of the newest report of each, repeats included, epoch s, (n,)."""
        return self.memory[:, NOW]

    def take(self, rows: slice | NDArray[np.int64]) -> TrackStates:
        """Some of them, in the order given."""
        x, cov, mu, memory = (part[rows] for part in self[:4])
        return TrackStates(x, cov, mu, memory, self.tuning)

    def predict(self, horizon_s: ArrayLike) -> Prediction:
        """Where they will be `horizon_s` seconds, shape (n, H), after the newest report of each: arrays (n, H)."""
        return _predicted(self[:4], np.arange(len(self.mu)), horizon_s, float("nan"), self.tuning)


class TrackBank:
    """State, covariance and probability of four motion models for each of many emitters.

    Parameters
    ----------
    slots : int
        Emitters that can be held; 2.2 KiB each.
    tuning : Constants
        Models, noise and calibration.

    Raises
    ------
    ValueError
        Where `slots` is below 1.

    Examples
    --------
    >>> bank = TrackBank(1)
    >>> bank.update([0], [[0.0, 47.0, 8.0, 9000.0, 200.0, 90.0, 0.0, np.nan]])
    >>> there = bank.predict([10.0])
    >>> round(float(there.lat[0, 0]), 3), round(float(there.lon[0, 0]), 3)
    (47.0, 8.026)
    """

    def __init__(self, slots: int, tuning: Constants = TUNED) -> None:
        if slots < 1:
            raise ValueError(f"slots is {slots}; a bank holds 1 emitter or more")
        models = tuning.models.shape[0]
        self.tuning = tuning
        self._x = np.zeros((slots, models, 6))
        self._cov = np.zeros((slots, models, 6, 6))
        self._mu = np.zeros((slots, models))
        self._memory = np.empty((slots, MEMORY))
        self._ring = np.full((slots, PLANES, WINDOW_FIXES), np.nan)
        self._held = np.zeros(slots, dtype=np.int64)
        self.forget(np.arange(slots))

    def __len__(self) -> int:
        return len(self._held)

    def forget(self, slot: ArrayLike) -> None:
        """Empty some slots, so that other emitters can have them."""
        forget_tracks(self._memory, self._held, self._checked(slot))

    def update(self, slot: ArrayLike, fixes: ArrayLike) -> None:
        """Take new fixes, each into its slot; those of one slot in the order given.

        Parameters
        ----------
        slot : array_like of int64, shape (n,)
        fixes : array_like of float64, shape (n, 8)
            Time (epoch s), latitude and longitude (degrees), altitude (m), speed (m/s), track (degrees), climb
            (m/s), time of measurement (epoch s), NaN where not known: the planes of `engine.rf.tracks`. A fix
            older than the newest of its slot is left out, as is one without time.

        Raises
        ------
        ValueError
            Where shapes do not fit, or a slot is not in the bank.
        """
        rows = self._checked(slot)
        values = np.ascontiguousarray(fixes, dtype=np.float64)
        if values.shape != (rows.size, PLANES):
            raise ValueError(f"fixes have the shape {values.shape}; they should be ({rows.size}, {PLANES})")
        for mine in rounds(rows):
            update_tracks(*self._parts, rows[mine], values[mine], *self.tuning)

    def predict(
        self, horizons_s: ArrayLike, *, slot: ArrayLike | None = None, moment_s: float = float("nan")
    ) -> Prediction:
        """Where emitters will be.

        Parameters
        ----------
        horizons_s : array_like of float64, shape (H,)
            Seconds ahead, not negative.
        slot : array_like of int64, shape (n,), optional
            Whose; all of the bank unless given.
        moment_s : float
            Horizons count from this moment (epoch s); from the newest report of each emitter where NaN.

        Returns
        -------
        Prediction
            Arrays (n, H); empty slots have the status ``no position`` and NaN.

        Raises
        ------
        ValueError
            Where a horizon is negative or not finite, or a slot is not in the bank.
        """
        horizons = np.asarray(horizons_s, dtype=np.float64)
        if horizons.ndim != 1 or not np.all(np.isfinite(horizons) & (horizons >= 0)):
            raise ValueError(f"horizons_s is {horizons_s!r}; it should be a list of finite seconds, not negative")
        rows = np.arange(len(self)) if slot is None else self._checked(slot)
        self._settle(rows)
        steps = np.broadcast_to(horizons, (rows.size, horizons.size))
        return _predicted(self._parts[:4], rows, steps, moment_s, self.tuning)

    def states(self, slot: ArrayLike) -> TrackStates:
        """A copy of some tracks, that can be asked while the bank goes on."""
        rows = self._checked(slot)
        self._settle(rows)
        x, cov, mu, memory = (part[rows] for part in self._parts[:4])
        return TrackStates(x, cov, mu, memory, self.tuning)

    def model_probabilities(self, slot: ArrayLike) -> Array:
        """How likely each model is, shape (n, 4): steady, accelerating, turning, slowing to a stand."""
        rows = self._checked(slot)
        self._settle(rows)
        return self._mu[rows]

    def grow(self, slots: int) -> None:
        """Make room for so many emitters; those there are keep their slots."""
        more = TrackBank(max(slots - len(self), 1), self.tuning)
        together = [np.concatenate(pair) for pair in zip(self._parts, more._parts, strict=True)]
        self._x, self._cov, self._mu, self._memory, self._ring, self._held = together

    @property
    def _parts(self) -> tuple[Array, Array, Array, Array, Array, NDArray[np.int64]]:
        return self._x, self._cov, self._mu, self._memory, self._ring, self._held

    def _settle(self, rows: NDArray[np.int64]) -> None:
        waiting = np.unique(rows[self._memory[rows, PENDING] != 0.0])
        if waiting.size:
            settle_tracks(*self._parts, waiting, *self.tuning)

    def _checked(self, slot: ArrayLike) -> NDArray[np.int64]:
        rows = np.ascontiguousarray(slot, dtype=np.int64)
        if rows.ndim != 1 or np.any((rows < 0) | (rows >= len(self))):
            raise ValueError(f"slot is {slot!r}; it should be a list of numbers from 0 to {len(self) - 1}")
        return rows


def _predicted(
    parts: tuple[Array, Array, Array, Array], rows: NDArray[np.int64], horizon_s: ArrayLike, moment_s: float,
    tuning: Constants,
) -> Prediction:  # fmt: skip
    steps = np.ascontiguousarray(horizon_s, dtype=np.float64)
    out, info = np.empty((*steps.shape, OUT)), np.empty((rows.size, 2), np.int64)
    predict_tracks(*parts, rows, steps, moment_s, *tuning, out, info)
    return as_prediction(out, info)


def rounds(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Places of the first, the second, ... occurrence of each number, so that no two of one are taken at once.

    Examples
    --------
    >>> [part.tolist() for part in rounds(np.array([7, 3, 7, 7]))]
    [[0, 1], [2], [3]]
    """
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if rows.size else order
    turn = np.empty(rows.size, dtype=np.int64)
    turn[order] = np.arange(rows.size) - np.repeat(begins, np.diff(np.append(begins, rows.size)))
    by_turn = np.argsort(turn, kind="stable")
    return np.split(by_turn, np.cumsum(np.bincount(turn))[:-1]) if rows.size else []
