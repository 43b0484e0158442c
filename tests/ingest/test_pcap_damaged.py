"""Damaged and hostile captures: no crash, the good packets all there, memory bounded, text stays text."""

from __future__ import annotations

import io
import itertools
import json
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ingest import REASONS, Rejects, iter_pcap, read_pcap
from engine.ingest.pcap_dns import parse_dns
from engine.ingest.pcap_http import parse_request
from engine.ingest.pcap_streams import MAX_HELD_BYTES, Streams
from tests.ingest.packets import SYN, ethernet, ip, pcap, pcapng, tcp, udp
from tests.ingest.test_fingerprints import CIPHERS, INITIAL, message, sized

HOSTILE = [
    "<script>alert(1)</script>",
    '"}, "evil": {"',
    "a\x00b\x1b[31m\r\n",
    "\u202egnp.exe",
    "x" * 5_000,
    "'; drop--",
]


def said(events, kind):
    return [json.loads(row["payload"]) for row in events.to_pylist() if row["kind"] == kind]


def packets_of(events):
    return sum(flow["pkts_to_server"] + flow["pkts_to_client"] for flow in said(events, "net.flow"))


def numbered(i):
    """A good packet that is recognised by its ports."""
    return ethernet(ip("10.0.0.1", "10.0.0.2", 17, udp(10_000 + i, 9, bytes(20 + i % 50))))


def ports(events):
    return {flow["src_port"] for flow in said(events, "net.flow") if flow.get("dest_port") == 9}


# -- damage ---------------------------------------------------------------------------------------


def variety():
    """Frames of every kind that is looked into."""
    query = bytes.fromhex("00070100000100000000000001610262630000010001")
    hello = b"\x16\x03\x01" + sized(message(0x0303, CIPHERS, [(0, sized(b"\0" + sized(b"a.b")))]))
    opening, said = tcp(1, 443, flags=SYN), tcp(1, 443, hello, 1)
    return [
        numbered(1), ethernet(ip("10.0.0.1", "10.0.0.2", 17, udp(53, 53, query))),
        ethernet(ip("10.0.0.1", "10.0.0.2", 6, opening), 7), ethernet(ip("10.0.0.1", "10.0.0.2", 6, said)),
        ethernet(ip("10.0.0.1", "10.0.0.2", 6, tcp(2, 80, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1))),
        ethernet(ip("2001:db8::1", "2001:db8::2", 17, udp(5000, 443, INITIAL)[:400], more=1)),
        ethernet(ip("2001:db8::1", "2001:db8::2", 58, bytes([128, 0, 0, 0]))),
        ethernet(ip("10.0.0.1", "10.0.0.2", 17, udp(53, 53, query)[:16], more=1)),
        ethernet(ip("10.0.0.1", "10.0.0.2", 17, udp(53, 53, query)[16:], offset=16)),
    ]  # fmt: skip


def damaged(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4) if data else 0):
        at, kind = rng.randrange(len(data)), rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            data[at : at + 2] = rng.choice([b"\xff\xff", b"\0\0", b"\x7f\xff"])
        elif kind == 2:
            del data[at + 1 : at + rng.randint(2, 40)]
        else:
            data[at:at] = rng.randbytes(rng.randint(1, 40))
    return bytes(data)


def test_ten_thousands_of_damaged_packets_among_good_ones():
    rng = random.Random(5)
    frames = variety()
    mixed = list(itertools.chain.from_iterable((damaged(rng, rng.choice(frames)), numbered(i)) for i in range(20_000)))
    events, rejects = read_pcap(pcap(mixed))
    assert rejects.records == 40_000 == packets_of(events) + rejects.total
    assert set(rejects.counts) <= set(REASONS) and ports(events) >= set(range(10_000, 30_000))


@pytest.mark.parametrize("container", [pcap, pcapng])
def test_thousands_of_damaged_captures(container):
    rng = random.Random(6)
    whole = container(variety())
    for _ in range(2_500):
        rejects = Rejects()
        tables = list(
            iter_pcap(damaged(rng, whole), rejects=rejects, max_flows=32, block_bytes=rng.choice([100, 1 << 20]))
        )
        packets = sum(map(packets_of, tables))
        assert packets + rejects.total == rejects.records and set(rejects.counts) <= set(REASONS)


