"""Captures: every packet is in a flow or refused by reason, and what clients say is read as others read it."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import ipaddress
import itertools
import json
import math
import random
import time
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import SCHEMA
from engine.events.queue import BoundedQueue
from engine.ingest import CaptureEngine, PcapReplay, community_id, iter_pcap, read_pcap
from tests.ingest.packets import (
    ACK,
    COOKED,
    COOKED2,
    FIN,
    NULL,
    PSH,
    RAW,
    SYN,
    ethernet,
    ip,
    pcap,
    pcapng,
    slowly_counted,
    tcp,
    udp,
)
from tests.ingest.test_fingerprints import CIPHERS, CONTENT, EXTENSIONS, INITIAL, message, sized

CAPTURES = [
    "suricata-dhcp-request-flood", "suricata-tls-subjectaltname", "zeek-bro.org", "zeek-dns-edns-ecs", "zeek-ecdhe",
    "zeek-get", "zeek-http-vlan-0", "zeek-ipv6-fragmented-dns", "zeek-mdns", "zeek-pipelined-requests",
    "zeek-tls-1.2-stream-keylog", "zeek-tls13draft23-chrome67.0.3368.0-canary", "zeek-vlan-collisions",
]  # fmt: skip
HELLO = message(0x0303, CIPHERS, [(n, CONTENT.get(n, b"")) for n in EXTENSIONS])
RECORD = b"\x16\x03\x01" + sized(HELLO)
QUERY = bytes.fromhex("0007010000010000000000000161026263") + b"\x00\x00\x01\x00\x01"


def said(events, kind):
    return [json.loads(row["payload"]) for row in events.to_pylist() if row["kind"] == kind]


def packets_of(events):
    return sum(flow["pkts_to_server"] + flow["pkts_to_client"] for flow in said(events, "net.flow"))


def read(frames, **options):
    events, rejects = read_pcap(pcap(frames, **options))
    assert packets_of(events) + rejects.total == rejects.records
    return events, rejects


# -- real captures --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CAPTURES)
def test_every_packet_of_a_real_capture_is_in_a_flow_or_refused(real_data, name):
    path = real_data(f"net/pcap/{name}.pcap")
    events, rejects = read_pcap(path)
    flows, others = slowly_counted(path.read_bytes())
    later_fragments = others - rejects.total
    assert events.schema == SCHEMA and rejects.records == flows.total() + others
    assert packets_of(events) + rejects.total == rejects.records
    ours = Counter()
    for flow in said(events, "net.flow"):
        ends = [(ipaddress.ip_address(flow[f"{side}_ip"]), flow.get(f"{side}_port", 0)) for side in ("src", "dest")]
        proto = {"TCP": 6, "UDP": 17, "IPv6-ICMP": 58, "ICMP": 1, "IGMP": 2}[flow["proto"]]
        ours[proto, frozenset(ends)] += flow["pkts_to_server"] + flow["pkts_to_client"]
    assert ours.keys() == flows.keys() and (ours - flows).total() == later_fragments >= 0


def test_http_of_a_real_capture_as_zeek_reads_it(real_data):
    """Zeek's published http.log of this capture."""
    events, _ = read_pcap(real_data("net/pcap/zeek-pipelined-requests.pcap"))
    found = [(r["http_method"], r["http_host"], r["http_url"], r["http_referer"]) for r in said(events, "net.http")]
    calendar, css = "http://www.mozilla.org/projects/calendar/", "http://www.mozilla.org/style/screen.css"
    assert found == [
        ("GET", "www.mozilla.org", "/style/enhanced.css", calendar),
        ("GET", "www.mozilla.org", "/script/urchin.js", calendar),
        ("GET", "www.mozilla.org", "/images/template/screen/bullet_utility.png", css),
        ("GET", "www.mozilla.org", "/images/template/screen/key-point-top.png", css),
        ("GET", "www.mozilla.org", "/projects/calendar/images/header-sunbird.png", calendar + "calendar.css"),
    ]


