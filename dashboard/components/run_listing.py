"""The listing that table, scatter, parallel coordinates and wall share: rows kept, their order, the page, the open run.

It turns a state and the snapshot of all runs into one small immutable value, made anew only when one of them changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dashboard.components.run_rows import chosen_rows
from dashboard.components.run_table import PAGE_ROWS, convergence
from dashboard.components.runs_state import RunsState


@dataclass(frozen=True, eq=False)
class Listing:
    """Which runs are listed, in which order.

    Attributes
    ----------
    table : pyarrow.Table
        All runs of the hunt, as of the moment looked at.
    rows : ndarray of int64
        Rows kept by the filter, sorted.
    refused : str
        What is wrong with the filter; then all rows are kept.
    line, place
        From `convergence`.
    """

    table: pa.Table
    rows: np.ndarray
    refused: str = ""
    line: list[float] = field(default_factory=list)
    place: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))

    def run(self, run_id: str) -> int | None:
        """Row of a run in the table, None if it is not there."""
        if not run_id:
            return None
        at = pc.index(self.table["run_id"], run_id).as_py()
        return None if at < 0 else int(at)

    def position(self, run_id: str) -> int | None:
        """Position of a run among the rows listed, None if it is not listed."""
        at = self.run(run_id)
        found = np.flatnonzero(self.rows == at) if at is not None else np.empty(0, int)
        return int(found[0]) if len(found) else None

    def neighbour(self, run_id: str, by: int) -> str:
        """The run that many rows further on; the first one if none is open."""
        if not len(self.rows):
            return ""
        at = self.position(run_id)
        to = 0 if at is None else min(max(at + by, 0), len(self.rows) - 1)
        return self.identity(int(self.rows[to]))

    def identity(self, row: int) -> str:
        """Id of the run in a row of the table."""
        return str(self.table["run_id"][row].as_py())

    def page(self, number: int) -> np.ndarray:
        """Rows of a page."""
        return self.rows[number * PAGE_ROWS : (number + 1) * PAGE_ROWS]

    @property
    def pages(self) -> int:
        """Number of pages, at least 1."""
        return max(-(-len(self.rows) // PAGE_ROWS), 1)


def listing(table: pa.Table, state: RunsState, moment_s: float | None) -> Listing:
    """The runs to list.

    Parameters
    ----------
    table : pyarrow.Table
        All runs, from `engine.hunts.HuntDesk.table`.
    state : RunsState
    moment_s : float or None
        Only runs that had ended by then, epoch s; None is now.
    """
    if moment_s is not None:
        ended = pc.fill_null(pc.less_equal(table["finished_s"], moment_s), False)
        table = table.filter(ended)
    refused = ""
    try:
        rows = chosen_rows(table, state.where, state.order)
    except ValueError as error:
        refused, rows = str(error), chosen_rows(table, "", state.order)
    line, place = convergence(table)
    return Listing(table, rows, refused, line, place)


def followed(found: Listing, follow: str) -> str:
    """The run that opens by itself: the newest or the best of those measured; empty for none."""
    name = {"newest": "finished_s", "best": "fitness"}.get(follow)
    if name is None or name not in found.table.column_names or not found.table.num_rows:
        return ""
    values = np.asarray(pc.fill_null(found.table[name], -np.inf).to_numpy(), np.float64)
    measured = np.asarray(pc.is_in(found.table["state"], value_set=pa.array(["done", "found"])).to_numpy(), bool)
    values = np.where(measured, values, -np.inf)
    best = int(values.argmax())
    return found.identity(best) if np.isfinite(values[best]) else ""
