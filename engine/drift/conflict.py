"""Conflict replay (C8): lanes on which two sides dominate in turn, now and over a past interval.

Energy of both sides on each lane per step of time gives a dominance in dB. Which lane and which side an event belongs
to is told by its payload.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import ClassVar

import numpy as np
import pyarrow as pa
import xarray as xr
from scipy.special import betainc

from engine.drift.batch import EventBatch, encoded
from engine.drift.clusters import MAX_CLUSTERS, ClusterMonitor
from engine.drift.metric import Limit, Transition
from engine.events.payload import payload_columns

STEP_S = 5.0
WINDOW_S = 120.0

CONTESTED_DB = 3.0
"""Dominance below this is contested (asked for)."""

ALPHA = 1e-5
"""Significance at which a side dominates a lane during one step; set from the simulated false-alarm rate."""

MAX_DB = 60.0
"""Dominance where the other side is not heard at all, dB."""

MAX_SIDES = 8

MAX_ENERGY = 1e12
"""Greatest energy taken of one event: sums of squares stay finite."""


def dominance(energy_a: float, energy_b: float, squares_a: float, squares_b: float) -> tuple[float, float]:
    """Dominance of side A over side B on a lane, and the chance of it where both are equal.

    Parameters
    ----------
    energy_a, energy_b : float
        Sums of the energies of the events of each side.
    squares_a, squares_b : float
        Sums of their squares: they tell how many events of equal energy the sums are worth.

    Returns
    -------
    dominance_db : float
        10·log10(A/B), within ±`MAX_DB`; 0 where neither is heard.
    p : float
        Chance of a share as one-sided as this if every unit came from either side alike (sign test with effective
        counts).

    Examples
    --------
    >>> found = dominance(20.0, 10.0, 20.0, 10.0)
    >>> round(found[0], 4), round(found[1], 4)
    (3.0103, 0.0494)
    """
    total = energy_a + energy_b
    if total <= 0.0:
        return 0.0, 1.0
    if min(energy_a, energy_b) <= 0.0:
        db = math.copysign(MAX_DB, energy_a - energy_b)
    else:
        db = min(max(10.0 * (math.log10(energy_a) - math.log10(energy_b)), -MAX_DB), MAX_DB)
    worth = total * total / max((squares_a + squares_b), 1e-300) if total else 0.0
    n = max(worth, 1.0)
    k = n * max(energy_a, energy_b) / total
    return db, float(betainc(k, n - k + 1.0, 0.5)) if k > 0.0 else 1.0


class ConflictMonitor(ClusterMonitor):
    """Lanes on which each of two sides has dominated within the last two minutes, looked at every five seconds.

    The lane of an event is the payload's ``lane``, else its cluster; ``side`` says whose it is and ``energy`` how
    strong (1 where missing). Events without a side do not count. The two strongest sides of a lane in the window are
    held against each other, step by step. The number is the lesser of both sides' best dominance, in dB, over the
    steps in which the dominance is more than chance.

    Parameters
    ----------
    alpha : float
        Significance of one step.
    limit : Limit, optional
    max_clusters : int
    """

    name: ClassVar[str] = "conflict"
    unit: ClassVar[str] = "dB"
    default_limit: ClassVar[Limit] = Limit(CONTESTED_DB, CONTESTED_DB, min_n=20, raise_after=1, clear_after=2)

    def __init__(self, alpha: float = ALPHA, limit: Limit | None = None, max_clusters: int = MAX_CLUSTERS) -> None:
        super().__init__(STEP_S, WINDOW_S, limit, max_clusters)
        self.alpha = alpha
        self._steps = round(WINDOW_S / STEP_S)
        shape = (max_clusters, self._steps, MAX_SIDES)
        self._energy, self._squares, self._count = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._place = np.zeros((max_clusters, 3))  # sums of lat, of lon, of events with a position
        self._sides: dict[str, int] = {}
        self._now: int | None = None

    def _columns(self, events: EventBatch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        payload = events.payload({"lane": str, "side": str, "energy": float})
        rows = np.flatnonzero(payload["side"] != None)  # noqa: E711 (elementwise)
        if not len(rows):
            self._cluster_names = []
            return rows, {name: np.empty(0) for name in ("cluster", "side", "energy", "lat", "lon")}
        codes, names = events.clusters()
        own = np.array(names, dtype=object)[codes[rows]]
        lane = payload["lane"][rows]
        lanes, self._cluster_names = encoded(np.where(lane == None, own, lane))  # noqa: E711 (elementwise)
        side, side_names = encoded(payload["side"][rows])
        number = np.array([self._side_of(name) for name in side_names], np.int64)
        energy = payload["energy"][rows]
        energy = np.minimum(np.where(np.isfinite(energy) & (energy >= 0.0), energy, 1.0), MAX_ENERGY)
        return rows, {
            "cluster": lanes, "side": number[side], "energy": energy,
            "lat": events.table["lat"].to_numpy().astype(np.float64)[rows],
            "lon": events.table["lon"].to_numpy().astype(np.float64)[rows],
        }  # fmt: skip

    def _side_of(self, name: str) -> int:
        """Number of a side; all beyond the first few are one."""
        if name not in self._sides and len(self._sides) < MAX_SIDES - 1:
            self._sides[name] = len(self._sides)
        return self._sides.get(name, MAX_SIDES - 1)

    def _fold(self, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        slot = self._slots_of(columns["cluster"], time_s)
        step = np.floor(time_s / STEP_S).astype(np.int64)
        self._advance(int(step.max()))
        assert self._now is not None
        held = (step > self._now - self._steps) & (slot >= 0)
        place = slot[held], step[held] % self._steps, columns["side"][held].astype(np.int64)
        energy = columns["energy"][held]
        np.add.at(self._energy, place, energy)
        np.add.at(self._squares, place, energy**2)
        np.add.at(self._count, place, 1.0)
        placed = held & np.isfinite(columns["lat"]) & np.isfinite(columns["lon"])
        for axis, values in enumerate((columns["lat"], columns["lon"], np.ones(len(slot)))):
            np.add.at(self._place[:, axis], slot[placed], values[placed])

    def _look(self, at_s: float) -> list[Transition]:
        self._advance(round(at_s / STEP_S) - 1)
        out: list[Transition] = []
        totals = self._energy[: self._places].sum(axis=1)
        for slot in sorted({*np.flatnonzero((totals > 0.0).sum(axis=1) > 1).tolist(), *self._metrics}):
            names = {number: name for name, number in self._sides.items()}
            first, second = np.argsort(-totals[slot], kind="stable")[:2].tolist()
            best, sides = self._opposition(slot, first, second), (first, second)
            n = int(self._count[slot].sum())
            value = min(best) if min(best) >= CONTESTED_DB else 0.0
            whole = float(totals[slot].sum()) or 1.0
            shares = tuple((names.get(s, "others"), float(totals[slot, s]) / whole) for s in sides)
            place = self._place[slot]
            here = (float(place[0] / place[2]), float(place[1] / place[2])) if place[2] else None
            out += self._judge(
                slot, at_s, value, n, parts=shares, place=here,
                label=f"{shares[0][0]} {best[0]:.0f} dB, {shares[1][0]} {best[1]:.0f} dB" if value else "",
            )  # fmt: skip
        return out

    def _opposition(self, slot: int, first: int, second: int) -> tuple[float, float]:
        """The best dominance of either side over the other in any step in which it is more than chance, dB."""
        best = [0.0, 0.0]
        energy, squares = self._energy[slot], self._squares[slot]
        for k in np.flatnonzero(energy.sum(axis=1)).tolist():
            db, p = dominance(energy[k, first], energy[k, second], squares[k, first], squares[k, second])
            if p < self.alpha:
                best[0], best[1] = max(best[0], db), max(best[1], -db)
        return best[0], best[1]

    def _advance(self, step: int) -> None:
        if self._now is None:
            self._now = step
        elif step > self._now:
            gone = np.arange(self._now + 1, min(step, self._now + self._steps) + 1) % self._steps
            for kept in (self._energy, self._squares, self._count):
                kept[:, gone] = 0.0
            self._now = step

    def _forget_slot(self, slot: int) -> None:
        for kept in (self._energy, self._squares, self._count, self._place):
            kept[slot] = 0.0


def conflict_replay(events: pa.Table, start_s: float, end_s: float, step_s: float = STEP_S) -> xr.Dataset:
    """Dominance on every lane over a past interval.

    Parameters
    ----------
    events : pyarrow.Table
        Schema `engine.events.SCHEMA`; events with a ``side`` in the payload count, as in `ConflictMonitor`.
    start_s, end_s : float
        Epoch seconds.
    step_s : float

    Returns
    -------
    Dataset, (lane, time)
        dominance_db (10·log10 of side A over side B, NaN where neither is heard), p (chance), energy_a, energy_b;
        coordinates lane, time (UTC, start of each step), lat, lon of each lane (NaN where unknown); ``side_a`` and
        ``side_b``, the two strongest sides of all lanes, in the attributes; ``opposed``: whether both sides dominate
        the lane at some time by more than `CONTESTED_DB` and chance.

    Raises
    ------
    ValueError
        If the interval or the step is not positive, or there would be more than 100 000 steps.
    """
    if not (end_s > start_s and step_s > 0.0) or (end_s - start_s) / step_s > 100_000:
        raise ValueError(f"from {start_s} to {end_s} in steps of {step_s} s: up to 100 000 steps forward are needed")
    time_s = events["time"].cast(pa.int64()).to_numpy() * 1e-6
    payload = payload_columns(events, {"lane": str, "cluster": str, "side": str, "energy": float})
    told = (time_s >= start_s) & (time_s < end_s) & (payload["side"] != None)  # noqa: E711
    rows = np.flatnonzero(told)
    entity = np.array(events["entity"].take(pa.array(rows)).to_pylist(), dtype=object)
    lane = np.where(payload["lane"][rows] == None, payload["cluster"][rows], payload["lane"][rows])  # noqa: E711
    lane = np.where(lane == None, entity, lane)  # noqa: E711
    energy = payload["energy"][rows]
    energy = np.minimum(np.where(np.isfinite(energy) & (energy >= 0.0), energy, 1.0), MAX_ENERGY)
    strength: dict[str, float] = defaultdict(float)
    for side, each in zip(payload["side"][rows].tolist(), energy.tolist(), strict=True):
        strength[side] += each
    ranked = sorted(strength, key=lambda side: (-strength[side], side))
    sides = [*ranked[:2], "", ""][:2]
    lanes, code = (
        np.unique(lane.astype(str), return_inverse=True) if len(rows) else (np.empty(0, str), np.empty(0, int))
    )
    steps = math.ceil((end_s - start_s) / step_s)
    sums = np.zeros((4, len(lanes), steps))  # energies of both sides, and their squares
    at = np.floor((time_s[rows] - start_s) / step_s).astype(np.int64)
    for k, side in enumerate(sides):
        mine = payload["side"][rows] == side
        np.add.at(sums[k], (code[mine], at[mine]), energy[mine])
        np.add.at(sums[2 + k], (code[mine], at[mine]), energy[mine] ** 2)
    return _replay_dataset(events, rows, lanes, code, sums, sides, start_s, step_s)


def _replay_dataset(
    events: pa.Table, rows: np.ndarray, lanes: np.ndarray, code: np.ndarray, sums: np.ndarray, sides: list[str],
    start_s: float, step_s: float,
) -> xr.Dataset:  # fmt: skip
    db, p = np.full(sums.shape[1:], np.nan), np.ones(sums.shape[1:])
    for i, k in np.argwhere(sums[0] + sums[1] > 0.0).tolist():
        db[i, k], p[i, k] = dominance(*sums[:, i, k].tolist())
    sure = p < ALPHA
    opposed = (sure & (db > CONTESTED_DB)).any(axis=1) & (sure & (db < -CONTESTED_DB)).any(axis=1)
    where = []
    for name in ("lat", "lon"):
        values = events[name].to_numpy().astype(np.float64)[rows]
        told = np.isfinite(values)
        total = np.bincount(code[told], values[told], len(lanes)) if len(lanes) else np.empty(0)
        count = np.bincount(code[told], minlength=len(lanes)) if len(lanes) else np.empty(0)
        where.append(np.divide(total, count, out=np.full(len(lanes), np.nan), where=count > 0))
    starts_us = round(start_s * 1e6) + round(step_s * 1e6) * np.arange(len(db.T), dtype=np.int64)
    time = starts_us.astype("datetime64[us]")
    return xr.Dataset(
        {
            "dominance_db": (("lane", "time"), db, {"units": "dB", "long_name": "dominance of side A over side B"}),
            "p": (("lane", "time"), p, {"units": "1", "long_name": "chance of it where both are equal"}),
            "energy_a": (("lane", "time"), sums[0], {"units": "1"}),
            "energy_b": (("lane", "time"), sums[1], {"units": "1"}),
            "opposed": (("lane",), opposed),
        },
        {
            "lane": lanes, "time": time.astype("datetime64[ns]"),
            "lat": ("lane", where[0], {"units": "degrees_north"}), "lon": ("lane", where[1], {"units": "degrees_east"}),
        },
        {"side_a": sides[0], "side_b": sides[1], "contested_db": CONTESTED_DB},
    )  # fmt: skip
