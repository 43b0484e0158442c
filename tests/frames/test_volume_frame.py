"""Volumes and planes: what their bytes say is what the engine computes, and only changes are sent."""

import zlib

import numpy as np
import pytest

from engine.events.schema import FIX, event_table
from engine.frames.volume_frame import compute_volume_frame, placed_table, spec_grid
from engine.frames.volume_planes import compute_planes_frame, slice_grid
from engine.frames.volume_spec import DETAILS, PlanesSpec, VolumeSpec, snap_region
from engine.geo import geodetic_to_ecef
from engine.rf.field import power_field
from engine.rf.tracks import TrackFold

BOX = (6.0, 45.5, 10.0, 48.0)
LINE = (46.0, 6.5, 47.5, 9.5)


def tracks(moment_s, n=12):
    fold = TrackFold()
    for k in range(4):
        north = 46.0 + 0.1 * np.arange(n) + 0.002 * k
        fold.apply(event_table(
            np.full(n, (100 + k) * 1_000_000), FIX, [f"a{i}" for i in range(n)], "test", lat=north,
            lon=7.0 + 0.17 * (np.arange(n) * 5 % n), alt_m=3000.0 + 500.0 * np.arange(n),
            payload=['{"speed_m_s": 222.0, "track_deg": 0.0, "vertical_rate_m_s": 0.0}'] * n,
        ))  # fmt: skip
    return fold.snapshot(moment_s)


def brute_dbm(table, lat, lon, alt_m, floor_m=0.0):
    """Free-space sum by hand, dBm, for points in sight of all emitters."""
    x, y, z = geodetic_to_ecef(np.asarray(lat), np.asarray(lon), np.asarray(alt_m))
    total = np.zeros(np.shape(x))
    for row in table.itertuples():
        ex, ey, ez = geodetic_to_ecef(row.lat, row.lon, row.alt_m)
        d2 = (x - ex) ** 2 + (y - ey) ** 2 + (z - ez) ** 2 + floor_m**2
        total += 10 ** (row.eirp_dbm / 10) * (299_792_458.0 / (4 * np.pi * row.freq_hz)) ** 2 / d2
    return 10 * np.log10(total)


def dbm(levels, spec):
    return spec.low_dbm + (levels.astype(float) - 1) * (spec.high_dbm - spec.low_dbm) / 254


@pytest.mark.parametrize("detail", ["16", "64x16"])
def test_both_volumes_are_sums_of_true_slant_ranges_within_the_stated_step(detail):
    spec = VolumeSpec(*BOX, detail=detail, horizon=False)
    frame = compute_volume_frame(spec, 103.5, tracks(103.5))
    grid = spec_grid(spec)
    cells, levels = DETAILS[detail]
    assert frame.levels.shape == (2, levels, cells, cells)
    lat, lon, alt = grid.lat[None, :, None], grid.lon[None, None, :], grid.level_alt_m[:, None, None]
    lat, lon, alt = np.broadcast_arrays(lat, lon, alt)
    for part, where in enumerate((frame.now, frame.ahead)):
        expected = brute_dbm(placed_table(frame.tracks, where), lat, lon, alt, grid.floor_m)
        inside = (expected > spec.low_dbm) & (expected < spec.high_dbm)
        assert inside.mean() > 0.5
        error = np.abs(dbm(frame.levels[part], spec) - expected)[inside]
        assert error.max() < frame.quantisation_db + 0.02
    assert (frame.levels[0] != frame.levels[1]).any(), "they fly"


def test_a_difference_makes_the_new_frame_of_the_old_one_and_costs_less():
    spec = VolumeSpec(*BOX, detail="32")
    old, new = (compute_volume_frame(spec, t, tracks(t)) for t in (103.5, 104.5))
    whole = np.frombuffer(zlib.decompress(old.packed()), np.uint8).reshape(old.levels.shape)
    np.testing.assert_array_equal(whole, old.levels)
    change = np.frombuffer(zlib.decompress(new.packed(old)), np.uint8).reshape(new.levels.shape)
    np.testing.assert_array_equal(np.bitwise_xor(whole, change), new.levels)
    assert len(new.packed(old)) < len(new.packed())
    assert new.packed(old) is new.packed(old), "made once for all viewers"
    other = compute_volume_frame(VolumeSpec(*BOX, detail="16"), 104.5, tracks(104.5))
    with pytest.raises(ValueError, match="shapes"):
        new.packed(other)


def test_a_slice_and_a_section_are_exact_sums_at_their_points():
    spec = PlanesSpec(VolumeSpec(*BOX), 7500.0, LINE)
    frame = compute_planes_frame(spec, 103.5, tracks(103.5))
    table, v = placed_table(frame.tracks, frame.now), spec.volume
    grid = slice_grid(spec)
    expected = power_field(table, grid, method="direct").power_dbm.to_numpy()
    inside = (expected > v.low_dbm) & (expected < v.high_dbm)
    assert np.abs(dbm(frame.slice[0], v) - expected)[inside].max() < frame.quantisation_db + 0.02
    lat, lon = frame.along["lat"].to_numpy(), frame.along["lon"].to_numpy()
    heights = frame.along["alt"].to_numpy()
    assert (lat[0], lon[0], lat[-1], lon[-1]) == pytest.approx(LINE)
    assert heights[0] == 0 and heights[-1] == 20_000
    # Above the horizon of all of them the sum by hand needs no mask.
    high = heights > 5_000
    by_hand = brute_dbm(table, *np.broadcast_arrays(lat[None, :], lon[None, :], heights[high][:, None]))
    inside = (by_hand > v.low_dbm) & (by_hand < v.high_dbm)
    assert np.abs(dbm(frame.section[0][high], v) - by_hand)[inside].max() < frame.quantisation_db + 0.02
    assert frame.at(lat[40], lon[40], 9000.0)[0] == pytest.approx(brute_dbm(table, lat[40], lon[40], 9000.0), abs=1e-3)


def test_without_emitters_there_is_a_place_and_no_field():
    empty = TrackFold().snapshot(100.0)
    assert not compute_volume_frame(VolumeSpec(*BOX, detail="16"), 100.0, empty).levels.any()
    frame = compute_planes_frame(PlanesSpec(VolumeSpec(*BOX), 0.0, LINE), 100.0, empty)
    assert not frame.slice.any() and np.isnan(frame.at(46.0, 7.0, 0.0)).all()


def test_the_stored_volume_says_what_rounding_cost_it(tmp_path):
    frame = compute_volume_frame(VolumeSpec(*BOX, detail="16"), 103.5, tracks(103.5))
    full, stored = frame.to_dataset(), frame.to_storage()
    for name in ("power_dbm", "forecast_power_dbm"):
        assert stored[name].dtype == np.float16
        worst = float(np.abs(stored[name].astype("f8") - full[name].astype("f8")).max())
        assert 0 < worst <= stored[name].attrs["error_db"] <= 0.04


def test_nearly_equal_windows_share_a_region_and_a_wrong_detail_is_named():
    view = (700e3, 5.7e6, 1200e3, 6.1e6)
    assert snap_region(*view) == snap_region(*(v + 200.0 for v in view))
    west, south, east, north = snap_region(*view)
    assert west <= 6.29 and east >= 10.77 and south < north
    with pytest.raises(ValueError, match="detail is '7'"):
        VolumeSpec(*BOX, detail="7")
