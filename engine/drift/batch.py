"""One event batch as monitors read it: its payload parsed once, its clusters and its clock given by who composes.

A monitor that stands alone makes one of these from a table and finds clusters in the payload; a composition of many
monitors makes one for all of them. It knows no kind of event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.payload import payload_columns


class EventBatch:
    """An event table with what monitors need of it, each worked out once.

    Parameters
    ----------
    table : pyarrow.Table
        n events, schema `engine.events.SCHEMA`.
    payload : mapping of str to ndarray, (n,), optional
        Payload columns that are parsed already, by key: float64 or object arrays as of `payload_columns`.
    clusters : (ndarray of int64, (n,), list of str), optional
        Code of the cluster of each event, and their names.
    clock_s : ndarray of float64, (n,), optional
        Newest event time up to each event, epoch seconds, where events that are not in the table count too.

    Examples
    --------
    >>> from engine.events.schema import event_table
    >>> batch = EventBatch(event_table([0, 2_000_000, 1_000_000], "note", ["a", "b", "a"], "doc"))
    >>> batch.time_s.tolist(), batch.clock_s.tolist(), batch.clusters()
    ([0.0, 2.0, 1.0], [0.0, 2.0, 2.0], (array([0, 1, 0]), ['a', 'b']))
    """

    def __init__(
        self, table: pa.Table, payload: Mapping[str, np.ndarray] | None = None,
        clusters: tuple[np.ndarray, list[str]] | None = None, clock_s: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.table = table
        self.time_s: np.ndarray = table["time"].cast(pa.int64()).to_numpy() * 1e-6
        self.clock_s = np.maximum.accumulate(self.time_s) if clock_s is None else clock_s
        self._payload = dict(payload or {})
        self._clusters = clusters

    @classmethod
    def of(cls, events: pa.Table | EventBatch) -> EventBatch:
        """The batch itself, or one made from a table."""
        return events if isinstance(events, cls) else cls(events)  # type: ignore[arg-type]

    @property
    def num_rows(self) -> int:
        """Events in it."""
        return self.table.num_rows

    def has(self, fields: Mapping[str, Any]) -> bool:
        """Whether these payload keys are parsed already."""
        return all(name in self._payload for name in fields)

    def rows_of(self, kinds: tuple[str, ...]) -> np.ndarray:
        """Rows of the events of some kinds."""
        return np.flatnonzero(pc.is_in(self.table["kind"], pa.array(kinds)).to_numpy(zero_copy_only=False))

    def payload(self, fields: Mapping[str, Any], rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Payload columns of all events, or of some rows: see `engine.events.payload_columns`."""
        if self.has(fields):
            parsed = {name: _as(self._payload[name], given) for name, given in fields.items()}
            return parsed if rows is None else {name: values[rows] for name, values in parsed.items()}
        table = self.table if rows is None else self.table.take(pa.array(rows))
        return payload_columns(table, fields)

    @property
    def stands_alone(self) -> bool:
        """Whether clusters have still to be found in the payload."""
        return self._clusters is None

    def clusters(self, cluster: np.ndarray | None = None) -> tuple[np.ndarray, list[str]]:
        """Code of the cluster of each event (n,), and the names: the payload's ``cluster``, else the entity."""
        if self._clusters is None:
            codes, names = encoded(self.table["entity"])
            cluster = self.payload({"cluster": str})["cluster"] if cluster is None else cluster
            if any(value is not None for value in cluster):
                entities = np.array(names, dtype=object)[codes]
                codes, names = encoded(np.where(cluster == None, entities, cluster))  # noqa: E711 (elementwise)
            self._clusters = codes, names
        return self._clusters

    def slice(self, first: int, last: int) -> EventBatch:
        """The events from row `first` to before `last`."""
        clusters = None if self._clusters is None else (self._clusters[0][first:last], self._clusters[1])
        payload = {name: values[first:last] for name, values in self._payload.items()}
        return EventBatch(self.table.slice(first, last - first), payload, clusters, self.clock_s[first:last])

    def take(self, rows: np.ndarray) -> EventBatch:
        """The events of some rows; they keep the clock they had."""
        if len(rows) == self.num_rows:
            return self
        clusters = None if self._clusters is None else (self._clusters[0][rows], self._clusters[1])
        payload = {name: values[rows] for name, values in self._payload.items()}
        return EventBatch(self.table.take(pa.array(rows)), payload, clusters, self.clock_s[rows])


def encoded(column: Any) -> tuple[np.ndarray, list[str]]:
    """Codes of a text column and the texts they stand for; missing text is ``""``."""
    combined = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else pa.array(column, pa.string())
    keys = combined.fill_null("").dictionary_encode()
    return keys.indices.to_numpy(zero_copy_only=False).astype(np.int64), keys.dictionary.to_pylist()


def _as(values: np.ndarray, wanted: Any) -> np.ndarray:
    """The column, or an empty one where it was parsed as another type than is asked for."""
    number = np.dtype(wanted).kind in "fiu"
    if (values.dtype.kind == "f") == number:
        return values
    return np.full(len(values), np.nan) if number else np.full(len(values), None, dtype=object)
