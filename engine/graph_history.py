"""The live hypergraph as of any time or seq: saved now and then, and from there the log's events folded on.

Saved graphs are files of their own and not rows of the log's database: they can be thinned out and thrown away,
one that is damaged costs only itself, and the log never has to shrink. Why: docs/decisions/graph-history.md.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.events.log import EventLog
from engine.hypergraph.graph_fold import FOLD_VERSION, GraphFold
from engine.hypergraph.graph_snapshot import GraphSnapshot

logger = logging.getLogger(__name__)

EVERY_EVENTS = 100_000
"""A graph is saved after so many events: what has to be folded for a moment of the past is less."""

MAX_BYTES = 2 << 30
"""What saved graphs may take on disk; beyond it older ones are thinned out."""

MAX_KEPT = 4
"""Snapshots of the past held in memory, so that all who look at a moment share one."""

SETTLED_S = 120.0
"""A moment this long ago will hardly be told anything more of, so its snapshot may be kept, s."""

_TABLES = ("nodes", "edges", "incidences")
_FACTS = b"graph"


@dataclass(frozen=True, slots=True)
class Saved:
    """A graph on file: the last event in it, the latest time of its events (s), bytes, and where it is."""

    seq: int
    newest_s: float
    n_bytes: int
    path: Path


class GraphHistory:
    """Saves a fold as it goes, and gives the fold back as of any moment since the log's beginning.

    Parameters
    ----------
    log : EventLog
    folder : Path or None
        Where graphs are saved; None is a temporary folder.
    fold : GraphFold
        An empty one, whose bounds and decay those of the past get too.
    every_events, max_bytes : int
        See `EVERY_EVENTS`, `MAX_BYTES`.

    Examples
    --------
    >>> from engine.events import event_table
    >>> with EventLog(":memory:") as log:
    ...     payload = ['{"src_ip": "10.0.0.1"}', '{"src_ip": "10.0.0.2"}']
    ...     seq = log.append(event_table([0, 5_000_000], "net.flow", ["e", "f"], "doc", payload=payload))
    ...     history = GraphHistory(log, None, GraphFold())
    ...     history.as_of(moment_s=1.0).snapshot(1.0).nodes["id"].to_pylist()
    ...     history.close()
    ['host:10.0.0.1']
    """

    def __init__(
        self, log: EventLog, folder: Path | None, fold: GraphFold, *,
        every_events: int = EVERY_EVENTS, max_bytes: int = MAX_BYTES,
    ) -> None:  # fmt: skip
        if every_events < 1 or max_bytes < 1:
            raise ValueError(f"every_events is {every_events}, max_bytes {max_bytes}: 1 or more each are needed")
        self.every_events, self.max_bytes = every_events, max_bytes
        self.save_errors = 0
        self._log, self._bounds = log, (fold.max_nodes, fold.max_incidences, fold.graph.decay_per_s)
        self._temporary = tempfile.TemporaryDirectory(prefix="graph-") if folder is None else None
        self._folder = Path(self._temporary.name) if self._temporary is not None else Path(str(folder))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._saved = self._found()
        self._last_saved = self._saved[-1].seq if self._saved else 0
        self._writer: threading.Thread | None = None
        self._kept: dict[float, GraphSnapshot] = {}
        self._computing = threading.Lock()

    # -- saving -------------------------------------------------------------------------------------

    def offer(self, fold: GraphFold, *, after: int | None = None, wait: bool = False) -> None:
        """Save a fold if so many events came since the last; written beside, unless `wait`."""
        if fold.seq - self._last_saved < (self.every_events if after is None else after):
            return
        if self._writer is not None and self._writer.is_alive():
            if not wait:
                return
            self._writer.join()
        self._last_saved = fold.seq
        tables, facts = fold.saved()
        self._writer = threading.Thread(target=self._save, args=(tables, facts), name="graph-saver", daemon=True)
        self._writer.start()
        if wait:
            self._writer.join()

    def close(self) -> None:
        """Wait for what is being written."""
        if self._writer is not None:
            self._writer.join(30.0)
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def folder(self) -> Path:
        """Where graphs are saved."""
        return self._folder

    def saved(self) -> list[Saved]:
        """What is on file, oldest first."""
        with self._lock:
            return list(self._saved)

    def _save(self, tables: dict[str, pa.Table], facts: dict[str, Any]) -> None:
        path = self._folder / f"graph-{facts['seq']:015d}.arrow"
        try:
            _write(path, tables, facts | {"fold_version": FOLD_VERSION, "event": self._mark(facts["seq"])})
            entry = Saved(facts["seq"], facts["newest_s"], path.stat().st_size, path)
        except Exception:
            # Without it the past only takes longer to compute.
            self.save_errors += 1
            logger.exception("the graph as of event %d could not be saved", facts["seq"])
            return
        with self._lock:
            self._saved = sorted([*(s for s in self._saved if s.seq != entry.seq), entry], key=lambda s: s.seq)
            while sum(s.n_bytes for s in self._saved) > self.max_bytes and len(self._saved) > 1:
                self._forget(_most_dispensable(self._saved, self.every_events))

    def _forget(self, entry: Saved) -> None:
        self._saved = [s for s in self._saved if s is not entry]
        entry.path.unlink(missing_ok=True)

    # -- the past -----------------------------------------------------------------------------------

    def latest(self) -> GraphFold:
        """The newest graph on file, to be fed what the log has beyond its seq; an empty one where there is none."""
        return self._base(self._log.last_seq, float("inf"))

    def as_of(self, *, moment_s: float | None = None, seq: int | None = None) -> GraphFold:
        """The fold over all events up to a moment (time ≤ moment_s) or a seq.

        Raises
        ------
        ValueError
            Not exactly one of the two is given.
        """
        if (moment_s is None) == (seq is None):
            raise ValueError(f"moment_s is {moment_s}, seq is {seq}: one of the two is needed")
        last = self._log.last_seq if seq is None else seq
        fold = self._base(last, float("inf") if moment_s is None else moment_s)
        until = None if moment_s is None else float(moment_s)
        for table in self._log.stream(fold.seq, until, last=last):
            fold.apply(table)
        return fold

    def snapshot(self, moment_s: float, now_s: float) -> GraphSnapshot:
        """The graph as of a past moment with weights of that moment; computed once for all who look at it."""
        with self._computing:
            shot = self._kept.pop(moment_s, None) or self.as_of(moment_s=moment_s).snapshot(moment_s)
            if moment_s < now_s - SETTLED_S:
                self._kept[moment_s] = shot  # the last used is the last to go
            while len(self._kept) > MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            return shot

    def _base(self, last_seq: int, moment_s: float) -> GraphFold:
        """The newest graph on file with nothing in it that is later; what is damaged or foreign is thrown away."""
        for entry in reversed(self.saved()):
            if entry.seq > last_seq or entry.newest_s > moment_s:
                continue
            try:
                tables, facts = _read(entry.path)
                if facts["event"] == self._mark(entry.seq):
                    return GraphFold.restored(tables, facts)
                logger.warning("%s is of another log and is thrown away", entry.path)
            except (OSError, ValueError, KeyError, pa.ArrowException):
                logger.warning("%s cannot be read and is thrown away", entry.path, exc_info=True)
            with self._lock:
                self._forget(entry)
        return GraphFold(*self._bounds)

    def _mark(self, seq: int) -> list[int]:
        """By which the log is known again: when its event of a number was, and when it was taken."""
        row = self._log.since(seq - 1, limit=1)
        return [row[name][0].cast(pa.int64()).as_py() for name in ("time", "received")] if row.num_rows else []

    def _found(self) -> list[Saved]:
        """What is on file from before; graphs of another version or other bounds, and halves, are thrown away."""
        found = []
        for path in sorted(self._folder.glob("graph-*")):
            try:
                facts = _read_facts(path)
                bounds = (facts["max_nodes"], facts["max_incidences"], facts["decay_per_s"])
                fits = facts["fold_version"] == FOLD_VERSION and bounds == self._bounds
            except (OSError, ValueError, KeyError, pa.ArrowException):
                fits = False
            if fits:
                found.append(Saved(int(facts["seq"]), float(facts["newest_s"]), path.stat().st_size, path))
            else:
                path.unlink(missing_ok=True)
        return found


def _most_dispensable(saved: list[Saved], every: int) -> Saved:
    """Of all but the newest the one whose absence is felt least: a small gap, long ago."""
    last = saved[-1].seq

    def loss(i: int) -> float:
        before = saved[i - 1].seq if i else 0
        return (saved[i + 1].seq - before) / (last - saved[i].seq + every)

    return saved[min(range(len(saved) - 1), key=loss)]


def _write(path: Path, tables: dict[str, pa.Table], facts: dict[str, Any]) -> None:
    """Three Arrow streams end to end and a checksum; whole under its name, or not there."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    for name in _TABLES:
        table = tables[name].combine_chunks()
        if name == _TABLES[0]:
            table = table.replace_schema_metadata({_FACTS: json.dumps(facts).encode()})
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
    data = sink.getvalue()
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(data)
        file.write(zlib.crc32(data).to_bytes(4, "little"))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _read(path: Path) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    data = path.read_bytes()
    if zlib.crc32(memoryview(data)[:-4]) != int.from_bytes(data[-4:], "little"):
        raise ValueError(f"{path} is damaged: its checksum does not fit")
    source = pa.BufferReader(data)
    tables = {name: pa.ipc.open_stream(source).read_all() for name in _TABLES}
    return tables, json.loads(tables[_TABLES[0]].schema.metadata[_FACTS])


def _read_facts(path: Path) -> dict[str, Any]:
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
        facts: dict[str, Any] = json.loads((reader.schema.metadata or {})[_FACTS])
        return facts
