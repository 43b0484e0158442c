"""Metrics agree with published and hand-computed values, with SciPy, and with their own laws."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from engine.drift import (
    CalibrationBins,
    calibration_error,
    corrected_entropy,
    gini,
    hhi,
    js_distance,
    js_noise_floor,
    js_test,
    largest_share,
    mann_kendall,
    normalized_entropy,
    psi,
    shannon_entropy,
    theil_sen,
    wasserstein,
)

AMOUNT = st.one_of(st.just(0.0), st.floats(1e-3, 1e6))
AMOUNTS = st.lists(AMOUNT, min_size=1, max_size=40)
COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=30)
PAIR = st.integers(2, 20).flatmap(
    lambda k: st.tuples(*(st.lists(st.integers(0, 1000), min_size=k, max_size=k) for _ in range(2)))
)
TRIPLE = st.integers(2, 12).flatmap(
    lambda k: st.tuples(*(st.lists(st.integers(0, 1000), min_size=k, max_size=k).filter(any) for _ in range(3)))
)
SERIES = st.lists(st.integers(-1000, 1000), min_size=3, max_size=40)


# --- concentration


@pytest.mark.parametrize(
    ("amounts", "value"),
    [([1, 2, 3, 4], 0.25), ([0, 0, 0, 1], 0.75), ([5, 5, 5], 0.0), ([], 0.0), ([0, 0], 0.0), ([7], 0.0)],
)
def test_gini_has_its_published_values(amounts: list[float], value: float) -> None:
    assert gini(amounts) == pytest.approx(value, abs=1e-15)


@given(AMOUNTS)
def test_gini_is_half_the_mean_difference_of_pairs_over_the_mean(amounts: list[float]) -> None:
    x = np.array(amounts)
    pairs = np.abs(x[:, None] - x[None, :]).mean()
    expected = pairs / (2 * x.mean()) if x.any() else 0.0
    assert gini(amounts) == pytest.approx(expected, abs=1e-9)


@given(AMOUNTS, st.randoms(), st.floats(1e-6, 1e6))
def test_concentration_does_not_depend_on_order_or_scale(amounts: list[float], shuffle, scale: float) -> None:
    shuffled = list(amounts)
    shuffle.shuffle(shuffled)
    for measure in (gini, hhi, largest_share):
        assert measure([scale * x for x in shuffled]) == pytest.approx(measure(amounts), abs=1e-9)


@given(AMOUNTS)
def test_concentration_keeps_its_bounds(amounts: list[float]) -> None:
    n, some = len(amounts), any(amounts)
    assert 0.0 <= gini(amounts) <= 1.0 - 1.0 / n
    for measure in (hhi, largest_share):
        assert (1.0 / n - 1e-12 if some else 0.0) <= measure(amounts) <= 1.0


@given(AMOUNTS.filter(any))
def test_gini_of_a_population_doubled_is_the_same_and_hhi_is_half(amounts: list[float]) -> None:
    assert gini(amounts * 2) == pytest.approx(gini(amounts), abs=1e-9)
    assert hhi(amounts * 2) == pytest.approx(hhi(amounts) / 2, rel=1e-9)


def test_hhi_of_the_merger_guidelines_example() -> None:
    # Shares of 30, 30, 20 and 20 percent: 2 600 points of 10 000 (U.S. Department of Justice, "Herfindahl-Hirschman
    # Index").
    assert hhi([30, 30, 20, 20]) == pytest.approx(0.26)


def test_extreme_amounts_neither_overflow_nor_vanish() -> None:
    for scale in (1e-320, 1e-300, 1e300):
        assert gini([0, 0, 0, scale]) == pytest.approx(0.75)
        assert hhi([scale, scale]) == pytest.approx(0.5)
        assert shannon_entropy([scale, scale]) == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_amounts_that_are_none_are_refused_by_name(wrong: float) -> None:
    for measure in (gini, hhi, largest_share, shannon_entropy, normalized_entropy):
        with pytest.raises(ValueError, match="at least 0"):
            measure([1.0, wrong])


# --- diversity and distance


@given(COUNTS, st.sampled_from([2.0, math.e, 10.0]))
def test_entropy_is_that_of_scipy(counts: list[int], base: float) -> None:
    expected = stats.entropy(counts, base=base) if any(counts) else 0.0
    assert shannon_entropy(counts, base) == pytest.approx(expected, abs=1e-12)


@given(COUNTS)
def test_entropy_is_bounded_and_normalised(counts: list[int]) -> None:
    used = sum(count > 0 for count in counts)
    assert 0.0 <= shannon_entropy(counts) <= math.log2(max(used, 1)) + 1e-12
    assert 0.0 <= normalized_entropy(counts) <= 1.0


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=10), st.lists(st.integers(1, 1000), min_size=2, max_size=10))
def test_entropy_obeys_the_grouping_law(a: list[int], b: list[int]) -> None:
    na, nb = sum(a), sum(b)
    inner = (na * shannon_entropy(a) + nb * shannon_entropy(b)) / (na + nb)
    assert shannon_entropy(a + b) == pytest.approx(shannon_entropy([na, nb]) + inner, abs=1e-9)


def test_the_entropy_correction_takes_out_most_of_the_bias_of_few_draws() -> None:
    rng = np.random.default_rng(4)
    draws = rng.multinomial(60, [1 / 16] * 16, size=2000)
    plain = np.mean([shannon_entropy(row) for row in draws])
    corrected = np.mean([corrected_entropy(row) for row in draws])
    assert 4.0 - plain > 0.15
    assert abs(4.0 - corrected) < 0.03


def test_js_distance_of_the_textbook_pair_in_both_bases() -> None:
    # By hand: KL([1,0] from [3/4,1/4]) = log 4/3; KL([1/2,1/2] from it) = (log 2/3 + log 2)/2; half their sum, root.
    by_hand = 0.5 * math.log2(4 / 3) + 0.25 * (math.log2(2 / 3) + 1)
    assert js_distance([1, 0], [0.5, 0.5]) == pytest.approx(math.sqrt(by_hand), abs=1e-12)
    # SciPy's documentation gives this pair in base e.
    assert js_distance([1, 0], [0.5, 0.5], base=math.e) == pytest.approx(0.46450140402245893, abs=1e-12)
    assert js_distance([1, 0, 0], [0, 1, 0]) == pytest.approx(1.0)


@given(PAIR)
def test_js_distance_is_that_of_scipy(pair: tuple[list[int], list[int]]) -> None:
    p, q = pair
    if not any(p) or not any(q):
        assert js_distance(p, q) == 0.0
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy takes the root of -1e-17 for equal distributions
        expected = np.nan_to_num(jensenshannon(p, q, 2))
    assert js_distance(p, q) == pytest.approx(expected, abs=1e-7)


@given(TRIPLE)
def test_js_distance_is_a_metric(triple: tuple[list[int], list[int], list[int]]) -> None:
    p, q, r = triple
    assert js_distance(p, p) == 0.0
    assert js_distance(p, q) == pytest.approx(js_distance(q, p), abs=1e-12)
    assert 0.0 <= js_distance(p, q) <= 1.0
    assert js_distance(p, r) <= js_distance(p, q) + js_distance(q, r) + 1e-7


@pytest.mark.parametrize(("k", "n", "m"), [(5, 200, 200), (20, 300, 900), (40, 500, 500)])
def test_two_samples_of_one_law_pass_the_noise_floor_as_rarely_as_it_says(k: int, n: int, m: int) -> None:
    rng = np.random.default_rng(k)
    law = rng.dirichlet([5.0] * k)
    found = [js_test(rng.multinomial(n, law), rng.multinomial(m, law), 0.05) for _ in range(2000)]
    share = np.mean([distance > floor for distance, floor in found])
    # The binomial spread of 2000 trials is 0.005; many sparse categories pass it up to 1.7 times too often.
    assert 0.03 < share < 0.085


def test_the_noise_floor_falls_as_windows_grow_and_rises_with_categories() -> None:
    assert js_noise_floor(10, 100, 100, 0.01) > js_noise_floor(10, 400, 400, 0.01) > 0
    assert js_noise_floor(40, 400, 400, 0.01) > js_noise_floor(10, 400, 400, 0.01)
    assert js_noise_floor(10, 0, 10, 0.01) == 1.0


def test_psi_has_its_published_value() -> None:
    assert psi([0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.3, 0.3]) == pytest.approx(0.0980829, abs=5e-8)


def test_psi_of_an_empty_bin_follows_the_stated_rule() -> None:
    by_hand = (0.5 - 1e-4) * math.log(0.5 / 1e-4) + (0.5 - 1.0) * math.log(0.5 / 1.0)
    assert psi([1, 0, 0], [1, 1, 0]) == pytest.approx(by_hand)
    assert psi([0, 0], [1, 1]) == 0.0


@given(PAIR, st.integers(1, 50))
def test_psi_is_symmetric_free_of_scale_and_never_negative(pair: tuple[list[int], list[int]], scale: int) -> None:
    p, q = pair
    assert psi(p, q) >= 0.0
    assert psi(p, q) == pytest.approx(psi(q, p), rel=1e-9, abs=1e-12)
    assert psi([scale * x for x in p], q) == pytest.approx(psi(p, q), rel=1e-9, abs=1e-12)
    assert psi(p, p) == 0.0


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.floats(-100, 100))
def test_wasserstein_of_a_moved_sample_is_the_way_it_moved(x: list[float], shift: float) -> None:
    assert wasserstein(x, [value + shift for value in x]) == pytest.approx(abs(shift), abs=1e-9)


def test_wasserstein_is_the_area_between_the_distribution_functions() -> None:
    # SciPy's documented example, and an empty side.
    assert wasserstein([3.4, 3.9, 7.5, 7.8], [4.5, 1.4], [1.4, 0.9, 3.1, 7.2], [3.2, 3.5]) == pytest.approx(
        4.0781331438047861
    )
    assert wasserstein([], [1.0]) == 0.0


def test_different_categories_do_not_compare() -> None:
    for distance in (js_distance, psi):
        with pytest.raises(ValueError, match="categories"):
            distance([1, 2], [1, 2, 3])


# --- trend


@given(SERIES)
def test_theil_sen_is_that_of_scipy(values: list[int]) -> None:
    t = np.arange(len(values)) * 1.5
    expected = stats.theilslopes(values, t, 0.95)
    assert theil_sen(t, values) == pytest.approx((expected.slope, expected.low_slope, expected.high_slope))


@given(st.lists(st.integers(0, 6), min_size=3, max_size=40))
def test_mann_kendall_is_kendalls_tau_of_scipy_with_ties(values: list[int]) -> None:
    t = np.arange(len(values))
    ours = mann_kendall(t, values)
    if len(set(values)) == 1:
        assert (ours.s, ours.p, ours.tau) == (0, 1.0, 0.0)
        return
    theirs = stats.kendalltau(t, values, method="asymptotic")  # without continuity correction
    assert ours.tau == pytest.approx(theirs.statistic, abs=1e-12)
    assert 2 * stats.norm.sf(abs(ours.s) / math.sqrt(ours.var_s)) == pytest.approx(theirs.pvalue, rel=1e-9)
    assert ours.p >= theirs.pvalue - 1e-12


def test_theil_sen_resists_a_wild_outlier_and_least_squares_does_not() -> None:
    t, y = np.arange(10.0), 2.0 * np.arange(10.0)
    y[9] = 1e6
    assert theil_sen(t, y).slope == pytest.approx(2.0)
    assert np.polyfit(t, y, 1)[0] > 1000


@given(SERIES, st.integers(-50, 50), st.integers(1, 20))
def test_slopes_follow_a_line_added_and_a_change_of_scale(values: list[int], slope: int, scale: int) -> None:
    t = np.arange(len(values))
    before = theil_sen(t, values)
    after = theil_sen(t, scale * np.array(values) + slope * t)
    assert after.slope == pytest.approx(scale * before.slope + slope, abs=1e-9)
    assert before.low <= before.slope <= before.high


def test_an_interval_of_theil_sen_covers_the_slope_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    t = np.arange(30.0)
    found = [theil_sen(t, 0.3 * t + rng.standard_t(2, 30)) for _ in range(1000)]
    assert 0.93 < np.mean([low <= 0.3 <= high for _, low, high in found]) < 0.975


def test_too_little_to_know_a_slope_says_so() -> None:
    assert theil_sen([], []) == (0.0, -math.inf, math.inf)
    assert theil_sen([1, 1, 1], [1, 2, 3]).low == -math.inf
    assert mann_kendall([], []).p == mann_kendall([1, 2], [1, 2]).p == 1.0


# --- calibration


def test_calibration_error_by_hand() -> None:
    # Bin (0.6, 0.7]: 0.7, 0.7, 0.7 of which two right: gap |0.7 - 2/3|; bin (0.9, 1]: 0.95 wrong: gap 0.95.
    expected = 3 / 4 * abs(0.7 - 2 / 3) + 1 / 4 * 0.95
    assert calibration_error([0.7, 0.7, 0.7, 0.95], [1, 1, 0, 0]) == pytest.approx(expected)


def test_who_is_right_as_often_as_stated_is_calibrated() -> None:
    rng = np.random.default_rng(2)
    confidence = rng.uniform(size=20_000)
    honest = calibration_error(confidence, rng.uniform(size=20_000) < confidence)
    bold = calibration_error(confidence, rng.uniform(size=20_000) < confidence**2)
    assert honest < 0.02
    assert bold == pytest.approx(1 / 6, abs=0.02)  # the mean of c - c² over [0, 1]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60), st.integers(0, 60))
def test_calibration_of_parts_merges_to_that_of_the_whole(decisions: list[tuple[float, bool]], cut: int) -> None:
    whole, first, second = (CalibrationBins() for _ in range(3))
    for sums, part in ((whole, decisions), (first, decisions[:cut]), (second, decisions[cut:])):
        sums.add([confidence for confidence, _ in part], [right for _, right in part])
    first.merge(second)
    assert first.error() == pytest.approx(whole.error(), abs=1e-12)
    assert 0.0 <= first.error() <= 1.0
