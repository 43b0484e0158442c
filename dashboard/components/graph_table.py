"""Tables under the picture of the graph: what is selected, hot, recent, found …; only the rows in sight are sent.

Sorting and filtering happen here, in `graph_rows`, on whole Arrow tables; what the viewer does comes back as small
checked messages.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import param
import pyarrow as pa
from panel.custom import JSComponent

from dashboard.components.graph_rows import arranged, cells, columns_of, conditions, where_text
from dashboard.components.graph_state import LISTS, GraphState
from dashboard.theme import ASSETS
from engine.frames.graph_frame import GraphFrame

WINDOW = 120
"""Rows sent at once."""

HEIGHT_OPEN, HEIGHT_SHUT = 238, 32
"""Height with and without a table, px."""

_NOTHING = {
    "rows": "No node in view. Zoom out, or bring the whole graph into view.",
    "region": "No node inside the outline. Draw another, or press Esc.",
    "hot": "No node yet.",
    "recent": "No hyperedge yet.",
    "found": "Nothing found. Type a part of an address, a name or a fingerprint into the search (/).",
    "fingerprints": "No host kept its fingerprint over several addresses within ten minutes.",
    "shadow": "No link is supposed at this moment.",
}


class GraphTable(JSComponent):
    """The tables of one session.

    Examples
    --------
    >>> GraphTable(GraphState()).height
    32
    """

    tabs = param.List(default=[], doc="Name, label and number of rows (or None) of each table.")
    active = param.String("", doc="Table shown, empty for none.")
    columns = param.List(default=[], doc="name, label, kind and meaning of each column.")
    rows = param.List(default=[], doc="Rows in sight and around, values in the order of the columns.")
    ids = param.List(default=[], doc="Node behind each of these rows, empty for none.")
    start = param.Integer(0, doc="Number of the first of these rows.")
    total = param.Integer(0, doc="Rows that the filters keep.")
    all = param.Integer(0, doc="Rows of the table.")
    order = param.String("", doc="Column sorted by, a minus in front from high to low.")
    filters = param.Dict(default={}, doc="Filters by column.")
    refused = param.String("", doc="What is wrong with a filter, empty if nothing is.")
    selected = param.String("", doc="Id of the node looked at.")
    nothing = param.String("", doc="What to say where there is no row.")
    take = param.List(default=[["hypergraph.csv", "CSV"], ["hypergraph.parquet", "Parquet"]], doc="Files offered.")

    _esm = ASSETS / "graph_table.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "graph_table.css").read_text()]

    def __init__(self, state: GraphState, **params: Any) -> None:
        self.state = state
        self._table: pa.Table | None = None
        self._arranged: tuple[Any, np.ndarray] | None = None
        super().__init__(
            active=state.listed, order=state.order, filters=conditions(state.where), selected=state.selected,
            sizing_mode="stretch_width", margin=0, height=HEIGHT_OPEN if state.listed else HEIGHT_SHUT, **params,
        )  # fmt: skip

    def tell(self, frame: GraphFrame) -> None:
        """Show the table of a frame."""
        state = self.state
        changes: dict[str, Any] = {
            "tabs": self._tabs(frame), "active": state.listed, "selected": state.selected, "order": state.order,
            "filters": conditions(state.where), "height": HEIGHT_OPEN if state.listed else HEIGHT_SHUT,
        }  # fmt: skip
        if frame.table is not None and frame.spec.listed == state.listed:
            changes |= self._filled(frame)
        elif not state.listed:
            changes |= self._empty("")
        elif frame.spec.listed != state.listed:
            # Never the rows of one table under the name of another.
            changes |= self._empty("Loading …")
        self._change(changes)

    def _tabs(self, frame: GraphFrame) -> list[Any]:
        numbers = frame.picture.numbers
        region = frame.spec.region is not None
        counts: dict[str, Any] = {"rows": frame.selected if region else numbers["in_view"]}
        labels = {**LISTS, "rows": "Selected" if region else "In view"}
        return [[name, label, counts.get(name)] for name, label in labels.items()]

    def _empty(self, why: str) -> dict[str, Any]:
        self._table = None
        return {"columns": [], "rows": [], "ids": [], "start": 0, "total": 0, "all": 0, "refused": "", "nothing": why}

    def _filled(self, frame: GraphFrame) -> dict[str, Any]:
        assert frame.table is not None
        table, state = frame.table, self.state
        refused = ""
        timed = "_s~" in state.where
        key = (id(table), state.order, state.where, frame.moment_s if timed else None)
        if self._arranged is None or self._arranged[0] != key or self._table is not table:
            try:
                rows = arranged(table, state.order, state.where, frame.moment_s)
            except ValueError as error:
                refused, rows = str(error), np.arange(0)
            self._arranged = (key, rows)
            self._refused = refused
        self._table = table
        listed = "region" if state.listed == "rows" and frame.spec.region is not None else state.listed
        columns = [{"name": c.name, "label": c.label, "kind": c.kind, "what": c.what} for c in columns_of(table)]
        rows = self._arranged[1]
        filtered = len(rows) < table.num_rows
        return {
            "columns": columns, "total": len(rows), "all": table.num_rows, "refused": self._refused,
            "nothing": "No row fulfils the filters." if filtered else _NOTHING[listed],
            **self._window(self.start),
        }  # fmt: skip

    def _window(self, start: int) -> dict[str, Any]:
        assert self._table is not None and self._arranged is not None
        rows = self._arranged[1]
        start = max(min(start, len(rows) - WINDOW), 0)
        part = rows[start : start + WINDOW]
        names = self._table.column_names
        # A row of hyperedges leads to no node, unless it names one.
        of = "node" if "node" in names else "id" if "degree" in names else ""
        ids = self._table[of].take(pa.array(part)).cast(pa.large_string()).to_pylist() if of else [""] * len(part)
        return {"start": start, "rows": cells(self._table, part), "ids": [i or "" for i in ids]}

    def _change(self, changes: dict[str, Any]) -> None:
        self.param.update(**{name: value for name, value in changes.items() if getattr(self, name) != value})

    def _handle_msg(self, msg: Any) -> None:
        if not isinstance(msg, dict):
            return
        do, state = msg.get("do"), self.state
        name, start, filters = msg.get("name"), msg.get("start"), msg.get("filters")
        if do == "tab" and isinstance(name, str) and name in ("", *LISTS):
            state.param.update(listed=name, order="", where="")
        elif do == "order" and isinstance(name, str) and name.removeprefix("-") in self._names:
            state.order = name
        elif do == "order" and name == "":
            state.order = ""
        elif do == "window" and isinstance(start, int) and self._table is not None and self._arranged is not None:
            self._change(self._window(start))
        elif do == "where" and isinstance(filters, dict):
            known = {str(k): str(v)[:64] for k, v in filters.items() if k in self._names}
            state.where = where_text(known)[:256]
        elif do == "pick" and isinstance(msg.get("id"), str):
            state.selected = msg["id"][:400]

    @property
    def _names(self) -> list[str]:
        return [column["name"] for column in self.columns]
