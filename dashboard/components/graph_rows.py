"""Rows of a table in the order and of the kind that a viewer wants: pure functions of an Arrow table.

Used by the table of the page and by the files that are taken along, so that both always hold the same rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

LABELS = {
    "id": ("id", "Identity of the node or hyperedge"),
    "kind": ("kind", "Kind of the node, or of the event behind the hyperedge"),
    "degree": ("hyperedges", "Hyperedges that the node is in (its degree)"),
    "size": ("nodes", "Nodes that the hyperedge joins (its size)"),
    "weight": ("weight", "Weight, decayed to the moment shown"),
    "first_seen_s": ("first seen", "Time of the first event that named it, UTC"),
    "last_seen_s": ("last seen", "Time of the newest event that named it, UTC"),
    "lat": ("latitude", "Degrees, WGS-84"),
    "lon": ("longitude", "Degrees, WGS-84"),
    "members": ("members", "Nodes that it joins, the first few by name"),
    "confidence": ("confidence", "How much speaks for the link, 0 to 1"),
    "evidence": ("evidence", "What speaks for the link"),
    "state": ("state", "Supposed, promoted to observed, or expired"),
    "a": ("from", "One end of the link"),
    "b": ("to", "The other end"),
    "since_s": ("since", "When the link was first supposed, UTC"),
    "until_s": ("last moved", "When its confidence last changed, or it was promoted or given up, UTC"),
    "fingerprint": ("fingerprint", "JA3 or JA4 of the ClientHello"),
    "transitions": ("transitions", "How often it was heard from another address than before"),
    "most_in_window": ("in window", "Most transitions within ten minutes; more than three is listed"),
    "returns": ("returns", "Transitions back to an address that was there before: many for a crowd, few for one host"),
    "n_addresses": ("addresses", "Distinct addresses that it was heard from"),
    "addresses": ("last addresses", "The last addresses, oldest first"),
    "first_s": ("first heard", "UTC"),
    "last_s": ("last heard", "UTC"),
    "stable_since_s": ("stable since", "When its transitions first exceeded three in ten minutes, UTC"),
}
"""Heading and meaning of the columns known here; others are called by their names."""

HIDDEN = ("x", "y", "row", "category", "level", "named", "node")
"""Columns that are for the picture, not for people."""

TIMES = ("first_seen_s", "last_seen_s", "since_s", "until_s", "first_s", "last_s", "stable_since_s")
"""Columns that hold moments, s since 1970."""

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"^\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*$")
_BOUND = re.compile(rf"^\s*(<=|>=|<|>|=)?\s*({_NUMBER})\s*$")


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the browser is told of it: name, heading, ``text``, ``number`` or ``time``, and what it means."""

    name: str
    label: str
    kind: str
    what: str


def columns_of(table: pa.Table) -> list[Column]:
    """Columns of a table that are shown.

    Examples
    --------
    >>> [c.kind for c in columns_of(pa.table({"id": ["a"], "last_seen_s": [1.0], "x": [0.0]}))]
    ['text', 'time']
    """
    out = []
    for field in table.schema:
        if field.name in HIDDEN or (field.name in ("lat", "lon") and not _any_number(table[field.name])):
            continue
        numeric = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        kind = "time" if field.name in TIMES else "number" if numeric else "text"
        label, what = LABELS.get(field.name, (field.name.replace("_", " "), ""))
        out.append(Column(field.name, label, kind, what))
    return out


def _any_number(column: pa.ChunkedArray) -> bool:
    return bool(np.isfinite(column.to_numpy().astype(np.float64)).any())


def conditions(where: str) -> dict[str, str]:
    """Filters by column from their text in a link: ``degree~>5;id~10.0``.

    Examples
    --------
    >>> conditions("degree~>5;id~10.0")
    {'degree': '>5', 'id': '10.0'}
    """
    pairs = (part.split("~", 1) for part in where.split(";") if "~" in part)
    return {name: text.strip() for name, text in pairs if text.strip()}


