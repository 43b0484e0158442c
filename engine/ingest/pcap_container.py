"""Captures as blocks of packets: classic pcap of both byte orders and resolutions, and pcapng.

Works in pieces, so that no capture is held as a whole, and looks for the next good record where one is
damaged. It knows where packets lie and when they came, and not what is in them.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.ingest.pcap_index import MAX_PACKET_BYTES, NEEDS_PYTHON, index_classic, index_ng
from engine.ingest.rejects import Rejects
from engine.ingest.tracks_bytes import read_chunks

BLOCK_BYTES = 1 << 22
"""Bytes looked at together; with one packet, what the reader holds in memory."""

_CLASSIC = {
    b"\xd4\xc3\xb2\xa1": (False, 1), b"\xa1\xb2\xc3\xd4": (True, 1),
    b"\x4d\x3c\xb2\xa1": (False, 1_000), b"\xa1\xb2\x3c\x4d": (True, 1_000),
}  # fmt: skip
_SECTION = b"\x0a\x0d\x0d\x0a"
_MAX_INTERFACES = 256


@dataclass(frozen=True, slots=True, eq=False)
class Packets:
    """n packets, in the order of the capture.

    Attributes
    ----------
    data : ndarray of uint8
        Bytes that hold them.
    start, captured, length : ndarray of int64, (n,)
        Where each begins in `data`, how many of its bytes were captured, and how many it had on the wire.
    time_us : ndarray of int64, (n,)
        Epoch microseconds, nanoseconds cut; -1 where the capture tells no time.
    link : ndarray of int64, (n,)
        Link-layer type of each (tcpdump.org/linktypes.html).
    """

    data: np.ndarray
    start: np.ndarray
    captured: np.ndarray
    length: np.ndarray
    time_us: np.ndarray
    link: np.ndarray


def read_packets(reader: io.BufferedReader, rejects: Rejects, block_bytes: int = BLOCK_BYTES) -> Iterator[Packets]:
    """Packets of a capture, block by block.

    Parameters
    ----------
    reader : binary file
    rejects : Rejects
        Damage is counted here; `records` grows by the packets found and the damaged stretches.
    block_bytes : int
        About how many bytes are looked at together.

    Yields
    ------
    Packets
        At least one each.
    """
    chunks = _Pieces(reader, rejects, block_bytes)
    head = chunks.more(b"")
    if not head:
        if not rejects.total:
            _refuse(rejects, "empty_source", "file", b"")
    elif head[:4] in _CLASSIC and len(head) >= 24:
        yield from _classic(head, chunks, rejects)
    elif head[:4] == _SECTION:
        yield from _next_generation(head, chunks, rejects)
    else:
        _refuse(rejects, "truncated" if head[:4] in _CLASSIC else "unknown_format", "file", head[:24])


class _Pieces:
    """Bytes that come in pieces of some size."""

    def __init__(self, reader: io.BufferedReader, rejects: Rejects, size: int) -> None:
        self._chunks, self._size, self.ended = read_chunks(reader, rejects), size, False

    def more(self, carried: bytes) -> bytes:
        """What is left over from the last piece, and the next; only the former at the end."""
        parts, held = [carried], 0
        while held < self._size:
            chunk = next(self._chunks, b"")
            if not chunk:
                self.ended = True
                break
            parts.append(chunk)
            held += len(chunk)
        return b"".join(parts)


def _refuse(rejects: Rejects, reason: str, where: str, value: object, count: int = 1) -> None:
    rejects.records += count
    rejects.add(reason, where, value, count)


def _classic(data: bytes, pieces: _Pieces, rejects: Rejects) -> Iterator[Packets]:
    big, per_us = _CLASSIC[data[:4]]
    snap, link = struct.unpack(">II" if big else "<II", data[16:24])
    limit = min(max(snap, 65_535), MAX_PACKET_BYTES)
    at, before, last_us = 24, 0, -1
    while True:
        text = np.frombuffer(data, np.uint8)
        room = [np.empty(len(text) // 16 + 1, np.int64) for _ in range(4)]
        count, at, broken, where = index_classic(text, at, big, per_us, limit, pieces.ended, last_us, *room)
        if count:
            start, captured, length, time_us = (column[:count] for column in room)
            last_us = int(time_us[-1])
            rejects.records += count
            yield Packets(text, start, captured, length, time_us, np.full(count, link & 0x0FFFFFFF))
        if broken:
            _refuse(rejects, "broken_packet_record", f"byte {before + where}", data[where : where + 16], broken)
        if pieces.ended:
            if at < len(data):
                _refuse(rejects, "truncated", f"byte {before + at}", data[at : at + 16])
            return
        before, data, at = before + at, pieces.more(data[at:]), 0


def _next_generation(data: bytes, pieces: _Pieces, rejects: Rejects) -> Iterator[Packets]:
    section = _Section()
    at, before = 0, 0
    while True:
        text = np.frombuffer(data, np.uint8)
        room = [np.empty(len(text) // 16 + 1, np.int64) for _ in range(5)]
        while True:
            count, at, why, broken, where = index_ng(text, at, section.big, pieces.ended, *section.arrays, *room)
            if count:
                rejects.records += count
                yield Packets(text, *(column[:count].copy() for column in room))
            if broken:
                _refuse(rejects, "broken_packet_record", f"byte {before + where}", data[where : where + 16], broken)
            if why != NEEDS_PYTHON:
                break
            at += section.read(data, at)
        if pieces.ended:
            if at < len(data):
                _refuse(rejects, "truncated", f"byte {before + at}", data[at : at + 16])
            return
        before, data, at = before + at, pieces.more(data[at:]), 0


class _Section:
    """Byte order and interfaces of the current section of a pcapng file."""

    def __init__(self) -> None:
        self.big = False
        self.arrays = [np.empty(0, np.int64)] * 4  # link type, ticks per second, offset and snap length of each

    def read(self, data: bytes, at: int) -> int:
        """Take in a section header or an interface description; how long it is."""
        if data[at : at + 4] == _SECTION:
            self.big = data[at + 8 : at + 12] == b"\x1a\x2b\x3c\x4d"
            self.arrays = [np.empty(0, np.int64)] * 4
            return self._number(data, at + 4, 4)
        size = self._number(data, at + 4, 4)
        link, snap = self._number(data, at + 8, 2), self._number(data, at + 12, 4)
        ticks, offset_s = 1_000_000, 0
        option, end = at + 16, at + size - 4
        while option + 4 <= end:
            code, length = self._number(data, option, 2), self._number(data, option + 2, 2)
            if code == 9 and length == 1:
                exponent = data[option + 4]
                ticks = 2 ** min(exponent & 0x7F, 40) if exponent & 0x80 else 10 ** min(exponent, 12)
            elif code == 14 and length == 8:
                offset_s = self._number(data, option + 4, 8)
                offset_s = offset_s if abs(offset_s) < 1 << 40 else 0
            option += 4 + length + -length % 4
            if code == 0:
                break
        if len(self.arrays[0]) < _MAX_INTERFACES:
            said = (link, ticks, offset_s, snap)
            self.arrays = [np.append(array, value) for array, value in zip(self.arrays, said, strict=True)]
        return size

    def _number(self, data: bytes, at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "big" if self.big else "little")
