"""Drift: metrics with definitions, and monitors that speak only when something changed.

Folds over events and plain functions on arrays. It opens nothing and draws nothing; the results are small
dataclasses and event batches.
"""

from __future__ import annotations

from engine.drift.calibration import CalibrationBins, calibration_error
from engine.drift.change import AdaptiveWindow, PageHinkley
from engine.drift.concentration import gini, hhi, largest_share
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
from engine.drift.metric import ALERT_CLEARED, ALERT_RAISED, Hysteresis, Limit, Metric, Transition, alert_events
from engine.drift.timing import (
    Rhythm,
    dominant_period,
    phase_coherence,
    propagation,
    rayleigh_p,
    rhythm,
    silence_pressure,
    silence_pressure_predictive,
)
from engine.drift.trend import MannKendall, Slope, mann_kendall, theil_sen

__all__ = [
    "ALERT_CLEARED",
    "ALERT_RAISED",
    "AdaptiveWindow",
    "CalibrationBins",
    "Hysteresis",
    "Limit",
    "MannKendall",
    "Metric",
    "PageHinkley",
    "Rhythm",
    "Slope",
    "Transition",
    "alert_events",
    "calibration_error",
    "corrected_entropy",
    "dominant_period",
    "gini",
    "hhi",
    "js_distance",
    "js_noise_floor",
    "js_test",
    "largest_share",
    "mann_kendall",
    "normalized_entropy",
    "phase_coherence",
    "propagation",
    "psi",
    "rayleigh_p",
    "rhythm",
    "shannon_entropy",
    "silence_pressure",
    "silence_pressure_predictive",
    "theil_sen",
    "wasserstein",
]
