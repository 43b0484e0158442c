"""Damaged files: what is good in them is read, what is bad is counted under its reason, nothing crashes."""

from __future__ import annotations

import bz2
import gzip
import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ingest import REASONS, FixGate, Rejects, iter_tracks, read_tracks
from engine.ingest.tracks_bytes import MAX_LINE_BYTES

GOOD = {"id": "a", "time": 1_700_000_000, "lat": 47.0, "lon": 8.0, "alt_m": 100.0}


# -- each reason alone ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": None}, "missing_id"),
        ({"id": "\x00\x07 "}, "missing_id"),
        ({"id": "x" * 65}, "text_too_long"),
        ({"callsign": "x" * 10_000}, "text_too_long"),
        ({"id": ["a"]}, "wrong_type"),
        ({"lat": None}, "missing_position"),
        ({"lat": ""}, "missing_position"),
        ({"lat": None, "lon": None, "position": [47.0]}, "missing_position"),
        ({"lat": None, "lon": None, "position": []}, "missing_position"),
        ({"lat": None, "lon": None, "location": {"lat": 1.0}}, "missing_position"),
        ({"lat": "north"}, "wrong_type"),
        ({"lat": True}, "wrong_type"),
        ({"lat": {"deg": 1}}, "wrong_type"),
        ({"alt_m": [1]}, "wrong_type"),
        ({"lat": None, "lon": None, "position": 5}, "wrong_type"),
        ({"lon": math.nan}, "non_finite"),
        ({"lat": math.inf}, "non_finite"),
        ({"lat": "nan"}, "non_finite"),
        ({"alt_m": -math.inf}, "non_finite"),
        ({"lat": 10**400}, "non_finite"),
        ({"lat": 90.0001}, "lat_out_of_range"),
        ({"lon": -180.0001}, "lon_out_of_range"),
        ({"lat": 0, "lon": 0.0}, "null_island"),
        ({"alt_m": 100_001}, "alt_out_of_range"),
        ({"alt_m": -1_501}, "alt_out_of_range"),
        ({"time": None}, "missing_time"),
        ({"time": "yesterday"}, "bad_time"),
        ({"time": True}, "bad_time"),
        ({"time": -5}, "bad_time"),
        ({"time": "2100-01-01T00:00:01Z"}, "bad_time"),
    ],
)
def test_a_bad_record_between_good_ones_is_counted_under_its_reason(change, reason):
    lines = [GOOD, GOOD | change, GOOD | {"time": 1_700_000_010}]
    events, rejects = read_tracks("\n".join(map(json.dumps, lines)).encode())
    assert events.num_rows == 2 and rejects.counts == {reason: 1} and rejects.records == 3
    assert rejects.examples[reason].startswith("line 2: ") and rejects.examples[reason].isprintable()
    assert len(rejects.examples[reason]) < 250


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": "a", "lat"', "truncated"),
        (b"oops", "not_json"),
        (b'{"id": "a" "lat": 1}', "not_json"),
        (b"[1, 2]", "not_a_record"),
        (b"17", "not_a_record"),
        (b'{"id": "\xff\xfe"}', "not_utf8"),
        (b"\x00\x01\x02\xff", "not_utf8"),
        (b"[" * 100_000, "truncated"),
        (b'{"id": "' + b"x" * (MAX_LINE_BYTES + 1) + b'"}', "line_too_long"),
    ],
)
def test_a_bad_line_between_good_ones_is_counted_under_its_reason(line, reason):
    good = orjson.dumps(GOOD)
    events, rejects = read_tracks(b"\n".join([good, good, line, good]))
    assert events.num_rows == 3 and rejects.counts == {reason: 1} and rejects.records == 4
    assert rejects.examples[reason].startswith("line 3")


def test_positions_on_the_edges_of_the_world_are_good():
    edges = [(90, 180), (-90, -180), (0, 1e-9), (1e-9, 0), (90, 0)]
    lines = [GOOD | {"lat": lat, "lon": lon} for lat, lon in edges]
    events, rejects = read_tracks(b"\n".join(map(orjson.dumps, lines)))
    assert events.num_rows == len(edges) and rejects.counts == {}


