"""JA3, JA4, QUIC Initials and Community IDs: worked examples of their specifications, and what others computed."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events.payload import payload_columns
from engine.ingest import community_id, read_eve, read_pcap
from engine.ingest.tls_fingerprints import is_grease, ja3, ja3_string, ja4
from engine.ingest.tls_hello import ClientHello, parse_client_hello
from engine.ingest.tls_quic import _aes_blocks, initial_crypto

GREASE = [0x0A0A + 0x1010 * i for i in range(16)]


def u16s(*values):
    return b"".join(value.to_bytes(2, "big") for value in values)


def sized(data, size=2):
    return len(data).to_bytes(size, "big") + data


def message(version, ciphers, extensions):
    """A ClientHello on the wire, from numbers and (number, content) pairs."""
    body = u16s(version) + bytes(32) + sized(b"", 1) + sized(u16s(*ciphers)) + sized(b"\0", 1)
    if extensions:
        body += sized(b"".join(u16s(number) + sized(content) for number, content in extensions))
    return b"\x01" + sized(body, 3)


CONTENT = {
    0x0000: sized(b"\0" + sized(b"a.example")), 0x0010: sized(sized(b"h2", 1) + sized(b"http/1.1", 1)),
    0x002B: sized(u16s(0x0A0A, 0x0304, 0x0303), 1),
    0x000D: sized(u16s(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)),
}  # fmt: skip
# The worked example of the specification: a Chrome, in an order of its own, with GREASE.
CIPHERS = [0x2A2A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x009C,
           0x009D, 0x002F, 0x0035]  # fmt: skip
EXTENSIONS = [0x1A1A, 0x001B, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002D, 0x000D, 0x0005, 0x0023, 0x0012, 0x002B,
              0xFF01, 0x000B, 0x000A, 0x0015]  # fmt: skip


# -- JA3 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0", "ada70206e40642a3e4461f35503241d5"),
        ("769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6"),
    ],
)
def test_ja3_of_the_examples_of_its_description(text, digest):
    assert ja3(from_ja3(text)) == digest and ja3_string(from_ja3(text)) == text


def from_ja3(text):
    """A ClientHello that went over the wire, with what a JA3 string says in it."""
    version, *lists = text.split(",")
    ciphers, extensions, groups, formats = ([int(n) for n in part.split("-") if n] for part in lists)
    content = {0x000A: sized(u16s(*groups)), 0x000B: sized(bytes(formats), 1)}
    return parse_client_hello(message(int(version), ciphers, [(n, content.get(n, b"")) for n in extensions]))


@pytest.mark.parametrize("name", ["net/eve-2.json", "net/eve_large.json.bz2"])
def test_ja3_is_what_suricata_computed_for_the_same_client(real_data, name):
    events, _ = read_eve(real_data(name))
    found = payload_columns(events, {"ja3": str, "ja3_string": str})
    pairs = {(digest, text) for digest, text in zip(found["ja3"], found["ja3_string"], strict=True) if digest}
    assert len(pairs) >= 5
    for digest, text in pairs:
        assert ja3(from_ja3(text)) == digest


# -- JA4 ------------------------------------------------------------------------------------------


def test_ja4_of_the_example_of_its_specification():
    hello = parse_client_hello(message(0x0303, CIPHERS, [(n, CONTENT.get(n, b"")) for n in EXTENSIONS]))
    assert ja4(hello) == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert ja4(hello, "q").startswith("q13d1516h2_")


@given(st.permutations(CIPHERS), st.permutations(EXTENSIONS), st.sampled_from(GREASE))
def test_ja4_does_not_change_with_the_order_nor_with_grease(ciphers, extensions, grease):
    hello = parse_client_hello(message(0x0303, [grease, *ciphers], [(n, CONTENT.get(n, b"")) for n in extensions]))
    assert ja4(hello) == "t13d1516h2_8daaf6152771_e5627efa2ab1"


@pytest.mark.parametrize(
    ("alpn", "shown"),
    [("h2", "h2"), ("http/1.1", "h1"), ("", "00"), ("ab", "ab"), (b"\xab", "ab"), (b"\xab\xcd", "ad"),
     (b"\x30\xab", "3b"), (b"\x30\x31\xab\xcd", "3d"), (b"\x30\xab\xcd\x31", "01"), ("x", "xx")],
)  # fmt: skip
def test_the_protocol_in_ja4_by_the_examples_of_its_specification(alpn, shown):
    alpn = alpn.encode() if isinstance(alpn, str) else alpn
    assert ja4(ClientHello(0x0303, (1,), (16,), alpn=(alpn,)))[8:10] == shown


def test_ja4_of_a_client_that_offers_nothing():
    assert ja4(ClientHello(0x0301)) == "t10i000000_000000000000_000000000000"
    assert ja4(ClientHello(0xFEFD), "d")[:3] == "dd2"
    with pytest.raises(ValueError, match="'x'"):
        ja4(ClientHello(0x0301), "x")


def test_signature_algorithms_stay_in_order_and_leave_no_mark_when_there_are_none():
    bare = ClientHello(0x0303, (1,), (5,))
    assert ja4(bare).endswith(hashlib.sha256(b"0005").hexdigest()[:12])
    both = [ja4(ClientHello(0x0303, (1,), (5, 13), signatures=order)) for order in ((1, 2), (2, 1))]
    assert both[0] != both[1] and both[0].endswith(hashlib.sha256(b"0005,000d_0001,0002").hexdigest()[:12])


def test_grease_is_what_rfc_8701_lists():
    assert [value for value in range(1 << 16) if is_grease(value)] == GREASE


# -- the message itself ---------------------------------------------------------------------------


def test_a_real_client_as_zeek_reads_it(real_data):
    """Zeek's published log of this capture; `39578` and the like are GREASE."""
    events, _ = read_pcap(real_data("net/pcap/zeek-tls13draft23-chrome67.0.3368.0-canary.pcap"))
    (said,) = (json.loads(row["payload"]) for row in events.to_pylist() if row["kind"] == "net.tls")
    text = (
        "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53-10,"
        "65281-0-23-35-13-5-18-16-30032-11-51-45-43-10-24-21,29-23-24,0"
    )
    assert said["ja3"] == hashlib.md5(text.encode()).hexdigest()
    assert said["tls_sni"] == "tls13.crypto.mozilla.org" and said["tls_alpn"] == "h2 http/1.1"
    assert said["src_ip"] == "192.168.86.23" and said["src_port"] == 63449


