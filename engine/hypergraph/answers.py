"""What a hypergraph answers with where a table would say too little: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Hyperedge:
    """One hyperedge: id, nodes in the order they were added, weight at the clock, times in s since 1970."""

    edge: str | int
    nodes: list[str | int]
    kind: str | None
    weight: float
    created_s: float
    last_seen_s: float
    label: str | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScopeStats:
    """How many hyperedges are in a scope and what they weigh at the clock; weights are NaN when count is 0."""

    count: int
    min_weight: float
    max_weight: float
    mean_weight: float
