"""The index of a folder of runs: one Arrow table of all runs, from the ledger and from artifacts that no hunt made.

Views list, sort and draw from it without opening a file. A row is one run, however often hunts asked for it; what
could not be measured has no number, so that a sentinel is never taken for a value. It must not know who looks.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.runs.hunt_settings import fitness
from engine.runs.ledger_tables import LedgerTables
from engine.runs.params import RunParams
from engine.runs.validator import METRICS

MAX_RUNS = 50_000
"""Runs listed at most, the newest."""

MAX_FOUND = 10_000
"""Artifacts without a row in the ledger that are listed at most."""

_PARAMS = tuple(field.name for field in fields(RunParams))
_LEDGER = (
    "run_id", "state", "fitness", *METRICS, *_PARAMS, "generation", "candidate", "parents", "hunt_id", "seconds",
    "finished_at", "reason", "reused", "artifact_status", "code_version", "validated_by", "number",
)  # fmt: skip
_NAME = re.compile(r"rho_history_([0-9a-f]{40})\.h5")
_MAX_PROVENANCE_BYTES = 2**22


def ledger_rows(ledger: LedgerTables, hunt_id: str = "") -> pa.Table:
    """Runs of the ledger, the newest last, each once; times as epoch seconds in ``finished_s``.

    Parameters
    ----------
    ledger : Ledger or LedgerCopy
    hunt_id : str
        Only this hunt; empty for all.

    Returns
    -------
    pyarrow.Table
        Metrics and fitness are null where the run failed or its artifact is missing or unreadable.
    """
    where: dict[str, Any] = {"hunt_id": hunt_id} if hunt_id else {"reused": False}
    newest = ledger.runs("-number", where, limit=MAX_RUNS, columns=_LEDGER)
    table = newest.take(pa.array(np.arange(newest.num_rows)[::-1]))
    if hunt_id and table.num_rows:  # a run that the hunt asked for twice
        _, first = np.unique(table["run_id"].to_numpy(zero_copy_only=False), return_index=True)
        table = table.take(pa.array(np.sort(first)))
    done = pc.equal(table["state"], "done")
    measured = pc.and_(done, pc.fill_null(pc.equal(table["artifact_status"], "ok"), False))
    # What became of the file later tells more than that the run once was done.
    state = pc.if_else(pc.and_(done, pc.invert(measured)), table["artifact_status"], table["state"])
    table = table.set_column(table.schema.get_field_index("state"), "state", state)
    for name in ("fitness", *METRICS):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pc.if_else(measured, table[name], pa.scalar(None, pa.float64())))
    at = table.schema.get_field_index("finished_at")
    seconds = pc.divide(pc.cast(pc.cast(table["finished_at"], pa.timestamp("us")), pa.int64()).cast(pa.float64()), 1e6)
    return table.set_column(at, "finished_s", seconds)


class FoundArtifacts:
    """Artifacts in a folder that the ledger does not know: of a notebook, a script, another machine.

    An artifact is opened once, for its parameters; metrics come from the provenance file beside it, where there is one.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._rows: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._rows

    def notice(self, path: Path) -> bool:
        """Take note of a file that appeared, changed or went; says whether it is one of a run."""
        name = _NAME.fullmatch(path.name) or re.fullmatch(r"provenance_([0-9a-f]{40})\.json", path.name)
        if name is None:
            return False
        run_id = name.group(1)
        row = found_row(self.folder, run_id)
        if row is None:
            return self._rows.pop(run_id, None) is not None
        self._rows[run_id] = row
        while len(self._rows) > MAX_FOUND:
            self._rows.popitem(last=False)
        return True

    def rows(self, known: set[str]) -> list[dict[str, Any]]:
        """Rows of those that the ledger does not know."""
        return [row for run_id, row in list(self._rows.items()) if run_id not in known]


def found_row(folder: Path, run_id: str) -> dict[str, Any] | None:
    """Row of an artifact from its own attributes and the provenance beside it; None if there is no file."""
    path = folder / f"rho_history_{run_id}.h5"
    try:
        stat = path.stat()
    except OSError:
        return None
    row: dict[str, Any] = {"run_id": run_id, "state": "found", "finished_s": stat.st_mtime, "reason": ""}
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            params = json.loads(bytes(file.attrs["params"]))
            row["code_version"] = bytes(file.attrs["code_version"]).decode("utf-8", "replace")
        row |= RunParams.of(params).as_dict()
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        row |= {"state": "unreadable", "reason": f"{path.name}: {error}"}
    report = provenance(folder, run_id)
    if report is not None and report.get("status") == "ok":
        metrics = {name: float(report["metrics"][name]) for name in METRICS if name in report["metrics"]}
        row |= metrics | {"validated_by": str(report.get("validated_by") or ""), "artifact_status": "ok"}
        if len(metrics) == len(METRICS):
            row["fitness"] = fitness(metrics)
    return row


def provenance(folder: Path, run_id: str) -> Mapping[str, Any] | None:
    """The provenance file of a run, None if there is none that can be read."""
    path = folder / f"provenance_{run_id}.json"
    try:
        if path.stat().st_size > _MAX_PROVENANCE_BYTES:
            return None
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and isinstance(report.get("metrics"), dict) else None


def joined(ledger: pa.Table, found: list[dict[str, Any]]) -> pa.Table:
    """Runs of the ledger and found ones in one table, with the columns of the ledger's."""
    if not found:
        return ledger
    columns = {f.name: pa.array([row.get(f.name) for row in found], f.type) for f in ledger.schema}
    return pa.concat_tables([ledger, pa.table(columns, schema=ledger.schema)])
