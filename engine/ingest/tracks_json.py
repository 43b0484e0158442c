"""JSON of track files as records: lines, whole documents, and what can be saved of damaged ones.

Understands the envelopes (lists, readsb snapshots and traces, pandas columns) and takes them off;
what the fields inside a record mean is none of its business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from engine.ingest.rejects import Rejects


@dataclass(frozen=True, slots=True)
class Block:
    """Some records as columns by their names in the source.

    Attributes
    ----------
    columns : dict of str to sequence of n values
        Values as they came; None where a record has no such field.
    numbers : sequence of n int
        Where each record was, from 1.
    unit : str
        What the numbers count: ``"line"``, ``"record"``, ``"row"``.
    """

    columns: dict[str, Any]
    numbers: Any
    unit: str = "record"


# Braces inside strings are not expected here: a document that has them is not damaged and needs no rescue.
_TEXT = rb'"(?:[^"\\{}\n]|\\.)*+"'
_INNER = rb'\{(?:[^{}"]++|' + _TEXT + rb")*+\}"
_NESTED_OBJECT = re.compile(rb'\{(?:[^{}":]++|' + _TEXT + rb"|:\s*+" + _INNER + rb"|:)*+\}")
_FLAT_OBJECT = re.compile(rb"\{[^{}]*+\}")
_TRACE_POINT = re.compile(rb"\[\s*-?\d[^\[\]{}]*+(?:\{[^{}]*+\}[^\[\]{}]*+)?\]")
_SNAPSHOT_HEAD = re.compile(rb'\{[^{}\[\]]*"aircraft"\s*:\s*\[')
_TRACE_HEAD = re.compile(rb'\{.*?"trace"\s*:\s*\[', re.DOTALL)
_COLUMNS_HEAD = re.compile(rb'\s*\{\s*"[^"]*"\s*:\s*\{\s*"\d+"\s*:')
_HEAD_BYTES = 1 << 16


def loads(text: bytes) -> Any:
    """Value of a JSON text; NaN and Infinity, which Python writes, and numbers beyond float64 are understood.

    Raises
    ------
    ValueError
        If it is not JSON, not UTF-8, or nested too deep.

    Examples
    --------
    >>> loads(b'[1, NaN]')
    [1, nan]
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in text and b"Infinity" not in text and "infinity" not in str(error):
            raise
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON nested too deep") from None


def blocks_of_lines(lines: Iterable[tuple[int, bytes]], rejects: Rejects, batch: int) -> Iterator[Block]:
    """Records of JSON lines, each line a record, a snapshot or a trace.

    Parameters
    ----------
    lines : iterable of (number, bytes)
    rejects : Rejects
        Lines that cannot be used are counted here.
    batch : int
        Records per block, about.

    Yields
    ------
    Block
    """
    yield from _blocks(_parsed_lines(lines, rejects), rejects, batch, "line")


def blocks_of_document(data: bytes, rejects: Rejects, batch: int) -> Iterator[Block]:
    """Records of one JSON document; of a damaged one, the records before and after the damage.

    Parameters
    ----------
    data : bytes
        The whole document.
    rejects : Rejects
    batch : int
        Records per block, about.

    Yields
    ------
    Block
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        document = loads(data)
    except ValueError:
        yield from _blocks(_rescued(data, rejects), rejects, batch, "record")
        return
    if isinstance(document, dict) and document and all(isinstance(v, (dict, list)) for v in document.values()):
        yield from _blocks_of_columns(document, batch)
    else:
        items = document if isinstance(document, list) else [document]
        yield from _blocks(enumerate(items, start=1), rejects, batch, "record")


def _parsed_lines(lines: Iterable[tuple[int, bytes]], rejects: Rejects) -> Iterator[tuple[int, Any]]:
    parse = orjson.loads
    for number, line in lines:
        try:
            value = parse(line)
        except ValueError:
            try:
                value = loads(line.removeprefix(b"\xef\xbb\xbf"))
            except ValueError:
                rejects.records += 1
                rejects.add(_fault(line), f"line {number}", line[:200])
                continue
        yield number, value


def _fault(text: bytes) -> str:
    """Why a piece of text is no JSON record."""
    text = text.strip()
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return "not_utf8"
    cut = (text.startswith(b"{") and not text.endswith(b"}")) or (text.startswith(b"[") and not text.endswith(b"]"))
    return "truncated" if cut else "not_json"


def _blocks(items: Iterable[tuple[int, Any]], rejects: Rejects, batch: int, unit: str) -> Iterator[Block]:
    records: list[dict[str, Any]] = []
    numbers: list[int] = []
    for number, item in items:
        if type(item) is not dict:
            rejects.records += 1
            rejects.add("not_a_record", f"{unit} {number}", item)
        elif type(item.get("trace")) is list:
            yield _block_of_trace(item, number, rejects, unit)
        elif type(item.get("aircraft")) is list:
            for aircraft in _snapshot_records(item, number, rejects, unit):
                records.append(aircraft)
                numbers.append(number)
        else:
            records.append(item)
            numbers.append(number)
        if len(records) >= batch:
            yield _block_of_records(records, numbers, unit)
            records, numbers = [], []
    if records:
        yield _block_of_records(records, numbers, unit)


def _block_of_records(records: list[dict[str, Any]], numbers: list[int], unit: str) -> Block:
    names = set().union(*records)
    return Block({name: [record.get(name) for record in records] for name in names}, numbers, unit)


def _snapshot_records(item: dict[str, Any], number: int, rejects: Rejects, unit: str) -> Iterator[dict[str, Any]]:
    """Records of a readsb ``aircraft.json``; their time is the snapshot's ``now``."""
    now = item.get("now")
    for aircraft in item["aircraft"]:
        if type(aircraft) is dict:
            aircraft.setdefault("now", now)  # the last resort among the names of time
            yield aircraft
        else:
            rejects.records += 1
            rejects.add("not_a_record", f"{unit} {number}", aircraft)


