"""The drift gate (D1): is reinforcement, mutation, tool use or judgement drifting to one side? Advisory.

A fold over changes of the graph and decisions about it. It alerts and blocks nothing; what the kinds of events
are called is in `engine.drift.vocabulary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from engine.drift import vocabulary
from engine.drift.batch import EventBatch, encoded
from engine.drift.concentration import gini, hhi, largest_share
from engine.drift.divergence import corrected_entropy, js_distance, js_test
from engine.drift.metric import Limit, Transition
from engine.drift.monitor import LevelMonitor, Reading, top_shares
from engine.drift.trend import mann_kendall, theil_sen
from engine.drift.window import WindowedCounts

STEP_S = 60.0
WINDOW_S = 3600.0

MIN_PER_BUCKET = 10
"""A minute with fewer mutations has no entropy worth a place in the trend."""

MIN_BUCKETS = 20
"""A trend needs as many minutes with an entropy."""

TREND_ALPHA = 1e-4
"""Significance at which the entropy trend counts; set from the simulated false-alarm rate."""

SKEW_ALPHA = 1e-5
"""Significance at which tool use counts as different from the reference."""

REFERENCE_CALLS = 500
"""The first as many tool calls are the reference where none is given."""

_KNOWN = 1e12  # a reference that is given is as good as so many calls


class DriftGate(LevelMonitor):
    """Six numbers over the last hour, looked at once a minute of event time.

    - ``reinforcement_gini``: `gini` of the amounts of reinforcement per entity, over the entities with any
      mutation in the window; 0 equal … 1 concentrated. Asked-for threshold 0.75.
    - ``entropy_slope``: Theil-Sen slope of the entropy (bits, Miller-Madow) of mutation targets per minute,
      in bits per hour. Down is freezing, up is chaos; alert where Mann-Kendall is significant and the
      slope is greater than the threshold either way.
    - ``tool_skew``: Jensen-Shannon distance (base 2) of tool use from the reference; alert where it is
      greater than the threshold and than chance allows.
    - ``mutation_concentration``: `hhi` of mutation targets.
    - ``entity_concentration``: the share of reinforcement that the most reinforced entity gets.
    - ``abstention_rate``: abstentions among decisions. Near 0 is over-confidence: alert where even the upper
      end of the 95 % Wilson interval is below the threshold.

    Parameters
    ----------
    reference : mapping of str to float, optional
        Expected shares of the tools. Without it the first `REFERENCE_CALLS` calls are the reference.
    limits : mapping of str to Limit, optional
        Over `default_limits`.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> gate = DriftGate()
    >>> gate.update(event_table(np.arange(40) * 1_000_000, "edge.reinforced", [f"e{i % 4}" for i in range(40)], "doc"))
    []
    >>> gate.state()["mutation_concentration"].value
    0.25
    """

    name: ClassVar[str] = "gate"
    units: ClassVar[Mapping[str, str]] = {
        "reinforcement_gini": "", "entropy_slope": "bit/h", "tool_skew": "", "mutation_concentration": "",
        "entity_concentration": "", "abstention_rate": "",
    }  # fmt: skip
    default_limits: ClassVar[Mapping[str, Limit]] = {
        "reinforcement_gini": Limit(0.75, 0.70, min_n=30),
        "entropy_slope": Limit(0.5, 0.25, min_n=MIN_BUCKETS, clear_after=10),
        "tool_skew": Limit(0.3, 0.25, min_n=30),
        "mutation_concentration": Limit(0.25, 0.20, min_n=30),
        "entity_concentration": Limit(0.5, 0.4, min_n=30),
        "abstention_rate": Limit(0.05, 0.07, "<", min_n=30),
    }

    def __init__(self, reference: Mapping[str, float] | None = None, limits: Mapping[str, Limit] | None = None) -> None:
        super().__init__(STEP_S, WINDOW_S, limits)
        buckets = round(WINDOW_S / STEP_S)
        self._reinforced = WindowedCounts(STEP_S, buckets)
        self._mutated = WindowedCounts(STEP_S, buckets)
        self._tools = WindowedCounts(STEP_S, buckets, 1024)
        self._decided = WindowedCounts(STEP_S, buckets, 32)
        self._given = reference is not None
        self._reference: dict[str, float] = {tool: _KNOWN * share for tool, share in (reference or {}).items()}

    def _columns(self, events: EventBatch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        rows = events.rows_of(vocabulary.ALL)
        wanted = events.table.take(pa.array(rows))
        payload = events.payload({"delta": np.float64, "tool": str}, rows)
        kind = np.array(wanted["kind"].to_pylist(), dtype=object)
        codes, names = encoded(wanted["entity"])
        tools, tool_names = encoded(payload["tool"])
        self._entities, self._tool_names = names, tool_names
        delta = payload["delta"]
        return rows, {
            "entity": codes,
            "tool": tools,
            "delta": np.where(np.isfinite(delta) & (delta > 0.0), delta, 1.0),
            "reinforced": kind == vocabulary.REINFORCED,
            "mutated": np.isin(kind, vocabulary.MUTATIONS),
            "called": kind == vocabulary.TOOL_CALLED,
            "decided": np.isin(kind, vocabulary.DECISIONS),
            "abstained": kind == vocabulary.ABSTAINED,
        }

    def _fold(self, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        chosen = columns["reinforced"]
        self._reinforced.add(time_s[chosen], columns["entity"][chosen], self._entities, columns["delta"][chosen])
        chosen = columns["mutated"]
        self._mutated.add(time_s[chosen], columns["entity"][chosen], self._entities)
        chosen = columns["decided"]
        self._decided.add(time_s[chosen], columns["abstained"][chosen].astype(np.int64), ["proposed", "abstained"])
        chosen = columns["called"]
        self._tools.add(time_s[chosen], columns["tool"][chosen], self._tool_names)
        if not self._given:
            self._learn(columns["tool"][chosen])

    def _learn(self, tools: np.ndarray) -> None:
        missing = REFERENCE_CALLS - sum(self._reference.values())
        for tool in tools[: max(int(missing), 0)].tolist():
            name = self._tool_names[tool]
            self._reference[name] = self._reference.get(name, 0.0) + 1.0

    def _forget_prefix(self, prefix: str) -> list[Transition]:
        for counts in (self._reinforced, self._mutated):
            counts.forget(prefix)
        return []

    def _pass(self, now_s: float) -> None:
        for counts in (self._reinforced, self._mutated, self._tools, self._decided):
            counts.advance(now_s)

    def _readings(self) -> dict[str, Reading]:
        targets, mutations = self._mutated.totals()
        entities, amounts = self._reinforced.totals()
        n, events = int(mutations.sum()), len(targets)
        # Entities that were changed in other ways but never reinforced are part of the population.
        others = max(events - len(entities), 0)
        reinforcements = self._count_of(entities, targets, mutations)
        top = top_shares(entities, amounts)
        return {
            "reinforcement_gini": Reading(gini(np.append(amounts, np.zeros(others))), reinforcements, None, top),
            "entropy_slope": self._entropy_slope(),
            "tool_skew": self._tool_skew(),
            "mutation_concentration": Reading(hhi(mutations), n, None, top_shares(targets, mutations)),
            "entity_concentration": Reading(largest_share(amounts), reinforcements, None, top),
            "abstention_rate": self._abstention_rate(),
        }

    @staticmethod
    def _count_of(entities: list[str], targets: list[str], mutations: np.ndarray) -> int:
        """Mutations of the entities that were reinforced: how many events the amounts rest on, at most."""
        if len(entities) == len(targets):
            return int(mutations.sum())
        wanted = set(entities)
        return int(sum(count for name, count in zip(targets, mutations.tolist(), strict=True) if name in wanted))

    def _entropy_slope(self) -> Reading:
        start_s, matrix = self._mutated.series()
        told = np.flatnonzero(matrix.sum(axis=1) >= MIN_PER_BUCKET)
        if len(told) < MIN_BUCKETS:
            return Reading(0.0, len(told))
        hours = (start_s[told] - start_s[-1]) / 3600.0
        entropy = np.array([corrected_entropy(matrix[row]) for row in told])
        slope = theil_sen(hours, entropy).slope
        significant = mann_kendall(hours, entropy).p < TREND_ALPHA
        return Reading(slope, len(told), abs(slope) if significant else 0.0, self._most_changed())

    def _most_changed(self) -> tuple[tuple[str, float], ...]:
        """Targets whose share differs most between the older and the newer half of the window."""
        half = self._mutated.buckets // 2
        older, newer = self._mutated.totals(half, skip=half), self._mutated.totals(half)
        shares: dict[str, float] = {}
        for sign, (names, counts) in ((-1.0, older), (1.0, newer)):
            for name, share in zip(names, (counts / max(counts.sum(), 1.0)).tolist(), strict=True):
                shares[name] = shares.get(name, 0.0) + sign * share
        return tuple(sorted(((n, abs(s)) for n, s in shares.items()), key=lambda pair: -pair[1])[:3])

    def _tool_skew(self) -> Reading:
        tools, calls = self._tools.totals()
        n = int(calls.sum())
        if not self._reference or not n:
            return Reading(0.0, 0)
        names = sorted({*tools, *self._reference})
        now = dict(zip(tools, calls.tolist(), strict=True))
        used = np.array([now.get(name, 0.0) for name in names])
        expected = np.array([self._reference.get(name, 0.0) for name in names])
        distance, floor = js_test(used, expected, SKEW_ALPHA)
        value = js_distance(used, expected)
        over = np.maximum(used / used.sum() - expected / expected.sum(), 0.0)
        learning = not self._given and expected.sum() < REFERENCE_CALLS
        return Reading(value, 0 if learning else n, value if distance > floor else 0.0, top_shares(names, over))

    def _abstention_rate(self) -> Reading:
        kinds, counts = self._decided.totals()
        found: dict[str, Any] = dict(zip(kinds, counts.tolist(), strict=True))
        n = int(counts.sum())
        if not n:
            return Reading(0.0, 0)
        rate = found.get("abstained", 0.0) / n
        z = float(norm.ppf(0.975))
        spread = z * np.sqrt(rate * (1.0 - rate) / n + z * z / (4.0 * n * n))
        upper = (rate + z * z / (2.0 * n) + spread) / (1.0 + z * z / n)
        return Reading(rate, n, float(upper))
