"""The file under the event log: opening it, holding it alone, and saving what a damaged one still has.

DuckDB guards a file against a second process, not against a second log in the same process, and it
refuses a write-ahead log with a broken record. This module knows files and DuckDB, not events.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import duckdb

_SETTINGS: dict[str, Any] = {
    "autoinstall_known_extensions": False,  # no request leaves the machine
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # a table name in a query never finds a Python variable
}
_BROKEN_AT = re.compile(r"Corrupt WAL file: entry at byte position (\d+)")

_claimed: set[Path] = set()
_claiming = threading.Lock()


class LogLockedError(RuntimeError):
    """The log's file is open elsewhere: one process, and in it one log, may hold it."""


class LogDamagedError(RuntimeError):
    """The log's file cannot be read to its end."""


def claim(path: Path) -> Path:
    """Take a file for this log alone within the process; give it back with `release`.

    Raises
    ------
    LogLockedError
        If another log of this process holds it: both would assign the same seq.
    """
    resolved = path.resolve()
    with _claiming:
        if resolved in _claimed:
            raise LogLockedError(f"the event log {path} is already open in this process: share that EventLog")
        _claimed.add(resolved)
    return resolved


def release(claimed: Path | None) -> None:
    """Give a claimed file back."""
    with _claiming:
        _claimed.discard(claimed)  # type: ignore[arg-type]


def connect(path: str, wal_limit_mib: int, memory_limit_mib: int) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection to the log's file, made with its folder where missing.

    Raises
    ------
    LogLockedError
        If another process holds the file.
    LogDamagedError
        If the file, or its write-ahead log before its last record, is damaged.
    """
    if path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    config = _SETTINGS | {"wal_autocheckpoint": f"{wal_limit_mib}MiB", "memory_limit": f"{memory_limit_mib}MiB"}
    try:
        return duckdb.connect(path, config=config)
    except duckdb.Error as error:
        text = str(error)
        if "Could not set lock" in text:
            raise LogLockedError(
                f"the event log {path} is open in another process: stop that process, or give this one "
                f"another file ({text})"
            ) from error
        if "WAL" in text:
            raise LogDamagedError(
                f"the write-ahead log {path}.wal is damaged: recover_log({path!r}) keeps a copy of it and opens "
                f"the events before the damage ({text})"
            ) from error
        raise LogDamagedError(
            f"{path} is no event log that can be read: restore it or name another ({text})"
        ) from error


def recover_log(path: str | Path) -> int:
    """Cut a damaged write-ahead log at its first broken record, so that the log opens again.

    A torn last record, all that a killed process leaves, needs no help; this is for a disk that lost or
    changed bytes. The whole damaged file is kept beside the log as ``<path>.wal.damaged-<epoch s>``.

    Parameters
    ----------
    path : str or Path
        The log's file, not open anywhere.

    Returns
    -------
    int
        Bytes cut off; 0 where nothing was wrong.

    Raises
    ------
    LogDamagedError
        If the damage is not in the write-ahead log.
    """
    try:
        connect(str(path), 16, 1024).close()
        return 0
    except LogDamagedError as error:
        broken_at = _BROKEN_AT.search(str(error))
        if broken_at is None:
            raise
    wal = Path(f"{path}.wal")
    size, keep = wal.stat().st_size, int(broken_at[1])
    shutil.copy2(wal, f"{wal}.damaged-{int(time.time())}")
    with wal.open("r+b") as file:
        file.truncate(keep)
    connect(str(path), 16, 1024).close()
    return size - keep
