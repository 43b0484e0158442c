"""A view's grid: covers the view, stays within its budget, and is the same for nearly equal views."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.frames.spec import WORLD_M, FieldSpec, snap_view

edge = st.floats(-1.9e7, 1.9e7)
size = st.floats(50.0, 1.0e7)


@given(edge, edge, size, size, st.sampled_from([16_384, 65_536, 262_144]))
def test_the_grid_covers_the_view_within_the_budget_and_its_cells_are_square(x, y, w, h, budget):
    west, south, east, north, nx, ny = snap_view(x, y, x + w, y + h, budget)
    inside = (max(x, -WORLD_M), max(y, -WORLD_M), min(x + w, WORLD_M), min(y + h, WORLD_M))
    assert west <= inside[0] + 1e-6 and south <= inside[1] + 1e-6
    assert east >= inside[2] - 1e-6 and north >= inside[3] - 1e-6
    assert 0 < nx * ny <= budget
    assert (east - west) / nx == pytest.approx((north - south) / ny, rel=1e-9)


def test_browsers_that_differ_by_some_pixels_share_a_grid():
    grids = {snap_view(578_000 + d, 5.65e6, 1_247_000 + 2 * d, 6.17e6) for d in range(0, 3000, 300)}
    assert len(grids) <= 2


@pytest.mark.parametrize("view", [(0, 0, 0, 10), (0, 0, math.nan, 10), (0, 10, 10, 0), (3e7, 0, 4e7, 1e6)])
def test_a_view_without_area_is_refused_by_name(view):
    with pytest.raises(ValueError, match="view"):
        snap_view(*view)


def test_equal_wishes_are_equal_specs():
    a, b = (FieldSpec(0, 0, 1e5, 1e5, 64, 64, layers=("field",)) for _ in range(2))
    assert a == b and hash(a) == hash(b)
    west, south, east, north = a.bounds_deg
    assert (
        west == south == 0 and east == pytest.approx(0.898315, abs=1e-6) and north == pytest.approx(0.898279, abs=1e-6)
    )
