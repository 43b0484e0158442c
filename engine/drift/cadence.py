"""Monitors of when clusters act: a beat that appears (C2), and a silence that is too long for chance (C1).

Folds over event times alone; what the events are does not matter here. The numbers are those of
`engine.drift.timing` and `engine.silence`.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar

import numpy as np
from numba import njit

from engine.drift.batch import EventBatch
from engine.drift.clusters import MAX_CLUSTERS, ClusterMonitor
from engine.drift.metric import Limit, Transition
from engine.drift.timing import Rhythm, rhythm
from engine.silence import predictive_pressure

WINDOW_S = 300.0
TIMING_STEP_S = 15.0

TIMING_ALPHA = 1e-6
"""Significance of a beat at one look; set from the simulated false-alarm rate of overlapping looks."""

SIMULTANEOUS_MS = 50.0
"""Latency spread below which a beat of several events is simultaneous, ms."""

EVENTS_KEPT = 1024
"""Event times kept of each cluster; of more within the window the latest."""

SILENCE_EVENTS = 64
"""Events that a cluster's recent rate is taken from."""


@njit(cache=True, nogil=True)
def _push_times(ring: np.ndarray, count: np.ndarray, slot: np.ndarray, time_s: np.ndarray) -> None:
    """Write times into circular rings (clusters, K); count is of all ever written."""
    for i in range(slot.shape[0]):
        s = slot[i]
        ring[s, count[s] % ring.shape[1]] = time_s[i]
        count[s] += 1


