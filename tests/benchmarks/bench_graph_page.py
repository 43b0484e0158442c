"""What a frame of the Hypergraph page costs, from thousands of nodes to a million: ``make bench``, or

``python -m tests.benchmarks.bench_graph_page [NODES]``. Nodes stand on a plane, hyperedges join near ones, as after a
layout. Each line compares a frame with what it would cost to send or draw all nodes one by one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from engine.frames.graph_frame import GraphFrames
from engine.frames.graph_places import Places
from engine.frames.graph_region import GraphRegion, cells_of
from engine.frames.graph_spec import graph_spec
from engine.hypergraph.graph_snapshot import EDGE_SCHEMA, NODE_SCHEMA, GraphSnapshot


def plane(n: int, seed: int = 1) -> tuple[GraphSnapshot, np.ndarray, np.ndarray]:
    """n nodes at random on a plane of one node per edge length squared, n hyperedges of five near nodes."""
    rng = np.random.default_rng(seed)
    side = 1_000.0 * np.sqrt(n)
    x, y = rng.uniform(-side / 2, side / 2, (2, n))
    order = np.argsort(np.floor(y / 5_000.0) * 1e9 + x)
    x, y = x[order], y[order]
    edge = np.repeat(np.arange(n, dtype=np.int32), 5)
    node = np.clip(edge + rng.integers(-8, 9, 5 * n), 0, n - 1).astype(np.int32)
    codes = pa.array(rng.integers(0, 4, n).astype(np.int16))
    kinds = pa.DictionaryArray.from_arrays(codes, ["host", "name", "ja3", "mac"])
    flows = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int16)), ["net.flow"])
    seen, nowhere = rng.uniform(0.0, 900.0, n), np.full(n, np.nan)
    degree = np.bincount(node, minlength=n).astype(np.int32)
    nodes = pa.table(
        [pa.array([f"host:{i}" for i in range(n)], pa.large_string()), kinds, degree, degree * 1.0, seen, seen, nowhere,
         nowhere], schema=NODE_SCHEMA)  # fmt: skip
    edges = pa.table(
        [pa.array([f"e{i}" for i in range(n)], pa.large_string()), flows, np.full(n, 5, np.int32), np.ones(n), seen,
         seen], schema=EDGE_SCHEMA)  # fmt: skip
    return GraphSnapshot(nodes, edges, node, edge, 1, 0, 1, 1_000.0, {}), x, y


class At:
    """Places that are given."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.places = Places(x, y, 1)

    def of(self, snapshot: GraphSnapshot, past: bool) -> Places:
        """The places."""
        return self.places


def best(call: Callable[[], object], times: int = 4) -> float:
    """Least time of some calls, ms."""
    out = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        out.append(1e3 * (time.perf_counter() - started))
    return min(out)


def main(n: int = 1_000_000) -> None:
    """Measure and print."""
    snapshot, x, y = plane(n)
    side = 1_000.0 * np.sqrt(n)
    whole = (-side / 2, -side / 3, side / 2, side / 3)

    def fresh(view: tuple[float, float, float, float], **what: object) -> float:
        spec = graph_spec(view, **what)
        make = lambda: GraphFrames(lambda _: snapshot, {"layout": At(x, y)}).compute(spec, 1_000.0)  # noqa: E731
        make()
        return best(make)

    print(f"{n} nodes, {snapshot.n_incidences} incidences")
    for by in ("count", "weight", "recency", "kind"):
        print(f"  whole, nodes by {by}: {fresh(whole, by=by, lines=False):.0f} ms")
    print(f"  whole, nodes and lines: {fresh(whole):.0f} ms")
    for share in (0.1, 0.01):
        view = tuple(v * share for v in whole)
        print(f"  {share:g} of the side, nodes and lines: {fresh(view):.0f} ms")  # type: ignore[arg-type]
    few = (-6_000.0, -4_000.0, 6_000.0, 4_000.0)
    print(f"  single nodes and lines: {fresh(few):.0f} ms")
    spec = graph_spec(whole)
    west, south, east, north = (int(v) for v in cells_of(np.array(whole) / 2, spec.step))
    region = GraphRegion("box", spec.step, (west, south, east, north))
    print(f"  a box of a quarter of them as a table: {fresh(whole, lines=False, region=region, listed='rows'):.0f} ms")
    frames = GraphFrames(lambda _: snapshot, {"layout": At(x, y)})
    first = frames.compute(spec, 1_000.0)
    print(f"  the same view for one more: {best(lambda: frames.compute(spec, 1_000.0)):.2f} ms")
    sent = first.picture.nodes.cells.nbytes if first.picture.nodes is not None else 0
    print(f"  sent: {sent / 1e3:.0f} kB; all nodes as JSON: {len(json.dumps([x.tolist(), y.tolist()])) / 1e6:.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
