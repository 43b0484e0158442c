"""Every kind of track file, real ones where we have them, against pandas reading the same file."""

from __future__ import annotations

import bz2
import gzip
import io
import json

import numpy as np
import orjson
import pandas as pd
import pytest

from engine.events import FIX, SCHEMA
from engine.events.payload import payload_columns
from engine.ingest import Rejects, iter_tracks, read_tracks
from engine.ingest.tracks_names import column_meanings

FOOT, KNOT = 0.3048, 1852 / 3600


def as_frame(events):
    frame = events.select(["time", "entity", "lat", "lon", "alt_m"]).to_pandas()
    keys = ("speed_m_s", "track_deg", "vertical_rate_m_s", "position_time_s")
    return frame.assign(**payload_columns(events, dict.fromkeys(keys, np.float64)))


def one(record):
    """Events of one JSON record with identity and time, unless it has its own."""
    return read_tracks(orjson.dumps({"id": "a", "time": 1_700_000_000} | record))


def the_one(record):
    events, rejects = one(record)
    assert rejects.counts == {}
    return events.to_pylist()[0]


# -- whole real files -----------------------------------------------------------------------------


def pandas_of(path):
    with gzip.open(path) as file:
        return pd.DataFrame(json.load(file)).reset_index(drop=True)


@pytest.mark.parametrize("name", ["switzerland", "zurich_airport", "noisy_spoofing"])
def test_a_traffic_sample_has_what_pandas_reads(real_data, name):
    path = real_data(f"tracks/{name}.json.gz")
    events, rejects = read_tracks(path)
    table = pandas_of(path)
    placed = table[table.latitude.notna()].reset_index(drop=True)
    assert events.schema == SCHEMA and set(events["kind"].to_pylist()) == {FIX}
    assert rejects.counts == ({"missing_position": len(table) - len(placed)} if len(placed) < len(table) else {})
    frame = as_frame(events)
    assert frame.entity.tolist() == placed.icao24.tolist()
    assert (frame.time == pd.to_datetime(placed.timestamp.astype("int64"), unit="ms", utc=True)).all()
    np.testing.assert_array_equal(frame.lat, placed.latitude)
    np.testing.assert_array_equal(frame.lon, placed.longitude)
    np.testing.assert_allclose(frame.alt_m, placed.altitude.astype(float).fillna(0) * FOOT, rtol=1e-12)
    np.testing.assert_allclose(frame.speed_m_s, placed.groundspeed.astype(float) * KNOT, atol=5.1e-4)
    np.testing.assert_allclose(frame.vertical_rate_m_s, placed.vertical_rate.astype(float) * FOOT / 60, atol=5.1e-4)


def test_a_readsb_trace_has_every_point(real_data):
    path = real_data("tracks/trace_full_ac671b.json")
    trace = json.loads(path.read_bytes())
    events, rejects = read_tracks(path)
    frame = as_frame(events)
    assert rejects.counts == {} and len(frame) == len(trace["trace"])
    seconds = frame.time.astype("int64") / 1e6 - trace["timestamp"]
    np.testing.assert_allclose(seconds, [point[0] for point in trace["trace"]], atol=1e-5)
    # the geometric altitude is preferred, the barometric one may be "ground"
    feet = [p[10] if p[10] is not None else 0 if p[3] in ("ground", None) else p[3] for p in trace["trace"]]
    np.testing.assert_allclose(frame.alt_m, np.array(feet) * FOOT, rtol=1e-12)
    speed = np.array([np.nan if point[4] is None else point[4] for point in trace["trace"]])
    np.testing.assert_allclose(frame.speed_m_s, speed * KNOT, atol=5.1e-4)
    ground = [p[3] == "ground" for p in trace["trace"]]
    assert [bool(flag) for flag in payload_columns(events, {"on_ground": bool})["on_ground"]] == ground