class _TimesMonitor(ClusterMonitor):
    """Keeps the newest event times of every cluster."""

    def __init__(self, step_s: float, window_s: float, kept: int, limit: Limit | None, max_clusters: int) -> None:
        super().__init__(step_s, window_s, limit, max_clusters)
        self._ring = np.full((max_clusters, kept), np.nan)
        self._count = np.zeros(max_clusters, np.int64)

    def _columns(self, events: EventBatch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return np.arange(events.num_rows), self._cluster_columns(events, {})[0]

    def _fold(self, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        slot = self._slots_of(columns["cluster"], time_s)
        _push_times(self._ring, self._count, slot, time_s)
        self._heard(slot, time_s)

    def _heard(self, slot: np.ndarray, time_s: np.ndarray) -> None:
        """Told of the events of a step, by the place of their cluster."""

    def _forget_slot(self, slot: int) -> None:
        self._ring[slot] = np.nan
        self._count[slot] = 0


class TimingMonitor(_TimesMonitor):
    """Timing of every cluster (C2) over the last five minutes, looked at every fifteen seconds.

    The number is the phase coherence at the dominant period; an alarm is raised where it is over the limit and
    events at random would show as much with less than `alpha`. The label is SIMULTANEOUS where on average three or more
    events make a beat and their spread is below `SIMULTANEOUS_MS`, else BEAT.

    Parameters
    ----------
    alpha : float
        False-alarm probability of one look at one cluster; looks overlap, see docs/engine-drift.md.
    limit : Limit, optional
        On the coherence.
    max_clusters : int

    Attributes
    ----------
    rhythms : dict of str to Rhythm
        Of every cluster at the last look; `coherence_change` is against the window before.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> beat = TimingMonitor()
    >>> beat.update(event_table(5_000_000 * np.arange(64), "emitter.pulse", ["c1"] * 64, "doc"))[0].label
    'BEAT'
    >>> round(beat.rhythms["c1"].dominant_period_s, 6)
    5.0
    """

    name: ClassVar[str] = "timing"
    default_limit: ClassVar[Limit] = Limit(0.5, 0.4, min_n=8, raise_after=1, clear_after=8)

    def __init__(
        self, alpha: float = TIMING_ALPHA, limit: Limit | None = None, max_clusters: int = MAX_CLUSTERS
    ) -> None:
        super().__init__(TIMING_STEP_S, WINDOW_S, EVENTS_KEPT, limit, max_clusters)
        self.alpha = alpha
        self.rhythms: dict[str, Rhythm] = {}
        self._past: dict[str, deque[Rhythm]] = {}
        self._looked = np.zeros(self.max_clusters, np.int64)  # events of each cluster at its last look

    def _look(self, at_s: float) -> list[Transition]:
        held = (self._ring >= at_s - WINDOW_S) & (self._ring < at_s)
        found: list[Transition] = []
        for slot in sorted({*np.flatnonzero(held.any(axis=1)).tolist(), *self._metrics}):
            name = self._names[slot]
            times = np.sort(self._ring[slot, held[slot]])
            past = self._past.setdefault(name, deque(maxlen=round(WINDOW_S / TIMING_STEP_S)))
            now = self.rhythms.get(name)
            if now is None or now.n != len(times) or self._looked[slot] != self._count[slot]:
                now = rhythm(times, past[0] if len(past) == past.maxlen else None)
            past.append(now)
            self._looked[slot] = self._count[slot]
            self.rhythms[name] = now
            sure = now.phase_coherence if now.p_value < self.alpha else 0.0
            found += self._judge(
                slot, at_s, now.phase_coherence, now.n if now.sufficient else 0, tested=sure,
                label=_beat_label(times, now) if sure else "",
            )  # fmt: skip
        return found

    def _forget_slot(self, slot: int) -> None:
        super()._forget_slot(slot)
        self.rhythms.pop(self._names[slot], None)
        self._past.pop(self._names[slot], None)
        self._looked[slot] = 0


def _beat_label(times: np.ndarray, found: Rhythm) -> str:
    # Gaps longer than half a period separate beats.
    beats = 1 + int((np.diff(times) > 0.5 * found.dominant_period_s).sum())
    return "SIMULTANEOUS" if len(times) >= 3 * beats and found.latency_spread_ms < SIMULTANEOUS_MS else "BEAT"


def _burstiness(times: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Squared coefficient of variation of intervals, at least 1: times (clusters, K) with NaN, counts (clusters,)."""
    gaps = np.diff(np.sort(times, axis=1), axis=1)  # NaN goes last
    m = np.maximum(n - 1, 1)
    mean = np.nansum(gaps, axis=1) / m
    variance = np.maximum(np.nansum(gaps**2, axis=1) / m - mean**2, 0.0)
    return np.maximum(np.divide(variance, mean**2, out=np.ones(len(mean)), where=mean > 0.0), 1.0)


class SilenceMonitor(_TimesMonitor):
    """Silence pressure of every cluster, looked at every ten seconds.

    The number is `silence_pressure_predictive` over the newest `SILENCE_EVENTS` events, which is exact for
    Poisson events: a threshold of 6 is passed by one pause in a million. Real traffic comes in bursts and
    pauses more often, so the number is divided by the intervals' variance over their squared mean, where that is
    above 1, its value for Poisson events.

    Parameters
    ----------
    limit : Limit, optional
        On the pressure.
    max_clusters : int
    heard_s : float
        Only a cluster that has been heard for as long is missed, s: who comes for a while and leaves is a visitor.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> quiet = SilenceMonitor()
    >>> events = event_table(1_000_000 * np.arange(40), "emitter.pulse", ["c1"] * 40, "doc")
    >>> quiet.update(events), quiet.advance(80.0)[0].entity
    ([], 'c1')
    """

    name: ClassVar[str] = "silence"
    default_limit: ClassVar[Limit] = Limit(6.0, 3.0, min_n=16, raise_after=1, clear_after=1)

    def __init__(self, limit: Limit | None = None, max_clusters: int = MAX_CLUSTERS, heard_s: float = 0.0) -> None:
        super().__init__(10.0, 10.0, SILENCE_EVENTS, limit, max_clusters)
        self.heard_s = heard_s
        self._since = np.full(max_clusters, np.inf)  # first event of each cluster since it was last missed

    def _heard(self, slot: np.ndarray, time_s: np.ndarray) -> None:
        np.minimum.at(self._since, slot[slot >= 0], time_s[slot >= 0])

    def _forget_slot(self, slot: int) -> None:
        super()._forget_slot(slot)
        self._since[slot] = np.inf

    def _look(self, at_s: float) -> list[Transition]:
        watched = self._places
        times = np.where(self._ring[:watched] < at_s, self._ring[:watched], np.nan)
        n = np.isfinite(times).sum(axis=1)
        held = np.flatnonzero(n >= 2)
        last, first = np.nanmax(times[held], axis=1), np.nanmin(times[held], axis=1)
        pressure = predictive_pressure(n[held] - 1, last - first, at_s - last) / _burstiness(times[held], n[held])
        found: list[Transition] = []
        for slot, value, count in zip(held.tolist(), pressure.tolist(), n[held].tolist(), strict=True):
            newest = float(self._heard_s[slot])
            known = self.heard_s <= 0.0 or newest - self._since[slot] >= self.heard_s
            found += self._judge(slot, at_s, value, count, tested=value if known else 0.0)
            if value > self.limit.threshold:  # whoever comes back has to stay again before it is missed again
                self._since[slot] = np.inf if not self._alarms[slot].raised else self._since[slot]
        return found