# Fields of a trace point, by place (readsb README-json.md, "trace jsons"); the altitude at 10 is geometric.
_TRACE_PLACES = {"lat": 1, "lon": 2, "alt_baro": 3, "gs": 4, "track": 5, "baro_rate": 7, "alt_geom": 10}


def _block_of_trace(item: dict[str, Any], number: int, rejects: Rejects, unit: str) -> Block:
    """Points of a readsb ``trace_full``; the callsign comes now and then and holds until the next one."""
    start = item.get("timestamp")
    usable = type(start) in (int, float)
    points, numbers = [], []
    for place, point in enumerate(item["trace"], start=1):
        if type(point) is list and len(point) >= 3:
            points.append(point)
            numbers.append(place)
        else:
            rejects.records += 1
            rejects.add("not_a_record", f"{unit} {number}, point {place}", point)
    times: list[Any] = []
    callsigns, callsign = [], None
    for point in points:
        times.append(start + point[0] if usable and type(point[0]) in (int, float) else None)
        details = point[8] if len(point) > 8 else None
        if type(details) is dict and type(details.get("flight")) is str:
            callsign = details["flight"]
        callsigns.append(callsign)
    columns: dict[str, Any] = {"hex": [item.get("icao")] * len(points), "timestamp": times, "flight": callsigns}
    for name, at in _TRACE_PLACES.items():
        columns[name] = [point[at] if len(point) > at else None for point in points]
    return Block(columns, numbers, "point")


def _blocks_of_columns(document: dict[str, Any], batch: int) -> Iterator[Block]:
    """Records of a pandas table written by columns: name → index → value, or name → list."""
    if any(type(document.get(name)) is list for name in ("aircraft", "trace")):
        yield from _blocks([(1, document)], Rejects(), batch, "record")
        return
    index: dict[Any, None] = {}
    for column in document.values():
        index.update(dict.fromkeys(column if isinstance(column, dict) else range(len(column))))
    keys = list(index)
    columns = {}
    for name, column in document.items():
        if isinstance(column, dict):
            columns[name] = [column.get(key) for key in keys]
        else:
            columns[name] = [*column, *[None] * (len(keys) - len(column))]
    for at in range(0, len(keys), batch):
        part = {name: values[at : at + batch] for name, values in columns.items()}
        yield Block(part, range(at + 1, at + 1 + len(next(iter(part.values())))), "record")


def _rescued(data: bytes, rejects: Rejects) -> Iterator[tuple[int, Any]]:
    """Whole records of a damaged document; each damaged piece is counted."""
    head = data[:_HEAD_BYTES]
    if _COLUMNS_HEAD.match(head):  # a column is no record: with some missing nothing fits together
        rejects.records += 1
        rejects.add(_fault(data), "document by columns", data[-60:])
        return
    snapshot, trace = _SNAPSHOT_HEAD.search(head), _TRACE_HEAD.match(head.lstrip())
    if trace and not snapshot:
        yield from _rescued_trace(data, data.index(b"[", head.index(b'"trace"')) + 1, rejects)
        return
    nested = re.search(rb":\s*\{", data) is not None
    pattern = _NESTED_OBJECT if nested else _FLAT_OBJECT
    now = _number_in(snapshot.group(), b"now") if snapshot else None
    for number, piece in _pieces(data, pattern, snapshot.end() if snapshot else 0, rejects):
        try:
            record = loads(piece)
        except ValueError:
            rejects.records += 1
            rejects.add(_fault(piece), f"record {number}", piece[:200])
            continue
        if now is not None:
            record.setdefault("now", now)
        yield number, record


def _rescued_trace(data: bytes, begin: int, rejects: Rejects) -> Iterator[tuple[int, Any]]:
    head = data[:begin]
    identity = re.search(rb'"icao"\s*:\s*"([^"]*)"', head)
    points = []
    for number, piece in _pieces(data, _TRACE_POINT, begin, rejects):
        try:
            points.append(loads(piece))
        except ValueError:
            rejects.records += 1
            rejects.add(_fault(piece), f"point {number}", piece[:200])
    icao = identity.group(1).decode("utf-8", "replace") if identity else None
    yield 1, {"icao": icao, "timestamp": _number_in(head, b"timestamp"), "trace": points}


def _pieces(data: bytes, pattern: re.Pattern[bytes], begin: int, rejects: Rejects) -> Iterator[tuple[int, bytes]]:
    """Matches of a pattern, numbered; what lies between them and is no separator is counted as damaged."""
    number, end = 0, begin
    opening = b"[" if pattern is _TRACE_POINT else b"{"
    for match in pattern.finditer(data, begin):
        gap = data[end : match.start()].strip(b" \t\r\n,[")
        if gap:
            broken = max(1, gap.count(opening))
            number += broken
            rejects.records += broken
            rejects.add("not_json", f"record {number}", gap[:200], broken)
        number, end = number + 1, match.end()
        yield number, match.group()
    rest = data[end:].strip()
    if not rest.startswith(b"]"):
        rejects.records += 1
        rejects.add("truncated", f"after record {number}", rest[:200])


def _number_in(text: bytes, name: bytes) -> float | None:
    found = re.search(rb'"' + name + rb'"\s*:\s*(\d+(?:\.\d+)?)', text)
    return float(found.group(1)) if found else None
