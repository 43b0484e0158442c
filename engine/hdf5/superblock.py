"""The first bytes of an HDF5 file: where it begins, how long it should be, and who had it open.

A file whose writer was killed may carry the mark "open for writing" for ever, and libhdf5 then does not open it.
`closed` gives those few bytes as they would be in a file that was closed, for an overlay: the file itself is never
written to.

References
----------
HDF5 File Format Specification Version 3.0, II.A "Format Signature and Superblock"; checksum: Jenkins' lookup3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Superblock:
    """What a file says of itself.

    Attributes
    ----------
    offset : int
        Where the format signature stands, bytes; what lies before it is the user block.
    version : int
        Of the superblock.
    end : int
        Where the file should end, bytes from its very beginning.
    size : int
        How long it is, bytes.
    writing, swmr : bool
        Marked as open for writing, and for that with single-writer/multiple-reader access.
    """

    offset: int
    version: int
    end: int
    size: int
    writing: bool
    swmr: bool
    raw: bytes

    @property
    def truncated(self) -> bool:
        """Whether bytes that it counts on are not there."""
        return self.size < self.end


def read_superblock(file: BinaryIO) -> Superblock | None:
    """The superblock of a file, or None if there is none at 0, 512, 1024, 2048 …"""
    size = file.seek(0, 2)
    offset = 0
    while offset < size:
        file.seek(offset)
        head = file.read(128)
        if head.startswith(SIGNATURE):
            return _parse(head, offset, size)
        offset = 512 if offset == 0 else 2 * offset
    return None


def _parse(head: bytes, offset: int, size: int) -> Superblock | None:
    if len(head) < 12:
        return None
    version = head[8]
    if version in (0, 1):
        width = head[13]
        start = 24 + (4 if version == 1 else 0)
        length, flags = start + 4 * width, 0
        end_at = start + 2 * width
    elif version in (2, 3):
        width, flags = head[9], head[11] if version == 3 else 0
        length, end_at = 12 + 4 * width + 4, 12 + 2 * width
    else:
        return None
    if width not in (2, 4, 8) or len(head) < length:
        return None
    end = int.from_bytes(head[end_at : end_at + width], "little")
    return Superblock(offset, version, end, size, bool(flags & 1), bool(flags & 4), head[:length])


def closed(block: Superblock) -> bytes:
    """The superblock as of a file that was closed.

    Examples
    --------
    >>> raw = SIGNATURE + bytes([3, 8, 8, 5]) + struct.pack("<QQQQ", 0, 2**64 - 1, 9000, 48) + bytes(4)
    >>> block = Superblock(0, 3, 9000, 4096, True, True, raw)
    >>> closed(block)[11], closed(block)[12:44] == raw[12:44]
    (0, True)
    """
    raw = bytearray(block.raw)
    if block.version == 3:
        raw[11] = 0
        raw[-4:] = struct.pack("<I", lookup3(bytes(raw[:-4])))
    return bytes(raw)


def lookup3(key: bytes, initial: int = 0) -> int:
    """Jenkins' lookup3 hash (hashlittle) of bytes: the checksum of HDF5's metadata.

    References
    ----------
    Bob Jenkins, lookup3.c, May 2006, public domain; its published values are in the tests.
    """

    def rot(value: int, bits: int) -> int:
        return ((value << bits) | (value >> (32 - bits))) & _MASK

    a = b = c = (0xDEADBEEF + len(key) + initial) & _MASK
    at, left = 0, len(key)
    while left > 12:
        x, y, z = struct.unpack_from("<III", key, at)
        a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
        a = (a - c) & _MASK ^ rot(c, 4)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ rot(a, 6)
        a = (a + c) & _MASK
        c = (c - b) & _MASK ^ rot(b, 8)
        b = (b + a) & _MASK
        a = (a - c) & _MASK ^ rot(c, 16)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ rot(a, 19)
        a = (a + c) & _MASK
        c = (c - b) & _MASK ^ rot(b, 4)
        b = (b + a) & _MASK
        at, left = at + 12, left - 12
    if left == 0:
        return c
    x, y, z = struct.unpack("<III", key[at:].ljust(12, b"\0"))
    a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
    c = ((c ^ b) - rot(b, 14)) & _MASK
    a = ((a ^ c) - rot(c, 11)) & _MASK
    b = ((b ^ a) - rot(a, 25)) & _MASK
    c = ((c ^ b) - rot(b, 16)) & _MASK
    a = ((a ^ c) - rot(c, 4)) & _MASK
    b = ((b ^ a) - rot(a, 14)) & _MASK
    return ((c ^ b) - rot(b, 24)) & _MASK
