"""The drift frame says what the results and alerts of the log say, of the window and no more."""

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events.schema import event_table
from engine.frames.drift_frame import MOST_POINTS, DriftSpec, _folded, _kept, compute_drift_frame
from engine.monitors import MEASURED, AlertBoard, ClusterBoard, MonitorBoard
from engine.monitors.vocabulary import RESULT

START = 1_700_000_000


def results(monitor, entity, values, threshold=1.0, state=None, change=(), step_s=60, **more):
    n = len(values)
    payload = [
        orjson.dumps(
            {
                "monitor": monitor, "metric": entity, "value": float(v), "unit": "x", "threshold": threshold,
                "state": state or ("raised" if v > threshold else "quiet"), "n": 7, "window_s": 300.0,
                "trend_per_h": 0.5, "change": i in change, "responsible": "a 0.700; b 0.300", **more,
            }
        ).decode()
        for i, v in enumerate(values)
    ]  # fmt: skip
    times = (START + step_s * np.arange(n)) * 1_000_000
    return event_table(times, RESULT, [entity] * n, f"drift.{monitor}", payload=payload)


def frame_of(*tables, window_s=3600.0, at_s=START + 3600.0):
    board = MonitorBoard()
    for table in tables:
        board.apply(table)
    return compute_drift_frame(DriftSpec(window_s), at_s, 5, board, AlertBoard())


def test_metrics_of_the_whole_graph_have_a_series_each():
    frame = frame_of(results("gate", "reinforcement_gini", [0.2, 0.8]), results("gate", "tool_skew", [0.1, 0.2]))
    gini = frame.find("gate", "reinforcement_gini")
    assert gini.values.tolist() == [0.2, 0.8]
    assert gini.time_s.tolist() == [START, START + 60]
    assert (gini.unit, gini.threshold, gini.state, gini.n) == ("x", 1.0, "quiet", 7)
    assert {s.entity for s in frame.series} == {"reinforcement_gini", "tool_skew"}


def test_of_a_monitor_of_clusters_the_one_that_stands_out_is_shown():
    frame = frame_of(
        results("timing", "calm", [0.1] * 3), results("timing", "near", [0.9] * 3),
        results("timing", "over", [1.2] * 3), results("silence", "calm", [0.1] * 3),
    )  # fmt: skip
    assert [(s.monitor, s.entity) for s in frame.series] == [("silence", "calm"), ("timing", "over")]
    timing = frame.find("timing", "over")
    assert (timing.others, timing.others_raised) == (2, 0)
    assert timing.raised.all()
    table = frame.clusters.set_index("cluster")
    assert table.index.tolist() == ["over", "near", "calm"]
    assert table.loc["over", ["state", "raised", "top"]].tolist() == ["raised", "timing", "timing"]
    assert table.loc["near", "spark"] == [0.9] * 3


def test_a_monitor_whose_clusters_have_no_number_is_shown_by_its_summary():
    frame = frame_of(results("timing", "raised", [0.0], state="insufficient"))
    assert [(s.entity, s.state) for s in frame.series] == [("raised", "insufficient")]
    assert frame.clusters.empty


def test_what_is_older_than_the_window_is_not_shown():
    values = np.arange(120.0)
    frame = frame_of(results("gate", "tool_skew", values, threshold=1e9), window_s=900.0, at_s=START + 119 * 60)
    found = frame.find("gate", "tool_skew")
    assert found.time_s.min() >= START + 119 * 60 - 900
    assert found.values.tolist() == values[-len(found.values) :].tolist()
    assert frame_of(results("gate", "tool_skew", [1.0]), window_s=900.0).series == ()


