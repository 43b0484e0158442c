"""The picture of a graph in a view: density where there are many nodes, the nodes themselves where there are few.

From a snapshot, a place for each node and a spec to rasters, glyphs and numbers that agree with one another,
because all of them come from the same cells. What it looks like is for the dashboard.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from engine.frames.graph_levels import Levels, Ruler, categorise, quantise, spread
from engine.frames.graph_region import cell_size, cells_of
from engine.frames.graph_spec import GraphSpec
from engine.hypergraph.graph_snapshot import GraphSnapshot
from engine.hypergraph.line_density import By as LineBy
from engine.hypergraph.line_density import line_density
from engine.hypergraph.star import star_segments, star_segments_on_sphere

DRAW_ALL = 100
"""Fewer nodes than this in view: every node and every incidence is drawn (A6)."""

DRAW_STRONGEST = 300
"""Up to here: every node, and the strongest hyperedges (A6)."""

DRAW_NODES = 700
"""Up to here: every node, over the density of incidences; beyond it density alone, with names of hubs (A6)."""

STRONGEST_EDGES = 150
SEGMENTS_DRAWN = 3_000
"""Lines drawn one by one at most; what is left out is counted."""

NAMED = {"all": 60, "strongest": 40, "nodes": 24, "density": 12}
"""Nodes named at most, by what is drawn."""

NAME_WIDTH, NAME_HEIGHT = 0.16, 0.03
"""Room of a name, as shares of the picture."""

CATEGORIES = ("host", "name", "service", "ja3", "ja4", "rule", "emitter", "observer")
"""Kinds of nodes that have a colour of their own, always the same one; all others share the last, grey."""

Coordinates = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GraphPicture:
    """One computed picture, shared by all who look at the same view.

    Attributes
    ----------
    detail : {"all", "strongest", "nodes", "density"}
        What is drawn, by the number of nodes in view.
    nodes, lines : Levels or None
        Density of nodes and of incidences; None where it is not drawn.
    ticks : tuple of (float, float)
        Level and value for the legend of nodes.
    rows : ndarray of int64
        Rows of the nodes in view.
    drawn : pyarrow.Table
        Nodes drawn one by one or named: columns of the snapshot, and `row`, `x`, `y`, `category`, `level` (1 to 255,
        of degree, weight or recency), `named`.
    segments : pyarrow.Table
        Incidences drawn one by one: `x0`, `y0` (middle of the hyperedge), `x1`, `y1`, `weight`, `edge` (row).
    numbers : dict of str to int
        ``nodes`` and ``edges`` in all; ``shown``: nodes of the kinds shown; ``placed``: of them, those with a
        position; ``in_view``, ``edges_in_view``, ``lines_in_view``, ``lines_drawn``.
    kinds : tuple of (str, int, int)
        Name, nodes in all and category of each kind of node, most frequent first.
    lines_error : float
        Where not all lines are drawn for their density: the standard error of a usual cell, as a share of its value
        (`engine.hypergraph.line_density`); 0 where all are drawn.
    """

    detail: str
    nodes: Levels | None
    lines: Levels | None
    ticks: tuple[tuple[float, float], ...]
    rows: NDArray[np.int64]
    drawn: pa.Table
    segments: pa.Table
    numbers: dict[str, int]
    kinds: tuple[tuple[str, int, int], ...]
    lines_error: float = 0.0


def category_of(kinds: list[str]) -> NDArray[np.uint8]:
    """Category of each kind: its place in `CATEGORIES`, or the one after them.

    Examples
    --------
    >>> category_of(["host", "mac"]).tolist()
    [0, 8]
    """
    places = {kind: i for i, kind in enumerate(CATEGORIES)}
    return np.array([places.get(kind, len(CATEGORIES)) for kind in kinds] or [0], np.uint8)


def shown_nodes(snapshot: GraphSnapshot, hidden: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which nodes are of a kind that is shown, (n_nodes,)."""
    kinds = snapshot.kinds()
    # The last place is for nodes without a kind, whose code is −1.
    keep = np.array([kind not in hidden for kind in kinds] + ["" not in hidden])
    return keep[snapshot.node("kind")]