def test_an_optional_value_that_cannot_be_read_is_left_out_and_the_record_stays():
    events, rejects = read_tracks(orjson.dumps(GOOD | {"speed": "fast", "track": 90, "confidence": 2}))
    assert json.loads(events["payload"][0].as_py()) == {"track_deg": 90}
    assert rejects.counts == {} and rejects.left_out == {"speed_m_s": 1, "confidence": 1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_source"),
        (b" \n\t\n", "empty_source"),
        (gzip.compress(b"", mtime=0), "empty_source"),
        (bytes(range(256)) * 40, "binary_source"),
        (b"Dear Sir or Madam,\nplease find\nenclosed", "unknown_format"),
        (b"PAR1 and nothing of Parquet", "broken_file"),
        (b"\x1f\x8b\x08\x00garbage that is no deflate stream at all", "broken_file"),
        (gzip.compress(b"id,lat,lon,time\n" * 100, mtime=0)[:15], "truncated"),
        (b"BZh91AY garbage", "broken_file"),
    ],
)
def test_a_file_without_any_track_says_why(data, reason):
    events, rejects = read_tracks(data)
    assert events.num_rows == 0 and rejects.counts == {reason: 1}


def test_a_csv_row_of_another_length_is_no_record():
    csv = b'id,lat,lon,time\na,1,2,5\na,1,2\n"a",1,2,6\na,1,2,7,8\n"a,1,2,8\n\xff,1,2,9\n'
    events, rejects = read_tracks(csv)
    assert events.num_rows == 2 and rejects.counts == {"not_a_record": 3, "not_utf8": 1}


