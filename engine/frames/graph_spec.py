"""What a picture of the graph shows, where and when: one small hashable value, see `engine.frames.spec`.

Two spaces, one lattice: a layout, whose units are of its own, and the map, in Web Mercator metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from engine.frames.graph_region import GraphRegion
from engine.frames.spec import snap_view

Space = Literal["layout", "map"]
GraphBy = Literal["count", "weight", "recency", "kind"]
Scale = Literal["linear", "log", "equalised"]

GRAPH_CELLS = 262_144
"""Cells of the raster at most: about one per pixel of the picture on a laptop."""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """Everything that determines a frame of the graph, besides the events.

    Attributes
    ----------
    west, south, east, north : float
        Bounds in units of the space.
    nx, ny : int
        Cells across and up.
    space : {"layout", "map"}
        Where nodes stand: by a layout, or at their positions on earth (Web Mercator metres).
    by : {"count", "weight", "recency", "kind"}
        What colours tell, see `engine.hypergraph.density`.
    scale : {"linear", "log", "equalised"}
        How values become colours.
    hidden : tuple of str
        Kinds of nodes that are left out, sorted.
    lines : bool
        Whether incidences are drawn.
    shadows : bool
        Whether links that are supposed, not observed, are drawn.
    region : GraphRegion or None
        What is selected.
    selected : str
        Id of the node looked at closely; empty for none.
    find : str
        What is searched for; empty for nothing.
    listed : str
        Which table stands beside it: ``rows`` (what is selected, or in view), ``found``, ``hot``, ``recent`` …;
        empty for none.
    moment_s : float or None
        The moment shown, s since 1970; None is live.
    """

    west: float
    south: float
    east: float
    north: float
    nx: int
    ny: int
    space: Space = "layout"
    by: GraphBy = "count"
    scale: Scale = "log"
    hidden: tuple[str, ...] = ()
    lines: bool = True
    shadows: bool = False
    region: GraphRegion | None = None
    selected: str = ""
    find: str = ""
    listed: str = ""
    moment_s: float | None = None

    @property
    def step(self) -> int:
        """Of the lattice, see `engine.frames.graph_region.cell_size`."""
        return round(2.0 * math.log2((self.east - self.west) / self.nx))

    def picture_only(self) -> GraphSpec:
        """The same without what does not change the picture, so that those who pick different rows share one."""
        return replace(self, shadows=False, region=None, selected="", find="", listed="")


def graph_spec(view: tuple[float, float, float, float], *, max_cells: int = GRAPH_CELLS, **what: object) -> GraphSpec:
    """The spec of a view, its bounds snapped to the lattice.

    Parameters
    ----------
    view : (west, south, east, north)
        In units of the space, beyond ±2·10⁷ cut off.
    max_cells : int
    **what
        The other attributes of `GraphSpec`.

    Examples
    --------
    >>> graph_spec((0.0, 0.0, 400.0, 300.0), by="kind").step
    0
    """
    return GraphSpec(*snap_view(*view, max_cells=max_cells), **what)  # type: ignore[arg-type]