def nodes_in_view(spec: GraphSpec, x: Coordinates, y: Coordinates, shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows of the nodes whose cells are in the raster of a spec."""
    with np.errstate(invalid="ignore"):
        near = shown & (x >= spec.west) & (x <= spec.east) & (y >= spec.south) & (y <= spec.north)
    rows = np.flatnonzero(near)
    i, j = node_cells(spec, x[rows], y[rows])
    return rows[(i >= 0) & (j >= 0) & (i < spec.nx) & (j < spec.ny)]


def node_cells(spec: GraphSpec, x: Coordinates, y: Coordinates) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Column and row of the raster that positions fall in."""
    cell = cell_size(spec.step)
    return cells_of(x, spec.step) - round(spec.west / cell), cells_of(y, spec.step) - round(spec.south / cell)


def graph_picture(snapshot: GraphSnapshot, x: Coordinates, y: Coordinates, spec: GraphSpec) -> GraphPicture:
    """The picture of a snapshot.

    Parameters
    ----------
    snapshot : GraphSnapshot
    x, y : ndarray of float64, (n_nodes,)
        Place of each node in units of the spec's space; NaN where it has none.
    spec : GraphSpec
    """
    shown = shown_nodes(snapshot, spec.hidden)
    rows = nodes_in_view(spec, x, y, shown)
    n = len(rows)
    detail = "all" if n < DRAW_ALL else "strongest" if n < DRAW_STRONGEST else "nodes" if n < DRAW_NODES else "density"
    owner = snapshot.incidence_edge
    in_view = np.zeros(snapshot.n_nodes, bool)
    in_view[rows] = True
    touched = np.zeros(snapshot.n_edges, bool)
    touched[owner[in_view[snapshot.incidence_node]]] = True
    lines, segments, count, drawn_lines, error = _incidences(snapshot, x, y, spec, shown, touched, detail)
    categories = category_of([*snapshot.kinds(), ""])
    hubs = _hubs(snapshot, rows, x, y, spec, NAMED[detail])
    single = hubs if detail == "density" else rows
    ruler = _ruler(snapshot, single, spec)
    dense = _node_density(snapshot, rows, x, y, spec, categories) if detail == "density" else None
    ticks = newest_last(ruler.ticks()) if spec.by == "recency" else ruler.ticks()
    return GraphPicture(
        detail,
        dense,
        lines,
        ticks if dense is None else dense.ticks,
        rows,
        _drawn(snapshot, single, hubs, x, y, categories, spec, ruler),
        segments,
        {
            "nodes": snapshot.n_nodes, "edges": snapshot.n_edges, "shown": int(shown.sum()),
            "placed": int((shown & np.isfinite(x + y)).sum()), "in_view": n, "edges_in_view": int(touched.sum()),
            "lines_in_view": count, "lines_drawn": drawn_lines,
        },
        _kinds(snapshot, categories),
        error,
    )  # fmt: skip


def _node_density(
    snapshot: GraphSnapshot, rows: NDArray[np.int64], x: Coordinates, y: Coordinates, spec: GraphSpec,
    categories: NDArray[np.uint8],
) -> Levels:  # fmt: skip
    # A node is in one cell, the one where tables look for it: counting is all, and needs nothing compiled.
    i, j = node_cells(spec, x[rows], y[rows])
    cell, shape, n = j * spec.nx + i, (spec.ny, spec.nx), spec.ny * spec.nx
    radius = 2 if len(rows) < 4_000 else 1 if len(rows) < 40_000 else 0
    if spec.by == "kind":
        codes = categories[snapshot.node("kind")[rows]].astype(np.int64)
        counts = np.bincount(codes * n + cell, minlength=(len(CATEGORIES) + 1) * n)
        levels = categorise(counts.reshape(-1, *shape).astype(np.uint32), spec.scale)
    elif spec.by == "weight":
        weight = np.bincount(cell, snapshot.node("weight")[rows], n).astype(np.float64).reshape(shape)
        levels = quantise(weight, np.bincount(cell, minlength=n).reshape(shape) > 0, spec.scale)
    elif spec.by == "recency":
        newest = np.full(n, -np.inf)
        np.maximum.at(newest, cell, snapshot.node("last_seen_s")[rows])
        levels = _ages(newest.reshape(shape), spec, snapshot)
    else:
        count = np.bincount(cell, minlength=n).reshape(shape).astype(np.float64)
        levels = quantise(count, count > 0, spec.scale, whole=True)
    return replace(levels, cells=spread(levels.cells, radius, categories=spec.by == "kind"))


def _ages(seen_s: NDArray[np.float64], spec: GraphSpec, snapshot: GraphSnapshot) -> Levels:
    """Levels of the time since something was last seen; what is not finite is nothing."""
    inside = np.isfinite(seen_s)
    age = np.where(inside, np.maximum(snapshot.moment_s - np.where(inside, seen_s, 0.0), 0.0), 0.0)
    levels = quantise(age, inside, spec.scale)
    # The newest is the brightest.
    flipped = np.where(levels.cells > 0, 256 - levels.cells.astype(np.int16), 0).astype(np.uint8)
    return Levels(flipped, newest_last(levels.ticks), np.concatenate([[0.0], levels.values[:0:-1]]))


def newest_last(ticks: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """Ticks of ages on a scale that runs from old to new."""
    return tuple((256.0 - level, age_s) for level, age_s in reversed(ticks))


def _incidences(
    snapshot: GraphSnapshot, x: Coordinates, y: Coordinates, spec: GraphSpec, shown: NDArray[np.bool_],
    touched: NDArray[np.bool_], detail: str,
) -> tuple[Levels | None, pa.Table, int, int, float]:  # fmt: skip
    """Density of incidences or the incidences themselves, how many there are and are drawn, sampling error."""
    nothing = pa.table({name: pa.array([], pa.float64()) for name in ("x0", "y0", "x1", "y1", "weight", "edge")})
    if not spec.lines:
        return None, nothing, 0, 0, 0.0
    node, owner = snapshot.incidence_node, snapshot.incidence_edge
    # A line in view belongs to a hyperedge that may have no node in view at all.
    kept = shown[node] & touched[owner] if detail in ("all", "strongest") else shown[node]
    if not kept.all():
        node, owner = node[kept], owner[kept]
    table, which = _star(owner, node, x, y, snapshot, spec)
    crossing = _crossing(table, spec)
    table, which = table.iloc[crossing].reset_index(drop=True), which[crossing]
    edges = owner[which]
    count = len(table)
    weight = snapshot.edge("weight")
    if detail in ("all", "strongest"):
        rows = _strongest(edges, weight, None if detail == "all" else STRONGEST_EDGES)
        table, edges = table.iloc[rows], edges[rows]
        columns = {name: table[name].to_numpy() for name in ("x0", "y0", "x1", "y1")}
        return (
            None,
            pa.table({**columns, "weight": weight[edges], "edge": edges.astype(np.int64)}),
            count,
            len(rows),
            0.0,
        )
    cell = cell_size(spec.step)
    for name in ("x0", "x1"):
        table[name] = (table[name] - spec.west) / cell
    for name in ("y0", "y1"):
        table[name] = (table[name] - spec.south) / cell
    by: LineBy = "count" if spec.by == "kind" else spec.by
    told = {"weight": weight[edges], "last_seen_s": snapshot.edge("last_seen_s")[edges]}
    raster = line_density(table.assign(**told), _cell_bounds(spec), (spec.ny, spec.nx), by)
    values = raster.to_numpy().astype(np.float64)
    drawn = min(round(count * float(raster.attrs["drawn_share"])) if count else 0, count)
    error = float(raster.attrs["relative_error"])
    if by == "recency":
        return _ages(values, spec, snapshot), nothing, count, drawn, error
    scale = spec.scale if spec.by != "kind" else "log"
    return quantise(values, values > 0, scale, whole=by == "count"), nothing, count, drawn, error


def _cell_bounds(spec: GraphSpec) -> tuple[float, float, float, float]:
    return 0.0, 0.0, float(spec.nx), float(spec.ny)


def _star(
    owner: NDArray[np.int32], node: NDArray[np.int32], x: Coordinates, y: Coordinates, snapshot: GraphSnapshot,
    spec: GraphSpec,
) -> tuple[pd.DataFrame, NDArray[np.int64]]:  # fmt: skip
    if spec.space == "layout":
        return star_segments(owner, x[node], y[node])
    lat, lon = snapshot.node("lat"), snapshot.node("lon")
    table, rows = star_segments_on_sphere(owner, lat[node], lon[node])
    scale = np.pi * 6_378_137.0 / 180.0

    def northing(name: str) -> Coordinates:
        phi = np.radians(np.clip(table[name].to_numpy(), -85.06, 85.06))
        return np.arctanh(np.sin(phi)) * 6_378_137.0

    # Not `engine.geo.web_mercator`: a line over the antimeridian runs on beyond ±180°.
    return pd.DataFrame(
        {"x0": table["lon0"] * scale, "y0": northing("lat0"), "x1": table["lon1"] * scale, "y1": northing("lat1")}
    ), rows


def _crossing(table: pd.DataFrame, spec: GraphSpec) -> NDArray[np.int64]:
    x0, y0, x1, y1 = (table[name].to_numpy() for name in ("x0", "y0", "x1", "y1"))
    return np.flatnonzero(
        (np.minimum(x0, x1) <= spec.east) & (np.maximum(x0, x1) >= spec.west)
        & (np.minimum(y0, y1) <= spec.north) & (np.maximum(y0, y1) >= spec.south)
    )  # fmt: skip


def _strongest(edges: NDArray[np.int32], weight: NDArray[np.float64], at_most: int | None) -> NDArray[np.int64]:
    """Which segments are drawn: those of the hyperedges that weigh most, whole hyperedges as far as there is room."""
    if at_most is not None:
        distinct = np.unique(edges)
        best = distinct[np.argsort(-weight[distinct], kind="stable")[:at_most]]
        rows = np.flatnonzero(np.isin(edges, best))
    else:
        rows = np.arange(len(edges))
    if len(rows) > SEGMENTS_DRAWN:
        rows = np.sort(rows[np.argsort(-weight[edges[rows]], kind="stable")[:SEGMENTS_DRAWN]])
    return rows


def _hubs(
    snapshot: GraphSnapshot, rows: NDArray[np.int64], x: Coordinates, y: Coordinates, spec: GraphSpec, most: int
) -> NDArray[np.int64]:
    """Nodes in view with most hyperedges, none so close to another that their names would meet."""
    if not len(rows):
        return rows
    degree = snapshot.node("degree")[rows].astype(np.float64)
    many = min(len(rows), 20 * most)
    first = np.argpartition(-degree, many - 1)[:many]
    order = rows[first[np.lexsort((first, -degree[first]))]]
    width, height = NAME_WIDTH * (spec.east - spec.west), NAME_HEIGHT * (spec.north - spec.south)
    kept: list[int] = []
    for row in order.tolist():
        if all(abs(x[row] - x[k]) > width or abs(y[row] - y[k]) > height for k in kept):
            kept.append(row)
            if len(kept) == most:
                break
    return np.array(kept, np.int64)


def _values(snapshot: GraphSnapshot, rows: NDArray[np.int64], spec: GraphSpec) -> Coordinates:
    """What the colour of a node that is drawn by itself tells: its weight, its age, or else its degree."""
    if spec.by == "recency":
        return np.maximum(snapshot.moment_s - snapshot.node("last_seen_s")[rows], 0.0)
    return snapshot.node("weight" if spec.by == "weight" else "degree")[rows].astype(np.float64)


def _ruler(snapshot: GraphSnapshot, rows: NDArray[np.int64], spec: GraphSpec) -> Ruler:
    return Ruler.of(_values(snapshot, rows, spec), spec.scale, whole=spec.by in ("count", "kind"))


def _drawn(
    snapshot: GraphSnapshot, rows: NDArray[np.int64], hubs: NDArray[np.int64], x: Coordinates, y: Coordinates,
    categories: NDArray[np.uint8], spec: GraphSpec, ruler: Ruler,
) -> pa.Table:  # fmt: skip
    table = snapshot.nodes.take(pa.array(rows))
    named = np.isin(rows, hubs)
    level = ruler.levels(_values(snapshot, rows, spec)).astype(np.int16)
    if spec.by == "recency":
        level = 256 - level
    columns = {
        "row": pa.array(rows), "x": pa.array(x[rows]), "y": pa.array(y[rows]),
        "category": pa.array(categories[snapshot.node("kind")[rows]]), "level": pa.array(level),
        "named": pa.array(named),
    }  # fmt: skip
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


def _kinds(snapshot: GraphSnapshot, categories: NDArray[np.uint8]) -> tuple[tuple[str, int, int], ...]:
    names = snapshot.kinds()
    counts = np.bincount(snapshot.node("kind") + 1, minlength=len(names) + 1)
    rows = [(name, int(counts[i + 1]), int(categories[i])) for i, name in enumerate(names) if counts[i + 1]]
    if counts[0]:
        rows.append(("", int(counts[0]), int(categories[-1])))
    return tuple(sorted(rows, key=lambda row: (-row[1], row[0])))
