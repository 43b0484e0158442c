"""Intent field (C5): one score of a cluster from what other monitors read of it, with the contribution of each part.

It reads timing coherence, behavioural drift, silence pressure and kill-chain slope; it folds no event itself. As a
field it is spread around the clusters' places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from engine.drift.batch import EventBatch
from engine.drift.behaviour import BehaviourMonitor
from engine.drift.cadence import SilenceMonitor, TimingMonitor
from engine.drift.clusters import MAX_CLUSTERS, ClusterMonitor
from engine.drift.kill_chain import KillChain, KillChainMonitor
from engine.drift.metric import Limit, Transition
from engine.drift.monitor import Monitor
from engine.drift.sphere import kernel_field

STEP_S = 15.0

PARTS = ("timing", "drift", "silence", "slope")

DEFAULT_WEIGHTS: Mapping[str, float] = {"timing": 0.3, "drift": 0.2, "silence": 0.2, "slope": 0.3}
"""Share of each part in the score; the choice is this project's own."""

FULL_PRESSURE = 12.0
"""Silence pressure that counts as 1: twice the threshold of the silence monitor."""

FORMING, ACTIVE = 0.2, 0.5
"""Scores from which a cluster is no longer LATENT, and is ACTIVE."""

RADIUS_KM = 30.0
"""Standard deviation of a cluster's spot in the field, km."""

Label = Literal["LATENT", "FORMING", "COVERT", "ACTIVE"]


@dataclass(frozen=True, slots=True)
class Intent:
    """Score of one cluster.

    Attributes
    ----------
    score : float
        Weighted mean of the parts, 0 … 1.
    label : {"LATENT", "FORMING", "COVERT", "ACTIVE"}
        LATENT below `FORMING`; above it COVERT where the hidden parts (timing, silence) give more than the visible ones
        (drift, slope) and the score is below `ACTIVE`; ACTIVE from there; else FORMING.
    parts : dict of str to float
        What each part contributes; they add up to the score.
    """

    score: float
    label: Label
    parts: dict[str, float]


def intent_score(
    timing: float, drift: float, silence: float, slope: float, weights: Mapping[str, float] | None = None
) -> Intent:
    """Score from four parts, each in 0 … 1 (what lies outside is clipped).

    Parameters
    ----------
    timing : float
        Phase coherence, 0 where chance may explain it.
    drift : float
        Jensen-Shannon distance moved (base 2), 0 where behaviour is stable.
    silence : float
        Silence pressure over `FULL_PRESSURE`.
    slope : float
        How far up the kill chain a cluster that rises significantly is, 0 … 1.
    weights : mapping of str to float, optional
        Over `DEFAULT_WEIGHTS`; they need not add up to 1.

    Returns
    -------
    Intent

    Raises
    ------
    ValueError
        If a weight is unknown, negative or not finite, or all are 0; or a part is not finite.

    Examples
    --------
    >>> found = intent_score(timing=1.0, drift=0.0, silence=0.0, slope=0.0)
    >>> round(found.score, 6), found.label
    (0.3, 'COVERT')
    """
    share = checked_weights(weights)
    given = dict(zip(PARTS, (timing, drift, silence, slope), strict=True))
    if not all(map(math.isfinite, given.values())):
        raise ValueError(f"parts of an intent score are {given}; they must be finite")
    parts = {name: share[name] * min(max(value, 0.0), 1.0) for name, value in given.items()}
    score = min(sum(parts.values()), 1.0)
    label: Label = "LATENT" if score < FORMING else "ACTIVE" if score >= ACTIVE else "FORMING"
    if label == "FORMING" and parts["timing"] + parts["silence"] > parts["drift"] + parts["slope"]:
        label = "COVERT"
    return Intent(score, label, parts)


def checked_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    """Weights that add up to 1."""
    given = {**DEFAULT_WEIGHTS, **dict(weights or {})}
    total = sum(given.values())
    if set(given) != set(PARTS) or not all(w >= 0.0 and math.isfinite(w) for w in given.values()) or total <= 0.0:
        raise ValueError(
            f"weights are {dict(weights or {})}; numbers from 0 for some of {PARTS}, not all 0, are needed"
        )
    return {name: weight / total for name, weight in given.items()}


