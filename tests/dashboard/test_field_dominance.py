"""Dominance on the map alone: the picture agrees with `engine.rf.dominance`, names stay text, the link keeps it all."""

import numpy as np
import pytest

from dashboard.components.field_controls import FieldControls
from dashboard.components.field_dominance import CONTESTED, dominance_html, palette, place_html
from dashboard.components.field_map import FieldMap
from dashboard.components.wanted import field_spec
from dashboard.share import from_query, to_query
from dashboard.state import ViewState


@pytest.fixture(scope="module")
def contest(picture):
    return picture(contest="ab", group_by="ab", group_a="e0000 e0001 e0002", layers=("field",))


def test_the_picture_is_the_dominance_that_the_file_has(contest):
    file = contest.to_dataset()
    signed = np.clip(file["dominance_db"].to_numpy(), -30, 30)
    level = contest.dominance.levels.astype(float)
    np.testing.assert_allclose((level - 1) / 254 * 60 - 30, signed, atol=60 / 254 / 2 + 1e-3)
    np.testing.assert_allclose(file["group_power_dbm"], contest.dominance.power_dbm, atol=1e-3)
    margin = file["margin_db"].to_numpy()
    cells = (margin < 3.0).mean()
    assert contest.dominance.contested_share == pytest.approx(cells, abs=0.02)
    assert sum(contest.dominance.share) + contest.dominance.contested_share == pytest.approx(1.0)


def test_it_is_drawn_told_and_taken_away(contest, frame):
    map_ = FieldMap(ViewState(contest="ab"))
    map_.draw(contest)
    layer = map_.dominance
    np.testing.assert_array_equal(layer.source.data["image"][0], contest.dominance.levels)
    assert layer.bar.visible and layer.panel.visible and "km²" in layer.panel.object
    s = contest.spec
    html = place_html(contest, 0.5 * (s.west_m + s.east_m), 0.5 * (s.south_m + s.north_m))
    power = contest.dominance.power_dbm[:, s.ny // 2, s.nx // 2]
    assert all(f"{value:.2f} dBm" in html for value in power)
    map_.draw(frame)
    assert len(layer.source.data["image"]) == 0 and not layer.bar.visible and not layer.panel.visible


def test_names_from_data_are_text(picture):
    frame = picture(ids=["x", "y"], payload={"emitter_kind": "<b>k</b>"}, contest="server")
    html = dominance_html(frame.dominance, "server", 3.0)
    assert "<b>k" not in html and "&lt;b&gt;k" in html


def test_white_is_what_is_contested_and_blue_is_a():
    colours = palette("ab", 3.0)
    delta = (np.arange(256) - 1) / 254 * 60 - 30
    assert len(colours) == 256 and all(colours[k] == CONTESTED for k in range(1, 256) if abs(delta[k]) < 3.0)
    assert colours[255] == "#08519c" and colours[1] == "#a50f15"


def test_a_link_keeps_it_and_other_pictures_share_their_frames():
    state = ViewState(contest="ab", group_a="swr*", group_b="ship", contested_db=5.0)
    other = ViewState()
    link = dict(pair.split("=", 1) for pair in to_query(state).replace("%2A", "*").split("&"))
    assert from_query(link, other) == []
    assert (other.contest, other.group_a, other.group_b, other.contested_db) == ("ab", "swr*", "ship", 5.0)
    view = (0.0, 0.0, 4e5, 3e5)
    assert field_spec(state, view, None) == field_spec(other, view, None)
    assert field_spec(ViewState(group_a="x"), view, None) == field_spec(ViewState(), view, None)


def test_only_widgets_that_mean_something_are_shown():
    state = ViewState()
    widgets = FieldControls(state).widgets
    assert not widgets["group_a"].visible and not widgets["score_signal"].visible
    state.contest = "score"
    assert widgets["score_signal"].visible and widgets["group_by"].visible and not widgets["group_a"].visible
    state.group_by = "ab"
    assert widgets["group_a"].visible and widgets["group_b"].visible
