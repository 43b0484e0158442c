"""Cards, lists and evidence of the Drift page: what they say is what the frame says, and data stays text."""

from html import escape
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.components.drift_inspector import DriftInspector, alert_html, events_html, numbers_html, series_html
from dashboard.components.drift_map import DriftMap, heat_columns, place_columns
from dashboard.components.drift_state import LISTS, SHOWN, WINDOWS, DriftState
from dashboard.components.drift_words import METRICS, MONITORS, RATES, metric_word
from dashboard.components.feed import CLUSTER_COLUMNS, PLACE_COLUMNS, Feed, alert_rows, cluster_rows, place_rows
from dashboard.components.multiples import Multiples, card, spans
from dashboard.share import from_query, to_query
from engine.drift import DriftGate, Stability
from engine.drift.metric import ALERT_CLEARED, ALERT_RAISED
from engine.events.schema import event_table
from engine.frames.drift_frame import LOCATED, DriftFrame, DriftSpec, Series
from engine.geo import inverse_web_mercator
from engine.monitors import AlertBoard, MonitorStatus, standard_monitors
from engine.monitors.cluster_numbers import NUMBERS

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
AT = 1_700_000_000


def series(**more):
    given = {
        "monitor": "timing", "entity": "c1", "metric": "c1", "label": "", "unit": "", "state": "quiet", "value": 0.4,
        "threshold": 0.5, "n": 9, "window_s": 300.0, "trend_per_h": 0.0, "since_s": None,
        "responsible": "a 0.700; b 0.3",
        "time_s": np.array([AT, AT + 60.0]), "values": np.array([0.3, 0.4]), "raised": np.zeros(2, bool),
        "change": np.array([False, True]),
    }  # fmt: skip
    return Series(**{**given, **more})


def alerts(*, drill="", cleared=False, entity="c1", lat=None, lon=None, monitor="timing", **more):
    board = AlertBoard()
    payload = orjson.dumps(
        {"monitor": monitor, "metric": entity, "alert": f"{monitor}/{entity}/1", "raised_s": AT, "value": 0.9,
         "unit": "",
         "threshold": 0.5, "n": 12, "window_s": 300.0, "drill": drill, "parts": "beat 0.900", "responsible": "h1 0.6",
         "seqs": "3 4", "first_seq": 1, "last_seq": 9, "label": "SIMULTANEOUS", **more}
    ).decode()  # fmt: skip
    board.apply(event_table([AT * 1_000_000], ALERT_RAISED, [entity], "t", lat=[lat], lon=[lon], payload=[payload]))
    if cleared:
        board.apply(event_table([(AT + 9) * 1_000_000], ALERT_CLEARED, [entity], "t", payload=[payload]))
    return board


def frame(*found, monitors=(), board=None, clusters=None):
    empty = pd.DataFrame(
        columns=["cluster", "state", "raised", "top", "value", "unit", "threshold", "label", "n", "spark"]
    )
    table = (board or AlertBoard()).table(AT + 60.0)
    return DriftFrame(
        DriftSpec(), AT + 60.0, 9, tuple(found), table, empty if clusters is None else clusters, tuple(monitors)
    )


def test_every_monitor_and_every_number_has_a_name_and_a_definition():
    assert set(standard_monitors()) <= set(MONITORS)
    assert {*DriftGate().state(), *Stability().state()} <= set(METRICS)
    assert all(word.title and word.means.endswith(".") for word in (*MONITORS.values(), *METRICS.values()))
    assert metric_word("timing", "c1") is MONITORS["timing"]


def test_a_card_says_value_threshold_state_and_where_the_alarm_stood():
    found = card(series(raised=np.array([False, True]), state="raised", value=0.6))
    assert (found["state"], found["value"], found["limit"]) == ("raised", "0.6", "alarm at 0.5")
    assert found["t"] == [AT, AT + 60] and found["v"] == [0.3, 0.4] and found["changes"] == [AT + 60]
    assert "c1" in found["note"]


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_spans_cover_exactly_the_points_where_the_alarm_stood(raised):
    times = np.arange(len(raised), dtype=float)
    found = spans(series(time_s=times, values=times, raised=np.array(raised), change=np.zeros(len(raised), bool)))
    inside = [any(a <= t < b or a == t == b for a, b in found) for t in times]
    # The last point of a stretch that lasts to the end lies on its edge.
    assert inside[:-1] == raised[:-1]
    assert all(b >= a for a, b in found)


