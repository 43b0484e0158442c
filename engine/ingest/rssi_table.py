"""Measurements of received power as a table with a row per report: columns by their usual names, each row judged.

It turns text columns into checked ones and counts what it leaves out; it must not know files or events.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from engine.ingest.rejects import Rejects

NAMES: dict[str, tuple[str, ...]] = {
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "longitude"),
    "rssi_db": ("rssi_db", "rssi_dbm", "rssi", "rss_db", "rss_dbm", "rss", "rsrp_dbm", "power_dbm"),
    "time": ("time", "timestamp", "time_utc"),
    "transmitter": ("transmitter", "tx", "transmitter_id"),
    "receiver": ("receiver", "rx", "receiver_id"),
    "receiver_lat": ("receiver_lat", "rx_lat"),
    "receiver_lon": ("receiver_lon", "rx_lon"),
    "transmitter_lat": ("transmitter_lat", "tx_lat"),
    "transmitter_lon": ("transmitter_lon", "tx_lon"),
    "campaign": ("campaign",),
    "session": ("session",),
    "freq_hz": ("freq_hz", "frequency_hz"),
}
"""Names under which each column is known, in lower case; the first is ours."""

POWER_DB = (-250.0, 100.0)
"""Powers outside of this are none, dB."""

MAX_TEXT = 64
"""Characters of a name at most."""

FIRST_TIME, LAST_TIME = pd.Timestamp("1970-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC")

_TEXTS = ("transmitter", "receiver", "campaign", "session")


def known_columns(header: Iterable[str]) -> dict[str, str]:
    """Our name of a column → its name in the file.

    Examples
    --------
    >>> known_columns(["Lat", "RSSI", "rx_lat", "comment"])
    {'lat': 'Lat', 'rssi_db': 'RSSI', 'receiver_lat': 'rx_lat'}
    """
    by_lower = {str(name).strip().lower(): str(name) for name in reversed(list(header))}
    found = {ours: next((by_lower[n] for n in names if n in by_lower), None) for ours, names in NAMES.items()}
    return {ours: name for ours, name in found.items() if name is not None}


def missing_columns(columns: Iterable[str]) -> list[str]:
    """What a header lacks for measurements: position, power, time, and the position of the end that stays."""
    have = set(columns)
    missing = [name for name in ("lat", "lon", "rssi_db", "time") if name not in have]
    if not any({f"{end}_lat", f"{end}_lon"} <= have for end in ("receiver", "transmitter")):
        missing.append("receiver_lat, receiver_lon (or transmitter_lat, transmitter_lon)")
    return missing


def checked_rows(table: pd.DataFrame, campaign: str, rejects: Rejects, first_record: int = 1) -> pd.DataFrame:
    """The rows that are measurements; the others are counted by reason (the first that applies).

    Parameters
    ----------
    table : pandas.DataFrame
        Text or numbers, in the columns of `NAMES`.
    campaign : str
        Where the table has no column of that name.
    rejects : Rejects
        Counts reasons; records are counted by the caller.
    first_record : int
        Number of the first row, for examples.

    Returns
    -------
    pandas.DataFrame
        `campaign`, `transmitter`, `receiver`, `session`, `time` (UTC), `lat`, `lon` of the carried end, `fixed_lat`,
        `fixed_lon` of the other (degrees), `rssi_db`, `freq_hz` (NaN where not told).
    """
    end = "receiver" if {"receiver_lat", "receiver_lon"} <= set(table) else "transmitter"
    number = {
        ours: pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64)
        for ours, name in (
            ("lat", "lat"), ("lon", "lon"), ("fixed_lat", f"{end}_lat"), ("fixed_lon", f"{end}_lon"),
            ("rssi_db", "rssi_db"),
        )
    }  # fmt: skip
    time = pd.to_datetime(table["time"], errors="coerce", utc=True, format="mixed").reset_index(drop=True)
    text = {name: _text(table, name, campaign if name == "campaign" else "") for name in _TEXTS}
    text["session"] = text["session"].where(text["session"] != "", time.dt.strftime("%Y-%m-%d").fillna(""))
    reason = _reasons(number, time, text)
    for name in dict.fromkeys(reason[reason != ""]):
        rows = np.flatnonzero(reason == name)
        example = {key: str(value)[:40] for key, value in table.iloc[rows[0]].items() if key in NAMES}
        rejects.add(str(name), f"record {first_record + rows[0]}", example, rows.size)
    freq = table["freq_hz"] if "freq_hz" in table else pd.Series(np.nan, table.index)
    freq_hz = pd.to_numeric(freq, errors="coerce").to_numpy(np.float64)
    freq_hz = np.where((freq_hz > 0) & np.isfinite(freq_hz), freq_hz, np.nan)
    checked = pd.DataFrame({**text, "time": time, **number, "freq_hz": freq_hz})
    return checked[reason == ""].reset_index(drop=True)


def _text(table: pd.DataFrame, name: str, default: str) -> pd.Series:
    if name not in table:
        return pd.Series(default or ("" if name == "session" else name), range(len(table)), dtype=object)
    # Names are shown: what is no character of a line of text is dropped here, once.
    values = table[name].reset_index(drop=True)
    clean = {v: "".join(c for c in str(v) if c.isprintable()).strip() for v in values.dropna().unique()}
    return values.map(clean).fillna("").astype(object)


def _reasons(number: dict[str, np.ndarray], time: pd.Series, text: dict[str, pd.Series]) -> np.ndarray:
    lat, lon, power = number["lat"], number["lon"], number["rssi_db"]
    fixed_lat, fixed_lon = number["fixed_lat"], number["fixed_lon"]
    bad_time = (time.isna() | (time < FIRST_TIME) | (time >= LAST_TIME)).to_numpy()
    no_name = ((text["receiver"] == "") | (text["transmitter"] == "") | (text["campaign"] == "")).to_numpy()
    long_name = np.any([values.str.len().to_numpy(int) > MAX_TEXT for values in text.values()], axis=0)
    with np.errstate(invalid="ignore"):
        tests = {
            "missing_id": no_name,
            "text_too_long": long_name,
            "missing_position": np.isnan(lat) | np.isnan(lon),
            "lat_out_of_range": ~(np.abs(lat) <= 90.0),
            "lon_out_of_range": ~(np.abs(lon) <= 180.0),
            "null_island": (lat == 0.0) & (lon == 0.0),
            "both_ends_move": ~((np.abs(fixed_lat) <= 90.0) & (np.abs(fixed_lon) <= 180.0)),
            "missing_power": ~np.isfinite(power),
            "power_out_of_range": ~((power >= POWER_DB[0]) & (power <= POWER_DB[1])),
            "bad_time": bad_time,
        }
    return np.select(list(tests.values()), list(tests), "")
