"""Metrics mean what their docstrings say, and a null test rejects as often as its p-value promises."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from engine.runs.metrics import (
    LOG_PRIMES,
    RadialBins,
    fit_targets,
    flat_deviation,
    geometric_residual,
    log_prime_fit,
    spectral_peaks,
)
from engine.runs.nulls import NullTest, phase_scramble_test, scrambled, target_shuffle_test

FIELDS = arrays(np.float64, st.sampled_from([(6, 6), (7, 7), (12, 12)]), elements=st.floats(0, 1e3, width=32))


def rings_of(power: np.ndarray, n: int) -> np.ndarray:
    """Mean power by ring, mode after mode over the whole spectrum."""
    total, count = np.zeros(n // 2 + 1), np.zeros(n // 2 + 1)
    steps = [m if m <= n // 2 else m - n for m in range(n)]
    for i, j in itertools.product(range(n), range(n)):
        ring = round(float(np.hypot(steps[i], steps[j])))
        if ring <= n // 2:
            total[ring] += power[i, j]
            count[ring] += 1
    return total / count


def rings_in_space(n: int, radii: dict[float, float], seed: int = 0) -> np.ndarray:
    """A positive field whose spectrum has rings of these radii and strengths, and nothing else but its mean."""
    rng = np.random.default_rng(seed)
    k = np.fft.fftfreq(n, 1 / n)
    radius = np.hypot(k[:, None], k[None, :])
    shape = sum(strength * np.exp(-((radius - at) ** 2) / 0.5) for at, strength in radii.items())
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, n))) * shape).real
    return 2.0 * np.abs(field).max() + field


@given(FIELDS)
def test_the_radial_spectrum_is_the_mean_over_modes_of_a_ring(field):
    n = field.shape[0]
    power = np.abs(np.fft.fft2(field)) ** 2 / n**4
    np.testing.assert_allclose(
        RadialBins(n).mean_power(field), rings_of(power, n), rtol=1e-9, atol=1e-12 * (1 + power.max())
    )


@given(FIELDS, st.integers(0, 11), st.integers(0, 11))
def test_it_does_not_see_shifts_quarter_turns_and_mirrors(field, dy, dx):
    bins = RadialBins(field.shape[0])
    power = bins.mean_power(field)
    for moved in (np.roll(field, (dy, dx), (0, 1)), np.rot90(field), field[::-1]):
        np.testing.assert_allclose(bins.mean_power(moved), power, rtol=1e-9, atol=1e-12 * (1 + power.max()))


@pytest.mark.parametrize("n", [64, 81])
def test_wavenumbers_are_those_of_the_rings_in_the_unit_of_the_box(n):
    wavenumber = RadialBins(n, domain_size=5.0).wavenumber
    assert wavenumber[0] == 0.0
    np.testing.assert_allclose(wavenumber, 2 * np.pi / 5.0 * np.arange(n // 2 + 1), atol=0.3 * 2 * np.pi / 5.0)


def test_rings_put_into_a_field_are_found_where_they_were_put():
    length = 7.0
    field = rings_in_space(128, {8: 1.0, 17: 0.5, 31: 0.3})
    fit = log_prime_fit(field, length, targets=np.array([8.0, 17.0, 31.0]) / 10)
    np.testing.assert_allclose(np.array(fit.peaks) * length / (2 * np.pi), [8, 17, 31], atol=0.6)
    assert fit.sse < 0.01
    assert fit.scale == pytest.approx(0.1 * length / (2 * np.pi), rel=0.03)


@given(st.floats(0.1, 10.0), st.floats(0.1, 10.0))
def test_neither_the_unit_of_length_nor_that_of_the_density_matters(length, strength):
    field = rings_in_space(32, {4: 1.0, 9: 0.5})
    one, other = log_prime_fit(field, 1.0), log_prime_fit(strength * field, length)
    assert other.sse == pytest.approx(one.sse, rel=1e-6)
    assert other.scale == pytest.approx(one.scale * length, rel=1e-6)


def test_the_most_prominent_peaks_are_taken_and_the_last_and_first_ring_are_none():
    power = np.exp([9.0, 5, 1, 3, 1, 2, 1.5, 8, 0, 9])
    assert spectral_peaks(np.arange(10.0), power, 2).round().tolist() == [3, 7]
    assert spectral_peaks(np.arange(10.0), power, 9).round().tolist() == [3, 5, 7]
    assert spectral_peaks(np.arange(10.0), np.exp(-np.arange(10.0)), 3).size == 0


@given(st.floats(-0.49, 0.49), st.floats(0.1, 3.0))
def test_the_place_of_a_gaussian_peak_is_found_between_rings(offset, width):
    """The logarithm of a Gaussian is a parabola, so that its top is found exactly."""
    rings = np.arange(20.0)
    power = np.exp(-((rings - 10 - offset) ** 2) / (2 * width**2))
    found = spectral_peaks(rings, np.maximum(power, 1e-300), 1)
    assert found[0] == pytest.approx(10 + offset, abs=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_makes_no_peaks(dtype):
    smooth = 1.0 + 0.1 * np.cos(2 * np.pi * np.arange(64) / 64)[None, :] * np.ones((64, 1))
    assert log_prime_fit(smooth.astype(dtype), 1.0).peaks == ()
    assert log_prime_fit(np.full((64, 64), 0.1, dtype), 1.0).sse == pytest.approx(np.sum(np.square(LOG_PRIMES)))


def test_targets_are_the_logarithms_of_the_first_primes():
    assert np.exp(LOG_PRIMES).round(9).tolist() == [2, 3, 5, 7, 11, 13]


POSITIVE = st.lists(st.floats(0.1, 10.0), min_size=1, max_size=5).map(np.cumsum)


@given(POSITIVE)
def test_the_fitted_scale_is_that_of_least_squares(peaks):
    targets = np.array(LOG_PRIMES[: peaks.size])
    sse, scale = fit_targets(peaks, targets)
    solution, residual, *_ = np.linalg.lstsq(peaks[:, None], targets, rcond=None)
    assert scale == pytest.approx(solution[0])
    assert sse == pytest.approx(residual[0] if residual.size else 0.0, abs=1e-12)


@given(POSITIVE)
def test_a_peak_more_never_makes_the_error_larger_than_leaving_it_out_at_the_best_place(peaks):
    fewer = fit_targets(peaks, LOG_PRIMES)[0]
    scale = fit_targets(peaks, LOG_PRIMES)[1]
    best_next = LOG_PRIMES[peaks.size] / scale
    assert fit_targets([*peaks, best_next], LOG_PRIMES)[0] == pytest.approx(
        fewer - LOG_PRIMES[peaks.size] ** 2, abs=1e-9
    )


def test_more_peaks_than_targets_are_refused():
    with pytest.raises(ValueError, match="at most as many as targets, 2"):
        fit_targets([1, 2, 3], [1, 2])


@given(FIELDS, st.floats(0.1, 2.0), st.floats(-2.0, 2.0))
def test_the_geometric_residual_is_the_distance_from_the_metric_of_the_density(rho, rho_vac, alpha):
    rho_s = rho + 0.5
    g_tt = -((rho_vac / rho_s) ** alpha)
    assert geometric_residual(g_tt, rho_s, rho_vac, alpha) == 0.0
    n = rho.size
    assert geometric_residual(g_tt - 0.3, rho_s, rho_vac, alpha) == pytest.approx(0.3 * np.sqrt(n), rel=1e-6)


def test_flat_space_deviates_by_nothing_and_noise_by_its_rms():
    assert flat_deviation(-np.ones((5, 5))) == 0.0
    noise = np.random.default_rng(0).normal(0, 0.2, (300, 300))
    assert flat_deviation(-1 + noise) == pytest.approx(0.2, rel=0.01)


# -- null tests --------------------------------------------------------------------------------------------------------


@given(FIELDS, st.integers(0, 2**32))
def test_scrambling_keeps_the_amplitude_spectrum_and_the_mean(field, seed):
    other = scrambled(field, np.random.default_rng(seed))
    np.testing.assert_allclose(np.abs(np.fft.fft2(other)), np.abs(np.fft.fft2(field)), atol=1e-9 * (1 + field.sum()))
    assert other.mean() == pytest.approx(field.mean(), abs=1e-9)


def test_scrambling_the_density_itself_would_test_nothing():
    """Why it is its root that is scrambled."""
    rho = rings_in_space(32, {4: 1.0, 9: 0.5})
    bins = RadialBins(32)
    other = scrambled(rho, np.random.default_rng(1))
    assert np.abs(other - rho).max() > 0.1
    np.testing.assert_allclose(bins.mean_power(other), bins.mean_power(rho), rtol=1e-9, atol=1e-20)


def test_shuffling_which_target_belongs_to_which_peak_would_always_favour_the_run():
    """Why it is the gaps that are shuffled: no assignment is better than the ascending one."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        peaks = np.sort(rng.uniform(1, 10, 5))
        errors = [fit_targets(peaks, order)[0] for order in itertools.permutations(LOG_PRIMES[:5])]
        assert fit_targets(peaks, LOG_PRIMES[:5])[0] == pytest.approx(min(errors))


