"""Graphs to draw: told as events and folded as the station folds them, with nodes standing where a test puts them."""

from __future__ import annotations

import numpy as np

from engine.events.schema import event_table
from engine.frames.graph_frame import GraphFrames
from engine.frames.graph_places import Places
from engine.hypergraph.graph_fold import GraphFold
from engine.hypergraph.graph_snapshot import GraphSnapshot

MOMENT_S = 1_790_000_000.0


class Standing:
    """Places that are given: of the first nodes, the rest has none."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y, self.version = np.asarray(x, float), np.asarray(y, float), 1

    def of(self, snapshot: GraphSnapshot, past: bool) -> Places:
        """Places of the nodes of a snapshot."""
        x, y = np.full((2, snapshot.n_nodes), np.nan)
        n = min(len(self.x), snapshot.n_nodes)
        x[:n], y[:n] = self.x[:n], self.y[:n]
        return Places(x, y, self.version)


def pairs(n: int, seed: int = 0) -> GraphFold:
    """A fold of n flows, each between two hosts of its own: 2 n hosts; every third also names what it asked for."""
    rng = np.random.default_rng(seed)
    time_us = ((MOMENT_S - rng.uniform(0.0, 900.0, n)) * 1e6).astype(np.int64)
    rest = [f"{i // 65536}.{i // 256 % 256}.{i % 256}" for i in range(n)]
    payload = [
        f'{{"src_ip": "10.{rest[i]}", "dest_ip": "11.{rest[i]}"'
        + (f', "tls_sni": "n{i}.example"' if i % 3 == 0 else "") + "}"
        for i in range(n)
    ]  # fmt: skip
    fold = GraphFold()
    fold.apply(event_table(time_us, ["net.tls"] * n, [f"flow{i}" for i in range(n)], "test", payload=payload))
    return fold


def frames(fold: GraphFold, x: np.ndarray, y: np.ndarray, **more: object) -> GraphFrames:
    """What computes frames of a fold whose nodes stand at x, y in both spaces."""
    places = Standing(x, y)
    return GraphFrames(
        lambda moment_s: fold.snapshot(MOMENT_S if moment_s is None else moment_s),
        {"layout": places, "map": places}, **more,  # type: ignore[arg-type]
    )  # fmt: skip
