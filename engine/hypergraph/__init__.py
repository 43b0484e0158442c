"""Hypergraphs that live: columns of nodes, hyperedges and incidences, what can be asked of them, where they are.

Computes on arrays and tables only; never opens a file, a socket or a database.
"""

from engine.hypergraph.categories import MAX_CATEGORIES, OTHER, Categories
from engine.hypergraph.density import density
from engine.hypergraph.graph import Hyperedge, Hypergraph, ScopeStats
from engine.hypergraph.layout import Layout
from engine.hypergraph.layout_geographic import GeographicLayout
from engine.hypergraph.layout_input import Cancelled, layout_input
from engine.hypergraph.sphere import SphereIndex, great_circle_km
from engine.hypergraph.star import star_segments, star_segments_on_sphere
from engine.hypergraph.warm import warm

__all__ = [
    "MAX_CATEGORIES",
    "OTHER",
    "Cancelled",
    "Categories",
    "GeographicLayout",
    "Hyperedge",
    "Hypergraph",
    "Layout",
    "ScopeStats",
    "SphereIndex",
    "density",
    "great_circle_km",
    "layout_input",
    "star_segments",
    "star_segments_on_sphere",
    "warm",
]
