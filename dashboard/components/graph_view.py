"""The Hypergraph view: picture, controls, inspector and tables around one state, with the time control of every page.

It looks at what the graph's frame board has for this view and draws it.
"""

from __future__ import annotations

import math
from typing import Any

import panel as pn
import param

from dashboard.components.file_upload import FileUpload
from dashboard.components.graph_controls import GraphControls
from dashboard.components.graph_inspector import GraphInspector
from dashboard.components.graph_legend import GraphLegend
from dashboard.components.graph_map import GraphMap
from dashboard.components.graph_rows import utc
from dashboard.components.graph_state import GraphState, node_of
from dashboard.components.graph_table import GraphTable
from dashboard.components.graph_wanted import wanted_spec
from dashboard.components.page_view import PageView
from dashboard.components.widget_style import heading
from engine.frames.graph_frame import GraphFrame
from engine.frames.graph_spec import GraphSpec
from engine.station import Station


class GraphView(PageView):
    """One viewer's look at the hypergraph.

    Examples
    --------
    In a notebook, the last line in a cell of its own (docs/notebook.md)::

        station = Station(feed="none").start()
        view = GraphView(station)
        view
    """

    state: GraphState = param.ClassSelector(
        class_=GraphState, doc="What is looked at; `dashboard.share` puts it into a link."
    )  # type: ignore[assignment]

    def __init__(self, station: Station, state: GraphState | None = None, **params: Any) -> None:
        state = state or GraphState()
        state.selected = node_of(state.selected)
        super().__init__(station, state, **params)
        self.desk = station.graphs
        self.map = GraphMap(self.state)
        self.controls = GraphControls(self.state)
        self.inspector = GraphInspector(self.state)
        self.table = GraphTable(self.state)
        self.upload = FileUpload(station)
        self.upload.wake = self._rung
        self.controls.files.extend([heading("Hand in a file"), self.upload])
        self.main = pn.Column(self.map, self.table, sizing_mode="stretch_both", margin=0)
        self._shown: GraphFrame | None = None
        self.map.on_click = self._clicked
        self.controls.on_show_all = self.map.show_all
        self.inspector.facts.on_pick = self._picked
        self.inspector.find.param.watch(self._find, "value")
        self._finding = False
        self.watch = self.desk.board.watch(self.spec(), self._rung)
        self._seen = self.watch.look()

    def spec(self) -> GraphSpec:
        """What this view needs computed."""
        return wanted_spec(self.state, self.map.view, self.moment_s)

    def draw(self) -> None:
        """Draw the newest frame, ask for another when the view changed."""
        spec = self.spec()
        if spec != self.watch.spec:
            self.watch.request(spec)
        self.upload.pull()
        self._seen = self.watch.look()
        frame = self._seen.frame
        if frame is None:
            return
        if frame is not self._shown:
            self._shown = frame
            self.map.draw(frame)
            self.controls.kinds.tell(frame)
            self.inspector.describe(frame)
            self._follow_find(frame)
        self.table.tell(frame)

    def notebook_parts(self) -> list[pn.viewable.Viewable]:
        """Picture and tables."""
        return [pn.Column(self.main, height=620, sizing_mode="stretch_width")]

    def close_watches(self) -> None:
        """Let the board forget this view, and a file on its way."""
        self.watch.close()
        self.upload.close()

    @property
    def frame(self) -> GraphFrame | None:
        """The frame on the screen."""
        return self._shown

    @property
    def legend(self) -> GraphLegend:
        """What the colours mean."""
        return self.map.legend

    def picture(self) -> dict[str, Any]:
        """State of the picture for the shell."""
        return {**self._picture(self._seen.frame), "waiting": self._seen.waiting}

    # -- inside ---------------------------------------------------------------------------------

    def _rung(self) -> None:
        self.wake()

    def _picture(self, frame: GraphFrame | None) -> dict[str, str]:
        if self._seen.error:
            return {"kind": "failed", "title": "The picture could not be computed",
                    "text": f"{self._seen.error}. It is tried again every second; the log says more."}  # fmt: skip
        if frame is None:
            return {"kind": "loading"}
        said = {"caption": self._caption_of(frame), "at": f"{frame.moment_s:.2f}"}
        numbers = frame.picture.numbers
        if not numbers["nodes"]:
            return {"kind": "empty", "title": "No node in the graph", "text": self._why_empty(), **said}
        if not numbers["shown"]:
            text = "All kinds of nodes are hidden. Show some in the list of kinds."
            return {"kind": "empty", "title": "Nothing to show", "text": text, **said}
        if not numbers["placed"] and frame.spec.space == "map":
            text = (f"None of the {numbers['shown']:,} nodes shown has a position on earth. "
                    "Place nodes by relation instead.")  # fmt: skip
            return {"kind": "empty", "title": "No node on the map", "text": text, **said}
        if not numbers["placed"]:
            if frame.places.error:
                return {"kind": "failed", "title": "The layout failed", **said,
                        "text": f"{frame.places.error}. It is tried again when the graph changes."}  # fmt: skip
            text = f"{numbers['shown']:,} nodes are being placed: {100 * frame.places.progress:.0f} %."
            return {"kind": "empty", "title": "The graph is being laid out", "text": text, **said}
        return {"kind": "ok", **said}

    def _why_empty(self) -> str:
        if self.state.mode == "live":
            return ("Hand in a file on the left (EVE, a capture, tracks), or start a source: "
                    "FEED=path/to/eve.json make serve.")  # fmt: skip
        return "Nothing had been seen by this moment. Go back to live, or scrub."

    def _caption_of(self, frame: GraphFrame) -> str:
        n, spec = frame.picture.numbers, frame.spec
        parts = [
            f"{n['in_view']:,} of {n['nodes']:,} nodes, {n['edges_in_view']:,} of {n['edges']:,} hyperedges in view",
            "by relation" if spec.space == "layout" else "on the map",
            self.legend.title,
        ]
        if spec.hidden:
            parts.append(f"without {', '.join(kind or 'no kind' for kind in spec.hidden)}")
        missing = n["shown"] - n["placed"]
        if missing:
            where = "have no position" if spec.space == "map" else "are not placed yet"
            parts.append(f"{missing:,} of {n['shown']:,} {where}")
        if frame.places.early:
            parts.append(f"first places, refined meanwhile: {100 * frame.places.progress:.0f} %")
        if spec.region is not None:
            parts.append(f"{frame.selected:,} selected")
        moment = f"{utc(math.floor(frame.moment_s))} UTC"
        return " · ".join([*parts, moment, f"seq {frame.snapshot.seq}", str(self.station.health.get("label", ""))])

    def _clicked(self, x: float, y: float, reach: float) -> None:
        if self._shown is not None and self._shown.spec.space == self.state.space:
            self.state.selected = self._shown.nearest(x, y, reach)

    def _picked(self, do: str, id_: str) -> None:
        if do == "select":
            self.state.selected = id_
        elif id_.isdigit() and len(id_) < 20 and float(id_) * 1e-6 < 4.1e9:
            self.seek(float(id_) * 1e-6)

    def _find(self, event: Any) -> None:
        text = "".join(c for c in str(event.new) if c.isprintable())[:128]
        self._finding = bool(text)
        self.state.param.update(find=text, listed="found" if text else self.state.listed, order="", where="")

    def _follow_find(self, frame: GraphFrame) -> None:
        """Select what was found, once, when the search has come back."""
        if not self._finding or frame.spec.find != self.state.find or frame.spec.listed != "found":
            return
        self._finding = False
        if frame.table is None or not frame.table.num_rows:
            self.strip.notice = f"No node whose name contains {self.state.find!r}"
        else:
            self.state.selected = str(frame.table["id"][0].as_py())

    def _act(self, action: dict[str, Any]) -> None:
        # Esc takes back one thing at a time: the node first, then what is outlined.
        if action["do"] == "clear" and not self.state.selected and self.state.region is not None:
            self.state.region = None
            return
        super()._act(action)
