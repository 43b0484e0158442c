"""Track files of many kinds as position events: one call for any of them.

Recognises a file by its content, reads it in batches, and counts what it cannot take. It knows
nothing of clocks, queues or logs; a gate that remembers emitters may be passed in.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.events import empty_events
from engine.ingest.gate import FixGate
from engine.ingest.rejects import PARSE_REASONS, Rejects
from engine.ingest.tracks_bytes import (
    MAX_LINE_BYTES,
    SNIFF_BYTES,
    Format,
    open_binary,
    read_chunks,
    read_lines,
    recognise,
)
from engine.ingest.tracks_events import events_of
from engine.ingest.tracks_json import Block, blocks_of_document, blocks_of_lines
from engine.ingest.tracks_names import column_meanings

BATCH = 20_000
"""Records per batch."""

MAX_DOCUMENT_BYTES = 1 << 30
"""A JSON document is held in memory as a whole; longer ones are cut and rescued. Lines, CSV and Parquet stream."""

TrackFile = str | Path | bytes | BinaryIO
"""A path, the content itself, or an open binary file."""


def read_tracks(
    source_file: TrackFile,
    *,
    format: Format | None = None,
    source: str | None = None,
    emitter_kind: str | None = None,
    gate: FixGate | None = None,
) -> tuple[pa.Table, Rejects]:
    """All position events of a track file, and what was refused.

    Parameters
    ----------
    source_file : str, Path, bytes or binary file
        Plain, gzip or bzip2.
    format : {'json', 'jsonl', 'csv', 'parquet'}, optional
        Recognised by content when not given.
    source : str, optional
        Name of the source in the events; the file's name when not given.
    emitter_kind : str, optional
        Kind of emitter for records that name none.
    gate : FixGate, optional
        Also refuse what the history of each emitter forbids, taking the records in the order of the
        file. Right for a feed written down as it came; an archive sorted by flight must be sorted by
        time first (`TrackReplay` does).

    Returns
    -------
    events : pyarrow.Table
        Schema `engine.events.SCHEMA`, kind ``emitter.fix``, in the order of the file.
    rejects : Rejects

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If a path cannot be opened. What is inside never raises.

    Examples
    --------
    >>> events, rejects = read_tracks(b'{"id": "a", "position": [47.1, 8.2], "time": "2024-05-01T12:00:00Z"}')
    >>> events.num_rows, rejects.total
    (1, 0)
    """
    rejects = Rejects()
    batches = iter_tracks(
        source_file, format=format, source=source, emitter_kind=emitter_kind, gate=gate, rejects=rejects
    )
    tables = list(batches)
    return (pa.concat_tables(tables).combine_chunks() if tables else empty_events()), rejects


def iter_tracks(
    source_file: TrackFile,
    *,
    batch: int = BATCH,
    format: Format | None = None,
    source: str | None = None,
    emitter_kind: str | None = None,
    gate: FixGate | None = None,
    rejects: Rejects | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[pa.Table]:
    """Position events of a track file, batch by batch; parameters as for `read_tracks`.

    Parameters
    ----------
    batch : int
        Records per batch, about.
    rejects : Rejects, optional
        Filled while the batches are taken.
    max_line_bytes : int
        Longer lines are skipped.

    Yields
    ------
    pyarrow.Table
        At least one event each.
    """
    rejects = Rejects() if rejects is None else rejects
    with open_binary(source_file) as (reader, name):
        for block in _blocks(reader, source_file, format, batch, max_line_bytes, rejects):
            table, numbers = events_of(block, source or name, rejects, emitter_kind)
            if gate is not None:
                table = gate.filter(table, rejects, _namer(block.unit, numbers))
            if table.num_rows:
                yield table


def _namer(unit: str, numbers: np.ndarray) -> Callable[[int], str]:
    return lambda row: f"{unit} {numbers[row]}"


def _blocks(
    reader: io.BufferedReader,
    source_file: TrackFile,
    format: Format | None,
    batch: int,
    max_line_bytes: int,
    rejects: Rejects,
) -> Iterator[Block]:
    chunks = read_chunks(reader, rejects)
    first: list[bytes] = []
    held = 0
    for chunk in chunks:
        first.append(chunk)
        held += len(chunk)
        if held >= SNIFF_BYTES:
            break
    head = b"".join(first)
    chosen = format or recognise(head, whole=held < SNIFF_BYTES)
    chunks = itertools.chain(first, chunks)
    if chosen in PARSE_REASONS:
        if not rejects.parse_errors:  # a container that was broken from the start is reported already
            rejects.records += 1
            rejects.add(chosen, "file", head[:80])
    elif chosen == "parquet":
        yield from _parquet_blocks(chunks, source_file, batch, rejects)
    elif chosen == "json":
        yield from blocks_of_document(_document(chunks, rejects), rejects, batch)
    elif chosen == "csv":
        yield from _csv_blocks(read_lines(chunks, rejects, max_line_bytes), rejects, batch)
    elif chosen == "jsonl":
        yield from blocks_of_lines(read_lines(chunks, rejects, max_line_bytes), rejects, batch)
    else:
        raise ValueError(f"format {format!r} is not known; it must be json, jsonl, csv, parquet or None")


def _document(chunks: Iterable[bytes], rejects: Rejects) -> bytes:
    parts, held = [], 0
    for chunk in chunks:
        parts.append(chunk)
        held += len(chunk)
        if held > MAX_DOCUMENT_BYTES:
            rejects.add("document_too_large", "file", f"over {MAX_DOCUMENT_BYTES} bytes")
            break
    return b"".join(parts)


def _csv_blocks(lines: Iterator[tuple[int, bytes]], rejects: Rejects, batch: int) -> Iterator[Block]:
    """Rows of a table with a header; a record is one line (quoted line breaks are not supported)."""
    first = next(lines, None)
    if first is None:
        return
    header_line = first[1].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").strip("\r")
    delimiter = max(",;\t|", key=header_line.count)
    try:
        header = _cells(header_line, delimiter)
    except csv.Error:
        rejects.records += 1
        rejects.add("unknown_format", "header", first[1][:200])
        return
    rows: list[list[str]] = []
    numbers: list[int] = []
    for number, line in lines:
        try:
            cells = _cells(line.decode("utf-8").rstrip("\r"), delimiter)
        except (UnicodeDecodeError, csv.Error) as error:
            rejects.records += 1
            reason = "not_utf8" if isinstance(error, UnicodeDecodeError) else "not_a_record"
            rejects.add(reason, f"line {number}", line[:200])
            continue
        if len(cells) != len(header):
            rejects.records += 1
            rejects.add("not_a_record", f"line {number}, {len(cells)} cells of {len(header)}", line[:200])
            continue
        rows.append(cells)
        numbers.append(number)
        if len(rows) >= batch:
            yield Block(dict(zip(header, map(list, zip(*rows, strict=True)), strict=False)), numbers, "line")
            rows, numbers = [], []
    if rows:
        yield Block(dict(zip(header, map(list, zip(*rows, strict=True)), strict=False)), numbers, "line")


def _cells(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split(delimiter)
    return next(csv.reader([line], delimiter=delimiter, strict=True))


def _parquet_blocks(chunks: Iterable[bytes], source_file: TrackFile, batch: int, rejects: Rejects) -> Iterator[Block]:
    """Rows of a Parquet file; by path it streams, otherwise it is held in memory."""
    on_disk = isinstance(source_file, (str, Path)) and not str(source_file).endswith((".gz", ".bz2"))
    number = 1
    try:
        with pq.ParquetFile(source_file if on_disk else io.BytesIO(_document(chunks, rejects))) as file:
            known = [meaning.column for meaning in column_meanings(file.schema_arrow.names)]
            if not known:
                rejects.records += file.metadata.num_rows
                rejects.add("unknown_format", "columns", file.schema_arrow.names, max(1, file.metadata.num_rows))
                return
            for part in file.iter_batches(batch_size=batch, columns=known):
                columns = {name: _plain(column) for name, column in zip(part.schema.names, part.columns, strict=True)}
                yield Block(columns, range(number, number + part.num_rows), "row")
                number += part.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        rejects.records += 1
        rejects.add("broken_file", f"after row {number - 1}", str(error))


def _plain(column: pa.Array) -> Any:
    """Numbers and times as NumPy, everything else as Python values."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us"), safe=False).to_numpy(zero_copy_only=False)
    if (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) and column.null_count == 0:
        return column.to_numpy(zero_copy_only=False)
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64()).to_pylist()
    return column.to_pylist()
