"""Trails: the same segments whatever the batches, drawn where the fixes are, forgotten when there are too many."""

import itertools

import datashader
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events.schema import DRILL_ENDED, FIX, event_table
from engine.frames.trails import MAX_GAP_S, TrailFold, trail_raster
from engine.geo import web_mercator


def fixes(ids, times_s, lat, lon):
    return event_table((np.asarray(times_s) * 1e6).astype(np.int64), FIX, list(ids), "test", lat=lat, lon=lon)


@given(st.lists(st.integers(1, 29), min_size=1, max_size=6))
def test_cutting_the_stream_into_batches_changes_nothing(cuts):
    rng = np.random.default_rng(7)
    n = 30
    table = fixes([f"e{i}" for i in rng.integers(0, 4, n)], np.arange(n), 47 + rng.random(n), 8 + rng.random(n))
    whole, parts = TrailFold(), TrailFold()
    whole.apply(table)
    edges = [0, *sorted(cuts), n]
    for a, b in itertools.pairwise(edges):
        parts.apply(table.slice(a, b - a))
    np.testing.assert_array_equal(whole.segments(-1, 100), parts.segments(-1, 100))


def test_a_long_silence_and_the_antimeridian_break_the_line():
    fold = TrailFold()
    fold.apply(fixes("aaaa", [0, 10, 10 + MAX_GAP_S + 1, 30 + MAX_GAP_S], [0, 0, 0, 0], [179.0, 179.9, 179.95, -179.9]))
    assert len(fold.segments(-1, 1000)) == 1


def test_a_trail_is_drawn_on_the_cells_it_crosses_and_fades_with_age():
    fold = TrailFold()
    fold.apply(fixes("aabb", [0, 60, 90, 100], [47.0, 47.0, 47.5, 47.5], [8.0, 9.0, 8.0, 9.0]))
    (x0, x1), (y0, y1) = web_mercator([46.9, 47.6], [7.9, 9.1])
    raster = trail_raster(fold.segments(-1, 100), (x0, y0, x1, y1), (70, 120), moment_s=100.0, trail_s=100.0)
    rows = np.flatnonzero(raster.any(axis=1))
    _, (old_y, new_y) = web_mercator([47.0, 47.5], [8.0, 8.0])
    expected = sorted(int((y - y0) / (y1 - y0) * 70) for y in (old_y, new_y))
    assert rows.tolist() == expected
    assert raster[expected[1]].max() == 255
    assert raster[expected[0]].max() == pytest.approx(1 + 254 * 0.6, abs=1)


def test_the_fold_is_bounded_and_keeps_the_newest():
    fold = TrailFold(max_segments=100)
    for start in range(0, 1000, 50):
        fold.apply(
            fixes(["a"] * 50, np.arange(start, start + 50), np.full(50, 47.0), 8 + 1e-4 * np.arange(start, start + 50))
        )
    kept = fold.segments(-1, 2000)
    assert len(kept) <= 100 and kept[-1, 4] == 999.0
    assert len(kept) + fold.dropped == 999


def test_a_batch_of_other_events_is_no_trail():
    fold = TrailFold()
    fold.apply(event_table([0, 1], "note", ["a", "a"], "test", lat=[1.0, 2.0], lon=[1.0, 2.0]))
    assert len(fold.segments(-1, 10)) == 0


def test_any_number_of_identities_is_no_burden(monkeypatch):
    monkeypatch.setattr("engine.frames.trails.MAX_EMITTERS", 50)
    fold = TrailFold()
    for k in range(40):
        names = [f"n{k}-{i}" for i in range(10)]
        fold.apply(fixes(names, np.full(10, k), np.full(10, 47.0), np.full(10, 8.0)))
    assert len(fold._slots) <= 60
    fold.apply(fixes("zz", [100, 101], [47.0, 47.1], [8.0, 8.0]))
    assert len(fold.segments(-1, 200)) == 1


def test_an_exercise_that_ended_leaves_no_trail():
    fold = TrailFold()
    ids, at = ["drill:x:1/a", "b"] * 2, [0, 0, 5_000_000, 5_000_000]
    fold.apply(event_table(at, FIX, ids, "test", lat=[47.0, 46.0, 47.1, 46.1], lon=[8.0, 7.0, 8.1, 7.1]))
    alone = TrailFold()
    alone.apply(event_table([0, 5_000_000], FIX, ["b", "b"], "test", lat=[46.0, 46.1], lon=[7.0, 7.1]))
    assert len(fold.segments(0.0, 10.0)) == 2
    fold.apply(event_table([6_000_000], DRILL_ENDED, ["drill:x:1"], "test"))
    assert np.array_equal(fold.segments(0.0, 10.0), alone.segments(0.0, 10.0))


def test_lines_are_drawn_where_datashader_draws_them():
    rng = np.random.default_rng(3)
    n, shape, bounds = 400, (60, 90), (0.0, 0.0, 90.0, 60.0)
    start = rng.uniform((-20.0, -20.0), (110.0, 80.0), (n, 2))
    segments = np.column_stack([start, start + rng.normal(0.0, 15.0, (n, 2)), rng.uniform(1.0, 100.0, n)])
    frame = pd.DataFrame(segments, columns=["x0", "y0", "x1", "y1", "t"])
    canvas = datashader.Canvas(plot_width=90, plot_height=60, x_range=(0, 90), y_range=(0, 60))
    newest = canvas.line(frame, x=["x0", "x1"], y=["y0", "y1"], axis=1, agg=datashader.max("t")).to_numpy()
    theirs = np.nan_to_num(1.0 + 254.0 * newest / 100.0).astype(np.uint8)
    ours = trail_raster(segments, bounds, shape, moment_s=100.0, trail_s=100.0)
    # Where a line runs between two cells, either may have it.
    assert (ours == theirs).mean() > 0.9
    assert abs(np.count_nonzero(ours) / np.count_nonzero(theirs) - 1.0) < 0.02
    many = np.tile(segments, (50, 1))
    np.testing.assert_array_equal(trail_raster(many, bounds, shape, 100.0, 100.0), ours, "whatever the threads")
