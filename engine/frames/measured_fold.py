"""What was measured: received powers by campaign, transmitter and receiver, folded from events, bounded.

It keeps rows and counts; it must not know fields.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.schema import MEASUREMENT

MAX_RECORDS = 400_000
"""Measurements kept, of all campaigns together; beyond it the campaign that was silent longest goes first."""

_TEXTS = ("campaign", "transmitter", "receiver", "session")
_NUMBERS = ("rssi_db", "fixed_lat", "fixed_lon", "freq_hz")
COLUMNS = (*_TEXTS, "time", "lat", "lon", *_NUMBERS)
"""Columns of the rows: names, time (UTC), the carried end, the report (dB), the fixed end (degrees), Hz."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is known of a campaign.

    Attributes
    ----------
    name : str
    pairs : tuple of (transmitter, receiver, count)
        Most measured first.
    first_s, last_s : float
        Time of the first and the last measurement, epoch s.
    version : int
        Grows with every measurement.
    """

    name: str
    pairs: tuple[tuple[str, str, int], ...]
    first_s: float
    last_s: float
    version: int

    @property
    def n(self) -> int:
        """Measurements kept."""
        return sum(count for _, _, count in self.pairs)

    @property
    def transmitters(self) -> tuple[str, ...]:
        """Transmitters, in the order of `pairs`."""
        return tuple(dict.fromkeys(tx for tx, _, _ in self.pairs))

    def receivers(self, transmitter: str) -> dict[str, int]:
        """Receivers of a transmitter and how often each measured, most first."""
        return {rx: count for tx, rx, count in self.pairs if tx == transmitter}


class MeasurementFold:
    """Measurements by campaign; any thread may ask while one feeds it.

    Attributes
    ----------
    ignored : int
        Events of the kind whose payload lacks what a measurement needs.
    forgotten : int
        Measurements given up for newer ones.

    Examples
    --------
    >>> from engine.events import event_table
    >>> payload = orjson.dumps({"campaign": "c", "transmitter": "t", "receiver": "r", "rssi_db": -70.0,
    ...                         "fixed_lat": 40.0, "fixed_lon": -111.0}).decode()
    >>> fold = MeasurementFold()
    >>> fold.apply(event_table([0], MEASUREMENT, ["r"], "doc", lat=[40.1], lon=[-111.0], payload=[payload]))
    >>> fold.campaigns()[0].pairs
    (('t', 'r', 1),)
    """

    def __init__(self, max_records: int = MAX_RECORDS) -> None:
        self.max_records = max_records
        self.ignored = self.forgotten = 0
        self._lock = threading.Lock()
        self._rows: dict[str, list[pd.DataFrame]] = {}
        self._versions: dict[str, int] = {}

    def apply(self, events: pa.Table) -> None:
        """Take the measurements of a batch."""
        mine = events.filter(pc.equal(events["kind"], MEASUREMENT))
        if not mine.num_rows:
            return
        rows, ignored = _rows_of(mine)
        with self._lock:
            self.ignored += ignored
            for name, part in rows.groupby("campaign", sort=False):
                campaign = str(name)
                parts = self._rows.pop(campaign, [])  # the last one of the dict is the one heard last
                self._rows[campaign] = [*parts, part]
                self._versions[campaign] = self._versions.get(campaign, 0) + len(part)
            self._forget()

    def campaigns(self) -> list[Campaign]:
        """What there is, the campaign heard last first."""
        with self._lock:
            return [self._campaign(name) for name in reversed(self._rows)]

    def campaign(self, name: str) -> Campaign | None:
        """One campaign, or None."""
        with self._lock:
            return self._campaign(name) if name in self._rows else None

    def rows(self, campaign: str, transmitter: str, receiver: str) -> pd.DataFrame:
        """Measurements of one transmitter by one receiver, in order of time, each once.

        Raises
        ------
        ValueError
            If there are none.
        """
        with self._lock:
            table = self._whole(campaign) if campaign in self._rows else pd.DataFrame(columns=list(COLUMNS))
        mine = table[(table["transmitter"] == transmitter) & (table["receiver"] == receiver)]
        if mine.empty:
            raise ValueError(
                f"nothing is known of receiver {receiver!r} and transmitter {transmitter!r} in {campaign!r}"
            )
        # A file that is handed in twice measures nothing twice.
        return mine.drop_duplicates().sort_values("time", kind="stable", ignore_index=True)

    def _whole(self, campaign: str) -> pd.DataFrame:
        parts = self._rows[campaign]
        if len(parts) > 1:
            parts[:] = [pd.concat(parts, ignore_index=True)]
        return parts[0]

    def _campaign(self, name: str) -> Campaign:
        table = self._whole(name)
        counts = (
            table.groupby(["transmitter", "receiver"], sort=True).size().sort_values(ascending=False, kind="stable")
        )
        pairs = tuple((str(tx), str(rx), int(n)) for (tx, rx), n in counts.items())
        first, last = table["time"].min().timestamp(), table["time"].max().timestamp()
        return Campaign(name, pairs, first, last, self._versions[name])

    def _forget(self) -> None:
        total = sum(len(part) for parts in self._rows.values() for part in parts)
        while total > self.max_records:
            oldest = next(iter(self._rows))
            surplus = total - self.max_records
            if len(self._rows) > 1:
                gone = sum(len(part) for part in self._rows.pop(oldest))
            else:
                self._rows[oldest] = [self._whole(oldest).iloc[surplus:]]
                gone = surplus
            self.forgotten += gone
            total -= gone


def _rows_of(events: pa.Table) -> tuple[pd.DataFrame, int]:
    """Rows of a batch, and how many of its events are no measurement."""
    payloads = [_object(text) for text in events["payload"].to_pylist()]
    columns: dict[str, object] = {name: [p.get(name) for p in payloads] for name in (*_TEXTS, *_NUMBERS)}
    table = pd.DataFrame(
        {
            **columns,
            "time": events["time"].to_pandas(),
            "lat": events["lat"].to_pandas(),
            "lon": events["lon"].to_pandas(),
        }
    )
    table["session"] = table["session"].fillna("")
    for name in _NUMBERS:
        table[name] = pd.to_numeric(table[name], errors="coerce").astype("float64")
    for name in _TEXTS:
        table[name] = table[name].where(table[name].map(lambda value: isinstance(value, str)))
    good = table.drop(columns="freq_hz").notna().all(axis=1)
    return table.loc[good, list(COLUMNS)], int((~good).sum())


def _object(text: str | None) -> dict[str, object]:
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
