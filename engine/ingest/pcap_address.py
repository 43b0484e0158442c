"""IP addresses and Community IDs inside compiled code: read from text, written as text, hashed.

An address is a version (4 or 6, 0 for none) and two 64-bit halves; an IPv4 address is the lower half
alone. Works on bytes and numbers, and knows nothing of packets, records or events.
"""

from __future__ import annotations

import ipaddress

import numpy as np
from numba import njit

TCP, UDP, ICMP, ICMP6, SCTP = 6, 17, 1, 58, 132
"""IP protocol numbers that have ports, or what stands in for them (IANA)."""

COMMUNITY_ID_CHARS = 30
"""Length of a Community ID of version 1: ``1:`` and 28 characters of base64."""

_BASE64 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
ICMP4_PAIR = np.full(256, -1, np.int64)
ICMP4_PAIR[[0, 8, 9, 10, 13, 14, 15, 16, 17, 18]] = [8, 0, 10, 9, 14, 13, 16, 15, 18, 17]
ICMP6_PAIR = np.full(256, -1, np.int64)
ICMP6_PAIR[[128, 129, 130, 131, 133, 134, 135, 136, 139, 140, 144, 145]] = [
    129, 128, 131, 130, 134, 133, 136, 135, 140, 139, 145, 144,
]  # fmt: skip
"""The type that answers a type of ICMP, or asks for it; -1 where there is none (Community ID specification)."""


@njit(cache=True, nogil=True)
def parse_ip(text: np.ndarray, start: int, end: int) -> tuple[int, np.uint64, np.uint64]:
    """Version and halves of the address at text[start:end]; version 0 where there is none."""
    for i in range(start, end):
        if text[i] == 58:  # a colon
            return _parse_ip6(text, start, end)
    return _parse_ip4(text, start, end)


@njit(cache=True, nogil=True)
def _parse_ip4(text: np.ndarray, start: int, end: int) -> tuple[int, np.uint64, np.uint64]:
    zero = np.uint64(0)
    value, parts, digits, part = zero, 0, 0, 0
    for i in range(start, end):
        byte = text[i]
        if 48 <= byte <= 57 and digits < 3:
            part, digits = part * 10 + (byte - 48), digits + 1
        elif byte == 46 and digits and part < 256:
            value = (value << np.uint64(8)) | np.uint64(part)
            parts, digits, part = parts + 1, 0, 0
        else:
            return 0, zero, zero
    if parts != 3 or digits == 0 or part > 255:
        return 0, zero, zero
    return 4, zero, (value << np.uint64(8)) | np.uint64(part)


@njit(cache=True, nogil=True)
def _parse_ip6(text: np.ndarray, start: int, end: int) -> tuple[int, np.uint64, np.uint64]:
    zero = np.uint64(0)
    groups = np.zeros(8, np.int64)
    count, gap, value, digits, i = 0, -1, 0, 0, start
    if end - start >= 2 and text[start] == 58 and text[start + 1] == 58:
        gap, i = 0, start + 2
    begin = i
    while i < end:
        byte = text[i]
        digit = -1
        if 48 <= byte <= 57:
            digit = byte - 48
        elif 97 <= byte <= 102:
            digit = byte - 87
        elif 65 <= byte <= 70:
            digit = byte - 55
        if digit >= 0 and digits < 4 and count < 8:
            value, digits = value * 16 + digit, digits + 1
        elif byte == 58 and digits and count < 8:
            groups[count] = value
            count, value, digits, begin = count + 1, 0, 0, i + 1
            if i + 1 == end:
                return 0, zero, zero
            if text[i + 1] == 58:
                if gap >= 0:
                    return 0, zero, zero
                gap, i, begin = count, i + 1, i + 2
        elif byte == 46 and count <= 6:  # ::ffff:192.0.2.1
            version, _, low = _parse_ip4(text, begin, end)
            if version != 4:
                return 0, zero, zero
            groups[count], groups[count + 1] = np.int64(low >> np.uint64(16)), np.int64(low & np.uint64(0xFFFF))
            count, digits = count + 2, 0
            break
        else:
            return 0, zero, zero
        i += 1
    if digits:
        groups[count] = value
        count += 1
    if (gap < 0 and count != 8) or (gap >= 0 and count > 7):
        return 0, zero, zero
    if gap >= 0:
        for k in range(count - gap):
            groups[7 - k], groups[count - 1 - k] = groups[count - 1 - k], 0
    high, low = zero, zero
    for k in range(4):
        high = (high << np.uint64(16)) | np.uint64(groups[k])
        low = (low << np.uint64(16)) | np.uint64(groups[k + 4])
    return 6, high, low


