"""Reads a campaign of received powers: a wide CSV, one row per transmission, and the receivers' positions.

The format is that of the POWDER FRS campaign: a column per fixed receiver, three (``_rss``, ``_x``,
``_y``) per moving one, ``tx_x_coord`` and ``tx_y_coord`` for the transmitter; x is latitude. It becomes
one row per link. It must not know what the powers are used for.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

SILENT_DB = -101.0
"""What the campaign writes where a receiver gave no report, dB."""

MAX_BYTES = 256 * 2**20
"""Largest file read, bytes."""

TRANSMITTER = ("timestamp", "tx_x_coord", "tx_y_coord")

OUTCOMES = {
    "report": "a power with both positions: a row of the table",
    "silent": "the mark of no report (-101), at a fixed receiver",
    "silent_moving": "the mark of no report, at a moving receiver",
    "no_position": "a power, but the receiver's position is unknown (-1, 0 or outside the globe)",
    "not_a_number": "a power that is no finite number",
    "bad_transmission": "the row's time or transmitter position cannot be read",
}
"""What can become of one cell of the file, with its meaning."""


@dataclass
class CampaignReport:
    """What became of every cell.

    Attributes
    ----------
    transmissions : int
        Rows of the file.
    receivers : int
        Columns with powers.
    outcome : dict of str to int
        Cells by outcome (`OUTCOMES`); they sum to transmissions times receivers.
    """

    transmissions: int
    receivers: int
    outcome: dict[str, int] = field(default_factory=dict)


def read_campaign(
    measurements: Path | str, positions: Path | str, *, moving: bool = False, silent: bool = False
) -> tuple[pd.DataFrame, CampaignReport]:
    """Read a campaign as one row per link.

    Parameters
    ----------
    measurements : path
        CSV, at most 256 MiB.
    positions : path
        Text of a Python dict: receiver to ``(lat, lon)``, or None where it moves. Read as a literal,
        never executed.
    moving : bool
        Also the reports of moving receivers.
    silent : bool
        Also the cells without a report at fixed receivers, as rows with `heard` False. In the
        POWDER campaign they are no measurements: see docs/engine-rf-measured.md.

    Returns
    -------
    links : pandas.DataFrame
        `receiver`, `time` (UTC), `session` (the day, UTC: receivers' gains were set anew between days),
        `lat`, `lon` of the transmitter, `receiver_lat`, `receiver_lon` (degrees), `rssi_db`, `heard`.
    report : CampaignReport
        Of every cell, whatever was asked for.

    Raises
    ------
    ValueError
        A file that is too large or is not of this format; the message names file and fault.
    """
    table = _csv(Path(measurements))
    places = _positions(Path(positions))
    powers = [name for name in table.columns if name not in TRANSMITTER and not name.endswith(("_x", "_y"))]
    times = pd.to_datetime(table["timestamp"], errors="coerce", utc=True)
    lat, lon = (pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) for name in TRANSMITTER[1:])
    sent = times.notna().to_numpy() & _on_globe(lat, lon)
    report = CampaignReport(len(table), len(powers), dict.fromkeys(OUTCOMES, 0))
    parts = []
    for column in powers:
        receiver = column.removesuffix("_rss")
        at_lat, at_lon, fixed = _receiver_position(table, receiver, places, Path(positions))
        power = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
        outcome = np.select(
            [~sent, ~np.isfinite(power), (power <= SILENT_DB) & fixed, power <= SILENT_DB, ~_on_globe(at_lat, at_lon)],
            ["bad_transmission", "not_a_number", "silent", "silent_moving", "no_position"],
            "report",
        )
        for name, count in zip(*np.unique(outcome, return_counts=True), strict=True):
            report.outcome[str(name)] += int(count)
        keep = ((outcome == "report") & (fixed or moving)) | ((outcome == "silent") & silent)
        parts.append(
            pd.DataFrame(
                {
                    "receiver": receiver,
                    "time": times[keep],
                    "session": times[keep].dt.strftime("%Y-%m-%d"),
                    "lat": lat[keep],
                    "lon": lon[keep],
                    "receiver_lat": at_lat[keep],
                    "receiver_lon": at_lon[keep],
                    "rssi_db": power[keep],
                    "heard": outcome[keep] == "report",
                }
            )
        )
    links = pd.concat(parts).sort_values(["time", "receiver"], kind="stable", ignore_index=True)
    links["rssi_db"].attrs["units"] = "dB"
    return links, report


def _csv(path: Path) -> pd.DataFrame:
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{path.name} has {size} bytes; at most {MAX_BYTES} are read")
    try:
        table = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is no CSV: {error}") from error
    missing = [name for name in TRANSMITTER if name not in table]
    if missing:
        raise ValueError(f"{path.name} lacks the columns {missing}; a campaign has {list(TRANSMITTER)} and powers")
    return table


def _positions(path: Path) -> dict[str, tuple[float, float] | None]:
    if (size := path.stat().st_size) > 2**20:
        raise ValueError(f"{path.name} has {size} bytes; positions of receivers fit into 1 MiB")
    try:
        found = ast.literal_eval(path.read_text(encoding="utf-8"))
    except (ValueError, SyntaxError, RecursionError, MemoryError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not the text of a Python dict of positions: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{path.name} holds a {type(found).__name__}; a dict of receiver to (lat, lon) or None is needed"
        )
    for name, place in found.items():
        if place is None:
            continue
        numbers = isinstance(place, tuple | list) and len(place) == 2 and all(type(x) in (int, float) for x in place)
        if not numbers or not _on_globe(*np.array(place, dtype=np.float64)[:, None])[0]:
            raise ValueError(
                f"{path.name}: the position of {name!r} is {place!r}; (lat, lon) in degrees or None is needed"
            )
    return {str(name): None if place is None else (float(place[0]), float(place[1])) for name, place in found.items()}


def _receiver_position(
    table: pd.DataFrame, receiver: str, places: dict[str, tuple[float, float] | None], path: Path
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Latitude and longitude of a receiver in each row, and whether it is fixed."""
    n = len(table)
    if receiver not in places:
        raise ValueError(f"{path.name} has no position of {receiver!r}; give (lat, lon), or None if it moves")
    if (place := places[receiver]) is not None:
        return np.full(n, place[0]), np.full(n, place[1]), True
    columns = (f"{receiver}_x", f"{receiver}_y")
    if missing := [name for name in columns if name not in table]:
        raise ValueError(f"{receiver!r} moves, but the table lacks its columns {missing}")
    lat, lon = (pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) for name in columns)
    unknown = (lat == -1.0) | (lon == -1.0)
    return np.where(unknown, np.nan, lat), np.where(unknown, np.nan, lon), False


def _on_globe(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Whether a position is one; exactly (0, 0) is the trace of a receiver without a fix."""
    with np.errstate(invalid="ignore"):
        return np.asarray((np.abs(lat) <= 90.0) & (np.abs(lon) <= 180.0) & ~((lat == 0.0) & (lon == 0.0)))