def test_dns_in_fragments_of_a_real_capture_as_zeek_reads_it(real_data):
    """Zeek's published dns.log of this capture: both answers come in fragments of IPv6."""
    events, _ = read_pcap(real_data("net/pcap/zeek-ipv6-fragmented-dns.pcap"))
    answers = {(r["dns_id"], r["dns_name"], r["dns_rrtype"], r["dns_rcode"], r["src_port"])
               for r in said(events, "net.dns") if r["dns_type"] == "answer"}  # fmt: skip
    assert answers == {
        (3903, "txtpadding_323.n1.netalyzr.icsi.berkeley.edu", "TXT", "NOERROR", 51850),
        (40849, "txtpadding_3230.n1.netalyzr.icsi.berkeley.edu", "TXT", "NOERROR", 51851),
    }


def test_one_five_tuple_on_three_vlans_is_three_flows_as_in_zeek(real_data):
    """Zeek tells them apart by VLAN too: none, 42, and 20 within 10; together 21 packets each way."""
    events, _ = read_pcap(real_data("net/pcap/zeek-vlan-collisions.pcap"))
    flows = said(events, "net.flow")
    assert {flow.get("vlan") for flow in flows} == {None, "42", "10 20"}
    assert [(flow["pkts_to_server"], flow["pkts_to_client"]) for flow in flows] == [(7, 7)] * 3
    assert len(set(events["entity"].to_pylist())) == 1


def test_all_clients_of_a_real_capture_say_hello(real_data):
    events, _ = read_pcap(real_data("net/pcap/suricata-tls-subjectaltname.pcap"))
    hellos = said(events, "net.tls")
    assert len(hellos) == 40 and all(len(r["ja3"]) == 32 and len(r["ja4"]) == 36 for r in hellos)
    assert any(r["tls_sni"] == "www.bing.com" for r in hellos)


# -- containers -----------------------------------------------------------------------------------

FRAMES = [
    ethernet(ip("10.0.0.1", "10.0.0.2", 17, udp(5000 + i, 53, QUERY[:13] + bytes([97 + i % 26]) + QUERY[14:])))
    for i in range(40)
]


@pytest.mark.parametrize(
    "data",
    [
        pcap(FRAMES, big=True), pcap(FRAMES, nanos=True), pcap(FRAMES, big=True, nanos=True), pcapng(FRAMES),
        pcapng(FRAMES, big=True), pcapng(FRAMES, resolution=9), pcapng(FRAMES, resolution=128 + 30),
        gzip.compress(pcap(FRAMES)), bz2.compress(pcapng(FRAMES)),
    ],
    ids=["big", "nanos", "big nanos", "ng", "ng big", "ng nanos", "ng binary", "gzip", "bzip2"],
)  # fmt: skip
def test_every_container_gives_the_same_events(data):
    events, rejects = read_pcap(data)
    wanted, _ = read_pcap(pcap(FRAMES))
    assert wanted.num_rows == 80 and events.equals(wanted) and rejects.total == 0


def test_packets_without_a_time_are_refused():
    events, rejects = read_pcap(pcapng(FRAMES, simple=True))
    assert events.num_rows == 0 and rejects.counts == {"missing_time": 40}


@settings(max_examples=25)
@given(st.integers(64, 3_000))
def test_blocks_of_any_size_give_the_same_events(size):
    for data in (pcap(FRAMES), pcapng(FRAMES)):
        tables = list(iter_pcap(data, source="bytes", block_bytes=size))
        events = pa.concat_tables(tables).sort_by([("time", "ascending"), ("payload", "ascending")])
        wanted = read_pcap(pcap(FRAMES))[0].sort_by([("time", "ascending"), ("payload", "ascending")])
        assert events.equals(wanted)


@pytest.mark.parametrize(
    ("link", "before"),
    [
        (RAW, b""), (NULL, b"\x02\0\0\0"), (NULL, b"\0\0\0\x02"), (COOKED, bytes(14) + b"\x08\0"),
        (COOKED2, b"\x08\0" + bytes(18)), (1, bytes(12) + b"\x88\xa8\0\x05\x81\0\0\x06\x08\0"),
        (1, bytes(12) + b"\x88\x64\x11\0\0\0\0\0\0\x21"), (1, bytes(12) + b"\x88\x47\0\0\x10\x40\0\0\x21\x40"),
    ],
    ids=["raw", "null little", "null big", "cooked", "cooked 2", "QinQ", "PPPoE", "MPLS"],
)  # fmt: skip
def test_every_link_layer_leads_to_the_same_flow(link, before):
    events, _ = read([before + FRAMES[0][14:]], link=link)
    (flow,) = said(events, "net.flow")
    assert (flow["src_ip"], flow["src_port"], flow["dest_ip"], flow["dest_port"]) == ("10.0.0.1", 5000, "10.0.0.2", 53)
    assert len(said(events, "net.dns")) == 1


