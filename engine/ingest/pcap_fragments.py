"""Fragments of IP datagrams: each counted with the flow of its first one, and datagrams of UDP put together.

Rare enough for Python; bounded, so that a flood of fragments costs time and no memory.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from engine.ingest.pcap_address import UDP
from engine.ingest.pcap_decode import (
    AT,
    DEST_PORT,
    FRAGMENT_AT,
    FRAGMENT_ID,
    GOOD,
    LATER_FRAGMENT,
    MORE_FRAGMENTS,
    PROTO,
    SIZE,
    SRC_PORT,
    VERDICT,
    VERSION,
    VLAN,
)

MAX_DATAGRAMS = 512
"""Datagrams put together at once; the longest untouched is forgotten first."""

_MAX_BYTES = 65_535
_UDP_HEADER = 8


@dataclass(slots=True)
class _Datagram:
    """Ports, if the first fragment is there, and the pieces so far; `size` is known with the last one."""

    ports: tuple[int, int] | None = None
    size: int = -1
    pieces: dict[int, bytes] = field(default_factory=dict)

    def whole(self) -> bytes | None:
        """The datagram without gaps; None while there are some."""
        if self.size < 0:
            return None
        data = bytearray()
        for offset in sorted(self.pieces):
            if offset > len(data):
                return None
            data += self.pieces[offset][len(data) - offset :]
        return bytes(data[: self.size]) if len(data) >= self.size else None


class Fragments:
    """The datagrams whose fragments are on their way."""

    def __init__(self) -> None:
        self._datagrams: OrderedDict[tuple[int, ...], _Datagram] = OrderedDict()

    def place(self, data: np.ndarray, rows: np.ndarray, addresses: np.ndarray) -> list[tuple[int, bytes]]:
        """Give later fragments the ports of the first, whichever came earlier among these packets.

        Parameters
        ----------
        data : ndarray of uint8
        rows, addresses : ndarray
            From `engine.ingest.pcap_decode.decode`. Fragments that find their flow become `GOOD`, without
            payload; the others stay `LATER_FRAGMENT`.

        Returns
        -------
        list of (packet, payload)
            UDP payloads that are whole now, and the packet that completed each.
        """
        fragments = np.flatnonzero(
            (rows[:, FRAGMENT_ID] >= 0) & ((rows[:, VERDICT] == GOOD) | (rows[:, VERDICT] == LATER_FRAGMENT))
        )
        for i in fragments[rows[fragments, FRAGMENT_AT] == 0].tolist():
            row = rows[i]
            datagram = self._datagram(row, addresses[i])
            datagram.ports = int(row[SRC_PORT]), int(row[DEST_PORT])
            if row[PROTO] == UDP:
                datagram.pieces.setdefault(0, bytes(data[row[AT] - _UDP_HEADER : row[AT] + row[SIZE]]))
            row[SIZE] = 0
        whole: list[tuple[int, bytes]] = []
        for i in fragments.tolist():
            row = rows[i]
            datagram = self._datagram(row, addresses[i])
            if row[FRAGMENT_AT]:
                if datagram.ports is None:
                    continue
                self._add(datagram, row, data)
            payload = datagram.whole() if row[PROTO] == UDP else None
            if payload is not None and len(payload) > _UDP_HEADER:
                whole.append((i, payload[_UDP_HEADER:]))
                datagram.pieces, datagram.size = {}, -1
        return whole

    def _add(self, datagram: _Datagram, row: np.ndarray, data: np.ndarray) -> None:
        assert datagram.ports is not None
        offset, size = int(row[FRAGMENT_AT]), int(row[SIZE])
        if row[PROTO] == UDP and size > 0 and offset + size <= _MAX_BYTES:
            datagram.pieces.setdefault(offset, bytes(data[row[AT] : row[AT] + size]))
            if not row[MORE_FRAGMENTS]:
                datagram.size = offset + size
        row[VERDICT], row[SIZE] = GOOD, 0
        row[SRC_PORT], row[DEST_PORT] = datagram.ports

    def _datagram(self, row: np.ndarray, address: np.ndarray) -> _Datagram:
        key = (*map(int, address), *(int(row[column]) for column in (VERSION, PROTO, FRAGMENT_ID, VLAN)))
        datagram = self._datagrams.get(key)
        if datagram is None:
            datagram = self._datagrams[key] = _Datagram()
            if len(self._datagrams) > MAX_DATAGRAMS:
                self._datagrams.popitem(last=False)
        else:
            self._datagrams.move_to_end(key)
        return datagram
