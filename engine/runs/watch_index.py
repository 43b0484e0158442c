"""The index of artifacts and provenance files in some folders: a table in DuckDB, so that memory does not grow with it.

Each file is read once, in a copy, when it is new or has changed. The index must not know how changes are noticed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from engine.runs.artifact import ArtifactMissing, ArtifactUnreadable, read_artifact
from engine.runs.ledger_tables import CONFIG, Where, create, select, utc_now
from engine.runs.validator import METRICS

ARTIFACT_COLUMNS: dict[str, str] = {
    "path": "VARCHAR", "kind": "VARCHAR", "size": "BIGINT", "mtime": "DOUBLE", "stamp": "VARCHAR",
    "run_id": "VARCHAR", "params": "VARCHAR", "status": "VARCHAR", "reason": "VARCHAR", "seen_at": "TIMESTAMP",
    **dict.fromkeys(METRICS, "DOUBLE"),
}  # fmt: skip
"""Columns of the index: `kind` is artifact or provenance, `status` ok or unreadable, `mtime` s since 1970; metrics are
those of provenance files."""

KINDS = {"artifact": re.compile(r"rho_history_[^/]+\.h5"), "provenance": re.compile(r"provenance_[^/]+\.json")}
"""Names of the files that are looked at."""

COPY_LIMIT_BYTES = 2**28
"""An artifact above this is read where it lies; below it, in a copy, so that nobody waits for its reader."""

_PROVENANCE_LIMIT_BYTES = 2**24
_BATCH = 500


@dataclass(frozen=True)
class ArtifactChange:
    """A file that was added, changed or removed.

    Parameters
    ----------
    change : {"added", "changed", "removed"}
    kind : {"artifact", "provenance"}
    path : Path
    run_id : str or None
        None where it could not be read.
    status : {"ok", "unreadable"}
        What the file was, if it is removed.
    reason : str
    """

    change: str
    kind: str
    path: Path
    run_id: str | None
    status: str
    reason: str


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """What a file is by its name: artifact, provenance or nothing of ours.

    Parameters
    ----------
    path : path

    Returns
    -------
    str or None

    Examples
    --------
    >>> kind_of("/runs/rho_history_ab.h5"), kind_of("/runs/.rho_history_ab.h5.12.part")
    ('artifact', None)
    """
    name = os.path.basename(path)
    return next((kind for kind, pattern in KINDS.items() if pattern.fullmatch(name)), None)


class ArtifactIndex:
    """What is known of the files.

    Written by one thread, read by any.

    Parameters
    ----------
    path : path, optional
        A DuckDB file that this process alone has open, kept when closed; a temporary one if not given.

    Raises
    ------
    duckdb.Error
        The file is no database or is open in another process.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="run-watch-")
        place = Path(self._home.name) / "index.duckdb" if path is None else Path(path)
        self._connection = duckdb.connect(str(place), config=CONFIG | {"memory_limit": "64MiB", "threads": 1})
        create(self._connection, "artifacts", ARTIFACT_COLUMNS)
        self._writer = self._connection.cursor()
        self._writer.execute("CREATE TEMP TABLE found (path VARCHAR, stamp VARCHAR)")

    def artifacts(
        self,
        order_by: str | Sequence[str] = "path",
        where: Where | None = None,
        limit: int | None = None,
        offset: int = 0,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Files, sorted and filtered; parameters as in `LedgerTables.runs`, columns as in `ARTIFACT_COLUMNS`.

        Returns
        -------
        pyarrow.Table
        """
        cursor = self._connection.cursor()
        return select(cursor, "artifacts", ARTIFACT_COLUMNS, order_by, where, limit, offset, columns)

    def count(self) -> int:
        """Number of files in the index."""
        return int(self._connection.cursor().execute("SELECT count(*) FROM artifacts").fetchall()[0][0])

    def scan(self, folder: Path) -> Iterator[ArtifactChange]:
        """Compare a folder and all below it with the index, take in what differs, and say what did.

        Parameters
        ----------
        folder : Path
            Absolute. If it is not there, all in it counts as removed.
        """
        self._writer.execute("DELETE FROM found")
        batch: list[tuple[str, str]] = []
        for path, stamp in _files(folder):
            batch.append((path, stamp))
            if len(batch) == _BATCH:
                self._enter_found(batch)
                batch = []
        self._enter_found(batch)
        below = os.path.join(str(folder), "")
        differing = self._writer.execute(
            "SELECT coalesce(found.path, a.path) AS path FROM found FULL JOIN "
            "(SELECT path, stamp FROM artifacts WHERE starts_with(path, ?)) AS a ON found.path = a.path "
            "WHERE found.stamp IS DISTINCT FROM a.stamp ORDER BY path",
            [below],
        ).fetchall()
        for (path,) in differing:
            yield from self.look(Path(path))

    def look(self, path: Path) -> Iterator[ArtifactChange]:
        """Look at one file and take in what is new about it.

        Parameters
        ----------
        path : Path
            Absolute.
        """
        kind = kind_of(path)
        if kind is None:
            return
        known = self._writer.execute(
            "SELECT stamp, run_id, status, reason FROM artifacts WHERE path = ?", [str(path)]
        ).fetchall()
        stamp = _stamp(path)
        if stamp is None:
            if known:
                self._writer.execute("DELETE FROM artifacts WHERE path = ?", [str(path)])
                yield ArtifactChange("removed", kind, path, *known[0][1:])
            return
        if known and known[0][0] == stamp:
            return
        row = self._read(path, kind)
        row |= {"path": str(path), "kind": kind, "stamp": stamp, "seen_at": utc_now()}
        names = list(row)
        self._writer.execute("BEGIN")
        self._writer.execute("DELETE FROM artifacts WHERE path = ?", [str(path)])
        listed = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join("?" * len(names))
        self._writer.execute(f"INSERT INTO artifacts ({listed}) VALUES ({marks})", list(row.values()))
        self._writer.execute("COMMIT")
        yield ArtifactChange("changed" if known else "added", kind, path, row["run_id"], row["status"], row["reason"])

    def close(self) -> None:
        """Let go of the file; a temporary one is deleted."""
        self._connection.close()
        self._home.cleanup()

    def _enter_found(self, batch: list[tuple[str, str]]) -> None:
        if batch:
            paths, stamps = zip(*batch, strict=True)
            self._writer.execute("INSERT INTO found SELECT unnest(?), unnest(?)", [list(paths), list(stamps)])

    def _read(self, path: Path, kind: str) -> dict[str, Any]:
        row: dict[str, Any] = {"run_id": None, "params": None, "status": "ok", "reason": ""}
        try:
            status = path.stat()
            row |= {"size": status.st_size, "mtime": status.st_mtime}
            row |= self._artifact(path, status.st_size) if kind == "artifact" else _provenance(path, status.st_size)
        except (ArtifactMissing, ArtifactUnreadable, OSError, ValueError) as error:
            row |= {"status": "unreadable", "reason": str(error)}
        return row

    def _artifact(self, path: Path, size: int) -> dict[str, Any]:
        copy = Path(self._home.name) / path.name  # the name belongs to what is checked
        with contextlib.ExitStack() as stack:
            if size <= COPY_LIMIT_BYTES:
                stack.callback(copy.unlink, missing_ok=True)
                shutil.copyfile(path, copy)
            attrs = read_artifact(copy if size <= COPY_LIMIT_BYTES else path).attrs
        return {"run_id": attrs["run_id"], "params": attrs["params"]}


def _provenance(path: Path, size: int) -> dict[str, Any]:
    if size > _PROVENANCE_LIMIT_BYTES:
        raise ValueError(f"it has {size} bytes; provenance has at most {_PROVENANCE_LIMIT_BYTES}")
    report = json.loads(path.read_bytes())
    if not isinstance(report, dict) or not isinstance(report.get("metrics"), dict):
        raise ValueError("it is no report of the validator: there is no object 'metrics' in it")
    metrics = {name: report["metrics"].get(name) for name in METRICS}
    wrong = [name for name, value in metrics.items() if isinstance(value, bool) or not isinstance(value, (int, float))]
    if wrong:
        raise ValueError(f"it is no report of the validator: {', '.join(wrong)} are no numbers")
    run_id, params = report.get("run_id"), report.get("params")
    return metrics | {
        "run_id": run_id if isinstance(run_id, str) else None,
        "params": None if params is None else json.dumps(params),
    }


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Paths and stamps of our files in a folder and below, one directory at a time; links are not followed."""
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(Path(entry.path))
                elif kind_of(entry.name) and (stamp := _stamp(entry.path)) is not None:
                    yield entry.path, stamp


def _stamp(path: str | os.PathLike[str]) -> str | None:
    """What changes when a file is written or replaced; None if there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}" if os.path.isfile(path) else None
