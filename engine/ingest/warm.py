"""Compiles the kernels that read network files, before somebody hands in the first one."""

from __future__ import annotations

import struct

from engine.ingest.eve_read import read_eve
from engine.ingest.pcap_read import read_pcap

_LINE = (
    b'{"timestamp": "2024-05-01T12:00:00.000000+0000", "event_type": "flow", "src_ip": "10.0.0.1", "src_port": 1,'
    b' "dest_ip": "10.0.0.2", "dest_port": 53, "proto": "UDP"}'
)


def warm() -> None:
    """Read one record of a Suricata log and one captured packet.

    Examples
    --------
    >>> warm()
    """
    read_eve(_LINE)
    datagram = struct.pack(">HHHH", 1, 53, 8, 0)
    header = struct.pack(">BBHHHBBH4B4B", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0, *(10, 0, 0, 1), *(10, 0, 0, 2))
    frame = bytes(12) + b"\x08\x00" + header + datagram
    packet = struct.pack("<IIII", 1_714_564_800, 0, len(frame), len(frame)) + frame
    read_pcap(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1) + packet)