@pytest.mark.parametrize("name", ["gzip", "bz2"])
def test_a_file_cut_while_compressed_gives_what_came_before(name):
    noisy = (GOOD | {"time": 1_700_000_000 + k, "noise": k * 2654435761 % 2**32} for k in range(60_000))
    lines = b"\n".join(map(orjson.dumps, noisy))
    packed = gzip.compress(lines, mtime=0) if name == "gzip" else bz2.compress(lines)
    events, rejects = read_tracks(packed[: len(packed) * 3 // 4])
    assert 20_000 < events.num_rows < 60_000
    assert rejects.counts["truncated"] in (1, 2)  # the file, and perhaps its last line


def test_an_endless_line_is_never_held_in_memory():
    def chunks():
        yield orjson.dumps(GOOD) + b"\n"
        for _ in range(64):
            yield b"x" * (1 << 20)
        yield b"\n" + orjson.dumps(GOOD) + b"\n"

    from engine.ingest.tracks_bytes import read_lines

    rejects = Rejects()
    tracemalloc.start()
    lines = list(read_lines(chunks(), rejects))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [number for number, _ in lines] == [1, 3] and rejects.counts == {"line_too_long": 1}
    assert peak < 8 << 20


# -- damaged documents ----------------------------------------------------------------------------

RECORDS = [GOOD | {"time": 1_700_000_000 + k, "callsign": f"CALL{k}"} for k in range(50)]


def times_of(events):
    return sorted(int(t.timestamp()) - 1_700_000_000 for t in events["time"].to_pylist())


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("option", [0, orjson.OPT_INDENT_2])
def test_a_truncated_list_gives_all_records_before_the_cut(nested, option):
    records = RECORDS
    if nested:
        records = [{"id": r["id"], "time": r["time"], "location": {"lat": r["lat"], "lon": r["lon"]}} for r in RECORDS]
    data = orjson.dumps(records, option=option)
    starts = [k for k in range(len(data)) if data[k:].startswith(b'"id"')]
    events, rejects = read_tracks(data[: starts[30] + 20])
    assert times_of(events) == list(range(30)) and rejects.counts == {"truncated": 1}


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.replace(b'"', b"", 1),
        lambda record: record[:-1],
        lambda record: record[1:],
        lambda record: record[: len(record) // 2],
        lambda record: record.replace(b":", b"", 1),
        lambda record: record.replace(b"47.0", b"47.0.0"),
        lambda record: b"\x00\xff" + record[5:],
    ],
)
@pytest.mark.parametrize("envelope", [b"[%s]", b'{"now": 1700000000, "aircraft": [%s]}'])
def test_records_before_and_after_a_damage_are_recovered(damage, envelope):
    pieces = [orjson.dumps(record) for record in RECORDS]
    broken = {7, 23, 24}
    data = envelope % b",".join(damage(piece) if k in broken else piece for k, piece in enumerate(pieces))
    events, rejects = read_tracks(data)
    assert times_of(events) == sorted(set(range(50)) - broken)
    assert rejects.total >= 1 and set(rejects.counts) <= {"not_json", "not_utf8", "truncated"}


def test_a_damaged_trace_gives_its_other_points(real_data):
    data = real_data("tracks/trace_full_ac671b.json").read_bytes()
    whole, _ = read_tracks(data)
    at = data.index(b"[30.91,")
    events, rejects = read_tracks(data[:at] + data[at + 3 :])
    lat = whole["lat"].to_pylist()
    assert events["lat"].to_pylist() == lat[:4] + lat[5:] and rejects.counts == {"not_json": 1}
    half, cut = read_tracks(data[: len(data) // 2])
    assert half.num_rows > 1000 and half["lat"].to_pylist() == whole["lat"].to_pylist()[: half.num_rows]
    assert cut.counts == {"truncated": 1}


def test_python_writes_nan_and_we_read_it():
    records = [GOOD, GOOD | {"speed": math.nan}, GOOD | {"lat": math.nan}]
    events, rejects = read_tracks(json.dumps(records).encode())
    assert events.num_rows == 2 and rejects.counts == {"non_finite": 1} and rejects.left_out == {"speed_m_s": 1}


# -- the whole sample, mutated --------------------------------------------------------------------


def as_lines(path):
    """The sample as a feed writes it down: one record per line, in order of time."""
    with gzip.open(path) as file:
        records = json.load(file)
    records.sort(key=lambda record: record["timestamp"])
    return records[:40_000]


JUNK = b"\x00\xff\xfe\x80 junk \x01"
BREAKS = {
    "missing_position": lambda r, _: orjson.dumps({k: v for k, v in r.items() if k != "longitude"}),
    "non_finite": lambda r, _: json.dumps(r | {"latitude": math.nan}).encode(),
    "wrong_type": lambda r, _: orjson.dumps(r | {"longitude": ["8.5"]}),
    "lat_out_of_range": lambda r, rng: orjson.dumps(r | {"latitude": float(rng.uniform(91, 1e6))}),
    "lon_out_of_range": lambda r, rng: orjson.dumps(r | {"longitude": -float(rng.uniform(181, 1e6))}),
    "null_island": lambda r, _: orjson.dumps(r | {"latitude": 0.0, "longitude": 0.0}),
    "alt_out_of_range": lambda r, _: orjson.dumps(r | {"altitude": 9e6}),
    "time_backwards": lambda r, _: orjson.dumps(r | {"timestamp": r["timestamp"] - 15_000}),
    "implausible_jump": lambda r, _: orjson.dumps(
        r | {"latitude": -r["latitude"], "longitude": r["longitude"] - 180.0}
    ),
    "bad_time": lambda r, _: orjson.dumps(r | {"timestamp": "half past nine"}),
    "missing_time": lambda r, _: orjson.dumps(r | {"timestamp": None}),
    "missing_id": lambda r, _: orjson.dumps(r | {"icao24": " "}),
    "text_too_long": lambda r, _: orjson.dumps(r | {"callsign": "A" * 1000}),
    "truncated": lambda r, rng: orjson.dumps(r)[: int(rng.integers(2, 150))],
    "not_json": lambda r, _: orjson.dumps(r).replace(b":", b";"),
    "not_a_record": lambda r, _: orjson.dumps(list(r.values())),
    "not_utf8": lambda r, _: JUNK + orjson.dumps(r)[9:],
    "duplicate": lambda r, _: orjson.dumps(r) + b"\n" + orjson.dumps(r),
}
LONG_LINES = 3


def broken_copy(records, seed):
    """Lines with thousands of mutations: at most one in four records, never two in a row of one emitter.

    Jumps and old times only where the emitter was heard 10 s before, so that they are what they claim.
    """
    rng = np.random.default_rng(seed)
    names = list(BREAKS)
    lines, good, broken, last_time, touched = [], [], dict.fromkeys(names, 0), {}, set()
    for record in records:
        identity, time_ms = record["icao24"], record["timestamp"]
        fresh = time_ms - last_time.get(identity, -math.inf) == 10_000
        last_time[identity] = time_ms
        name = names[rng.integers(len(names))]
        if not fresh or identity in touched or rng.random() > 0.25:
            touched.discard(identity)
            lines.append(orjson.dumps(record))
            good.append(record)
            continue
        touched.add(identity)
        broken[name] += 1
        lines.append(BREAKS[name](record, rng))
        if name == "duplicate":
            good.append(record)
    for at in (10, len(lines) // 2, len(lines) - 10):
        lines.insert(at, b'{"icao24":"' + b"a" * 10_000_000 + b'"}')
    return lines, good, broken | {"line_too_long": LONG_LINES}


def test_a_mutated_sample_gives_exactly_its_untouched_records_and_counts_the_others(real_data, tmp_path):
    lines, good, broken = broken_copy(as_lines(real_data("tracks/switzerland.json.gz")), seed=20180801)
    assert sum(broken.values()) > 5_000 and min(broken.values()) >= LONG_LINES
    path = tmp_path / "mutated.jsonl"
    path.write_bytes(b"\n".join(lines))
    rejects = Rejects()
    tables = list(iter_tracks(path, gate=FixGate(), rejects=rejects))
    got = [
        row
        for table in tables
        for row in zip(
            table["entity"].to_pylist(), (table["time"].cast("int64").to_numpy() // 1000).tolist(),
            table["lat"].to_pylist(), table["lon"].to_pylist(), strict=True,
        )
    ]  # fmt: skip
    assert got == [(r["icao24"], r["timestamp"], r["latitude"], r["longitude"]) for r in good]
    assert rejects.counts == broken
    assert set(rejects.examples) == set(broken) and all(text.isprintable() for text in rejects.examples.values())
    assert rejects.records == len(good) + sum(broken.values())


def test_the_untouched_sample_passes_the_gate_whole(real_data):
    records = as_lines(real_data("tracks/switzerland.json.gz"))
    events, rejects = read_tracks(b"\n".join(map(orjson.dumps, records)), gate=FixGate())
    assert events.num_rows == len(records) and rejects.counts == {}


# -- anything at all ------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
field_names = st.sampled_from(
    ["id", "hex", "icao24", "time", "timestamp", "lat", "lon", "alt_m", "altitude", "location", "position", "speed",
     "callsign", "now", "aircraft", "trace", "seen_pos", "visible", "onground", "kind", "time_ms"]
)  # fmt: skip
odd_records = st.dictionaries(field_names, json_values, max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([None, "json", "jsonl", "csv", "parquet"]))
def test_no_bytes_crash_the_reader(data, format):
    events, rejects = read_tracks(data, format=format)
    assert set(rejects.counts) <= set(REASONS) and events.num_rows + rejects.total >= rejects.records


@settings(max_examples=150, deadline=None)
@given(st.lists(odd_records | json_values, max_size=5), st.booleans())
def test_no_json_crashes_the_reader(records, in_lines):
    text = "\n".join(map(json.dumps, records)) if in_lines else json.dumps(records)
    events, rejects = read_tracks(text.encode())
    assert set(rejects.counts) <= set(REASONS) and events.num_rows + rejects.total == rejects.records
    assert (np.abs(events["lat"].to_numpy()) <= 90).all() and (np.abs(events["lon"].to_numpy()) <= 180).all()
    assert all(payload is None or type(orjson.loads(payload)) is dict for payload in events["payload"].to_pylist())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_single_damage_to_a_file_crashes_the_reader_or_costs_more_than_its_neighbours(data):
    text = orjson.dumps(RECORDS)
    at = data.draw(st.integers(1, len(text) - 1))  # the first bytes may say "bzip2"
    cut = data.draw(st.integers(0, 3))
    noise = data.draw(st.binary(max_size=4))
    events, rejects = read_tracks(text[:at] + noise + text[at + cut :], format="json")
    assert events.num_rows >= len(RECORDS) - 2 and set(rejects.counts) <= set(REASONS)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.text(max_size=6), min_size=4, max_size=4), max_size=6))
def test_no_csv_crashes_the_reader(rows):
    lines = ["id,lat,lon,time", *(",".join(cells) for cells in rows)]
    events, rejects = read_tracks("\n".join(lines).encode("utf-8", "surrogatepass"))
    assert set(rejects.counts) <= set(REASONS) and events.num_rows + rejects.total == rejects.records


def test_the_page_explains_every_reason():
    page = (Path(__file__).parents[2] / "docs" / "engine-ingest.md").read_text(encoding="utf-8")
    assert [reason for reason in REASONS if f"| `{reason}` |" not in page] == []
