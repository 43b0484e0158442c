"""The Hypergraph Interchange Format (HIF): a hypergraph as one JSON document, and back.

Works on parsed documents and tables; who reads or writes the file does so elsewhere. It must not know
how a graph is stored.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import pandas as pd

NETWORK_TYPES = ("undirected", "directed", "asc")

TEXTS = ("kind", "label")
TIMES = ("created_s", "last_seen_s", "weight_time_s")
"""Attributes, s since 1970, that a graph keeps in columns of its own; all others are metadata."""


class HifTables(NamedTuple):
    """What a document says, as tables; every cell may be None.

    `nodes` and `edges`: the id in `node` or `edge`, `weight`, `kind`, `label`, `lat`, `lon`, `created_s`,
    `last_seen_s`, `weight_time_s`, `metadata` (JSON). `incidences`: `edge`, `node`, `extra` (JSON).
    """

    nodes: pd.DataFrame
    edges: pd.DataFrame
    incidences: pd.DataFrame
    metadata: dict[str, Any]
    network_type: str


def to_document(tables: HifTables) -> dict[str, Any]:
    """A HIF document of plain dicts, lists, text and numbers.

    Examples
    --------
    >>> tables = from_document({"incidences": [{"edge": 1, "node": "a", "weight": 0}]})
    >>> to_document(tables)["incidences"]
    [{'edge': 1, 'node': 'a', 'weight': 0}]

    References
    ----------
    https://github.com/pszufe/HIF-standard, schema 0.1.0.
    """
    incidences = tables.incidences
    extras = incidences["extra"].tolist() if "extra" in incidences else [None] * len(incidences)
    pairs = zip(incidences["edge"].tolist(), incidences["node"].tolist(), extras, strict=True)
    return {
        "network-type": tables.network_type,
        "metadata": dict(tables.metadata),
        "nodes": [_record("node", row) for row in tables.nodes.to_dict("records")],
        "edges": [_record("edge", row) for row in tables.edges.to_dict("records")],
        "incidences": [{"edge": e, "node": v, **(json.loads(x) if _known(x) else {})} for e, v, x in pairs],
    }


def from_document(document: dict[str, Any]) -> HifTables:
    """Tables of a parsed HIF document.

    Attributes are read from `attrs`, and from `attr` as early versions of the schema spell it. `kind`
    and `label` (text), `lat` with `lon`, `created_s`, `last_seen_s` and `weight_time_s` (numbers) become
    columns; whatever else there is becomes metadata and comes back unchanged.

    Raises
    ------
    ValueError
        Not a HIF document; says where.

    Examples
    --------
    >>> from_document({"incidences": [], "nodes": [{"node": 3, "attrs": {"kind": "host"}}]}).nodes.kind.tolist()
    ['host']
    """
    if not isinstance(document, dict) or not isinstance(document.get("incidences"), list):
        raise ValueError("a HIF document is an object with a list 'incidences'")
    network_type = document.get("network-type", "undirected")
    if network_type not in NETWORK_TYPES:
        raise ValueError(f"network-type is {network_type!r}; it must be one of {', '.join(NETWORK_TYPES)}")
    metadata = _object(document, "metadata", "the document")
    for name in ("decay_per_s", "now_s", "clock_s"):
        if name in metadata and not _number(metadata[name]):
            raise ValueError(f"metadata has {name!r} {metadata[name]!r}; it must be a number")
    tables = {name: [_row(name[:-1], r, i) for i, r in enumerate(document.get(name) or ())] for name in NAMES}
    incidences = []
    for i, record in enumerate(document["incidences"]):
        _check(record, ("edge", "node"), "incidences", i)
        rest = {key: value for key, value in record.items() if key not in ("edge", "node")}
        incidences.append((record["edge"], record["node"], json.dumps(rest) if rest else None))
    nodes, edges = (pd.DataFrame(tables[name], columns=[name[:-1], *COLUMNS], dtype=object) for name in NAMES)
    pairs = pd.DataFrame(incidences, columns=["edge", "node", "extra"], dtype=object)
    return HifTables(nodes, edges, pairs, dict(metadata), network_type)


NAMES = ("nodes", "edges")
COLUMNS = ("weight", *TEXTS, "lat", "lon", *TIMES, "metadata")


def _known(value: Any) -> bool:
    return value is not None and value is not pd.NA and value == value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _object(record: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    value = record.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{name!r} of {where} is a {type(value).__name__}; it must be an object")
    return value


def _check(record: Any, ids: tuple[str, ...], where: str, i: int) -> None:
    for name in ids:
        value = record.get(name) if isinstance(record, dict) else None
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise ValueError(f"{where}[{i}] has {name!r} {value!r}; it must be text or an integer")


def _row(name: str, record: Any, i: int) -> dict[str, Any]:
    """One node or edge record as a table row."""
    _check(record, (name,), name + "s", i)
    row: dict[str, Any] = {name: record[name], "weight": record.get("weight")}
    if row["weight"] is not None and not _number(row["weight"]):
        raise ValueError(f"{name}s[{i}] has 'weight' {row['weight']!r}; it must be a number")
    attrs = {**_object(record, "attr", f"{name}s[{i}]"), **_object(record, "attrs", f"{name}s[{i}]")}
    for key in TEXTS:
        if isinstance(attrs.get(key), str):
            row[key] = attrs.pop(key)
    for key in TIMES:
        if _number(attrs.get(key)):
            row[key] = attrs.pop(key)
    lat, lon = attrs.get("lat"), attrs.get("lon")
    # A position that is none stays what the file says it is: an attribute.
    if _number(lat) and _number(lon) and abs(lat) <= 90.0 and abs(lon) <= 180.0:  # type: ignore[arg-type]
        row["lat"], row["lon"] = attrs.pop("lat"), attrs.pop("lon")
    if attrs:
        row["metadata"] = json.dumps(attrs)
    return row


def _record(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """One table row as a node or edge record."""
    record: dict[str, Any] = {name: row[name]}
    if _known(row.get("weight")):
        record["weight"] = row["weight"]
    attrs = json.loads(row["metadata"]) if _known(row.get("metadata")) else {}
    attrs.update({key: row[key] for key in (*TEXTS, "lat", "lon", *TIMES) if _known(row.get(key))})
    if attrs:
        record["attrs"] = attrs
    return record
