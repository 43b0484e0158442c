"""EVE: every line is an event or a counted refusal, whatever is in it, and says what the record said."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import hashlib
import ipaddress
import json
import random
import re
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import SCHEMA
from engine.events.payload import payload_columns
from engine.events.times import epoch_us
from engine.ingest import REASONS, Rejects, iter_eve, read_eve
from engine.ingest.eve_fields import DROPPED, JOINED, PAYLOAD_KEYS
from engine.ingest.pcap_address import community_id

SAMPLES = ["net/eve-2.json", "net/eve_large.json.bz2"]
RECORD = {
    "timestamp": "2023-09-03T00:02:08.288432+0300", "flow_id": 1566892700493488, "event_type": "alert",
    "src_ip": "180.101.88.221", "src_port": 38163, "dest_ip": "192.168.55.199", "dest_port": 22, "proto": "TCP",
    "alert": {"signature": "ET SCAN Potential SSH Scan", "severity": 2, "metadata": {"tag": ["x"]}},
    "app_proto": "ssh",
}  # fmt: skip


def line(**changes):
    return json.dumps({k: v for k, v in (RECORD | changes).items() if v is not None}).encode()


def one(data):
    events, rejects = read_eve(data)
    assert events.num_rows == 1, rejects
    return events.to_pylist()[0] | {"said": json.loads(events["payload"][0].as_py())}


def refused(data):
    events, rejects = read_eve(data)
    assert events.num_rows == 0 and rejects.records == rejects.total == 1
    return next(iter(rejects.counts))


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request, real_data):
    path = real_data(request.param)
    data = path.read_bytes()
    lines = (bz2.decompress(data) if path.suffix == ".bz2" else data).splitlines()
    return path, read_eve(path), lines


# -- real files -----------------------------------------------------------------------------------


def test_events_of_a_real_file_are_those_that_duckdb_counts_in_it(sample):
    _path, (events, rejects), lines = sample
    records = duckdb.from_arrow(_as_table(lines))  # noqa: F841 - named in the query
    counted = duckdb.sql("select record->>'event_type' kind, count(*) n from records group by all").fetchall()
    assert events.schema == SCHEMA and rejects.total == 0 and rejects.records == events.num_rows == len(lines)
    assert Counter(events["kind"].to_pylist()) == {f"net.{kind}": n for kind, n in counted}


def _as_table(lines):
    return pa.table({"record": pa.array([text.decode() for text in lines]).cast(pa.string())})


def test_sums_over_a_real_file_are_those_of_duckdb_over_its_json(sample):
    _path, (events, _), lines = sample
    records = duckdb.from_arrow(_as_table(lines))  # noqa: F841 - named in the query
    flows = events.filter(pc.equal(events["kind"], "net.flow"))
    said = payload_columns(flows, {key: np.float64 for key in ("bytes_to_server", "pkts_to_client", "src_port")})
    wanted = duckdb.sql(
        "select sum((record->'flow'->>'bytes_toserver')::bigint), sum((record->'flow'->>'pkts_toclient')::bigint),"
        " sum((record->>'src_port')::bigint) from records where record->>'event_type' = 'flow'"
    ).fetchall()[0]
    got = (np.nansum(said[key]) for key in ("bytes_to_server", "pkts_to_client", "src_port"))
    assert tuple(map(int, got)) == wanted


def test_times_of_a_real_file_are_those_of_the_reader_of_times(sample):
    _path, (events, _), lines = sample
    time_us = events["time"].cast("int64").to_numpy()
    for row in random.Random(1).sample(range(len(lines)), 300):
        assert time_us[row] == epoch_us(orjson.loads(lines[row])["timestamp"])


def test_a_payload_says_what_the_record_says(sample):
    """The slow way: each record parsed, its scalars looked up in the table by their dotted path."""
    _path, (events, _), lines = sample
    payloads = events["payload"].to_pylist()
    for row in random.Random(2).sample(range(len(lines)), 800):
        said, meant = orjson.loads(payloads[row]), slowly_mapped(orjson.loads(lines[row]))
        for key in {"start_s", "end_s"} & meant.keys():
            assert round(said.pop(key) * 1e6) == epoch_us(meant.pop(key))
        assert said == meant


def slowly_mapped(record):
    meant = {}

    def walk(value, path, in_list):
        name = ".".join(path)
        dropped = any(name == drop or name.startswith(drop + ".") for drop in DROPPED)
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, [*path, key], in_list)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, path, True)
        elif name in PAYLOAD_KEYS:
            key = PAYLOAD_KEYS[name]
            if key in ("src_ip", "dest_ip"):
                value = str(ipaddress.ip_address(value))
            if key in JOINED:
                meant[key] = f"{meant[key]} {value}" if key in meant else str(value)
            elif not in_list or key not in meant:
                meant[key] = value
        elif not dropped and not in_list and value is not None:
            meant[name] = value

    walk(record, [], False)
    return meant


def test_ja3_of_a_real_file_is_kept_and_is_the_md5_of_its_string(sample):
    _path, (events, _), lines = sample
    found = payload_columns(events, {"ja3": str, "ja3_string": str})
    pairs = [(a, b) for a, b in zip(found["ja3"], found["ja3_string"], strict=True) if a]
    assert len(pairs) == sum(b'"ja3":{"hash"' in text for text in lines) >= 10
    assert all(hashlib.md5(text.encode()).hexdigest() == digest for digest, text in pairs)


def test_the_entity_is_the_community_id_that_suricata_computed(real_data):
    """Of IPv4 over TCP and UDP; for the rest Suricata does not keep to the specification, as its baseline shows."""
    lines = bz2.decompress(real_data("net/eve_large.json.bz2").read_bytes()).splitlines()
    records = [record for text in lines if (record := orjson.loads(text)).get("proto") in ("TCP", "UDP")]
    records = [record for record in records if ":" not in record["src_ip"]]
    own = [record["community_id"] for record in records]
    without = [orjson.dumps({k: v for k, v in record.items() if k != "community_id"}) for record in records]
    assert len(own) > 18_000 and read_eve(b"\n".join(without))[0]["entity"].to_pylist() == own
    assert read_eve(b"\n".join(map(orjson.dumps, records)))[0]["entity"].to_pylist() == own


# -- what a record may look like ------------------------------------------------------------------


def test_kind_entity_and_time_of_a_record():
    event = one(line())
    assert event["kind"] == "net.alert" and event["source"] == "bytes"
    assert event["time"].isoformat() == "2023-09-02T21:02:08.288432+00:00"
    assert event["entity"] == community_id("180.101.88.221", "192.168.55.199", 6, 38163, 22)
    assert (
        event["said"]["alert_signature"] == "ET SCAN Potential SSH Scan" and "alert.metadata.tag" not in event["said"]
    )


def test_only_time_and_type_are_needed_and_an_unknown_type_passes_with_its_kind():
    event = one(b'{"event_type":"pgsql2","timestamp":"2024-01-01T00:00:00Z","pgsql2":{"tx":{"user":"x"},"n":1.5e3}}')
    assert event["kind"] == "net.pgsql2" and event["entity"] == "bytes"
    assert event["said"] == {"pgsql2.tx.user": "x", "pgsql2.n": 1500.0}


@settings(max_examples=200)
@given(st.permutations(list(RECORD.items())))
def test_the_order_of_keys_does_not_matter(items):
    assert one(json.dumps(dict(items)).encode())["said"] == one(line())["said"]


@pytest.mark.parametrize(
    ("dns", "name", "answers"),
    [
        ({"type": "answer", "rrname": "a.b", "rdata": "1.2.3.4"}, "a.b", "1.2.3.4"),
        ({"version": 2, "rrname": "a.b", "answers": [{"rdata": "1.1.1.1"}, {"rdata": "::2"}]}, "a.b", "1.1.1.1 ::2"),
        ({"version": 3, "queries": [{"rrname": "a.b"}, {"rrname": "c"}], "answers": [{"rdata": "::1"}]}, "a.b", "::1"),
        ({"query": [{"type": "query", "rrname": "a.b"}]}, "a.b", None),
    ],
)  # fmt: skip
def test_dns_of_every_version_of_eve(dns, name, answers):
    said = one(line(event_type="dns", dns=dns))["said"]
    assert said["dns_name"] == name and said.get("dns_answers") == answers


@pytest.mark.parametrize(
    "time", ["2023-09-02T21:02:08.288432Z", "2023-09-02T21:02:08.288432", "2023-09-02 21:02:08.288432+00:00",
             1693688528.288432, "1693688528.288432", "2023-09-03T02:32:08,288432+05:30"],
)  # fmt: skip
def test_times_in_other_forms_are_the_same_time(time):
    assert one(line(timestamp=time))["time"] == one(line())["time"]


@given(st.datetimes(min_value=dt.datetime(1970, 1, 1)))
def test_any_time_is_read_as_python_reads_it(moment):
    events, rejects = read_eve(line(timestamp=moment.isoformat() + "+0000"))
    if moment.year < 2100:
        assert events["time"][0].as_py().replace(tzinfo=None) == moment
    else:
        assert set(rejects.counts) == {"bad_time"}


def test_one_host_has_one_name_whoever_wrote_it():
    said = one(line(src_ip="fe80:0000:0000:0000:d0e9:29ff:fea8:2e0d", dest_ip="ff02::2"))["said"]
    assert said["src_ip"] == "fe80::d0e9:29ff:fea8:2e0d"


def test_plain_gzip_and_bzip2_give_the_same(tmp_path):
    data = b"\n".join(line(src_port=port) for port in range(1, 500))
    tables = [read_eve(packed, source="x")[0] for packed in (data, gzip.compress(data), bz2.compress(data))]
    assert tables[0].num_rows == 499 and tables[0].equals(tables[1]) and tables[0].equals(tables[2])


@settings(max_examples=30)
@given(st.integers(1, 2_000))
def test_blocks_of_any_size_give_the_same_events(size):
    data = b"\n".join([line(src_port=port) for port in range(1, 30)] + [b"{oops", b"", line()])
    rejects = Rejects()
    tables = list(iter_eve(data, source="x", rejects=rejects, block_bytes=size))
    whole, said = read_eve(data, source="x")
    assert pa.concat_tables(tables).combine_chunks().equals(whole) and rejects == said


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_source"),
        (b"{oops}", "not_json"),
        (line()[:-20], "truncated"),
        (b"[1, 2]", "not_a_record"),
        (line(event_type=None), "bad_event_type"),
        (line(event_type="<script>"), "bad_event_type"),
        (line(event_type="x" * 33), "bad_event_type"),
        (line(event_type=7), "bad_event_type"),
        (line(timestamp=None), "missing_time"),
        (line(timestamp="noon"), "bad_time"),
        (line(timestamp="2023-02-30T00:00:00Z"), "bad_time"),
        (line(timestamp="1965-01-01T00:00:00Z"), "bad_time"),
        (line().replace(b"ssh", b"s\xffh"), "not_utf8"),
        (line(app_proto="x" * (1 << 20)), "line_too_long"),
    ],
)
def test_a_bad_line_is_counted_under_its_reason(data, reason):
    assert refused(data) == reason


def test_bad_lines_cost_nothing_but_themselves():
    bad = [b"{", b"nonsense", b'"text"', b"\xff\xfe", line(timestamp=5e300), b"null", b'{"a":01}', b'{"a":"\\ud800"}']
    data = b"\n".join(part for text in bad for part in (line(), text))
    events, rejects = read_eve(data)
    assert events.num_rows == len(bad) == rejects.total and rejects.records == 2 * len(bad)


def test_a_broken_container_keeps_what_came_before():
    data = gzip.compress(b"\n".join(line(src_port=port) for port in range(1, 5_000)))
    events, rejects = read_eve(data[: len(data) // 2])
    assert events.num_rows > 1_000 and "truncated" in rejects.counts


# -- hostile and damaged --------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>", "</textarea><img src=x onerror=alert(1)>", "{{7*7}}${7*7}", "a\x00b\x1b[31m\r\n",
    "\u202egnp.exe", "'; drop table events; --", '"}, "evil": {"', "\\", "𝕏" * 4_000, "\\u0041" * 900, "\U0010ffff",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text_in_its_own_field(text):
    for ascii_only in (True, False):
        data = json.dumps(RECORD | {"tls": {"sni": text}, text: text}, ensure_ascii=ascii_only).encode()
        said = one(data)["said"]
        assert text.startswith(said["tls_sni"]) and len(said["tls_sni"].encode()) <= 2_048
        assert said["alert_signature"] == RECORD["alert"]["signature"] and "evil" not in said


def test_a_record_of_endless_values_makes_a_bounded_payload():
    huge = {"tls": {"subjectaltname": ["x" * 900] * 50}, "deep": {str(i): {"k": "v" * 5_000} for i in range(100)}}
    events, rejects = read_eve(line(**huge))
    assert len(events["payload"][0].as_py()) < 120_000 and rejects.left_out["other values"] > 50
    assert read_eve(b'{"a":' * 5_000)[1].total == 1


def mutations(seed, count):
    """Lines of the record with bytes changed, removed, doubled or inserted."""
    rng = random.Random(seed)
    base = [
        line(),
        line(tls={"sni": 'héé\\"\n\u2028', "ja3": {"hash": "x"}}, vlan=[1, 2]),
        line(x={"y": [1.5e-3, None, True]}),
    ]
    for _ in range(count):
        text = bytearray(rng.choice(base))
        for _ in range(rng.randint(1, 4)):
            at, kind = rng.randrange(len(text)), rng.randrange(4)
            if kind == 0:
                text[at] = rng.randrange(256)
            elif kind == 1:
                del text[at : at + rng.randint(1, 30)]
            elif kind == 2:
                text[at:at] = text[at : at + rng.randint(1, 30)]
            else:
                text[at:at] = bytes(rng.choice(b'{}[]",:\\0123456789eE+-.tfn u') for _ in range(rng.randint(1, 3)))
        yield bytes(text).replace(b"\n", b" ")


def test_ten_thousands_of_damaged_lines_among_good_ones():
    """What orjson takes is an event, what it refuses is refused, and the good lines are all there."""
    damaged = [text for text in mutations(3, 20_000) if text.strip()]
    data = b"\n".join(part for text in damaged for part in (line(app_proto="good"), text))
    events, rejects = read_eve(data)
    assert events.num_rows + rejects.total == rejects.records == 2 * len(damaged)
    assert set(rejects.counts) <= set(REASONS)
    payloads = [orjson.loads(text) for text in events["payload"].to_pylist()]
    assert sum(said.get("app_proto") == "good" for said in payloads) >= len(damaged)
    readable = sum(is_json_object(text) for text in damaged)
    beyond_syntax = sum(rejects.counts.get(reason, 0) for reason in ("missing_time", "bad_time", "bad_event_type"))
    assert events.num_rows - len(damaged) + beyond_syntax == readable


def is_json_object(text):
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError as error:
        # Such a number is JSON by its grammar; we leave it out and keep the record.
        return "infinity" in str(error) and is_json_object(re.sub(rb"(\d[eE]\+?)\d{3,}", rb"\g<1>9", text))


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


@settings(max_examples=300)
@given(st.dictionaries(st.text(), values, max_size=6))
def test_any_json_beside_the_two_certain_fields_makes_one_event_with_a_readable_payload(extra):
    data = json.dumps(extra | {"event_type": "x", "timestamp": "2024-01-01T00:00:00Z"}).encode()
    assert isinstance(one(data)["said"], dict)


def test_the_page_names_every_key_that_is_mapped():
    page = (Path(__file__).parents[2] / "docs" / "engine-ingest-network.md").read_text(encoding="utf-8")
    assert [key for key in PAYLOAD_KEYS.values() if f"`{key}`" not in page] == []
    assert [reason for reason in ("bad_event_type", "lost_fragment", "no_ip_packet") if f"`{reason}`" not in page] == []
