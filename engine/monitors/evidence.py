"""Where alarms point: the last events of each cluster in the log, and where the cluster is on the map.

Bounded rings of sequence numbers and a running centre per cluster. It judges nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict, deque

import numpy as np
from numba import njit

KEPT_EVENTS = 32
"""Events remembered of each cluster."""

MAX_NAMES = 2_000
"""Clusters and targets remembered; the one heard from longest ago gives way."""

KEPT_BOUNDARIES = 2_048

_FORGET_POSITIONS = 0.02  # weight of a new position in the running centre, once there are fifty


@njit(cache=True, nogil=True)
def _push_seqs(
    ring_seq: np.ndarray, ring_s: np.ndarray, count: np.ndarray, slot: np.ndarray, seq: np.ndarray, time_s: np.ndarray
) -> None:
    """Write sequence numbers and times into circular rings (names, K)."""
    for i in range(slot.shape[0]):
        s = slot[i]
        at = count[s] % ring_seq.shape[1]
        ring_seq[s, at] = seq[i]
        ring_s[s, at] = time_s[i]
        count[s] += 1


class Evidence:
    """The last events and the place of every cluster.

    Examples
    --------
    >>> import numpy as np
    >>> found = Evidence()
    >>> one, at = np.array([0, 0]), np.array([1.0, 2.0])
    >>> found.push(one, ["c1"], np.array([7, 9]), at, np.array([47.0, 47.2]), np.array([8.0, 8.0]))
    >>> found.seqs(["c1"], since_s=1.5), [round(x, 6) for x in found.place("c1")]
    ([9], [47.1, 8.0])
    """

    def __init__(self) -> None:
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._free = list(range(MAX_NAMES - 1, -1, -1))
        self._seq = np.zeros((MAX_NAMES, KEPT_EVENTS), np.int64)
        self._time = np.full((MAX_NAMES, KEPT_EVENTS), -np.inf)
        self._count = np.zeros(MAX_NAMES, np.int64)
        self._centre = np.zeros((MAX_NAMES, 3))
        self._placed = np.zeros(MAX_NAMES)
        self._boundaries: deque[tuple[float, int]] = deque(maxlen=KEPT_BOUNDARIES)

    def boundary(self, at_s: float, next_seq: int) -> None:
        """Remember which event is the first after a moment."""
        self._boundaries.append((at_s, next_seq))

    def span(self, start_s: float, end_s: float) -> tuple[int, int]:
        """First and last place in the log of what lies between two boundaries; 0 where that is not known."""
        times = [at for at, _ in self._boundaries]
        if not times:
            return 0, 0
        first = self._boundaries[max(bisect_right(times, start_s) - 1, 0)][1]
        after = bisect_right(times, end_s)
        last = self._boundaries[min(after, len(times)) - 1][1] - 1
        return first, max(last, first)

    def push(
        self, codes: np.ndarray, names: list[str], seq: np.ndarray, time_s: np.ndarray, lat: np.ndarray, lon: np.ndarray
    ) -> None:
        """Take events in: code of the cluster of each (n,), place in the log, epoch s, degrees or NaN."""
        if not len(codes):
            return
        used = np.unique(codes)
        slot = np.full(len(names), -1, np.int64)
        for code in used[: MAX_NAMES // 2].tolist():
            slot[code] = self._slot_of(names[code])
        told = slot[codes] >= 0
        place = slot[codes[told]]
        _push_seqs(self._seq, self._time, self._count, place, seq[told].astype(np.int64), time_s[told])
        here = told & np.isfinite(lat) & np.isfinite(lon)
        if here.any():
            self._move(slot[codes[here]], np.radians(lat[here]), np.radians(lon[here]))

    def seqs(self, names: list[str], since_s: float) -> list[int]:
        """Places in the log of the last events of some clusters after a moment, ascending, at most `KEPT_EVENTS`."""
        found: list[int] = []
        for name in names:
            slot = self._slots.get(name)
            if slot is not None:
                found += self._seq[slot, self._time[slot] >= since_s].tolist()
        return sorted(set(found))[-KEPT_EVENTS:]

    def place(self, name: str) -> tuple[float, float] | None:
        """Latitude and longitude of the running centre of a cluster, degrees; None where it is not known."""
        slot = self._slots.get(name)
        if slot is None or not self._placed[slot]:
            return None
        x, y, z = self._centre[slot].tolist()
        if math.hypot(x, y, z) < 1e-9:
            return None
        return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))

    def forget(self, prefix: str) -> None:
        """Drop all names that begin so."""
        for name in [name for name in self._slots if name.startswith(prefix)]:
            self._drop(name)

    def _move(self, slots: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> None:
        points = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        for slot in np.unique(slots).tolist():
            mine = points[slots == slot]
            held = min(self._placed[slot], 1.0 / _FORGET_POSITIONS)
            self._centre[slot] = (held * self._centre[slot] + mine.sum(axis=0)) / (held + len(mine))
            self._placed[slot] = held + len(mine)

    def _slot_of(self, name: str) -> int:
        slot = self._slots.get(name)
        if slot is None:
            if not self._free:
                self._drop(next(iter(self._slots)))
            slot = self._slots[name] = self._free.pop()
        self._slots.move_to_end(name)
        return slot

    def _drop(self, name: str) -> None:
        slot = self._slots.pop(name)
        self._free.append(slot)
        self._time[slot] = -np.inf
        self._count[slot] = 0
        self._centre[slot] = 0.0
        self._placed[slot] = 0.0