def test_movebank_birds_are_read_and_marked_outliers_left_out(real_data):
    path = real_data("tracks/O_ASSEN-gps-2019.csv.gz")
    events, rejects = read_tracks(path)
    table = pd.read_csv(path)
    table = table[table.visible]
    frame = as_frame(events)
    assert rejects.counts == {"marked_outlier": 4}  # as `visible` is false four times, see the file
    assert frame.entity.tolist() == table["individual-local-identifier"].astype(str).tolist()
    np.testing.assert_array_equal(frame.lat, table["location-lat"])
    np.testing.assert_array_equal(frame.alt_m, table["height-above-msl"])
    np.testing.assert_allclose(frame.speed_m_s, table["ground-speed"], atol=5.1e-4)
    assert (frame.time.array == pd.to_datetime(table.timestamp, utc=True).array).all()


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "csv.bz2", "parquet", "jsonl", "columns"])
def test_the_same_records_are_the_same_events_in_every_format(real_data, tmp_path, kind):
    events, _ = read_tracks(real_data("tracks/zurich_airport.json.gz"), source="x")
    table = pandas_of(real_data("tracks/zurich_airport.json.gz"))
    path = tmp_path / "no-telling-name"
    if kind == "parquet":
        table.to_parquet(path)
    elif kind == "jsonl":
        table.to_json(path, orient="records", lines=True)
    elif kind == "columns":
        table.to_json(path)
    else:
        pack = {"csv": bytes, "csv.gz": gzip.compress, "csv.bz2": bz2.compress}[kind]
        path.write_bytes(pack(table.to_csv(index=False).encode()))
    again, rejects = read_tracks(path, source="x")
    assert rejects.counts == {}
    frame, other = as_frame(events), as_frame(again)
    # pandas writes ten decimals in JSON: about 10 µm
    pd.testing.assert_frame_equal(frame, other, check_exact=False, rtol=0, atol=2e-9 if kind != "csv" else 1e-9)


def test_batches_together_are_the_whole(real_data):
    path = real_data("tracks/O_ASSEN-gps-2018.csv.gz")
    rejects = Rejects()
    batches = list(iter_tracks(path, batch=1000, rejects=rejects))
    whole, _ = read_tracks(path)
    assert max(batch.num_rows for batch in batches) <= 1000 and len(batches) > 10
    assert sum(batch.num_rows for batch in batches) == whole.num_rows == rejects.records


# -- shapes and names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        {"lat": 47.5, "lon": 8.25, "alt_m": 120},
        {"latitude": "47.5", "longitude": " 8.25 ", "alt": "120.0"},
        {"location": {"lat": 47.5, "lon": 8.25, "alt": 120}},
        {"position": [47.5, 8.25, 120]},
    ],
)
def test_all_position_shapes_say_the_same(shape):
    event = the_one(shape)
    assert (event["lat"], event["lon"], event["alt_m"]) == (47.5, 8.25, 120.0)


@pytest.mark.parametrize("shape", [{"lat": 1, "lon": 2}, {"position": [1, 2]}, {"location": {"lat": 1, "lon": 2}}])
def test_missing_altitude_is_zero(shape):
    assert the_one(shape)["alt_m"] == 0.0


@pytest.mark.parametrize(
    ("name", "value", "field", "metric"),
    [
        ("altitude_ft", 1000, "alt_m", 304.8),
        ("Altitude [ft]", 1000, "alt_m", 304.8),
        ("altitude", 1000, "alt_m", 1000.0),
        ("alt_km", 2, "alt_m", 2000.0),
    ],
)
def test_units_of_altitude_come_from_the_name(name, value, field, metric):
    assert the_one({"lat": 1, "lon": 2, name: value})[field] == pytest.approx(metric)


def test_altitude_is_in_feet_among_aviation_names():
    events, _ = read_tracks(b'{"icao24": "ABC123", "lat": 1, "lon": 2, "altitude": 1000, "timestamp": 1700000000}')
    assert events["alt_m"][0].as_py() == pytest.approx(304.8)
    assert events["entity"][0].as_py() == "abc123"
    assert json.loads(events["payload"][0].as_py())["emitter_kind"] == "aircraft"


def test_opensky_state_vectors_are_metric():
    csv = (
        "time,icao24,lat,lon,velocity,heading,vertrate,callsign,onground,baroaltitude,geoaltitude,lastposupdate\n"
        "1700000000,a0b1c2,47,8,200,90,-2.5,SWR1  ,false,3000,3100,1699999999.5\n"
    )
    events, _ = read_tracks(csv.encode())
    assert events["alt_m"][0].as_py() == 3100.0
    assert json.loads(events["payload"][0].as_py()) == {
        "speed_m_s": 200, "track_deg": 90, "vertical_rate_m_s": -2.5, "position_time_s": 1699999999.5,
        "callsign": "SWR1", "emitter_kind": "aircraft", "on_ground": False,
    }  # fmt: skip


def test_speeds_are_converted_by_their_named_unit():
    units = {"speed_m_s": 36, "groundspeed": 36 * KNOT, "speed_km_h": 10, "speed (mph)": 16.09344}
    for name, metres_per_second in units.items():
        payload = json.loads(the_one({"lat": 1, "lon": 2, name: 36})["payload"])
        assert payload["speed_m_s"] == pytest.approx(metres_per_second, abs=5.1e-4)


