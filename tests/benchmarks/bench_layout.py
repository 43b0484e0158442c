"""How good and how fast layouts are, how steady they are while a graph grows, and how soon they stop.

Run from the repository root: ``make bench``, or ``python -m tests.benchmarks.bench_layout``; with ``--large`` a million
nodes, too. NetworkX, where it is installed, lays the same graphs out in the same run, so that ratios hold.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import orjson
import pandas as pd

from data.loader import DataUnavailable, locate
from engine.hypergraph import Cancelled, Layout
from engine.hypergraph.layout_quality import hop_distances, neighbours_kept, normalised_stress
from engine.ingest import read_eve
from tests.benchmarks.bench_hypergraph import best_s, hyperedges

Incidences = tuple[np.ndarray, np.ndarray, int]


def numbered(edges: list[object], nodes: list[object]) -> Incidences:
    """Edge and node of each incidence as numbers in the order of appearance, and how many nodes."""
    edge, node = pd.factorize(pd.Series(edges))[0], pd.factorize(pd.Series(nodes))[0]
    return edge, node, int(node.max()) + 1


def contacts() -> Incidences:
    """Contacts of a high school: 7 818 hyperedges on 327 nodes."""
    told = json.loads(locate("hypergraph/contact-high-school.hypergraphx.json").read_text())
    members = [item["interaction"] for item in told if "interaction" in item]
    edges = [e for e, m in enumerate(members) for _ in m]
    return numbered(edges, [v for m in members for v in m])


def conversations() -> Incidences:
    """Hosts, ports and names of a real log, in the order they came."""
    events, _ = read_eve(locate("net/eve_large.json.bz2"))
    edges, nodes = [], []
    for entity, text in zip(events["entity"].to_pylist(), events["payload"].to_pylist(), strict=True):
        told = orjson.loads(text)
        for kind, key in (("host", "src_ip"), ("host", "dest_ip"), ("service", "dest_port"), ("name", "dns_name")):
            if "src_ip" in told and key in told:
                edges.append(entity)
                nodes.append(f"{kind}:{told[key]}")
    return numbered(edges, nodes)


def pairs(links: np.ndarray) -> Incidences:
    """A graph of pairs."""
    return np.repeat(np.arange(len(links)), 2), links.ravel(), int(links.max()) + 1


def lattice(side: int) -> Incidences:
    """Neighbours in a square lattice."""
    at = np.arange(side * side).reshape(side, side)
    right, down = np.stack([at[:, :-1], at[:, 1:]], -1), np.stack([at[:-1], at[1:]], -1)
    return pairs(np.concatenate([right.reshape(-1, 2), down.reshape(-1, 2)]))


def tree(depth: int) -> Incidences:
    """Everyone has three children."""
    n = (3 ** (depth + 1) - 1) // 2
    return pairs(np.stack([(np.arange(1, n) - 1) // 3, np.arange(1, n)], 1))


def by_networkx(edge: np.ndarray, node: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """NetworkX's spring layout of the star expansion (pairs as links)."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    size = np.bincount(edge)
    two = size[edge] == 2
    graph.add_edges_from(node[two][np.argsort(edge[two], kind="stable")].reshape(-1, 2).tolist())
    graph.add_edges_from(zip(node[~two].tolist(), (n + edge[~two]).tolist(), strict=True))
    found = nx.spring_layout(graph, seed=0)
    return np.array([found[v][0] for v in range(n)]), np.array([found[v][1] for v in range(n)])


