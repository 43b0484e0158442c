"""The fold of positions into tracks: independent of batching, of repeats, and of being live or replayed."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events.log import EventLog
from engine.events.schema import DRILL_ENDED, FIX, empty_events, event_table
from engine.ingest.tracks_read import read_tracks
from engine.rf.field import power_field
from engine.rf.forecast import forecast
from engine.rf.grid import Grid
from engine.rf.tracks import (
    DEFAULT_SILENCE_S,
    HISTORY_S,
    LAT,
    LON,
    MOVING_M_S,
    PAST_S,
    RING_FIELDS,
    SPEED,
    TIME,
    TrackFold,
    fixes_of,
)


def fixes(ids, times_s, lat=47.0, lon=8.0, payload=None, alt_m=None):
    n = len(ids)
    return event_table(
        np.round(np.asarray(times_s, dtype=float) * 1e6).astype(np.int64), FIX, list(ids), "test",
        lat=np.broadcast_to(lat, n), lon=np.broadcast_to(lon, n), alt_m=alt_m, payload=payload,
    )  # fmt: skip


def folded(*tables, **options):
    fold = TrackFold(**options)
    for table in tables:
        fold.apply(table)
    return fold


def assert_same(a, b, *, states=True):
    np.testing.assert_array_equal(a.ring, b.ring)
    np.testing.assert_array_equal(a.count, b.count)
    pd.testing.assert_frame_equal(a.table, b.table)
    for ours, theirs in zip(a.states[:4], b.states[:4], strict=True) if states else ():
        np.testing.assert_array_equal(ours, theirs)  # what the filter knows, to the last bit


def json_of(row):
    return json.dumps({key: value for key, value in row.items() if value is not None})


payloads = st.fixed_dictionaries(
    {
        "speed_m_s": st.sampled_from([None, 0.0, 200.0]),
        "position_time_s": st.sampled_from([None, 5.0, 6.0]),
        "callsign": st.sampled_from([None, "SWR1", "SWR2"]),
        "emitter_kind": st.sampled_from([None, "drone"]),
        "eirp_dbm": st.sampled_from([None, 20.0]),
        "confidence": st.sampled_from([None, 0.0, 0.5]),
    }
).map(json_of)
streams = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.integers(0, 2), payloads), min_size=1, max_size=25
)


def stream_table(stream):
    ids, times, places, payload = (list(column) for column in zip(*stream, strict=True))
    return fixes(ids, times, lat=47.0 + 0.01 * np.array(places), payload=payload)


@given(streams, st.lists(st.integers(0, 25), max_size=6))
def test_it_does_not_matter_where_the_stream_is_cut_into_batches(stream, cuts):
    table = stream_table(stream)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parts = [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    whole, cut = folded(table), folded(*parts)
    assert_same(whole.snapshot(41.0), cut.snapshot(41.0))
    assert (whole.folded, whole.not_newer, whole.repeated) == (cut.folded, cut.not_newer, cut.repeated)


def by_hand(table):
    """What the rings must hold, one event at a time, in words."""
    heard, kept = {}, {}
    for name, row in zip(table["entity"].to_pylist(), fixes_of(table), strict=True):
        if row[TIME] <= heard.get(name, -math.inf):
            continue
        heard[name] = row[TIME]
        if name in kept:
            newest = kept[name][-1]
            if row[-1] == newest[-1]:
                continue
            if row[LAT] == newest[LAT] and row[LON] == newest[LON] and row[SPEED] > MOVING_M_S:
                continue
        kept.setdefault(name, []).append(row)
    return {name: np.array(rows[-5:]) for name, rows in kept.items()}


@given(streams)
def test_the_compiled_rings_hold_what_a_slow_fold_holds(stream):
    table = stream_table(stream)
    tracks, expected = folded(table).snapshot(41.0), by_hand(table)
    assert tracks.table["id"].tolist() == sorted(expected)
    for i, name in enumerate(tracks.table["id"]):
        assert tracks.count[i] == len(expected[name])
        np.testing.assert_array_equal(tracks.ring[i, -tracks.count[i] :], expected[name])
        assert np.isnan(tracks.ring[i, : 5 - tracks.count[i]]).all()


@given(streams, st.data())
def test_events_that_come_again_change_nothing(stream, data):
    table = stream_table(stream)
    fold = folded(table)
    before = fold.snapshot(41.0)
    again = sorted(data.draw(st.sets(st.integers(0, len(stream) - 1), min_size=1)))
    fold.apply(table.take(again))
    assert_same(fold.snapshot(41.0), before)


def test_the_last_five_fixes_are_kept_of_each_emitter():
    times = np.arange(0.0, 20.0)
    fold = folded(fixes(["a"] * 20, times, lat=47 + 0.001 * times), fixes(["b"] * 3, times[:3], lon=8 + times[:3]))
    tracks = fold.snapshot(20.0)
    assert tracks.count.tolist() == [5, 3]
    assert tracks.ring[0, :, TIME].tolist() == [15.0, 16.0, 17.0, 18.0, 19.0]
    assert tracks.fixes().groupby("id").size().to_dict() == {"a": 5, "b": 3}
    assert folded(fixes(["a"] * 20, times, lat=47 + times), history=8).snapshot(20.0).count.tolist() == [8]


def test_a_history_that_cannot_give_a_velocity_is_refused():
    with pytest.raises(ValueError, match="history is 1; at least 2"):
        TrackFold(history=1)


@pytest.mark.parametrize("frozen", [{"speed_m_s": 200.0}, {"position_time_s": 4.0}])
def test_a_frozen_position_does_not_push_real_fixes_out(frozen):
    measured = [json_of({"position_time_s": t}) for t in range(5)]
    moving = fixes("aaaaa", range(5), lat=47 + 0.002 * np.arange(5), payload=measured)
    repeats = fixes(["a"] * 40, range(5, 45), lat=47.008, payload=[json_of(frozen)] * 40)
    fold = folded(moving, repeats)
    # the velocities that came with the repeats are heard all the same
    assert_same(fold.snapshot(44.0), folded(moving).snapshot(44.0), states=False)
    assert fold.repeated == 40


def test_an_emitter_that_stands_still_is_not_taken_for_a_frozen_one():
    standing = fixes("aaaa", range(4), payload=['{"speed_m_s": 0.0}'] * 4)
    assert folded(standing).snapshot(4.0).count.tolist() == [4]


def test_an_emitter_unheard_for_a_minute_is_not_shown_and_comes_back_when_heard():
    fold = folded(fixes("ab", [0.0, 50.0]))
    assert fold.snapshot(DEFAULT_SILENCE_S - 0.001).table["id"].tolist() == ["a", "b"]
    assert fold.snapshot(DEFAULT_SILENCE_S).table["id"].tolist() == ["b"]
    fold.apply(fixes("a", [70.0], lat=47.1))
    assert fold.snapshot(71.0).table["id"].tolist() == ["a", "b"]


def test_fixes_older_than_two_minutes_are_not_part_of_the_picture():
    fold = folded(fixes("aaa", [0.0, 100.0, 150.0], lat=[47.0, 47.1, 47.2]))
    assert fold.snapshot(150.0).ring[0, -2:, TIME].tolist() == [100.0, 150.0]
    assert fold.snapshot(150.0).count.tolist() == [2]
    assert fold.snapshot(100.0 + HISTORY_S - 20.0).count.tolist() == [2]
    assert fold.snapshot(150.0 + DEFAULT_SILENCE_S - 1.0).count.tolist() == [2]


def test_no_more_emitters_are_remembered_than_allowed_and_the_longest_silent_go_first():
    fold = TrackFold(max_emitters=10)
    for t in range(50):
        fold.apply(fixes([f"e{t:02d}", f"e{t:02d}"], [t, t + 0.5], lat=[47.0, 47.1]))
    tracks = fold.snapshot(50.0)
    assert tracks.table["id"].tolist() == [f"e{t:02d}" for t in range(40, 50)]
    assert fold.forgotten == 40 and (tracks.count == 2).all()
    assert tracks.ring[:, -1, TIME].tolist() == [t + 0.5 for t in range(40, 50)]
    fold.apply(fixes(["e00"], [51.0]))
    tracks = fold.snapshot(51.0)
    assert tracks.table["id"].tolist() == ["e00", *(f"e{t:02d}" for t in range(41, 50))]
    assert tracks.count.tolist() == [1] + [2] * 9  # who was forgotten begins anew


def test_many_emitters_in_one_batch_each_keep_their_own_track():
    n = 1000
    ids = [f"{i:04d}" for i in range(n)] * 2
    lat = np.tile(np.linspace(-80, 80, n), 2)
    fold = folded(fixes(ids, np.repeat([0.0, 1.0], n), lat=lat, lon=np.repeat([8.0, 8.1], n)))
    tracks = fold.snapshot(1.0)
    assert len(tracks) == n and (tracks.count == 2).all()
    np.testing.assert_allclose(tracks.newest(LAT), np.linspace(-80, 80, n))


# -- what is known besides the position -------------------------------------------------------------


def facts(payload):
    return folded(fixes("a", [0.0], payload=[payload])).snapshot(0.0).table.iloc[0]


def test_radio_parameters_that_nobody_reported_are_defaults_and_marked_as_assumed():
    said = facts('{"eirp_dbm": 33.0, "freq_hz": 2.4e9, "emitter_kind": "drone"}')
    assert (said["eirp_dbm"], said["freq_hz"], bool(said["assumed_radio"])) == (33.0, 2.4e9, False)
    silent = facts(None)
    assert silent["emitter_kind"] == "aircraft" and bool(silent["assumed_radio"])
    assert silent["freq_hz"] == 1.090e9  # ICAO Annex 10 vol. IV: the reply frequency of transponders
    for half in ('{"eirp_dbm": 33.0}', '{"freq_hz": 2.4e9}', '{"eirp_dbm": 33.0, "freq_hz": -1}'):
        assert bool(facts(half)["assumed_radio"])


@pytest.mark.parametrize(
    ("payload", "confidence", "anomaly"),
    [(None, 1.0, 0.0), ('{"confidence": 0.0}', 0.0, 0.0), ('{"confidence": 0, "anomaly_score": 1}', 0.0, 1.0),
     ('{"confidence": 7, "anomaly_score": -3}', 1.0, 0.0), ('{"confidence": null}', 1.0, 0.0)],
)  # fmt: skip
def test_no_confidence_is_not_the_same_as_a_missing_one(payload, confidence, anomaly):
    said = facts(payload)
    assert (said["confidence"], said["anomaly_score"]) == (confidence, anomaly)


def test_a_name_said_once_stays_until_another_is_said():
    table = fixes("aaa", [0, 1, 2], lat=[47.0, 47.1, 47.2], payload=['{"callsign": "SWR1"}', None, "{}"])
    assert folded(table).snapshot(2.0).table["callsign"].tolist() == ["SWR1"]


def test_an_older_event_that_comes_late_does_not_bring_old_facts_back():
    fold = folded(fixes("a", [10.0], payload=['{"callsign": "NEW", "eirp_dbm": 1.0}']))
    fold.apply(fixes("a", [5.0], payload=['{"callsign": "OLD", "eirp_dbm": 2.0}']))
    row = fold.snapshot(10.0).table.iloc[0]
    assert (row["callsign"], row["eirp_dbm"]) == ("NEW", 1.0)


ODD = [
    None, "", " ", "{oops", "[]", "null", '"text"', "17", "{}", "{}\n{}", '{"speed_m_s": "fast"}', '{"callsign": 5}',
    '{"synthetic": "yes"}', '{"freq_hz": 1e999}', '{"eirp_dbm": {"deep": [1]}}', '{"callsign": null}',
    '{"callsign": "a", "callsign": "b"}', '{"emitter_kind": ""}', '{"confidence": true}', '{"recorded_at": []}',
    '{"speed_m_s": 123456789012345678901234567890}', "\x00", '{"callsign": "\\ud800"}',
]  # fmt: skip


def test_no_payload_however_odd_costs_the_position():
    for payload in ODD:
        tracks = folded(fixes("a", [0.0], payload=[payload])).snapshot(0.0)
        assert (len(tracks), tracks.newest(LAT).tolist()) == (1, [47.0]), payload
    together = folded(fixes([str(i) for i in range(len(ODD))], np.zeros(len(ODD)), payload=ODD)).snapshot(0.0)
    assert len(together) == len(ODD)
    assert np.isfinite(together.table[["eirp_dbm", "freq_hz", "confidence"]].to_numpy(dtype=float)).all()


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), min_size=1, max_size=8))
def test_no_text_in_a_payload_raises(texts):
    table = fixes([f"e{i}" for i in range(len(texts))], np.zeros(len(texts)), payload=texts)
    assert len(folded(table).snapshot(0.0)) == len(texts)


def test_events_of_other_kinds_and_without_a_place_only_move_the_count():
    with EventLog(":memory:") as log:
        fold = folded(log.commit(fixes("a", [0.0])))
        before = fold.snapshot(1.0)
        other = event_table([1_000_000, 2_000_000], "alert.raised", ["a", "b"], "test", lat=[1, 2], lon=[1, 2])
        fold.apply(log.commit(other))
        fold.apply(log.commit(event_table([3_000_000], FIX, ["a"], "test", lat=[1.0])))
        after = fold.snapshot(1.0)
    assert_same(before, after)
    assert (before.seq, after.seq, fold.folded) == (1, 4, 4)


def test_nothing_in_nothing_out():
    fold = folded(empty_events())
    tracks = fold.snapshot(0.0)
    assert (len(tracks), tracks.seq, tracks.ring.shape) == (0, 0, (0, 5, len(RING_FIELDS)))
    assert len(tracks.emitters()) == 0 and len(tracks.fixes()) == 0
    assert fixes_of(empty_events()).shape == (0, len(RING_FIELDS))


def test_a_snapshot_is_not_changed_by_what_comes_after_it():
    fold = folded(fixes("a", [0.0]))
    tracks = fold.snapshot(1.0)
    ring = tracks.ring.copy()
    fold.apply(fixes("aaaaa", range(1, 6), lat=48 + 0.1 * np.arange(5), payload=['{"callsign": "X"}'] * 5))
    np.testing.assert_array_equal(tracks.ring, ring)
    assert not isinstance(tracks.table.iloc[0]["callsign"], str)


# -- real traffic -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def swiss(real_data):
    """One hour of it, in order of time."""
    events, _ = read_tracks(real_data("tracks/switzerland.json.gz"))
    start = pa.scalar(pd.Timestamp("2018-08-01T09:00Z").to_pydatetime(), events.schema.field("time").type)
    end = pa.scalar(pd.Timestamp("2018-08-01T10:00Z").to_pydatetime(), events.schema.field("time").type)
    events = events.filter(pc.and_(pc.greater_equal(events["time"], start), pc.less(events["time"], end)))
    return events.take(pc.sort_indices(events["time"])).combine_chunks()


def test_replaying_the_log_shows_every_emitter_as_it_was_shown_live(swiss):
    time_s = swiss["time"].cast(pa.int64()).to_numpy() * 1e-6
    live, done, shown = TrackFold(), 0, 0
    with EventLog(":memory:") as log:
        log.append(swiss)
        for moment in np.arange(time_s[0] + 30.0, time_s[-1], 97.0):
            upto = int(np.searchsorted(time_s, moment, side="right"))
            if upto > done:
                live.apply(swiss.slice(done, upto - done))
                done = upto
            window = (pd.Timestamp(at, unit="s", tz="UTC") for at in (moment - PAST_S, moment))
            replayed = folded(log.between(*window, kinds=[FIX])).snapshot(moment)
            assert_same(live.snapshot(moment), replayed)
            shown += len(replayed)
    assert shown > 500


def test_tables_of_a_snapshot_go_into_field_and_forecast_as_they_are(swiss):
    moment = swiss["time"][-1].as_py().timestamp()
    tracks = folded(swiss).snapshot(moment)
    emitters = tracks.emitters()
    assert len(emitters) > 10 and (emitters["age_s"] < DEFAULT_SILENCE_S).all()
    field = power_field(emitters, Grid.from_bounds(6, 45, 10, 48, shape=(16, 16)), horizon=False)
    assert np.isfinite(field["power_dbm"]).all()
    ahead = forecast(tracks.fixes(), [10.0])
    assert ahead["id"].tolist() == emitters["id"].tolist()
    assert (ahead["n_fixes_used"] <= 5).all()


def test_positions_that_a_real_feed_repeats_are_left_out(real_data):
    events, _ = read_tracks(real_data("tracks/savan.json.gz"))
    events = events.slice(0, 20_000)
    events = events.take(pc.sort_indices(events["time"])).combine_chunks()
    raw = pd.DataFrame({"id": events["entity"].to_pylist()})
    raw[list(RING_FIELDS)] = fixes_of(events)
    fold = folded(events)
    tracks = fold.snapshot(raw["time_s"].max(), silence_s=1e9)
    raw = raw.drop_duplicates(["id", "time_s"])
    same = (raw[["lat", "lon"]] == raw.groupby("id")[["lat", "lon"]].shift()).all(axis=1)
    frozen = same & (raw["speed_m_s"] > MOVING_M_S)
    assert fold.repeated >= frozen.sum() > 100
    for i, name in enumerate(tracks.table["id"]):
        ring = tracks.ring[i, -tracks.count[i] :, [LAT, LON]].T
        expected = raw[~frozen & (raw["id"] == name)].tail(5)
        np.testing.assert_array_equal(ring, expected[["lat", "lon"]].to_numpy())


def test_an_exercise_that_ended_leaves_no_emitter_and_the_others_as_they_were():
    mine, others = TrackFold(), TrackFold()
    real = event_table([0, 1_000_000], FIX, ["a", "a"], "test", lat=[47.0, 47.1], lon=[8.0, 8.0])
    drill = event_table([500_000], FIX, ["drill:x:1/e0"], "test", lat=[46.0], lon=[7.0])
    for fold in (mine, others):
        fold.apply(real)
    mine.apply(drill)
    assert len(mine.snapshot(1.0)) == 2
    mine.apply(event_table([1_000_000], DRILL_ENDED, ["drill:x:1"], "test"))
    left, expected = mine.snapshot(1.0), others.snapshot(1.0)
    assert left.table["id"].tolist() == ["a"]
    np.testing.assert_array_equal(left.ring, expected.ring)
