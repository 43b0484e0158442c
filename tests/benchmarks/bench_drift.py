"""How fast the monitors are, and what they say to two days of a real sensor.

Run from the repository root: ``python -m tests.benchmarks.bench_drift``. The load to hold is one million events a
minute through all monitors on one core; what counts is the sum of their shares of that minute.
"""

from __future__ import annotations

import bz2
import json
import time
import tracemalloc
from collections import Counter

import numpy as np
import pyarrow as pa

from data.loader import DataUnavailable, locate
from engine.drift import (
    BehaviourMonitor,
    DriftGate,
    KillChainMonitor,
    Monitor,
    SilenceMonitor,
    Stability,
    TimingMonitor,
    dominant_period,
    gini,
    js_distance,
    theil_sen,
)
from engine.events import event_table
from engine.monitors import MonitorRunner

PER_MINUTE = 1_000_000
BATCH = 20_000


def monitors() -> list[Monitor]:
    """One of each."""
    return [
        DriftGate(), Stability(), BehaviourMonitor(["dest_port", "proto", "peer"]), KillChainMonitor(), TimingMonitor(),
        SilenceMonitor(),
    ]  # fmt: skip


def batches(minutes: float, seed: int = 0) -> list[pa.Table]:
    """A million events a minute: 200 clusters, a tenth of them changes of 5 000 edges."""
    rng = np.random.default_rng(seed)
    out = []
    for first in range(0, int(minutes * PER_MINUTE), BATCH):
        times = 1_700_000_000_000_000 + (first + np.arange(BATCH)) * (60_000_000 // PER_MINUTE)
        changes = rng.uniform(size=BATCH) < 0.1
        kinds = np.where(changes, "edge.reinforced", "net.flow").tolist()
        entity = np.where(changes, rng.integers(0, 5000, BATCH), rng.integers(0, 1000, BATCH))
        cluster, port, proto = rng.integers(0, 200, BATCH), rng.integers(0, 30, BATCH), rng.integers(0, 3, BATCH)
        payload = [
            f'{{"cluster":"c{c}","dest_port":{a},"proto":"p{b}","peer":"h{a}","weight":0.5,"stage":{1 + b}}}'
            for c, a, b in zip(cluster.tolist(), port.tolist(), proto.tolist(), strict=True)
        ]
        out.append(event_table(times, kinds, [f"e{i}" for i in entity.tolist()], "bench", payload=payload))
    return out


def bench_throughput(minutes: float) -> None:
    """Share of a minute that a minute's events take, and the memory held afterwards."""
    tables = batches(minutes)
    total = 0.0
    for monitor in monitors():
        monitor.update(tables[0])  # kernels compiled, columns allocated
        tracemalloc.start()
        start = time.process_time()
        for table in tables[1:]:
            monitor.update(table)
        share = (time.process_time() - start) / ((len(tables) - 1) * BATCH / PER_MINUTE * 60.0)
        held = tracemalloc.get_traced_memory()[0] / 2**20
        tracemalloc.stop()
        start = time.process_time()
        for k in range(5):
            monitor.advance(monitor.clock_s + monitor.step_s * (k + 1))
        look_ms = (time.process_time() - start) / 5 * 1e3
        total += share
        print(f"{monitor.name:12s} {100 * share:6.1f} % of a core   look {look_ms:8.1f} ms   grew by {held:6.1f} MiB")
    print(f"{'all':12s} {100 * total:6.1f} % of a core at {PER_MINUTE:,} events a minute")


def bench_runner(minutes: float) -> None:
    """All monitors in the runner, in batches as small as the station writes them: share of a core and memory."""
    tables = batches(minutes)
    pieces = [table.slice(at, 2_000) for table in tables for at in range(0, table.num_rows, 2_000)]
    for limit_s in (None, 10.0):
        runner = MonitorRunner(limit_s=limit_s)
        for piece in pieces[:10]:
            runner.apply(piece)
        tracemalloc.start() if limit_s else None
        start = time.process_time()
        for piece in pieces[10:]:
            runner.apply(piece)
            runner.take()
        share = (time.process_time() - start) / ((len(pieces) - 10) * 2_000 / PER_MINUTE * 60.0)
        held = tracemalloc.get_traced_memory()[0] / 2**20 if limit_s else float("nan")
        tracemalloc.stop()
        runner.close()
        how = "one thread each, memory traced" if limit_s else "in the caller's thread"
        print(f"runner, {how}: {100 * share:.1f} % of a core at {PER_MINUTE:,} a minute   grew by {held:.1f} MiB")


def best_ms(call, repeat: int = 5) -> float:
    """Shortest of some runs, ms."""
    took = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return min(took) * 1e3


def bench_metrics() -> None:
    """Single numbers of large inputs."""
    rng = np.random.default_rng(1)
    many, times = rng.uniform(size=1_000_000), np.sort(rng.uniform(0, 3600, 10_000))
    line = np.arange(1000.0)
    for name, call in {
        "gini of 1 000 000": lambda: gini(many),
        "js_distance of 1 000 000 categories": lambda: js_distance(many, many[::-1]),
        "theil_sen of 1 000": lambda: theil_sen(line, line),
        "dominant_period of 10 000": lambda: dominant_period(times),
    }.items():
        call()
        print(f"{name}: {best_ms(call):.1f} ms")


def real_alarms() -> None:
    """Alarms per day on the Suricata log, as rows of the table in docs/engine-drift.md."""
    try:
        path = locate("net/eve_large.json.bz2")
    except DataUnavailable as error:
        print(error)
        return
    with bz2.open(path, "rt") as lines:
        records = [r for r in map(json.loads, lines) if r["event_type"] != "stats"]
    stamps = np.array([np.datetime64(r["timestamp"][:-5], "us") for r in records]) - np.timedelta64(3, "h")
    order = np.argsort(stamps, kind="stable")
    records = [records[i] for i in order]
    payload = [
        json.dumps({"cluster": "sensor", "dest_port": str(r.get("dest_port", "")), "proto": r.get("proto", "")})
        for r in records
    ]
    events = event_table(
        stamps[order], [f"net.{r['event_type']}" for r in records], [r.get("src_ip", "none") for r in records], "eve",
        payload=payload,
    )  # fmt: skip
    days = float((stamps.max() - stamps.min()) / np.timedelta64(1, "D"))
    print("| monitor | alarms | per day | labels |\n| --- | --- | --- | --- |")
    for monitor in (BehaviourMonitor(["dest_port", "proto"]), TimingMonitor(), SilenceMonitor()):
        raised = [t for t in monitor.update(events) if t.raised]
        labels = ", ".join(f"{label} {n}" for label, n in Counter(t.label for t in raised if t.label).most_common())
        print(f"| {monitor.name} | {len(raised)} | {len(raised) / days:.1f} | {labels} |")


def test_bench_drift() -> None:
    """Everything, for ``make bench``."""
    bench_throughput(0.5)
    bench_runner(0.3)
    bench_metrics()
    real_alarms()


if __name__ == "__main__":
    test_bench_drift()
