"""The tables of the ledger and how they are read: lists by columns, sorted and filtered, without opening artifacts.

Column names come from callers and are checked against the schema; values are always bound, never put into SQL text.
This module must not know who writes the ledger.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import duckdb
import pyarrow as pa

from engine.runs.params import RunParams
from engine.runs.validator import METRICS

CONFIG: dict[str, Any] = {
    "autoinstall_known_extensions": False,  # no request leaves the machine
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # a table name in a query never finds a Python variable
    "memory_limit": "512MiB",
}

HUNT_COLUMNS: dict[str, str] = {
    "hunt_id": "VARCHAR", "sampler": "VARCHAR", "seed": "BIGINT", "settings": "VARCHAR", "budget": "INTEGER",
    "state": "VARCHAR", "message": "VARCHAR",
    "workers": "INTEGER", "seconds_left": "DOUBLE", "created_at": "TIMESTAMP",
    "changed_at": "TIMESTAMP", "code_version": "VARCHAR",
}  # fmt: skip
"""Columns of the table `hunts`; times are UTC."""

_PARAM_TYPES = {"float": "DOUBLE", "int": "BIGINT", "str": "VARCHAR"}

RUN_COLUMNS: dict[str, str] = {
    "number": "BIGINT", "hunt_id": "VARCHAR", "slot": "INTEGER", "generation": "INTEGER", "candidate": "INTEGER",
    "parents": "INTEGER[]", "run_id": "VARCHAR", "params": "VARCHAR",
    **{field.name: _PARAM_TYPES[str(field.type)] for field in fields(RunParams)},
    "draws": "INTEGER", "state": "VARCHAR", "reason": "VARCHAR", "reused": "BOOLEAN", "attempts": "INTEGER",
    "queued_at": "TIMESTAMP", "started_at": "TIMESTAMP", "finished_at": "TIMESTAMP", "seconds": "DOUBLE",
    "fitness": "DOUBLE", **dict.fromkeys(METRICS, "DOUBLE"),
    "artifact": "VARCHAR", "artifact_status": "VARCHAR", "code_version": "VARCHAR", "validated_by": "VARCHAR",
}  # fmt: skip
"""Columns of the table `runs`: one row for each run a hunt asked for; docs/engine-runs-hunt.md says what they mean."""

STATES = ("queued", "running", "done", "failed")
"""States of a run."""

Where = Mapping[str, Any]


class LedgerTables:
    """Reads the tables `hunts` and `runs` of a DuckDB connection; from any thread, each call on its own cursor.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    @property
    def alive(self) -> bool:
        """Whether a hunt is at work that writes these tables."""
        return False

    def runs(
        self,
        order_by: str | Sequence[str] = "number",
        where: Where | None = None,
        limit: int | None = None,
        offset: int = 0,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Runs, sorted and filtered.

        Parameters
        ----------
        order_by : str or sequence of str
            Columns, with ``-`` before it for descending; empty values come last either way.
        where : mapping of column to wish, optional
            All must hold. A wish is a value, a list of values, or a range ``(low, high)`` whose ends belong to it
            and may be None; None is an empty cell.
        limit : int, optional
        offset : int
        columns : sequence of str, optional
            All, if not given.

        Returns
        -------
        pyarrow.Table
            Columns as in `RUN_COLUMNS`.

        Raises
        ------
        ValueError
            No such column, or a limit or offset below 0.
        """
        return select(self.cursor(), "runs", RUN_COLUMNS, order_by, where, limit, offset, columns)

    def hunts(self) -> pa.Table:
        """All hunts, the oldest first.

        Returns
        -------
        pyarrow.Table
            Columns as in `HUNT_COLUMNS`; `settings` is JSON for `HuntSettings.from_json`.
        """
        return select(self.cursor(), "hunts", HUNT_COLUMNS, ("created_at", "hunt_id"), None, None, 0, None)

    def counts(self, where: Where | None = None) -> dict[str, int]:
        """Number of runs in each state, and how many were reused.

        Parameters
        ----------
        where : mapping, optional
            As in `runs`.

        Returns
        -------
        dict of str to int
            `STATES`, ``"reused"`` and ``"all"``.
        """
        condition, values = _condition(where, RUN_COLUMNS)
        rows = self.cursor().execute(
            f"SELECT state, count(*), count(*) FILTER (reused AND state = 'done') FROM runs{condition} GROUP BY state",
            values,
        )
        found = {state: (count, reused) for state, count, reused in rows.fetchall()}
        counts = {state: found.get(state, (0, 0))[0] for state in STATES}
        return counts | {"reused": sum(reused for _, reused in found.values()), "all": sum(counts.values())}

    def run(self, run_id: str) -> dict[str, Any] | None:
        """The row of a run, the one in which it was computed first; None if there is none.

        Parameters
        ----------
        run_id : str

        Returns
        -------
        dict or None
        """
        rows = self.runs(("reused", "number"), {"run_id": run_id}, limit=1).to_pylist()
        return rows[0] if rows else None

    def convergence(self, hunt_id: str) -> pa.Table:
        """How a hunt went: its candidates by generation.

        Parameters
        ----------
        hunt_id : str

        Returns
        -------
        pyarrow.Table
            `generation`, `best` and `median` of the candidates' mean fitness in it, `best_so_far`.
        """
        return (
            self.cursor()
            .sql(
                """WITH means AS (
                    SELECT generation, candidate, avg(fitness) AS mean FROM runs
                    WHERE hunt_id = ? AND state = 'done' GROUP BY ALL),
                generations AS (SELECT generation, max(mean) AS best, median(mean) AS median FROM means GROUP BY ALL)
                SELECT *, max(best) OVER (ORDER BY generation) AS best_so_far FROM generations ORDER BY generation""",
                params=[hunt_id],
            )
            .to_arrow_table()
        )

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of its own on the same database, for queries that this class does not have."""
        return self._connection.cursor()


def select(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    schema: Mapping[str, str],
    order_by: str | Sequence[str],
    where: Where | None,
    limit: int | None,
    offset: int,
    columns: Sequence[str] | None,
) -> pa.Table:
    """Rows of a table with checked column names and bound values; parameters as in `LedgerTables.runs`.

    Returns
    -------
    pyarrow.Table
    """
    for name, number in (("limit", limit), ("offset", offset)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
            raise ValueError(f"{name} is {number!r}; it must be a whole number from 0")
    wanted = ", ".join(_column(name, schema) for name in (columns if columns is not None else schema))
    condition, values = _condition(where, schema)
    keys = [order_by] if isinstance(order_by, str) else list(order_by)
    order = ", ".join(
        f"{_column(key.removeprefix('-'), schema)} {'DESC' if key.startswith('-') else 'ASC'} NULLS LAST"
        for key in keys
    )
    tail = f" LIMIT {limit}" if limit is not None else ""
    order = f" ORDER BY {order}" if order else ""
    text = f"SELECT {wanted} FROM {table}{condition}{order}{tail} OFFSET {offset}"
    return cursor.sql(text, params=values).to_arrow_table()


def create(connection: duckdb.DuckDBPyConnection, table: str, schema: Mapping[str, str]) -> None:
    """Make a table where there is none."""
    listed = ", ".join(f'"{name}" {kind}' for name, kind in schema.items())
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({listed})")


def utc_now() -> dt.datetime:
    """The time, UTC, as the tables keep it: without a zone."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def _column(name: str, schema: Mapping[str, str]) -> str:
    if name not in schema:
        raise ValueError(f"there is no column {name!r}; there are {', '.join(schema)}")
    return f'"{name}"'


def _condition(where: Where | None, schema: Mapping[str, str]) -> tuple[str, list[Any]]:
    parts: list[str] = []
    values: list[Any] = []
    for name, wish in (where or {}).items():
        column = _column(name, schema)
        if wish is None:
            parts.append(f"{column} IS NULL")
        elif isinstance(wish, tuple):
            if len(wish) != 2:
                raise ValueError(f"the range of {name} is {wish!r}; it must be (low, high), either of them may be None")
            ends = [(sign, end) for sign, end in zip((">=", "<="), wish, strict=True) if end is not None]
            parts.extend(f"{column} {sign} ?" for sign, _ in ends)
            values.extend(end for _, end in ends)
        elif isinstance(wish, Iterable) and not isinstance(wish, str):
            parts.append(f"list_contains(?, {column})")
            values.append(list(wish))
        else:
            parts.append(f"{column} = ?")
            values.append(wish)
    return (" WHERE " + " AND ".join(parts) if parts else ""), values
