"""The inspector of the Hypergraph page: all that is known of the node looked at, or of the picture.

It makes plain texts and numbers of a frame; the browser writes them as text, so that no name from the network is
ever read as HTML.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np
import panel as pn
import param
import pyarrow as pa
from panel.custom import JSComponent

from dashboard.components.graph_glyphs import age_text
from dashboard.components.graph_state import GraphState
from dashboard.components.widget_style import heading, styled
from dashboard.theme import ASSETS
from engine.frames.graph_entity import GraphEntity
from engine.frames.graph_frame import GraphFrame

SHOWN = 12
"""Items of one list shown; how many there are is told."""

_SAMPLED = (
    "Long lines are sampled, and count for the more: the standard error of a cell with the usual number of lines. "
    "Latest times are of the lines drawn."
)

_DETAIL = {
    "all": "every node and every line",
    "strongest": "every node, lines of the strongest hyperedges",
    "nodes": "every node, density of lines",
    "density": "density; the hubs by name",
}


class GraphFacts(JSComponent):
    """Facts and lists as plain text; a click on an item comes back as its id."""

    content = param.Dict(default={}, doc="title, text, facts (name, value, definition) and sections of items.")

    _esm = ASSETS / "graph_inspector.js"
    _stylesheets: ClassVar[list[str]] = [
        (ASSETS / "inspector.css").read_text(),
        (ASSETS / "graph_inspector.css").read_text(),
    ]

    def __init__(self, **params: Any) -> None:
        self.on_pick: Callable[[str, str], None] = lambda do, id_: None
        super().__init__(sizing_mode="stretch_width", margin=0, **params)

    def _handle_msg(self, msg: Any) -> None:
        if isinstance(msg, dict) and msg.get("do") in ("select", "seek") and isinstance(msg.get("id"), str):
            self.on_pick(msg["do"], msg["id"][:400])


class GraphInspector(pn.viewable.Viewer):
    """Search, facts of the selection, and a way out of it.

    Examples
    --------
    >>> GraphInspector(GraphState()).find.placeholder[:4]
    'Find'
    """

    state: GraphState = param.ClassSelector(class_=GraphState, doc="Holds the selection.")  # type: ignore[assignment]

    def __init__(self, state: GraphState, **params: Any) -> None:
        super().__init__(state=state, **params)
        self.find = styled(
            pn.widgets.TextInput(label="", placeholder="Find a node: address, name, fingerprint", value=state.find)
        )
        self.facts = GraphFacts(content={"text": "Click a node, or find one by name."})
        self.clear = styled(pn.widgets.Button(label="Clear selection (Esc)"))
        self.clear.visible = self._anything
        self.clear.on_click(self._cleared)
        self._layout = pn.Column(
            heading("Node"), self.find, self.facts, self.clear, margin=0, sizing_mode="stretch_width"
        )

    def _cleared(self, _: Any) -> None:
        self.state.param.update(selected="", region=None)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def describe(self, frame: GraphFrame) -> None:
        """Show what a frame knows of the selection, or of the picture when nothing is selected."""
        content = entity_content(frame, frame.entity) if frame.entity is not None else overview_content(frame)
        if content != self.facts.content:
            self.facts.content = content
        if self.clear.visible != self._anything:
            self.clear.visible = self._anything

    @property
    def _anything(self) -> bool:
        return bool(self.state.selected) or self.state.region is not None


def overview_content(frame: GraphFrame) -> dict[str, Any]:
    """What the picture holds."""
    n, counts = frame.picture.numbers, frame.snapshot.counts
    facts = [
        ["nodes in view", _of(n["in_view"], n["nodes"]), "Nodes whose cell is in the picture, of all in the graph."],
        ["hyperedges in view", _of(n["edges_in_view"], n["edges"]), "Hyperedges with a node in view, of all."],
        ["incidences", f"{frame.snapshot.n_incidences:,}", "Who is in what: the sum of all sizes of hyperedges."],
    ]
    if frame.spec.lines:
        facts.append(["lines drawn", _of(n["lines_drawn"], n["lines_in_view"]), "Lines that cross the picture."])
        if frame.picture.lines_error > 0.0:
            facts.append(["error of line density", f"{100 * frame.picture.lines_error:.2g} %", _SAMPLED])
    if n["shown"] < n["nodes"]:
        facts.append(["of hidden kinds", f"{n['nodes'] - n['shown']:,}", "Nodes left out by the list of kinds."])
    missing = n["shown"] - n["placed"]
    if missing and frame.spec.space == "map":
        facts.append(["without position", _of(missing, n["shown"]), "Nodes of which no position on earth is known."])
    elif missing:
        facts.append(["not placed yet", _of(missing, n["shown"]), "Nodes that the next layout will place."])
    if frame.spec.region is not None:
        facts.append(["selected", f"{frame.selected:,}", "Nodes whose cell is inside the outline."])
    facts += [
        ["drawn", _detail(frame), "By the number of nodes in view: under 100, 300, 700, or more."],
        ["computed in", f"{frame.compute_ms:.0f} ms", "Time to compute this frame, once for all viewers."],
    ]
    gone = counts.get("evicted_nodes", 0)
    if gone:
        facts.append(["forgotten nodes", f"{gone:,}", "The graph is bounded: the lightest and oldest were let go."])
    return {"text": "Click a node, or find one by name. Shift and drag selects.", "facts": facts}


def _detail(frame: GraphFrame) -> str:
    n, detail = frame.picture.numbers, frame.picture.detail
    if detail == "all" and n["lines_drawn"] < n["lines_in_view"]:
        return "every node, the strongest lines"
    return _DETAIL[detail]


def entity_content(frame: GraphFrame, entity: GraphEntity) -> dict[str, Any]:
    """The node looked at."""
    node_id = str(entity.node["id"])
    kind, _, name = node_id.partition(":")
    if not entity.known:
        return {
            "title": name or node_id,
            "text": "Not in the graph at this moment. It stays selected and is shown again as soon as it is seen.",
            "sections": [_events(frame, entity)],
        }
    node = entity.node
    first, last = float(str(node["first_seen_s"])), float(str(node["last_seen_s"]))
    lat, lon = float(str(node["lat"])), float(str(node["lon"]))
    facts = [
        ["hyperedges", f"{int(str(node['degree'])):,}", "Its degree: how many hyperedges it is in."],
        ["weight", f"{float(str(node['weight'])):.3g}", "Sum of the weights of its hyperedges, decayed to the moment."],
        ["neighbours", f"{entity.n_neighbours:,}", "Nodes that share a hyperedge with it."],
        ["first seen", _moment(first), f"Time of the first event that named it; {age_text(frame.moment_s - first)}."],
        ["last seen", age_text(frame.moment_s - last), f"Time of the newest event that named it: {_moment(last)}."],
    ]
    if np.isfinite(lat + lon):
        facts.append(["position", _position(lat, lon), "WGS-84."])
        power = f"{entity.field_dbm:.1f} dBm" if np.isfinite(entity.field_dbm) else "none"
        facts.append(["field there", power, "Power received by an isotropic antenna at its position, free space."])
    sections = [
        _list("Neighbours", entity.neighbours, entity.n_neighbours, "shared",
              "Nodes that share most hyperedges with it; the number says how many."),
        _edges(frame, entity),
    ]  # fmt: skip
    if entity.fingerprints.num_rows:
        marks = _list("Fingerprints", entity.fingerprints, entity.fingerprints.num_rows, "shared",
                      "Neighbours that tell who a host is: JA3, JA4, certificates, agents.")  # fmt: skip
        sections.insert(0, marks)
    sections.append(_events(frame, entity))
    return {"title": name or node_id, "text": kind if name else "no kind", "facts": facts, "sections": sections}


def _list(title: str, table: pa.Table, total: int, side: str, what: str) -> dict[str, Any]:
    rows = table.slice(0, SHOWN)
    items = [
        {"id": i, "text": i, "side": f"{int(n)}×"}
        for i, n in zip(rows["id"].to_pylist(), rows[side].to_pylist(), strict=True)
    ]
    return {"title": _counted(title, len(items), total), "what": what, "items": items, "nothing": "None."}


def _edges(frame: GraphFrame, entity: GraphEntity) -> dict[str, Any]:
    rows = entity.edges.slice(0, SHOWN)
    items = [
        {"text": f"{row['kind'] or 'no kind'} · {row['size']} nodes · {row['id']}",
         "side": age_text(frame.moment_s - row["last_seen_s"])}
        for row in rows.to_pylist()
    ]  # fmt: skip
    what = "Hyperedges it is in, seen last first."
    return {"title": _counted("Hyperedges", len(items), entity.n_edges), "what": what, "items": items}


def _events(frame: GraphFrame, entity: GraphEntity) -> dict[str, Any]:
    rows = entity.events.slice(0, SHOWN)
    items = []
    for kind, when, seq in zip(
        rows["kind"].to_pylist(), rows["time"].cast(pa.int64()).to_pylist(), rows["seq"].to_pylist(), strict=True
    ):
        items.append({"id": str(when), "do": "seek", "text": f"{kind} · seq {seq}",
                      "side": age_text(frame.moment_s - 1e-6 * when)})  # fmt: skip
    what = "Events in the log behind it; a click goes to that moment."
    title = _counted("Events behind it", len(items), entity.events.num_rows)
    return {"title": title, "what": what, "items": items, "nothing": "None in the log."}


def _counted(title: str, shown: int, total: int) -> str:
    return f"{title} ({shown} of {total:,})" if total > shown else title


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}"


def _moment(moment_s: float) -> str:
    if not np.isfinite(moment_s):
        return "unknown"
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _position(lat: float, lon: float) -> str:
    return f"{abs(lat):.4f}° {'S' if lat < 0 else 'N'}, {abs(lon):.4f}° {'W' if lon < 0 else 'E'}"