# -- flows ----------------------------------------------------------------------------------------


def conversation(*parts, sport=4000, seq=100):
    """Frames of a TCP connection: handshake, then client's payloads."""
    there, back = ("192.0.2.1", "198.51.100.9"), ("198.51.100.9", "192.0.2.1")
    frames = [ethernet(ip(*there, 6, tcp(sport, 443, seq=seq, flags=SYN))),
              ethernet(ip(*back, 6, tcp(443, sport, seq=900, flags=SYN | ACK)))]  # fmt: skip
    for part in parts:
        frames.append(ethernet(ip(*there, 6, tcp(sport, 443, part, seq=seq + 1, flags=PSH | ACK))))
        seq += len(part)
    return frames


def test_a_flow_counts_both_directions_from_the_side_that_opened_it():
    frames = conversation(b"x" * 10)
    for order in (frames, frames[1:]):  # the second capture began too late for the SYN
        (flow,) = said(read(order)[0], "net.flow")
        assert (flow["src_ip"], flow["src_port"], flow["dest_port"]) == ("192.0.2.1", 4000, 443)
        assert flow["pkts_to_server"] + flow["pkts_to_client"] == len(order)
        assert flow["bytes_to_server"] + flow["bytes_to_client"] == sum(map(len, order))
        assert flow["pkts_to_client"] == 1 and flow["state"] == "established"


def test_a_flow_has_the_id_that_other_tools_give_it_and_the_time_of_its_last_packet():
    events, _ = read(conversation(b"x"), times=[10**15 + n for n in (0, 5, 2_000_007)])
    (row,) = events.to_pylist()
    assert row["entity"] == community_id("192.0.2.1", "198.51.100.9", 6, 4000, 443)
    assert row["time"].timestamp() == pytest.approx(10**9 + 2.000007, abs=1e-6)
    assert json.loads(row["payload"])["start_s"] == 10**9


def test_silence_ends_a_flow_and_so_does_a_new_beginning():
    frame = FRAMES[0]
    events, _ = read([frame] * 4, times=[10**15, 10**15 + 119 * 10**6, 10**15 + 240 * 10**6, 10**15 + 241 * 10**6])
    assert [flow["pkts_to_server"] for flow in said(events, "net.flow")] == [2, 2]
    closing = ethernet(ip("192.0.2.1", "198.51.100.9", 6, tcp(4000, 443, flags=FIN | ACK)))
    events, _ = read([*conversation(), closing, *conversation(b"x")])
    assert [flow["pkts_to_server"] for flow in said(events, "net.flow")] == [2, 2]


def test_a_ping_and_its_answer_are_one_flow_and_a_type_without_answer_has_a_code():
    ping, pong = bytes([8, 0, 0, 0]) + bytes(8), bytes([0, 0, 0, 0]) + bytes(8)
    frames = [ethernet(ip("10.0.0.1", "10.0.0.2", 1, ping)), ethernet(ip("10.0.0.2", "10.0.0.1", 1, pong)),
              ethernet(ip("10.0.0.3", "10.0.0.1", 1, bytes([3, 13, 0, 0])))]  # fmt: skip
    first, second = said(read(frames)[0], "net.flow")
    assert (first["icmp_type"], first["icmp_code"], first["pkts_to_server"], first["pkts_to_client"]) == (8, 0, 1, 1)
    assert (second["icmp_type"], second["icmp_code"]) == (3, 13)


def test_extension_headers_of_ipv6_are_passed_over():
    payload = b"\x2b\x00" + bytes(6) + b"\x3c\x00" + bytes(6) + b"\x11\x01" + bytes(14) + udp(1, 2)
    (flow,) = said(read([ethernet(ip("2001:db8::1", "2001:db8::2", 0, payload))])[0], "net.flow")
    assert (flow["proto"], flow["src_port"], flow["dest_ip"]) == ("UDP", 1, "2001:db8::2")


