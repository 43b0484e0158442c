"""Measurements of received power as events, from a CSV with a row per report or a zipped campaign in the POWDER layout.

Columns of the CSV, in any order, other columns ignored (`engine.ingest.rssi_table.NAMES` has further spellings):
``lat``, ``lon`` of the end that was carried about, ``rssi_db`` (or ``rssi_dbm``), ``time``, ``receiver_lat``,
``receiver_lon`` (or ``transmitter_lat``, ``transmitter_lon``) of the end that stayed; optionally ``transmitter``,
``receiver``, ``campaign``, ``session``, ``freq_hz``. The POWDER layout (`engine.ingest.rssi_read`) needs a second file
with the receivers' positions: both go into one .zip.
"""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from engine.events.schema import MEASUREMENT, event_table
from engine.ingest.protocol import Sink
from engine.ingest.rejects import Rejects
from engine.ingest.rssi_read import TRANSMITTER, CampaignReport, read_campaign
from engine.ingest.rssi_table import checked_rows, known_columns, missing_columns
from engine.ingest.source import ThreadedSource
from engine.ingest.tracks_bytes import open_binary

ZIP = b"PK\x03\x04"
"""First bytes of a .zip."""

MAX_UNPACKED = 256 << 20
"""Bytes of a member of a .zip at most."""

CHUNK_ROWS = 20_000

POWDER_FREQ_HZ = 462.7e6
"""Frequency of the campaign in whose layout wide files are, Hz (its README)."""

_REASON_OF_OUTCOME = {
    "silent": "no_report", "silent_moving": "no_report", "no_position": "both_ends_move",
    "not_a_number": "missing_power", "bad_transmission": "bad_time",
}  # fmt: skip


def is_measurements(head: bytes) -> bool:
    """Whether a file that begins so holds measurements of received power.

    Examples
    --------
    >>> is_measurements(b"time,lat,lon,rssi_dbm,receiver_lat,receiver_lon\\n")
    True
    >>> is_measurements(b"time,lat,lon,rssi_dbm\\n")  # an emitter that was heard, not a campaign
    False
    """
    if head.startswith(ZIP):
        return True
    header = _header(head)
    return set(TRANSMITTER) <= set(header) or not missing_columns(known_columns(header))


def iter_rssi(file: str | Path | bytes | BinaryIO, *, source: str, rejects: Rejects) -> Iterator[pa.Table]:
    """Event batches of a file of measurements, in its order.

    Parameters
    ----------
    file : str, Path, bytes or binary file
        CSV, plain, gzip or bzip2; or a .zip with a campaign in the POWDER layout: one ``.csv`` and one ``.json``.
    source : str
        Name of the source in the events, and of the campaign where the file does not name one.
    rejects : Rejects
        Counts every record; those without an event by reason.

    Yields
    ------
    pyarrow.Table
        Events of kind `engine.events.schema.MEASUREMENT`.

    Raises
    ------
    ValueError
        A file that holds no such measurements; the message says what it lacks.
    """
    with open_binary(file) as (reader, _):
        head = reader.peek(4096)
        if head.startswith(ZIP):
            yield from _zipped(reader, source, rejects)
            return
        header = _header(head)
        if set(TRANSMITTER) <= set(header):
            raise ValueError(
                "a campaign in the POWDER layout needs the receivers' positions too: hand over one .zip with this "
                "table and location_coordinates.json"
            )
        columns = known_columns(header)
        if missing := missing_columns(columns):
            raise ValueError(f"measurements need the columns {', '.join(missing)}; the file has {', '.join(header)}")
        yield from _rows(reader, columns, source, rejects)


def read_rssi(file: str | Path | bytes | BinaryIO, source: str) -> tuple[pa.Table, Rejects]:
    """All events of a file at once; see `iter_rssi`."""
    rejects = Rejects()
    tables = list(iter_rssi(file, source=source, rejects=rejects))
    return (pa.concat_tables(tables) if tables else measurement_events(pd.DataFrame(), source)), rejects


