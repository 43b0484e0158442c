"""Many viewers of the Field page on one process: rate, bytes, CPU, memory, latency, churn, half-open clients.

Run alone on a quiet machine: ``make bench`` or ``python -m tests.benchmarks.bench_viewers``. It serves the
page on a port of its own with a Redis of its own, and prints what docs/performance.md quotes.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from tornado.httpclient import AsyncHTTPClient

from tests.benchmarks.protocol_viewer import ProtocolViewer

VIEWERS, SECONDS, CHURN = 40, 30.0, 200


@contextmanager
def served(
    kernel_cache: str | None = None, command: list[str] | None = None
) -> Iterator[tuple[str, psutil.Process, float]]:
    """The dashboard in a process of its own: its address, the process, and seconds until it was ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PORT": str(port), "DATA_DIR": folder}
        env.pop("REDIS_URL", None)
        if kernel_cache is not None:
            env["NUMBA_CACHE_DIR"] = kernel_cache
        started = time.monotonic()
        with (Path(folder) / "server.log").open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, *(command or ["-m", "dashboard"])], env=env, stdout=log, stderr=log
            )
        base = f"http://127.0.0.1:{port}"
        try:
            while True:
                try:
                    if json.load(urllib.request.urlopen(f"{base}/ready", timeout=5))["status"] == "ready":
                        break
                except OSError:
                    time.sleep(0.05)
                assert server.poll() is None, (Path(folder) / "server.log").read_text()
            yield base, psutil.Process(server.pid), time.monotonic() - started
        finally:
            server.terminate()
            server.wait(20)


def metrics(base: str) -> dict[str, float]:
    """Numbers of `/metrics` by name."""
    text = urllib.request.urlopen(f"{base}/metrics", timeout=30).read().decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line}


async def open_viewers(base: str, n: int, *, ready: bool = True, gap_s: float = 0.05) -> list[ProtocolViewer]:
    viewers = [ProtocolViewer(f"{base}/field", ready) for _ in range(n)]
    tasks = []
    for viewer in viewers:
        tasks.append(asyncio.create_task(viewer.run()))
        await asyncio.sleep(gap_s)
    while not all(v.live for v in viewers):
        for task in tasks:
            if task.done() and task.exception():
                raise task.exception()  # type: ignore[misc]
        await asyncio.sleep(0.1)
    return viewers


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def watched(base: str, process: psutil.Process, n: int, *, ready: bool) -> None:
    before_mib = process.memory_info().rss / 2**20
    viewers = await open_viewers(base, n, ready=ready)
    await asyncio.sleep(5.0)
    cpu0, t0 = cpu_s(process), time.time()
    await asyncio.sleep(SECONDS)
    wall = time.time() - t0
    load = (cpu_s(process) - cpu0) / wall
    grown = (process.memory_info().rss / 2**20 - before_mib) / n
    rates = [sum(at > t0 for at, _ in v.arrivals) / wall for v in viewers]
    kib = [sum(size for at, size in v.arrivals if at > t0) / wall / 1024 for v in viewers]
    what = "viewers" if ready else "half-open clients"
    print(
        f"{n} {what}: page median {statistics.median(v.page_s for v in viewers):.2f} s; patches/s min {min(rates):.2f} "
        f"median {statistics.median(rates):.2f}; {statistics.mean(kib):.0f} KiB/s each; "
        f"server {100 * load:.0f} % of a core; "
        f"{grown:.1f} MiB each; {metrics(base)['scythe_frames_specs']:.0f} distinct frames a tick"
    )
    for viewer in viewers:
        viewer.close()


async def churned(base: str, process: psutil.Process) -> None:
    async def settle() -> dict[str, float]:
        for _ in range(90):
            now = metrics(base)
            left = ("scythe_sessions", "scythe_frames_watchers", "scythe_documents", "scythe_sessions_in_memory")
            if not any(now[name] for name in left):
                break
            await asyncio.sleep(1.0)
        return metrics(base)

    await settle()
    for viewer in await open_viewers(base, 20):
        viewer.close()
    await settle()
    before = process.memory_info().rss / 2**20
    threads = process.num_threads()
    for _ in range(CHURN // 20):
        viewers = await open_viewers(base, 20, gap_s=0.01)
        await asyncio.sleep(1.0)
        for viewer in viewers:
            viewer.close()
        await settle()
    after = await settle()
    print(
        f"{CHURN} sessions opened and closed: {after['scythe_sessions']:.0f} sessions, "
        f"{after['scythe_documents']:.0f} documents, {after['scythe_frames_watchers']:.0f} watchers left; "
        f"{process.num_threads() - threads:+d} threads; "
        f"memory {process.memory_info().rss / 2**20 - before:+.0f} MiB"
    )


async def main() -> None:
    """Measure and print."""
    AsyncHTTPClient.configure(None, max_clients=64)
    with served() as (base, process, ready_s):
        print(f"ready after {ready_s:.1f} s")
        await watched(base, process, VIEWERS, ready=True)
        await asyncio.sleep(25.0)
        cpu0 = cpu_s(process)
        await asyncio.sleep(20.0)
        print(f"idle server: {100 * (cpu_s(process) - cpu0) / 20.0:.0f} % of a core")
        await watched(base, process, VIEWERS, ready=False)
        await asyncio.sleep(25.0)
        await churned(base, process)


def test_viewers() -> None:
    """Entry for ``make bench``."""
    asyncio.run(main())


if __name__ == "__main__":
    asyncio.run(main())