def test_nothing_gives_an_empty_frame_with_the_same_tables():
    frame = frame_of()
    assert (frame.series, len(frame.alerts), len(frame.clusters), len(frame.table())) == ((), 0, 0, 0)
    assert frame.to_dataset().attrs["seq"] == 5


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=700), st.data())
def test_a_long_series_keeps_its_peaks_its_newest_value_and_every_mark(values, data):
    values = np.array(values)
    at = _kept(values)
    assert len(at) <= MOST_POINTS + 1
    assert values[at].max() == values.max()
    assert at[-1] == len(values) - 1
    marks = np.zeros(len(values), bool)
    marks[data.draw(st.lists(st.integers(0, len(values) - 1), max_size=4))] = True
    assert _folded(marks, at).any() == marks.any()


def test_table_and_dataset_hold_the_same_numbers_with_units():
    frame = frame_of(results("gate", "tool_skew", [0.1, 1.5], change={1}), results("timing", "c", [0.5]))
    table, dataset = frame.table(), frame.to_dataset()
    assert table.groupby("monitor")["value"].apply(list).to_dict() == {"gate": [0.1, 1.5], "timing": [0.5]}
    assert table.loc[table["monitor"] == "gate", "change"].tolist() == [False, True]
    first = dataset["series_00"]
    assert first.attrs["units"] == "x" and first.attrs["monitor"] == "gate"
    assert pd.Timestamp(first["time_00"].to_numpy()[0]) == pd.Timestamp(START, unit="s")


def test_places_are_those_of_clusters_with_an_intent():
    board = MonitorBoard()
    board.apply(results("intent", "c", [0.5]).set_column(6, "lat", [[47.0]]).set_column(7, "lon", [[8.0]]))
    board.apply(results("intent", "nowhere", [0.4]))
    frame = compute_drift_frame(DriftSpec(), START + 60.0, 1, board, AlertBoard())
    assert frame.places.to_dict("list") == {"lat": [47.0], "lon": [8.0], "score": [0.5]}


def test_places_that_are_watched_are_listed_those_that_stand_out_first():
    calm = results("exchange", "DE-CIX", [0.5]).set_column(6, "lat", [[50.1]]).set_column(7, "lon", [[8.7]])
    frame = frame_of(calm, results("phantom", "place 45.00 6.00", [1.5]), results("timing", "c", [0.2]))
    found = frame.located
    assert found["place"].tolist() == ["place 45.00 6.00", "DE-CIX"]
    assert found["state"].tolist() == ["raised", "quiet"] and found["spark"].tolist() == [[1.5], [0.5]]
    assert found["lat"].tolist()[1] == 50.1 and np.isnan(found["lat"].tolist()[0])


def test_a_cluster_has_what_monitors_say_and_its_numbers_and_those_without_a_monitor_come_last():
    monitors, numbers = MonitorBoard(), ClusterBoard()
    monitors.apply(results("timing", "b", [0.9]))
    for k, events in enumerate((3.0, 5.0)):
        told = [[f'{{"node_count": 2, "activity": {events}, "entropy": 1.0}}'] * 2]
        at = [(START + 60 * k) * 1_000_000] * 2
        numbers.apply(event_table(at, MEASURED, ["a", "b"], "t", lat=[47.0, None], lon=[8.0, None], payload=told[0]))
    found = compute_drift_frame(DriftSpec(), START + 90.0, 1, monitors, AlertBoard(), numbers).clusters
    assert found["cluster"].tolist() == ["b", "a"] and found["top"].tolist() == ["timing", ""]
    assert found["activity_spark"].tolist() == [[3.0, 5.0]] * 2 and found["spark"].tolist() == [[0.9], []]
    assert found["node_count"].tolist() == [2.0, 2.0] and found["asn_diversity"].isna().all()
    assert found["lat"].tolist()[1] == 47.0 and found["state"].tolist() == ["quiet", "quiet"]


@pytest.mark.parametrize("window_s", [900.0, 43_200.0])
def test_equal_wishes_are_equal_specs(window_s):
    assert DriftSpec(window_s) == DriftSpec(window_s, None) and hash(DriftSpec(window_s)) == hash(DriftSpec(window_s))
