"""Reads arrival times at synchronised receivers: the CSV files of LocaRDS and of the OpenSky localisation contest.

One file says where the receivers stand (``serial, latitude, longitude, height, type, good``), others what they heard:
a row per message with ``id, timeAtServer, aircraft, latitude, longitude, geoAltitude, measurements``, the last a JSON
list of ``[receiver, time of arrival in ns, signal strength]``. It must not know how positions are found from them.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from engine.events.schema import ARRIVAL, SENSOR, event_table
from engine.ingest.rejects import Rejects

MAX_BYTES = 256 * 2**20
"""Largest file read, bytes."""

MAX_NAME = 64
"""Characters of an identity."""

LATEST_S = 4.1e9
"""Times of messages from 0 to here are read, s."""

_SENSOR_COLUMNS = ("serial", "latitude", "longitude", "height")
_ARRIVAL_COLUMNS = ("id", "timeAtServer", "aircraft", "measurements")


def read_sensors(path: Path | str, source: str = "sensors") -> tuple[pa.Table, Rejects]:
    """Where receivers stand, one event each, at time 0.

    Parameters
    ----------
    path : path
        CSV with the columns ``serial, latitude, longitude, height`` (degrees, m) and optionally ``type`` and ``good``
        (TRUE for a receiver with a common clock).
    source : str
        Named in the events.

    Returns
    -------
    sensors : pyarrow.Table
        Schema `engine.events.SCHEMA`, kind `engine.events.schema.SENSOR`.
    rejects : Rejects

    Raises
    ------
    ValueError
        The file is too large, no text, or lacks a column.
    """
    rejects = Rejects()
    names, places, payloads = [], [], []
    for where, row in _rows(Path(path), _SENSOR_COLUMNS, rejects):
        name = row["serial"].strip()
        place = _place(row["latitude"], row["longitude"], row["height"])
        reason = _name_fault(name) or (place if isinstance(place, str) else "")
        if reason or isinstance(place, str):
            rejects.add(reason, where, row)
            continue
        names.append(name)
        places.append(place)
        good = (row.get("good") or "").strip().lower()
        payload: dict[str, Any] = {"sensor_type": (row.get("type") or "")[:MAX_NAME]}
        payloads.append(orjson.dumps(payload | ({"synchronised": good == "true"} if good else {})).decode())
    lat, lon, alt = zip(*places, strict=True) if places else ((), (), ())
    return event_table([0] * len(names), SENSOR, names, source, lat=lat, lon=lon, alt_m=alt, payload=payloads), rejects


def read_arrivals(path: Path | str, source: str = "") -> tuple[pa.Table, Rejects]:
    """What receivers heard, one event per message and receiver, at the time of the message.

    Parameters
    ----------
    path : path
        CSV as above.
    source : str
        Named in the events, the name of the file without its ending if not given; with a slash it begins the identity
        of each emitter, for numbers of different recordings mean different aircraft.

    Returns
    -------
    arrivals : pyarrow.Table
        Schema `engine.events.SCHEMA`, kind `engine.events.schema.ARRIVAL`, in order of time. A reported position that
        makes none is left out, the arrival stays.
    rejects : Rejects

    Raises
    ------
    ValueError
        The file is too large, no text, or lacks a column.
    """
    path, rejects = Path(path), Rejects()
    source = source or path.stem
    rows: list[tuple[int, str, tuple[float, float, float], str]] = []
    for where, row in _rows(path, _ARRIVAL_COLUMNS, rejects):
        heard = _heard(row, where, rejects)
        if heard is None:
            continue
        time_s, arrivals = heard
        place = _place(row.get("latitude"), row.get("longitude"), row.get("geoAltitude"))
        if isinstance(place, str):
            rejects.left_out["lat"] = rejects.left_out.get("lat", 0) + 1
            place = (math.nan, math.nan, math.nan)
        message = {"message": row["id"].strip(), "recorded_s": time_s}
        for sensor, toa_ns, rssi in arrivals:
            payload = message | {"sensor": sensor, "toa_ns": toa_ns} | ({} if rssi is None else {"rssi": rssi})
            entity = f"{source}/{row['aircraft'].strip()}"
            rows.append((round(time_s * 1e6), entity, place, orjson.dumps(payload).decode()))
    rows.sort(key=lambda row: row[0])
    lat, lon, alt = zip(*(row[2] for row in rows), strict=True) if rows else ((), (), ())
    events = event_table(
        [row[0] for row in rows], ARRIVAL, [row[1] for row in rows], source, lat=lat, lon=lon, alt_m=alt,
        payload=[row[3] for row in rows],
    )  # fmt: skip
    return events, rejects


def _rows(path: Path, needed: tuple[str, ...], rejects: Rejects) -> Iterator[tuple[str, dict[str, str]]]:
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{path.name} has {size} bytes; at most {MAX_BYTES} are read")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is no UTF-8 text: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path.name} lacks the columns {missing}; it has {list(reader.fieldnames or ())}")
    try:
        for row in reader:
            rejects.records += 1
            where = f"line {reader.line_num}"
            if None in row or None in row.values():
                rejects.add("not_a_record", where, row)
            else:
                yield where, row
    except csv.Error as error:  # a cell beyond the limit of the csv module, or a NUL
        rejects.add("truncated", f"line {reader.line_num}", str(error))


def _heard(
    row: dict[str, str], where: str, rejects: Rejects
) -> tuple[float, list[tuple[str, int, float | None]]] | None:
    """Time of a message, s, and the arrivals that can be used; None, and why, where there is none."""
    time_s = _number(row["timeAtServer"])
    reason = _name_fault(row["id"].strip()) or _name_fault(row["aircraft"].strip())
    if not reason and time_s is None:
        reason = "bad_time" if row["timeAtServer"].strip() else "missing_time"
    if not reason and time_s is not None and not 0.0 <= time_s < LATEST_S:
        reason = "bad_time"
    found: Any = None
    if not reason:
        try:
            found = json.loads(row["measurements"])
        except (ValueError, RecursionError):
            reason = "not_json"
        else:
            reason = "" if isinstance(found, list) else "not_a_record"
    if reason or time_s is None:
        rejects.add(reason, where, row)
        return None
    arrivals: dict[str, tuple[str, int, float | None]] = {}
    for one in found:
        arrival = _arrival(one)
        if arrival is None:
            rejects.add("bad_arrival", where, one)
        elif arrival[0] in arrivals:
            rejects.add("heard_twice", where, one)
        else:
            arrivals[arrival[0]] = arrival
    return time_s, list(arrivals.values())


def _arrival(one: Any) -> tuple[str, int, float | None] | None:
    if not isinstance(one, list) or len(one) < 2 or isinstance(one[0], bool) or not isinstance(one[0], int | str):
        return None
    name, toa = str(one[0]).strip(), one[1]
    if _name_fault(name) or isinstance(toa, bool) or not isinstance(toa, int | float) or not abs(toa) < 2**53:
        return None
    rssi = one[2] if len(one) > 2 else None
    if not isinstance(rssi, int | float) or isinstance(rssi, bool) or not math.isfinite(rssi):
        return name, round(toa), None
    return name, round(toa), float(rssi)


def _name_fault(name: str) -> str:
    if not name or not name.isprintable():
        return "missing_id"
    return "text_too_long" if len(name) > MAX_NAME else ""


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _place(lat: str | None, lon: str | None, alt: str | None) -> tuple[float, float, float] | str:
    """Latitude, longitude, height (NaN where unknown), or the reason why that is no position."""
    y, x, h = _number(lat), _number(lon), _number(alt)
    if y is None or x is None:
        return "missing_position"
    if abs(y) > 90.0:
        return "lat_out_of_range"
    if abs(x) > 180.0:
        return "lon_out_of_range"
    if y == 0.0 and x == 0.0:
        return "null_island"
    if h is not None and not -1500.0 <= h <= 100_000.0:
        return "alt_out_of_range"
    return y, x, math.nan if h is None else h