def test_cards_with_an_alarm_come_first_and_silent_ones_last():
    component = Multiples()
    component.draw(
        frame(series(), series(entity="c2", monitor="silence", state="raised"),
              series(monitor="gate", state="insufficient"))
    )  # fmt: skip
    assert [c["state"] for c in component.cards] == ["raised", "quiet", "insufficient"]
    assert component.span == [AT + 60.0 - 3600.0, AT + 60.0]
    component.draw(frame(series(), series(entity="c2", monitor="silence")), "silence")
    assert [c["monitor"] for c in component.cards] == ["silence"]


def test_a_monitor_that_is_out_is_shown_as_failed_with_its_reason():
    component = Multiples()
    component.draw(frame(monitors=[MonitorStatus("timing", "failed", AT, "ValueError: no", 2)]))
    assert [(c["state"], c["note"], c["limit"]) for c in component.cards] == [("failed", "ValueError: no", "restart 2")]


def test_a_browser_can_only_pick_what_is_there():
    component, picked = Multiples(), []
    component.on_series = picked.append
    component.draw(frame(series()))
    for message in ({"do": "series", "key": "timing/c1"}, {"do": "series", "key": "x"}, {"do": "rm"}, 7, {"key": []}):
        component._handle_msg(message)
    assert picked == ["timing/c1"]
    feed, acted = Feed(), []
    feed.on_act = lambda do, key: acted.append((do, key))
    feed.rows = [{"key": "a"}]
    for message in ({"do": "ack", "key": "a"}, {"do": "ack", "key": "b"}, {"do": "row", "key": None}, "ack"):
        feed._handle_msg(message)
    assert acted == [("ack", "a")]


def test_rows_of_the_feed_say_state_drill_and_who_has_seen_it():
    board = alerts(drill="drill:x:1")
    row = alert_rows(board.table(AT + 1.0))[0]
    assert (row["css"], row["seen"], row["mark"], row["value_text"]) == ("raised", False, "drill · SIMULTANEOUS", "0.9")
    board.apply(board.acknowledge("timing/c1/1", "ana", now_s=AT + 2.0))
    assert alert_rows(board.table(AT + 3.0))[0]["by"] == "ana"
    board.apply(board.mute("timing", "c1", 60.0, now_s=AT + 3.0))
    assert alert_rows(board.table(AT + 4.0))[0]["css"] == "muted"
    assert alert_rows(board.table(AT + 99.0))[0]["css"] == "raised"
    assert alert_rows(alerts(cleared=True).table(AT + 60.0))[0]["state"].startswith("cleared")


def test_rows_of_clusters_have_a_value_for_every_column():
    clusters = pd.DataFrame(
        {"cluster": ["c1"], "state": ["quiet"], "raised": [""], "top": ["timing"], "value": [0.4], "unit": [""],
         "threshold": [0.5], "label": [""], "n": [9], "spark": [[0.5, 0.8]]}
    )  # fmt: skip
    numbers = dict.fromkeys(NUMBERS, 0.5) | {"lat": 47.0, "lon": 8.25, "asn_diversity": np.nan}
    (row,) = cluster_rows(clusters.assign(**numbers, activity_spark=[[2.0, 4.0]]))
    assert all(column["name"] in row for column in CLUSTER_COLUMNS)
    assert (row["centroid"], row["activity_spark"], row["entropy_text"]) == ("47.000 8.250", [0.5, 1.0], "0.5")
    assert (row["asn_diversity"], row["asn_diversity_text"]) == (None, "–")
    located = pd.DataFrame([["phantom", HOSTILE, 47.0, 8.0, "raised", 6.0, "", 5.0, "", 9, [1.2]]], columns=LOCATED)
    (row,) = place_rows(located)
    assert all(column["name"] in row for column in PLACE_COLUMNS) and row["place"] == HOSTILE
    assert (row["key"], row["where"]) == (f"phantom/{HOSTILE}", "47.000 8.000")
    assert HOSTILE not in numbers_html({"cluster": HOSTILE, "entropy": 1.5, "lat": None})
    assert "Shannon" in numbers_html({"cluster": "c", "entropy": 1.5}) and not numbers_html({"cluster": "c"})


