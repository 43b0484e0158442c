"""Columns of the map: emitters where pyproj puts them, ellipses as the covariance has them, and never too many."""

import numpy as np
import pytest
from pyproj import Proj, Transformer
from scipy.stats import chi2

from dashboard.components.emitter_columns import (
    EMPTY_EMITTERS,
    EMPTY_SELECTION,
    MAX_LABELS,
    emitter_columns,
    in_view,
    selection_columns,
)
from engine.frames.field_frame import MAX_MARKERS

EVERYWHERE = (-2.0e7, -2.0e7, 2.0e7, 2.0e7)
MERCATOR = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)


def test_markers_stand_where_the_map_projection_puts_them(frame):
    columns = emitter_columns(frame, EVERYWHERE)
    for where, x, y in ((frame.now, "x", "y"), (frame.ahead, "px", "py")):
        expected = MERCATOR.transform(where.lon, where.lat)
        np.testing.assert_allclose(columns[x], expected[0], atol=0.5)  # float32 at 6 000 km
        np.testing.assert_allclose(columns[y], expected[1], atol=0.5)


def test_numbers_are_float32_and_all_columns_have_one_length(frame, empty_frame):
    columns = emitter_columns(frame, EVERYWHERE)
    assert {len(values) for values in columns.values()} == {12}
    assert {v.dtype for v in columns.values() if isinstance(v, np.ndarray)} == {np.dtype(np.float32)}
    assert columns.keys() == EMPTY_EMITTERS.keys()
    assert emitter_columns(empty_frame, EVERYWHERE) == EMPTY_EMITTERS


def test_arrows_point_along_the_track(frame):
    columns = emitter_columns(frame, EVERYWHERE)
    assert set(columns["marker"]) == {"triangle"}
    step_x, step_y = columns["px"] - columns["x"], columns["py"] - columns["y"]
    # Bokeh turns counter-clockwise, and its triangle points up.
    pointed = np.column_stack([-np.sin(columns["angle"]), np.cos(columns["angle"])])
    along = (pointed * np.column_stack([step_x, step_y])).sum(axis=1) / np.hypot(step_x, step_y)
    assert (along > np.cos(np.radians(5.0))).all()


def test_who_stands_still_is_a_dot(picture):
    frame = picture(2, payload={"speed_m_s": 0.0, "track_deg": 0.0}, steps=1)
    assert emitter_columns(frame, EVERYWHERE)["marker"] == ["circle", "circle"]


def test_only_what_is_in_view_is_sent(frame):
    x, _ = MERCATOR.transform(frame.now.lon, frame.now.lat)
    view = (float(np.median(x)), 5.0e6, float(np.median(x)) + 1.0e6, 7.0e6)
    inside = in_view(frame, view)
    assert 0 < len(inside) < 12
    margin = 0.02 * (view[2] - view[0])  # half of a marker at the edge is seen
    np.testing.assert_array_equal(inside, np.flatnonzero(x > view[0] - margin))
    assert emitter_columns(frame, view)["id"] == frame.tracks.table["id"].to_numpy()[inside].tolist()
    assert emitter_columns(frame, (1.0e7, 1.0e7, 1.1e7, 1.1e7))["id"] == []


def test_a_crowd_is_a_picture_in_which_everybody_stands_and_the_selected_one_keeps_its_marker(picture):
    few, many = picture(MAX_MARKERS, steps=1, layers=()), picture(MAX_MARKERS + 1, steps=1, layers=())
    assert few.crowd is None and len(emitter_columns(few, EVERYWHERE)["id"]) == MAX_MARKERS
    assert emitter_columns(many, EVERYWHERE)["id"] == []
    assert emitter_columns(many, EVERYWHERE, "e0007")["id"] == ["e0007"]
    x, y = MERCATOR.transform(many.now.lon, many.now.lat)
    s, (ny, nx) = many.spec, many.crowd.shape
    column, row = (x - s.west_m) / (s.east_m - s.west_m) * nx, (y - s.south_m) / (s.north_m - s.south_m) * ny
    assert (many.crowd[row.astype(int), column.astype(int)] == 255).all()
    assert np.count_nonzero(many.crowd) <= 4 * (MAX_MARKERS + 1)


def test_with_many_in_view_names_are_left_to_the_hover(picture):
    few, many = picture(MAX_LABELS, steps=1, layers=()), picture(MAX_LABELS + 1, steps=1, layers=())
    assert emitter_columns(few, EVERYWHERE)["label"] == [f"CALL{i}" for i in range(MAX_LABELS)]
    columns = emitter_columns(many, EVERYWHERE)
    assert set(columns["label"]) == {""} and columns["name"][80] == "CALL80"


def test_without_a_call_sign_the_identity_is_the_name(picture):
    for nothing in (None, ""):
        columns = emitter_columns(picture(2, payload={"callsign": nothing}, steps=1, layers=()), EVERYWHERE)
        assert columns["name"] == ["e0000", "e0001"]


def test_assumed_power_says_so(picture):
    assert emitter_columns(picture(1, steps=1), EVERYWHERE)["assumed"] == ["(assumed)"]
    told = picture(1, payload={"eirp_dbm": 50.0, "freq_hz": 1.09e9}, steps=1)
    columns = emitter_columns(told, EVERYWHERE)
    assert columns["assumed"] == [""] and columns["eirp"].tolist() == [50.0]


@pytest.mark.parametrize("i", range(12))
def test_the_ellipse_is_the_one_of_the_covariance(frame, i):
    columns = selection_columns(frame, f"e{i:04d}")["ellipse"]
    a = frame.ahead
    values, vectors = np.linalg.eigh(
        [[a.var_east_m2[i], a.cov_east_north_m2[i]], [a.cov_east_north_m2[i], a.var_north_m2[i]]]
    )
    half_axes = np.sqrt(chi2.ppf(0.9, 2) * values)
    lat, lon = a.lat[i], a.lon[i]
    # Metres on the map per metre on the ground, as pyproj has them.
    factors = Proj("EPSG:3857").get_factors(lon, lat)
    scale = np.sqrt(factors.meridional_scale * factors.parallel_scale)
    x0, y0 = MERCATOR.transform(lon, lat)
    np.testing.assert_allclose([columns["x"][0], columns["y"][0]], [x0, y0], atol=1e-3)
    np.testing.assert_allclose([columns["height"][0], columns["width"][0]], 2 * half_axes * scale, rtol=5e-3)
    major = vectors[:, 1]
    drawn = np.array([np.cos(columns["angle"][0]), np.sin(columns["angle"][0])])
    assert abs(drawn @ major) == pytest.approx(1.0, abs=1e-9)


def test_the_track_runs_through_the_fixes_to_now_and_ahead(frame):
    track = selection_columns(frame, "e0004")["track"]
    ring = frame.tracks.ring[4]
    lat = [*ring[:, 1], frame.now.lat[4], frame.ahead.lat[4]]
    lon = [*ring[:, 2], frame.now.lon[4], frame.ahead.lon[4]]
    x, y = MERCATOR.transform(lon, lat)
    np.testing.assert_allclose(track["x"], x, atol=1e-3)
    np.testing.assert_allclose(track["y"], y, atol=1e-3)


def test_no_selection_or_an_unknown_one_draws_nothing(frame, empty_frame):
    for shown, selected in ((None, "e0001"), (frame, ""), (frame, "nobody"), (empty_frame, "e0001")):
        assert selection_columns(shown, selected) is EMPTY_SELECTION