def test_quality_against_networkx() -> None:
    """Stress and neighbourhoods of the same graphs, and how long it took."""
    graphs = {"lattice 30 × 30": lattice(30), "tree, 1 093": tree(6)}
    for name, read in (("contacts of a school", contacts), ("conversations of a log", conversations)):
        try:
            edge, node, n = read()
        except DataUnavailable as error:
            print(error)
            continue
        # Of equal hyperedges one, or NetworkX has ten times the work.
        groups = pd.Series(node).groupby(edge).agg(lambda v: tuple(sorted(set(v))))
        members = groups.drop_duplicates().tolist()
        graphs[name] = np.repeat(np.arange(len(members)), [len(m) for m in members]), np.concatenate(members), n
    print(f"\n{'':26s}{'stress':>8s}{'theirs':>8s}{'kept':>8s}{'theirs':>8s}{'ms':>9s}{'theirs':>9s}")
    for name, (edge, node, n) in graphs.items():
        sources = np.arange(0, n, max(n // 300, 1))
        hops = hop_distances(n, node, edge, sources)
        placed = Layout().update(np.arange(n), node, edge)
        ours = best_s(lambda node=node, edge=edge, n=n: Layout().update(np.arange(n), node, edge), 3)
        numbers = [(placed.x, placed.y, ours)]
        try:
            start = time.perf_counter()
            theirs = by_networkx(edge, node, n)
            numbers.append((*theirs, time.perf_counter() - start))
        except ImportError:
            pass
        stress = [normalised_stress(x, y, hops, sources) for x, y, _ in numbers]
        kept = [neighbours_kept(x, y, node, edge) for x, y, _ in numbers]
        row = [f"{v:8.3f}" for v in (*stress, *kept)] + [f"{1e3 * spent:9.0f}" for *_, spent in numbers]
        print(f"{name:26s}" + "".join(row))


def test_steady_while_it_grows() -> None:
    """A real log in forty parts: how far old nodes move, and how good the picture still is at the end."""
    try:
        edge, node, n = conversations()
    except DataUnavailable as error:
        print(error)
        return
    grown, before, rows = Layout(), None, []
    for cut in np.linspace(0, len(edge), 41).astype(int)[1:]:
        known = int(node[:cut].max()) + 1
        now = grown.update(np.arange(known), node[:cut], edge[:cut])
        anew = Layout().update(np.arange(known), node[:cut], edge[:cut])
        if before is not None and not now.attrs["fresh"]:
            old = len(before.x)
            shift = np.hypot(anew.x[:old].values - before.x.values, anew.y[:old].values - before.y.values)
            rows.append((now.attrs["moved_mean"], now.attrs["moved_max"], float(shift.mean())))
        before = now
    sources = np.arange(0, n, 2)
    hops = hop_distances(n, node, edge, sources)
    length = np.hypot(
        *(now[a].values[node] - pd.Series(now[a].values[node]).groupby(edge).transform("mean") for a in "xy")
    )
    stress = [normalised_stress(laid.x, laid.y, hops, sources) for laid in (now, anew)]
    means = np.mean(rows, axis=0)
    print(
        f"\n{n} nodes, {len(edge)} incidences, {len(rows)} updates; a node is {length.mean():.2f} from its hyperedges"
    )
    print(f"  old nodes move {means[0]:.3f} in the mean, {max(r[1] for r in rows):.3f} at most; anew: {means[2]:.2f}")
    print(f"  stress at the end {stress[0]:.3f}, of a new layout {stress[1]:.3f}")


def test_time_by_size() -> None:
    """Random hypergraphs with popular nodes, five incidences per node: from nothing, ten more, and stopping."""
    Layout().update(np.arange(400), lattice(20)[1], lattice(20)[0])  # compiled before
    Layout().update(np.arange(20_000), *hyperedges(20_000, 20_000, 5)[::-1])
    sizes = [1_000, 10_000, 100_000, *([1_000_000] if "--large" in sys.argv else [])]
    print(f"\n{'nodes':>10s}{'incidences':>12s}{'from nothing':>14s}{'ten more':>10s}{'stops within':>14s}")
    for n in sizes:
        edge, node = hyperedges(n, n, 5)
        layout = Layout()
        start = time.perf_counter()
        layout.update(np.arange(n), node, edge)
        whole = time.perf_counter() - start
        more = (
            np.concatenate([node, np.arange(n - 10, n + 10)]),
            np.concatenate([edge, np.repeat(np.arange(10), 2) + n]),
        )
        start = time.perf_counter()
        layout.update(np.arange(n + 10), *more)
        grown = time.perf_counter() - start
        print(
            f"{n:10,d}{len(node):12,d}{whole:12.2f} s{grown:8.2f} s{1e3 * longest_look(n, node, edge, whole):11.0f} ms"
        )


def longest_look(n: int, node: np.ndarray, edge: np.ndarray, whole_s: float) -> float:
    """Longest time between two questions whether to stop, s, during the first half of a layout."""
    asked = [time.perf_counter()]

    def cancel() -> bool:
        asked.append(time.perf_counter())
        return asked[-1] - asked[0] > 0.5 * whole_s

    try:
        Layout().update(np.arange(n), node, edge, cancel=cancel)
    except Cancelled:
        asked.append(time.perf_counter())
    return float(np.diff(asked).max())


if __name__ == "__main__":
    test_quality_against_networkx()
    test_steady_while_it_grows()
    test_time_by_size()
