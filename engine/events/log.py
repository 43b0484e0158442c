"""The event log: every event in one order, on disk in DuckDB, safe once acknowledged.

One process appends and any number of its threads read; a number (`seq`, from 1, without gaps) gives
each event its place, so that a reader needs only a cursor. The log must not know who reads it, what
the kinds mean, or that a bus exists.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.batch import checked, numbered, with_zone, without_zone
from engine.events.logfile import LogDamagedError, claim, connect, release
from engine.events.times import TimeLike, epoch_us

_CREATE = """
CREATE TABLE IF NOT EXISTS events (
    seq BIGINT NOT NULL, time TIMESTAMP NOT NULL, received TIMESTAMP NOT NULL, kind VARCHAR NOT NULL,
    entity VARCHAR NOT NULL, source VARCHAR NOT NULL, lat DOUBLE, lon DOUBLE, alt_m DOUBLE, payload VARCHAR)
"""
_WINDOW = "time > make_timestamp(?::BIGINT) AND time <= make_timestamp(?::BIGINT)"


class EventLog:
    """Append-only log of event batches in a DuckDB file.

    Every method may be called from any thread. Appends take turns; readers work on a snapshot and
    wait for nobody.

    Parameters
    ----------
    path : str or Path
        The file, made with its folder where missing, or ``":memory:"``.
    wal_limit_mib : int
        Size of the write-ahead log in MiB at which an append folds it into the file.
    memory_limit_mib : int
        What DuckDB may hold in memory, MiB.

    Raises
    ------
    LogLockedError
        If the file is already open, here or in another process.
    LogDamagedError
        If the file or its write-ahead log is damaged.

    Examples
    --------
    >>> from engine.events import event_table
    >>> with EventLog(":memory:") as log:
    ...     log.append(event_table([0], "note", ["station"], "me"))
    ...     log.since(0)["kind"].to_pylist()
    1
    ['note']
    """

    def __init__(self, path: str | Path, *, wal_limit_mib: int = 16, memory_limit_mib: int = 1024) -> None:
        self.path = str(path)
        self._writing = threading.Lock()
        self._making_cursors = threading.Lock()
        self._claim = None if self.path == ":memory:" else claim(Path(self.path))
        try:
            self._connection = connect(self.path, wal_limit_mib, memory_limit_mib)
            self._writer = self._connection.cursor()
            self._writer.execute(_CREATE)
            self._last_seq, self._bounds_us = self._read_ends()
        except BaseException:
            release(self._claim)
            raise
        self._closed = False

    def append(self, table: pa.Table) -> int:
        """Store a batch in one transaction and return the seq of its last event.

        When this returns, the events survive the death of the process and of the machine.

        Parameters
        ----------
        table : pyarrow.Table
            Events with schema `SCHEMA`; `seq` and `received` may be missing and are assigned here.

        Returns
        -------
        int
            `last_seq` of the log; unchanged for an empty table.

        Raises
        ------
        ValueError
            If a column is missing, unknown, of the wrong type, or null where it must not be.
        """
        batch = self._commit(checked(table))
        return batch["seq"][-1].as_py() if batch.num_rows else self._last_seq

    def commit(self, table: pa.Table) -> pa.Table:
        """Like `append`, but return the batch as it was stored, with `seq` and `received`."""
        return self._commit(checked(table))

    def _commit(self, columns: pa.Table) -> pa.Table:
        with self._writing:
            self._refuse_if_closed()
            batch = numbered(columns, self._last_seq + 1, time.time_ns() // 1000)
            if batch.num_rows:
                plain = without_zone(batch)
                self._writer.register("batch", plain)
                try:
                    self._writer.execute("INSERT INTO events SELECT * FROM batch")  # commits by itself
                finally:
                    self._writer.unregister("batch")
                span = pc.min_max(plain["time"].cast(pa.int64())).as_py()
                first, last = self._bounds_us or (span["min"], span["max"])
                self._bounds_us = min(first, span["min"]), max(last, span["max"])
                self._last_seq += batch.num_rows
        return batch

    def since(self, seq: int, limit: int | None = None) -> pa.Table:
        """Events after `seq`, in order, at most `limit` of them."""
        if limit is not None and limit < 0:
            raise ValueError(f"limit is {limit}: 0 or more events is needed, or None for all")
        if limit is None:
            return self._events("seq > ?", [seq])
        return self._events("seq > ? AND seq <= ?", [seq, seq + limit])  # seq has no gaps

    def stream(
        self, seq: int, until: TimeLike | None = None, *, last: int | None = None, chunk: int = 50_000
    ) -> Iterator[pa.Table]:
        """Events after `seq`, in order and in pieces: bounded memory for any number.

        Parameters
        ----------
        until : time as in `parse_times`, optional
            Only events with time ≤ until.
        last : int, optional
            Last seq; by default that of now: what is appended meanwhile is not in it.
        chunk : int
            Events in a piece, about.
        """
        where, parameters = "seq > ? AND seq <= ?", list[Any]([seq, self._last_seq if last is None else last])
        if until is not None:
            where += " AND time <= make_timestamp(?::BIGINT)"
            parameters.append(epoch_us(until))
        with self._cursor() as cursor:
            reader = cursor.sql(f"SELECT * FROM events WHERE {where}", params=parameters).to_arrow_reader(chunk)
            for batch in reader:
                table = with_zone(pa.Table.from_batches([batch]))
                numbers = table["seq"].to_numpy()
                if len(numbers) and (numbers[0] <= seq or (np.diff(numbers) <= 0).any()):
                    raise LogDamagedError(f"the event log {self.path} is out of order after seq {seq}")
                seq = int(numbers[-1]) if len(numbers) else seq
                yield table

    def as_of(self, moment: TimeLike) -> pa.Table:
        """All events up to and including a moment or a seq, in seq order.

        Parameters
        ----------
        moment : int, or datetime, datetime64, Timestamp, ISO-8601 str or float epoch seconds
            An integer is a seq. Anything else is an event time, read as in `parse_times`.

        Returns
        -------
        pyarrow.Table
            Events with ``seq <= moment``, or ``time <= moment``.
        """
        if isinstance(moment, (int, np.integer)) and not isinstance(moment, bool):
            return self._events("seq <= ?", [int(moment)])
        return self._events("time <= make_timestamp(?::BIGINT)", [epoch_us(moment)])

    def between(
        self,
        start: TimeLike,
        end: TimeLike,
        kinds: Iterable[str] | None = None,
        sources: Iterable[str] | None = None,
        entities: Iterable[str] | None = None,
    ) -> pa.Table:
        """Events with start < time <= end, in seq order, of some kinds, sources and entities if given.

        Parameters
        ----------
        start, end : times as in `parse_times` (an integer is an epoch number here, not a seq)
        kinds, sources, entities : iterable of str, optional
            Exact names; None lets all through, an empty one none.
        """
        where, parameters = _WINDOW, list[Any]([epoch_us(start), epoch_us(end)])
        for column, wanted in (("kind", kinds), ("source", sources), ("entity", entities)):
            if wanted is not None:
                where += f" AND list_contains(?::VARCHAR[], {column})"
                parameters.append(_names(column, wanted))
        return self._events(where, parameters)

    def histogram(self, start: TimeLike, end: TimeLike, bins: int, kind_prefix: str | None = None) -> np.ndarray:
        """How many events fall into each of `bins` equal parts of (start, end].

        Parameters
        ----------
        start, end : times as in `parse_times`
        bins : int
            Number of parts; part i ends at ``start + (i + 1) (end - start) / bins``, end included.
        kind_prefix : str, optional
            Count only kinds that begin so.

        Returns
        -------
        ndarray of int64, shape (bins,)
        """
        start_us, end_us = epoch_us(start), epoch_us(end)
        if bins < 1 or end_us <= start_us:
            raise ValueError(
                f"{bins} bins from {start!r} to {end!r}: 1 or more bins and an end after the start are needed"
            )
        where, parameters = _WINDOW, list[Any]([start_us, end_us])
        if kind_prefix is not None:
            where += " AND starts_with(kind, ?)"
            parameters.append(kind_prefix)
        table = self._read(f"SELECT epoch_us(time) AS t FROM events WHERE {where}", parameters)
        after_start = table["t"].to_numpy() - start_us
        edges = np.array([(end_us - start_us) * i // bins for i in range(1, bins + 1)], dtype=np.int64)
        return np.bincount(np.searchsorted(edges, after_start, side="left"), minlength=bins)[:bins]

    def bounds(self) -> tuple[dt.datetime, dt.datetime] | None:
        """Earliest and latest event time, aware UTC, or None while the log is empty."""
        return None if self._bounds_us is None else (_utc(self._bounds_us[0]), _utc(self._bounds_us[1]))

    def last_time(self, source: str | None = None) -> dt.datetime | None:
        """Latest event time, aware UTC, of all events or of one source; None where there is none."""
        if source is None:
            return None if self._bounds_us is None else _utc(self._bounds_us[1])
        table = self._read("SELECT epoch_us(max(time)) AS t FROM events WHERE source = ?", [source])
        latest = table["t"][0].as_py()
        return None if latest is None else _utc(latest)

    @property
    def last_seq(self) -> int:
        """Seq of the last acknowledged event, 0 while the log is empty."""
        return self._last_seq

    def close(self) -> None:
        """Fold the write-ahead log into the file and give the file free; closing twice is fine."""
        with self._writing, self._making_cursors:
            if self._closed:
                return
            self._closed = True
            self._writer.close()
            self._connection.close()
        release(self._claim)

    def __enter__(self) -> EventLog:
        """The log itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the log."""
        self.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ValueError(f"the event log {self.path} is closed: open a new EventLog on it")

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        # A cursor per call: a connection shared between threads mixes up their results.
        with self._making_cursors:
            self._refuse_if_closed()
            cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def _read(self, query: str, parameters: list[Any]) -> pa.Table:
        with self._cursor() as cursor:
            return cursor.sql(query, params=parameters).to_arrow_table()

    def _events(self, where: str, parameters: list[Any]) -> pa.Table:
        # Without ORDER BY, which costs thrice the scan: rows were appended in seq order and DuckDB keeps
        # insertion order. That promise is checked rather than trusted.
        table = self._read(f"SELECT * FROM events WHERE {where}", parameters)
        seq = table["seq"].to_numpy()
        if (np.diff(seq) <= 0).any():
            table = table.take(np.argsort(seq))
        return with_zone(table)

    def _read_ends(self) -> tuple[int, tuple[int, int] | None]:
        query = "SELECT count(*), coalesce(max(seq), 0), epoch_us(min(time)), epoch_us(max(time)) FROM events"
        count, last, first_us, last_us = self._writer.execute(query).fetchall()[0]
        if count != last:
            raise LogDamagedError(f"the event log {self.path} holds {count} events up to seq {last}: some are missing")
        return last, (first_us, last_us) if count else None


def _names(column: str, wanted: Iterable[str]) -> list[str]:
    if isinstance(wanted, str):
        raise ValueError(f"{column}s is {wanted!r}: a list of names is needed, as [{wanted!r}]")
    return list(wanted)


def _utc(epoch: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=epoch)
