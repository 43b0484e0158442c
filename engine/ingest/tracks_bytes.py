"""Bytes of track files: opened, decompressed, cut into lines, and their format recognised.

Works in chunks, so that neither a large file nor an endless line is ever held in memory. It knows
how formats look from outside, and nothing of fields, units or events.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson

from engine.ingest.rejects import Rejects

Format = Literal["json", "jsonl", "csv", "parquet"]
"""``json``: one document; ``jsonl``: one JSON value per line; ``csv``: a table with a header line."""

MAX_LINE_BYTES = 1 << 20
"""A longer line is skipped and counted."""

CHUNK_BYTES = 1 << 18
SNIFF_BYTES = 1 << 18

# A document, although it begins like a JSON line: readsb snapshot, readsb trace, columns of a pandas table.
_DOCUMENT_HEAD = re.compile(rb'^\s*(\[|\{[^{}]*?"(aircraft|trace)"\s*:\s*\[|\{\s*"[^"]{1,64}"\s*:\s*[\[{])', re.DOTALL)
_LATITUDE_NAME = re.compile(r"lat", re.IGNORECASE)
_LONGITUDE_NAME = re.compile(r"lon|lng", re.IGNORECASE)


@contextlib.contextmanager
def open_binary(source: str | Path | bytes | BinaryIO) -> Iterator[tuple[io.BufferedReader, str]]:
    """A buffered reader of a source, decompressed if its first bytes say so, and a name for it.

    What it opens it closes; a file that was handed in open stays open.

    Parameters
    ----------
    source : str, Path, bytes or binary file
        A path, the content itself, or an open binary file.

    Yields
    ------
    reader : io.BufferedReader
    name : str
        File name, or ``"bytes"``.

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If the path cannot be opened.

    Examples
    --------
    >>> with open_binary(gzip.compress(b"abc")) as (reader, name):
    ...     reader.read(), name
    (b'abc', 'bytes')
    """
    with contextlib.ExitStack() as closing:
        reader: Any = source
        name = os.path.basename(str(getattr(source, "name", "stream")))
        if isinstance(source, (str, Path)):
            reader, name = closing.enter_context(open(source, "rb")), os.path.basename(source)
        elif isinstance(source, (bytes, bytearray, memoryview)):
            reader, name = io.BufferedReader(io.BytesIO(source)), "bytes"  # type: ignore[type-var]
        elif not isinstance(source, io.BufferedReader):
            reader = io.BufferedReader(source)  # type: ignore[type-var]
            closing.callback(reader.detach)
        magic = reader.peek(3)[:3]
        if magic[:2] == b"\x1f\x8b":
            reader = closing.enter_context(gzip.GzipFile(fileobj=reader))
        elif magic == b"BZh":
            reader = closing.enter_context(bz2.BZ2File(reader))
        yield reader, name


def read_chunks(reader: io.BufferedReader, rejects: Rejects) -> Iterator[bytes]:
    """Chunks of a reader until it ends or breaks; a break is counted, what came before it is kept.

    `read1` and not `read`: the latter throws away what it had decompressed when it meets the damage.
    """
    try:
        while chunk := reader.read1(CHUNK_BYTES):
            yield chunk
    except EOFError as error:
        rejects.add("truncated", "compressed file", str(error))
    except (OSError, zlib.error) as error:
        rejects.add("broken_file", "compressed file", str(error))


def read_lines(
    chunks: Iterable[bytes], rejects: Rejects, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, from 1, of chunks; too long ones are counted and skipped, empty ones left out.

    Parameters
    ----------
    chunks : iterable of bytes
    rejects : Rejects
        Where ``line_too_long`` is counted.
    max_line_bytes : int
        Limit; at most this and one chunk are held in memory.

    Yields
    ------
    number, line : int, bytes
        Without its end.

    Examples
    --------
    >>> list(read_lines([b"a", b"b", bytes(1), bytes(5)], Rejects(), max_line_bytes=10))
    [(1, b'ab\\x00\\x00\\x00\\x00\\x00\\x00')]
    """
    number, carry, skipped, head = 0, b"", 0, b""

    def too_long() -> None:
        rejects.records += 1
        rejects.add("line_too_long", f"line {number}, {skipped} bytes", head)

    for chunk in chunks:
        parts = chunk.split(b"\n")
        if skipped:
            skipped += len(parts[0])
            if len(parts) == 1:
                continue
            number += 1
            too_long()
            skipped = 0
            parts = parts[1:]
        else:
            parts[0] = carry + parts[0]
        carry = parts.pop()
        for part in parts:
            number += 1
            if len(part) > max_line_bytes:
                skipped, head = len(part), part[:60]
                too_long()
                skipped = 0
            elif part and not part.isspace():
                yield number, part
        if len(carry) > max_line_bytes:
            skipped, head, carry = len(carry), carry[:60], b""
    number += 1
    if skipped:
        too_long()
    elif carry and not carry.isspace():
        yield number, carry


def recognise(head: bytes, whole: bool) -> Format | Literal["empty_source", "binary_source", "unknown_format"]:
    """Format of a file by its first bytes, or the reason why it has none.

    Parameters
    ----------
    head : bytes
        First bytes, decompressed.
    whole : bool
        True where that is all there is.

    Returns
    -------
    str
        A `Format`, or a key of `engine.ingest.rejects.REASONS`.

    Examples
    --------
    >>> recognise(b'id,lat,lon,time', True), recognise(b'[{"hex": "abc"', True), recognise(b"", True)
    ('csv', 'json', 'empty_source')
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        return "empty_source"
    complete = text.split(b"\n") if whole else text.split(b"\n")[:-1]
    lines = [line.strip() for line in complete if line and not line.isspace()]
    values = sum(map(_is_json_object, lines[:200]))
    if values and 2 * values >= min(len(lines), 200) and not text.startswith(b"["):
        return "jsonl"
    control = sum(byte < 32 and byte not in b"\t\n\r" for byte in text[:4096])
    if 20 * control > len(text[:4096]):
        return "binary_source"
    if _is_csv_header(lines[0] if lines else b""):
        return "csv"
    if _DOCUMENT_HEAD.match(text):
        return "json"
    if b"\0" in text:
        return "binary_source"
    if not lines:  # one line that is longer than the head: skipped by the reader of lines, not held
        return "jsonl"
    if values:
        return "jsonl"
    return "json" if b"{" in text and b'"' in text else "unknown_format"


def _is_json_object(line: bytes) -> bool:
    if not line.startswith(b"{") or not line.endswith(b"}"):
        return False
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _is_csv_header(line: bytes) -> bool:
    """A header has a latitude and a longitude among its columns, or one position column."""
    if line.startswith((b"{", b"[")):
        return False
    try:
        cells = re.split(r"[,;\t|]", line.decode("utf-8"))
    except UnicodeDecodeError:
        return False
    if not all(map(str.isprintable, cells)):
        return False
    return any(map(_LATITUDE_NAME.search, cells)) and any(map(_LONGITUDE_NAME.search, cells)) and len(cells) > 2
