"""Records of track files as position events: meanings applied, units converted, bad records counted.

Works on columns of a few thousand records at a time, whatever format they came in. It judges each
record alone; what only the history of an emitter can tell is the gate's business (`FixGate`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from engine.events import FIX, event_table
from engine.events.times import parse_times
from engine.ingest.rejects import REASONS, Rejects
from engine.ingest.tracks_json import Block
from engine.ingest.tracks_names import ADSB_ID_NAMES, Meaning, column_meanings, normalised
from engine.ingest.tracks_values import MISSING, NON_FINITE, OK, TOO_LONG, WRONG_TYPE, to_flags, to_floats, to_texts

LOWEST_ALT_M, HIGHEST_ALT_M = -1_500.0, 100_000.0
"""Altitudes accepted, m. The Dead Sea shore is at -430 m, and pressure altitude on a day of 1083 hPa
(the highest ever measured, WMO) another 570 m lower; the Kármán line is at 100 km. A wrong altitude makes
a wrong slant range, hence a wrong field: the record is refused rather than put at 0 m."""

LATEST_TIME_US = 4_102_444_800_000_000
"""2100-01-01, epoch microseconds: later times are unit mistakes."""

_REASON_NAMES = list(REASONS)
_RANGES = {
    "speed_m_s": (0.0, 20_000.0), "track_deg": (-360.0, 360.0), "vertical_rate_m_s": (-20_000.0, 20_000.0),
    "eirp_dbm": (-200.0, 200.0), "freq_hz": (0.0, 1e15), "confidence": (0.0, 1.0), "anomaly_score": (0.0, 1.0),
}  # fmt: skip
_SHOWN_FIRST = {field: rank for rank, field in enumerate(("id", "time", "lat", "lon", "alt_m", "location", "position"))}
_TEXTS = ("callsign", "emitter_kind", "cluster")
# Kind of emitter that a source of such identities is about, where records do not say.
_KIND_OF_ID = dict.fromkeys(ADSB_ID_NAMES, "aircraft") | {
    "individual_local_identifier": "animal", "tag_local_identifier": "animal", "mmsi": "ship",
}  # fmt: skip


def events_of(
    block: Block, source: str, rejects: Rejects, emitter_kind: str | None = None
) -> tuple[pa.Table, np.ndarray]:
    """Position events of a block of records.

    Parameters
    ----------
    block : Block
        n records.
    source : str
        Name of the source, for the events.
    rejects : Rejects
        Bad records are counted here.
    emitter_kind : str, optional
        Kind for records that name none; without it the kind that the identity implies.

    Returns
    -------
    events : pyarrow.Table
        At most n events of kind `FIX`, in the order of the records.
    numbers : ndarray of int64
        The record number of each event.
    """
    return _Reading(block, rejects).events(source, emitter_kind)


class _Reading:
    """One block on its way to events: its columns by field, and the verdict on each record so far."""

    def __init__(self, block: Block, rejects: Rejects) -> None:
        self.block, self.rejects = block, rejects
        self.count = len(block.numbers)
        self.reason = np.full(self.count, -1, np.int8)  # index of the first reason found, in `_REASON_NAMES`
        self.columns: dict[str, list[Meaning]] = {}
        for meaning in column_meanings(block.columns):
            self.columns.setdefault(meaning.field, []).append(meaning)

    def events(self, source: str, emitter_kind: str | None) -> tuple[pa.Table, np.ndarray]:
        entity, implied_kind = self._identity()
        texts = {name: self._text(name) for name in _TEXTS}
        lat, lon, alt_m, on_ground = self._position()
        time_us = self._time()
        if "visible" in self.columns:
            self._mark(to_flags(self._values(self.columns["visible"][0])) == 0, "marked_outlier")
        good = self.reason < 0
        self._report()

        kind = texts["emitter_kind"]
        default = np.full(self.count, emitter_kind, dtype=object) if emitter_kind else implied_kind
        texts["emitter_kind"] = np.where(kind == None, default, kind)  # noqa: E711 - element-wise
        floats = {name: self._optional(name, *limits)[good] for name, limits in _RANGES.items() if name in self.columns}
        if "track_deg" in floats:
            floats["track_deg"] = floats["track_deg"] % 360.0
        position_time = self._position_time(time_us)
        if position_time is not None:
            floats["position_time_s"] = position_time[good]
        flags = {"on_ground": on_ground[good], "synthetic": self._flag("synthetic")[good]}
        payload = payloads(int(good.sum()), floats, {name: text[good] for name, text in texts.items()}, flags)
        table = event_table(
            time_us[good], FIX, pa.array(entity[good], pa.string()), source,
            lat=lat[good], lon=lon[good], alt_m=alt_m[good], payload=payload,
        )  # fmt: skip
        return table, np.asarray(self.block.numbers, dtype=np.int64)[good]

    # -- verdicts ---------------------------------------------------------------------------------

    def _mark(self, bad: np.ndarray, reason: str) -> None:
        self.reason[bad & (self.reason < 0)] = _REASON_NAMES.index(reason)

    def _report(self) -> None:
        self.rejects.records += self.count
        for code, count in zip(*np.unique(self.reason[self.reason >= 0], return_counts=True), strict=True):
            row = int(np.argmax(self.reason == code))
            fields = sorted(self.columns, key=lambda field: _SHOWN_FIRST.get(field, len(_SHOWN_FIRST)))
            shown = {m.column: self.block.columns[m.column][row] for field in fields for m in self.columns[field]}
            where = f"{self.block.unit} {self.block.numbers[row]}"
            self.rejects.add(_REASON_NAMES[code], where, {k: v for k, v in shown.items() if v is not None}, int(count))

    # -- fields -----------------------------------------------------------------------------------

    def _values(self, meaning: Meaning) -> Any:
        return self.block.columns[meaning.column]

    def _identity(self) -> tuple[np.ndarray, np.ndarray]:
        entity = np.full(self.count, None, dtype=object)
        implied_kind = np.full(self.count, None, dtype=object)
        verdict = np.full(self.count, MISSING, np.int8)
        for meaning in self.columns.get("id", []):
            name = normalised(meaning.column)
            text, found = to_texts(self._values(meaning), lower=name in ADSB_ID_NAMES)
            take = verdict == MISSING
            entity[take], verdict[take] = text[take], found[take]
            implied_kind[take & (found == OK)] = _KIND_OF_ID.get(name)
        self._mark(verdict == MISSING, "missing_id")
        self._mark(verdict == WRONG_TYPE, "wrong_type")
        self._mark(verdict == TOO_LONG, "text_too_long")
        return entity, implied_kind

    def _text(self, field: str) -> np.ndarray:
        text = np.full(self.count, None, dtype=object)
        for meaning in self.columns.get(field, []):
            found, verdict = to_texts(self._values(meaning))
            self._mark(verdict == TOO_LONG, "text_too_long")
            self._count_left_out(field, verdict == WRONG_TYPE)
            text = np.where(text == None, found, text)  # noqa: E711 - element-wise
        return text

    def _position(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        nested = self._nested_position()
        on_ground = self._flag("on_ground")
        components = {}
        for field in ("lat", "lon", "alt_m"):
            columns = [(self._values(meaning), meaning.scale) for meaning in self.columns.get(field, [])]
            columns += [(values, 1.0) for values in nested.get(field, [])]
            if field == "alt_m":
                columns = [(_without_ground(values, on_ground), scale) for values, scale in columns]
            components[field] = self._first_number(columns)
        (lat, lat_verdict), (lon, lon_verdict), (alt_m, alt_verdict) = components.values()
        self._mark((lat_verdict == MISSING) | (lon_verdict == MISSING), "missing_position")
        for verdict, reason in ((WRONG_TYPE, "wrong_type"), (NON_FINITE, "non_finite")):
            self._mark((lat_verdict == verdict) | (lon_verdict == verdict) | (alt_verdict == verdict), reason)
        self._mark(np.abs(lat) > 90.0, "lat_out_of_range")
        self._mark(np.abs(lon) > 180.0, "lon_out_of_range")
        self._mark((lat == 0.0) & (lon == 0.0), "null_island")
        alt_m = np.where(alt_verdict == MISSING, 0.0, alt_m)  # A1: missing altitude is 0 m
        self._mark((alt_m < LOWEST_ALT_M) | (alt_m > HIGHEST_ALT_M), "alt_out_of_range")
        return lat, lon, alt_m, on_ground

    def _nested_position(self) -> dict[str, list[list[Any]]]:
        """Components of ``location: {lat, lon, alt}`` and ``position: [lat, lon, alt]``, where present."""
        nested: dict[str, list[list[Any]]] = {"lat": [], "lon": [], "alt_m": []}
        for meaning in self.columns.get("location", []) + self.columns.get("position", []):
            # Text in `location` is the name of a place and says nothing of the position.
            only_object = meaning.field == "location"
            triples = [_components(value, only_object) for value in _as_list(self._values(meaning))]
            for field, values in zip(nested, zip(*triples, strict=True), strict=False):
                nested[field].append(list(values))
        return nested

    def _first_number(self, columns: list[tuple[Any, float]]) -> tuple[np.ndarray, np.ndarray]:
        number, verdict = np.full(self.count, np.nan), np.full(self.count, MISSING, np.int8)
        for values, scale in columns:
            take = verdict == MISSING
            if not take.any():
                break
            found, found_verdict = to_floats(values)
            number[take], verdict[take] = found[take] * scale, found_verdict[take]
        return number, verdict

    def _time(self) -> np.ndarray:
        time_us, missing, bad = self._moments("time")
        self._mark(missing, "missing_time")
        self._mark(bad | (time_us < 0) | (time_us >= LATEST_TIME_US), "bad_time")
        return time_us

    def _moments(self, field: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Epoch microseconds, which are missing, and which cannot be read."""
        time_us, missing = np.zeros(self.count, np.int64), np.ones(self.count, bool)
        bad = np.zeros(self.count, bool)
        for meaning in self.columns.get(field, []):
            if not missing.any():
                break
            values = self._values(meaning)
            if meaning.unit_named:
                number, verdict = to_floats(values)
                found_bad = (verdict > MISSING) | (np.abs(number) * meaning.scale > 1e12)
                found = np.rint(np.where(verdict == OK, number, 0.0) * meaning.scale * 1e6)
                found, absent = np.where(found_bad, 0, found).astype(np.int64), verdict == MISSING
            else:
                absent = np.array([value is None or value == "" for value in _as_list(values)], dtype=bool)
                found, found_bad = parse_times(values)
                found_bad = found_bad & ~absent
            take = missing & ~absent
            time_us[take], bad[take], missing[take] = found[take], found_bad[take], False
        return time_us, missing, bad

    def _position_time(self, time_us: np.ndarray) -> np.ndarray | None:
        if "position_time_s" in self.columns:
            measured_us, missing, bad = self._moments("position_time_s")
            bad |= ~missing & ((measured_us < 0) | (measured_us >= LATEST_TIME_US))
            self._count_left_out("position_time_s", bad)
            return np.where(missing | bad, np.nan, measured_us / 1e6)
        if "seen_pos_s" in self.columns:
            return time_us / 1e6 - self._optional("seen_pos_s", 0.0, 1e6)
        return None

    def _optional(self, field: str, low: float, high: float) -> np.ndarray:
        columns = [(self._values(meaning), meaning.scale) for meaning in self.columns[field]]
        number, verdict = self._first_number(columns)
        outside = (number < low) | (number > high)
        self._count_left_out(field, (verdict > MISSING) | outside)
        return np.where(outside, np.nan, number)

    def _flag(self, field: str) -> np.ndarray:
        if field not in self.columns:
            return np.full(self.count, -1, np.int8)
        return to_flags(self._values(self.columns[field][0]))

    def _count_left_out(self, field: str, bad: np.ndarray) -> None:
        count = int((bad & (self.reason < 0)).sum())
        if count:
            self.rejects.left_out[field] = self.rejects.left_out.get(field, 0) + count