def intent_field(
    scores: pd.DataFrame, grid_lat: ArrayLike, grid_lon: ArrayLike, radius_km: float = RADIUS_KM
) -> xr.DataArray:
    """The intent of clusters as a heat field over the map.

    Parameters
    ----------
    scores : DataFrame
        Columns lat, lon (degrees) and score (0 … 1); rows without a place are left out.
    grid_lat, grid_lon : array_like of float64, (rows,), (columns,)
        Cell centres, degrees.
    radius_km : float
        Standard deviation of a cluster's spot, km.

    Returns
    -------
    DataArray, (lat, lon)
        1 − ∏(1 − score·exp(−d²/2r²)), unit 1: at a cluster alone its score.
    """
    known = scores[np.isfinite(scores["lat"].astype(float)) & np.isfinite(scores["lon"].astype(float))]
    values = kernel_field(grid_lat, grid_lon, known["lat"], known["lon"], known["score"], radius_km)
    attrs = {
        "units": "1", "long_name": "intent", "radius_km": radius_km,
        "definition": "1 - prod(1 - score exp(-d^2 / 2 r^2)) over clusters; score: weighted mean of timing coherence, "
        "behavioural drift, silence pressure and kill-chain slope",
    }  # fmt: skip
    rows, columns = np.asarray(grid_lat, np.float64).ravel(), np.asarray(grid_lon, np.float64).ravel()
    return xr.DataArray(values, {"lat": rows, "lon": columns}, ("lat", "lon"), "intent", attrs)


class IntentMonitor(ClusterMonitor):
    """Intent score of every cluster that any of the other monitors has something to say of.

    The alarm is on the score: at the default weights at least two parts have to agree. A part whose monitor is out
    counts as 0.

    Parameters
    ----------
    readers : mapping of str to function, optional
        For each name in `reads`, what gives that monitor now, or None while it is out.
    weights : mapping of str to float, optional
        Over `DEFAULT_WEIGHTS`.
    limit : Limit, optional
    max_clusters : int

    Attributes
    ----------
    intents : dict of str to Intent
        Of every cluster at the last look.
    """

    name: ClassVar[str] = "intent"
    reads: ClassVar[tuple[str, ...]] = ("timing", "behaviour", "silence", "kill_chain", "kill_chain_fast")
    default_limit: ClassVar[Limit] = Limit(ACTIVE, 0.4, ">=", min_n=1, raise_after=2, clear_after=4)

    def __init__(
        self, readers: Mapping[str, Callable[[], Monitor | None]] | None = None,
        weights: Mapping[str, float] | None = None, limit: Limit | None = None, max_clusters: int = MAX_CLUSTERS,
    ) -> None:  # fmt: skip
        super().__init__(STEP_S, STEP_S, limit, max_clusters)
        self.weights = checked_weights(weights)
        self._readers = dict(readers or {})
        self.intents: dict[str, Intent] = {}

    def _columns(self, events: EventBatch) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return np.empty(0, np.int64), {}

    def _fold(self, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        pass

    def _look(self, at_s: float) -> list[Transition]:
        parts: dict[str, dict[str, float]] = {}
        for name, read in self._readers.items():
            monitor = read()
            for part, values in _parts_of(monitor).items() if monitor is not None else ():
                for cluster, value in values.items():
                    known = parts.setdefault(cluster, dict.fromkeys(PARTS, 0.0))
                    known[part] = max(known[part], value)
            del name
        found: list[Transition] = []
        quiet = dict.fromkeys(PARTS, 0.0)
        for cluster in sorted({*parts, *self._slots}):
            given = parts.get(cluster, quiet)
            if cluster not in self._slots and not any(given.values()):
                continue
            slot = self._slot_of(cluster)
            self._heard_s[slot] = at_s if any(given.values()) else self._heard_s[slot]
            intent = intent_score(**given, weights=self.weights)
            self.intents[cluster] = intent
            shares = tuple(sorted(intent.parts.items(), key=lambda pair: -pair[1]))
            found += self._judge(
                slot, at_s, intent.score, sum(value > 0.0 for value in given.values()), label=intent.label, parts=shares
            )
        return found

    def _forget_slot(self, slot: int) -> None:
        self.intents.pop(self._names[slot], None)


def _parts_of(monitor: Monitor) -> dict[str, dict[str, float]]:
    """What a monitor contributes, by cluster."""
    if isinstance(monitor, TimingMonitor):
        sure = {name: r.phase_coherence for name, r in monitor.rhythms.items() if r.p_value < monitor.alpha}
        return {"timing": sure}
    if isinstance(monitor, BehaviourMonitor):
        return {"drift": {name: b.moved for name, (_, b) in monitor.labels.items() if b.label != "STABLE"}}
    if isinstance(monitor, SilenceMonitor):
        told = {name: metric.value / FULL_PRESSURE for name, metric in monitor.clusters().items()}
        return {"silence": {name: value for name, value in told.items() if value >= 0.25}}
    if isinstance(monitor, KillChainMonitor):
        return {"slope": {name: _climbed(chain, monitor.last_stage) for name, chain in monitor.chains.items()}}
    return {}


def _climbed(chain: KillChain, last_stage: float) -> float:
    if chain.label not in ("RISING", "IMMINENT"):
        return 0.0
    return 1.0 if chain.label == "IMMINENT" else min(max(chain.level / last_stage, 0.0), 1.0)
