"""Take along from the Hypergraph page: rows, the whole graph for other tools, a page, and the lines that read it.

Pure functions of a frame; `dashboard.exports_hypergraph` serves them.
"""

from __future__ import annotations

import io
import json
from typing import Any

import holoviews as hv
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bokeh.embed import components
from bokeh.resources import Resources

from dashboard.components.csv_cells import csv_of_table
from dashboard.components.graph_plot import graph_plot
from dashboard.components.graph_rows import arranged
from engine.frames.graph_frame import GraphFrame
from engine.hypergraph.graph_snapshot import GraphSnapshot


def rows_of(frame: GraphFrame, order: str, where: str) -> pa.Table:
    """The rows of a frame's table as the viewer sees them: filtered and sorted; kinds as plain text."""
    assert frame.table is not None
    table = frame.table.take(pa.array(arranged(frame.table, order, where, frame.moment_s)))
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table[field.name].cast(pa.string()))
    told = {b"moment_s": repr(frame.moment_s).encode(), b"seq": str(frame.snapshot.seq).encode()}
    return table.replace_schema_metadata(told)


def csv_bytes(table: pa.Table) -> bytes:
    """Rows as CSV with a head, UTF-8, text in quotes."""
    return csv_of_table(table)


def parquet_bytes(table: pa.Table) -> bytes:
    """Rows as Parquet, types kept; moment and seq in the metadata of the file."""
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def hif_bytes(snapshot: GraphSnapshot) -> bytes:
    """The whole graph of the moment in the Hypergraph Interchange Format, which XGI, HyperNetX and others read."""
    nodes, edges = snapshot.nodes.to_pylist(), snapshot.edges.to_pylist()
    node_ids, edge_ids = [row["id"] for row in nodes], [row["id"] for row in edges]
    document = {
        "network-type": "undirected",
        "metadata": {"moment_s": snapshot.moment_s, "seq": snapshot.seq},
        "incidences": [
            {"edge": edge_ids[e], "node": node_ids[v]}
            for e, v in zip(snapshot.incidence_edge.tolist(), snapshot.incidence_node.tolist(), strict=True)
        ],
        "nodes": [{"node": row["id"], "attrs": _attributes(row)} for row in nodes],
        "edges": [{"edge": row["id"], "weight": row["weight"], "attrs": _attributes(row)} for row in edges],
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in row.items()
        if key not in ("id", "degree", "size") and value is not None
        and not (isinstance(value, float) and not np.isfinite(value))
    }  # fmt: skip


def html_bytes(frame: GraphFrame, theme: str) -> bytes:
    """The picture as one HTML file that needs no server and no network."""
    # Put together by hand, for the reasons told in `dashboard.components.take_along`.
    script, place = components(hv.render(graph_plot(frame, theme), backend="bokeh"))
    library = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Hypergraph</title>\n'
        f"<script>{library}</script>\n<style>html, body {{ height: 100%; margin: 0; }}</style></head>\n"
        f"<body>{place}\n{script}</body>\n</html>\n"
    ).encode()


def python_lines(frame: GraphFrame) -> str:
    """Lines that read the graph taken along as HIF, lay it out and count the nodes in each cell of the view."""
    spec = frame.spec
    bounds = (spec.west, spec.south, spec.east, spec.north)
    return (
        '"""The graph of one moment, laid out and counted again. Take `hypergraph.json` (HIF) along, too."""\n\n'
        "import json\n\n"
        "from engine.frames.graph_places import EDGE_LENGTH\n"
        "from engine.hypergraph import Hypergraph, density\n"
        "from engine.hypergraph.layout import Layout\n"
        "from engine.hypergraph.layout_input import layout_input\n\n"
        f"# moment {frame.moment_s!r} (epoch s), seq {frame.snapshot.seq}\n"
        "with open('hypergraph.json', encoding='utf-8') as file:\n"
        "    graph = Hypergraph.from_hif(json.load(file))\n"
        "print(graph.n_nodes, 'nodes,', graph.n_edges, 'hyperedges')\n"
        "print(graph.hot_entities(10))\n\n"
        "# A layout from nothing: the live one has grown with the graph, so its places differ.\n"
        "placed = Layout(seed=0).update(*layout_input(graph))\n"
        "points = graph.points(EDGE_LENGTH * placed.to_array().to_numpy().T)\n"
        "bounds = (points.x.min(), points.y.min(), points.x.max(), points.y.max())\n"
        f"# the view was {bounds!r}\n"
        f"picture = density(points, bounds, shape=({spec.ny}, {spec.nx}))\n"
        "print(picture)\n"
    )
