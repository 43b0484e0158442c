"""Levels say which value they stand for, whatever the scale."""

from __future__ import annotations

import numpy as np
import pytest
from datashader.transfer_functions import spread as datashader_spread
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from engine.frames.graph_levels import SHADES, Ruler, categorise, quantise, spread


@pytest.mark.parametrize("scale", ["linear", "log", "equalised"])
@given(values=st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60))
def test_more_is_never_drawn_as_less_and_zero_is_not_nothing(scale, values):
    raster = np.array(values)[None, :]
    levels = quantise(raster, np.ones(raster.shape, bool), scale).cells[0].astype(int)
    order = np.argsort(values, kind="stable")
    assert (np.diff(levels[order]) >= 0).all()
    assert levels.min() >= 1


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_the_value_of_a_level_is_right_to_half_a_step(scale):
    values = np.geomspace(1.0, 900.0, 200)
    levels = quantise(values[None, :], np.ones((1, 200), bool), scale, whole=True)
    shown = levels.values[levels.cells[0]]
    steps = np.diff(levels.values[1:])
    assert (np.abs(shown - values) <= 0.5001 * steps[np.clip(levels.cells[0].astype(int) - 1, 0, 253)] + 1e-9).all()


def test_equalised_levels_are_ranks():
    values = np.random.default_rng(1).integers(0, 50, 400).astype(float)
    levels = quantise(values[None, :], np.ones((1, 400), bool), "equalised").cells[0]
    want = 1 + np.rint(254 * rankdata(values, method="max") / 400)
    assert (levels == want).all()


@pytest.mark.parametrize("scale", ["linear", "log", "equalised"])
@given(values=st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=40))
def test_a_tick_stands_where_its_value_is_drawn(scale, values):
    ruler = Ruler.of(np.array(values), scale, whole=False)
    for level, value in ruler.ticks():
        assert ruler.levels([value])[0] == pytest.approx(level, abs=0.51)


def test_a_scale_keeps_still_while_the_greatest_value_grows_a_little():
    tops = [Ruler.of(np.array([v]), "log", whole=True).top for v in (21.0, 30.0, 49.0, 51.0)]
    assert tops == [50.0, 50.0, 50.0, 100.0]


def test_a_cell_has_the_colour_of_its_most_frequent_kind():
    counts = np.zeros((9, 1, 3), np.uint32)
    counts[2, 0, 0], counts[5, 0, 0], counts[8, 0, 1] = 3, 1, 1
    cells = categorise(counts, "log").cells[0].astype(int)
    assert (cells[:2] - 1) // SHADES == pytest.approx([2, 8])
    assert cells[2] == 0
    assert (cells[0] - 1) % SHADES > (cells[1] - 1) % SHADES, "more nodes, fuller"


def test_dots_grow_as_datashader_grows_them():
    import xarray as xr

    cells = np.zeros((21, 21), np.uint8)
    cells[5, 5], cells[14, 12] = 200, 90
    image = xr.DataArray(cells.astype(np.uint32), dims=("y", "x"))
    want = datashader_spread(image, px=2, shape="circle", how="max").to_numpy()
    got = spread(cells, 2)
    assert got[5, 5] == 200
    # Datashader's disc of two cells and ours: the same but for the eight cells at a knight's move.
    assert ((got > 0) >= (want > 0)).all()
    assert np.count_nonzero((got > 0) != (want > 0)) <= 16
    kept = spread(np.array([[30, 29]], np.uint8), 1, categories=True)
    assert kept.tolist() == [[30, 29]], "a kind is not painted over by another"