def test_another_real_client_as_zeek_reads_it(real_data):
    events, _ = read_pcap(real_data("net/pcap/zeek-ecdhe.pcap"))
    (said,) = (json.loads(row["payload"]) for row in events.to_pylist() if row["kind"] == "net.tls")
    text = "771,49172-255,11-10-35-13-15,14-13-25-11-12-24-9-10-22-23-8-6-7-20-21-4-5-18-19-1-2-3-15-16-17,0-1-2"
    assert said["ja3"] == hashlib.md5(text.encode()).hexdigest() and "tls_sni" not in said


@given(st.integers(0, 400), st.integers(0, 255), st.integers(0, 400))
def test_a_damaged_hello_is_none_or_a_hello_and_never_an_error(at, byte, cut):
    data = bytearray(message(0x0303, CIPHERS, [(n, CONTENT.get(n, b"")) for n in EXTENSIONS]))
    data[at % len(data)] = byte
    for damaged in (bytes(data), bytes(data[:cut])):
        hello = parse_client_hello(damaged)
        assert hello is None or (len(ja4(hello)) == 36 and len(ja3(hello)) == 32)


@given(st.binary(max_size=300))
def test_any_name_stays_printable(name):
    hello = parse_client_hello(message(0x0303, [1], [(0, sized(b"\0" + sized(name)))]))
    assert hello.server_name is not None and hello.server_name.isprintable() and hello.server_name.isascii()


# -- QUIC -----------------------------------------------------------------------------------------

