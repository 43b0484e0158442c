"""Take-along files of the Hypergraph page; see `dashboard.exports`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dashboard.components.base_map import view_of_degrees
from dashboard.components.graph_map import START, around
from dashboard.components.graph_state import GraphState
from dashboard.components.graph_take_along import (
    csv_bytes,
    hif_bytes,
    html_bytes,
    parquet_bytes,
    python_lines,
    rows_of,
)
from dashboard.components.graph_wanted import wanted_spec
from dashboard.exports import Export, Maker, moment_of, state_of
from engine.frames.graph_frame import GraphFrame
from engine.station import Station


def graph_frame(state: GraphState, station: Station, moment_s: float) -> GraphFrame:
    """The frame that a link of the Hypergraph page describes, with its table.

    Parameters
    ----------
    state : GraphState
    station : Station
    moment_s : float
        The moment on the screen, epoch seconds.
    """
    frames = station.graphs.frames
    if state.space == "map":
        view = view_of_degrees(state.west, state.south, state.east, state.north)
    else:
        view = state.place or START
    spec = replace(wanted_spec(state, view, moment_s), listed=state.listed or "rows")
    frame = frames.compute(spec, moment_s)
    if state.space == "layout" and not state.place and frame.extent is not None:
        spec = replace(wanted_spec(state, around(frame.extent), moment_s), listed=spec.listed)
        frame = frames.compute(spec, moment_s)
    return frame


def _graph(make: Callable[[GraphFrame, GraphState], bytes]) -> Maker:
    def export(query: dict[str, str], station: Station) -> bytes:
        state = state_of(query, GraphState())
        return make(graph_frame(state, station, moment_of(state, query, station)), state)

    return export


PAGE_EXPORTS = {
    "hypergraph.csv": Export("text/csv; charset=utf-8", _graph(lambda f, s: csv_bytes(rows_of(f, s.order, s.where)))),
    "hypergraph.parquet": Export(
        "application/vnd.apache.parquet", _graph(lambda f, s: parquet_bytes(rows_of(f, s.order, s.where)))
    ),
    "hypergraph.json": Export("application/json", _graph(lambda f, s: hif_bytes(f.snapshot))),
    "hypergraph.html": Export("text/html; charset=utf-8", _graph(lambda f, s: html_bytes(f, s.theme))),
    "hypergraph.py": Export("text/x-python; charset=utf-8", _graph(lambda f, s: python_lines(f).encode())),
}
"""Files of this page, by name."""
