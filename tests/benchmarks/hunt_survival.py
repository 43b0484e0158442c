"""A hunt whose workers and whose own process are killed with SIGKILL at random moments, against an undisturbed one.

Both must end with the same ledger and the same artifacts, byte for byte. 200 runs:

    python tests/benchmarks/hunt_survival.py [RUNS] [KILLS OF THE HUNT]
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from engine.runs import Hunt, Ledger

PARAMS = {"N_grid": 8, "T_steps": 4}
DRAWS = 9

# What must not depend on when it was done, nor on how often it was tried.
_TIMES = {"queued_at", "started_at", "finished_at", "seconds", "attempts"}


def outcome(folder: Path) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Rows of the ledger without times, and the bytes of all artifacts and provenance files."""
    with Ledger(folder) as ledger:
        table = ledger.runs("number")
    rows = table.select([name for name in table.column_names if name not in _TIMES]).to_pylist()
    files = [*folder.glob("rho_history_*.h5"), *folder.glob("provenance_*.json")]
    return rows, {path.name: path.read_bytes() for path in sorted(files)}


def undisturbed(folder: Path, runs: int, workers: int = 2) -> None:
    """The hunt as it goes when nobody kills anything."""
    with Hunt(folder, budget=runs, workers=workers, params=PARAMS, draws=DRAWS, seed=7) as hunt:
        hunt.start()
        status = hunt.wait()
    assert (status.state, status.done) == ("finished", runs), status


def command(folder: Path, runs: int) -> list[str]:
    """The same hunt on a command line."""
    given = [f"--set={name}={value}" for name, value in PARAMS.items()]
    return [sys.executable, "-m", "engine.runs", "hunt", str(folder), "--seed=7", "--workers=2", "--retries=50",
            f"--budget={runs}", f"--draws={DRAWS}", *given]  # fmt: skip


def under_fire(folder: Path, runs: int, kills: int, chance: random.Random) -> dict[str, int]:
    """Run the hunt; kill a worker now and then, and the hunt itself so many times; start it again each time."""
    count = {"workers killed": 0, "hunts killed": 0, "orphans": 0}
    while True:
        process = subprocess.Popen(command(folder, runs), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        # The moment counts from the first runs on, wherever in the hunt they are: imports are not of interest.
        until = chance.uniform(0.05, 0.15 * runs / 20) if count["hunts killed"] < kills else float("inf")
        began: float | None = None
        before = done_of(folder)
        while process.poll() is None:
            time.sleep(chance.uniform(0.02, 0.12))
            began = began or (time.monotonic() if done_of(folder) > before else None)
            if began is None:
                continue
            workers = children(process.pid)
            if time.monotonic() - began > until:
                process.kill()
                process.wait()
                count["hunts killed"] += 1
                count["orphans"] += survivors(workers)
                break
            if workers and count["workers killed"] < 3 * kills and chance.random() < 0.1:
                count["workers killed"] += 1
                os.kill(chance.choice(workers), signal.SIGKILL)
        out = process.communicate()[0]
        if process.returncode == 0:
            assert json.loads(out)["state"] == "finished"
            return count
        assert process.returncode == -signal.SIGKILL, f"the hunt ended with {process.returncode}: {out!r}"


def done_of(folder: Path) -> int:
    """Artifacts that are there."""
    return sum(1 for _ in folder.glob("rho_history_*.h5"))


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def survivors(pids: list[int], within_s: float = 5.0) -> int:
    """How many of these processes are still alive after a while."""
    end = time.monotonic() + within_s
    while alive := [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]:
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return len(alive)


def main() -> None:
    """Compare the two and say what happened."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    chance = random.Random(runs + kills)
    with tempfile.TemporaryDirectory() as calm, tempfile.TemporaryDirectory() as fire:
        undisturbed(Path(calm), runs)
        count = under_fire(Path(fire), runs, kills, chance)
        (rows, files), (others, copies) = outcome(Path(calm)), outcome(Path(fire))
        states = {row["state"] for row in others}
        print(f"{runs} runs, {count}: ledgers equal: {rows == others}, artifacts equal: {files == copies}, {states}")
        sys.exit(rows != others or files != copies or count["orphans"] > 0)


if __name__ == "__main__":
    main()
