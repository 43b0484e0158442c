"""Stability (D2): does the graph's own history flutter: oscillation, jumps of entropy, spread of weights?

A fold over changes of the graph; the events' names are in `engine.drift.vocabulary`. It judges nothing of what
the changes mean, and stops none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import ArrayLike
from scipy.special import xlogy
from scipy.stats import poisson

from engine.drift import vocabulary
from engine.drift.batch import EventBatch, encoded
from engine.drift.divergence import corrected_entropy
from engine.drift.metric import Limit, Transition
from engine.drift.monitor import LevelMonitor, Reading, top_shares
from engine.drift.window import WindowedCounts

STEP_S = 60.0
WINDOW_S = 600.0

OSCILLATION_S = 60.0
"""Mutations of one target within this time belong together, s (asked for)."""

ENTROPY_SIGMA = 4.0
"""A change of entropy counts where it is as many standard errors."""

CHANCE = 2.0
"""Surprise, −log10, that an oscillation must have; set from the simulated false-alarm rate."""

MAX_TARGETS = 20_000
DEPTH = 16  # mutations remembered of one target; a burst of more counts as this many


@njit(cache=True, nogil=True)
def _push(
    ring_s: np.ndarray, ring_sign: np.ndarray, slot: np.ndarray, time_s: np.ndarray, sign: np.ndarray, within_s: float,
    burst: np.ndarray, flips: np.ndarray,
) -> None:  # fmt: skip
    """Push mutations into right-aligned rings (targets, DEPTH); raises burst and flips of each target (targets,)."""
    depth = ring_s.shape[1]
    for i in range(slot.shape[0]):
        s = slot[i]
        for k in range(depth - 1):
            ring_s[s, k] = ring_s[s, k + 1]
            ring_sign[s, k] = ring_sign[s, k + 1]
        ring_s[s, depth - 1] = time_s[i]
        ring_sign[s, depth - 1] = sign[i]
        count, turned = 0, 0
        for k in range(depth - 1, -1, -1):
            if not time_s[i] - ring_s[s, k] <= within_s:
                break
            count += 1
            if k < depth - 1 and ring_sign[s, k] != ring_sign[s, k + 1]:
                turned += 1
        burst[s] = max(burst[s], count)
        flips[s] = max(flips[s], turned)


def burst_size(times_s: ArrayLike, within_s: float = OSCILLATION_S) -> int:
    """The greatest number of events within any stretch of `within_s`.

    Parameters
    ----------
    times_s : array_like of float64, (n,)
        Event times, s, any order.
    within_s : float

    Returns
    -------
    int

    Examples
    --------
    >>> burst_size([0, 10, 20, 100], within_s=60.0)
    3
    """
    times = np.sort(np.asarray(times_s, np.float64).ravel())
    return int((np.searchsorted(times, times + within_s, side="right") - np.arange(len(times))).max(initial=0))


class Stability(LevelMonitor):
    """Seven numbers over the last ten minutes, looked at once a minute of event time.

    - ``oscillation``: greatest number of mutations of one target within 60 s. Asked-for threshold 3, and more than
      chance allows at the load of the other targets and of its own other minutes.
    - ``burst_surprise``: −log10 of the probability that, at the rates of the window, any target has as many
      mutations within 60 s as the most surprising one: the same question without a fixed number.
    - ``reversals``: greatest number of turns between strengthening and lessening of one target within 60 s;
      a busy target has none, a fluttering one has many.
    - ``entropy_step``: |entropy of targets in the newer half − that of the older half| of the window, bits
      (Miller-Madow); asked-for threshold 0.2, and more than chance allows.
    - ``weight_variance``: variance of the newest weights of the edges changed in the window. Threshold 0.15.
    - ``decay_volatility``: standard deviation over mean of the decay rates set in the window.
    - ``prune_ratio``: prunes among mutations.

    Parameters
    ----------
    limits : mapping of str to Limit, optional
        Over `default_limits`.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> stability = Stability()
    >>> found = stability.update(event_table([0, 9_000_000, 70_000_000], "edge.added", ["a", "a", "b"], "doc"))
    >>> stability.state()["oscillation"].value
    2.0
    """

    name: ClassVar[str] = "stability"
    units: ClassVar[Mapping[str, str]] = {
        "oscillation": "", "burst_surprise": "", "reversals": "", "entropy_step": "bit", "weight_variance": "",
        "decay_volatility": "",
        "prune_ratio": "",
    }  # fmt: skip
    default_limits: ClassVar[Mapping[str, Limit]] = {
        "oscillation": Limit(3.0, 3.0, ">=", min_n=1, raise_after=1),
        "burst_surprise": Limit(4.0, 2.0, min_n=1, raise_after=1),
        "reversals": Limit(7.0, 5.0, ">=", min_n=1, raise_after=1),
        "entropy_step": Limit(0.2, 0.15, min_n=100, raise_after=1),
        "weight_variance": Limit(0.15, 0.12, min_n=20),
        "decay_volatility": Limit(0.5, 0.4, min_n=5),
        "prune_ratio": Limit(0.5, 0.4, min_n=20),
    }

    def __init__(self, limits: Mapping[str, Limit] | None = None) -> None:
        super().__init__(STEP_S, WINDOW_S, limits)
        self._targets = WindowedCounts(STEP_S, round(WINDOW_S / STEP_S), MAX_TARGETS)
        self._kinds = WindowedCounts(STEP_S, round(WINDOW_S / STEP_S), 32)
        self._rates: deque[tuple[float, float]] = deque(maxlen=4096)
        self._slots: dict[str, int] = {}
        self._allocate(64)
        self.unstable_since_s: float | None = None

    @property
    def stable(self) -> bool:
        """Whether no alarm of this monitor is raised."""
        return not any(alarm.raised for alarm in self.alarms.values())

    def unstable_for_s(self) -> float:
        """How long at least one alarm has been raised without a break, s; 0 when stable."""
        return 0.0 if self.unstable_since_s is None else max(self.clock_s - self.unstable_since_s, 0.0)

    def _look(self, at_s: float) -> list[Transition]:
        found = super()._look(at_s)
        if self.stable:
            self.unstable_since_s = None
        elif self.unstable_since_s is None:
            self.unstable_since_s = at_s
        self._before = np.stack([self._burst, self._flips])  # what `state` shows until the step that begins has its own
        self._burst[:] = 0
        self._flips[:] = 0
        return found

    def _columns(self, events: EventBatch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        rows = events.rows_of((*vocabulary.MUTATIONS, vocabulary.DECAY_SET))
        wanted = events.table.take(pa.array(rows))
        payload = events.payload({"weight": np.float64, "lambda_per_s": np.float64}, rows)
        kind = np.array(wanted["kind"].to_pylist(), dtype=object)
        codes, self._names = encoded(wanted["entity"])
        return rows, {
            "target": codes,
            "mutated": kind != vocabulary.DECAY_SET,
            "pruned": kind == vocabulary.PRUNED,
            "sign": np.where(np.isin(kind, vocabulary.STRENGTHENING), 1, -1).astype(np.int8),
            "weight": payload["weight"],
            "rate": payload["lambda_per_s"],
        }

    def _fold(self, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        chosen = columns["mutated"]
        times, target = time_s[chosen], columns["target"][chosen]
        self._targets.add(times, target, self._names)
        self._kinds.add(times, columns["pruned"][chosen].astype(np.int64), ["kept", "pruned"])
        for first in range(0, len(times), MAX_TARGETS // 2):
            part = slice(first, first + MAX_TARGETS // 2)
            slot = self._slots_for(target[part])
            _push(
                self._ring_s, self._ring_sign, slot, times[part], columns["sign"][chosen][part], OSCILLATION_S,
                self._burst, self._flips,
            )  # fmt: skip
            self._weight[slot] = columns["weight"][chosen][part]  # the last one of a target stays
        rates = ~chosen & np.isfinite(columns["rate"])
        self._rates.extend(zip(time_s[rates].tolist(), columns["rate"][rates].tolist(), strict=True))

    def _forget_prefix(self, prefix: str) -> list[Transition]:
        self._targets.forget(prefix)
        gone = {i for i, name in enumerate(self._slots) if name.startswith(prefix)}
        if gone:
            self._close_ranks(gone)
        return []

    def _pass(self, now_s: float) -> None:
        self._targets.advance(now_s)
        self._kinds.advance(now_s)
        while self._rates and self._rates[0][0] < now_s - WINDOW_S:
            self._rates.popleft()

    def _readings(self) -> dict[str, Reading]:
        targets, counts = self._targets.totals()
        n = int(counts.sum())
        slots = np.array([self._slots[name] for name in targets if name in self._slots], np.int64)
        known = [name for name in targets if name in self._slots]
        weight = self._weight[slots]
        told = np.isfinite(weight)
        rates = np.array([rate for _, rate in self._rates])
        volatility = float(rates.std() / rates.mean()) if len(rates) and rates.mean() > 0.0 else 0.0
        kinds = dict(zip(*self._kinds.totals(), strict=True))
        variance = float(weight[told].var()) if told.any() else 0.0
        deviation = (weight[told] - weight[told].mean()) ** 2 if told.any() else np.empty(0)
        spread = top_shares([name for name, t in zip(known, told, strict=True) if t], deviation)
        burst = np.maximum(self._burst, self._before[0])[slots].astype(np.float64)
        held = counts[[name in self._slots for name in targets]]
        return {
            "oscillation": _oscillation(known, burst, held, n),
            "burst_surprise": _burst(known, burst, held, n),
            "reversals": self._greatest(np.maximum(self._flips, self._before[1]), known, slots, n),
            "entropy_step": self._entropy_step(n),
            "weight_variance": Reading(variance, int(told.sum()), None, spread),
            "decay_volatility": Reading(volatility, len(rates)),
            "prune_ratio": Reading(float(kinds.get("pruned", 0.0)) / n if n else 0.0, n),
        }

    @staticmethod
    def _greatest(of: np.ndarray, names: list[str], slots: np.ndarray, n: int) -> Reading:
        values = of[slots].astype(np.float64)
        return Reading(float(values.max(initial=0.0)), n, None, top_shares(names, values))

    def _entropy_step(self, n: int) -> Reading:
        half = self._targets.buckets // 2
        parts = [self._targets.totals(half)[1], self._targets.totals(half, skip=half)[1]]
        totals = [float(part.sum()) for part in parts]
        if min(totals) < 1.0:
            return Reading(0.0, 0)
        step = abs(corrected_entropy(parts[0]) - corrected_entropy(parts[1]))
        chance = ENTROPY_SIGMA * np.sqrt(sum(_entropy_variance(part) for part in parts))
        return Reading(step, int(2 * min(totals)), step if step > chance else 0.0)

    def _slots_for(self, codes: np.ndarray) -> np.ndarray:
        used = np.unique(codes)
        names = [self._names[i] for i in used.tolist()]
        new = [name for name in names if name not in self._slots]
        if len(self._slots) + len(new) > MAX_TARGETS:
            self._forget(set(names), len(self._slots) + len(new) - MAX_TARGETS)
        if len(self._slots) + len(new) > len(self._burst):
            self._allocate(min(max(2 * len(self._burst), len(self._slots) + len(new)), MAX_TARGETS))
        for name in new:
            self._slots[name] = len(self._slots)
        slot = np.zeros(len(self._names), np.int64)
        slot[used] = [self._slots[name] for name in names]
        return slot[codes]

    def _forget(self, keep: set[str], count: int) -> None:
        """Drop the targets whose last mutation is longest ago."""
        names = list(self._slots)
        newest = self._ring_s[: len(names), -1]
        idle = [i for i in np.argsort(newest, kind="stable").tolist() if names[i] not in keep]
        self._close_ranks(set(idle[: max(count, MAX_TARGETS // 16)]))

    def _close_ranks(self, gone: set[int]) -> None:
        names = list(self._slots)
        stay = np.array([i for i in range(len(names)) if i not in gone], np.int64)
        self._slots = {names[i]: row for row, i in enumerate(stay.tolist())}
        for state, empty in self._states():
            state[: len(stay)] = state[stay]
            state[len(stay) :] = empty

    def _states(self) -> list[tuple[np.ndarray, float]]:
        return [
            (self._ring_s, -np.inf), (self._ring_sign, 0), (self._burst, 0), (self._flips, 0), (self._weight, np.nan),
            (self._before.T, 0),
        ]  # fmt: skip

    def _allocate(self, size: int) -> None:
        """State for `size` targets; what is known stays."""
        held = self._states() if self._slots else []
        self._ring_s = np.full((size, DEPTH), -np.inf)
        self._ring_sign = np.zeros((size, DEPTH), np.int8)
        self._burst, self._flips = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self._weight = np.full(size, np.nan)
        self._before = np.zeros((2, size), np.int64)
        for (old, _), (new, _) in zip(held, self._states(), strict=False):
            new[: len(old)] = old


def _surprises(burst: np.ndarray, counts: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """−log10 of the bound for a scan of Poisson events, (W/w)·m·P(N ≥ m), for each target, times the targets.

    The rate is that outside the burst, but no less than what is `usual`, in events a second.
    """
    # One more than was seen: a rate from few events is uncertain.
    outside = np.maximum(counts - burst + 1.0, 0.0) / (WINDOW_S - OSCILLATION_S)
    rate = np.maximum(outside, usual) * OSCILLATION_S
    log_p = np.log10(np.maximum(poisson.sf(burst - 1.0, rate) * burst * WINDOW_S / OSCILLATION_S, 1e-300))
    return np.where(burst > 0.0, np.maximum(-log_p - np.log10(max(len(burst), 1)), 0.0), 0.0)


def _burst(names: list[str], burst: np.ndarray, counts: np.ndarray, n: int) -> Reading:
    """The most surprising burst; usual is the average target."""
    surprise = _surprises(burst, counts, np.full(len(burst), n / max(len(names), 1) / WINDOW_S))
    return Reading(float(surprise.max(initial=0.0)), n, None, top_shares(names, surprise))


def _oscillation(names: list[str], burst: np.ndarray, counts: np.ndarray, n: int) -> Reading:
    """The greatest burst; tested is the greatest that surprises, where usual is the average of the other targets."""
    others = (n - counts) / max(len(names) - 1, 1) / WINDOW_S
    sure = burst[_surprises(burst, counts, others) > CHANCE]
    return Reading(float(burst.max(initial=0.0)), n, float(sure.max(initial=0.0)), top_shares(names, burst))


def _entropy_variance(counts: np.ndarray) -> float:
    """Variance of the entropy of a sample, bits²: the delta method, and its next term for even spreads.

    Roulston, Estimating the errors on measured entropy and mutual information, Physica D 125, 1999.
    """
    n = float(counts.sum())
    share = counts / n
    first = float((xlogy(share, share) * np.log(np.where(share > 0.0, share, 1.0))).sum()) - float(
        xlogy(share, share).sum() ** 2
    )
    return (max(first, 0.0) / n + (len(counts) - 1) / (2.0 * n * n)) / np.log(2.0) ** 2
