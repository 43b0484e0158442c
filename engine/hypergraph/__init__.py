"""Hypergraphs that live: columns of nodes, hyperedges and incidences, what can be asked of them, where they are.

Computes on arrays and tables only; never opens a file, a socket or a database.
"""

from engine.hypergraph.answers import Hyperedge, ScopeStats
from engine.hypergraph.categories import MAX_CATEGORIES, OTHER, Categories
from engine.hypergraph.clusters import clusters
from engine.hypergraph.clusters_features import host_features
from engine.hypergraph.clusters_fold import BehaviourClusters, ClusterFold, PositionClusters
from engine.hypergraph.clusters_track import ClusterTracker
from engine.hypergraph.density import density
from engine.hypergraph.fingerprint_stability import FingerprintStability
from engine.hypergraph.graph import Hypergraph
from engine.hypergraph.graph_fold import GraphFold
from engine.hypergraph.graph_snapshot import GraphSnapshot
from engine.hypergraph.layout import Layout
from engine.hypergraph.layout_geographic import GeographicLayout
from engine.hypergraph.layout_input import Cancelled, layout_input
from engine.hypergraph.line_density import line_density
from engine.hypergraph.shadow import ShadowFold, ShadowModel, shadow_history
from engine.hypergraph.sphere import SphereIndex, great_circle_km
from engine.hypergraph.star import star_segments, star_segments_on_sphere
from engine.hypergraph.warm import warm

__all__ = [
    "MAX_CATEGORIES",
    "OTHER",
    "BehaviourClusters",
    "Cancelled",
    "Categories",
    "ClusterFold",
    "ClusterTracker",
    "FingerprintStability",
    "GeographicLayout",
    "GraphFold",
    "GraphSnapshot",
    "Hyperedge",
    "Hypergraph",
    "Layout",
    "PositionClusters",
    "ScopeStats",
    "ShadowFold",
    "ShadowModel",
    "SphereIndex",
    "clusters",
    "density",
    "great_circle_km",
    "host_features",
    "layout_input",
    "line_density",
    "shadow_history",
    "star_segments",
    "star_segments_on_sphere",
    "warm",
]
