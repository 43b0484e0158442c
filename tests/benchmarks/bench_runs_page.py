"""From a finished file to its picture in an open browser, and memory over many artifacts.

``python tests/benchmarks/bench_runs_page.py [artifacts] [pictures]`` starts a server of its own and a Chromium on its
Runs page that opens the newest run by itself. Pictures: a file is put into the runs folder as a solver does it (hidden
name, rename), and the clock runs until the browser has its cells; beside it, in the same run, how long reading that
file takes by itself. Memory: resident size of the server as artifacts arrive.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import h5py
from playwright.sync_api import sync_playwright

from engine.runs import run_id, simulate, write_artifact
from tests.browser.driver import CHROMIUM_ARGUMENTS, Server, Tab

PROBE = (Path(__file__).parents[1] / "browser" / "probe_runs.js").read_text()


def resident_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def arrive(ready: Path, runs: Path) -> None:
    """Let a file appear whole, as `write_artifact` does."""
    hidden = runs / f".{ready.name}.part"
    shutil.copyfile(ready, hidden)
    os.replace(hidden, runs / ready.name)


def pictures(tab: Tab, made: list[Path], runs: Path) -> tuple[list[float], list[float]]:
    """Seconds from the rename of each file to its cells in the browser, and to read the file by itself."""
    seconds, alone = [], []
    for path in made:
        identity = path.stem.removeprefix("rho_history_")
        began = time.perf_counter()
        arrive(path, runs)
        tab.until(
            "(id) => runs.table().selected === id && runs.state() === 'ok' && document.getElementById('picture')"
            ".dataset.caption.includes(id.slice(0, 10)) && runs.pictures().length === 1 && runs.cells(0)", identity,
        )  # fmt: skip
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
        with h5py.File(runs / path.name, "r") as file:
            file["final_rho"][()]
        alone.append(time.perf_counter() - began)
    return seconds, alone


def main(artifacts: int = 2_000, n: int = 30) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder, ready = Path(place), Path(place) / "ready"
        ready.mkdir()
        runs = folder / "data" / "runs"
        runs.mkdir(parents=True)
        large = [write_artifact(simulate({"N_grid": 128, "T_steps": 5, "seed": s}), ready) for s in range(n)]
        run = simulate({"N_grid": 64, "T_steps": 1})
        server = Server(folder, FEED="none", REDIS_URL="").start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS)
        try:
            tab = Tab(browser, server.url)
            tab.context.add_init_script(PROBE)
            tab.open("/runs?look=run&follow=newest")
            tab.until("() => probe.models().length > 0 && probe.strip() && runs.table()")
            pictures(tab, large[:1], runs)  # the first one builds the heat map
            seconds, alone = pictures(tab, large[1:], runs)
            middle, most = statistics.median(seconds), max(seconds)
            print(f"file to picture   median {middle:.3f} s, slowest {most:.3f} s of {len(seconds)}")
            print(f"reading it alone  median {statistics.median(alone) * 1e3:.1f} ms")
            assert server._process is not None
            pid = server._process.pid
            print("artifacts  server MiB")
            for seed in range(artifacts):
                # The same grids under other parameters: what is looked at is the page, not the solver.
                params = {"N_grid": 64, "T_steps": 1, "seed": seed, "alpha": 2.0}
                run.attrs.update(run_id=run_id(params), params=_params(params))
                write_artifact(run, runs)
                if (seed + 1) % max(artifacts // 8, 1) == 0:
                    tab.until("(n) => runs.table().total >= n", seed + 1, timeout_s=120.0)
                    print(f"{seed + 1:9d}  {resident_mib(pid):.0f}", flush=True)
            print(f"troubles in the browser: {tab.troubles}")
        finally:
            browser.close()
            server.stop()


def _params(params: dict[str, object]) -> str:
    from engine.runs import RunParams, canonical_json

    return canonical_json(RunParams.of(params).as_dict())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
