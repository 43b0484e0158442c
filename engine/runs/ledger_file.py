"""The one connection of this process to a ledger's file: DuckDB lets one process at a time have a file open.

This module knows files and DuckDB, not what the tables are for.
"""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb

from engine.runs.ledger_tables import CONFIG, HUNT_COLUMNS, RUN_COLUMNS, create

LEDGER_NAME = "ledger.duckdb"
"""File name of a ledger in its folder."""


COPIES = {"runs": "ledger_runs.parquet", "hunts": "ledger_hunts.parquet"}
"""File names of the published copies."""


class LedgerLockedError(RuntimeError):
    """Another process has the ledger open."""


class LedgerDamagedError(RuntimeError):
    """The ledger's file, or the published copy, cannot be read."""


class SharedFile:
    """A ledger's file, opened once however many ledgers of this process use it.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    writing, hunting : threading.Lock
        Held by who writes, and by the one hunt at work.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.users = path, 0
        self.writing, self.hunting = threading.Lock(), threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.connection = duckdb.connect(str(path), config=CONFIG)
        except duckdb.Error as error:
            if "Could not set lock" in str(error) or "being used by another process" in str(error):
                raise LedgerLockedError(
                    f"the ledger {path} is open in another process: stop that one to write, or read its copy with "
                    "open_ledger"
                ) from error
            raise LedgerDamagedError(f"{path} is no ledger that can be read: {error}") from error
        create(self.connection, "hunts", HUNT_COLUMNS)
        create(self.connection, "runs", RUN_COLUMNS)


_opened: dict[Path, SharedFile] = {}
_opening = threading.Lock()


def share(folder: Path) -> SharedFile:
    """The connection to the ledger of a folder; give it back with `release`.

    Raises
    ------
    LedgerLockedError, LedgerDamagedError
    """
    path = (folder / LEDGER_NAME).resolve()
    with _opening:
        if path not in _opened:
            _opened[path] = SharedFile(path)
        _opened[path].users += 1
        return _opened[path]


def release(shared: SharedFile) -> None:
    """Give a connection back; the last one to do so closes the file."""
    with _opening:
        shared.users -= 1
        if shared.users == 0:
            del _opened[shared.path]
            shared.connection.close()