@pytest.mark.parametrize("monitor", ["timing", HOSTILE])
def test_names_from_data_stay_text_in_the_evidence(monitor):
    board = alerts(
        entity=HOSTILE,
        monitor=monitor,
        label=HOSTILE,
        parts=f"{HOSTILE} 0.5",
        responsible=f"{HOSTILE} 0.5",
        drill=HOSTILE,
    )
    board.apply(board.acknowledge(f"{monitor}/{HOSTILE}/1", HOSTILE, HOSTILE, now_s=AT + 2.0))
    alert = board.table(AT + 3.0).iloc[0].to_dict()
    events = event_table([0], HOSTILE, [HOSTILE], "t")
    events = events.set_column(0, "seq", [[3]])
    html = (
        alert_html(alert, "light")
        + events_html(events)
        + series_html(series(entity=HOSTILE, responsible=HOSTILE), "dark")
    )
    assert "<img" not in html and "&lt;img" in html


def test_the_evidence_has_the_numbers_the_window_the_parts_and_the_responsible():
    html = alert_html(alerts().table(AT + 60.0).iloc[0].to_dict(), "light")
    for part in ("0.9", "12 events in 5 min", "1 to 9", "beat", "h1", "2023-11-14 22:13:20 UTC"):
        assert part in html
    assert "hypergraph?select=h1" in html and "field?select=h1" in html


def test_answers_are_offered_where_they_make_sense():
    inspector = DriftInspector(DriftState(alert="timing/c1/1"))
    board = alerts()
    inspector.describe(frame(board=board), board.table(AT + 60.0).iloc[0].to_dict(), None)
    assert inspector.answers.visible and inspector.buttons["ack"].visible and not inspector.buttons["unmute"].visible
    inspector.state.alert = ""
    inspector.describe(frame(board=board), None, None)
    assert not inspector.answers.visible and "stand" in inspector.text.object


def test_markers_lie_where_the_alerts_are():
    x_y = place_columns(alerts(lat=47.0, lon=8.0, drill="d").table(AT + 1.0), "light")
    lat, lon = inverse_web_mercator(x_y["x"], x_y["y"])
    np.testing.assert_allclose((lat[0], lon[0]), (47.0, 8.0), atol=1e-9)
    assert x_y["mark"] == ["diamond"] and x_y["label"] == ["Timing"]
    assert place_columns(alerts().table(AT + 1.0), "dark")["key"] == []


def test_the_heat_is_the_score_at_the_cluster_and_fades():
    scores = pd.DataFrame({"lat": [0.0], "lon": [0.0], "score": [0.6]})
    image = heat_columns(scores, (-200e3, -200e3, 200e3, 200e3))["image"][0]
    assert image.max() == pytest.approx(0.6, abs=0.01)
    assert np.unravel_index(image.argmax(), image.shape)[0] in (35, 36)
    assert image[0, 0] < 1e-3
    assert heat_columns(scores[:0], (0, 0, 1, 1))["image"] == []


def test_a_click_on_the_map_selects_the_alert():
    map_ = DriftMap(DriftState())
    map_.draw(alerts(lat=47.0, lon=8.0).table(AT + 1.0), pd.DataFrame({"lat": [], "lon": [], "score": []}))
    map_.places.selected.indices = [0]
    assert map_.state.alert == "timing/c1/1"


@given(
    st.sampled_from(list(WINDOWS.values())), st.sampled_from(list(SHOWN.values())),
    st.sampled_from(list(LISTS.values())),
    st.booleans(), st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=30),
)  # fmt: skip
def test_a_link_brings_back_the_whole_state(window, shown, listed, drills, text):
    state = DriftState(
        window_s=window, shown=shown, listed=listed, drills=drills, series=text, alert=text, monitor=text
    )
    copy = DriftState()
    assert from_query(dict(parse_qsl(to_query(state), keep_blank_values=True)), copy) == []
    assert {k: v for k, v in copy.param.values().items() if k != "name"} == {
        k: v for k, v in state.param.values().items() if k != "name"
    }


def test_the_rates_on_the_page_are_those_of_the_tables():
    lines = (Path(__file__).parents[2] / "docs" / "engine-drift.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    for name, rate in RATES.items():
        label = {"kill_chain": "kill chain,", "kill_chain_fast": "kill chain, fast"}.get(name, name)
        number = rate.delay.rsplit(" ", 1)[0]
        found = [r for r in rows if label in r and rate.false_alarms_per_h in r and number in r]
        assert found, f"{name}: {rate} is in no table"
    assert set(RATES) <= {*METRICS, *MONITORS}
    assert escape(RATES["timing"].false_alarms_per_h) in series_html(series(), "light")