def where_text(filters: dict[str, str]) -> str:
    """The text of filters in a link; the inverse of `conditions`."""
    clean = {name: re.sub(r"[;~]", " ", text).strip() for name, text in filters.items()}
    return ";".join(f"{name}~{text}" for name, text in sorted(clean.items()) if text)


def arranged(table: pa.Table, order: str, where: str, moment_s: float) -> NDArray[np.int64]:
    """Places of the rows that fulfil all filters, in order.

    Parameters
    ----------
    table : pyarrow.Table
    order : str
        Name of the column to sort by, a minus in front for from high to low; empty for the table's own order.
        Equal rows keep the table's order. A name that the table does not have is passed over.
    where : str
        See `conditions`. Of text: contains, whatever case. Of numbers: ``5``, ``>5``, ``<=5``, ``2..8``. Of times
        the same in seconds before the moment shown.
    moment_s : float

    Raises
    ------
    ValueError
        A filter of numbers that is none, with an example of one.

    Examples
    --------
    >>> arranged(pa.table({"id": ["a", "b", "c"], "degree": [1, 9, 5]}), "-degree", "degree~>2", 0.0).tolist()
    [1, 2]
    """
    kinds = {column.name: column.kind for column in columns_of(table)}
    keep = np.ones(table.num_rows, bool)
    for name, text in conditions(where).items():
        if name in kinds:
            keep &= _fulfils(table[name], kinds[name], text, moment_s)
    rows = np.flatnonzero(keep)
    name = order.removeprefix("-")
    if name not in kinds or not len(rows):
        return rows
    if kinds[name] == "text":
        # Ranks of texts, so that a sort from high to low keeps equal rows in order, too.
        texts = table[name].cast(pa.large_string()).fill_null("").take(pa.array(rows))
        keys = pc.rank(texts, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.float64)
    else:
        keys = table[name].to_numpy().astype(np.float64)[rows]
    if order.startswith("-"):
        keys = -keys
    return rows[np.argsort(keys, kind="stable")]


def _fulfils(column: pa.ChunkedArray, kind: str, text: str, moment_s: float) -> NDArray[np.bool_]:
    if kind == "text":
        found = pc.match_substring(column.cast(pa.large_string()).fill_null(""), text, ignore_case=True)
        return found.to_numpy().astype(bool)
    values = column.to_numpy().astype(np.float64)
    if kind == "time":
        values = moment_s - values
    between, bound = _RANGE.match(text), _BOUND.match(text)
    if between:
        return (values >= float(between[1])) & (values <= float(between[2]))
    if not bound:
        raise ValueError(f"{text[:40]!r} is no filter of numbers; write 5, >5, <=5 or 2..8")
    sign, number = bound[1] or "=", float(bound[2])
    return {
        "=": values == number, "<": values < number, "<=": values <= number, ">": values > number,
        ">=": values >= number,
    }[sign]  # fmt: skip


def cells(table: pa.Table, rows: NDArray[np.int64]) -> list[list[Any]]:
    """Some rows as plain values for the browser: text, finite numbers, times as UTC text, None where nothing is."""
    columns = columns_of(table)
    part = table.select([column.name for column in columns]).take(pa.array(rows))
    out = []
    for column, values in zip(columns, part.columns, strict=True):
        plain = values.cast(pa.large_string()).to_pylist() if column.kind == "text" else values.to_pylist()
        if column.kind == "time":
            plain = [utc(v) for v in plain]
        elif column.kind == "number":
            plain = [None if v is None or not np.isfinite(v) else v for v in plain]
        out.append(plain)
    return [list(row) for row in zip(*out, strict=True)]


def utc(moment_s: float | None) -> str | None:
    """A moment as people write it, to the second; None where there is none."""
    if moment_s is None or not np.isfinite(moment_s) or not -6e10 < moment_s < 2.5e11:
        return None
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
