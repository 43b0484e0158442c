"""Heat maps of arrays: what is sent, at what place, in which colours; zoom and limits that stay."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from bokeh.document import Document
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dashboard.components.array_controls import ArrayControls
from dashboard.components.array_levels import (
    COLOURS,
    MINUS_INF,
    NOT_A_NUMBER,
    PLUS_INF,
    Scale,
    levels,
    palette,
    scale_for,
    ticks,
)
from dashboard.components.array_ranges import LinkedRanges
from dashboard.components.array_section import CrossSection, Histogram, sections
from dashboard.components.array_source import ArraySource
from dashboard.components.array_view import ArrayView, SharedLimits
from dashboard.theme import THEMES


@pytest.fixture
def field():
    values = np.random.default_rng(2).normal(size=(1200, 1600))
    values[10, 20], values[30, 40], values[31, 41] = np.nan, np.inf, -np.inf
    return values


def rest(view, left, bottom, right, top, wide=500, high=400):
    """The browser says that the view has come to rest."""
    view.ranges.viewport.data = {"v": [left, bottom, right, top, wide, high]}


def test_the_whole_is_averaged_and_single_cells_are_sent_as_they_are(field):
    view = ArrayView(field)
    assert view.picture.attrs["how"] == "averaged"
    assert view.status.startswith("means of")
    assert "1 NaN (grey)" in view.status
    rest(view, 14.5, 4.5, 44.5, 34.5)
    assert view.picture.attrs["how"] == "exact"
    sent = view.data["detail"].data
    place = [sent[name][0] for name in ("x", "y", "dw", "dh")]
    x0, y0 = round(place[0] + 0.5), round(place[1] + 0.5)
    values = sent["value"][0]
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, field[y0 : y0 + values.shape[0], x0 : x0 + values.shape[1]])
    assert sent["image"][0].dtype == np.uint8
    assert sent["image"][0][10 - y0, 20 - x0] == NOT_A_NUMBER
    assert sent["image"][0][30 - y0, 40 - x0] == PLUS_INF
    assert sent["image"][0][31 - y0, 41 - x0] == MINUS_INF


def test_a_pan_within_what_is_there_asks_for_nothing(field):
    asked = []

    class Counting(ArraySource):
        def view(self, *arguments, **more):
            asked.append(arguments)
            return super().view(*arguments, **more)

    view = ArrayView(Counting(field))
    rest(view, 100, 100, 160, 140)
    before = len(asked)
    rest(view, 101, 101, 150, 135)
    rest(view, 9000, 9000, 9100, 9100)
    assert len(asked) == before


def test_zoom_scale_and_limits_stay_when_the_source_is_exchanged(field):
    view = ArrayView(field, scale="equalised")
    rest(view, 100, 100, 160, 140)
    view.param.update(limits=(-1.0, 1.0), limits_from="fixed")
    view.source = field + 1
    assert view.ranges.view == (100, 100, 160, 140)
    assert view.picture.attrs["how"] == "exact"
    assert (view.drawn_with.low, view.drawn_with.high, view.drawn_with.kind) == (-1.0, 1.0, "equalised")
    view.source = field[:50, :60]
    assert view.ranges.view == (-0.5, -0.5, 59.5, 49.5), "another extent is shown whole"
    rest(view, 0, 0, 10, 10)
    view.exchange(ArraySource(field[:80, :60]))
    assert view.ranges.view == (0, 0, 10, 10), "unless it is the same thing, grown"


def test_linked_views_move_together_and_share_their_limits(field):
    ranges, shared = LinkedRanges(), SharedLimits()
    one = ArrayView(field, ranges=ranges, shared=shared, limits_from="shared")
    other = ArrayView(10 * field, ranges=ranges, shared=shared, limits_from="shared")
    assert one.figure.x_range is other.figure.x_range
    assert (one.drawn_with.low, one.drawn_with.high) == (other.drawn_with.low, other.drawn_with.high)
    assert one.drawn_with.high > 10, "both pictures fit in"
    rest(one, 100, 100, 160, 140)
    assert one.picture.attrs["bounds"] == other.picture.attrs["bounds"]
    other.close()
    assert one.drawn_with.high < 10


def test_axes_that_run_downwards_put_the_picture_the_right_way_up():
    data = xr.DataArray(np.arange(12.0).reshape(3, 4), {"y": [30.0, 20.0, 10.0], "x": [0.0, 1, 2, 3]}, ("y", "x"),
                        attrs={"units": "K"})  # fmt: skip
    view = ArrayView(data)
    np.testing.assert_array_equal(view.picture.values, data.values[::-1])
    np.testing.assert_array_equal(view.picture.y, [10, 20, 30])
    assert view.picture.attrs["bounds"] == (-0.5, 5.0, 3.5, 35.0)
    assert view.bar.title.text.endswith("(K)")


def test_legend_and_axes_are_plain_text_whatever_the_data_says(field):
    data = xr.DataArray(np.ones((2, 2)), dims=("<b>", "$$x$$"), attrs={"long_name": "$$\\alpha$$", "units": "<i>"})
    view = ArrayView(data, scale="equalised")
    assert type(view.bar.title).__name__ == type(view.figure.xaxis[0].axis_label).__name__ == "PlainText"
    view.error = "<script>"
    assert "<script>" not in view._caption.object


def test_the_colour_bar_says_the_scale_and_the_theme_changes_in_place(field):
    view = ArrayView(abs(field))
    for scale, said in (("logarithmic", "logarithmic"), ("equalised", "histogram-equalised")):
        view.scale = scale
        assert said in view.bar.title.text
        assert len(view.bar.ticker.ticks) == len(view.bar.major_label_overrides) >= 3
    view.theme = "dark"
    assert view.mapper.palette == palette("sequential", "dark")
    assert view.figure.background_fill_color == THEMES["dark"].surface


def test_a_source_that_fails_says_why_and_the_next_one_is_shown(field):
    class Broken:
        bounds, key = (0.0, 0.0, 1.0, 1.0), 0

        def view(self, *_, **__):
            raise OSError("the disk is <gone>")

    view = ArrayView(Broken())
    assert view.error == "the disk is <gone>"
    assert "&lt;gone&gt;" in view._caption.object
    view.source = field
    assert view.error == ""


def test_everything_can_be_drawn_in_a_document_and_controls_follow(field):
    view = ArrayView(field)
    controls, section, histogram = ArrayControls(view), CrossSection(view), Histogram(view)
    rest(view, 0, 0, 30, 20)
    section.point = (12.2, 7.9)
    np.testing.assert_array_equal(section.data["row"].data["value"], view.picture.values[8])
    np.testing.assert_array_equal(section.data["column"].data["value"], view.picture.values[:, 12])
    assert sum(histogram.data.data["top"]) == np.isfinite(view.picture.values).sum()
    assert sections(view.picture, -99.0, 0.0) is None
    controls.limits_from.value = "fixed"
    controls.high.value = 2.5
    assert view.limits[1] == 2.5
    view.fit_limits()
    assert controls.high.value == view.limits[1] == view.picture.where(np.isfinite(view.picture)).max()
    document = Document()
    for part in (view, controls, section, histogram):
        document.add_root(part.__panel__().get_root(document))


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6)))
def test_levels_never_fall_as_numbers_rise(values):
    for kind in ("linear", "logarithmic", "equalised"):
        scale = scale_for(values, kind, None)
        ordered = levels(np.sort(values), scale).astype(int)
        assert (np.diff(ordered) >= 0).all()
        assert ordered.max() < COLOURS
        assert all(-1e-6 <= at <= COLOURS + 1e-6 for at in ticks(scale))


def test_zero_is_in_the_middle_of_a_diverging_map_and_both_ends_of_an_angle_are_one():
    scale = scale_for(np.array([-1.0, 3.0]), "linear", None, "diverging")
    assert palette("diverging", "light")[levels(np.array([0.0]), scale)[0]] == "#f7f7f7"
    angle = scale_for(np.array([0.0]), "linear", None, "cyclic")
    ends = levels(np.array([-np.pi, np.pi]), angle)
    assert ends[0] == ends[1]
    first, last = (
        np.array([int(palette("cyclic", "light")[k][i : i + 2], 16) for i in (1, 3, 5)]) for k in (0, COLOURS - 1)
    )
    assert abs(first - last).max() < 6


def test_an_equalised_scale_gives_every_colour_as_many_cells():
    values = np.random.default_rng(0).lognormal(0, 3, 50_000)
    counts = np.bincount(levels(values, scale_for(values, "equalised", None)), minlength=COLOURS)[:COLOURS]
    assert counts.min() > 0.8 * values.size / COLOURS
    assert counts.max() < 1.2 * values.size / COLOURS


def test_ticks_stand_where_their_numbers_are_coloured():
    for scale in (Scale("linear", -3.0, 7.0), Scale("logarithmic", 1e-3, 1e4), Scale("linear", 0.001, 0.0013)):
        for at, said in ticks(scale).items():
            level = int(levels(np.array([float(said.replace("−", "-"))]), scale)[0])
            assert abs(level - at) <= 1.0
