"""Packets gathered into flows by their five-tuple, in compiled code, with the few that may tell more picked out.

A flow table in flat arrays with a hash table over it. It knows addresses, ports and TCP's sequence
numbers, and not what applications say: whoever does is told where to look.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.ingest.pcap_address import TCP, UDP
from engine.ingest.pcap_decode import AT, DEST_PORT, FLAGS, GOOD, PROTO, SEQ, SIZE, SRC_PORT, VERDICT, VERSION, VLAN

(
    F_VERSION, F_PROTO, F_SRC_PORT, F_DEST_PORT, F_VLAN, F_FIRST_US, F_LAST_US, F_PACKETS, F_PACKETS_BACK, F_BYTES,
    F_BYTES_BACK, F_FLAGS, F_FLAGS_BACK, F_BASE, F_BASE_BACK, F_WANTED, F_WANTED_BACK, F_SERIAL, F_APP,
) = range(19)  # fmt: skip
FLOW_FIELDS = 19
"""Columns of a flow; *BACK* is from the server to the client. `F_BASE` is the first sequence number of the
payload, -1 if unknown; `F_WANTED` is how many bytes of payload are worth a look, -1 if undecided."""

NO_APP, DNS, TLS, HTTP, QUIC = range(5)
"""What `F_APP` may say."""

UNDECIDED_BYTES = 1 << 14
HTTP_BYTES = 1 << 20
HELLO_BYTES = 1 << 16
DNS_BYTES = 1 << 16
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16


@njit(cache=True, nogil=True)
def _mixed(high: np.uint64, low: np.uint64, port: int) -> np.uint64:
    value = (high * np.uint64(0x9E3779B97F4A7C15)) ^ (low * np.uint64(0xC2B2AE3D27D4EB4F)) ^ np.uint64(port)
    value ^= value >> np.uint64(29)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    return value ^ (value >> np.uint64(32))


@njit(cache=True, nogil=True)
def _hash(address: np.ndarray, src_port: int, dest_port: int, proto: int, vlan: int) -> int:
    """The same for both directions."""
    both = _mixed(address[0], address[1], src_port) + _mixed(address[2], address[3], dest_port)
    both ^= np.uint64(proto) * np.uint64(0x94D049BB133111EB) ^ np.uint64(vlan) * np.uint64(0xD6E8FEB86659FD93)
    return int(np.int64((both ^ (both >> np.uint64(31))) & np.uint64(0x7FFFFFFFFFFFFFFF)))


@njit(cache=True, nogil=True)
def _direction(flow: np.ndarray, ends: np.ndarray, row: np.ndarray, address: np.ndarray) -> int:
    """0 from the client, 1 from the server, -1 another flow."""
    if flow[F_PROTO] != row[PROTO] or flow[F_VLAN] != row[VLAN] or flow[F_VERSION] != row[VERSION]:
        return -1
    src, dest = row[SRC_PORT], row[DEST_PORT]
    if (
        flow[F_SRC_PORT] == src and flow[F_DEST_PORT] == dest and ends[0] == address[0] and ends[1] == address[1]
        and ends[2] == address[2] and ends[3] == address[3]
    ):  # fmt: skip
        return 0
    if (
        flow[F_SRC_PORT] == dest and flow[F_DEST_PORT] == src and ends[0] == address[2] and ends[1] == address[3]
        and ends[2] == address[0] and ends[3] == address[1]
    ):  # fmt: skip
        return 1
    return -1


@njit(cache=True, nogil=True)
def _begins_anew(flow: np.ndarray, row: np.ndarray, time_us: int, idle_us: int) -> bool:
    """Whether a packet of a known five-tuple is of another conversation."""
    if abs(time_us - flow[F_LAST_US]) > idle_us:
        return True
    opening = row[PROTO] == TCP and row[FLAGS] & (_SYN | _ACK) == _SYN
    return opening and (flow[F_FLAGS] | flow[F_FLAGS_BACK]) & (_FIN | _RST) != 0


@njit(cache=True, nogil=True)
def _open_flow(
    flow: np.ndarray, ends: np.ndarray, row: np.ndarray, address: np.ndarray, time_us: int, serial: int
) -> int:
    """Fill a new flow; the direction of its first packet, which is the server's if it answers a SYN."""
    turned = row[PROTO] == TCP and row[FLAGS] & (_SYN | _ACK) == _SYN | _ACK
    flow[:] = 0
    flow[F_VERSION], flow[F_PROTO], flow[F_VLAN] = row[VERSION], row[PROTO], row[VLAN]
    flow[F_FIRST_US] = flow[F_LAST_US] = time_us
    flow[F_BASE] = flow[F_BASE_BACK] = flow[F_WANTED] = flow[F_WANTED_BACK] = -1
    flow[F_SERIAL] = serial
    for k in range(4):
        ends[k] = address[(k + 2) & 3 if turned else k]
    flow[F_SRC_PORT], flow[F_DEST_PORT] = row[SRC_PORT], row[DEST_PORT]
    if turned:
        flow[F_SRC_PORT], flow[F_DEST_PORT] = row[DEST_PORT], row[SRC_PORT]
    return 1 if turned else 0


