"""Behavioural drift (C3): how the distribution of what a cluster does moves from window to window.

Counts of categories per window in, a magnitude and one of four labels out; the monitor is the fold that counts.
It does not know what the features mean: ports, protocols, peers and fingerprints are payload keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from engine.drift.batch import EventBatch
from engine.drift.clusters import MAX_CLUSTERS, ClusterMonitor
from engine.drift.divergence import js_distance, js_test
from engine.drift.metric import Limit, Transition

Label = Literal["STABLE", "DRIFTING", "SNAPPING", "OSCILLATING"]

WINDOW_S = 300.0
WINDOWS = 12
MIN_PER_WINDOW = 30
"""A window with fewer events is left out: it says nothing about a distribution."""

ALPHA = 1e-6
"""Significance of one comparison; set from the simulated false-alarm rate."""

JUMP_SHARE = 0.5
"""A jump that holds as much of the whole way (in divergence) is a snap, less of it a drift."""

CATEGORIES = 64
"""Values of a feature are hashed into so many categories: bounded, and the same in every process."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one distribution moved over some windows.

    Attributes
    ----------
    label : {"STABLE", "DRIFTING", "SNAPPING", "OSCILLATING"}
        STABLE: one distribution explains all windows. SNAPPING: one jump. OSCILLATING: a distribution that
        was left is returned to, at least twice. DRIFTING: it moved otherwise.
    magnitude : float
        Jensen-Shannon distance (base 2) of the last two windows.
    moved : float
        That of the first and the last state; 0 when STABLE.
    windows : int
        Windows with enough events.
    at : int
        The window (row of the counts) in which the latest new state began; -1 when STABLE.
    states : tuple of int
        State of each such window, numbered by first appearance.
    """

    label: Label
    magnitude: float
    moved: float
    windows: int
    at: int
    states: tuple[int, ...]


def behaviour_label(counts: np.ndarray, alpha: float = ALPHA, min_per_window: int = MIN_PER_WINDOW) -> Behaviour:
    """Label how a distribution moved over consecutive windows.

    Each window joins the nearest state (a pool of windows) whose distribution differs from its own by no
    more than chance allows, else begins a new state. When all are one state, the older half is still
    compared with the newer, which tells a drift too slow to be seen between windows.

    Parameters
    ----------
    counts : array_like of float, (windows, categories)
        Oldest first.
    alpha : float
        Significance of one comparison.
    min_per_window : int

    Returns
    -------
    Behaviour

    Raises
    ------
    ValueError
        If `counts` is not a matrix.

    Examples
    --------
    >>> import numpy as np
    >>> behaviour_label(np.array([[90, 10]] * 6 + [[10, 90]] * 6)).label
    'SNAPPING'
    >>> behaviour_label(np.array([[90, 10], [10, 90]] * 3)).label
    'OSCILLATING'

    References
    ----------
    Lin, Divergence measures based on the Shannon entropy, 1991; the four labels are this project's own.
    """
    matrix = np.asarray(counts, np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"counts have {matrix.ndim} dimensions; a matrix (windows, categories) is needed")
    rows = np.flatnonzero(matrix.sum(axis=1) >= min_per_window)
    told = matrix[rows]
    magnitude = js_distance(told[-2], told[-1]) if len(told) > 1 else 0.0
    states, pools = _assign(told, alpha)
    if len(pools) < 2:
        half = len(told) // 2
        distance, floor = js_test(told[:half].sum(axis=0), told[half:].sum(axis=0), alpha) if half else (0.0, 1.0)
        slow = distance > floor
        return Behaviour(
            "DRIFTING" if slow else "STABLE", magnitude, distance if slow else 0.0, len(told),
            int(rows[half]) if slow else -1, tuple(states),
        )  # fmt: skip
    changes = [i for i in range(1, len(states)) if states[i] != states[i - 1]]
    returns = sum(states[i] in states[: i - 1] for i in changes)
    moved = js_distance(pools[states[0]], pools[states[-1]])
    label: Label = "DRIFTING"
    if returns >= 2:
        label, moved = "OSCILLATING", max(js_distance(pools[0], pool) for pool in pools[1:])
    elif _is_jump(told, changes):
        label = "SNAPPING"
        moved = max(moved, js_distance(told[changes[-1] - 1], told[changes[-1]]))
    return Behaviour(label, magnitude, moved, len(told), int(rows[changes[-1]]), tuple(states))


def _assign(told: np.ndarray, alpha: float) -> tuple[list[int], list[np.ndarray]]:
    """State of each window, and the pooled counts of each state."""
    states: list[int] = []
    pools: list[np.ndarray] = []
    for window in told:
        best, least = -1, math.inf
        for state, pool in enumerate(pools):
            distance, floor = js_test(window, pool, alpha)
            if distance <= floor and distance - floor < least:
                best, least = state, distance - floor
        if best < 0:
            best = len(pools)
            pools.append(np.zeros_like(window))
        pools[best] = pools[best] + window
        states.append(best)
    return states, pools


def _is_jump(told: np.ndarray, changes: list[int]) -> bool:
    """Whether a single step holds most of the way between what was before and after all changes.

    Divergences (squared distances) add up along a way, and chance adds about the same to each comparison of
    two windows: it is taken out by the median step.
    """
    steps = np.array([js_distance(a, b) ** 2 for a, b in pairwise(told)])
    chance = float(np.median(steps))
    whole = js_distance(told[0], told[-1]) ** 2
    return len(changes) <= 2 and float(steps.max()) - chance >= JUMP_SHARE * max(whole - chance, 0.0)


class BehaviourMonitor(ClusterMonitor):
    """Behavioural drift of every cluster over the last hour, in windows of five minutes.

    Each feature is labelled by itself; the cluster has the label and the distance of the feature that moved
    most. An alarm is raised when a cluster's behaviour is not STABLE, and clears when it is again.

    Parameters
    ----------
    features : sequence of str
        Payload keys whose values are counted, text or whole numbers. ``timing`` is none of them and always
        there: the time since the cluster's event before, in powers of two.
    limit : Limit, optional
        On the distance moved; the default is raised by any move that is more than chance.
    max_clusters : int

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> monitor = BehaviourMonitor(["proto"])
    >>> monitor.update(event_table([0], "net.flow", ["c1"], "doc", payload=['{"proto": "TCP"}']))
    []
    >>> sorted(monitor.state())
    ['clusters', 'highest', 'raised']
    """

    name: ClassVar[str] = "behaviour"
    default_limit: ClassVar[Limit] = Limit(0.0, 0.0, min_n=2, raise_after=1, clear_after=1)

    def __init__(
        self,
        features: Sequence[str] = ("dest_port", "proto", "peer", "fingerprint"),
        limit: Limit | None = None,
        max_clusters: int = MAX_CLUSTERS,
    ) -> None:
        super().__init__(WINDOW_S, WINDOW_S * WINDOWS, limit, max_clusters)
        if not features or "timing" in features:
            raise ValueError(f"features are {list(features)}; payload keys are needed, and 'timing' is there anyway")
        self.features = (*features, "timing")
        self._types: dict[str, type] = dict.fromkeys(features, str)
        self._counts = np.zeros((len(self.features), WINDOWS, max_clusters, CATEGORIES), np.float32)
        self._last_s = np.full(max_clusters, np.nan)
        self._window: int | None = None
        self.labels: dict[str, tuple[str, Behaviour]] = {}

    def _columns(self, events: EventBatch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        names = self.features[:-1]
        columns, found = self._cluster_columns(events, dict(self._types))
        # Ports are numbers in some payloads and text in others: what was empty is asked for as the other one, and
        # the type that gave something is asked for first the next time.
        other = {name: float if kind is str else str for name, kind in self._types.items() if _empty(found[name])}
        if other:
            again = events.payload(other)
            told = {name: values for name, values in again.items() if not _empty(values)}
            found.update(told)
            self._types.update({name: other[name] for name in told})
        texts = {name: _whole_texts(found[name]) for name in names}
        for name in names:
            columns[name] = _categories(texts[name])
        return np.arange(events.num_rows), columns

    def _fold(self, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        slot = self._slots_of(columns["cluster"], time_s)
        window = self._window_now()
        for row, name in enumerate(self.features[:-1]):
            told = columns[name] >= 0
            np.add.at(self._counts[row, window], (slot[told], columns[name][told]), 1.0)
        order = np.argsort(slot, kind="stable")
        place, times = slot[order], time_s[order]
        first = np.r_[True, place[1:] != place[:-1]]
        gap = times - np.where(first, self._last_s[place], np.r_[np.nan, times[:-1]])
        last = np.r_[place[1:] != place[:-1], True]
        self._last_s[place[last]] = times[last]
        told = np.isfinite(gap)
        octave = np.clip(np.floor(np.log2(np.maximum(gap[told], 1e-6))) + 20, 0, CATEGORIES - 1).astype(np.int64)
        np.add.at(self._counts[-1, window], (place[told], octave), 1.0)

    def _window_now(self) -> int:
        """Row of the window that is filling; rows that have become too old are emptied."""
        assert self._step is not None
        if self._window is None:
            self._window = self._step
        gone = np.arange(self._window + 1, min(self._step, self._window + WINDOWS) + 1) % WINDOWS
        self._counts[:, gone] = 0.0
        self._window = max(self._window, self._step)
        return self._window % WINDOWS

    def _look(self, at_s: float) -> list[Transition]:
        now = self._window_of(at_s)
        rows = np.arange(now + 1, now + 1 + WINDOWS) % WINDOWS
        found: list[Transition] = []
        total = self._counts[:, :, : self._places].sum(axis=3)
        for slot in np.flatnonzero((total >= MIN_PER_WINDOW).any(axis=(0, 1))).tolist():
            each = {name: behaviour_label(self._counts[row][rows, slot]) for row, name in enumerate(self.features)}
            most = max(each, key=lambda name: each[name].moved)
            self.labels[self._names[slot]] = (most, each[most])
            shares = sum(found_.moved for found_ in each.values()) or 1.0
            parts = sorted(((name, b.moved / shares) for name, b in each.items()), key=lambda pair: -pair[1])
            found += self._judge(
                slot, at_s, each[most].moved, max(b.windows for b in each.values()), label=each[most].label,
                parts=parts,
            )  # fmt: skip
        for slot in np.flatnonzero((total < MIN_PER_WINDOW).all(axis=(0, 1))).tolist():
            if slot in self._metrics:
                found += self._judge(slot, at_s, 0.0, 0)
        return found

    def _window_of(self, at_s: float) -> int:
        """Empty what is older than the window that ends at `at_s`, and say which row is its newest."""
        newest = round(at_s / self.step_s) - 1
        if self._window is not None and newest > self._window:
            gone = np.arange(self._window + 1, min(newest, self._window + WINDOWS) + 1) % WINDOWS
            self._counts[:, gone] = 0.0
            self._window = newest
        return newest % WINDOWS

    def _forget_slot(self, slot: int) -> None:
        self.labels.pop(self._names[slot], None)
        self._counts[:, :, slot] = 0.0
        self._last_s[slot] = np.nan


def _empty(values: np.ndarray) -> bool:
    return not (np.isfinite(values).any() if values.dtype.kind == "f" else any(value is not None for value in values))


def _whole_texts(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "O":
        return values
    texts = np.full(len(values), None, dtype=object)
    told = np.isfinite(values)
    texts[told] = [f"{value:.0f}" for value in values[told].tolist()]
    return texts


def _category(text: str) -> int:
    # A cryptographic hash, for those of checksums are linear: CRC-32 puts "0" and "10", "1" and "11" … together.
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % CATEGORIES


def _categories(texts: np.ndarray) -> np.ndarray:
    """Category of each text, -1 for none; one hash per distinct text."""
    codes = pa.array(texts, pa.string()).dictionary_encode()
    of = np.array([_category(text) for text in codes.dictionary.to_pylist()] or [-1], np.int64)
    index = codes.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return np.where(codes.is_valid().to_numpy(zero_copy_only=False), of[index], -1)
