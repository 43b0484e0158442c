"""How fast the hypergraph is: building, growing by a few, decaying, drawing, and asking where things are.

Run from the repository root: ``make bench``, or ``python -m tests.benchmarks.bench_hypergraph``. XGI,
HyperNetX and hypergraphx are timed on the same hyperedges where they are installed; they need not be:
``HYPERGRAPH_PEERS`` may name a Python that has them. Times are of one run, so that ratios compare.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from engine.hypergraph import Hypergraph, SphereIndex, density, line_density
from tests.benchmarks.bench_graph_past import past_times

PEERS = Path(__file__).with_name("hypergraph_peers.py")


def best_s(work: Callable[[], object], repeat: int) -> float:
    """Shortest of some runs, s: the one least disturbed by others."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def hyperedges(n_edges: int, n_nodes: int, mean_size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Edge and node of each incidence: sizes from 2 around a mean, nodes by a heavy-tailed popularity."""
    rng = np.random.default_rng(seed)
    size = np.maximum(2, rng.poisson(mean_size, n_edges))
    # Squaring a uniform number makes low nodes popular, as hosts in a network are.
    node = (rng.random(size.sum()) ** 2 * n_nodes).astype(np.int64)
    return np.repeat(np.arange(n_edges), size), node


def text_table(edge: np.ndarray, node: np.ndarray) -> pd.DataFrame:
    """Incidences with ids of text, as captures have them."""
    return pd.DataFrame({"edge": pd.Series(edge).map("e{}".format), "node": pd.Series(node).map("n{}".format)})


def test_building_against_other_libraries() -> None:
    """100 000 hyperedges at once, from the form that each library takes, and then ten more."""
    edge, node = hyperedges(100_000, 50_000, 5)
    lists = [members.tolist() for members in np.split(node, np.flatnonzero(np.diff(edge)) + 1)]
    numbers, texts = pd.DataFrame({"edge": edge, "node": node}), text_table(edge, node)

    def from_lists() -> Hypergraph:
        graph, sizes = Hypergraph(), np.fromiter(map(len, lists), np.int64, len(lists))
        flat = np.fromiter((v for members in lists for v in members), np.int64, sizes.sum())
        graph.add(pd.DataFrame({"edge": np.repeat(np.arange(len(lists)), sizes), "node": flat}))
        return graph

    graph = from_lists()
    assert graph.n_incidences == len({(e, v) for e, v in zip(edge.tolist(), node.tolist(), strict=True)})
    ours = {
        "table of integers": best_s(lambda: Hypergraph().add(numbers), 5),
        "table of text": best_s(lambda: Hypergraph().add(texts), 5),
        "lists of members": best_s(from_lists, 5),
    }
    print(f"\n{len(lists):,} hyperedges, {len(node):,} rows")
    for name, spent in ours.items():
        print(f"  ours, from a {name:18s} {spent:8.4f} s")
    grown_s = []
    for i in range(200):
        new = 1_000_000 + 10 * i + np.repeat(np.arange(10), 5)
        rows = pd.DataFrame({"edge": new, "node": np.random.default_rng(i).integers(0, 60_000, 50), "weight": 1.0})
        start = time.perf_counter()
        graph.add(rows)
        grown_s.append(time.perf_counter() - start)
    print(
        f"  ten more hyperedges: median {np.median(grown_s) * 1e3:.3f} ms, 99 % {np.quantile(grown_s, 0.99) * 1e3:.3f}"
    )
    for name, spent in peers(lists).items():
        if isinstance(spent, float):
            print(
                f"  {name:30s} {spent:8.3f} s: ours {spent / ours['lists of members']:6.0f} x faster from lists, ",
                end="",
            )
            print(f"{spent / ours['table of text']:6.0f} x from a table of text")
        else:
            print(f"  {name}: {spent}")


