"""From a finished artifact to the watch's word of it, and the memory of a watch over many artifacts.

python tests/benchmarks/bench_watch.py [ARTIFACTS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from engine.runs import ArtifactChange, RunWatch, simulate, write_artifact


def main() -> None:
    """Print latency, memory and the time of lists and of a first scan."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    told: dict[str, float] = {}
    arrived = threading.Condition()

    def hear(changes: list[ArtifactChange]) -> None:
        with arrived:
            told.update({change.path.name: time.monotonic() for change in changes})
            arrived.notify_all()

    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        with RunWatch(folder, hear) as watch:
            watch.ready()
            latencies = []
            for seed in range(20):
                path = write_artifact(simulate({"N_grid": 64, "T_steps": 1, "seed": seed}), folder)
                written = time.monotonic()
                with arrived:
                    arrived.wait_for(lambda name=path.name: name in told, 30.0)  # type: ignore[misc]
                latencies.append(told[path.name] - written)
            print(
                f"told after {1e3 * statistics.median(latencies):.0f} ms (median), {1e3 * max(latencies):.0f} (worst)"
            )
            told.clear()
            for seed in range(count):
                write_artifact(simulate({"N_grid": 16, "T_steps": 1, "seed": 1000 + seed}), folder)
                if seed % (count // 5) == 0:
                    print(f"{seed + 20} artifacts: {process.memory_info().rss / 2**20:.0f} MiB")
            while watch.artifacts(columns=["path"]).num_rows < count + 20:
                time.sleep(0.05)
            began = time.monotonic()
            watch.artifacts("-mtime", {"status": "ok"}, limit=50)
            print(f"the newest 50 of {count + 20}: {1e3 * (time.monotonic() - began):.1f} ms; "
                  f"{process.memory_info().rss / 2**20:.0f} MiB at the end")  # fmt: skip
        began = time.monotonic()
        with RunWatch(Path(folder)) as watch:
            watch.ready()
            print(f"a first scan: {1e3 * (time.monotonic() - began) / (count + 20):.1f} ms for each artifact")


if __name__ == "__main__":
    main()