@pytest.mark.parametrize("container", [pcap, pcapng])
def test_a_damaged_record_costs_no_more_than_itself(container):
    """Its header is overwritten, or bytes are lost within it; all other packets are found."""
    rng = random.Random(7)
    frames = [numbered(i) for i in range(60)]
    whole = container(frames)
    header = 16 if container is pcap else 28
    for _ in range(200):
        hit = rng.randrange(1, 59)
        at = whole.index(frames[hit]) - header
        harm = rng.choice(["length", "noise", "lost"])
        if harm == "length":
            place = at + (8 if container is pcap else 4)
            data = whole[:place] + rng.randbytes(4) + whole[place + 4 :]
        elif harm == "noise":
            data = whole[:at] + rng.randbytes(header) + whole[at + header :]
        else:
            data = whole[: at + header + 5] + whole[at + header + 25 :]
        events, rejects = read_pcap(data)
        missing = set(range(10_000, 10_060)) - ports(events)
        assert missing <= {10_000 + hit}, (harm, hit, rejects)
        assert packets_of(events) + rejects.total == rejects.records


def test_a_capture_that_ends_in_the_middle_keeps_what_came_before():
    for container in (pcap, pcapng):
        whole = container([numbered(i) for i in range(10)])
        for cut in range(30, len(whole), 7):
            events, rejects = read_pcap(whole[:cut])
            assert packets_of(events) + rejects.total == rejects.records
            assert len(ports(events)) >= (cut - 200) // 130


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty_source"), (b"GIF89a" + bytes(100), "unknown_format"), (pcap([])[:20], "truncated")],
)
def test_what_is_no_capture_is_refused(data, reason):
    events, rejects = read_pcap(data)
    assert events.num_rows == 0 and rejects.counts == {reason: 1} and rejects.records == 1


@given(st.binary(max_size=400))
def test_any_bytes_are_read_to_their_end(data):
    for head in (pcap([]), pcapng([])):
        events, rejects = read_pcap(head + data)
        assert packets_of(events) + rejects.total == rejects.records


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_none(data):
    parse_dns(data)
    parse_dns(bytes.fromhex("000781800001000500000000") + data)
    try:
        parse_request(b"GET / HTTP/1.1\r\n" + data)
    except ValueError as refused:
        assert "head" in str(refused) or "request" in str(refused)


def test_a_name_that_points_in_circles_ends():
    assert parse_dns(bytes.fromhex("0007010000010000000000000161c00c00010001")) is None
    assert parse_dns(bytes.fromhex("00070100000100000000000001") + b"a" + b"\xc0\x0e" * 50) is None


# -- hostile --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_printable_text_in_their_own_fields(text):
    name = text.encode()
    hello = b"\x16\x03\x01" + sized(message(0x0303, [1], [(0, sized(b"\0" + sized(name)))]))
    label = sized(name[:60], 1)
    query = bytes.fromhex("000701000001000000000000") + label + b"\0\0\1\0\1"
    request = b"GET /" + b"".join(name.split()) + b" HTTP/1.1\r\nHost: " + name[:900] + b"\r\n\r\n"
    ends = "10.0.0.1", "10.0.0.2"
    frames = [ethernet(ip(*ends, 17, udp(1, 53, query)))]
    for sport, data in ((2, hello), (3, request)):
        frames += [ethernet(ip(*ends, 6, tcp(sport, 80, data[i : i + 1_400], i))) for i in range(0, len(data), 1_400)]
    events, _ = read_pcap(pcap(frames))
    (tls,), (dns,), (http,) = (said(events, kind) for kind in ("net.tls", "net.dns", "net.http"))
    for shown in (tls["tls_sni"], dns["dns_name"], http["http_url"], http["http_host"]):
        assert shown.isprintable() and shown.isascii() and len(shown) <= 4 * 512
    assert "evil" not in {*tls, *dns, *http}


def test_streams_that_never_end_are_forgotten():
    streams = Streams()
    for i in range(6_000):  # each leaves a gap at its beginning, and 60 000 bytes after it
        streams.tcp(i, 0, 1, bytes(60_000), False)
    assert 0 < streams._held <= MAX_HELD_BYTES and len(streams._streams) < 2_000
    assert streams._held == sum(stream.held for stream in streams._streams.values())


def test_memory_does_not_grow_with_the_length_of_a_capture():
    def peak(packets):
        frames = [ethernet(ip("10.0.0.1", "10.0.0.2", 6, tcp(i, 80, bytes(1_000), i))) for i in range(50)]
        one = pcap(frames)[24:]
        file = io.BytesIO(pcap([])[:24] + one * (packets // 50))
        tracemalloc.start()
        for _ in iter_pcap(file, max_flows=1_000):
            pass
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    read_pcap(pcap(variety()))  # compiled
    assert peak(40_000) < 1.3 * peak(10_000)
