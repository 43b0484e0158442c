"""Kill-chain slope (C4): is a cluster climbing from stage to stage, how surely, and when is it at the last?

Stage scores over time in, a robust slope with its significance out; the monitor is the fold that collects them.
Which event is at which stage is decided by who writes the payload key ``stage``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from engine.drift.batch import EventBatch
from engine.drift.clusters import MAX_CLUSTERS, ClusterMonitor
from engine.drift.metric import Limit, Transition
from engine.drift.trend import mann_kendall, theil_sen

LAST_STAGE = 7.0
"""Actions on objectives: the last of seven (Hutchins, Cloppert and Amin, 2011)."""

IMMINENT_S = 600.0
"""The last stage less than this away is imminent, s (asked for)."""

ALPHA = 1e-4
"""Significance of a rise at one look; set from the simulated false-alarm rate."""

STEP_S = 60.0
BUCKETS = 30
MIN_BUCKETS = 8
"""Fewest minutes with a stage; the normal approximation of Mann-Kendall is cautious there."""

Label = Literal["INSUFFICIENT", "FLAT", "FALLING", "RISING", "IMMINENT"]

NEVER_S = 1e9
"""Stands for *never* in `KillChain.time_to_last_s`, which has to be finite."""


@dataclass(frozen=True, slots=True)
class KillChain:
    """Trend of the stage score of one cluster.

    Attributes
    ----------
    label : str
        INSUFFICIENT, FLAT, FALLING, RISING or IMMINENT.
    slope_per_h, low_per_h, high_per_h : float
        Theil-Sen slope with its 95 % interval, stages per hour.
    p_value : float
        Two-sided, Mann-Kendall.
    level : float
        Stage now, on the robust line.
    time_to_last_s : float
        0 … `NEVER_S`.
    n : int
        Scores it rests on.
    """

    label: Label = "INSUFFICIENT"
    slope_per_h: float = 0.0
    low_per_h: float = 0.0
    high_per_h: float = 0.0
    p_value: float = 1.0
    level: float = 0.0
    time_to_last_s: float = NEVER_S
    n: int = 0


def kill_chain_slope(
    times_s: ArrayLike, stages: ArrayLike, now_s: float, *, last_stage: float = LAST_STAGE,
    imminent_s: float = IMMINENT_S, alpha: float = ALPHA, min_n: int = MIN_BUCKETS,
) -> KillChain:  # fmt: skip
    """Robust slope of stage scores, its significance, and the time to the last stage.

    The scores should not depend on their neighbours: of a burst of events give one value per minute, as the
    monitor does.

    Parameters
    ----------
    times_s, stages : array_like of float64, (n,)
        Epoch seconds, and stage from 1 to `last_stage`.
    now_s : float
    last_stage, imminent_s, alpha : float
    min_n : int
        With fewer scores the label is INSUFFICIENT.

    Returns
    -------
    KillChain

    Examples
    --------
    >>> import numpy as np
    >>> found = kill_chain_slope(60.0 * np.arange(20), 1 + 0.25 * np.arange(20), now_s=1140.0)
    >>> found.label, round(found.slope_per_h, 6), round(found.time_to_last_s)
    ('IMMINENT', 15.0, 300)

    References
    ----------
    Sen 1968; Mann 1945; Hutchins, Cloppert and Amin, Intelligence-driven computer network defense informed by
    analysis of adversary campaigns and intrusion kill chains, 2011.
    """
    hours = (np.asarray(times_s, np.float64).ravel() - now_s) / 3600.0
    stage = np.asarray(stages, np.float64).ravel()
    if len(stage) < max(min_n, 3) or np.ptp(hours) == 0.0:
        return KillChain(n=len(stage))
    slope, low, high = theil_sen(hours, stage)
    p_value = mann_kendall(hours, stage).p
    level = float(np.median(stage - slope * hours))
    left = max(last_stage - level, 0.0)
    eta_s = min(3600.0 * left / slope, NEVER_S) if slope > 0.0 else NEVER_S
    label: Label = "FLAT"
    if p_value < alpha:
        label = "IMMINENT" if slope > 0.0 and eta_s < imminent_s else "RISING" if slope > 0.0 else "FALLING"
        if slope == 0.0:
            label = "FLAT"
    return KillChain(label, slope, low, high, p_value, level, eta_s, len(stage))


class KillChainMonitor(ClusterMonitor):
    """Kill-chain slope of every cluster over the last half hour, looked at once a minute.

    The scores are the means of the stages of each minute. With shorter buckets everything is faster alike: thirty
    buckets of 2 s see a climb that takes a minute, and imminent is then less than 20 s away. The number held against
    the limit is the slope, in stages per hour, of a cluster that is IMMINENT, else 0.

    Parameters
    ----------
    last_stage, imminent_s, alpha : float
        As for `kill_chain_slope`.
    limit : Limit, optional
    max_clusters : int
    bucket_s : float
        Time of which one mean is taken, s; `imminent_s` is shortened in the same measure.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> monitor = KillChainMonitor()
    >>> monitor.update(event_table([0], "net.alert", ["c1"], "doc", payload=['{"stage": 1}']))
    []
    """

    name: ClassVar[str] = "kill_chain"
    unit: ClassVar[str] = "1/h"
    default_limit: ClassVar[Limit] = Limit(0.0, 0.0, min_n=MIN_BUCKETS, raise_after=2, clear_after=5)

    def __init__(
        self, last_stage: float = LAST_STAGE, imminent_s: float = IMMINENT_S, alpha: float = ALPHA,
        limit: Limit | None = None, max_clusters: int = MAX_CLUSTERS, bucket_s: float = STEP_S,
    ) -> None:  # fmt: skip
        super().__init__(bucket_s, bucket_s * BUCKETS, limit, max_clusters)
        self.last_stage, self.imminent_s, self.alpha = last_stage, imminent_s * bucket_s / STEP_S, alpha
        self._sum = np.zeros((max_clusters, BUCKETS))
        self._count = np.zeros((max_clusters, BUCKETS))
        self._bucket = np.full((max_clusters, BUCKETS), -1, np.int64)  # which minute each place holds
        self.chains: dict[str, KillChain] = {}

    def _columns(self, events: EventBatch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        columns, payload = self._cluster_columns(events, {"stage": float})
        rows = np.flatnonzero(np.isfinite(payload["stage"]))
        return rows, {"cluster": columns["cluster"][rows], "stage": payload["stage"][rows]}

    def _fold(self, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        slot = self._slots_of(columns["cluster"], time_s)
        bucket = np.floor(time_s / self.step_s).astype(np.int64)
        place = bucket % BUCKETS
        # A place that holds an older minute is emptied; an event older than what its place holds comes too late.
        newest = self._bucket.copy()
        np.maximum.at(newest, (slot, place), bucket)
        stale = newest > self._bucket
        self._sum[stale] = self._count[stale] = 0.0
        self._bucket = newest
        told = self._bucket[slot, place] == bucket
        np.add.at(self._sum, (slot[told], place[told]), columns["stage"][told])
        np.add.at(self._count, (slot[told], place[told]), 1.0)

    def _look(self, at_s: float) -> list[Transition]:
        newest = round(at_s / self.step_s) - 1
        held = (self._bucket > newest - BUCKETS) & (self._bucket <= newest) & (self._count > 0)
        held &= np.arange(self.max_clusters)[:, None] < self._places
        found: list[Transition] = []
        for slot in sorted({*np.flatnonzero(held.any(axis=1)).tolist(), *self._metrics}):
            places = np.flatnonzero(held[slot])
            places = places[np.argsort(self._bucket[slot, places])]
            times = (self._bucket[slot, places] + 0.5) * self.step_s
            chain = kill_chain_slope(
                times, self._sum[slot, places] / self._count[slot, places], at_s, last_stage=self.last_stage,
                imminent_s=self.imminent_s, alpha=self.alpha,
            )  # fmt: skip
            self.chains[self._names[slot]] = chain
            imminent = chain.slope_per_h if chain.label == "IMMINENT" else 0.0
            found += self._judge(slot, at_s, chain.slope_per_h, chain.n, tested=imminent, label=chain.label)
        return found

    def _forget_slot(self, slot: int) -> None:
        self.chains.pop(self._names[slot], None)
        self._bucket[slot] = -1
        self._sum[slot] = self._count[slot] = 0.0
