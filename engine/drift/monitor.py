"""What all monitors share: a fold that looks at fixed event times, and alarms on the numbers it reads.

A look is taken when event time passes a multiple of the step, before what comes after it is folded, so the same
events give the same alarms however they are cut into batches. What is read is the business of each monitor.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyarrow as pa

from engine.drift.batch import EventBatch
from engine.drift.metric import Hysteresis, Limit, Metric, State, Transition
from engine.drift.trend import theil_sen

MAX_PENDING = 1_000
"""Transitions kept for who asks later; the oldest go first."""

TREND_LOOKS = 60
"""Looks that a trend is taken from."""

CATCH_UP = 240
"""Looks taken after a gap without events; of a longer gap the last ones."""


class Monitor(ABC):
    """A fold over events that looks at what it holds once per step of event time.

    Parameters
    ----------
    step_s : float
        Time between looks, s.

    Attributes
    ----------
    clock_s : float
        Newest event time seen, epoch seconds.
    pending : deque of Transition
        What `apply` found, until someone takes it; bounded.
    """

    name: ClassVar[str]

    reads_all: ClassVar[bool] = False
    """Whether events that are no activity of a cluster, such as changes of the graph, are for this one too."""

    def __init__(self, step_s: float) -> None:
        if not step_s > 0.0:
            raise ValueError(f"step_s is {step_s}; it must be positive")
        self.step_s = step_s
        self.clock_s = -math.inf
        self.pending: deque[Transition] = deque(maxlen=MAX_PENDING)
        self._step: int | None = None

    def update(self, events: pa.Table | EventBatch) -> list[Transition]:
        """Fold one event batch, and say which alarms changed.

        Parameters
        ----------
        events : pyarrow.Table or EventBatch
            Schema `engine.events.SCHEMA`, in log order; events of other kinds only move the clock.

        Returns
        -------
        list of Transition
        """
        if not events.num_rows:
            return []
        batch = EventBatch.of(events)
        time_s, clock = batch.time_s, np.maximum(batch.clock_s, self.clock_s)
        if self._step is None:
            self._step = self._step_of(float(clock[0]))
        rows, columns = self._columns(batch)
        steps = np.floor(clock[rows] / self.step_s).astype(np.int64)
        edges = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(rows)]
        found: list[Transition] = []
        for first, last in pairwise(edges):
            if last > first:
                found += self._look_until(int(steps[first]))
                self._fold(time_s[rows[first:last]], {name: values[first:last] for name, values in columns.items()})
        self.clock_s = float(clock[-1])
        return found + self._look_until(self._step_of(self.clock_s))

    def apply(self, events: pa.Table | EventBatch) -> None:
        """Fold one event batch and keep what changed in `pending`: the form a follower calls."""
        self.pending.extend(self.update(events))

    def advance(self, now_s: float) -> list[Transition]:
        """Let event time pass without events, and say which alarms changed."""
        if not math.isfinite(now_s):
            raise ValueError(f"now_s is {now_s}; epoch seconds are needed")
        self.clock_s = max(self.clock_s, now_s)
        if self._step is None:
            self._step = self._step_of(self.clock_s)
        return self._look_until(self._step_of(self.clock_s))

    def forget(self, prefix: str) -> list[Transition]:
        """Drop all entities and clusters whose names begin so, as if their events had never come.

        Parameters
        ----------
        prefix : str
            Not empty.

        Returns
        -------
        list of Transition
            Alarms of theirs, cleared.
        """
        if not prefix:
            raise ValueError("the prefix to forget is empty: it would forget everything")
        return self._forget_prefix(prefix)

    @abstractmethod
    def _forget_prefix(self, prefix: str) -> list[Transition]:
        """Drop what belongs to names that begin so."""

    @abstractmethod
    def state(self) -> dict[str, Metric]:
        """The numbers as they are now; always the same keys, always finite."""

    @abstractmethod
    def results(self) -> dict[str, tuple[Metric, str]]:
        """What is worth keeping of this moment, with labels: each number of the whole, or those of some clusters."""

    def located(self) -> dict[str, tuple[float, float]]:
        """Latitude and longitude, degrees, of those results that are about a place of their own."""
        return {}

    @abstractmethod
    def raised(self) -> list[str]:
        """Whom an alarm stands for."""

    @abstractmethod
    def _columns(self, events: EventBatch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Rows of the events that matter, and what is needed of them, one value per such row."""

    @abstractmethod
    def _fold(self, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        """Take events of one step in."""

    @abstractmethod
    def _look(self, at_s: float) -> list[Transition]:
        """Read the window that ends at `at_s` and move the alarms."""

    def _step_of(self, time_s: float) -> int:
        return math.floor(time_s / self.step_s)

    def _look_until(self, step: int) -> list[Transition]:
        found: list[Transition] = []
        if self._step is None or step <= self._step:
            return found
        for k in range(max(self._step + 1, step - CATCH_UP + 1), step + 1):
            found += self._look(k * self.step_s)
        self._step = step
        return found


@dataclass(frozen=True, slots=True)
class Reading:
    """One number read from a window.

    Attributes
    ----------
    value : float
    n : int
        Events it rests on.
    tested : float or None
        What is held against the threshold, where that is not the value itself: 0 where chance may explain it.
    responsible : tuple of (str, float)
    """

    value: float
    n: int
    tested: float | None = None
    responsible: tuple[tuple[str, float], ...] = ()


class LevelMonitor(Monitor):
    """A monitor of a fixed set of numbers, each with a limit.

    Parameters
    ----------
    step_s, window_s : float
    limits : mapping of str to Limit
        Over the defaults of the monitor, for the numbers it knows.
    """

    reads_all: ClassVar[bool] = True
    units: ClassVar[Mapping[str, str]]
    default_limits: ClassVar[Mapping[str, Limit]]

    def __init__(self, step_s: float, window_s: float, limits: Mapping[str, Limit] | None = None) -> None:
        super().__init__(step_s)
        unknown = set(limits or {}) - set(self.default_limits)
        if unknown:
            raise ValueError(f"no metric {sorted(unknown)} in {self.name}; there are {sorted(self.default_limits)}")
        self.window_s = window_s
        self.limits = {**self.default_limits, **dict(limits or {})}
        self.alarms = {name: Hysteresis(limit) for name, limit in self.limits.items()}
        self._history: dict[str, deque[tuple[float, float]]] = {name: deque(maxlen=TREND_LOOKS) for name in self.limits}

    def state(self) -> dict[str, Metric]:
        """The numbers over the window that ends now; always the same keys, always finite."""
        end_s = self.clock_s if math.isfinite(self.clock_s) else 0.0
        self._pass(end_s)
        return {name: self._metric(name, reading, end_s) for name, reading in self._readings().items()}

    def results(self) -> dict[str, tuple[Metric, str]]:
        """All numbers; they have no labels."""
        return {name: (metric, "") for name, metric in self.state().items()}

    def raised(self) -> list[str]:
        """Names of the numbers whose alarm stands."""
        return [name for name, alarm in self.alarms.items() if alarm.raised]

    @abstractmethod
    def _readings(self) -> dict[str, Reading]:
        """All numbers, over what is in the window."""

    @abstractmethod
    def _pass(self, now_s: float) -> None:
        """Forget what is older than the window that ends at `now_s`."""

    def _look(self, at_s: float) -> list[Transition]:
        found: list[Transition] = []
        self._pass(at_s - 0.5 * self.step_s)  # the bucket that begins now is not part of what is looked at
        for name, reading in self._readings().items():
            limit, alarm = self.limits[name], self.alarms[name]
            sufficient = reading.n >= limit.min_n
            if sufficient:
                self._history[name].append((at_s, reading.value))
            tested = reading.value if reading.tested is None else reading.tested
            changed = alarm.look(tested, at_s, sufficient)
            if changed is not None:
                found.append(Transition(self.name, self._metric(name, reading, at_s), at_s, changed, name))
        return found

    def _metric(self, name: str, reading: Reading, end_s: float) -> Metric:
        limit, alarm = self.limits[name], self.alarms[name]
        enough = reading.n >= limit.min_n
        state: State = "raised" if alarm.raised else "quiet" if enough else "insufficient"
        past = np.array(self._history[name]).reshape(-1, 2)
        trend = theil_sen((past[:, 0] - end_s) / 3600.0, past[:, 1]).slope
        return Metric(
            name, reading.value if enough else 0.0, self.units[name], limit.threshold, state, end_s - self.window_s,
            end_s, reading.n, trend, alarm.since_s, reading.responsible if enough else (),
        )  # fmt: skip


def top_shares(names: list[str], amounts: np.ndarray, count: int = 3) -> tuple[tuple[str, float], ...]:
    """The names with most and the share of each.

    Examples
    --------
    >>> top_shares(["a", "b"], np.array([1.0, 3.0]), 1)
    (('b', 0.75),)
    """
    total = float(amounts.sum())
    if total <= 0.0:
        return ()
    order = np.argsort(-amounts, kind="stable")[:count]
    return tuple((names[i], float(amounts[i] / total)) for i in order.tolist())
