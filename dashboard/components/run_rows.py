"""Rows of runs: which there are to list, in which order, and which columns tell them apart.

Pure functions of one Arrow table, the snapshot of the ledger that all sessions share; no file is opened for any of
it, so that ten thousand runs are as quick as ten.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

PARAMETERS = (
    "kappa", "sigma_k", "alpha", "seed", "N_grid", "T_steps", "dt", "epsilon", "D", "c1", "c3", "domain_size",
    "rho_vac", "rho_memory", "start_rms", "start_length", "precision", "tolerance", "history_every",
)  # fmt: skip
"""Columns that are parameters of a run, in the order they are listed."""

_TERM = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|!=|=|<|>)\s*([^\s,<>=!]+)\s*")
_COMPARE = {
    "<": pc.less, ">": pc.greater, "<=": pc.less_equal, ">=": pc.greater_equal, "=": pc.equal, "!=": pc.not_equal,
}  # fmt: skip


def chosen_rows(table: pa.Table, where: str, order: str) -> np.ndarray:
    """Rows that a filter keeps, sorted.

    Parameters
    ----------
    table : pyarrow.Table
        One row per run.
    where : str
        Conditions between commas or ``and``, each ``column < value`` (also <=, >, >=, =, !=); a word that is no
        condition must occur in the id, the state or the reason. Empty keeps all.
    order : str
        Column to sort by, a minus in front from high to low; rows without a value come last.

    Returns
    -------
    ndarray of int64, shape (rows kept,)

    Raises
    ------
    ValueError
        A column that is not there, or a value that is no number where one is needed; names it.

    Examples
    --------
    >>> runs = pa.table({"run_id": ["a", "b", "c"], "kappa": [0.1, 0.3, 0.2]})
    >>> chosen_rows(runs, "kappa > 0.1", "-kappa").tolist()
    [1, 2]
    """
    keep = np.ones(table.num_rows, bool)
    for part in filter(None, (p.strip() for p in re.split(r",|\band\b", where))):
        keep &= _kept(table, part)
    rows = np.flatnonzero(keep)
    name = order.removeprefix("-")
    if not name or name not in table.column_names:
        return rows
    direction = "descending" if order.startswith("-") else "ascending"
    column = table[name].take(pa.array(rows))
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    if pa.types.is_nested(column.type):
        return rows
    sorted_rows = pc.sort_indices(pa.table({"v": column}), sort_keys=[("v", direction, "at_end")])
    return rows[sorted_rows.to_numpy()]


def differing(table: pa.Table, rows: np.ndarray) -> list[str]:
    """Parameters that are not the same in all of these rows.

    Examples
    --------
    >>> differing(pa.table({"kappa": [0.1, 0.2], "alpha": [1.0, 1.0]}), np.arange(2))
    ['kappa']
    """
    names = [name for name in PARAMETERS if name in table.column_names]
    few = table.select(names).take(pa.array(rows)) if len(rows) < table.num_rows else table.select(names)
    return [name for name in names if pc.count_distinct(few[name], mode="all").as_py() > 1]


def numeric(table: pa.Table) -> list[str]:
    """Columns that can stand on an axis: metrics first, then parameters.

    Examples
    --------
    >>> numeric(pa.table({"run_id": ["a"], "kappa": [0.1], "fitness": [2.0]}))
    ['fitness', 'kappa']
    """
    numbers = [f.name for f in table.schema if pa.types.is_floating(f.type) or pa.types.is_integer(f.type)]
    return [n for n in numbers if n not in PARAMETERS] + [n for n in PARAMETERS if n in numbers]


def values(table: pa.Table, name: str, rows: np.ndarray) -> np.ndarray:
    """One column as float64 with NaN where there is no value, in the order of the rows.

    Examples
    --------
    >>> values(pa.table({"kappa": [0.1, None]}), "kappa", np.array([1, 0])).tolist()
    [nan, 0.1]
    """
    column = pc.cast(table[name].combine_chunks(), pa.float64())
    return np.asarray(pc.fill_null(column, np.nan).to_numpy(zero_copy_only=False), np.float64)[rows]


def _kept(table: pa.Table, part: str) -> np.ndarray:
    term = _TERM.fullmatch(part)
    if term is None:
        if any(sign in part for sign in "<>="):
            raise ValueError(f"{part!r} is no condition; such as 'kappa < 0.5' is needed")
        return _mentions(table, part)
    name, sign, text = term.groups()
    if name not in table.column_names:
        raise ValueError(f"there is no column {name!r}; there are {', '.join(table.column_names)}")
    column = table[name]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_dictionary(column.type):
        if sign not in ("=", "!="):
            raise ValueError(f"{name} is text; = or != is needed, not {sign}")
        right: object = text
        column = pc.cast(column, pa.string())
    else:
        try:
            right = float(text)
        except ValueError:
            raise ValueError(f"{name} {sign} {text[:40]!r}; a number is needed") from None
        column = pc.cast(column, pa.float64())
    return _true(_COMPARE[sign](column, right))


def _mentions(table: pa.Table, word: str) -> np.ndarray:
    found = np.zeros(table.num_rows, bool)
    for name in ("run_id", "state", "reason"):
        if name in table.column_names:
            found |= _true(pc.match_substring(pc.cast(table[name], pa.string()), word, ignore_case=True))
    return found


def _true(mask: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.fill_null(mask, False).to_numpy(), bool)
