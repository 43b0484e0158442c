"""The HoloViews twin: the same place as the live map, the same colours, and an element like any other."""

import holoviews as hv
import numpy as np
import pandas as pd
import pytest

from dashboard.components.emitter_columns import emitter_columns
from dashboard.components.field_map import FieldMap
from dashboard.components.field_plot import field_plot
from dashboard.state import ViewState
from engine.frames.field_frame import frame_grid
from engine.rf.field import power_field
from engine.rf.grid import Grid

EVERYWHERE = (-2.0e7, -2.0e7, 2.0e7, 2.0e7)


@pytest.fixture(scope="module")
def plot(frame):
    return field_plot(frame.to_dataset(), (-110.0, -50.0))


def images(plot):
    return list(plot.traverse(lambda element: element, [hv.Image]))


def points(plot):
    (found,) = plot.traverse(lambda element: element, [hv.Points])
    return found


def test_emitters_stand_where_the_live_map_has_them(plot, frame):
    live, twin = emitter_columns(frame, EVERYWHERE), points(plot)
    np.testing.assert_allclose(twin.dimension_values("x"), live["x"], atol=0.5)
    np.testing.assert_allclose(twin.dimension_values("y"), live["y"], atol=0.5)
    assert twin.dimension_values("emitter").tolist() == live["id"]


def test_the_image_lies_where_the_live_map_has_it(plot, frame):
    map_ = FieldMap(ViewState())
    map_.draw(frame)
    data = map_.sources["field"].data
    for image in images(plot):
        left, bottom, right, top = image.bounds.lbrt()
        np.testing.assert_allclose([left, bottom], [data["x"][0], data["y"][0]], atol=1.0)
        np.testing.assert_allclose([right - left, top - bottom], [data["dw"][0], data["dh"][0]], rtol=1e-6)


def test_every_pixel_is_the_field_at_its_place(plot, frame):
    now, ahead = images(plot)
    for image, where in ((now, frame.now), (ahead, frame.ahead)):
        emitters = frame.tracks.emitters().assign(lat=where.lat, lon=where.lon, alt_m=where.alt_m)
        exact = power_field(emitters, frame_grid(frame.spec), horizon=False)["power_dbm"]
        values = image.dimension_values(2, flat=False)
        np.testing.assert_allclose(values, exact, atol=1e-3)
        assert image.vdims[0].unit == "dBm"
    row, column = np.unravel_index(np.argmax(now.dimension_values(2, flat=False)), (frame.spec.ny, frame.spec.nx))
    x, y = now.dimension_values("x", expanded=False)[column], now.dimension_values("y", expanded=False)[row]
    markers = points(plot)
    cell = (frame.spec.east_m - frame.spec.west_m) / frame.spec.nx
    away = np.hypot(markers.dimension_values("x") - x, markers.dimension_values("y") - y).min()
    assert away < 2.0 * cell


def test_a_field_without_emitters_and_on_even_degrees_is_placed_right_too():
    mast = pd.DataFrame({"lat": [60.0], "lon": [8.0], "alt_m": [100.0], "eirp_dbm": [30.0], "freq_hz": [1e9]})
    field = power_field(mast, Grid.from_bounds(3.0, 50.0, 13.0, 70.0, shape=(200, 50)), horizon=False)
    (image,) = images(field_plot(field))
    values = image.dimension_values(2, flat=False)
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    # Rows even in degrees are not even on the map: unless moved, the mast would appear 2.5° too far north.
    y = image.dimension_values("y", expanded=False)[row]
    lat = np.degrees(np.arctan(np.sinh(y / 6_378_137.0)))
    lon = np.degrees(image.dimension_values("x", expanded=False)[column] / 6_378_137.0)
    assert lat == pytest.approx(60.0, abs=0.15) and lon == pytest.approx(8.0, abs=0.2)


@pytest.mark.parametrize(
    ("options", "n_images"),
    [
        ({}, 2),
        ({"layers": ("field",)}, 1),
        ({"layers": ("forecast",)}, 1),
        ({"layers": ()}, 0),
        ({"model": "inverse_square"}, 2),
        ({"model": "inverse_square", "layers": ("forecast",)}, 1),
    ],
)
def test_the_layers_of_the_frame_are_the_layers_of_the_plot(picture, options, n_images):
    plot = field_plot(picture(4, **options).to_dataset())
    assert len(images(plot)) == n_images
    hv.render(plot)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_drawn_in_both_themes_with_the_limits_given(frame, theme):
    plot = field_plot(frame.to_dataset(), (-100.0, -60.0), theme)
    figure = hv.render(plot)
    mappers = [r.glyph.color_mapper for r in figure.renderers if type(r.glyph).__name__ == "Image"]
    assert {(m.low, m.high) for m in mappers} == {(-100.0, -60.0)}
    assert figure.xaxis[0].formatter.dimension == "lon" and figure.yaxis[0].formatter.dimension == "lat"


def test_a_picture_of_nothing_is_a_map(empty_frame):
    plot = field_plot(empty_frame.to_dataset())
    assert images(plot) == [] and len(points(plot)) == 0
    hv.render(plot)


def test_it_composes_like_any_other_element(plot):
    line = hv.Curve([(7e5, 5.8e6), (9e5, 5.9e6)], "x", "y")
    assert len(plot * line) == len(plot) + 1
    assert isinstance(plot + line, hv.Layout)
    part = plot[8e5:9e5, 5.8e6:5.9e6]
    left, bottom, right, top = images(part)[0].bounds.lbrt()
    assert left >= 7.9e5 and right <= 9.1e5 and bottom >= 5.7e6 and top <= 6.0e6
    hv.render(plot * line)
    assert images(plot)[0].reduce(["x"], np.max).dimension_values(1).size > 0
    assert len(hv.HoloMap({0: plot, 1: plot}, kdims="moment")) == 2
