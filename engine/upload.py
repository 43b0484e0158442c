"""A recording that someone hands over (tracks, EVE, a capture, powers): read, and put through the ordinary queue.

Every record is accounted for: taken over or refused by reason. It must not know pages; what it is given is a file
or its bytes, and a name that is only ever shown.
"""

from __future__ import annotations

import contextlib
import io
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from engine.ingest.eve_read import iter_eve
from engine.ingest.file_kind import FileKind, file_kind
from engine.ingest.gate import FixGate
from engine.ingest.pcap_read import iter_pcap
from engine.ingest.protocol import Sink
from engine.ingest.rejects import Rejects, safe_repr
from engine.ingest.rssi_events import iter_rssi
from engine.ingest.tracks_read import iter_tracks

MAX_BYTES = 256 << 20
"""Largest file that is taken, bytes as handed over (compressed where it is)."""

MAX_UNPACKED_EVENTS = 20_000_000
"""Events after which a file is cut off: a small compressed file may hold very much."""

OFFER_EVENTS = 500
"""Events offered to the queue at once: a quarter of it, so that live sources get in between."""

OFFER_TIMEOUT_S = 0.25
"""How long one offer waits for room, s: bounds how long a cancel takes."""

Progress = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What became of a file.

    Attributes
    ----------
    name, kind : str
        The source in the events, and whether it was tracks, EVE, a capture or measurements.
    records : int
        Records read (lines, fixes, packets).
    committed : int
        Records that are in the events accepted by the queue.
    events : int
        Events accepted; fewer than `committed` for a capture, where a flow is many packets.
    rejected : dict of str to int
        Records refused, by reason; ``cancelled`` and ``too_many`` are those read and not handed over.
    examples : dict of str to str
    state : {"finished", "cancelled", "too_many"}
    """

    name: str
    kind: FileKind
    records: int
    committed: int
    events: int
    rejected: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    state: str = "finished"


def ingest_file(
    file: str | Path | bytes,
    name: str,
    queue: Sink,
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    max_bytes: int = MAX_BYTES,
) -> UploadResult:
    """Read a recording and put its events, at their own times, into the queue; returns when all are in.

    Runs on the caller's thread, for as long as it takes; where the queue is full it waits.

    Parameters
    ----------
    file : path or bytes
        Tracks, Suricata EVE, a capture, or measured powers (CSV, or a .zip in the POWDER layout); plain, gzip or
        bzip2. Recognised by content.
    name : str
        What the file was called; becomes the name of the source, ``upload`` and its printable part.
    queue : Sink
    progress : callable, optional
        Told the share done, 0 to 1, as it grows; of the bytes read.
    cancel : threading.Event, optional
        Set to stop early. What is in the queue by then stays in.
    max_bytes : int

    Returns
    -------
    UploadResult
        ``committed + sum(rejected.values()) == records``.

    Raises
    ------
    ValueError
        The file is larger than `max_bytes`, or empty.

    Examples
    --------
    >>> from engine.events.queue import BoundedQueue
    >>> line = b'{"timestamp": "2024-05-01T12:00:00Z", "event_type": "dns", "src_ip": "10.0.0.1"}'
    >>> result = ingest_file(line + b"\\n{oops", "eve.json", BoundedQueue())
    >>> result.records, result.committed, result.rejected
    (2, 1, {'not_json': 1})
    """
    size = len(file) if isinstance(file, bytes) else Path(file).stat().st_size
    if not 0 < size <= max_bytes:
        raise ValueError(f"{safe_repr(name)} has {size} bytes; a file of 1 to {max_bytes} bytes can be taken in")
    tell, stop = progress or (lambda share: None), cancel or threading.Event()
    kind, source, rejects = file_kind(file), _source_name(name), Rejects()
    committed = events = 0
    state = "finished"
    with _opened(file, size, tell) as reader:
        for table in _tables(kind, reader, source, rejects):
            accepted = _offer(queue, table, stop)
            events += accepted
            committed += _records(kind, table.slice(0, accepted))
            if accepted < table.num_rows:
                state = "cancelled"
            elif events > MAX_UNPACKED_EVENTS:
                state = "too_many"
            if state != "finished":
                break
    # A reader that is left early has read records of which it has not told what became.
    rejected = dict(rejects.counts)
    open_records = rejects.records - committed - rejects.total
    if state != "finished" and open_records:
        rejected[state] = open_records
    tell(1.0)
    return UploadResult(source, kind, rejects.records, committed, events, rejected, dict(rejects.examples), state)


@contextlib.contextmanager
def _opened(file: str | Path | bytes, size: int, tell: Progress) -> Iterator[BinaryIO]:
    """The file for reading, telling how far it has been read, in steps of a hundredth."""
    raw: BinaryIO = io.BytesIO(file) if isinstance(file, bytes) else open(file, "rb")  # noqa: SIM115
    with raw, io.BufferedReader(_Told(raw, size, tell), 1 << 18) as reader:
        yield reader


class _Told(io.RawIOBase):
    def __init__(self, raw: BinaryIO, size: int, tell: Progress) -> None:
        self._raw, self._size, self._tell, self._told = raw, size, tell, 0.0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on, and tell when another hundredth is done."""
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        share = min(self._raw.tell() / self._size, 1.0)
        if share - self._told >= 0.01:
            self._told = share
            self._tell(0.99 * share)  # the last hundredth is that the last event is in the queue
        return len(data)


def _tables(kind: FileKind, reader: BinaryIO, source: str, rejects: Rejects) -> Iterator[pa.Table]:
    if kind == "eve":
        return iter_eve(reader, source=source, rejects=rejects)
    if kind == "pcap":
        return iter_pcap(reader, source=source, rejects=rejects)
    if kind == "rssi":
        return iter_rssi(reader, source=source, rejects=rejects)
    return iter_tracks(reader, source=source, rejects=rejects, gate=FixGate())


def _records(kind: FileKind, table: pa.Table) -> int:
    """Records that events stand for: the packets of flows, where it is a capture."""
    if kind != "pcap":
        return table.num_rows
    flows = table.filter(pc.equal(table["kind"], "net.flow"))
    counts = []
    for key in ("pkts_to_server", "pkts_to_client"):
        digits = pc.struct_field(pc.extract_regex(flows["payload"], rf'"{key}":(?P<n>\d+)'), "n")
        counts.append(pc.sum(digits.cast(pa.int64())).as_py())
    return sum(count or 0 for count in counts)


def _offer(queue: Sink, table: pa.Table, cancel: threading.Event) -> int:
    """Put a table in, waiting for room; returns how many events of it were accepted before a cancel."""
    done = 0
    while done < table.num_rows and not cancel.is_set():
        accepted = queue.put(table.slice(done, OFFER_EVENTS), OFFER_TIMEOUT_S)
        done += accepted
        if not accepted:
            cancel.wait(0.02)  # a closed queue refuses at once
    return done


def _source_name(name: str) -> str:
    """A name for the source: what is printable of the file's, without its folder; it is text and nothing else."""
    base = re.split(r"[\\/]", name)[-1]
    kept = "".join(char if char.isprintable() and char not in "<>&\"'" else "_" for char in base)[:100].strip()
    return f"upload {kept or 'file'}"