@njit(cache=True, nogil=True)
def write_int(value: int, out: np.ndarray, at: int) -> int:
    """Decimal digits of an integer that is not negative, into out[at:]; where it ended."""
    size, rest = 1, value
    while rest >= 10:
        rest //= 10
        size += 1
    for i in range(size):
        out[at + size - 1 - i] = 48 + value % 10
        value //= 10
    return at + size


@njit(cache=True, nogil=True)
def write_ip(version: int, high: np.uint64, low: np.uint64, out: np.ndarray, at: int) -> int:
    """Text of an address (RFC 5952) into out[at:]; where it ended, at most 39 bytes on."""
    if version == 4:
        for k in range(4):
            if k:
                out[at] = 46
                at += 1
            at = write_int(int((low >> np.uint64(24 - 8 * k)) & np.uint64(255)), out, at)
        return at
    groups = np.empty(8, np.int64)
    for k in range(4):
        groups[k] = np.int64((high >> np.uint64(48 - 16 * k)) & np.uint64(0xFFFF))
        groups[k + 4] = np.int64((low >> np.uint64(48 - 16 * k)) & np.uint64(0xFFFF))
    best, length, k = -1, 1, 0
    while k < 8:
        run = 0
        while k + run < 8 and groups[k + run] == 0:
            run += 1
        if run > length:
            best, length = k, run
        k += run + 1
    k = 0
    while k < 8:
        if k == best:
            out[at] = out[at + 1] = 58
            at, k = at + 2, k + length
            continue
        if (k and k != best + length) or (k and best < 0):
            out[at] = 58
            at += 1
        started = False
        for shift in (12, 8, 4, 0):
            digit = (groups[k] >> shift) & 15
            if digit or started or shift == 0:
                out[at] = _HEX[digit]
                at, started = at + 1, True
        k += 1
    return at