def measurement_events(rows: pd.DataFrame, source: str) -> pa.Table:
    """Events of checked rows (`engine.ingest.rssi_table.checked_rows`)."""
    if rows.empty:
        return event_table([], MEASUREMENT, [], source)
    keys = ["campaign", "transmitter", "receiver", "session", "rssi_db", "fixed_lat", "fixed_lon", "freq_hz"]
    payload = [
        orjson.dumps({k: v for k, v in zip(keys, row, strict=True) if v == v}).decode()  # NaN is not told
        for row in zip(*(rows[key].tolist() for key in keys), strict=True)
    ]
    time = rows["time"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    return event_table(
        time, MEASUREMENT, rows["receiver"].tolist(), source, lat=rows["lat"], lon=rows["lon"], payload=payload
    )


def powder_events(
    measurements: str | Path, positions: str | Path, *, source: str, rejects: Rejects, campaign: str = ""
) -> pa.Table:
    """Events of a campaign in the POWDER layout, each cell of it accounted for.

    Parameters
    ----------
    measurements, positions : path
        As `engine.ingest.rssi_read.read_campaign` takes them.
    source : str
    rejects : Rejects
    campaign : str
        By default the source.
    """
    links, report = read_campaign(measurements, positions)
    _count(report, len(links), rejects)
    rows = links.rename(columns={"receiver_lat": "fixed_lat", "receiver_lon": "fixed_lon"})
    rows = rows.assign(campaign=campaign or source, transmitter="carried", freq_hz=POWDER_FREQ_HZ)
    return measurement_events(rows, source)


class MeasurementFile(ThreadedSource):
    """Takes a file of measurements in once, at its own times: a `CaptureEngine`.

    Parameters
    ----------
    name : str
        Name of the source and, where the file names none, of the campaign.
    path : Path
    """

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        self._path = path

    def _work(self, out: Sink) -> bool:
        return all(self._offer(out, table) for table in iter_rssi(self._path, source=self.name, rejects=self._rejects))


def _count(report: CampaignReport, taken: int, rejects: Rejects) -> None:
    cells = sum(report.outcome.values())
    rejects.records += cells
    for outcome, reason in _REASON_OF_OUTCOME.items():
        if count := report.outcome[outcome]:
            rejects.add(reason, "cells", outcome, count)
    if moving := report.outcome["report"] - taken:
        rejects.add("both_ends_move", "cells", "reports of receivers that move", moving)


def _header(head: bytes) -> list[str]:
    line = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", "replace").rstrip("\r")
    return next(csv.reader([line]), []) if line.isprintable() else []


def _rows(reader: BinaryIO, columns: dict[str, str], source: str, rejects: Rejects) -> Iterator[pa.Table]:
    text = io.TextIOWrapper(reader, encoding="utf-8-sig", errors="replace", newline="")
    names = {name: ours for ours, name in columns.items()}
    table = csv.reader(text)
    header = next(table)
    width, keep = len(header), [(i, names.pop(name)) for i, name in enumerate(header) if name in names]
    chunk: list[list[str]] = []
    record = 0
    for record, cells in enumerate(_tolerant(table), 1):
        rejects.records += 1
        if len(cells) == width:
            chunk.append(cells)
        else:
            rejects.add("not_a_record", f"record {record}", cells[:12])
        if len(chunk) == CHUNK_ROWS:
            yield measurement_events(_checked(chunk, keep, source, rejects, record), source)
            chunk = []
    if chunk:
        yield measurement_events(_checked(chunk, keep, source, rejects, record), source)
    text.detach()


def _tolerant(table: Iterator[list[str]]) -> Iterator[list[str]]:
    """Rows that are not blank; one that csv cannot take is an empty row."""
    while True:
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error:
            cells = [""]
        if cells:
            yield cells


def _checked(
    chunk: list[list[str]], keep: list[tuple[int, str]], source: str, rejects: Rejects, last: int
) -> pd.DataFrame:
    columns = {ours: np.array([cells[i] for cells in chunk], dtype=object) for i, ours in keep}
    return checked_rows(pd.DataFrame(columns), source, rejects, max(last - len(chunk) + 1, 1))


def _zipped(reader: BinaryIO, source: str, rejects: Rejects) -> Iterator[pa.Table]:
    try:
        with zipfile.ZipFile(io.BytesIO(reader.read())) as archive, tempfile.TemporaryDirectory() as folder:
            paths = []
            for ending in (".csv", ".json"):
                members = [m for m in archive.infolist() if m.filename.lower().endswith(ending)]
                if len(members) != 1:
                    raise ValueError(f"the .zip has {len(members)} {ending} files; one .csv and one .json are needed")
                if members[0].file_size > MAX_UNPACKED:
                    raise ValueError(f"a file in the .zip has {members[0].file_size} bytes; at most {MAX_UNPACKED} fit")
                paths.append(Path(folder) / f"campaign{ending}")
                paths[-1].write_bytes(archive.read(members[0]))
            yield powder_events(*paths, source=source, rejects=rejects)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise ValueError(f"the .zip cannot be read: {error}") from error
