"""Packets taken apart in compiled code: link layer, VLAN tags, IPv4 and IPv6, TCP, UDP, ICMP.

One row of numbers per packet, or the reason why it has none. Plain arrays in and out; it knows
headers, and neither flows nor what applications say.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.ingest.pcap_address import ICMP, ICMP4_PAIR, ICMP6, ICMP6_PAIR, SCTP, TCP, UDP

GOOD, NO_IP, TRUNCATED, MALFORMED, UNKNOWN_LINK, NO_TIME, BAD_TIME, LATER_FRAGMENT = range(8)
"""Verdicts. A later fragment is good, and needs the first one to tell its ports."""

(
    VERDICT, VERSION, PROTO, SRC_PORT, DEST_PORT, VLAN, AT, SIZE, FLAGS, SEQ, FRAGMENT_ID, FRAGMENT_AT, MORE_FRAGMENTS,
) = range(13)  # fmt: skip
FIELDS = 13
"""Columns of the numbers. VLAN has the outer tag in its lower 13 bits and the inner one above, each plus one
where there is one. AT and SIZE are the payload of the transport, or of a later fragment. FLAGS are those of TCP.
FRAGMENT_ID is -1 for a whole datagram. Ports of ICMP are its type, and its code or, if the type asks or answers,
the other type."""

LATEST_US = 4_102_444_800_000_000
"""2100-01-01: later times are damage."""


@njit(cache=True, nogil=True)
def _u16(data: np.ndarray, at: int) -> int:
    return (data[at] << 8) | data[at + 1]


@njit(cache=True, nogil=True)
def _u32(data: np.ndarray, at: int) -> int:
    return (_u16(data, at) << 16) | _u16(data, at + 2)


@njit(cache=True, nogil=True)
def _u64(data: np.ndarray, at: int) -> np.uint64:
    return (np.uint64(_u32(data, at)) << np.uint64(32)) | np.uint64(_u32(data, at + 4))


@njit(cache=True, nogil=True)
def _after_link(data: np.ndarray, at: int, end: int, link: int) -> tuple[int, int, int]:
    """Where the network layer begins (negative: a verdict), its EtherType, and the VLAN tags."""
    if link == 1:  # Ethernet
        at, kind = at + 14, (_u16(data, at + 12) if end - at >= 14 else -1)
    elif link == 113:  # Linux cooked, version 1
        at, kind = at + 16, (_u16(data, at + 14) if end - at >= 16 else -1)
    elif link == 276:  # Linux cooked, version 2
        at, kind = at + 20, (_u16(data, at) if end - at >= 20 else -1)
    elif link == 0 or link == 108:  # BSD loopback: an address family in some byte order, 2 is IPv4
        if end - at < 4:
            return -TRUNCATED, 0, 0
        kind = 0x0800 if data[at] == 2 or data[at + 3] == 2 else 0x86DD
        at += 4
    elif link == 101 or link == 12 or link == 14 or link == 228 or link == 229:  # IP without a link layer
        kind = -1 if at >= end else (0x86DD if data[at] >> 4 == 6 else 0x0800)
    else:
        return -UNKNOWN_LINK, 0, 0
    if kind < 0:
        return -TRUNCATED, 0, 0
    vlan, tags = 0, 0
    while kind == 0x8100 or kind == 0x88A8 or kind == 0x9100:
        if end - at < 4:
            return -TRUNCATED, 0, 0
        if tags < 2:
            vlan |= ((_u16(data, at) & 0xFFF) + 1) << (13 * tags)
        tags, kind, at = tags + 1, _u16(data, at + 2), at + 4
    if kind == 0x8864:  # PPPoE session
        if end - at < 8:
            return -TRUNCATED, 0, 0
        protocol = _u16(data, at + 6)
        kind, at = (0x0800 if protocol == 0x21 else (0x86DD if protocol == 0x57 else 0)), at + 8
    elif kind == 0x8847:  # MPLS: labels up to the bottom of the stack, below it IP
        while end - at >= 4 and not data[at + 2] & 1:
            at += 4
        at += 4
        kind = -1 if at >= end else (0x86DD if data[at] >> 4 == 6 else 0x0800)
    return (at if kind >= 0 else -TRUNCATED), kind, vlan


@njit(cache=True, nogil=True)
def _ip4(data: np.ndarray, at: int, end: int, row: np.ndarray, address: np.ndarray) -> int:
    """Read an IPv4 header; where its payload begins, or a negative verdict."""
    if end - at < 20:
        return -TRUNCATED
    size, total = (data[at] & 15) * 4, _u16(data, at + 2)
    if data[at] >> 4 != 4 or size < 20 or (total and total < size):
        return -MALFORMED
    if end - at < size:
        return -TRUNCATED
    row[VERSION], row[PROTO] = 4, data[at + 9]
    fragment = _u16(data, at + 6)
    if fragment & 0x3FFF:
        row[FRAGMENT_ID] = _u16(data, at + 4)
        row[FRAGMENT_AT], row[MORE_FRAGMENTS] = (fragment & 0x1FFF) * 8, (fragment >> 13) & 1
    address[0], address[2] = 0, 0
    address[1], address[3] = np.uint64(_u32(data, at + 12)), np.uint64(_u32(data, at + 16))
    # Cards that split packets themselves leave 0 as the length; padding of short frames is not payload.
    row[SIZE] = (min(end - at, total) if total else end - at) - size
    return at + size


@njit(cache=True, nogil=True)
def _ip6(data: np.ndarray, at: int, end: int, row: np.ndarray, address: np.ndarray) -> int:
    """Read an IPv6 header and its extensions; where its payload begins, or a negative verdict."""
    if end - at < 40:
        return -TRUNCATED
    if data[at] >> 4 != 6:
        return -MALFORMED
    row[VERSION] = 6
    for k in range(4):
        address[k] = _u64(data, at + 8 + 8 * k)
    announced, kind = _u16(data, at + 4), data[at + 6]
    at += 40
    stop = min(end, at + announced) if announced else end
    while kind == 0 or kind == 43 or kind == 44 or kind == 51 or kind == 60 or kind == 135:
        if stop - at < 8:
            return -TRUNCATED
        following = data[at]
        if kind == 44:
            fragment = _u16(data, at + 2)
            row[FRAGMENT_ID] = _u32(data, at + 4)
            row[FRAGMENT_AT], row[MORE_FRAGMENTS] = fragment & 0xFFF8, fragment & 1
            if fragment & 0xFFF9 == 0:  # an atomic fragment is the whole datagram (RFC 6946)
                row[FRAGMENT_ID] = -1
            at += 8
            if fragment & 0xFFF8:
                kind = following
                break
        else:
            at += (data[at + 1] + 2) * 4 if kind == 51 else (data[at + 1] + 1) * 8
        kind = following
        if at > stop:
            return -TRUNCATED
    row[PROTO], row[SIZE] = kind, stop - at
    return at


@njit(cache=True, nogil=True)
def read_transport(data: np.ndarray, at: int, end: int, row: np.ndarray) -> int:
    """Read ports and where the payload lies; a verdict."""
    proto, size = row[PROTO], end - at
    row[AT], row[SIZE] = at, max(0, size)
    if proto == TCP:
        if size < 20:
            return TRUNCATED
        header = (data[at + 12] >> 4) * 4
        if header < 20:
            return MALFORMED
        row[SRC_PORT], row[DEST_PORT] = _u16(data, at), _u16(data, at + 2)
        row[SEQ], row[FLAGS] = _u32(data, at + 4), data[at + 13]
        row[AT], row[SIZE] = min(at + header, end), max(0, size - header)
    elif proto in (UDP, SCTP):
        header = 8 if proto == UDP else 12
        if size < header:
            return TRUNCATED
        row[SRC_PORT], row[DEST_PORT] = _u16(data, at), _u16(data, at + 2)
        row[AT], row[SIZE] = at + header, size - header
        if proto == UDP and _u16(data, at + 4) >= 8:
            row[SIZE] = min(row[SIZE], _u16(data, at + 4) - 8)
    elif proto in (ICMP, ICMP6):
        if size < 4:
            return TRUNCATED
        other = ICMP4_PAIR[data[at]] if proto == ICMP else ICMP6_PAIR[data[at]]
        row[SRC_PORT], row[DEST_PORT] = data[at], (other if other >= 0 else data[at + 1])
    return GOOD


@njit(cache=True, nogil=True)
def _read_packet(data: np.ndarray, at: int, end: int, link: int, row: np.ndarray, address: np.ndarray) -> int:
    at, kind, vlan = _after_link(data, at, end, link)
    if at < 0:
        return -at
    row[VLAN] = vlan
    if kind == 0x0800:
        at = _ip4(data, at, end, row, address)
    elif kind == 0x86DD:
        at = _ip6(data, at, end, row, address)
    else:
        return NO_IP
    if at < 0:
        return -at
    row[AT] = at
    if row[FRAGMENT_ID] >= 0 and row[FRAGMENT_AT]:
        return LATER_FRAGMENT
    return read_transport(data, at, at + row[SIZE], row)


@njit(cache=True, nogil=True)
def decode(
    data: np.ndarray, start: np.ndarray, captured: np.ndarray, time_us: np.ndarray, link: np.ndarray,
    rows: np.ndarray, addresses: np.ndarray,
) -> None:  # fmt: skip
    """Take packets apart.

    Parameters
    ----------
    data : ndarray of uint8
    start, captured, time_us, link : ndarray of int64, (n,)
        As in `engine.ingest.pcap_container.Packets`.
    rows : ndarray of int64, (n, FIELDS)
        Filled; the columns are named above.
    addresses : ndarray of uint64, (n, 4)
        Filled: halves of the source's address and of the destination's.
    """
    for i in range(len(start)):
        row = rows[i]
        row[:] = 0
        row[FRAGMENT_ID] = -1
        if time_us[i] < 0:
            row[VERDICT] = NO_TIME
        elif time_us[i] >= LATEST_US:
            row[VERDICT] = BAD_TIME
        else:
            row[VERDICT] = _read_packet(data, start[i], start[i] + captured[i], link[i], row, addresses[i])
