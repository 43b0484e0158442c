"""What monitors of many clusters share: a place for each cluster, an alarm for each, and a summary.

The number of clusters is bounded; the one that has been silent longest gives its place to a new one. What is
read of a cluster is the business of each monitor.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from engine.drift.batch import EventBatch
from engine.drift.metric import Hysteresis, Limit, Metric, State, Transition
from engine.drift.monitor import Monitor

MAX_CLUSTERS = 500
"""Clusters watched at once."""

MOST_RESULTS = 24
"""Clusters named in the results of one moment."""


class ClusterMonitor(Monitor):
    """A monitor that reads one number, and perhaps a label, of every cluster.

    The cluster of an event is its payload's ``cluster``, else its entity.

    Parameters
    ----------
    step_s, window_s : float
    limit : Limit, optional
        Over the monitor's `default_limit`.
    max_clusters : int

    Attributes
    ----------
    forgotten : int
        Clusters dropped because there were too many.
    """

    unit: ClassVar[str] = ""
    default_limit: ClassVar[Limit]

    def __init__(
        self, step_s: float, window_s: float, limit: Limit | None = None, max_clusters: int = MAX_CLUSTERS
    ) -> None:
        super().__init__(step_s)
        if max_clusters < 1:
            raise ValueError(f"max_clusters is {max_clusters}; at least 1 is needed")
        self.window_s = window_s
        self.limit = self.default_limit if limit is None else limit
        self.max_clusters = max_clusters
        self.forgotten = 0
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._places = 0  # places ever used; those beyond are empty
        self._names = [""] * max_clusters
        self._heard_s = np.full(max_clusters, -np.inf)
        self._alarms: dict[int, Hysteresis] = {}
        self._metrics: dict[int, Metric] = {}
        self._labels: dict[int, str] = {}
        self._where: dict[int, tuple[float, float]] = {}

    def state(self) -> dict[str, Metric]:
        """Summary of all clusters: ``clusters`` watched, ``raised`` among them, and the ``highest`` of them."""
        end_s = self.clock_s if math.isfinite(self.clock_s) else 0.0
        start_s = end_s - self.window_s
        raised = self.raised()
        told = [(slot, metric) for slot, metric in self._metrics.items() if metric.state != "insufficient"]
        slot, top = max(told, key=lambda pair: pair[1].value, default=(0, None))
        enough: State = "quiet" if told else "insufficient"
        state: State = "raised" if raised else enough
        value, n = (top.value, top.n) if top else (0.0, 0)
        who = ((self._names[slot], 1.0),) if top else ()
        watched = len(self._slots)
        return {
            "clusters": Metric("clusters", float(watched), "", math.inf, enough, start_s, end_s, watched),
            "raised": Metric(
                "raised", float(len(raised)), "", 1.0, state, start_s, end_s, watched,
                responsible=tuple((name, 1.0 / len(raised)) for name in raised[:10]),
            ),
            "highest": Metric(
                "highest", value, self.unit, self.limit.threshold, state, start_s, end_s, n, responsible=who
            ),
        }  # fmt: skip

    def results(self) -> dict[str, tuple[Metric, str]]:
        """The clusters with an alarm and those with the highest numbers, at most `MOST_RESULTS`, and the summary."""
        told = {name: metric for name, metric in self.clusters().items() if metric.state != "insufficient"}
        order = sorted(told, key=lambda name: (told[name].state != "raised", -abs(told[name].value), name))
        some = {name: (told[name], self._labels.get(self._slots[name], "")) for name in order[:MOST_RESULTS]}
        return {**some, "raised": (self.state()["raised"], "")}

    def located(self) -> dict[str, tuple[float, float]]:
        """Where those are that are about a place of their own, degrees."""
        return {self._names[slot]: place for slot, place in self._where.items()}

    def raised(self) -> list[str]:
        """Clusters whose alarm stands."""
        return sorted(self._names[slot] for slot, alarm in self._alarms.items() if alarm.raised)

    def clusters(self) -> dict[str, Metric]:
        """The number of every cluster at the last look."""
        return {name: self._metrics[slot] for name, slot in self._slots.items() if slot in self._metrics}

    @abstractmethod
    def _forget_slot(self, slot: int) -> None:
        """Clear what is kept of a cluster; its place is used for another."""

    def _cluster_columns(
        self, events: EventBatch, fields: dict[str, type]
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Codes of the cluster of each event, and the payload fields asked for."""
        if events.stands_alone:
            fields = {"cluster": str, **fields}  # one parse for both
        payload = events.payload(fields) if fields else {}
        codes, self._cluster_names = events.clusters(payload.pop("cluster", None))
        return {"cluster": codes}, payload

    def _forget_prefix(self, prefix: str) -> list[Transition]:
        found: list[Transition] = []
        for name, slot in [pair for pair in self._slots.items() if pair[0].startswith(prefix)]:
            alarm, metric = self._alarms.get(slot), self._metrics.get(slot)
            if alarm is not None and alarm.raised and metric is not None:
                found.append(Transition(self.name, replace(metric, state="quiet"), self.clock_s, False, name))
            self._give_up(slot)
            self._free.append(slot)
        return found

    def _slots_of(self, codes: np.ndarray, time_s: np.ndarray) -> np.ndarray:
        """Places of the clusters of some events; one look-up per cluster, not per event. -1 where there is none."""
        slot = np.full(len(self._cluster_names), -1, np.int64)
        used, first = np.unique(codes, return_index=True)
        newest = np.full(len(self._cluster_names), -np.inf)
        np.maximum.at(newest, codes, time_s)
        for code in used[np.argsort(first)].tolist():  # in the order of appearance
            slot[code] = self._slot_of(self._cluster_names[code])
            if slot[code] >= 0:
                self._heard_s[slot[code]] = max(self._heard_s[slot[code]], float(newest[code]))
        return slot[codes]

    def _slot_of(self, name: str) -> int:
        if name in self._slots:
            return self._slots[name]
        if self._free:
            slot = self._free.pop()
        elif self._places < self.max_clusters:
            slot, self._places = self._places, self._places + 1
        else:
            slot = int(np.argmin(self._heard_s))
            self.forgotten += 1
            self._give_up(slot)
        self._slots[name], self._names[slot], self._heard_s[slot] = slot, name, -np.inf
        return slot

    def _give_up(self, slot: int) -> None:
        self._forget_slot(slot)
        del self._slots[self._names[slot]]
        self._names[slot] = ""
        self._alarms.pop(slot, None)
        self._metrics.pop(slot, None)
        self._labels.pop(slot, None)
        self._where.pop(slot, None)

    def _judge(
        self, slot: int, at_s: float, value: float, n: int, *, tested: float | None = None, label: str = "",
        responsible: Sequence[tuple[str, float]] = (), parts: Sequence[tuple[str, float]] = (),
        place: tuple[float, float] | None = None,
    ) -> list[Transition]:  # fmt: skip
        """Move the alarm of one cluster, and remember its number."""
        alarm = self._alarms.get(slot)
        if alarm is None:
            alarm = self._alarms[slot] = Hysteresis(self.limit)
        enough = n >= self.limit.min_n
        changed = alarm.look(value if tested is None else tested, at_s, enough)
        state: State = "raised" if alarm.raised else "quiet" if enough else "insufficient"
        metric = Metric(
            self.name, value if enough else 0.0, self.unit, self.limit.threshold, state, at_s - self.window_s, at_s, n,
            since_s=alarm.since_s, responsible=tuple(responsible),
        )  # fmt: skip
        self._metrics[slot] = metric
        self._labels[slot] = label
        if place is not None:
            self._where[slot] = place
        if changed is None:
            return []
        return [Transition(self.name, metric, at_s, changed, self._names[slot], label, tuple(parts), place)]
