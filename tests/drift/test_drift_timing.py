"""Rhythm and silence: known periods are found, chance is called chance, silence is as improbable as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.drift import (
    dominant_period,
    phase_coherence,
    propagation,
    rayleigh_p,
    rhythm,
    silence_pressure,
    silence_pressure_predictive,
)

EPOCH_S = 1.7e9
TIMES = st.lists(st.floats(0, 1e4), min_size=4, max_size=60)


@given(TIMES, st.floats(0.1, 1e3))
def test_phase_coherence_is_one_less_the_circular_variance_of_scipy(times: list[float], period_s: float) -> None:
    expected = 1.0 - stats.circvar(np.array(times), high=period_s)
    assert phase_coherence(times, period_s) == pytest.approx(expected, abs=1e-6)
    assert 0.0 <= phase_coherence(times, period_s) <= 1.0


@given(TIMES, st.floats(1.0, 1e3), st.floats(-1e3, 1e3))
def test_phase_coherence_does_not_depend_on_when_counting_starts(
    times: list[float], period_s: float, shift: float
) -> None:
    moved = [time + shift for time in times]
    assert phase_coherence(moved, period_s) == pytest.approx(phase_coherence(times, period_s), abs=1e-6)


def test_epoch_seconds_lose_no_phase() -> None:
    beats = EPOCH_S + 0.05 * np.arange(400)
    assert phase_coherence(beats, 0.05) > 0.9999
    assert dominant_period(beats) == pytest.approx(0.05, rel=1e-5)


def test_fewer_than_four_events_say_nothing() -> None:
    for times in ([], [1.0], [1.0, 2.0, 3.0]):
        assert phase_coherence(times, 1.0) == dominant_period(times) == 0.0
        found = rhythm(times)
        assert (found.sufficient, found.p_value, found.latency_spread_ms) == (False, 1.0, 0.0)
    assert rhythm([5.0] * 10).sufficient is False


@pytest.mark.parametrize("period_s", [0.2, 7.3, 60.0, 3600.0])
@pytest.mark.parametrize(("jitter", "missing"), [(0.0, 0.0), (0.05, 0.0), (0.05, 0.5)])
def test_a_beat_is_found_with_jitter_and_beats_missing(period_s: float, jitter: float, missing: float) -> None:
    rng = np.random.default_rng(1)
    beats = np.arange(80)[rng.uniform(size=80) >= missing]
    times = EPOCH_S + period_s * (beats + jitter * rng.standard_normal(len(beats)))
    assert dominant_period(times) == pytest.approx(period_s, rel=0.005)


def test_several_emitters_that_fire_together_have_the_period_of_the_burst() -> None:
    rng = np.random.default_rng(2)
    burst = (5.0 * np.arange(20))[:, None] + 0.02 * rng.standard_normal((20, 6))
    found = rhythm(burst.ravel())
    assert found.dominant_period_s == pytest.approx(5.0, rel=1e-3)
    assert found.phase_coherence > 0.99
    assert found.latency_spread_ms == pytest.approx(20.0, rel=0.25)  # the standard deviation put in
    assert found.p_value < 1e-20


def test_events_at_random_show_a_period_as_rarely_as_the_p_value_says() -> None:
    rng = np.random.default_rng(3)
    for n in (8, 40):
        p_values = [rhythm(rng.uniform(0, 1000, n)).p_value for _ in range(400)]
        assert np.mean(np.array(p_values) < 0.1) <= 0.15


def test_a_burst_is_one_beat_and_no_rhythm() -> None:
    rng = np.random.default_rng(4)
    burst = rng.uniform(0, 2.0, 60)
    lone = rhythm(np.concatenate([burst, rng.uniform(0, 300, 10)]))
    assert lone.phase_coherence > 0.7
    assert lone.p_value > 0.01
    beats = (5.0 * np.arange(9))[:, None] + 0.02 * rng.standard_normal((9, 6))
    assert rhythm(beats.ravel()).p_value < 1e-8


def test_rayleigh_p_is_the_share_of_random_phases() -> None:
    rng = np.random.default_rng(5)
    phases = rng.uniform(0, 2 * math.pi, (200_000, 20))
    coherence = np.abs(np.exp(1j * phases).mean(axis=1))
    for level in (0.2, 0.35, 0.5):
        assert rayleigh_p(level, 20) == pytest.approx(np.mean(coherence >= level), rel=0.1)


def test_coherence_change_compares_with_the_window_before() -> None:
    rng = np.random.default_rng(6)
    regular, loose = rhythm(np.arange(0, 300, 10.0)), rng.uniform(0, 300, 30)
    assert rhythm(loose, before=regular).coherence_change < -0.3
    assert rhythm(loose).coherence_change == 0.0


def test_propagation_is_told_by_rank_correlation() -> None:
    rng = np.random.default_rng(7)
    order = np.arange(12)
    assert propagation(order, order * 3.0) == ("sequential", pytest.approx(1.0))
    assert propagation(order, -np.exp(order / 3.0))[0] == "sequential"
    assert propagation(order, rng.uniform(0, 0.05, 12))[0] == "simultaneous"
    assert propagation(order, [5.0] * 12) == ("simultaneous", 0.0)
    assert propagation([1, 2, 3], [1, 2, 3]) == ("insufficient", 0.0)
    patterns = [propagation(order, rng.uniform(0, 100, 12))[0] for _ in range(500)]
    assert patterns.count("sequential") < 500 * 0.025


def test_silence_pressure_follows_its_definition() -> None:
    times = EPOCH_S + np.array([0.0, 10, 20, 30, 40])  # 0.1 per second
    now = times[-1] + 60.0
    assert silence_pressure(times, now) == pytest.approx(-math.log10(math.exp(-0.1 * 60.0)))
    assert silence_pressure(times, now) == pytest.approx(-math.log10(stats.poisson.pmf(0, 0.1 * 60.0)))
    assert silence_pressure(times, times[-1]) == 0.0


@given(st.lists(st.floats(0, 1000), max_size=30), st.floats(0, 2000), st.floats(0, 100))
def test_silence_presses_harder_the_longer_it_lasts(times: list[float], now: float, more: float) -> None:
    now = max([now, *times])
    for pressure in (silence_pressure, silence_pressure_predictive):
        before, after = pressure(times, now), pressure(times, now + more)
        assert 0.0 <= before <= after < math.inf
    assert silence_pressure_predictive(times, now) <= silence_pressure(times, now) * (1 + 1e-9) + 1e-12


def test_the_predictive_pressure_is_exact_for_few_events_where_the_plain_one_is_not() -> None:
    rng = np.random.default_rng(9)
    steps = rng.exponential(1.0, (20_000, 6))
    times = np.cumsum(steps, axis=1)
    plain = [silence_pressure(row[:5], row[5]) for row in times]
    exact = [silence_pressure_predictive(row[:5], row[5]) for row in times]
    assert np.mean(np.array(exact) > 2.0) == pytest.approx(0.01, abs=0.002)
    assert np.mean(np.array(plain) > 2.0) > 0.03


def test_times_that_are_none_are_refused() -> None:
    for call in (lambda: phase_coherence([0, 1, 2, math.nan], 1.0), lambda: silence_pressure([0, math.inf], 5.0)):
        with pytest.raises(ValueError, match="finite"):
            call()