def payloads(
    count: int, floats: dict[str, np.ndarray], texts: dict[str, np.ndarray], flags: dict[str, np.ndarray]
) -> pa.Array:
    """Payload texts from columns; missing values are left out.

    Parameters
    ----------
    count : int
        Number of rows n.
    floats : dict of str to ndarray of float64, (n,)
        NaN is missing. Written to the microsecond for times, to a thousandth of the unit otherwise.
    texts : dict of str to ndarray of str or None, (n,)
    flags : dict of str to ndarray of int8, (n,)
        1 true, 0 false, -1 missing.

    Returns
    -------
    pyarrow.Array of string, (n,)
        Flat JSON objects; null where nothing is known.

    Examples
    --------
    >>> payloads(1, {"speed_m_s": np.array([2.0])}, {}, {"on_ground": np.array([1])}).to_pylist()
    ['{"speed_m_s":2,"on_ground":true}']
    """
    parts = []
    for name, number in floats.items():
        rounded = pa.array(np.round(number, 6 if name.endswith("time_s") else 3), from_pandas=True)
        parts.append(_member(name, rounded.cast(pa.string())))
    for name, text in texts.items():
        encoded = pa.array(text, pa.string()).dictionary_encode()
        if len(encoded.dictionary):
            quoted = pa.array([orjson.dumps(value).decode() for value in encoded.dictionary.to_pylist()])
            parts.append(_member(name, quoted.take(encoded.indices)))
    for name, flag in flags.items():
        if (flag >= 0).any():
            words = pa.array(["false", "true", None]).take(pa.array(np.where(flag < 0, 2, flag)))
            parts.append(_member(name, words))
    if not parts:
        return pa.nulls(count, pa.string())
    inside = joined_members(count, *parts)
    joined = pc.binary_join_element_wise("{", inside, "}", "")
    return pc.if_else(pc.equal(inside, ""), pa.scalar(None, pa.string()), joined)


