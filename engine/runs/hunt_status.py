"""How a hunt stands, read from the tables of a ledger: in the process that hunts, in another one, or afterwards."""

from __future__ import annotations

import json

from engine.runs.hunt_settings import HuntSettings, HuntStatus
from engine.runs.ledger_tables import LedgerTables

_BEST = """
WITH means AS (
    SELECT candidate, avg(fitness) AS mean, count(*) AS runs, arg_max(run_id, fitness) AS run_id,
           any_value(params) AS params
    FROM runs WHERE hunt_id = ? AND state = 'done' AND fitness IS NOT NULL GROUP BY candidate)
SELECT mean, runs, run_id, params FROM means ORDER BY mean DESC, candidate LIMIT 1
"""


def hunt_status(ledger: LedgerTables, hunt_id: str) -> HuntStatus:
    """How a hunt stands by its ledger or by the ledger's published copy.

    Parameters
    ----------
    ledger : Ledger or LedgerCopy
    hunt_id : str

    Returns
    -------
    HuntStatus

    Raises
    ------
    ValueError
        There is no such hunt.
    """
    found = [row for row in ledger.hunts().to_pylist() if row["hunt_id"] == hunt_id]
    if not found:
        raise ValueError(f"there is no hunt {hunt_id!r} in this ledger")
    hunt = found[0]
    counts = ledger.counts({"hunt_id": hunt_id})
    cursor = ledger.cursor()
    last = cursor.execute("SELECT max(generation) FROM runs WHERE hunt_id = ?", [hunt_id]).fetchall()[0][0]
    best = cursor.execute(_BEST, [hunt_id]).fetchall()
    mean, runs, run_id, params = best[0] if best else (None, 0, None, "{}")
    values = json.loads(params)
    state, alive = hunt["state"], ledger.alive
    if state in ("running", "pausing") and not alive:
        state = "interrupted"
    # A smaller budget than before leaves runs that are over it; they stay what they are.
    budget = max(hunt["budget"], counts["done"] + counts["failed"])
    running = counts["running"] if alive else 0
    return HuntStatus(
        hunt_id=hunt_id,
        state=state,
        message=hunt["message"],
        generation=last or 0,
        budget=budget,
        done=counts["done"],
        running=running,
        queued=budget - counts["done"] - counts["failed"] - running,
        failed=counts["failed"],
        reused=counts["reused"],
        best_fitness=mean,
        best_params={name: values[name] for name in HuntSettings.from_json(hunt["settings"]).space if name in values},
        best_run_id=run_id,
        best_runs=runs,
        seconds_left=hunt["seconds_left"] if alive and state == "running" else None,
        estimate=ESTIMATE,
        workers=hunt["workers"] or 0 if alive else 0,
    )


ESTIMATE = "runs still to come, by the rate at which the last 60 ended, pauses left out"
"""How `HuntStatus.seconds_left` comes about."""
