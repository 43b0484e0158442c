"""Suricata EVE files as events: one call for a file, plain or compressed, of any version of EVE.

Cuts bytes into blocks of whole lines, has them scanned in compiled code, and counts what it cannot
take. It knows nothing of clocks, queues or graphs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from engine.events import empty_events, event_table
from engine.events.times import parse_times
from engine.ingest.eve_fields import field_tree, slot_keys
from engine.ingest.eve_json import NOT_A_RECORD, NOT_JSON, TRUNCATED, scratch
from engine.ingest.eve_scan import BAD_KIND, MISSING_TIME, SKIPPED, Columns, columns_for, scan_lines
from engine.ingest.eve_values import NO_TIME
from engine.ingest.rejects import Rejects
from engine.ingest.tracks_bytes import MAX_LINE_BYTES, open_binary, read_chunks
from engine.ingest.tracks_events import LATEST_TIME_US
from engine.ingest.tracks_read import TrackFile

BLOCK_BYTES = 1 << 21
"""Bytes scanned at once; with the longest line, what a reader holds in memory."""

_REASONS = {
    NOT_JSON: "not_json", TRUNCATED: "truncated", NOT_A_RECORD: "not_a_record", MISSING_TIME: "missing_time",
    BAD_KIND: "bad_event_type",
}  # fmt: skip
_TREE = field_tree()
_SLOTS = len(slot_keys())


def read_eve(
    source_file: TrackFile, *, source: str | None = None, max_line_bytes: int = MAX_LINE_BYTES
) -> tuple[pa.Table, Rejects]:
    """All events of a Suricata EVE file, and what was refused.

    Every line becomes one event of kind ``net.`` and its ``event_type``, or is counted under a reason.
    The entity is the Community ID of the flow, else its ``flow_id``, else the source. The payload is
    described by the mapping table (docs/engine-ingest-network.md); any text in it is text from outside.

    Parameters
    ----------
    source_file : str, Path, bytes or binary file
        Plain, gzip or bzip2.
    source : str, optional
        Name of the source in the events; the file's name when not given.
    max_line_bytes : int
        Longer lines are skipped.

    Returns
    -------
    events : pyarrow.Table
        Schema `engine.events.SCHEMA`, in the order of the file.
    rejects : Rejects

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If a path cannot be opened. What is inside never raises.

    Examples
    --------
    >>> events, rejects = read_eve(b'{"event_type": "dns", "timestamp": "2024-05-01T12:00:00.000000+0000"}')
    >>> events["kind"].to_pylist(), rejects.total
    (['net.dns'], 0)

    References
    ----------
    Suricata User Guide, section "EVE JSON Format".
    """
    rejects = Rejects()
    tables = list(iter_eve(source_file, source=source, rejects=rejects, max_line_bytes=max_line_bytes))
    return (pa.concat_tables(tables).combine_chunks() if tables else empty_events()), rejects


def iter_eve(
    source_file: TrackFile,
    *,
    source: str | None = None,
    rejects: Rejects | None = None,
    block_bytes: int = BLOCK_BYTES,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[pa.Table]:
    """Events of an EVE file, block by block; parameters as for `read_eve`.

    Parameters
    ----------
    rejects : Rejects, optional
        Filled while the blocks are taken.
    block_bytes : int
        About how many bytes are scanned at once.

    Yields
    ------
    pyarrow.Table
        At least one event each.
    """
    rejects = Rejects() if rejects is None else rejects
    with open_binary(source_file) as (reader, name):
        lines = EveLines(source or name, rejects, max_line_bytes)
        held: list[bytes] = []
        for chunk in read_chunks(reader, rejects):
            held.append(chunk)
            if sum(map(len, held)) >= block_bytes:
                yield from _not_empty(lines.feed(b"".join(held)))
                held = []
        yield from _not_empty(lines.feed(b"".join(held)))
        yield from _not_empty(lines.finish())
        if not rejects.records and not rejects.total:
            rejects.records += 1
            rejects.add("empty_source", "file", b"")


class EveLines:
    """Turns bytes, in pieces as they come, into events; holds back the line that is not complete yet.

    Parameters
    ----------
    source : str
        Name of the source in the events.
    rejects : Rejects
        What is refused is counted here.
    max_line_bytes : int
        Longer lines are skipped, without being held.

    Attributes
    ----------
    pending : int
        Bytes of the incomplete last line so far.

    Examples
    --------
    >>> lines = EveLines("tail", Rejects())
    >>> first, second = b'{"timestamp": "2024-05-01T12:00:00Z", "event_', b'type": "dns"}' + bytes([10])
    >>> lines.feed(first).num_rows, lines.feed(second).num_rows
    (0, 1)
    """

    def __init__(self, source: str, rejects: Rejects, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.source, self.rejects, self.max_line_bytes = source, rejects, max_line_bytes
        self.pending = 0
        self._carry: list[bytes] = []
        self._skipping = False
        self._line = 1  # number of the first line of the next block
        self._scratch = scratch(_SLOTS)

    def feed(self, data: bytes) -> pa.Table:
        """Events of the lines that `data` completes."""
        cut = data.rfind(b"\n") + 1
        if not cut:
            self._hold(data)
            return empty_events()
        whole, rest = data[:cut], data[cut:]
        if self._skipping:
            end = whole.index(b"\n")
            self._too_long(self._line, self.pending + end, b"".join(self._carry))
            self._line += 1
            whole, self._skipping = whole[end + 1 :], False
        elif self._carry:
            whole = b"".join([*self._carry, whole])
        self._carry, self.pending = [], 0
        events = self._events(whole)
        self._hold(rest)
        return events

    def finish(self) -> pa.Table:
        """Events of the last line, which has no end; afterwards a new beginning."""
        return self.feed(b"\n") if self.pending else empty_events()

    def forget(self) -> None:
        """Drop the incomplete line: what comes next is from another place."""
        self._carry, self.pending, self._skipping = [], 0, False

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        self.pending += len(data)
        if not self._skipping:
            self._carry.append(data)
            if self.pending > self.max_line_bytes:
                self._carry, self._skipping = [b"".join(self._carry)[:60]], True

    def _too_long(self, number: int, size: int, head: bytes) -> None:
        self.rejects.records += 1
        self.rejects.add("line_too_long", f"line {number}, {size} bytes", head[:60])

    def _events(self, block: bytes) -> pa.Table:
        text = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(text == 10)
        if not len(ends):
            return empty_events()
        starts = np.concatenate([[0], ends[:-1] + 1])
        if block.startswith(b"\xef\xbb\xbf") and self._line == 1:
            starts[0] = 3
        verdict = self._judged(block, starts, ends)
        to = columns_for(ends - starts)
        rows, left_out = scan_lines(_TREE, text, starts, ends, verdict, *self._scratch, *to)
        self._report(block, starts, ends, verdict)
        if left_out:
            self.rejects.left_out["other values"] = self.rejects.left_out.get("other values", 0) + left_out
        good = self._timed(block, to, rows)
        self._line += len(ends)
        return _table(to, rows, good, self.source)

    def _judged(self, block: bytes, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Verdicts that need no scanner: too long, not UTF-8; and lines that are blank."""
        verdict = np.zeros(len(ends), np.uint8)
        for i in np.flatnonzero(ends - starts > self.max_line_bytes):
            verdict[i] = SKIPPED
            self._too_long(self._line + int(i), int(ends[i] - starts[i]), block[starts[i] : starts[i] + 60])
        for i in np.flatnonzero(ends - starts < 4):  # what is that short is blank or broken
            if not block[starts[i] : ends[i]].strip():
                verdict[i] = SKIPPED
        try:
            block.decode("utf-8")
        except UnicodeDecodeError:
            for i in np.flatnonzero(verdict == 0):
                line = block[starts[i] : ends[i]]
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    verdict[i] = SKIPPED
                    self.rejects.records += 1
                    self.rejects.add("not_utf8", f"line {self._line + int(i)}", line[:60])
        return verdict

    def _report(self, block: bytes, starts: np.ndarray, ends: np.ndarray, verdict: np.ndarray) -> None:
        self.rejects.records += int((verdict != SKIPPED).sum())
        for code in np.unique(verdict[(verdict != 0) & (verdict != SKIPPED)]):
            first = int(np.argmax(verdict == code))
            line = block[starts[first] : ends[first]][:80]
            self.rejects.add(_REASONS[code], f"line {self._line + first}", line, int((verdict == code).sum()))

    def _timed(self, block: bytes, to: Columns, rows: int) -> np.ndarray:
        """Which rows have a time; times in unusual forms are read here."""
        time_us = to.time_us[:rows]
        unusual = np.flatnonzero(time_us == NO_TIME)
        if len(unusual):
            tokens = [block[start:end] for start, end in to.time_at[unusual]]
            time_us[unusual], bad = parse_times([_loads(token) for token in tokens])
            time_us[unusual[bad]] = -1
        good = (time_us >= 0) & (time_us < LATEST_TIME_US)
        if not good.all():
            row = int(np.argmin(good))
            start, end = to.time_at[row]
            where = f"line {self._line + int(to.line[row])}"
            self.rejects.add("bad_time", where, block[start:end], int((~good).sum()))
        return good


def _loads(token: bytes) -> object:
    try:
        return orjson.loads(token)
    except orjson.JSONDecodeError:  # a number beyond float64
        return None


def _table(to: Columns, rows: int, good: np.ndarray, source: str) -> pa.Table:
    if not rows:
        return empty_events()
    entity = _texts(rows, to.entity_at, to.entities)
    if (to.entity_at[1 : rows + 1] == to.entity_at[:rows]).any():
        entity = pc.if_else(pc.equal(pc.binary_length(entity), 0), pa.scalar(source), entity)
    kind, payload = _texts(rows, to.kind_at, to.kinds), _texts(rows, to.payload_at, to.payloads)
    table = event_table(to.time_us[:rows], kind, entity, source, payload=payload)
    return table if good.all() else table.filter(pa.array(good))


def _texts(rows: int, offsets: np.ndarray, data: np.ndarray) -> pa.Array:
    used = data[: offsets[rows]].copy()  # and not the whole room, most of which stays empty
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets[: rows + 1]), pa.py_buffer(used))


def _not_empty(table: pa.Table) -> Iterator[pa.Table]:
    if table.num_rows:
        yield table
