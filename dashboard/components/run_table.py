"""The table of runs: one page of rows at a time, drawn in the browser from plain numbers and texts.

Sorting and filtering happen in `run_rows` on the snapshot of the ledger; what the viewer does comes back as small
checked messages. It opens no file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import param
import pyarrow as pa
from panel.custom import JSComponent

from dashboard.components.run_rows import PARAMETERS, differing, values
from dashboard.theme import ASSETS

PAGE_ROWS = 60
"""Rows of one page."""

TRACE_POINTS = 36
"""Points of the convergence line in a row."""

_TEXTS = ("reason", "artifact_status", "precision")
_LABELS = {"run_id": "run", "trace": "best so far", "finished_s": "finished"}
_HIDDEN = (
    "number", "hunt_id", "slot", "candidate", "artifact", "artifact_status", "code_version", "validated_by", "parents",
    "draws", "reused", "attempts",
)  # fmt: skip

WHAT = {
    "run_id": "SHA-1 of all parameters: the same parameters are the same run.",
    "fitness": "1/SSE + 0.1 (scramble delta + shuffle delta); a convention of this hunt.",
    "log_prime_sse": "Squared distance of the radial spectrum's peaks from ln 2, ln 3, ln 5 …, the scale fitted.",
    "log_prime_scale": "Fitted factor from wavenumber to target, a length.",
    "log_prime_peaks": "Peaks of the radial spectrum that were taken, at most six.",
    "scramble_p": "Chance of so small an error with random phases of |psi|.",
    "scramble_delta": "How much larger the error is with random phases.",
    "shuffle_p": "Chance of so small an error with the gaps between targets in random order.",
    "shuffle_delta": "How much larger the error is with the gaps in random order.",
    "geometric_residual": "2-norm of g_tt + (rho_vac / rho_s)^alpha: rounding, if the artifact is sound.",
    "flat_deviation": "Root mean square of g_tt + 1.",
    "trace": "Best fitness so far over the hunt; the dot is this run.",
    "generation": "Generation of the search in which the run was asked for.",
    "state": "What became of the run; failed runs say why under reason.",
    "finished_s": "When the run was measured, UTC.",
    "seconds": "How long the run took, s.",
}
"""One sentence per column, shown on its head."""


class RunTable(JSComponent):
    """Table of runs of one session.

    Examples
    --------
    >>> RunTable().rows
    []
    """

    columns = param.List(default=[], doc="name, label, kind and definition of each column.")
    rows = param.List(default=[], doc="Rows of this page, values in the order of the columns, the id first.")
    trace = param.List(default=[], doc="Best fitness so far over the hunt, 0 to 1.")
    total = param.Integer(0, doc="Rows that the filter keeps.")
    offset = param.Integer(0, doc="Number of the first row of this page.")
    order = param.String("", doc="Column sorted by, a minus in front from high to low.")
    where = param.String("", doc="The filter.")
    refused = param.String("", doc="What is wrong with the filter, empty if nothing is.")
    differing = param.Boolean(True, doc="Only parameters that differ.")
    selected = param.String("", doc="Id of the open run.")
    others = param.List(default=[], doc="Ids of the runs compared with it.")
    nothing = param.String("", doc="What to say when there is no row.")

    _esm = ASSETS / "run_table.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "run_table.css").read_text()]

    def __init__(self, **params: Any) -> None:
        self.on_action: Callable[[dict[str, Any]], None] | None = None
        params.setdefault("sizing_mode", "stretch_width")
        params.setdefault("margin", 0)
        super().__init__(**params)

    def _handle_msg(self, msg: Any) -> None:
        action = checked_action(msg)
        if action is not None and self.on_action is not None:
            self.on_action(action)


def checked_action(msg: Any) -> dict[str, Any] | None:
    """A message of the browser as a known action, or None.

    Examples
    --------
    >>> checked_action({"do": "step", "by": 1})
    {'do': 'step', 'by': 1}
    >>> checked_action({"do": "select", "id": "<script>"}) is None
    True
    """
    if not isinstance(msg, dict):
        return None
    do = msg.get("do")
    if do in ("select", "open", "compare"):
        identity = msg.get("id")
        known = isinstance(identity, str) and re.fullmatch(r"[0-9a-f]{40}", identity)
        return {"do": do, "id": identity} if known else None
    if do in ("step", "page"):
        return {"do": do, "by": msg["by"]} if msg.get("by") in (1, -1) else None
    if do == "order":
        name = msg.get("name")
        return {"do": do, "name": name} if isinstance(name, str) and re.fullmatch(r"\w{1,40}", name) else None
    if do == "where":
        text = msg.get("text")
        return {"do": do, "text": text} if isinstance(text, str) and len(text) <= 128 and text.isprintable() else None
    if do == "differing":
        return {"do": do, "on": msg.get("on") is True}
    return {"do": do} if do == "mark" else None


def table_columns(table: pa.Table, rows: np.ndarray, only_differing: bool) -> list[dict[str, str]]:
    """Columns to list, the id first, then state, metrics and parameters, each with its kind and definition."""
    names = [n for n in table.column_names if n not in _HIDDEN]
    parameters = differing(table, rows) if only_differing else [n for n in PARAMETERS if n in names]
    parameters.sort(key=lambda n: n == "seed")  # its long numbers say little
    first = [n for n in ("run_id", "state", "fitness") if n in names]
    then = [n for n in ("log_prime_sse", "scramble_p", "shuffle_p") if n in names]
    ends = [n for n in ("finished_s", "reason") if n in names]
    rest = [n for n in names if n not in (*PARAMETERS, *first, *then, *ends)]
    listed = [*first, *(["trace"] if "fitness" in names else []), *then, *parameters, *ends[:1], *rest, *ends[1:]]
    return [
        {"name": n, "label": _LABELS.get(n, n),
         "kind": _kind(n, table), "what": WHAT.get(n, "A parameter of the run." if n in PARAMETERS else n)}
        for n in listed
    ]  # fmt: skip


def table_rows(table: pa.Table, rows: np.ndarray, columns: list[dict[str, str]], place: np.ndarray) -> list[list[Any]]:
    """Values of some rows, ready to be sent; NaN and missing become None.

    Parameters
    ----------
    table : pyarrow.Table
    rows : ndarray of int64
        Rows of this page.
    columns : list of dict
        From `table_columns`.
    place : ndarray of float64, shape (all rows, 2)
        Where each run stands on the convergence line, see `convergence`.
    """
    taken = table.take(pa.array(rows))
    out: list[list[Any]] = []
    for column in columns:
        name = column["name"]
        if name == "trace":
            marks = place[rows]
            out.append([m.round(3).tolist() if np.isfinite(m).all() else None for m in marks])
            continue
        plain = taken[name].to_pylist()
        if column["kind"] == "time":
            plain = [getattr(v, "timestamp", lambda v=v: v)() if v is not None else None for v in plain]
        out.append([None if isinstance(v, float) and not np.isfinite(v) else v for v in plain])
    return [list(row) for row in zip(*out, strict=True)]


def convergence(table: pa.Table) -> tuple[list[float], np.ndarray]:
    """Best fitness so far over the hunt, and where each run stands on that line.

    Both axes run from 0 to 1: across the order in which runs ended, up the range of the best so far. Runs without
    a fitness have no place.

    Returns
    -------
    line : list of float
        At most `TRACE_POINTS` values.
    place : ndarray of float64, shape (rows, 2)
        NaN where there is none.
    """
    place = np.full((table.num_rows, 2), np.nan)
    if "fitness" not in table.column_names or not table.num_rows:
        return [], place
    every = np.arange(table.num_rows)
    fitness = values(table, "fitness", every)
    ended = (
        np.argsort(values(table, "finished_s", every), kind="stable") if "finished_s" in table.column_names else every
    )
    ended = ended[np.isfinite(fitness[ended])]
    if not len(ended):
        return [], place
    best = np.maximum.accumulate(fitness[ended])
    low, high = float(np.quantile(fitness[ended], 0.1)), float(best[-1])
    span = (high - low) or 1.0
    line = np.clip((best - low) / span, 0.0, 1.0)
    place[ended, 0] = np.linspace(0.0, 1.0, len(ended)) if len(ended) > 1 else 0.5
    place[ended, 1] = np.clip((fitness[ended] - low) / span, 0.0, 1.0)
    few = np.unique(np.linspace(0, len(line) - 1, min(TRACE_POINTS, len(line))).astype(int))
    return [round(float(v), 3) for v in line[few]], place


def _kind(name: str, table: pa.Table) -> str:
    if name in ("run_id", "trace", "state"):
        return {"run_id": "id", "trace": "spark", "state": "status"}[name]
    if name == "finished_s" or pa.types.is_timestamp(table.schema.field(name).type):
        return "time"
    return "text" if name in _TEXTS or pa.types.is_string(table.schema.field(name).type) else "number"
