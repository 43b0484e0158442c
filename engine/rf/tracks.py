"""Tracks: the fold of position events into the last few fixes of every emitter.

The same fold runs on the live stream, on a replay and in a notebook; it sees event batches only and
knows nothing of where they come from. Positions were checked at the door (`engine.ingest`), so the
fold trusts them; it still ignores a fix that is not newer than the one it has, so that a repeated
event changes nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.payload import payload_columns
from engine.events.schema import FIX, ended_drills
from engine.rf.emitter_facts import EmitterFacts
from engine.rf.forecast import Prediction
from engine.rf.rolling_bank import KNOWN_S, RollingBank
from engine.rf.track_bank import TrackStates

DEFAULT_HISTORY = 5
"""Fixes kept of each emitter (A1)."""

DEFAULT_SILENCE_S = 60.0
"""An emitter that has been silent for longer than this is no longer shown, s."""

HISTORY_S = 120.0
"""A snapshot holds no fix older than this, s: what a replay of the last minutes cannot know, nobody is shown."""

PAST_S = DEFAULT_SILENCE_S + KNOWN_S
"""Who folds the events of so many seconds before a moment has the snapshot of that moment, as it was live, s."""

MAX_EMITTERS = 20_000
"""Emitters remembered at once; beyond it the longest silent are forgotten."""

MOVING_M_S = 2.0
"""An emitter that reports a higher speed than this and the same place is being repeated, m/s."""

# Columns of the fix ring, one float64 plane each.
TIME, LAT, LON, ALT, SPEED, TRACK, CLIMB, MEASURED = range(8)
RING_FIELDS = ("time_s", "lat", "lon", "alt_m", "speed_m_s", "track_deg", "vertical_rate_m_s", "position_time_s")

_PAYLOAD_FLOATS = (
    "speed_m_s", "track_deg", "vertical_rate_m_s", "position_time_s", "eirp_dbm", "freq_hz", "confidence",
    "anomaly_score",
)  # fmt: skip
_PAYLOAD_TEXTS = ("callsign", "emitter_kind", "cluster", "recorded_at")
_PAYLOAD_FIELDS: dict[str, pa.DataType] = {
    **{name: pa.float64() for name in _PAYLOAD_FLOATS},
    **{name: pa.string() for name in _PAYLOAD_TEXTS},
    "synthetic": pa.bool_(),
}


@numba.njit(cache=True, nogil=True)
def _push_fixes(
    ring: np.ndarray, count: np.ndarray, heard_s: np.ndarray, slot: np.ndarray, rows: np.ndarray, newer: np.ndarray
) -> int:
    """Push rows (n, 8) into right-aligned rings (emitters, K, 8), mark the newer ones; counts those that repeat."""
    depth = ring.shape[1]
    repeated = 0
    for i in range(slot.shape[0]):
        s = slot[i]
        newer[i] = rows[i, 0] > heard_s[s]
        if not newer[i]:
            continue
        heard_s[s] = rows[i, 0]
        if count[s] > 0:
            newest = ring[s, depth - 1]
            # A feed that has lost an emitter repeats its last position: the same place although it moves,
            # or the same time of measurement. That is no fix, and must not push real ones out of the ring.
            same_place = rows[i, 1] == newest[1] and rows[i, 2] == newest[2]
            if rows[i, 7] == newest[7] or (same_place and rows[i, 4] > MOVING_M_S):
                repeated += 1
                continue
        for k in range(depth - 1):
            for f in range(8):
                ring[s, k, f] = ring[s, k + 1, f]
        for f in range(8):
            ring[s, depth - 1, f] = rows[i, f]
        count[s] = min(count[s] + 1, depth)
    return repeated


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """The emitters known at one moment: an immutable snapshot of the fold.

    Attributes
    ----------
    moment_s : float
        The moment that the snapshot speaks of, epoch seconds.
    seq : int
        Last event folded in.
    ring : ndarray of float64, (n, K, 8)
        Newest fix last; unused leading fixes are NaN. Planes are `RING_FIELDS`.
    count : ndarray of int64, (n,)
        Fixes held of each emitter.
    table : DataFrame of n rows
        id, callsign, emitter_kind, cluster, source, eirp_dbm, freq_hz, confidence, anomaly_score,
        assumed_radio (true where power or frequency is a default of the kind), synthetic, recorded_at.
    states : TrackStates
        What the tracking filter knows of each emitter.
    """

    moment_s: float
    seq: int
    ring: np.ndarray
    count: np.ndarray
    table: pd.DataFrame
    states: TrackStates

    def __len__(self) -> int:
        return len(self.table)

    def newest(self, plane: int) -> np.ndarray:
        """One plane of the newest fix of each emitter, (n,) float64."""
        return self.ring[:, -1, plane]

    @property
    def age_s(self) -> np.ndarray:
        """Age of each newest fix at the moment of the snapshot, s, (n,)."""
        return np.maximum(self.moment_s - self.newest(TIME), 0.0)

    def ahead(self, horizon_s: np.ndarray, rows: slice | np.ndarray = slice(None)) -> Prediction:
        """Where emitters will be `horizon_s` seconds, (n,) or (n, H), after their newest fixes; all, or some rows."""
        states = self.states.take(rows)
        # the filter has heard repeats, which are no fixes
        since_s = (self.newest(TIME)[rows] - states.newest_s)[:, None]
        steps = np.asarray(horizon_s, dtype=np.float64)
        if steps.ndim == 2:
            return states.predict(steps + since_s)
        p = states.predict(steps[:, None] + since_s)
        return Prediction._make(part[:, 0] if part.ndim == 2 else part for part in p)

    def emitters(self) -> pd.DataFrame:
        """One row per emitter at its last fix: the table `engine.rf.power_field` takes."""
        out = self.table.copy()
        for name in RING_FIELDS:
            out[name] = self.newest(RING_FIELDS.index(name))
        out["age_s"] = self.age_s
        return out

    def fixes(self) -> pd.DataFrame:
        """All fixes held, one row each: the table `engine.rf.forecast` takes."""
        n, depth, _ = self.ring.shape
        held = (np.arange(depth)[None, :] >= depth - self.count[:, None]).ravel()
        flat = self.ring.reshape(n * depth, 8)[held]
        out = pd.DataFrame({name: flat[:, i] for i, name in enumerate(RING_FIELDS)})
        out.insert(0, "id", np.repeat(self.table["id"].to_numpy(), depth)[held])
        out["time"] = pd.to_datetime(out.pop("time_s"), unit="s", utc=True)
        out["position_time"] = pd.to_datetime(out.pop("position_time_s"), unit="s", utc=True)
        return out


class TrackFold:
    """Fold of `emitter.fix` events into the last fixes of each emitter (A1).

    Parameters
    ----------
    history : int
        Fixes kept of each emitter.
    max_emitters : int
        Emitters remembered at once; the longest silent are forgotten first and counted.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> fold = TrackFold()
    >>> fold.apply(event_table([0, 1_000_000], FIX, ["a", "a"], "doc", lat=[47.0, 47.1], lon=[8.0, 8.0]))
    >>> tracks = fold.snapshot(moment_s=1.0)
    >>> len(tracks), int(tracks.count[0])
    (1, 2)
    """

    def __init__(self, history: int = DEFAULT_HISTORY, max_emitters: int = MAX_EMITTERS) -> None:
        if history < 2:
            raise ValueError(f"history is {history}; at least 2 fixes are needed to know a velocity")
        self.history = history
        self.max_emitters = max_emitters
        self.seq = 0
        self.folded = 0
        self.not_newer = 0
        self.repeated = 0
        self.forgotten = 0
        self.newest_s = 0.0
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}
        self._facts = EmitterFacts()
        self._ring = np.full((64, history, 8), np.nan)
        self._count = np.zeros(64, dtype=np.int64)
        # Time of the newest event of each emitter, repeats included: what is not newer has been folded already.
        self._heard_s = np.full(64, -np.inf)
        self._bank = RollingBank()

    def apply(self, events: pa.Table) -> None:
        """Fold one event batch; events of other kinds only move `seq`.

        Parameters
        ----------
        events : pyarrow.Table
            Schema `engine.events.SCHEMA`, in log order.
        """
        with self._lock:
            last_seq = pc.max(events["seq"]).as_py()
            fixes = positions(events)
            if fixes.num_rows:
                self._fold_fixes(fixes)
            over = ended_drills(events)
            if over:
                self._keep(np.array([not name.startswith(over) for name in self._facts.ids()], dtype=np.bool_))
            self.folded += events.num_rows
            self.seq = max(self.seq, last_seq or 0)

    def snapshot(self, moment_s: float, silence_s: float = DEFAULT_SILENCE_S) -> Tracks:
        """The emitters heard within `silence_s` before `moment_s` (epoch seconds), with their fixes of `HISTORY_S`."""
        with self._lock:
            order = self._facts.by_id()
            newest = self._ring[order, -1, TIME]
            shown = order[(newest > moment_s - silence_s) & (newest <= moment_s + 1.0)]
            table = self._facts.table(shown)
            ring, states, seq = self._ring[shown], self._bank.states(shown), self.seq
        ring[ring[:, :, TIME] <= moment_s - max(HISTORY_S, silence_s)] = np.nan
        count = np.isfinite(ring[:, :, TIME]).sum(axis=1)
        return Tracks(moment_s, seq, ring, count, table, states)

    def _fold_fixes(self, fixes: pa.Table) -> None:
        payload = payload_columns(fixes, _PAYLOAD_FIELDS)
        entity = fixes["entity"].combine_chunks().dictionary_encode()
        codes = entity.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        slot_of_code = self._slots_for(entity.dictionary.to_pylist())
        rows = _fix_rows(fixes, payload)
        newer = np.zeros(len(rows), dtype=np.bool_)
        self.repeated += _push_fixes(self._ring, self._count, self._heard_s, slot_of_code[codes], rows, newer)
        self._bank.update(slot_of_code[codes][newer], rows[newer])
        self.not_newer += int(len(rows) - newer.sum())
        self._update_info(codes, slot_of_code, newer, payload, fixes["source"])
        self.newest_s = max(self.newest_s, float(rows[:, TIME].max()))
        if len(self._facts) > self.max_emitters:
            self._forget(len(self._facts) - self.max_emitters)

    def _slots_for(self, ids: list[str]) -> np.ndarray:
        new = [name for name in ids if name not in self._slots]
        self._slots.update(zip(new, range(len(self._facts), len(self._facts) + len(new)), strict=True))
        self._facts.add(new)
        need = len(self._facts)
        if need > len(self._ring):
            grown = max(need, 2 * len(self._ring))
            self._ring = np.concatenate([self._ring, np.full((grown - len(self._ring), self.history, 8), np.nan)])
            self._count = np.concatenate([self._count, np.zeros(grown - len(self._count), dtype=np.int64)])
            self._heard_s = np.concatenate([self._heard_s, np.full(grown - len(self._heard_s), -np.inf)])
        return np.array([self._slots[name] for name in ids], dtype=np.int64)

    def _update_info(
        self, codes: np.ndarray, slots: np.ndarray, newer: np.ndarray, payload: dict[str, Any], source: Any
    ) -> None:
        # Once per emitter of the batch, not per event: the last row of each emitter carries the newest facts,
        # the last row that has a text the newest text, so that it does not matter where batches are cut.
        facts = self._facts
        for name in _PAYLOAD_TEXTS:
            row = _last_rows(codes, len(slots), newer & pd.notna(payload[name]))
            facts.tell(name, slots[row >= 0], payload[name][row[row >= 0]])
        row = _last_rows(codes, len(slots), newer)
        told, row = slots[row >= 0], row[row >= 0]
        facts.tell_radio(told, payload["eirp_dbm"][row], payload["freq_hz"][row])
        facts.tell("confidence", told, _unit_interval(payload["confidence"][row], 1.0))
        facts.tell("anomaly_score", told, _unit_interval(payload["anomaly_score"][row], 0.0))
        facts.tell("synthetic", told, payload["synthetic"][row])
        facts.tell("source", told, source.take(pa.array(row)).to_pylist())

    def _forget(self, n: int) -> None:
        total = len(self._facts)
        self._keep(np.sort(np.argsort(self._ring[:total, -1, TIME], kind="stable")[n:]))
        self.forgotten += n

    def _keep(self, which: np.ndarray) -> None:
        """Keep these emitters (their places, or a flag for each) and drop the others."""
        keep = np.flatnonzero(which) if which.dtype == np.bool_ else which
        self._ring[: len(keep)] = self._ring[keep]
        self._ring[len(keep) :] = np.nan
        self._count[: len(keep)] = self._count[keep]
        self._count[len(keep) :] = 0
        self._heard_s[: len(keep)] = self._heard_s[keep]
        self._heard_s[len(keep) :] = -np.inf
        self._bank.keep(keep)
        self._facts.keep(keep)
        self._slots = {name: i for i, name in enumerate(self._facts.ids())}


def _last_rows(codes: np.ndarray, n_codes: int, wanted: np.ndarray) -> np.ndarray:
    """Last wanted row of each code, -1 where there is none."""
    last = np.full(n_codes, -1, dtype=np.int64)
    rows = np.flatnonzero(wanted)
    last[codes[rows]] = rows
    return last


def fixes_of(events: pa.Table) -> np.ndarray:
    """Position events as rows of `RING_FIELDS`, (n, 8) float64, in log order."""
    fixes = positions(events)
    return _fix_rows(fixes, payload_columns(fixes, _PAYLOAD_FIELDS))


def positions(events: pa.Table) -> pa.Table:
    """The events of a batch that report a position."""
    placed = pc.and_(pc.is_valid(events["lat"]), pc.is_valid(events["lon"]))
    return events.filter(pc.and_(pc.equal(events["kind"], FIX), placed))


def _fix_rows(fixes: pa.Table, payload: dict[str, np.ndarray]) -> np.ndarray:
    rows = np.empty((fixes.num_rows, 8))
    rows[:, TIME] = fixes["time"].cast(pa.int64()).to_numpy() * 1e-6
    rows[:, LAT] = fixes["lat"].to_numpy()
    rows[:, LON] = fixes["lon"].to_numpy()
    rows[:, ALT] = np.nan_to_num(pc.fill_null(fixes["alt_m"], 0.0).to_numpy())
    for plane in (SPEED, TRACK, CLIMB, MEASURED):
        rows[:, plane] = payload[RING_FIELDS[plane]]
    return rows


def _unit_interval(values: np.ndarray, default: float) -> np.ndarray:
    """Values in [0, 1]; the default only where there is none: 0.0 is a value, not a missing one."""
    return np.where(np.isfinite(values), np.clip(values, 0.0, 1.0), default)