@njit(cache=True, nogil=True)
def _worth_bytes(data: np.ndarray, at: int, size: int, port_53: bool) -> int:
    """How many bytes of a TCP payload to look at, by how it begins."""
    if port_53:
        return DNS_BYTES
    first = data[at]
    if first == 22 and (size < 2 or data[at + 1] == 3):
        if size < 9:
            return UNDECIDED_BYTES
        record = 1 + ((data[at + 3] << 8) | data[at + 4])
        hello = 4 + ((data[at + 6] << 16) | (data[at + 7] << 8) | data[at + 8])
        return min(hello + 5 * (hello // record + 1), HELLO_BYTES) if data[at + 5] == 1 else 0
    letters = 0
    while letters < size and letters < 12 and 65 <= data[at + letters] <= 90:
        letters += 1
    whole = size > letters
    return HTTP_BYTES if letters and (not whole or (letters >= 3 and data[at + letters] == 32)) else 0


@njit(cache=True, nogil=True)
def _tcp_offset(data: np.ndarray, flow: np.ndarray, row: np.ndarray, back: int) -> int:
    """Place in the stream of a segment that is worth a look; -1 for the others."""
    if row[FLAGS] & _SYN:
        flow[F_BASE + back] = (row[SEQ] + 1) & 0xFFFFFFFF
        flow[F_WANTED + back] = -1
    size = row[SIZE]
    if size == 0 or flow[F_WANTED + back] == 0:
        return -1
    if flow[F_BASE + back] < 0:
        flow[F_BASE + back] = row[SEQ]
    seq = (row[SEQ] + 1) & 0xFFFFFFFF if row[FLAGS] & _SYN else row[SEQ]
    offset = (seq - flow[F_BASE + back]) & 0xFFFFFFFF
    if offset >= 1 << 31:
        return -1
    if flow[F_WANTED + back] < 0 and offset == 0:
        port_53 = row[SRC_PORT] == 53 or row[DEST_PORT] == 53
        flow[F_WANTED + back] = _worth_bytes(data, row[AT], size, port_53)
    wanted = flow[F_WANTED + back]
    return offset if offset < (wanted if wanted >= 0 else UNDECIDED_BYTES) else -1


@njit(cache=True, nogil=True)
def _udp_is_worth(data: np.ndarray, row: np.ndarray) -> bool:
    """DNS by its ports; QUIC by the first byte and the version of an Initial."""
    size, at, src, dest = row[SIZE], row[AT], row[SRC_PORT], row[DEST_PORT]
    if size >= 12 and (src == 53 or dest == 53 or src == 5353 or dest == 5353 or src == 5355 or dest == 5355):
        return True
    if size < 1_000 or data[at] & 0xC0 != 0xC0:
        return False
    first = (data[at + 1] << 8) | data[at + 2]
    last = (data[at + 3] << 8) | data[at + 4]
    return (first == 0 and last == 1) or (first == 0x6B33 and last == 0x43CF)


@njit(cache=True, nogil=True)
def rehash(flows: np.ndarray, ends: np.ndarray, count: int, table: np.ndarray) -> None:
    """Build the hash table over the first `count` flows, the newest of equal ones first and hence found."""
    table[:] = -1
    mask = len(table) - 1
    for i in range(count - 1, -1, -1):
        flow = flows[i]
        place = _hash(ends[i], flow[F_SRC_PORT], flow[F_DEST_PORT], flow[F_PROTO], flow[F_VLAN]) & mask
        while table[place] >= 0:
            place = (place + 1) & mask
        table[place] = i


@njit(cache=True, nogil=True)
def gather(
    data: np.ndarray, length: np.ndarray, time_us: np.ndarray, rows: np.ndarray, addresses: np.ndarray, first: int,
    flows: np.ndarray, ends: np.ndarray, table: np.ndarray, count: int, serial: int, idle_us: int,
    of_packet: np.ndarray, picked: np.ndarray,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Add packets to flows.

    Parameters
    ----------
    data : ndarray of uint8
    length, time_us : ndarray of int64, (n,)
    rows, addresses : ndarray, (n, FIELDS) and (n, 4)
        From `engine.ingest.pcap_decode.decode`; rows with another verdict than `GOOD` are passed over.
    first : int
        Packet to begin with.
    flows, ends : ndarray of int64 and uint64, (room, FLOW_FIELDS) and (room, 4)
        The flows, and the addresses of their clients and servers.
    table : ndarray of int32, (power of two,)
        Hash table: index of a flow, or -1.
    count, serial : int
        Flows there are, and how many there were ever.
    idle_us : int
        A five-tuple that was silent for longer is another flow.
    of_packet : ndarray of int64, (n,)
        Filled: flow of each packet, -1 without.
    picked : ndarray of int64, (n, 3)
        Filled: packets worth a look, their direction, and their place in the stream of TCP.

    Returns
    -------
    next, count, serial, picks : int
        The first packet that found no room for its flow (n if all did), and the new counts.
    """
    mask, picks = len(table) - 1, 0
    for i in range(first, len(length)):
        row, address = rows[i], addresses[i]
        of_packet[i] = -1
        if row[VERDICT] != GOOD:
            continue
        place = _hash(address, row[SRC_PORT], row[DEST_PORT], row[PROTO], row[VLAN]) & mask
        at, back = -1, -1
        while table[place] >= 0:
            at = table[place]
            back = _direction(flows[at], ends[at], row, address)
            if back >= 0:
                break
            place = (place + 1) & mask
        if back < 0 or _begins_anew(flows[at], row, time_us[i], idle_us):
            if count == len(flows):
                return i, count, serial, picks
            at, serial = count, serial + 1
            table[place] = at  # in place of the older one, which waits to be told
            back = _open_flow(flows[at], ends[at], row, address, time_us[i], serial)
            count += 1
        flow = flows[at]
        of_packet[i] = at
        flow[F_LAST_US] = max(flow[F_LAST_US], time_us[i])
        flow[F_PACKETS + back] += 1
        flow[F_BYTES + back] += length[i]
        flow[F_FLAGS + back] |= row[FLAGS]
        offset = -1
        if row[PROTO] == TCP:
            offset = _tcp_offset(data, flow, row, back)
        elif row[PROTO] == UDP and _udp_is_worth(data, row):
            offset = 0
        if offset >= 0:
            picked[picks, 0], picked[picks, 1], picked[picks, 2] = i, back, offset
            picks += 1
    return len(length), count, serial, picks