def test_a_snapshot_has_the_time_of_now_and_the_age_of_each_position():
    snapshot = {
        "now": 1_700_000_000.5, "messages": 12, "aircraft": [
            {"hex": "4B1A2C", "flight": "SWR1  ", "lat": 47.0, "lon": 8.0, "alt_baro": "ground", "seen_pos": 1.5},
            {"hex": "~2b0000", "lat": 47.1, "lon": 8.1, "alt_baro": 1000, "alt_geom": 1200, "seen_pos": 0},
            {"hex": "4b0000", "alt_baro": 1000},
        ],
    }  # fmt: skip
    for data in (orjson.dumps(snapshot), orjson.dumps(snapshot, option=orjson.OPT_INDENT_2)):
        events, rejects = read_tracks(data)
        assert events["entity"].to_pylist() == ["4b1a2c", "~2b0000"]
        assert events["alt_m"].to_pylist() == pytest.approx([0.0, 1200 * FOOT])
        payload = json.loads(events["payload"][0].as_py())
        assert payload["position_time_s"] == 1_699_999_999.0 and payload["on_ground"] is True
        assert rejects.counts == {"missing_position": 1}


def test_snapshots_one_per_line_are_a_stream():
    lines = [{"now": 1_700_000_000 + k, "aircraft": [{"hex": "a", "lat": 1 + k / 100, "lon": 2}]} for k in range(5)]
    events, rejects = read_tracks(b"\n".join(map(orjson.dumps, lines)))
    assert events.num_rows == 5 and rejects.counts == {}


def test_the_kind_of_emitter_passes_through_and_can_be_given():
    assert json.loads(the_one({"lat": 1, "lon": 2, "emitter_kind": "vehicle"})["payload"])["emitter_kind"] == "vehicle"
    events, _ = read_tracks(b'{"id": "a", "lat": 1, "lon": 2, "time": 5}', emitter_kind="bird")
    assert json.loads(events["payload"][0].as_py())["emitter_kind"] == "bird"


def test_nothing_known_is_no_payload():
    assert the_one({"lat": 1, "lon": 2, "speed": None})["payload"] is None


def test_payloads_stay_with_their_rows_where_some_have_none():
    lines = [{"id": "a", "time": 9, "lat": 1, "lon": 2} | more for more in ({}, {"speed": 3}, {}, {"track": 4}, {})]
    events, _ = read_tracks(b"\n".join(map(orjson.dumps, lines)))
    assert events["payload"].to_pylist() == [None, '{"speed_m_s":3}', None, '{"track_deg":4}', None]


def test_text_from_outside_stays_valid_json_and_loses_control_characters():
    event = the_one({"lat": 1, "lon": 2, "callsign": '<b>"\\\u202e\x07é'})
    assert json.loads(event["payload"])["callsign"] == '<b>"\\é'


@pytest.mark.parametrize(
    "time",
    [
        "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "2023-11-14 22:13:20", "20231114T221320Z", 1_700_000_000,
        1_700_000_000_000, 1_700_000_000_000_000, 1_700_000_000_000_000_000, "1700000000", "1700000000.0",
    ],
)  # fmt: skip
def test_times_of_every_form_are_utc(time):
    assert the_one({"lat": 1, "lon": 2, "time": time})["time"] == pd.Timestamp(1_700_000_000, unit="s", tz="UTC")


def test_a_unit_in_the_name_of_a_time_beats_its_magnitude():
    events, _ = read_tracks(b"id,lat,lon,time_ms\na,1,2,5000\n")
    assert events["time"][0].as_py().timestamp() == 5.0


def test_parquet_timestamps_before_1973_are_not_taken_for_seconds():
    table = pd.DataFrame({"id": ["a"], "lat": [1.0], "lon": [2.0], "time": pd.to_datetime(["1970-01-01T00:01:00Z"])})
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    events, _ = read_tracks(buffer.getvalue())
    assert events["time"][0].as_py().timestamp() == 60.0


def test_names_without_a_meaning_have_none():
    assert column_meanings(["colour", "altitude [furlong]", "", "latency"]) == []


def test_an_unknown_format_name_is_refused_with_the_names_that_exist():
    with pytest.raises(ValueError, match="jsonl"):
        read_tracks(b"x", format="xml")


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_tracks(tmp_path / "nowhere.json")