def peers(lists: list[list[int]]) -> dict[str, object]:
    """Build times, s, of the other libraries, measured in a Python that has them."""
    command = [os.environ.get("HYPERGRAPH_PEERS", sys.executable), str(PEERS)]
    done = subprocess.run(command, input=json.dumps(lists), capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_million_nodes() -> None:
    """Five million incidences: memory, picture, decay with prune."""
    edge, node = hyperedges(1_000_000, 1_000_000, 5)
    rng = np.random.default_rng(1)
    table = text_table(edge, node).assign(
        weight=rng.random(1_000_000)[edge], time=np.sort(rng.uniform(0, 3e3, len(edge)))
    )
    process = psutil.Process()
    before = process.memory_info().rss
    graph = Hypergraph()
    start = time.perf_counter()
    graph.add(table)
    built = time.perf_counter() - start
    n = graph.n_incidences
    resident = process.memory_info().rss - before
    print(f"\n{graph.n_nodes:,} nodes, {graph.n_edges:,} hyperedges, {n:,} incidences: {built:.2f} s to build")
    print(f"  memory: {graph.nbytes / n:.1f} bytes per incidence held, {resident / n:.1f} by growth of the process")
    del table
    where = np.column_stack([rng.normal(8, 30, graph.n_nodes), rng.normal(30, 25, graph.n_nodes).clip(-89, 89)])
    where[:, 0] = (where[:, 0] + 180) % 360 - 180
    graph.set_nodes(pd.DataFrame({"node": graph.nodes().index, "lon": where[:, 0], "lat": where[:, 1]}))
    print(f"  {graph.nbytes / n:.1f} bytes per incidence with positions")
    for what, rows in (
        ("nodes", graph.points()),
        ("incidences", graph.points().loc[lambda p: p.index.repeat(p.degree)]),
    ):
        for by in ("count", "weight", "recency"):
            density(rows, (-30.0, 0.0, 60.0, 70.0), (600, 900), by)
            spent = best_s(lambda rows=rows, by=by: density(rows, (-30.0, 0.0, 60.0, 70.0), (600, 900), by), 5)
            print(f"  density 900 x 600 of {len(rows):9,} {what:10s} by {by:8s} {spent * 1e3:7.1f} ms")
    fetch = best_s(graph.points, 3)
    print(f"  points() {fetch * 1e3:.1f} ms")
    near = np.column_stack([(node_x := rng.random(graph.n_nodes)), node_x + rng.normal(0, 0.01, graph.n_nodes)])
    lines = graph.segments(layout=near)
    density(lines, (0.0, 0.0, 1.0, 1.0), (600, 900))
    spent = best_s(lambda: density(lines, (0.0, 0.0, 1.0, 1.0), (600, 900)), 1)
    view = (0.0, 0.0, 1.0, 1.0)
    mine = best_s(lambda: line_density(lines, view, (600, 900)), 5)
    told = line_density(lines, view, (600, 900)).attrs
    print(f"  density 900 x 600 of {len(lines):9,} segments   by count    {spent * 1e3:7.1f} ms with Datashader")
    print(f"  line_density of them {mine * 1e3:7.1f} ms: {spent / mine:.1f} x; {told['drawn_share']:.1%} drawn, "
          f"standard error in a cell of average density {told['relative_error']:.1%}")  # fmt: skip

    def decay_and_prune() -> int:
        graph.decay(graph.now_s + 1_000.0)
        return graph.prune(0.1)

    start = time.perf_counter()
    gone = decay_and_prune()
    spent = time.perf_counter() - start
    print(f"  decay and prune: {spent * 1e3:.1f} ms, {gone:,} of 1,000,000 hyperedges gone", end="")
    print(f"; with nothing to prune {best_s(lambda: graph.prune(0.0), 3) * 1e3:.1f} ms", end="")
    start = time.perf_counter()
    graph.compact()
    print(f"; compaction {(time.perf_counter() - start) * 1e3:.0f} ms")
    for s in (1, 2):
        start = time.perf_counter()
        parts = graph.s_components(s)
        print(f"  s_components({s}): {time.perf_counter() - start:.2f} s, {len(parts):,} components")


def timed_s(ask: Callable[[], object]) -> float:
    """Time of one call, s."""
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start


def query_times(n: int) -> str:
    """One line of the curve: build, queries with about eight points in the answer, and a scan of all."""
    rng = np.random.default_rng(n)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)
    start = time.perf_counter()
    index = SphereIndex(lat, lon)
    build = time.perf_counter() - start
    km, half = 6371.0 * np.sqrt(4 * 8 / n), np.degrees(np.sqrt(np.pi * 8 / n))
    spent, looked = np.empty((300, 3)), np.empty(300)
    for i in range(300):
        p, q = rng.uniform(-50, 50), rng.uniform(-100, 100)
        spent[i, 0] = timed_s(lambda p=p, q=q: index.radius(p, q, km))
        spent[i, 1] = timed_s(lambda p=p, q=q: index.nearest(p, q, 8))
        spent[i, 2] = timed_s(lambda p=p, q=q: index.bbox(q - half, p - half, q + half, p + half))
        looked[i] = index.boxes_visited
    brute = best_s(lambda: np.flatnonzero((lat > 0) & (lat < 1) & (lon > 0) & (lon < 1)), 5)
    row = "".join(f"{t * 1e6:12.1f}" for t in np.median(spent, axis=0))
    return f"{n:9,} {build:10.3f}{row} {looked.mean():16.1f} {brute * 1e6:15.1f}"


def test_spatial_queries_are_logarithmic() -> None:
    """Query times over the number of points, answers of the same size: flat but for the logarithm."""
    print("\n        n    build s   radius µs  nearest µs     bbox µs  boxes looked at  brute force µs")
    for n in (1_000, 10_000, 100_000, 1_000_000):
        print(query_times(n))


if __name__ == "__main__":
    test_building_against_other_libraries()
    test_a_million_nodes()
    test_spatial_queries_are_logarithmic()
    past_times()
