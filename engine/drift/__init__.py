"""Drift: metrics with definitions, and monitors that speak only when something changed.

Folds over events and plain functions on arrays. It opens nothing and draws nothing; the results are small
dataclasses and event batches.
"""

from __future__ import annotations

from engine.drift.batch import EventBatch
from engine.drift.behaviour import Behaviour, BehaviourMonitor, behaviour_label
from engine.drift.cadence import SilenceMonitor, TimingMonitor
from engine.drift.calibration import CalibrationBins, calibration_error
from engine.drift.change import AdaptiveWindow, PageHinkley
from engine.drift.concentration import gini, hhi, largest_share
from engine.drift.conflict import ConflictMonitor, conflict_replay
from engine.drift.divergence import (
    corrected_entropy,
    js_distance,
    js_noise_floor,
    js_test,
    normalized_entropy,
    psi,
    shannon_entropy,
    wasserstein,
)
from engine.drift.exchange import ExchangeMonitor, ExchangePoints, heat_surprise
from engine.drift.gate import DriftGate
from engine.drift.intent import Intent, IntentMonitor, intent_field, intent_score
from engine.drift.kill_chain import KillChain, KillChainMonitor, kill_chain_slope
from engine.drift.metric import ALERT_CLEARED, ALERT_RAISED, Hysteresis, Limit, Metric, Transition, alert_events
from engine.drift.monitor import Monitor
from engine.drift.phantom import Convergence, PhantomMonitor, convergences
from engine.drift.quiet import silence_pressure, silence_pressure_predictive
from engine.drift.review import review
from engine.drift.stability import Stability, burst_size
from engine.drift.timing import (
    Rhythm,
    dominant_period,
    phase_coherence,
    propagation,
    rayleigh_p,
    rhythm,
)
from engine.drift.trend import MannKendall, Slope, mann_kendall, theil_sen
from engine.drift.window import WindowedCounts

__all__ = [
    "ALERT_CLEARED",
    "ALERT_RAISED",
    "AdaptiveWindow",
    "Behaviour",
    "BehaviourMonitor",
    "CalibrationBins",
    "ConflictMonitor",
    "Convergence",
    "DriftGate",
    "EventBatch",
    "ExchangeMonitor",
    "ExchangePoints",
    "Hysteresis",
    "Intent",
    "IntentMonitor",
    "KillChain",
    "KillChainMonitor",
    "Limit",
    "MannKendall",
    "Metric",
    "Monitor",
    "PageHinkley",
    "PhantomMonitor",
    "Rhythm",
    "SilenceMonitor",
    "Slope",
    "Stability",
    "TimingMonitor",
    "Transition",
    "WindowedCounts",
    "alert_events",
    "behaviour_label",
    "burst_size",
    "calibration_error",
    "conflict_replay",
    "convergences",
    "corrected_entropy",
    "dominant_period",
    "gini",
    "heat_surprise",
    "hhi",
    "intent_field",
    "intent_score",
    "js_distance",
    "js_noise_floor",
    "js_test",
    "kill_chain_slope",
    "largest_share",
    "mann_kendall",
    "normalized_entropy",
    "phase_coherence",
    "propagation",
    "psi",
    "rayleigh_p",
    "review",
    "rhythm",
    "shannon_entropy",
    "silence_pressure",
    "silence_pressure_predictive",
    "theil_sen",
    "wasserstein",
]
