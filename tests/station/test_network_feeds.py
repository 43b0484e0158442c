"""Network activity in the station: played, followed, uploaded; every record accounted for, and the graph of it."""

from __future__ import annotations

import json
import struct
import threading
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data.synthetic_network import network_activity, write_eve
from engine.config import Settings
from engine.events.log import EventLog
from engine.events.queue import BoundedQueue
from engine.feeds import NETWORK_SAMPLE, open_feed, remember
from engine.ingest import NetworkReplay
from engine.station import Station
from engine.upload import ingest_file

EVE = ("net/eve-2.json", "net/eve_large.json.bz2")
CAPTURES = (
    "suricata-dhcp-request-flood", "suricata-tls-subjectaltname", "zeek-bro.org", "zeek-dns-edns-ecs", "zeek-ecdhe",
    "zeek-get", "zeek-http-vlan-0", "zeek-ipv6-fragmented-dns", "zeek-mdns", "zeek-pipelined-requests",
    "zeek-tls-1.2-stream-keylog", "zeek-tls13draft23-chrome67.0.3368.0-canary", "zeek-vlan-collisions",
)  # fmt: skip


def wait_until(true, seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def taken(queue: BoundedQueue) -> pa.Table:
    parts = [queue.get(timeout_s=0.1)]
    return parts[0]


@pytest.mark.parametrize("name", EVE)
def test_every_line_of_a_real_eve_log_is_committed_or_refused_as_duckdb_counts(real_data, name, tmp_path) -> None:
    path, queue = real_data(name), BoundedQueue(100_000)
    result = ingest_file(path, name, queue)
    events = taken(queue)
    plain = tmp_path / "plain.json"
    if name.endswith(".bz2"):
        import bz2

        plain.write_bytes(bz2.decompress(path.read_bytes()))
    else:
        plain = path
    query = f"""SELECT 'net.' || (json->>'$.event_type') AS kind, count(*) AS n
                FROM read_ndjson_objects('{plain}', maximum_object_size=20000000) GROUP BY 1"""
    expected = dict(duckdb.sql(query).fetchall())
    assert (
        dict(zip(*(pc.value_counts(events["kind"]).flatten()[i].to_pylist() for i in (0, 1)), strict=True)) == expected
    )
    assert result.records == sum(expected.values()) == result.committed + sum(result.rejected.values())
    assert (result.kind, result.state, result.events) == ("eve", "finished", events.num_rows)


def packets_in(path: Path) -> int:
    """Records of a classic capture, counted by hand."""
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at, n = 24, 0
    while at < len(data):
        at += 16 + struct.unpack_from(f"{order}I", data, at + 8)[0]
        n += 1
    return n


@pytest.mark.parametrize("name", CAPTURES)
def test_every_packet_of_a_real_capture_is_committed_or_refused(real_data, name) -> None:
    path, queue = real_data(f"net/pcap/{name}.pcap"), BoundedQueue(100_000)
    result = ingest_file(path.read_bytes(), name, queue)
    assert result.kind == "pcap" and result.state == "finished"
    assert result.records == packets_in(path) == result.committed + sum(result.rejected.values())


def test_an_upload_tells_how_far_it_is_and_can_be_cancelled(tmp_path) -> None:
    path = write_eve(network_activity(seed=2, n_hosts=40, duration_s=3_600.0), tmp_path / "eve.json")
    lines = path.read_bytes().count(b"\n")
    told: list[float] = []
    whole = ingest_file(path, "eve.json", BoundedQueue(100_000), progress=told.append)
    assert whole.committed == lines and told[-1] == 1.0 and told == sorted(told) and len(told) > 3
    cancel, queue = threading.Event(), BoundedQueue(1_000)  # which nobody empties
    threading.Timer(0.5, cancel.set).start()
    part = ingest_file(path, "eve.json", queue, cancel=cancel)
    assert part.state == "cancelled" and part.events == queue.stats().depth == 1_000
    assert part.committed + sum(part.rejected.values()) == part.records and queue.stats().drops == {}


@pytest.mark.parametrize("data", [b"", b"x" * 101])
def test_a_file_that_is_empty_or_too_large_is_refused_by_its_size(data) -> None:
    with pytest.raises(ValueError, match=rf"has {len(data)} bytes; a file of 1 to 100"):
        ingest_file(data, "x.json", BoundedQueue(), max_bytes=100)


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>.json", "../../etc/passwd", "a\x00b\n.json", "x" * 5_000, ""]
)
def test_a_hostile_file_name_becomes_a_harmless_source(name) -> None:
    line = b'{"timestamp": "2024-05-01T12:00:00Z", "event_type": "dns"}'
    result = ingest_file(line, name, BoundedQueue())
    assert result.name.startswith("upload ") and len(result.name) <= 110 and result.name.isprintable()
    assert not set(result.name) & set("<>/\\\"'&")


def test_nonsense_is_accounted_for_too() -> None:
    result = ingest_file(np.random.default_rng(0).bytes(100_000), "noise", BoundedQueue())
    assert result.events == 0 and result.records == sum(result.rejected.values()) > 0


