"""Captures as events: flows by five-tuple, DNS names, HTTP requests, TLS and QUIC clients with their fingerprints.

Streams a capture of any size in bounded memory, and counts every packet: with a flow, or under a
reason. It knows nothing of clocks, queues or graphs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from engine.events import empty_events, event_table
from engine.ingest.pcap_address import TCP
from engine.ingest.pcap_container import BLOCK_BYTES, Packets, read_packets
from engine.ingest.pcap_decode import (
    AT,
    BAD_TIME,
    DEST_PORT,
    FIELDS,
    GOOD,
    LATER_FRAGMENT,
    MALFORMED,
    NO_IP,
    NO_TIME,
    PROTO,
    SIZE,
    SRC_PORT,
    TRUNCATED,
    UNKNOWN_LINK,
    VERDICT,
    decode,
)
from engine.ingest.pcap_flows import (
    DNS,
    F_APP,
    F_LAST_US,
    F_SERIAL,
    FLOW_FIELDS,
    HTTP,
    QUIC,
    TLS,
    gather,
    rehash,
)
from engine.ingest.pcap_fragments import Fragments
from engine.ingest.pcap_rows import endpoints, flow_events
from engine.ingest.pcap_streams import Said, Streams
from engine.ingest.rejects import Rejects
from engine.ingest.tracks_bytes import open_binary
from engine.ingest.tracks_read import TrackFile

IDLE_S = 120.0
"""A flow that is silent for longer has ended, s. Suricata waits 30 s to 10 min by protocol and state, Zeek 1 to
5 min."""

MAX_FLOWS = 200_000
"""Flows open at once; with more, those silent for longest are ended."""

_REASONS = {
    NO_IP: "no_ip_packet", TRUNCATED: "truncated_packet", MALFORMED: "malformed_packet", NO_TIME: "missing_time",
    UNKNOWN_LINK: "unknown_link_type", BAD_TIME: "bad_time", LATER_FRAGMENT: "lost_fragment",
}  # fmt: skip
_KINDS = {DNS: "net.dns", TLS: "net.tls", HTTP: "net.http", QUIC: "net.quic"}


def read_pcap(source_file: TrackFile, *, source: str | None = None, idle_s: float = IDLE_S) -> tuple[pa.Table, Rejects]:
    """All events of a capture, and what was refused.

    Kinds are ``net.flow`` (one per conversation, at its last packet; the packets of all flows and the
    rejected ones are the packets of the file), ``net.dns``, ``net.http``, ``net.tls`` and ``net.quic``. The
    entity is the Community ID of the flow; payloads have the keys that EVE records get
    (docs/engine-ingest-network.md). Any text in them is text from outside.

    Parameters
    ----------
    source_file : str, Path, bytes or binary file
        Classic pcap or pcapng; plain, gzip or bzip2.
    source : str, optional
        Name of the source in the events; the file's name when not given.
    idle_s : float
        A five-tuple that was silent for longer is a new flow, s.

    Returns
    -------
    events : pyarrow.Table
        Schema `engine.events.SCHEMA`, in order of time.
    rejects : Rejects

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If a path cannot be opened. What is inside never raises.
    ValueError
        If `idle_s` is not positive.

    Examples
    --------
    >>> events, rejects = read_pcap(b"no capture")
    >>> events.num_rows, rejects.counts
    (0, {'unknown_format': 1})
    """
    rejects = Rejects()
    tables = list(iter_pcap(source_file, source=source, rejects=rejects, idle_s=idle_s))
    if not tables:
        return empty_events(), rejects
    events = pa.concat_tables(tables)
    return events.take(pc.sort_indices(events["time"])).combine_chunks(), rejects


def iter_pcap(
    source_file: TrackFile,
    *,
    source: str | None = None,
    rejects: Rejects | None = None,
    idle_s: float = IDLE_S,
    begin_us: int | None = None,
    block_bytes: int = BLOCK_BYTES,
    max_flows: int = MAX_FLOWS,
) -> Iterator[pa.Table]:
    """Events of a capture, block by block; parameters as for `read_pcap`.

    Parameters
    ----------
    rejects : Rejects, optional
        Filled while the blocks are taken.
    begin_us : int, optional
        Epoch microseconds that the first packet is moved to, and all others with it.
    block_bytes : int
        About how many bytes of the capture are looked at together.
    max_flows : int
        Flows open at once.

    Yields
    ------
    pyarrow.Table
        At least one event each, in order of time; a flow comes when it has ended.
    """
    if not idle_s > 0.0:
        raise ValueError(f"idle_s is {idle_s!r}; it must be positive seconds")
    rejects = Rejects() if rejects is None else rejects
    with open_binary(source_file) as (reader, name):
        flows = _Flows(source or name, rejects, round(idle_s * 1e6), max_flows)
        shift_us = None
        for packets in read_packets(reader, rejects, block_bytes):
            if begin_us is not None:
                timed = packets.time_us >= 0
                if shift_us is None and timed.any():
                    shift_us = begin_us - int(packets.time_us[np.argmax(timed)])
                packets.time_us[timed] += shift_us or 0
            yield from flows.take(packets)
        yield from flows.finish()


class _Flows:
    """The flows that are open, what their clients have said so far, and the packets refused."""

    def __init__(self, source: str, rejects: Rejects, idle_us: int, max_flows: int) -> None:
        self.source, self.rejects, self.idle_us = source, rejects, idle_us
        self._flows = np.empty((max_flows, FLOW_FIELDS), np.int64)
        self._ends = np.empty((max_flows, 4), np.uint64)
        self._table = np.full(1 << (2 * max_flows).bit_length(), -1, np.int32)
        self._count = self._serial = self._packets = 0
        self._fragments, self._streams = Fragments(), Streams()

    def take(self, packets: Packets) -> Iterator[pa.Table]:
        """Events of some packets."""
        n = len(packets.start)
        rows, addresses = np.empty((n, FIELDS), np.int64), np.zeros((n, 4), np.uint64)
        decode(packets.data, packets.start, packets.captured, packets.time_us, packets.link, rows, addresses)
        whole = self._fragments.place(packets.data, rows, addresses)
        self._report(packets, rows)
        of_packet, picked, at = np.full(n, -1, np.int64), np.empty((n, 3), np.int64), 0
        while at < n:
            begin = at
            at, self._count, self._serial, picks = gather(
                packets.data, packets.length, packets.time_us, rows, addresses, at, self._flows, self._ends,
                self._table, self._count, self._serial, self.idle_us, of_packet, picked,
            )  # fmt: skip
            told = _Told(self, packets, rows, of_packet)
            for packet, back, offset in picked[:picks].tolist():
                told.look(packet, back, offset)
            for packet, payload in whole:
                if begin <= packet < at:
                    told.look_at(packet, 0, self._streams.udp(int(self._flows[of_packet[packet], F_SERIAL]), payload))
            yield from told.events()
            if at < n:
                yield from self._make_room()
        self._packets += n
        yield from self._end_idle()

    def finish(self) -> Iterator[pa.Table]:
        """Events of the flows that are still open."""
        yield from self._end(np.ones(self._count, bool))

    def _report(self, packets: Packets, rows: np.ndarray) -> None:
        verdict = rows[:, VERDICT]
        for code in np.unique(verdict[verdict != GOOD]).tolist():
            first = int(np.argmax(verdict == code))
            start, size = int(packets.start[first]), int(min(packets.captured[first], 40))
            shown = packets.data[start : start + size].tobytes()
            where = f"packet {self._packets + first + 1}"
            self.rejects.add(_REASONS[code], where, shown, int((verdict == code).sum()))

    def _end_idle(self) -> Iterator[pa.Table]:
        last_us = self._flows[: self._count, F_LAST_US]
        if self._count:
            yield from self._end(last_us < last_us.max() - self.idle_us)

    def _make_room(self) -> Iterator[pa.Table]:
        """End the idle flows; if that is less than a quarter, the half that was silent for longest."""
        before = self._count
        yield from self._end_idle()
        if 4 * (before - self._count) < before:
            last_us = self._flows[: self._count, F_LAST_US]
            oldest = np.zeros(self._count, bool)
            oldest[np.argsort(last_us, kind="stable")[: max(1, self._count // 2)]] = True
            yield from self._end(oldest)

    def _end(self, ended: np.ndarray) -> Iterator[pa.Table]:
        if not ended.any():
            return
        index = np.flatnonzero(ended)
        index = index[np.argsort(self._flows[index, F_LAST_US], kind="stable")]
        table = flow_events(self._flows[index], self._ends[index], self.source)
        kept = np.flatnonzero(~ended)
        self._flows[: len(kept)], self._ends[: len(kept)] = self._flows[kept], self._ends[kept]
        self._count = len(kept)
        rehash(self._flows, self._ends, self._count, self._table)
        yield table


class _Told:
    """What clients and servers said in some packets, as rows of events."""

    def __init__(self, flows: _Flows, packets: Packets, rows: np.ndarray, of_packet: np.ndarray) -> None:
        self._of, self._packets, self._rows, self._of_packet = flows, packets, rows, of_packet
        self._columns: tuple[list[int], list[str], list[str], list[str]] = ([], [], [], [])

    def look(self, packet: int, back: int, offset: int) -> None:
        """Look into the payload of a packet that was picked."""
        row = self._rows[packet]
        serial = int(self._of._flows[self._of_packet[packet], F_SERIAL])
        payload = self._packets.data[row[AT] : row[AT] + row[SIZE]].tobytes()
        if row[PROTO] == TCP:
            port_53 = row[SRC_PORT] == 53 or row[DEST_PORT] == 53
            self.look_at(packet, back, self._of._streams.tcp(serial, back, offset, payload, bool(port_53)))
        else:
            self.look_at(packet, back, self._of._streams.udp(serial, payload))

    def look_at(self, packet: int, back: int, said: list[Said]) -> None:
        """Make rows of what was said."""
        at = self._of_packet[packet]
        for app, fields in said:
            # Names and addresses as EVE has them: the asker of a DNS answer is still the source of the flow.
            flow, ends = self._of._flows[at], self._of._ends[at]
            entity, payload = endpoints(flow, ends, bool(back) and app != DNS)
            flow[F_APP] = app
            times, kinds, entities, payloads = self._columns
            times.append(int(self._packets.time_us[packet]))
            kinds.append(_KINDS[app])
            entities.append(entity)
            payloads.append(orjson.dumps(payload | {"app_proto": _KINDS[app][4:]} | fields).decode())

    def events(self) -> Iterator[pa.Table]:
        """The rows so far, as one table."""
        times, kinds, entities, payloads = self._columns
        if times:
            yield event_table(np.array(times, np.int64), kinds, entities, self._of.source, payload=payloads)
