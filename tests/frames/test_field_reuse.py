"""Cells known already: a view put together from older ones is the view computed whole."""

from dataclasses import replace

import numpy as np
import pytest

from engine.events.schema import FIX, event_table
from engine.frames.field_frame import compute_field_frame, frame_of
from engine.frames.field_reuse import KnownCells
from engine.frames.field_scene import FieldScene
from engine.frames.spec import FieldSpec
from engine.rf.tracks import TrackFold

CELL_M = 2048.0


def view(i, j, nx, ny, cell_m=CELL_M, **other):
    return FieldSpec(i * cell_m, j * cell_m, (i + nx) * cell_m, (j + ny) * cell_m, nx, ny, **other)


def numbered(asked):
    """A cell's value is its place on the lattice, whatever the view."""

    def compute(part):
        asked.append(part.nx * part.ny)
        x = round(part.west_m / CELL_M) + np.arange(part.nx)
        y = round(part.south_m / CELL_M) + np.arange(part.ny)
        return (y[:, None] * 10_000 + x).astype(np.float64)

    return compute


@pytest.mark.parametrize("step", [(16, 0), (-16, 0), (0, 16), (0, -16), (32, 16), (-16, 32), (-48, -48), (0, 0)])
def test_a_moved_view_computes_what_came_into_view_and_nothing_else(step):
    asked = []
    known, compute = KnownCells(), numbered(asked)
    first, moved = view(160, 320, 128, 96), view(160 + step[0], 320 + step[1], 128, 96)
    known.raster("now", first, compute)
    asked.clear()
    got = known.raster("now", moved, compute)
    assert sum(asked) == 128 * 96 - (128 - abs(step[0])) * (96 - abs(step[1]))
    np.testing.assert_array_equal(got, numbered([])(moved))


def test_views_of_all_shapes_over_a_long_walk_are_right_and_few_are_kept():
    rng, asked = np.random.default_rng(5), []
    known, compute = KnownCells(), numbered(asked)
    i = j = 4000
    for _ in range(60):
        i, j = i + int(rng.integers(-40, 41)), j + int(rng.integers(-40, 41))
        spec = view(i, j, int(rng.integers(1, 9)) * 16, int(rng.integers(1, 9)) * 16)
        np.testing.assert_array_equal(known.raster("now", spec, compute), numbered([])(spec))
    assert len(known._rasters["now"]) <= 4


def test_another_layer_zoom_or_lattice_knows_nothing():
    asked = []
    known, compute = KnownCells(), numbered(asked)
    spec = view(160, 320, 64, 64)
    known.raster("now", spec, compute)
    for layer, other in (
        ("ahead", spec),
        ("now", view(80, 160, 64, 64, 2 * CELL_M)),
        ("now", replace(spec, west_m=spec.west_m + 0.5 * CELL_M, east_m=spec.east_m + 0.5 * CELL_M)),
        ("now", view(160 + 60, 320, 64, 64)),  # too little in common
    ):
        asked.clear()
        known.raster(layer, other, compute)
        assert asked == [64 * 64]


@pytest.mark.parametrize("model", ["free_space", "two_ray", "inverse_square"])
@pytest.mark.parametrize("horizon", [True, False])
def test_a_panned_field_is_the_field_computed_whole(model, horizon):
    rng, n = np.random.default_rng(11), 1200
    ids = [f"e{k}" for k in range(n)]
    fold = TrackFold()
    for t in (0, 10):
        # Over a place that the views cross, east of Greenwich at 18 to 20 degrees north.
        events = event_table(
            np.full(n, t * 1_000_000), FIX, ids, "test",
            lat=rng.uniform(17, 21, n), lon=rng.uniform(2, 7, n), alt_m=rng.uniform(100, 11_000, n),
        )  # fmt: skip
        fold.apply(events)
    tracks, none = fold.snapshot(10.0), np.empty((0, 5))
    options = {"model": model, "horizon": horizon, "low_dbm": -110.0, "high_dbm": -40.0}
    if model == "inverse_square":
        options |= {"low_dbm": -100.0, "high_dbm": -30.0}
    scene = FieldScene(10.0, tracks, lambda _: none)
    for i, j in ((160, 1024), (192, 1024), (176, 1040), (128, 1008)):
        spec = view(i, j, 112, 96, **options)
        shared, alone = frame_of(spec, scene), compute_field_frame(spec, 10.0, tracks, none)
        for name in ("field", "forecast"):
            theirs, ours = alone.levels[name].astype(int), shared.levels[name].astype(int)
            assert np.ptp(theirs) > 20
            # 0.01 dB is a thirtieth of a step: a rounding may fall the other way, no more.
            assert np.abs(theirs - ours).max() <= 1
            assert (theirs != ours).mean() < 0.06
