"""A bank of tracks that a replay can rebuild: no track knows a fix from before the last boundary of time but one.

A filter that runs on for ever can only be told by who has heard all of it. Here time is cut into eras,
the same for all emitters, and two filters run for each: one begun with the present era, one with the
era before. The older one is asked. So it always knows between one and two eras of fixes, and whoever
folds the same fixes from the beginning of the era before has the same numbers, to the last bit. Not
for several threads at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.rf.track_bank import TrackBank, TrackStates, rounds

ERA_S = 120.0
"""Length of an era, s; eras begin at whole multiples of it since 1970."""

KNOWN_S = 2.0 * ERA_S
"""No track depends on a fix that is older than its newest by more than this, s."""

_FIRST_SLOTS = 64
_NEVER = -(2**40)


class RollingBank:
    """Tracks of emitters that are numbered from 0, each with the fixes of one to two eras.

    Examples
    --------
    >>> bank = RollingBank()
    >>> bank.update(np.array([0]), np.array([[0.0, 47.0, 8.0, 9000.0, 200.0, 90.0, 0.0, np.nan]]))
    >>> there = bank.states(np.array([0])).predict([[10.0]])
    >>> round(float(there.lat[0, 0]), 3), round(float(there.lon[0, 0]), 3)
    (47.0, 8.026)
    """

    def __init__(self) -> None:
        self._bank = TrackBank(2 * _FIRST_SLOTS)
        self._era = np.full(_FIRST_SLOTS, _NEVER)
        # where each emitter is: who is dropped leaves a place to others, and nobody is moved
        self._place = np.empty(0, dtype=np.int64)
        self._free = list(range(_FIRST_SLOTS))[::-1]

    def __len__(self) -> int:
        return len(self._place)

    def update(self, emitter: NDArray[np.int64], fixes: NDArray[np.float64]) -> None:
        """Take fixes, planes as in `engine.rf.tracks`; of each emitter in the order of their times.

        Parameters
        ----------
        emitter : ndarray of int64, (n,)
            A number one beyond the last, or more, makes place for new emitters.
        fixes : ndarray of float64, (n, 8)
        """
        if not emitter.size:
            return
        self._reach(int(emitter.max()) + 1)
        era = np.floor(fixes[:, 0] / ERA_S).astype(np.int64)
        last = np.full(len(self), _NEVER)
        np.maximum.at(last, emitter, era)
        wanted = np.flatnonzero(era >= last[emitter] - 1)  # what is older is forgotten within this call
        place, era, fixes = self._place[emitter[wanted]], era[wanted], fixes[wanted]
        for mine in rounds(place):
            here, now = place[mine], era[mine]
            behind = now - self._era[here]
            young, old = 2 * here + now % 2, 2 * here + 1 - now % 2
            self._bank.forget(np.concatenate([young[behind >= 1], old[behind >= 2]]))
            self._era[here] = now
            self._bank.update(np.concatenate([young, old]), np.concatenate([fixes[mine], fixes[mine]]))

    def states(self, emitter: NDArray[np.int64]) -> TrackStates:
        """The older filter of some emitters, as it is now."""
        here = self._place[emitter]
        return self._bank.states(2 * here + 1 - self._era[here] % 2)

    def keep(self, emitter: NDArray[np.int64]) -> None:
        """Drop all but these emitters, which are numbered anew in this order."""
        kept = self._place[emitter]
        gone = np.setdiff1d(self._place, kept)
        self._bank.forget(np.concatenate([2 * gone, 2 * gone + 1]))
        self._era[gone] = _NEVER
        self._free.extend(gone.tolist())
        self._place = kept

    def _reach(self, emitters: int) -> None:
        more = emitters - len(self)
        if more <= 0:
            return
        places = len(self._era)
        if more > len(self._free):
            grown = max(2 * places, places + more)
            self._bank.grow(2 * grown)
            self._era = np.concatenate([self._era, np.full(grown - places, _NEVER)])
            self._free = [*range(places, grown)[::-1], *self._free]
        self._place = np.concatenate([self._place, [self._free.pop() for _ in range(more)]]).astype(np.int64)
