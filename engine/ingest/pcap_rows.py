"""Flows as events: their entities and payloads written in compiled code, with the same keys as EVE's.

It knows the columns of a flow and the names of protocols, and not how flows came about.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

from engine.events import event_table
from engine.ingest.pcap_address import (
    COMMUNITY_ID_CHARS,
    ICMP,
    ICMP4_PAIR,
    ICMP6,
    ICMP6_PAIR,
    SCTP,
    TCP,
    UDP,
    write_community_id,
    write_int,
    write_ip,
)
from engine.ingest.pcap_flows import (
    F_APP,
    F_BYTES,
    F_BYTES_BACK,
    F_DEST_PORT,
    F_FIRST_US,
    F_FLAGS,
    F_FLAGS_BACK,
    F_LAST_US,
    F_PACKETS,
    F_PACKETS_BACK,
    F_PROTO,
    F_SRC_PORT,
    F_VERSION,
    F_VLAN,
)

FLOW_KIND = "net.flow"
_NAMED = {
    1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 41: "IPv6", 47: "GRE", 50: "ESP", 51: "AH", 58: "IPv6-ICMP",
    89: "OSPF", 103: "PIM", 112: "VRRP", 132: "SCTP",
}  # fmt: skip
PROTOCOLS = [_NAMED.get(number, f"IP-{number}") for number in range(256)]
"""Name of each IP protocol in payloads; EVE's where it has one."""

APPS = ["", "dns", "tls", "http", "quic"]

_WORDS = [
    '{"src_ip":"', '","dest_ip":"', '","src_port":', ',"dest_port":', '","icmp_type":', ',"icmp_code":', '"',
    ',"proto":"', '","app_proto":"', '","pkts_to_server":', ',"pkts_to_client":', ',"bytes_to_server":',
    ',"bytes_to_client":', ',"start_s":', ',"end_s":', ',"state":"', '","tcp_flags":"', '","vlan":"', '"}',
    "new", "established", "closed",
]  # fmt: skip
(
    _SRC, _DEST, _SPORT, _DPORT, _ITYPE, _ICODE, _QUOTE, _PROTO, _APP, _PACKETS, _PACKETS_BACK, _BYTES, _BYTES_BACK,
    _START, _END, _STATE, _TCP_FLAGS, _VLAN, _CLOSE, _NEW, _ESTABLISHED, _CLOSED,
) = range(len(_WORDS))  # fmt: skip
_PROTO_WORDS = len(_WORDS)
_APP_WORDS = _PROTO_WORDS + 256
_MAX_PAYLOAD = 512


