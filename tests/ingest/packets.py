"""Packets and captures made by hand, and a slow reader of them that shares nothing with the one it is compared to."""

from __future__ import annotations

import ipaddress
import struct
from collections import Counter

ETHERNET, RAW, NULL, COOKED, COOKED2 = 1, 101, 0, 113, 276
SYN, ACK, FIN, RST, PSH = 2, 16, 1, 4, 8


def ip(src, dest, proto, payload, *, more=0, offset=0, number=7):
    """An IPv4 or IPv6 packet; fragments of IPv6 get their extension header."""
    src, dest = ipaddress.ip_address(src), ipaddress.ip_address(dest)
    if src.version == 4:
        fragment = (more << 13) | (offset // 8)
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number, fragment, 64, proto, 0)
        return head + src.packed + dest.packed + payload
    if more or offset:
        payload = struct.pack(">BBHI", proto, 0, offset | more, number) + payload
        proto = 44
    return struct.pack(">IHBB", 6 << 28, len(payload), proto, 64) + src.packed + dest.packed + payload


def udp(sport, dport, payload=b""):
    return struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload


def tcp(sport, dport, payload=b"", seq=0, flags=ACK):
    return struct.pack(">HHIIBBHHH", sport, dport, seq, 0, 0x50, flags, 1024, 0, 0) + payload


def ethernet(packet, *tags):
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    vlan = b"".join(struct.pack(">HH", 0x8100, tag) for tag in tags)
    return bytes(12) + vlan + struct.pack(">H", kind) + packet


def pcap(frames, *, big=False, nanos=False, link=ETHERNET, times=None):
    """A classic capture; times in microseconds."""
    order = ">" if big else "<"
    parts = [struct.pack(order + "IHHiIII", 0xA1B23C4D if nanos else 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)]
    for i, frame in enumerate(frames):
        second, micro = divmod(times[i] if times else 1_700_000_000_000_000 + i * 1_000, 1_000_000)
        fraction = micro * 1_000 if nanos else micro
        parts += [struct.pack(order + "IIII", second, fraction, len(frame), len(frame)), frame]
    return b"".join(parts)


def block(order, kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, 12 + len(body)) + body + struct.pack(order + "I", 12 + len(body))


def pcapng(frames, *, big=False, link=ETHERNET, times=None, resolution=6, simple=False):
    """A capture of the next generation; the resolution is a power of ten, or of two with 128 added."""
    order = ">" if big else "<"
    parts = [block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))]
    option = struct.pack(order + "HHBxxx", 9, 1, resolution) + struct.pack(order + "HH", 0, 0)
    parts.append(block(order, 1, struct.pack(order + "HHI", link, 0, 0) + option))
    parts.append(block(order, 4, b"name resolution, of no interest"))
    for i, frame in enumerate(frames):
        micros = times[i] if times else 1_700_000_000_000_000 + i * 1_000
        per_second = 2 ** (resolution - 128) if resolution >= 128 else 10**resolution
        ticks = -(-micros * per_second // 1_000_000)
        if simple:
            parts.append(block(order, 3, struct.pack(order + "I", len(frame)) + frame))
        else:
            head = struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
            parts.append(block(order, 6, head + frame + bytes(-len(frame) % 4)))
    return b"".join(parts)


def slowly_counted(data):
    """Packets by (protocol, ends without direction), and frames without IP, of a classic Ethernet capture."""
    flows, others, at = Counter(), 0, 24
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at + 8)
        frame, at = data[at + 16 : at + 16 + size], at + 16 + size
        kind, rest = frame[12:14], frame[14:]
        while kind == b"\x81\x00":
            kind, rest = rest[2:4], rest[4:]
        if kind == b"\x08\x00":
            proto, ends, payload = rest[9], (rest[12:16], rest[16:20]), rest[(rest[0] & 15) * 4 :]
            later = struct.unpack(">H", rest[6:8])[0] & 0x1FFF
        elif kind == b"\x86\xdd":
            proto, ends, payload, later = rest[6], (rest[8:24], rest[24:40]), rest[40:], 0
            while proto in (0, 43, 44, 60):
                if proto == 44:
                    later = struct.unpack(">H", payload[2:4])[0] & 0xFFF8
                proto, payload = payload[0], payload[8 if proto == 44 else 8 + 8 * payload[1] :]
        else:
            others += 1
            continue
        ports = struct.unpack(">HH", payload[:4]) if proto in (6, 17) and not later else (0, 0)
        if proto in (6, 17) and later:
            others += 1
            continue
        flows[proto, frozenset(zip(map(ipaddress.ip_address, ends), ports, strict=True))] += 1
    return flows, others