@njit(cache=True, nogil=True)
def _rotated(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & 0xFFFFFFFF


@njit(cache=True, nogil=True)
def _sha1(block: np.ndarray, digest: np.ndarray) -> None:
    """SHA-1 of one padded block of 64 bytes (FIPS 180-4, section 6.1)."""
    w = np.empty(80, np.int64)
    for t in range(16):
        w[t] = (
            (np.int64(block[4 * t]) << 24) | (np.int64(block[4 * t + 1]) << 16)
            | (np.int64(block[4 * t + 2]) << 8) | np.int64(block[4 * t + 3])
        )  # fmt: skip
    for t in range(16, 80):
        w[t] = _rotated(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1)
    a, b, c, d, e = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0
    for t in range(80):
        if t < 20:
            f, k = (b & c) | ((b ^ 0xFFFFFFFF) & d), 0x5A827999
        elif t < 40:
            f, k = b ^ c ^ d, 0x6ED9EBA1
        elif t < 60:
            f, k = (b & c) | (b & d) | (c & d), 0x8F1BBCDC
        else:
            f, k = b ^ c ^ d, 0xCA62C1D6
        a, b, c, d, e = (_rotated(a, 5) + f + e + k + w[t]) & 0xFFFFFFFF, a, _rotated(b, 30), c, d
    words = (a + 0x67452301, b + 0xEFCDAB89, c + 0x98BADCFE, d + 0x10325476, e + 0xC3D2E1F0)
    for i in range(5):
        for k in range(4):
            digest[4 * i + k] = (words[i] >> (24 - 8 * k)) & 0xFF


@njit(cache=True, nogil=True)
def _put(block: np.ndarray, at: int, version: int, high: np.uint64, low: np.uint64) -> int:
    if version == 6:
        for k in range(8):
            block[at + k] = np.uint8((high >> np.uint64(56 - 8 * k)) & np.uint64(255))
            block[at + 8 + k] = np.uint8((low >> np.uint64(56 - 8 * k)) & np.uint64(255))
        return at + 16
    for k in range(4):
        block[at + k] = np.uint8((low >> np.uint64(24 - 8 * k)) & np.uint64(255))
    return at + 4


@njit(cache=True, nogil=True)
def write_community_id(
    version: int,
    src_high: np.uint64,
    src_low: np.uint64,
    dest_high: np.uint64,
    dest_low: np.uint64,
    proto: int,
    src_port: int,
    dest_port: int,
    out: np.ndarray,
    at: int,
) -> int:
    """Community ID of a flow into out[at:]; for ICMP the ports are type and code. Where it ended."""
    turn = src_high > dest_high or (
        src_high == dest_high and (src_low > dest_low or (src_low == dest_low and src_port > dest_port))
    )
    if proto in (ICMP, ICMP6):
        pair = ICMP4_PAIR[src_port & 255] if proto == ICMP else ICMP6_PAIR[src_port & 255]
        if pair >= 0:
            dest_port = int(pair)
            if src_high == dest_high and src_low == dest_low:
                turn = src_port > dest_port
        else:
            turn = False
    if turn:
        src_high, src_low, dest_high, dest_low = dest_high, dest_low, src_high, src_low
        src_port, dest_port = dest_port, src_port
    block, digest = np.zeros(64, np.uint8), np.empty(21, np.uint8)
    end = _put(block, 2, version, src_high, src_low)  # before it the seed, 0
    end = _put(block, end, version, dest_high, dest_low)
    block[end] = proto
    end += 2
    if proto in (TCP, UDP, SCTP, ICMP, ICMP6):
        block[end], block[end + 1] = (src_port >> 8) & 255, src_port & 255
        block[end + 2], block[end + 3] = (dest_port >> 8) & 255, dest_port & 255
        end += 4
    block[end] = 0x80
    block[62], block[63] = (end * 8) >> 8, (end * 8) & 255
    _sha1(block, digest)
    digest[20] = 0
    out[at], out[at + 1] = 49, 58
    for k in range(7):
        three = (np.int64(digest[3 * k]) << 16) | (np.int64(digest[3 * k + 1]) << 8) | np.int64(digest[3 * k + 2])
        for i in range(4):
            out[at + 2 + 4 * k + i] = _BASE64[(three >> (18 - 6 * i)) & 63]
    out[at + 29] = 61
    return at + COMMUNITY_ID_CHARS


def community_id(src_ip: str, dest_ip: str, proto: int, src_port: int = 0, dest_port: int = 0) -> str:
    """Community ID of a flow: the same for both directions and for every tool that follows the specification.

    Parameters
    ----------
    src_ip, dest_ip : str
        IPv4 or IPv6 addresses, both of one version.
    proto : int
        IP protocol number.
    src_port, dest_port : int
        Ports; type and code for ICMP and ICMPv6; ignored by protocols without ports.

    Returns
    -------
    str
        30 characters.

    Raises
    ------
    ValueError
        If an address is none, or the two are of different versions.

    Examples
    --------
    >>> community_id("128.232.110.120", "66.35.250.204", 6, 34855, 80)
    '1:LQU9qZlK+B5F3KDmev6m5PMibrg='

    References
    ----------
    Community ID Flow Hashing, version 1, github.com/corelight/community-id-spec.
    """
    halves = []
    for text in (src_ip, dest_ip):
        address = ipaddress.ip_address(text)
        halves.append((address.version, np.uint64(int(address) >> 64), np.uint64(int(address) & (2**64 - 1))))
    (version, src_high, src_low), (other, dest_high, dest_low) = halves
    if version != other:
        raise ValueError(f"{src_ip!r} and {dest_ip!r} are of different versions; a flow has one")
    out = np.empty(COMMUNITY_ID_CHARS, np.uint8)
    write_community_id(version, src_high, src_low, dest_high, dest_low, proto, src_port, dest_port, out, 0)
    return out.tobytes().decode("ascii")
