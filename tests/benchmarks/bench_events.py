"""How fast the event room is: appends, look-ups in a long log, and from publish to fold.

Run it by itself (``python tests/benchmarks/bench_events.py``); it is no test, for its numbers depend on
the machine and on what else runs there. The ratios hold better than the numbers.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.events import FIX, EmbeddedRedis, EventBus, EventLog, Follower, event_table, payload_columns

T0_US = 1_700_000_000_000_000
PAYLOAD = '{"speed_m_s": 123.4, "track_deg": 12.0, "callsign": "SWR123", "confidence": 0.9}'


def fixes(first: int, n: int) -> pa.Table:
    """n fixes of 300 emitters, a millisecond apart."""
    times = T0_US + np.arange(first, first + n) * 1_000
    entities = [f"e{i % 300}" for i in range(n)]
    position = np.linspace(46.0, 47.0, n)
    return event_table(times, FIX, entities, "bench", lat=position, lon=position, alt_m=position, payload=[PAYLOAD] * n)


def best_of(times: int, call: Callable[[], object]) -> float:
    """Shortest duration of some calls, s."""
    durations = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return min(durations)


def bench_append(log: EventLog, total: int, batch: int) -> None:
    """Events per second and latency of commits."""
    tables = [fixes(first, batch) for first in range(0, total, batch)]
    latency_ms = []
    started = time.perf_counter()
    for table in tables:
        start = time.perf_counter()
        log.append(table)
        latency_ms.append((time.perf_counter() - start) * 1e3)
    rate = total / (time.perf_counter() - started)
    median, p99 = np.percentile(latency_ms, [50, 99])
    print(f"append, batches of {batch}: {rate:,.0f} events/s; commit median {median:.2f} ms, p99 {p99:.2f} ms")


def bench_reads(log: EventLog) -> None:
    """Look-ups in a long log."""
    n = log.last_seq
    start_s, span_s = T0_US / 1e6, n / 1e3
    middle = start_s + span_s / 2
    print(f"log of {n:,} events:")
    for what, call in {
        "between, 1 % of it": lambda: log.between(middle, middle + span_s / 100),
        "between, 1 %, one kind": lambda: log.between(middle, middle + span_s / 100, kinds=[FIX]),
        "between, half of it": lambda: log.between(start_s, middle),
        "since, last 1000": lambda: log.since(n - 1000),
        "histogram, all, 200 bins": lambda: log.histogram(start_s, start_s + span_s, 200),
        "as_of, all": lambda: log.as_of(n),
    }.items():
        print(f"  {what}: {best_of(5, call) * 1e3:.1f} ms")
    table = log.since(0, limit=100_000)
    fields = {"speed_m_s": np.float64, "callsign": str}
    seconds = best_of(5, lambda: payload_columns(table, fields))
    print(f"payload_columns, two fields of {table.num_rows:,}: {seconds * 1e3:.0f} ms")


def bench_publish_to_fold(batches: int, batch: int) -> None:
    """Latency from `publish_events` to the end of a fold, events brought by the bus."""
    arrived, arrivals = threading.Semaphore(0), []

    class Clock:
        def apply(self, table: pa.Table) -> None:
            arrivals.append(time.perf_counter())
            arrived.release()

    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedRedis() as server,
        EventBus(server.url) as bus,
        EventLog(Path(folder) / "log.duckdb") as log,
        Follower(log, bus) as follower,
    ):
        follower.add(Clock())
        while follower.mode != "bus":
            time.sleep(0.01)
        time.sleep(0.5)
        published = []
        for i in range(batches):
            table = log.commit(fixes(i * batch, batch))
            published.append(time.perf_counter())
            bus.publish_events(table)
            arrived.acquire(timeout=5)
        median, p99 = np.percentile((np.array(arrivals) - published) * 1e3, [50, 99])
        print(f"publish to fold, batches of {batch}: median {median:.2f} ms, p99 {p99:.2f} ms", end="; ")
        print(f"read from the log: {follower.stats().from_log} of {batches * batch}")


def bench_recovery() -> None:
    """How soon a lost server and a returned one are noticed."""
    with EmbeddedRedis() as server, EventBus(server.url) as bus:
        bus.subscribe("x", lambda _: None)
        wait(lambda: bus.hearing and bus.state.publishing.connected)
        server._end_process()
        lost_s = wait(lambda: not bus.hearing), wait(lambda: not bus.state.publishing.connected)
        time.sleep(2)
        server.restart()
        back_s = wait(lambda: bus.hearing and bus.state.publishing.connected)
    print(f"server gone, idle: noticed after {lost_s[0]:.2f} s (subscriber), {sum(lost_s):.2f} s (publisher)", end="; ")
    print(f"back after 2 s away: noticed after {back_s:.2f} s")


def wait(true: Callable[[], bool]) -> float:
    """Seconds until it is true."""
    start = time.perf_counter()
    while not true():
        time.sleep(0.002)
    return time.perf_counter() - start


def main() -> None:
    """All of it, in about half a minute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="length of the log")
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as folder, EventLog(Path(folder) / "log.duckdb") as log:
        bench_append(log, min(events, 2_000), 1)
    with tempfile.TemporaryDirectory() as folder, EventLog(Path(folder) / "log.duckdb") as log:
        bench_append(log, events, 1_000)
        bench_reads(log)
    for batch in (1, 100, 1_000):
        bench_publish_to_fold(500, batch)
    bench_recovery()


if __name__ == "__main__":
    main()
