"""What kind of recording a file is, by its content: tracks, Suricata EVE, a capture, or measured powers."""

from __future__ import annotations

from typing import Literal

from engine.ingest.rssi_events import is_measurements
from engine.ingest.tracks_bytes import SNIFF_BYTES, open_binary
from engine.ingest.tracks_read import TrackFile

FileKind = Literal["tracks", "eve", "pcap", "rssi"]

_CAPTURES = (
    b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a",
)  # fmt: skip
"""First bytes of pcap (micro- and nanoseconds, both byte orders) and of pcapng."""


def file_kind(source_file: TrackFile) -> FileKind:
    """What a recording is, plain or compressed; what is nothing else is taken for tracks, whose reader says why not.

    Parameters
    ----------
    source_file : str, Path, bytes or binary file

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If a path cannot be opened.

    Examples
    --------
    >>> file_kind(b'{"timestamp": "2024-05-01T12:00:00Z", "event_type": "dns"}')
    'eve'
    >>> file_kind(bytes.fromhex("d4c3b2a1"))
    'pcap'
    """
    with open_binary(source_file) as (reader, _):
        try:
            head = reader.read(SNIFF_BYTES)
        except (OSError, EOFError):  # a broken compressed file: its reader tells more
            return "tracks"
    if head[:4] in _CAPTURES:
        return "pcap"
    if is_measurements(head):
        return "rssi"
    return "eve" if b'"event_type"' in head else "tracks"