def test_where_there_is_nothing_to_find_scrambling_rejects_as_often_as_it_says():
    """|psi| with random phases is what the null says: p-values are then uniform on 1/20, 2/20, ..., 1."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(150):
        amplitude = 1.0 + 0.1 * rng.standard_normal((24, 24))
        found.append(phase_scramble_test(amplitude**2, 19, rng).p_value)
    # Uniform on (0, 1] once the steps of 1/20 are filled in at random.
    assert stats.kstest(np.array(found) - rng.uniform(0, 0.05, 150), "uniform").pvalue > 1e-3


def test_where_the_order_of_gaps_is_random_shuffling_rejects_as_often_as_it_says():
    rng = np.random.default_rng(12)
    peaks = np.cumsum(rng.uniform(0.5, 1.5, 6))
    gaps = np.diff(LOG_PRIMES, prepend=0.0)
    found = [target_shuffle_test(peaks, 19, rng, targets=np.cumsum(rng.permutation(gaps))).p_value for _ in range(300)]
    assert stats.kstest(np.array(found) - rng.uniform(0, 0.05, 300), "uniform").pvalue > 1e-3


def test_what_is_there_to_be_found_is_found():
    rng = np.random.default_rng(13)
    # Peaks on the targets, of all orders of gaps the only one that fits.
    shuffle = target_shuffle_test(3.0 * np.array(LOG_PRIMES), 999, rng)
    assert shuffle.observed < 1e-20 and shuffle.p_value < 0.01 and shuffle.delta > 0.01


def test_rings_that_the_amplitude_alone_makes_are_not_credited_to_its_phases():
    n = 128
    rings = np.round(20 * np.array(LOG_PRIMES))
    stripes = np.cos(2 * np.pi * rings[:, None] * np.arange(n) / n).sum(axis=0)
    scramble = phase_scramble_test((40 + stripes)[None, :] * np.ones((n, 1)), 99, np.random.default_rng(13))
    assert scramble.observed < 0.01
    assert scramble.p_value > 0.05


def test_the_same_chance_gives_the_same_test_and_null_errors_are_capped():
    rho = rings_in_space(24, {4: 1.0, 9: 0.5})
    one, other = (phase_scramble_test(rho, 29, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.null, other.null)
    wild = target_shuffle_test([1.0, 2.0], 9, np.random.default_rng(0), targets=[100.0, 300.0])
    assert wild.null.max() == 1000.0


@given(st.floats(0, 10), arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 10)))
def test_a_p_value_counts_ties_against_the_run_and_is_never_nothing(observed, null):
    test = NullTest(observed, null)
    assert test.p_value == (1 + sum(value <= observed for value in null)) / (1 + len(null))
    assert 0 < test.p_value <= 1
    assert test.delta == pytest.approx(sum(null) / len(null) - observed)
