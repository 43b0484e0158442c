"""What is inside an outline is a matter of cells, and Matplotlib's polygons agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.path import Path

from dashboard.components.graph_state import region_of, region_text
from engine.frames.graph_region import GraphRegion, cell_size


@given(st.lists(st.tuples(st.integers(-30, 30), st.integers(-30, 30)), min_size=3, max_size=12), st.integers(0, 9))
@example([(0, 0), (-23, -7), (-2, 0)], 2)
def test_a_lasso_holds_the_cells_whose_centres_it_encloses(corners, step):
    x, y = np.array(corners).T
    if x.min() == x.max() or y.min() == y.max():
        return
    region = GraphRegion("lasso", step, tuple(int(v) for pair in corners for v in pair))
    rng = np.random.default_rng(step)
    cell = cell_size(step)
    px, py = rng.uniform(-32, 32, (2, 300)) * cell
    inside = region.contains(px, py)
    centres = np.column_stack([np.floor(px / cell) + 0.5, np.floor(py / cell) + 0.5])
    # Matplotlib's own rule is by winding; by parity is the sum of crossings of a ray, counted here one by one.
    crossings, on_edge = np.zeros(len(centres), int), np.zeros(len(centres), bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        # Halves of whole numbers: exact. A centre on an edge may count either way.
        on_edge |= (centres[:, 0] - x0) * (y1 - y0) == (centres[:, 1] - y0) * (x1 - x0)
        spans = (y0 > centres[:, 1]) != (y1 > centres[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x0 + (centres[:, 1] - y0) / (y1 - y0) * (x1 - x0)
        crossings += spans & (centres[:, 0] < at)
    assert (on_edge | (inside == (crossings % 2 == 1))).all()


@pytest.mark.parametrize("corners", [(0, 0, 10, 0, 10, 8, 0, 8), (0, 0, 20, 3, 15, 18, 4, 11), (-9, -9, 9, -5, 0, 12)])
def test_simple_outlines_agree_with_matplotlib(corners):
    region = GraphRegion("lasso", 2, corners)
    outline = np.array(corners, float).reshape(-1, 2)
    j, i = np.mgrid[-12:20, -12:22]
    centres = np.column_stack([i.ravel() + 0.5, j.ravel() + 0.5])
    closed = Path(np.vstack([outline, outline[:1]]))
    # A centre right on the outline may be counted either way.
    wider, narrower = (closed.contains_points(centres, radius=r) for r in (1e-6, -1e-6))
    clear = wider == narrower
    assert clear.mean() > 0.95
    assert (region.contains(*(2.0 * centres.T)) == wider)[clear].all()


def test_a_box_takes_its_west_and_south_edge_and_leaves_the_others():
    box = GraphRegion("box", 2, (0, 0, 2, 2))
    assert box.contains([0.0, 3.9, 4.0, -1e-9, np.nan], [0.0, 3.9, 0.0, 0.0, 0.0]).tolist() == [
        True, True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "step", "corners"),
    [("box", 0, (0, 0, 0, 5)), ("box", 0, (0, 0, 5)), ("lasso", 0, (0, 0, 1, 1)), ("disc", 0, (0, 0, 1, 1)),
     ("box", -1, (0, 0, 1, 1)), ("box", 0, (0, 0, 10_000, 10_000)), ("lasso", 0, tuple(range(98)))],
)  # fmt: skip
def test_an_outline_that_is_none_is_refused(shape, step, corners):
    with pytest.raises(ValueError):
        GraphRegion(shape, step, corners)


@given(st.lists(st.integers(-10_000, 10_000), min_size=6, max_size=96).filter(lambda v: len(v) % 2 == 0))
def test_a_link_brings_an_outline_back_unchanged(corners):
    try:
        region = GraphRegion("lasso", 7, tuple(corners))
    except ValueError:
        return
    assert region_of(region_text(region)) == region


@pytest.mark.parametrize("text", ["box", "box:1:1,2,3", "lasso:x:1,2,3,4,5,6", "box:1:1,2,3,1e9", "box:1:0,0,9,9:", ""])
def test_a_link_that_names_no_outline_says_what_is_needed(text):
    with pytest.raises(ValueError, match="nothing is selected"):
        region_of(text)
