"""From a frame of the graph to the columns of its glyphs; pure functions, all text stays text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from dashboard.components.graph_rows import utc
from engine.frames.graph_frame import GraphFrame
from engine.frames.graph_levels import SHADES

NAME_CHARACTERS = 26
"""Longer names are cut in the picture; the hover and the inspector have them whole."""

EMPTY_NODES: dict[str, Any] = {
    name: [] for name in ("x", "y", "id", "kind", "size", "level", "degree", "weight", "seen", "label")
}
EMPTY_SEGMENTS: dict[str, Any] = {name: [] for name in ("x0", "y0", "x1", "y1", "width")}
EMPTY_CENTRES: dict[str, Any] = {name: [] for name in ("x", "y", "kind", "members", "weight", "seen")}
EMPTY_IMAGE: dict[str, Any] = {"image": [], "x": [], "y": [], "dw": [], "dh": []}


def age_text(age_s: float) -> str:
    """How long before the moment shown.

    Examples
    --------
    >>> age_text(75.0), age_text(7200.0)
    ('75 s before', '120 min before')
    """
    if not np.isfinite(age_s):
        return "unknown"
    if age_s < 100.0:
        return f"{max(age_s, 0.0):.0f} s before"
    if age_s < 7_201.0:
        return f"{age_s / 60.0:.0f} min before"
    return f"{age_s / 3600.0:.0f} h before" if age_s < 172_800.0 else f"{age_s / 86_400.0:.0f} d before"


def short_name(node_id: str) -> str:
    """What a node is called in the picture: its identity without the kind, cut where it is long.

    Examples
    --------
    >>> short_name("host:10.0.0.1"), short_name("ja3:" + "0123456789abcdef" * 2)
    ('10.0.0.1', '0123456789abcdef012345678…')
    """
    name = node_id.split(":", 1)[-1] or node_id
    name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"


def node_columns(frame: GraphFrame, names: bool) -> dict[str, Any]:
    """Columns of the nodes that are drawn one by one or named."""
    table = frame.picture.drawn
    if not table.num_rows:
        return dict(EMPTY_NODES)
    degree = table["degree"].to_numpy().astype(np.float64)
    ids = table["id"].to_pylist()
    named = table["named"].to_numpy() & names
    category, level = table["category"].to_numpy().astype(np.int64), table["level"].to_numpy().astype(np.int64)
    # With kinds the palette has a block of shades for each category; a single node has the fullest.
    colour = SHADES * (category + 1) if frame.spec.by == "kind" else level
    return {
        "x": table["x"].to_numpy(), "y": table["y"].to_numpy(), "id": ids,
        "kind": [kind or "no kind" for kind in table["kind"].cast(pa.string()).to_pylist()],
        "size": np.clip(5.0 + 2.6 * np.log2(1.0 + degree), 7.0, 26.0).astype(np.float32),
        "level": colour.astype(np.uint8), "degree": table["degree"].to_numpy(),
        "weight": [f"{w:.3g}" for w in table["weight"].to_pylist()],
        "seen": [utc(s) or "unknown" for s in table["last_seen_s"].to_pylist()],
        "label": [short_name(i) if shown else "" for i, shown in zip(ids, named, strict=True)],
    }  # fmt: skip


def segment_columns(frame: GraphFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of the incidences drawn one by one, and of the hyperedges' middles."""
    table = frame.picture.segments
    if not table.num_rows:
        return dict(EMPTY_SEGMENTS), dict(EMPTY_CENTRES)
    columns = {name: table[name].to_numpy() for name in ("x0", "y0", "x1", "y1")}
    weight = table["weight"].to_numpy()
    columns["width"] = np.clip(0.7 + 0.35 * np.log2(1.0 + weight), 0.7, 3.5).astype(np.float32)
    edges, first = np.unique(table["edge"].to_numpy().astype(np.int64), return_index=True)
    rows = frame.snapshot.edges.take(pa.array(edges))
    centres = {
        "x": columns["x0"][first], "y": columns["y0"][first],
        "kind": [kind or "no kind" for kind in rows["kind"].cast(pa.string()).to_pylist()],
        "members": rows["size"].to_numpy(),
        "weight": [f"{w:.3g}" for w in rows["weight"].to_pylist()],
        "seen": [utc(s) or "unknown" for s in rows["last_seen_s"].to_pylist()],
    }  # fmt: skip
    return columns, centres


def spoke_columns(frame: GraphFrame | None) -> dict[str, Any]:
    """Lines from the selected node to its neighbours."""
    if frame is None or frame.spot is None:
        return {name: [] for name in ("x0", "y0", "x1", "y1")}
    n = len(frame.spokes)
    return {
        "x0": np.full(n, frame.spot[0]), "y0": np.full(n, frame.spot[1]),
        "x1": frame.spokes[:, 0], "y1": frame.spokes[:, 1],
    }  # fmt: skip


def number_text(value: float) -> str:
    """A value at a tick of a legend.

    Examples
    --------
    >>> number_text(0.0), number_text(20000.0), number_text(0.05)
    ('0', '20 k', '0.05')
    """
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def duration_text(age_s: float) -> str:
    """An age at a tick of a legend.

    Examples
    --------
    >>> duration_text(50.0), duration_text(5000.0)
    ('50 s', '83 min')
    """
    if age_s < 120.0:
        return f"{age_s:.3g} s"
    return f"{age_s / 60.0:.0f} min" if age_s < 7_201.0 else f"{age_s / 3600.0:.1f} h"
