"""What one session of the Hypergraph page looks at, and how a link spells it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, ClassVar

import param

from dashboard import words
from dashboard.state import PageState
from dashboard.words import Word
from engine.frames.graph_region import GraphRegion
from engine.hypergraph.relations import NODE_KINDS

SPACES = {"By relation": "layout", "On the map": "map"}
"""Where nodes stand, by label."""

BYS = {"Count": "count", "Weight": "weight", "Recency": "recency", "Kind": "kind"}
"""What colours tell, by label."""

SCALES = {"Linear": "linear", "Logarithmic": "log", "Equalised": "equalised"}
"""How values become colours, by label."""

LISTS = {
    "rows": "In view",
    "hot": "Hot",
    "recent": "Recent",
    "found": "Found",
    "fingerprints": "JA3/JA4",
    "shadow": "Shadow",
}
"""Tables offered, by the name in a link."""

MAX_HIDDEN = 32
"""Kinds hidden at most."""

MOST = 2e7
"""Coordinates of a view are within this."""


class GraphState(PageState):
    """What one session of the Hypergraph page looks at."""

    space: Any = param.Selector(
        default="layout", objects=SPACES, label="Place nodes", doc="By who is related to whom, or at their positions."
    )
    by: Any = param.Selector(
        default="kind", objects=BYS, label="Colour by", doc="Of a cell with many nodes, or of a single node."
    )
    scale: Any = param.Selector(
        default="log", objects=SCALES, label="Scale", doc="How values become colours; the legend says the values."
    )
    lines = param.Boolean(True, label="Incidences", doc="A line from the middle of each hyperedge to each node.")
    names = param.Boolean(True, label="Names", doc="Of the nodes in view with most hyperedges.")
    shadows = param.Boolean(False, label="Shadow edges", doc="Links that are supposed, not observed; dashed.")
    lasso = param.Boolean(False, label="Select by lasso", doc="Shift and drag draws a lasso instead of a box.")
    drag_selects = param.Boolean(False, label="Drag selects", doc="Drag without shift, for touch; off, it pans.")
    hidden = param.List(default=[], item_type=str, doc="Kinds of nodes left out.")
    place: Any = param.ClassSelector(
        class_=tuple, default=(), doc="West, south, east, north of the layout in view; empty for all."
    )
    west = param.Number(-179.0, bounds=(-180, 180), doc="West edge of the map in view, degrees.")
    south = param.Number(-60.0, bounds=(-85.06, 85.06), doc="South edge of the map in view, degrees.")
    east = param.Number(179.0, bounds=(-180, 180), doc="East edge of the map in view, degrees.")
    north = param.Number(75.0, bounds=(-85.06, 85.06), doc="North edge of the map in view, degrees.")
    region: Any = param.ClassSelector(class_=GraphRegion, default=None, allow_None=True, doc="What is selected.")
    find = param.String("", doc="What is searched for.")
    listed: Any = param.Selector(default="", objects=["", *LISTS], doc="Table shown under the picture.")

    order = param.String("", doc="Column that the table is sorted by, a minus in front from high to low.")
    where = param.String("", doc="Filters of the table, see `dashboard.components.graph_rows`.")

    WORDS: ClassVar[dict[str, Word]] = {
        "space": words.choice("space"),
        "place": Word(lambda s: ",".join(f"{v:.1f}" for v in s.place) or "all", lambda t, s: _place(t)),
        "view": words.degrees_view(),
        "by": words.choice("by"),
        "scale": words.choice("scale"),
        "layers": words.flags({"lines": "lines", "names": "names", "shadows": "shadows"}, "the usual layers"),
        "hide": Word(lambda s: ",".join(s.hidden) or "none", lambda t, s: _hidden(t)),
        "region": Word(lambda s: region_text(s.region), lambda t, s: {"region": region_of(t)}),
        "find": words.text("find", "a text", "nothing is searched for"),
        "table": Word(lambda s: s.listed or "none", lambda t, s: _listed(t)),
        "order": words.text("order", "the name of a column", "the table is not sorted"),
        "where": words.text("where", "filters", "nothing is filtered"),
    }


def node_of(selected: str) -> str:
    """Node behind what another page calls by its identity alone: an emitter, or an address.

    Examples
    --------
    >>> node_of("4b1805"), node_of("10.0.0.1"), node_of("ja3:abc"), node_of("fe80::1")
    ('emitter:4b1805', 'host:10.0.0.1', 'ja3:abc', 'host:fe80::1')
    """
    if not selected or selected.split(":", 1)[0] in NODE_KINDS:
        return selected
    try:
        return f"host:{ip_address(selected)}"
    except ValueError:
        return f"emitter:{selected}"


def region_text(region: GraphRegion | None) -> str:
    """A region as short text for a link.

    Examples
    --------
    >>> region_text(GraphRegion("box", 4, (0, 0, 10, 5)))
    'box:4:0,0,10,5'
    """
    if region is None:
        return "none"
    # A lasso goes on from its first corner in small steps, so that it stays short.
    corners = list(region.corners)
    if region.shape == "lasso":
        corners = corners[:2] + [v - corners[i % 2] for i, v in enumerate(corners) if i >= 2]
    return f"{region.shape}:{region.step}:{','.join(str(v) for v in corners)}"


def region_of(text: str) -> GraphRegion | None:
    """The region that `region_text` wrote; ValueError says what is needed.

    Examples
    --------
    >>> region_of("lasso:0:5,5,4,0,0,4").corners
    (5, 5, 9, 5, 5, 9)
    """
    if text == "none":
        return None
    try:
        shape, step, numbers = text.split(":")
        corners = [int(v) for v in numbers.split(",")]
        if shape == "lasso":
            corners = corners[:2] + [v + corners[i % 2] for i, v in enumerate(corners) if i >= 2]
        if max(abs(v) for v in corners) > 1e8:
            raise ValueError("far away")
        return GraphRegion(shape, int(step), tuple(corners))  # type: ignore[arg-type]
    except (ValueError, IndexError):
        raise ValueError("box:step:west,south,east,north or lasso:step:x,y,… is needed, nothing is selected") from None


def _place(text: str) -> dict[str, Any]:
    if text == "all":
        return {"place": ()}
    needed = "'all' or west,south,east,north with west < east and south < north are needed, all is shown"
    parts = text.split(",")
    if len(parts) != 4:
        raise ValueError(needed)
    west, south, east, north = (words.finite(part, -MOST, MOST, needed) for part in parts)
    if not (west < east and south < north):
        raise ValueError(needed)
    return {"place": (west, south, east, north)}


def _hidden(text: str) -> dict[str, Any]:
    kinds = [] if text == "none" else sorted(set(text.split(",")))
    if len(kinds) > MAX_HIDDEN or not all(kind.isprintable() and len(kind) <= 32 for kind in kinds):
        raise ValueError(f"kinds of nodes such as {', '.join(NODE_KINDS[:3])} are needed, all are shown")
    return {"hidden": kinds}


def _listed(text: str) -> dict[str, Any]:
    if text not in ("none", *LISTS):
        raise ValueError(f"one of none, {', '.join(LISTS)} is needed, none is shown")
    return {"listed": "" if text == "none" else text}
