"""Change detection: documented examples, the same results however a stream is cut, and few false alarms."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.drift import AdaptiveWindow, PageHinkley


def two_levels() -> list[int]:
    """The stream of the examples in river's documentation: a change of level at value 1000."""
    rng = random.Random(12345)
    return rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)


def test_page_hinkley_reproduces_the_documented_example_of_river() -> None:
    found = PageHinkley(delta=0.005, threshold=50.0).update(two_levels())
    assert found.tolist() == [1006]  # "Change detected at index 1006, input value: 5"


def test_adaptive_windowing_finds_the_change_of_the_documented_example_at_the_same_value() -> None:
    window = AdaptiveWindow(every=32)
    assert window.update(two_levels()).tolist() == [1023]  # "Change detected at index 1023, input value: 4"
    assert window.mean == pytest.approx(5.5, abs=0.15)


def test_page_hinkley_and_adwin_agree_with_river_on_random_streams() -> None:
    drift = pytest.importorskip("river.drift", reason="river is not installed; it is only a reference")
    for seed in range(10):
        rng = np.random.default_rng(seed)
        level = np.repeat(rng.normal(0, 2, 5), 200)
        stream = level + rng.standard_normal(1000)
        theirs, adwin, at, windows = drift.PageHinkley(delta=0.5, threshold=14.0), drift.ADWIN(), [], []
        for i, value in enumerate(stream):
            theirs.update(float(value))
            adwin.update(float(value))
            at += [i] * theirs.drift_detected
            windows += [i] * adwin.drift_detected
        assert PageHinkley().update(stream).tolist() == at
        # Ours tries every cut, river's those of its histogram: the same jumps, at most one look (32 values) apart.
        ours = AdaptiveWindow(every=32).update(stream)
        big = [200 * (i + 1) for i in range(4) if abs(level[200 * i] - level[200 * (i + 1)]) > 1.5]
        for jump in big:
            assert any(jump <= i <= jump + 64 for i in ours)
            assert any(jump <= i <= jump + 64 for i in windows)


@given(
    st.lists(st.floats(-5, 5), min_size=20, max_size=300),
    st.lists(st.integers(0, 300), max_size=5),
)
def test_a_stream_cut_anywhere_gives_the_same_changes(values: list[float], cuts: list[int]) -> None:
    stream = [*values, *(value + 8.0 for value in values)]
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for detector in (PageHinkley, AdaptiveWindow):
        whole, pieces = detector(), detector()
        at_once = whole.update(stream).tolist()
        by_pieces = [int(i) + a for a, b in itertools.pairwise(edges) for i in pieces.update(stream[a:b]).tolist()]
        assert by_pieces == at_once


def test_clean_noise_raises_hardly_any_alarm_and_a_shift_is_found_soon() -> None:
    rng = np.random.default_rng(11)
    noise = rng.standard_normal((20, 2000))
    for detector, most in ((PageHinkley, 20), (AdaptiveWindow, 6)):
        assert sum(len(detector().update(row)) for row in noise) <= most
        for row in noise:
            found = detector().update(np.concatenate([row[:500], row[500:600] + 2.0]))
            assert any(500 <= i < 540 for i in found)


def test_constant_and_empty_streams_never_alarm() -> None:
    for detector in (PageHinkley(), AdaptiveWindow()):
        assert detector.update([]).tolist() == []
        assert detector.update([3.7] * 500).tolist() == []
        with pytest.raises(ValueError, match="finite"):
            detector.update([math.nan])


def test_the_window_is_bounded() -> None:
    window = AdaptiveWindow(max_width=256)
    window.update(np.random.default_rng(0).standard_normal(5000))
    assert window.width <= 256


@given(st.floats(-1e6, 1e6), st.floats(0.01, 1e4))
def test_adaptive_windowing_does_not_depend_on_offset_or_scale(offset: float, scale: float) -> None:
    rng = np.random.default_rng(1)
    stream = np.concatenate([rng.standard_normal(100), rng.standard_normal(100) + 3.0])
    expected = AdaptiveWindow().update(stream).tolist()
    assert AdaptiveWindow().update(offset + scale * stream).tolist() == expected