# RFC 9001, appendix A.2: a client's Initial on the wire, and the CRYPTO frame in it.
INITIAL = bytes.fromhex(
    "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c0bab7df5976d27cd"
    "449f63300099f3991c260ec4c60d17b31f8429157bb35a1282a643a8d2262cad67500cadb8e7378c8eb7539ec4d4905fed1bee1fc8aafba1"
    "7c750e2c7ace01e6005f80fcb7df621230c83711b39343fa028cea7f7fb5ff89eac2308249a02252155e2347b63d58c5457afd84d05dfffd"
    "b20392844ae812154682e9cf012f9021a6f0be17ddd0c2084dce25ff9b06cde535d0f920a2db1bf362c23e596d11a4f5a6cf3948838a3aec"
    "4e15daf8500a6ef69ec4e3feb6b1d98e610ac8b7ec3faf6ad760b7bad1db4ba3485e8a94dc250ae3fdb41ed15fb6a8e5eba0fc3dd60bc8e3"
    "0c5c4287e53805db059ae0648db2f64264ed5e39be2e20d82df566da8dd5998ccabdae053060ae6c7b4378e846d29f37ed7b4ea9ec5d82e7"
    "961b7f25a9323851f681d582363aa5f89937f5a67258bf63ad6f1a0b1d96dbd4faddfcefc5266ba6611722395c906556be52afe3f565636a"
    "d1b17d508b73d8743eeb524be22b3dcbc2c7468d54119c7468449a13d8e3b95811a198f3491de3e7fe942b330407abf82a4ed7c1b311663a"
    "c69890f4157015853d91e923037c227a33cdd5ec281ca3f79c44546b9d90ca00f064c99e3dd97911d39fe9c5d0b23a229a234cb36186c481"
    "9e8b9c5927726632291d6a418211cc2962e20fe47feb3edf330f2c603a9d48c0fcb5699dbfe5896425c5bac4aee82e57a85aaf4e2513e4f0"
    "5796b07ba2ee47d80506f8d2c25e50fd14de71e6c418559302f939b0e1abd576f279c4b2e0feb85c1f28ff18f58891ffef132eef2fa09346"
    "aee33c28eb130ff28f5b766953334113211996d20011a198e3fc433f9f2541010ae17c1bf202580f6047472fb36857fe843b19f5984009dd"
    "c324044e847a4f4a0ab34f719595de37252d6235365e9b84392b061085349d73203a4a13e96f5432ec0fd4a1ee65accdd5e3904df54c1da5"
    "10b0ff20dcc0c77fcb2c0e0eb605cb0504db87632cf3d8b4dae6e705769d1de354270123cb11450efc60ac47683d7b8d0f811365565fd98c"
    "4c8eb936bcab8d069fc33bd801b03adea2e1fbc5aa463d08ca19896d2bf59a071b851e6c239052172f296bfb5e72404790a2181014f3b94a"
    "4e97d117b438130368cc39dbb2d198065ae3986547926cd2162f40a29f0c3c8745c0f50fba3852e566d44575c29d39a03f0cda721984b6f4"
    "40591f355e12d439ff150aab7613499dbd49adabc8676eef023b15b65bfc5ca06948109f23f350db82123535eb8a7433bdabcb909271a6ec"
    "bcb58b936a88cd4e8f2e6ff5800175f113253d8fa9ca8885c2f552e657dc603f252e1a8e308f76f0be79e2fb8f5d5fbbe2e30ecadd220723"
    "c8c0aea8078cdfcb3868263ff8f0940054da48781893a7e49ad5aff4af300cd804a6b6279ab3ff3afb64491c85194aab760d58a606654f9f"
    "4400e8b38591356fbf6425aca26dc85244259ff2b19c41b9f96f3ca9ec1dde434da7d2d392b905ddf3d1f9af93d1af5950bd493f5aa731b4"
    "056df31bd267b6b90a079831aaf579be0a39013137aac6d404f518cfd46840647e78bfe706ca4cf5e9c5453e9f7cfd2b8b4c8d169a44e55c"
    "88d4a9a7f9474241e221af44860018ab0856972e194cd934"
)
HELLO = bytes.fromhex(
    "010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c000000010000e00"
    "000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e000500050100000000003300260024"
    "001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e04030503060302"
    "03080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901"
    "100f088394c8f03e51570806048000ffff"
)


def test_the_initial_packet_of_rfc_9001_is_opened():
    assert len(INITIAL) == 1200
    connection, pieces = initial_crypto(INITIAL)
    assert connection == bytes.fromhex("8394c8f03e515708") and pieces == [(0, HELLO)]
    hello = parse_client_hello(HELLO)
    assert hello.server_name == "example.com" and hello.alpn == (b"alpn",) and hello.versions == (0x0304,)


def test_aes_of_the_example_of_fips_197():
    block = np.frombuffer(bytes.fromhex("00112233445566778899aabbccddeeff"), np.uint8)[None]
    assert _aes_blocks(bytes(range(16)), block).tobytes().hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"


@given(st.integers(0, 1199), st.integers(1, 255))
def test_a_damaged_initial_is_none_or_other_pieces_and_never_an_error(at, change):
    damaged = bytearray(INITIAL)
    damaged[at] ^= change
    opened = initial_crypto(bytes(damaged))
    assert opened is None or all(isinstance(piece, bytes) for _, piece in opened[1])


# -- Community ID ---------------------------------------------------------------------------------

# Baseline of the specification, seed 0 (corelight/community-id-spec, baseline_deflt.json).
BASELINE = [
    (58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 135, 136, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
    (58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 135, 136, "1:zavyT/cezQr1fmImYCwYnMXbgck="),
    (58, "3ffe:501:1800:2345::2", "3ffe:507:0:1:200:86ff:fe05:80da", 3, 0, "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="),
    (58, "3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:501:0:1001::2", 128, 129, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="),
    (58, "fe80::200:86ff:fe05:80da", "ff02::2", 133, 134, "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="),
    (1, "192.168.0.89", "192.168.0.1", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    (1, "192.168.0.1", "192.168.0.89", 0, 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    (1, "10.0.0.1", "10.0.0.2", 11, 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
    (6, "2001:470:e5bf:dead:4957:2174:e82c:4887", "2607:f8b0:400c:c03::1a", 63943, 25,
     "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="),
    (132, "192.168.170.8", "192.168.170.56", 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
    (6, "66.35.250.204", "128.232.110.120", 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    (17, "192.168.1.52", "8.8.8.8", 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
    (46, "10.1.12.2", "10.1.12.1", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
]  # fmt: skip


@pytest.mark.parametrize(("proto", "src", "dest", "sport", "dport", "wanted"), BASELINE)
def test_community_ids_of_the_baseline_of_the_specification(proto, src, dest, sport, dport, wanted):
    assert community_id(src, dest, proto, sport, dport) == wanted


def test_a_flow_between_two_versions_of_ip_is_none():
    with pytest.raises(ValueError, match="different versions"):
        community_id("10.0.0.1", "::1", 6, 1, 2)
