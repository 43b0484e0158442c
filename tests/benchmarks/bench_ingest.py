"""How fast EVE files and captures become events: `python tests/benchmarks/bench_ingest.py`.

Rates are per second of CPU time of one process on one core; beside the EVE reader, the JSON parsers alone on the
same lines, which only make Python objects or columns of what the reader checks, maps and writes.
"""

from __future__ import annotations

import argparse
import bz2
import io
import struct
import time
import tracemalloc
from collections import deque
from collections.abc import Callable

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json as pj

from data.loader import locate
from engine.ingest import Rejects, iter_eve, iter_pcap, read_eve, read_pcap


def best_of(times: int, call: Callable[[], object]) -> float:
    """Least CPU time of some calls, s: what else runs on the machine matters less to it."""
    durations = []
    for _ in range(times):
        start = time.process_time()
        call()
        durations.append(time.process_time() - start)
    return min(durations)


def drained(tables: object) -> int:
    """Events of an iterator of tables."""
    return sum(table.num_rows for table in tables)  # type: ignore[attr-defined]


def bench_eve(repeat: int, rounds: int) -> None:
    """Events per second of the real sample without its statistics, and of all of it."""
    raw = bz2.decompress(locate("net/eve_large.json.bz2").read_bytes())
    lines = [line for line in raw.splitlines() if b'"event_type":"stats"' not in line] * repeat
    data = b"\n".join(lines) + b"\n"
    read_eve(data[:100_000])  # compiled
    n, size = len(lines), len(data) / 1e6
    seconds = best_of(rounds, lambda: drained(iter_eve(data)))
    ours = n / seconds
    print(f"EVE without stats: {n:,} events, {size:.0f} MB: {ours:,.0f} events/s, {size / seconds:.0f} MB/s")
    seconds = best_of(rounds, lambda: deque(map(orjson.loads, lines), maxlen=0))
    print(f"  orjson.loads alone, to objects: {n / seconds:,.0f} lines/s; the reader is {ours * seconds / n:.2f} of it")
    options = pj.ReadOptions(use_threads=False, block_size=1 << 22)
    seconds = best_of(rounds, lambda: pj.read_json(pa.BufferReader(data), read_options=options))
    print(f"  pyarrow.json alone, to columns: {n / seconds:,.0f} lines/s; the reader is {ours * seconds / n:.2f} of it")
    seconds = best_of(1, lambda: read_eve(raw))
    print(f"EVE with stats: {len(raw) / 1e6:.0f} MB: {raw.count(10) / seconds:,.0f} events/s, ", end="")
    print(f"{len(raw) / 1e6 / seconds:.0f} MB/s")


def capture(packets: int, flows: int, payload: int) -> bytes:
    """A capture of TCP segments of one size, of many flows in turn."""
    frame = np.zeros((packets, 16 + 54 + payload), np.uint8)
    stamp = np.arange(packets, dtype=np.int64) * 10
    size = 54 + payload
    head = np.empty((packets, 4), "<u4")
    head[:, 0], head[:, 1], head[:, 2], head[:, 3] = 1_700_000_000 + stamp // 1_000_000, stamp % 1_000_000, size, size
    frame[:, :16] = head.view(np.uint8)
    frame[:, 28:30] = (0x08, 0x00)
    frame[:, 30], frame[:, 39] = 0x45, 6
    frame[:, 32:34] = np.frombuffer(struct.pack(">H", 40 + payload), np.uint8)
    flow = np.arange(packets) % flows
    frame[:, 42:46] = (10_000_000 + flow).astype(">u4")[:, None].view(np.uint8).reshape(-1, 4)
    frame[:, 46:50] = (192, 168, 0, 1)
    frame[:, 50:52] = (40_000 + flow % 20_000).astype(">u2")[:, None].view(np.uint8).reshape(-1, 2)
    frame[:, 52:54] = (0x01, 0xBB)
    frame[:, 54:58] = ((np.arange(packets) // flows) * payload).astype(">u4")[:, None].view(np.uint8).reshape(-1, 4)
    frame[:, 62], frame[:, 63] = 0x50, 0x18
    frame[:, 70:71] = 23  # TLS application data
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1) + frame.tobytes()


def bench_pcap(packets: int, rounds: int) -> None:
    """Packets per second: large and small ones, few and many flows, and the real captures over and over."""
    read_pcap(capture(10, 2, 10))  # compiled
    for flows, payload in ((1_000, 512), (1_000, 0), (packets // 8, 64)):
        data = capture(packets, flows, payload)
        seconds = best_of(rounds, lambda data=data: drained(iter_pcap(data)))  # type: ignore[misc]
        print(f"PCAP, {packets:,} segments of {payload} bytes in {flows:,} flows: {packets / seconds:,.0f} packets/s")
    for name in ("suricata-dhcp-request-flood", "suricata-tls-subjectaltname"):
        raw = locate(f"net/pcap/{name}.pcap").read_bytes()
        count = max(1, 100_000_000 // len(raw))
        data = raw[:24] + raw[24:] * count
        rejects = Rejects()
        seconds = best_of(1, lambda data=data, rejects=rejects: drained(iter_pcap(data, rejects=rejects)))  # type: ignore[misc]
        print(f"PCAP, {name} x {count}: {rejects.records / seconds:,.0f} packets/s")


def bench_memory() -> None:
    """Memory that is held while a long capture streams through."""
    data = capture(2_000_000, 100_000, 0)
    file = io.BytesIO(data)
    tracemalloc.start()
    drained(iter_pcap(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"memory while {len(data) / 1e6:.0f} MB of packets stream: at most {peak / 1e6:.0f} MB")


def main() -> None:
    """All of it, in about a minute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=10, help="how often the EVE sample is repeated")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bench_memory()
    bench_eve(options.repeat, options.rounds)
    bench_pcap(options.packets, options.rounds)


if __name__ == "__main__":
    main()