def joined_members(count: int, *members: pa.Array) -> pa.Array:
    """JSON members, null where absent, joined by commas; the empty text where a row has none.

    Examples
    --------
    >>> joined_members(2, pa.array(['"a":1', None]), pa.array(['"b":2', None])).to_pylist()
    ['"a":1,"b":2', '']
    """
    # Arrow drops a row in which it skips every argument: the empty first one keeps the rows together.
    first = pa.repeat(pa.scalar(""), count)
    return pc.utf8_ltrim(pc.binary_join_element_wise(first, *members, ",", null_handling="skip"), ",")


def _member(name: str, values: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(f'"{name}":', values, "")


def _as_list(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else values


def _components(value: Any, only_object: bool) -> tuple[Any, Any, Any]:
    """Latitude, longitude and altitude of a nested position; fewer than two components are none."""
    if isinstance(value, dict):
        lat, lon = value.get("lat", value.get("latitude")), value.get("lon", value.get("longitude", value.get("lng")))
        return lat, lon, value.get("alt", value.get("alt_m", value.get("altitude")))
    if isinstance(value, (list, tuple)):
        return (None, None, None) if len(value) < 2 else (value[0], value[1], value[2] if len(value) > 2 else None)
    return (None, None, None) if value is None or only_object else ([value], [value], None)


def _without_ground(values: Any, on_ground: np.ndarray) -> Any:
    """The column with readsb's altitude "ground" as missing; sets the flag of those rows."""
    if isinstance(values, np.ndarray) or "ground" not in values:
        return values
    on_ground[[value == "ground" for value in values]] = 1
    return [None if value == "ground" else value for value in values]