def _packed(words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [word.encode() for word in words]
    return np.cumsum([0, *map(len, encoded)]).astype(np.int64), np.frombuffer(b"".join(encoded), np.uint8)


_WORD_AT, _WORD_BYTES = _packed([*_WORDS, *PROTOCOLS, *APPS])


@njit(cache=True, nogil=True)
def _word(number: int, word_at: np.ndarray, words: np.ndarray, out: np.ndarray, at: int) -> int:
    for i in range(word_at[number], word_at[number + 1]):
        out[at] = words[i]
        at += 1
    return at


@njit(cache=True, nogil=True)
def _seconds(time_us: int, out: np.ndarray, at: int) -> int:
    at = write_int(time_us // 1_000_000, out, at)
    out[at] = 46
    rest = time_us % 1_000_000
    for k in range(6):
        out[at + 6 - k] = 48 + rest % 10
        rest //= 10
    return at + 7


@njit(cache=True, nogil=True)
def _write_endpoints(
    flow: np.ndarray, ends: np.ndarray, word_at: np.ndarray, words: np.ndarray, out: np.ndarray, at: int
) -> int:
    proto = flow[F_PROTO]
    at = write_ip(flow[F_VERSION], ends[0], ends[1], out, _word(_SRC, word_at, words, out, at))
    at = write_ip(flow[F_VERSION], ends[2], ends[3], out, _word(_DEST, word_at, words, out, at))
    if proto in (ICMP, ICMP6):
        at = write_int(flow[F_SRC_PORT], out, _word(_ITYPE, word_at, words, out, at))
        pair = ICMP4_PAIR[flow[F_SRC_PORT]] if proto == ICMP else ICMP6_PAIR[flow[F_SRC_PORT]]
        code = flow[F_DEST_PORT] if pair < 0 else 0  # those that ask or answer have no code but 0
        at = write_int(code, out, _word(_ICODE, word_at, words, out, at))
    elif proto in (TCP, UDP, SCTP):
        at = write_int(flow[F_SRC_PORT], out, _word(_SPORT, word_at, words, out, at))
        at = write_int(flow[F_DEST_PORT], out, _word(_DPORT, word_at, words, out, at))
    else:
        at = _word(_QUOTE, word_at, words, out, at)
    return _word(_PROTO_WORDS + proto, word_at, words, out, _word(_PROTO, word_at, words, out, at))


@njit(cache=True, nogil=True)
def _write_flow(
    flow: np.ndarray, ends: np.ndarray, word_at: np.ndarray, words: np.ndarray, out: np.ndarray, at: int
) -> int:
    at = _write_endpoints(flow, ends, word_at, words, out, at)
    if flow[F_APP]:
        at = _word(_APP_WORDS + flow[F_APP], word_at, words, out, _word(_APP, word_at, words, out, at))
    at = write_int(flow[F_PACKETS], out, _word(_PACKETS, word_at, words, out, at))
    at = write_int(flow[F_PACKETS_BACK], out, _word(_PACKETS_BACK, word_at, words, out, at))
    at = write_int(flow[F_BYTES], out, _word(_BYTES, word_at, words, out, at))
    at = write_int(flow[F_BYTES_BACK], out, _word(_BYTES_BACK, word_at, words, out, at))
    at = _seconds(flow[F_FIRST_US], out, _word(_START, word_at, words, out, at))
    at = _seconds(flow[F_LAST_US], out, _word(_END, word_at, words, out, at))
    flags = flow[F_FLAGS] | flow[F_FLAGS_BACK]
    state = _ESTABLISHED if flow[F_PACKETS] and flow[F_PACKETS_BACK] else _NEW
    if flags & 5:  # FIN or RST
        state = _CLOSED
    at = _word(state, word_at, words, out, _word(_STATE, word_at, words, out, at))
    if flow[F_PROTO] == TCP:
        at = _word(_TCP_FLAGS, word_at, words, out, at)
        for shift in (4, 0):
            digit = (flags >> shift) & 15
            out[at] = 48 + digit if digit < 10 else 87 + digit
            at += 1
    if flow[F_VLAN]:
        at = write_int((flow[F_VLAN] & 0x1FFF) - 1, out, _word(_VLAN, word_at, words, out, at))
        if flow[F_VLAN] >> 13:
            out[at] = 32
            at = write_int((flow[F_VLAN] >> 13) - 1, out, at + 1)
    return _word(_CLOSE, word_at, words, out, at)


@njit(cache=True, nogil=True)
def _write_flows(
    flows: np.ndarray, ends: np.ndarray, word_at: np.ndarray, words: np.ndarray, entities: np.ndarray,
    payloads: np.ndarray, payload_at: np.ndarray,
) -> None:  # fmt: skip
    for i in range(len(flows)):
        flow = flows[i]
        write_community_id(
            flow[F_VERSION], ends[i, 0], ends[i, 1], ends[i, 2], ends[i, 3], flow[F_PROTO], flow[F_SRC_PORT],
            flow[F_DEST_PORT], entities, COMMUNITY_ID_CHARS * i,
        )  # fmt: skip
        payload_at[i + 1] = _write_flow(flow, ends[i], word_at, words, payloads, payload_at[i])


def flow_events(flows: np.ndarray, ends: np.ndarray, source: str) -> pa.Table:
    """Events of kind ``net.flow``, at the time of each flow's last packet.

    Parameters
    ----------
    flows : ndarray of int64, (n, FLOW_FIELDS)
    ends : ndarray of uint64, (n, 4)
    source : str

    Returns
    -------
    pyarrow.Table
        n events, schema `engine.events.SCHEMA`.
    """
    n = len(flows)
    payload_at = np.zeros(n + 1, np.int32)
    payloads = np.empty(n * _MAX_PAYLOAD, np.uint8)
    entities = np.empty(n * COMMUNITY_ID_CHARS, np.uint8)
    _write_flows(flows, ends, _WORD_AT, _WORD_BYTES, entities, payloads, payload_at)
    entity_at = np.arange(n + 1, dtype=np.int32) * COMMUNITY_ID_CHARS
    entity = pa.StringArray.from_buffers(n, pa.py_buffer(entity_at), pa.py_buffer(entities))
    used = payloads[: payload_at[n]].copy()
    payload = pa.StringArray.from_buffers(n, pa.py_buffer(payload_at), pa.py_buffer(used))
    return event_table(flows[:, F_LAST_US].copy(), FLOW_KIND, entity, source, payload=payload)


def endpoints(flow: np.ndarray, ends: np.ndarray, back: bool = False) -> tuple[str, dict[str, Any]]:
    """Entity of a flow, and the part of a payload that names its ends; `back` puts the server first.

    Parameters
    ----------
    flow : ndarray of int64, (FLOW_FIELDS,)
    ends : ndarray of uint64, (4,)
    back : bool

    Returns
    -------
    entity : str
        Community ID.
    said : dict
        ``src_ip``, ``src_port``, ``dest_ip``, ``dest_port``, ``proto`` and, where there are tags, ``vlan``.
    """
    out = np.empty(COMMUNITY_ID_CHARS, np.uint8)
    version, proto = int(flow[F_VERSION]), int(flow[F_PROTO])
    ports = int(flow[F_SRC_PORT]), int(flow[F_DEST_PORT])
    write_community_id(version, ends[0], ends[1], ends[2], ends[3], proto, *ports, out, 0)
    kind = ipaddress.IPv6Address if version == 6 else ipaddress.IPv4Address
    sides = [
        (str(kind((int(ends[0]) << 64) | int(ends[1]))), ports[0]),
        (str(kind((int(ends[2]) << 64) | int(ends[3]))), ports[1]),
    ]
    (src_ip, src_port), (dest_ip, dest_port) = reversed(sides) if back else sides
    said: dict[str, Any] = {
        "src_ip": src_ip, "dest_ip": dest_ip, "src_port": src_port, "dest_port": dest_port, "proto": PROTOCOLS[proto],
    }  # fmt: skip
    if flow[F_VLAN]:
        tags = int(flow[F_VLAN])
        said["vlan"] = " ".join(str(tag - 1) for tag in (tags & 0x1FFF, tags >> 13) if tag)
    return out.tobytes().decode("ascii"), said
