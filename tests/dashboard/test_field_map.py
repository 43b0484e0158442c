"""The live map alone, without a server: it shows the frame, sends only what changed, and listens."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from bokeh.document import Document
from bokeh.models import WMTSTileSource

from dashboard.components.field_map import FieldMap
from dashboard.state import ViewState
from dashboard.theme import THEMES, field_colours, trail_colours
from engine.frames.field_frame import MAX_MARKERS, frame_grid
from engine.rf.field import power_field


@pytest.fixture
def state():
    return ViewState()


@pytest.fixture
def map_(state):
    return FieldMap(state)


def sent_by(figure, act):
    """What a browser would be sent while something is done."""
    document, events = Document(), []
    document.add_root(figure)
    try:
        document.on_change(events.append)
        act()
    finally:
        document.remove_root(figure)
        document.clear()
    return [(event.model, event.attr) for event in events if hasattr(event, "attr")]


def test_it_can_be_built_and_shown_before_there_is_a_frame(map_):
    assert map_.frame is None
    assert all(len(source.data["image"]) == 0 for source in map_.sources.values())
    assert map_.__panel__().object is map_.base.figure
    Document().add_root(map_.base.figure)


def test_a_drawn_frame_is_in_the_sources_at_its_place(map_, frame):
    map_.draw(frame)
    for name, levels in frame.levels.items():
        data = map_.sources[name].data
        assert data["image"][0].dtype == np.uint8
        np.testing.assert_array_equal(data["image"][0], levels)
        x, y, wide, high = (data[column][0] for column in ("x", "y", "dw", "dh"))
        s = frame.spec
        np.testing.assert_allclose([x, y, x + wide, y + high], [s.west_m, s.south_m, s.east_m, s.north_m])
    assert list(map_.emitters.data["id"]) == frame.tracks.table["id"].tolist()


@pytest.mark.parametrize("model", ["free_space", "inverse_square"])
def test_the_bytes_are_right_to_half_a_step(picture, model):
    frame = picture(model=model, low_dbm=-120.0 if model == "free_space" else -110.0, high_dbm=-60.0)
    spec = frame.spec
    emitters = frame.tracks.emitters().assign(lat=frame.now.lat, lon=frame.now.lon, alt_m=frame.now.alt_m)
    exact = power_field(emitters, frame_grid(spec), model=model, horizon=False, dtype="float64")
    power = exact["power_dbm" if model == "free_space" else "intensity"].to_numpy()
    power = power if model == "free_space" else 10.0 * np.log10(power)
    level = frame.levels["field"].astype(float)
    shown = spec.low_dbm + (level - 1.0) * (spec.high_dbm - spec.low_dbm) / 254.0
    between = (level > 0) & (level < 255)
    assert between.mean() > 0.5
    assert np.abs(shown - power)[between].max() <= frame.quantisation_db + 1e-3
    assert (power[level == 0] < spec.low_dbm + 1e-3).all()
    assert (power[level == 255] > spec.high_dbm - frame.quantisation_db - 1e-3).all()


def test_the_predicted_layer_is_the_field_of_the_predicted_positions(picture):
    frame = picture(forecast_s=120.0)
    later = pd.DataFrame(
        {"lat": frame.ahead.lat, "lon": frame.ahead.lon, "alt_m": frame.ahead.alt_m,
         "eirp_dbm": frame.tracks.table["eirp_dbm"], "freq_hz": frame.tracks.table["freq_hz"]}
    )  # fmt: skip
    power = power_field(later, frame_grid(frame.spec), horizon=False)["power_dbm"].to_numpy()
    shown = -110.0 + (frame.levels["forecast"] - 1.0) * 60.0 / 254.0
    between = (frame.levels["forecast"] > 0) & (frame.levels["forecast"] < 255)
    assert between.any() and np.abs(shown - power)[between].max() <= frame.quantisation_db + 1e-3
    assert not np.array_equal(frame.levels["forecast"], frame.levels["field"])


def test_an_equal_frame_sends_nothing(map_, state, picture):
    map_.draw(picture())
    state.selected = "e0001"
    again = picture()
    assert sent_by(map_.base.figure, lambda: map_.draw(again)) == []
    before = {name: source.data for name, source in map_.sources.items()}
    map_.draw(again)
    assert all(map_.sources[name].data is data for name, data in before.items())


def test_only_what_differs_is_sent_and_trails_seldom(map_, frame):
    map_.draw(frame)
    field, trails = frame.levels["field"].copy(), frame.levels["trails"].copy()
    field[0, 0] += 1
    trails[0, 0] += 1

    def after(seconds):
        levels = {**frame.levels, "field": field, "trails": trails}
        return dataclasses.replace(frame, moment_s=frame.moment_s + seconds, levels=levels)

    soon = [model for model, _ in sent_by(map_.base.figure, lambda: map_.draw(after(1.0)))]
    assert soon == [map_.sources["field"]]
    later = [model for model, _ in sent_by(map_.base.figure, lambda: map_.draw(after(6.0)))]
    assert later == [map_.sources["trails"]]


def test_the_dots_of_a_crowd_lie_over_the_trails_in_one_picture_and_go_with_it(map_, state, picture):
    many = picture(MAX_MARKERS + 1)
    few = picture(5, moment_s=many.moment_s)

    def shown():
        return map_.sources["trails"].data["image"][0]

    map_.draw(many)
    dots, trails = many.crowd > 0, many.levels["trails"]
    np.testing.assert_array_equal(shown() == 255, dots)
    np.testing.assert_array_equal(shown()[~dots], np.minimum(trails, 254)[~dots])
    assert list(map_.mappers["trails"].palette) == [*trail_colours("light")[:255], THEMES["light"].emitter]
    state.theme = "dark"
    assert map_.mappers["trails"].palette[255] == THEMES["dark"].emitter
    state.show_trails = False
    assert map_.images["trails"].visible and set(np.unique(shown())) == {0, 255}
    state.show_emitters = False
    assert not map_.images["trails"].visible
    state.show_trails = True
    assert map_.images["trails"].visible
    np.testing.assert_array_equal(shown(), trails)
    assert list(map_.mappers["trails"].palette) == trail_colours("dark")
    state.show_emitters = True
    map_.draw(few)
    np.testing.assert_array_equal(shown(), few.levels["trails"])
    assert list(map_.mappers["trails"].palette) == trail_colours("dark")


def test_a_frame_without_emitters_empties_the_map(map_, frame, picture):
    map_.draw(frame)
    assert map_.sources["field"].data["image"][0].any() and len(map_.emitters.data["x"])
    map_.draw(picture(0, moment_s=frame.moment_s + 60.0))
    assert not any(source.data["image"][0].any() for source in map_.sources.values())
    assert len(map_.emitters.data["x"]) == 0


def test_emitters_whose_positions_are_all_too_old_are_no_reason_to_fail(map_, picture):
    frame = picture(3, payload={"position_time_s": 1.0}, steps=1)
    map_.draw(frame)
    assert 0.0 <= map_.images["forecast"].glyph.global_alpha <= 1.0


def test_the_less_certain_the_prediction_the_more_transparent_it_is(map_, picture):
    alphas = []
    for ahead in (5.0, 60.0, 300.0):
        map_.draw(picture(forecast_s=ahead))
        alphas.append(map_.images["forecast"].glyph.global_alpha)
    assert 1.0 >= alphas[0] > alphas[1] > alphas[2] >= 0.35


def test_layers_can_be_switched(map_, state):
    state.param.update(show_field=False, show_trails=False, show_emitters=False)
    assert [map_.images[name].visible for name in ("field", "forecast", "trails")] == [False, True, False]
    assert not any(map_._glyphs[name].visible for name in ("markers", "labels", "ahead"))
    state.param.update(show_field=True, show_emitters=True)
    assert map_.images["field"].visible and map_._glyphs["ahead"].visible


def test_the_theme_recolours_what_is_there(map_, state, frame):
    map_.draw(frame)
    state.theme = "dark"
    assert list(map_.mappers["field"].palette) == field_colours("dark")
    assert map_.base.figure.background_fill_color == THEMES["dark"].map_background
    assert FieldMap(ViewState(theme="dark")).mappers["field"].palette == map_.mappers["field"].palette


def test_the_colour_bar_says_the_limits_and_the_unit(map_, state):
    state.limits_dbm = (-100.0, -40.0)
    mapper = map_.bars["forecast"].color_mapper
    assert (mapper.low, mapper.high) == (-100.0, -40.0)
    ticks = map_.bars["forecast"].ticker.ticks
    assert min(ticks) >= -100.0 and max(ticks) <= -40.0 and 3 <= len(ticks) <= 10
    assert "dBm" in map_.bars["forecast"].title
    state.model = "inverse_square"
    assert "m⁻²" in map_.bars["forecast"].title


def test_one_bar_scale_holds_for_both_fields(map_, state):
    state.limits_dbm = (-70.0, -69.0)
    scales = {(bar.color_mapper.low, bar.color_mapper.high) for bar in map_.bars.values()}
    assert scales == {(-70.0, -69.0)}


def test_a_tap_selects_and_the_selection_is_marked(map_, state, frame):
    map_.draw(frame)
    map_.emitters.selected.indices = [3]
    assert state.selected == "e0003"
    assert len(map_.ellipse.data["x"]) == 1 and len(map_.selection.data["x"]) == 5 + 2
    state.selected = "e0007"
    assert map_.emitters.selected.indices == [7]
    map_.emitters.selected.indices = []
    assert state.selected == "" and len(map_.ellipse.data["x"]) == 0


def test_the_selection_stays_with_its_emitter_when_others_come_and_go(map_, state, picture):
    map_.draw(picture(ids=["b", "d"]))
    state.selected = "d"
    map_.draw(picture(ids=["a", "b", "c", "d"]))
    assert state.selected == "d" and map_.emitters.selected.indices == [3]
    map_.draw(picture(ids=["a", "b"]))
    assert state.selected == "d" and map_.emitters.selected.indices == []


def test_the_view_of_the_browser_arrives_in_the_state_in_degrees(map_, state):
    half = 6_378_137.0 * np.pi
    map_.base.viewport.data = {"v": [0.0, 0.0, half / 2, half / 4]}
    assert (state.west, state.south) == (0.0, 0.0) and state.east == pytest.approx(90.0)
    assert state.north == pytest.approx(np.degrees(np.arctan(np.sinh(np.pi / 4))))


@pytest.mark.parametrize("bad", [[], [1.0], [0, 0, 0, 0], [1, 1, 0, 0], [float("nan")] * 4, [0, 0, float("inf"), 1]])
def test_a_view_that_is_none_is_ignored(map_, state, bad):
    before = state.param.values()
    map_.base.viewport.data = {"v": bad}
    assert state.param.values() == before


def test_online_tiles_are_there_only_while_they_are_wanted(map_, state):
    def tiles():
        return [m for m in map_.base.figure.references() if isinstance(m, WMTSTileSource)]

    assert tiles() == []
    state.show_tiles = True
    assert len(tiles()) == 1
    state.show_tiles = False
    assert tiles() == []