def test_the_network_sample_happens_now_and_says_when_it_was_recorded(real_data) -> None:
    with EventLog(":memory:") as log:
        real_data(NETWORK_SAMPLE)
        feed = open_feed(Settings(feed="network", backfill_s=3_600.0), log)
        assert "Recorded" in feed.label and not feed.synthetic
        queue = BoundedQueue(50_000)
        feed.sources[0].start(queue)
        wait_until(lambda: queue.stats().depth > 300)
        feed.sources[0].stop()
        events = taken(queue)
    ages = time.time() - events["time"].cast(pa.int64()).to_numpy() / 1e6
    assert ages.min() > -1.0 and ages.max() < 3_660.0 and (np.diff(ages) <= 0).all()
    payload = [json.loads(text) for text in events["payload"].to_pylist()]
    assert all(told["recorded_at"].startswith("2022-02-08T") and "start_s" not in told for told in payload)


def test_what_is_replayed_goes_on_in_the_next_round_with_the_same_steps(tmp_path) -> None:
    path = write_eve(network_activity(seed=3, n_hosts=5, duration_s=60.0), tmp_path / "eve.json")
    clock = [1.7e9]
    replay, queue = NetworkReplay("eve", path, backfill_s=600.0, clock=lambda: clock[0]), BoundedQueue(100_000)
    replay.start(queue)
    wait_until(lambda: replay.stats().events > 8 * replay.stats().packets > 0)
    replay.stop()
    events = taken(queue)
    times, n = events["time"].cast(pa.int64()).to_numpy(), replay.stats().packets
    assert times.max() <= 1.7e15 and events.num_rows > 8 * n
    length = np.unique(times[n : 2 * n] - times[:n])
    assert len(length) == 1 and 50e6 < length[0] <= 61e6
    assert events["entity"].to_pylist()[:n] == events["entity"].to_pylist()[n : 2 * n]


def test_without_data_an_invented_network_plays_and_says_so(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("engine.feeds._located", lambda name, instead: None)
    with EventLog(":memory:") as log:
        feed = open_feed(Settings(feed="sample", backfill_s=600.0), log)
    assert feed.synthetic and feed.label.count("SYNTHETIC") == 2 and len(feed.sources) == 2


def test_a_followed_file_is_not_taken_in_twice(tmp_path) -> None:
    path = write_eve(network_activity(seed=3, n_hosts=5, duration_s=60.0), tmp_path / "eve.json")
    lines = path.read_bytes().count(b"\n")
    settings, queue = Settings(feed=f"tail:{path}", data_dir=tmp_path), BoundedQueue(10_000)
    with EventLog(":memory:") as log:
        for expected in (lines, lines + 1):
            feed = open_feed(settings, log)
            feed.sources[0].start(queue)
            wait_until(lambda expected=expected: queue.stats().put == expected)
            feed.sources[0].stop()
            remember(feed, settings)
            with path.open("a") as file:
                file.write('{"timestamp": "2024-05-01T12:00:00Z", "event_type": "dns"}\n')


def test_several_feeds_play_at_once_and_a_name_may_be_there_only_once(tmp_path) -> None:
    path = write_eve(network_activity(seed=3, n_hosts=5, duration_s=60.0), tmp_path / "a, b.json")
    with EventLog(":memory:") as log:
        assert len(open_feed(Settings(feed="synthetic,none"), log).sources) == 2
        assert [s.name for s in open_feed(Settings(feed=str(path)), log).sources] == ["a, b"]
        with pytest.raises(ValueError, match=r"FEED is .*twice"):
            open_feed(Settings(feed="synthetic,synthetic"), log)


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with Station(settings=Settings(data_dir=folder, feed="synthetic", backfill_s=900.0)) as running:
        wait_until(lambda: running.graph().n_edges > 100 and running.graph_live.caught_up)
        yield running


def test_the_graph_grows_live_with_hosts_and_emitters(station) -> None:
    kinds = {"host", "service", "name", "ja3", "rule", "emitter", "observer"}
    wait_until(lambda: kinds <= set(station.graph().nodes["kind"].to_pylist()))
    shot = station.graph()
    assert station.graph().version >= shot.version and shot.seq <= station.log.last_seq
    wait_until(lambda: station.graph().version > shot.version)
    assert shot.n_incidences == len(shot.incidence_edge)
    assert station.health["graph"]["failed"] == 0


def test_the_graph_of_a_past_moment_is_that_of_the_log(station) -> None:
    from engine.hypergraph import GraphFold

    moment = time.time() - 300.0
    past = station.graph(moment)
    fold = GraphFold()
    for table in station.log.stream(0, moment):
        fold.apply(table)
    expected = fold.snapshot(moment)
    assert past.nodes["id"].equals(expected.nodes["id"]) and past.edges["weight"].equals(expected.edges["weight"])
    assert station.graph(moment) is past


def test_an_upload_arrives_in_the_log_and_in_the_graph(station, real_data) -> None:
    result = station.upload(real_data("net/pcap/zeek-bro.org.pcap"), "bro.pcap")
    wait_until(lambda: station.queue.stats().depth == 0)
    wait_until(lambda: station.graph_fold.seq == station.log.last_seq)
    events = station.log.between(0, time.time(), sources=[result.name])
    assert events.num_rows == result.events and result.committed + sum(result.rejected.values()) == result.records


def test_a_host_that_roams_is_on_the_list_of_stable_fingerprints(station) -> None:
    wait_until(lambda: station.graph_live.fingerprints.table().num_rows >= 1)
