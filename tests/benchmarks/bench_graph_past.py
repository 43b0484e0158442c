"""How long the graph as of a past moment takes, over ten million events, beside folding all of them anew.

Run from the repository root: ``python -m tests.benchmarks.bench_graph_past [EVENTS]``; `bench_hypergraph` runs it
too. Times are of one run, so that ratios compare.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.events.log import EventLog
from engine.events.schema import event_table
from engine.graph_history import GraphHistory
from engine.hypergraph.graph_fold import GraphFold

EVENTS, BATCH, HOSTS = 10_000_000, 100_000, 400_000
RATE_HZ = 1_000.0
START_S = 1.6e9


def flows(n: int, seed: int, start_s: float) -> pa.Table:
    """Flows between hosts some of which are far busier than others, in order of time but for a second or so."""
    rng = np.random.default_rng(seed)
    a, b = ((rng.random((2, n)) ** 3) * HOSTS).astype(int)
    payload = [
        f'{{"src_ip":"10.{i >> 16}.{i >> 8 & 255}.{i & 255}","dest_ip":"172.{j >> 16}.{j >> 8 & 255}.{j & 255}",'
        f'"src_port":{40000 + i % 20000},"dest_port":{j % 1000},"proto":"TCP","pkts_to_server":{i % 50}}}'
        for i, j in zip(a.tolist(), b.tolist(), strict=True)
    ]
    time_us = ((start_s + np.arange(n) / RATE_HZ + rng.normal(0, 0.5, n)) * 1e6).astype(np.int64)
    entity = [f"1:{i * 7919 + j:x}" for i, j in zip(a.tolist(), b.tolist(), strict=True)]
    return event_table(time_us, "net.flow", entity, "bench", payload=payload)


def past_times(events: int = EVENTS, moments: int = 12) -> None:
    """Fill a log, save graphs on the way as the station does, and go to moments of the past."""
    with tempfile.TemporaryDirectory(prefix="bench-graph-") as folder, EventLog(Path(folder) / "events.duckdb") as log:
        history, fold, spent = GraphHistory(log, Path(folder) / "graph", GraphFold()), GraphFold(), 0.0
        for part in range(events // BATCH):
            batch = log.commit(flows(BATCH, part, START_S + part * BATCH / RATE_HZ))
            for first in range(0, BATCH, 10_000):
                start = time.perf_counter()
                fold.apply(batch.slice(first, 10_000))
                spent += time.perf_counter() - start
                history.offer(fold, wait=True)
        shot_s = min(_timed(lambda: fold.snapshot(fold.newest_s)) for _ in range(5))
        kept = history.saved()
        print(f"\n{log.last_seq:,} events, folded at {events / spent:,.0f} events/s; {fold.graph.n_nodes:,} nodes, "
              f"{fold.graph.n_incidences:,} incidences, evicted {fold.counts['evicted_edges']:,}")  # fmt: skip
        print(f"  snapshot of now: {1e3 * shot_s:.0f} ms; {len(kept)} graphs saved, "
              f"{sum(s.n_bytes for s in kept) / 2**20:.0f} MiB")  # fmt: skip
        rng = np.random.default_rng(1)
        took = []
        for moment in START_S + rng.uniform(0.02, 0.99, moments) * events / RATE_HZ:
            took.append(_timed(lambda moment=moment: history.as_of(moment_s=moment).snapshot(moment)))
        moment = START_S + 0.95 * events / RATE_HZ
        saved_s = _timed(lambda: history.as_of(moment_s=moment).snapshot(moment))
        start = time.perf_counter()
        whole = GraphFold()
        for table in log.stream(0, moment):
            whole.apply(table)
        whole_s = time.perf_counter() - start
        print(f"  as of a past moment: {np.median(took):.2f} s in the median, {max(took):.2f} s at most; "
              f"at 95 % {saved_s:.2f} s, all anew {whole_s:.1f} s: {whole_s / saved_s:.0f} x")  # fmt: skip
        history.close()


def _timed(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


if __name__ == "__main__":
    past_times(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS)