@pytest.mark.parametrize("ends", [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")])
@settings(max_examples=30)
@given(order=st.permutations(range(4)))
def test_fragments_in_any_order_belong_to_the_flow_of_the_first_and_their_dns_is_read(ends, order):
    datagram = udp(5000, 53, QUERY + bytes(60))
    pieces = [datagram[i : i + 24] for i in range(0, len(datagram), 24)]
    frames = [ethernet(ip(*ends, 17, piece, more=int(i < len(pieces) - 1), offset=24 * i))
              for i, piece in enumerate(pieces)]  # fmt: skip
    assert len(frames) == 4
    events, rejects = read([frames[i] for i in order])
    (flow,) = said(events, "net.flow")
    assert rejects.total == 0 and flow["pkts_to_server"] == 4
    assert [r["dns_name"] for r in said(events, "net.dns")] == ["a.bc"]


def test_more_flows_than_there_is_room_for_are_told_early_and_none_is_lost():
    rng = random.Random(1)
    frames = [ethernet(ip("10.0.0.1", "10.0.0.2", 17, udp(rng.randrange(1, 300), 9))) for _ in range(2_000)]
    events = pa.concat_tables(list(iter_pcap(pcap(frames), max_flows=64)))
    assert packets_of(events) == 2_000 and len({flow["src_port"] for flow in said(events, "net.flow")}) == 299


def test_what_is_no_flow_is_refused_by_reason():
    good = FRAMES[0]
    frames = [good, bytes(12) + b"\x08\x06" + bytes(28), good[:20], good[:36], good[:14] + b"\x65" + good[15:],
              good[:14] + b"\x42" + good[15:],
              ethernet(ip("1.1.1.1", "2.2.2.2", 17, b"x" * 16, offset=800))]  # fmt: skip
    _, rejects = read(frames)
    assert rejects.counts == {"no_ip_packet": 1, "truncated_packet": 2, "malformed_packet": 2, "lost_fragment": 1}
    assert read([b"x" * 60], link=147)[1].counts == {"unknown_link_type": 1}
    assert read([good], times=[4_200_000_000 * 10**6])[1].counts == {"bad_time": 1}


# -- what is said ---------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.lists(st.integers(1, len(RECORD) - 1), max_size=6, unique=True), st.randoms(use_true_random=False))
def test_a_hello_in_segments_of_any_size_and_order_is_put_together(cuts, rng):
    ends = [0, *sorted(cuts), len(RECORD)]
    parts = [RECORD[a:b] for a, b in itertools.pairwise(ends)]
    opening, *segments = [conversation(*parts)[:2], *conversation(*parts)[2:]]
    segments += rng.sample(segments, len(segments) // 2)  # some come twice
    rng.shuffle(segments)
    (hello,) = said(read([*opening, *segments])[0], "net.tls")
    assert hello["ja4"] == "t13d1516h2_8daaf6152771_e5627efa2ab1" and hello["tls_sni"] == "a.example"


def test_a_hello_in_several_records_and_across_the_end_of_sequence_numbers():
    records = b"".join(b"\x16\x03\x01" + sized(HELLO[i : i + 50]) for i in range(0, len(HELLO), 50))
    frames = [ethernet(ip("192.0.2.1", "198.51.100.9", 6, tcp(4000, 443, seq=2**32 - 50, flags=SYN)))]
    for start in range(0, len(records), 90):
        seq = (2**32 - 49 + start) % 2**32
        frames.append(ethernet(ip("192.0.2.1", "198.51.100.9", 6, tcp(4000, 443, records[start : start + 90], seq))))
    (hello,) = said(read(frames)[0], "net.tls")
    assert hello["tls_sni"] == "a.example"


def test_the_quic_client_of_rfc_9001():
    events, _ = read([ethernet(ip("192.0.2.1", "198.51.100.9", 17, udp(5000, 443, INITIAL)))])
    (hello,), (flow,) = said(events, "net.quic"), said(events, "net.flow")
    listed = "0005,000a,000d,001c,002b,002d,0033,0039,ff01_0403,0503,0603,0203,0804,0805,0806"  # read from the RFC
    hashes = [hashlib.sha256(text.encode()).hexdigest()[:12] for text in ("1301,1302", listed)]
    assert hello["ja4"] == "_".join(["q13d0211an", *hashes])
    assert hello["tls_sni"] == "example.com" and flow["app_proto"] == "quic"


def test_requests_one_after_another_with_bodies_between():
    data = (
        b"POST /a HTTP/1.1\r\nHost: one\r\nContent-Length: 2000\r\n\r\n"
        + b"G" * 2000
        + b"GET /b HTTP/1.0\nHost: two\n\n"
    )
    frames = conversation(*(data[i : i + 700] for i in range(0, len(data), 700)))
    assert [(r["http_url"], r["http_host"]) for r in said(read(frames)[0], "net.http")] == [
        ("/a", "one"),
        ("/b", "two"),
    ]


def test_dns_over_tcp_and_its_answers():
    answer = QUERY[:2] + b"\x81\x80\0\x01\0\x02\0\0\0\0" + QUERY[12:] + b"\xc0\x0c\0\x05\0\x01\0\0\0\0\0\x02\xc0\x0e"
    answer += b"\xc0\x0c\0\x1c\0\x01\0\0\0\0\0\x10" + ipaddress.ip_address("2001:db8::7").packed
    there, back = ("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")
    frames = [
        ethernet(ip(*there, 6, tcp(4000, 53, sized(QUERY)))),
        ethernet(ip(*back, 6, tcp(53, 4000, sized(answer)))),
    ]
    query, reply = said(read(frames)[0], "net.dns")
    assert query["dns_name"] == reply["dns_name"] == "a.bc" and reply["dns_answers"] == "bc 2001:db8::7"
    assert query["src_ip"] == reply["src_ip"] == "10.0.0.1"


# -- replay ---------------------------------------------------------------------------------------


class Collected:
    """A sink with room for everything."""

    def __init__(self):
        self.tables = []

    def put(self, table, timeout_s=None):
        self.tables.append(table)
        return table.num_rows

    def times_s(self):
        return [moment.timestamp() for table in list(self.tables) for moment in table["time"].to_pylist()]


def test_a_replay_gives_what_reading_gives(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([*FRAMES, b"short"]))
    out, replay = Collected(), PcapReplay("x.pcap", path)
    replay.start(out)
    assert isinstance(replay, CaptureEngine) and replay.join(60.0)
    stats = replay.stats()
    assert stats.state == "finished" and stats.progress == 1.0 and stats.packets == 41 and stats.events == 80
    assert stats.rejected == {"truncated_packet": 1} and stats.parse_errors == 1
    events = pa.concat_tables(out.tables).sort_by([("time", "ascending"), ("payload", "ascending")])
    assert events.equals(read_pcap(path)[0].sort_by([("time", "ascending"), ("payload", "ascending")]))


def test_a_paced_replay_tells_what_is_due_and_goes_on_after_a_stop(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(FRAMES, times=[10**15 + i * 10**6 for i in range(40)]))
    now = [500.0]
    out, replay = Collected(), PcapReplay("x", path, speed=2.0, clock=lambda: now[0], rebased=True)
    replay.start(out)
    for elapsed, due in ((0.0, 1), (2.1, 5), (5.0, 11)):
        now[0] = 500.0 + elapsed
        deadline = time.monotonic() + 60
        while len(out.times_s()) < due and time.monotonic() < deadline:
            time.sleep(0.01)
        assert out.times_s() == [500.0 + i for i in range(due)], "rebased to the start of the replay"
    replay.stop()
    assert replay.stats().state == "idle"
    now[0] = 10_000.0
    replay.start(out)
    now[0] = 10_100.0
    assert replay.join(60.0) and sorted(out.times_s()) == sorted([500.0 + i for i in range(40)] * 2)


def test_a_replay_of_nothing_and_wrong_wishes():
    replay = PcapReplay("x", "/no/such/file")
    replay.start(BoundedQueue())
    assert replay.join(60.0) and replay.stats().state == "failed" and "FileNotFound" in replay.stats().last_error
    with pytest.raises(ValueError, match="speed"):
        PcapReplay("x", "y", speed=0.0)
    with pytest.raises(ValueError, match="idle_s"):
        read_pcap(b"", idle_s=-math.inf)
