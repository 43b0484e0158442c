"""The published copy of a ledger, for processes other than the one that has it open."""

from __future__ import annotations

import os
import time
from pathlib import Path

import duckdb

from engine.runs.ledger_file import COPIES, LedgerDamagedError
from engine.runs.ledger_tables import CONFIG, LedgerTables


class LedgerCopy(LedgerTables):
    """The published copy of a ledger that another process has open; read only, each query sees the newest copy.

    Parameters
    ----------
    folder : path

    Raises
    ------
    LedgerDamagedError
        There is no copy, or it cannot be read.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        super().__init__(duckdb.connect(":memory:", config=CONFIG))
        try:
            for table, name in COPIES.items():
                quoted = str(self.folder / name).replace("'", "''")
                self._connection.execute(f"CREATE VIEW {table} AS FROM read_parquet('{quoted}')")
        except duckdb.Error as error:
            raise LedgerDamagedError(
                f"the published copy of the ledger in {self.folder} cannot be read: {error}"
            ) from None

    @property
    def writable(self) -> bool:
        """False: another process writes it."""
        return False

    @property
    def alive(self) -> bool:
        """Whether the other process has published lately."""
        return self.stale_s < 10.0

    @property
    def stale_s(self) -> float:
        """Seconds since the copy was published."""
        try:
            return max(0.0, time.time() - (self.folder / COPIES["runs"]).stat().st_mtime)
        except OSError:
            return float("inf")

    def close(self) -> None:
        """Let go of the copy."""
        self._connection.close()

    def __enter__(self) -> LedgerCopy:
        """The copy itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
