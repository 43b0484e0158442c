"""The ledger of a folder of runs: every hunt and every run, in DuckDB, safe against kill -9 at any moment.

One process at a time has the ledger open; within it any number of threads read while one hunt writes. Other processes
read a copy in Parquet that the writer publishes (`open_ledger`). The ledger must not know how runs are computed, nor
which points are worth trying.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from engine.runs.ledger_copy import LedgerCopy
from engine.runs.ledger_file import COPIES, LedgerLockedError, release, share
from engine.runs.ledger_tables import HUNT_COLUMNS, RUN_COLUMNS, LedgerTables, utc_now
from engine.runs.validator import METRICS, MISSING


class Ledger(LedgerTables):
    """The ledger of a folder, to read and to write.

    Ledgers of one folder in one process share one connection, and the file is let go when the last of them is closed.

    Parameters
    ----------
    folder : path
        Made where missing.

    Raises
    ------
    LedgerLockedError
        Another process has it open; `open_ledger` then gives its published copy.
    LedgerDamagedError
        The file is no ledger.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Ledger(folder) as ledger:
    ...     ledger.runs(where={"state": "done"}).num_rows
    0
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._shared = share(self.folder)
        super().__init__(self._shared.connection)
        self._closed = False

    @property
    def writable(self) -> bool:
        """True: hunts of this process can write to it."""
        return True

    @property
    def alive(self) -> bool:
        """Whether a hunt of this process is at work here."""
        return self._shared.hunting.locked()

    @property
    def stale_s(self) -> float:
        """Seconds by which it may be behind: 0, this is the ledger itself."""
        return 0.0

    # -- hunts --------------------------------------------------------------------------------------

    def add_hunt(self, hunt: Mapping[str, Any]) -> None:
        """Enter a hunt that is not there yet; only its budget is changed if it is.

        Parameters
        ----------
        hunt : mapping
            `hunt_id`, `sampler`, `seed`, `settings`, `budget`, `code_version`.
        """
        with self._writing() as writer:
            if writer.execute("SELECT 1 FROM hunts WHERE hunt_id = ?", [hunt["hunt_id"]]).fetchall():
                writer.execute("UPDATE hunts SET budget = ? WHERE hunt_id = ?", [hunt["budget"], hunt["hunt_id"]])
            else:
                row = {**hunt, "state": "new", "message": "", "created_at": utc_now(), "changed_at": utc_now()}
                _insert(writer, "hunts", HUNT_COLUMNS, [row])

    def note_hunt(self, hunt_id: str, **values: Any) -> None:
        """Note how a hunt stands.

        Parameters
        ----------
        hunt_id : str
        **values
            `state`, `message`, `workers`, `seconds_left`: those that changed.
        """
        values["changed_at"] = utc_now()
        unknown = set(values) - set(HUNT_COLUMNS)
        if unknown:
            raise ValueError(f"{sorted(unknown)} are no columns of hunts; there are {', '.join(HUNT_COLUMNS)}")
        listed = ", ".join(f'"{name}" = ?' for name in values)
        with self._writing() as writer:
            writer.execute(f"UPDATE hunts SET {listed} WHERE hunt_id = ?", [*values.values(), hunt_id])

    # -- runs ---------------------------------------------------------------------------------------

    def enqueue(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Enter runs as queued, all or none. One that was measured before is entered as done, with its results.

        Reused is only what the same solver and the same metrics with as many draws gave, and whose artifact was not
        found missing or broken since.

        Parameters
        ----------
        rows : sequence of mapping
            Columns of `runs` up to `draws`, without `number`, and the two code versions.
        """
        if not rows:
            return
        with self._writing() as writer:
            known = _measured(writer, rows)
            first = writer.execute("SELECT coalesce(max(number), 0) + 1 FROM runs").fetchall()[0][0]
            entered = []
            for number, row in enumerate(rows, first):
                before = known.get((row["run_id"], row["draws"], row["code_version"], row["validated_by"]))
                state = {"state": "queued", "reason": "", "reused": False} if before is None else {**before}
                entered.append({"attempts": 0, "queued_at": utc_now(), **row, "number": number, **state})
            _insert(writer, "runs", RUN_COLUMNS, entered)

    def begin(self, hunt_id: str, run_id: str, attempt: int) -> None:
        """Note that a run is in a worker.

        Parameters
        ----------
        hunt_id, run_id : str
        attempt : int
            From 1.
        """
        with self._writing() as writer:
            writer.execute(
                "UPDATE runs SET state = 'running', started_at = ?, attempts = ? "
                "WHERE hunt_id = ? AND run_id = ? AND state IN ('queued', 'running')",
                [utc_now(), attempt, hunt_id, run_id],
            )

    def finish(self, hunt_id: str, run_id: str, results: Mapping[str, Any]) -> None:
        """Note how a run ended, in one transaction. The same run asked for twice ends twice, the second one reused.

        Parameters
        ----------
        hunt_id, run_id : str
        results : mapping
            `state` (``"done"`` or ``"failed"``), `reason`, `seconds`, `fitness`, `artifact`, `artifact_status` and
            the metrics; metrics that are missing become 999.
        """
        values = dict.fromkeys(METRICS, MISSING) | dict(results) | {"finished_at": utc_now()}
        listed = ", ".join(f'"{name}" = ?' for name in values)
        with self._writing() as writer:
            writer.execute(
                f"UPDATE runs SET {listed}, reused = number > (SELECT min(number) FROM runs AS same "
                "WHERE same.hunt_id = runs.hunt_id AND same.run_id = runs.run_id AND "
                "same.state IN ('queued', 'running')) "
                "WHERE hunt_id = ? AND run_id = ? AND state IN ('queued', 'running')",
                [*values.values(), hunt_id, run_id],
            )

    def requeue(self, hunt_id: str) -> int:
        """Put what is said to be running back into the queue: for after its process was stopped or killed.

        Parameters
        ----------
        hunt_id : str

        Returns
        -------
        int
            Runs that were put back.
        """
        with self._writing() as writer:
            rows = writer.execute(
                "UPDATE runs SET state = 'queued', started_at = NULL, attempts = 0 "
                "WHERE hunt_id = ? AND state = 'running' RETURNING number",
                [hunt_id],
            ).fetchall()
        return len(rows)

    def note_artifact(self, run_id: str, status: str, reason: str, metrics: Mapping[str, float]) -> None:
        """Note what was found of a run's artifact later; `state` and `fitness` stay, as the hunt went by them.

        Parameters
        ----------
        run_id : str
        status : {"ok", "missing", "unreadable"}
        reason : str
        metrics : mapping of str to float
        """
        values = {"artifact_status": status, "reason": reason, **metrics}
        listed = ", ".join(f'"{name}" = ?' for name in values)
        with self._writing() as writer:
            writer.execute(f"UPDATE runs SET {listed} WHERE run_id = ? AND state = 'done'", [*values.values(), run_id])

    # -- the copy for other processes ---------------------------------------------------------------

    def publish(self) -> None:
        """Write the copies that other processes read, each whole or not at all; costs some 10 ms per 10 000 runs."""
        for table, name in COPIES.items():
            hidden = self.folder / f".{name}.{os.getpid()}.{threading.get_ident()}.part"
            try:
                quoted = str(hidden).replace("'", "''")
                self.cursor().execute(f"COPY (FROM {table}) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)")
                os.replace(hidden, self.folder / name)
            finally:
                hidden.unlink(missing_ok=True)

    @contextlib.contextmanager
    def hunting(self) -> Any:
        """Hold the folder for one hunt: two at once would start the same run twice.

        Raises
        ------
        LedgerLockedError
            Another hunt of this process is at work here.
        """
        if not self._shared.hunting.acquire(blocking=False):
            raise LedgerLockedError(f"a hunt is at work in {self.folder}: pause or cancel it, or use another folder")
        try:
            yield self
        finally:
            self._shared.hunting.release()

    def close(self) -> None:
        """Let go of the file, if no other ledger of this process has it open."""
        if not self._closed:
            self._closed = True
            release(self._shared)

    def __enter__(self) -> Ledger:
        """The ledger itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @contextlib.contextmanager
    def _writing(self) -> Any:
        if self._closed:
            raise RuntimeError(f"the ledger of {self.folder} is closed")
        with self._shared.writing:
            writer = self.cursor()
            writer.execute("BEGIN")
            try:
                yield writer
                writer.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    writer.execute("ROLLBACK")
                raise


def open_ledger(folder: str | os.PathLike[str]) -> Ledger | LedgerCopy:
    """The ledger of a folder, or the published copy if another process has it open.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Ledger or LedgerCopy
        The same ways to read; `writable` tells them apart.

    Raises
    ------
    LedgerDamagedError
        Neither can be read.
    """
    try:
        return Ledger(folder)
    except LedgerLockedError:
        return LedgerCopy(folder)


def _insert(
    writer: duckdb.DuckDBPyConnection, table: str, schema: Mapping[str, str], rows: list[dict[str, Any]]
) -> None:
    names = [name for name in schema if any(name in row for row in rows)]
    types = {"parents": pa.list_(pa.int32())}
    columns = {name: pa.array([row.get(name) for row in rows], types.get(name)) for name in names}
    writer.register("arriving", pa.table(columns))
    try:
        listed = ", ".join(f'"{name}"' for name in names)
        writer.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM arriving")
    finally:
        writer.unregister("arriving")


_CARRIED = ("state", "reason", "seconds", "fitness", *METRICS, "artifact", "artifact_status")


def _measured(
    writer: duckdb.DuckDBPyConnection, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Results of those of the rows that were measured before, as columns of a row that reuses them."""
    listed = ", ".join(f'"{name}"' for name in _CARRIED)
    found = writer.execute(
        f"SELECT run_id, draws, code_version, validated_by, {listed} FROM runs "
        "WHERE state = 'done' AND artifact_status = 'ok' AND NOT reused AND list_contains(?, run_id)",
        [[row["run_id"] for row in rows]],
    ).fetchall()
    now = utc_now()
    return {
        row[:4]: dict(zip(_CARRIED, row[4:], strict=True)) | {"reused": True, "started_at": now, "finished_at": now}
        for row in found
    }
