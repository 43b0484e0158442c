"""Volumes: time against the arithmetic limit of brute force, bytes of an update, pictures per second in Chromium.

python -m tests.benchmarks.bench_volume            # engine: time and bytes
python -m tests.benchmarks.bench_volume URL        # and the page of a server that runs, e.g. http://localhost:5006
python -m tests.benchmarks.bench_volume page       # or of one that it starts, with the recorded flights
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numba import get_num_threads, njit, prange
from playwright.sync_api import FloatRect, sync_playwright

from engine.events.schema import FIX, event_table
from engine.frames.volume_frame import compute_volume_frame
from engine.frames.volume_spec import DETAILS, VolumeSpec
from engine.geo import geodetic_to_ecef
from engine.rf import Grid, power_volume, volume_grid
from engine.rf.tracks import TrackFold
from tests.benchmarks.bench_field import SLOTS_PER_PAIR, best_s
from tests.benchmarks.bench_field_tree import in_turn, multiply_adds_per_s
from tests.browser.driver import CHROMIUM_ARGUMENTS, Server, Tab

BOX = (5.2, 45.2, 11.2, 48.4)
EMITTERS = 1_000


LANES, KNOWN = 256, 64
"""Cells and emitters of the kernels that measure the units: 4 kB, which never leave the first-level cache."""


@njit(nogil=True, fastmath={"contract"})
def _chain(seed, rounds):
    """Multiply-adds that wait for each other: each takes four cycles (Zen 2 to 5, Skylake and later)."""
    v, a, b = seed, np.float32(0.999), np.float32(1e-3)
    for _ in range(rounds):
        v = (v * a + b) * a + b
        v = (v * a + b) * a + b
    return v


@njit(nogil=True, parallel=True, error_model="numpy", fastmath={"contract"})
def _divisions(seed, rounds, workers):
    """Four divisions a lane and round, nothing else."""
    out = np.zeros(workers, np.float32)
    for worker in prange(workers):
        lanes = np.full(LANES, seed, np.float32)
        for _ in range(rounds):
            for c in range(LANES):
                lanes[c] = np.float32(1.5) / (np.float32(1.5) / (np.float32(1.5) / (np.float32(1.5) / lanes[c])))
        out[worker] = lanes.sum()
    return out


@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _four(x, y, z, e, i):
    """Four emitters at a cell, with one division: the operations of brute force and no others."""
    d0 = (x - e[0, i]) ** 2 + ((y - e[1, i]) ** 2 + (z - e[2, i]) ** 2)
    d1 = (x - e[0, i + 1]) ** 2 + ((y - e[1, i + 1]) ** 2 + (z - e[2, i + 1]) ** 2)
    d2 = (x - e[0, i + 2]) ** 2 + ((y - e[1, i + 2]) ** 2 + (z - e[2, i + 2]) ** 2)
    d3 = (x - e[0, i + 3]) ** 2 + ((y - e[1, i + 3]) ** 2 + (z - e[2, i + 3]) ** 2)
    d01, d23 = d0 * d1, d2 * d3
    up = (e[3, i] * d1 + e[3, i + 1] * d0) * d23 + (e[3, i + 2] * d3 + e[3, i + 3] * d2) * d01
    return up / (d01 * d23)


@njit(nogil=True, parallel=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _same_operations(cells, emitters, rounds, workers):
    """Eight emitters at every cell that was fetched: what the operations of brute force take where nothing is fetched.

    `rounds` times all of `KNOWN` emitters at all of `LANES` cells, by each worker.
    """
    out = np.zeros((workers, LANES), np.float32)
    for worker in prange(workers):
        x, y, z, total = cells[0].copy(), cells[1].copy(), cells[2].copy(), np.zeros(LANES, np.float32)
        for _ in range(rounds):
            for i in range(0, KNOWN, 8):
                for c in range(LANES):
                    total[c] += _four(x[c], y[c], z[c], emitters, i) + _four(x[c], y[c], z[c], emitters, i + 4)
        out[worker] = total
    return out


@njit(parallel=True, fastmath=True)
def _fused_loop(out, px, py, pz, ex, ey, ez, gain):
    """What a compiler makes of the formula: per pair three differences, three products, one division, float32."""
    for i in prange(px.size):
        total = np.float32(0)
        for k in range(ex.size):
            dx, dy, dz = px[i] - ex[k], py[i] - ey[k], pz[i] - ez[k]
            total += gain[k] / (dx * dx + dy * dy + dz * dz + np.float32(1e-3))
        out[i] = total


def the_machine() -> dict[str, float]:
    """What the cores do at most, a second: cycles of one, multiply-adds, divisions and pairs of all of them."""
    threads, one = get_num_threads(), np.float32(0.5)
    rng = np.random.default_rng(5)
    cells, emitters = rng.normal(0, 1, (3, LANES)).astype(np.float32), rng.normal(9, 1, (4, KNOWN)).astype(np.float32)
    expected = (emitters[3] / ((cells[:, :, None] - emitters[:3, None]) ** 2).sum(axis=0)).sum(axis=1)
    np.testing.assert_allclose(_same_operations(cells, emitters, 1, threads)[0], expected, rtol=1e-5)
    return {
        "cycles": 16e6 / best_s(lambda: _chain(one, 1_000_000), 7),
        "multiply-adds": multiply_adds_per_s(),
        "divisions": 20_000 * 4 * LANES * threads / best_s(lambda: _divisions(one, 20_000, threads), 7),
        "pairs": 3_000 * LANES * KNOWN * threads / best_s(lambda: _same_operations(cells, emitters, 3_000, threads), 7),
    }


def against_the_limit() -> None:
    """128 x 128 x 32 cells and 1 000 emitters against what brute force must do at least, in one run."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame({
        "lat": rng.uniform(45.4, 48.2, EMITTERS), "lon": rng.uniform(5.4, 11.0, EMITTERS),
        "alt_m": rng.uniform(500.0, 12_000.0, EMITTERS), "eirp_dbm": rng.uniform(40, 57, EMITTERS), "freq_hz": 1.09e9,
    })  # fmt: skip
    grid, threads = volume_grid(*BOX, 128, 32), get_num_threads()
    points, senders = _local_km(table, grid)
    out, gain = np.empty(points[0].size, np.float32), np.ones(EMITTERS, np.float32)
    machine = the_machine()
    took = in_turn({
        "fused loop": lambda: _fused_loop(out, *points, *senders, gain),
        "direct": lambda: power_volume(table, grid, method="direct", horizon=False),
        "auto": lambda: power_volume(table, grid, horizon=False),
        "auto, horizon": lambda: power_volume(table, grid),
    }, 7)  # fmt: skip
    again = the_machine()
    machine = {name: max(rate, again[name]) for name, rate in machine.items()}  # the less disturbed of both
    pairs, each = EMITTERS * out.size, machine["cycles"] * threads
    units, operations = pairs * SLOTS_PER_PAIR / machine["multiply-adds"], pairs / machine["pairs"]
    does = ", ".join(f"{machine[name] / each:.2f} {name}" for name in ("multiply-adds", "divisions", "pairs"))
    print(f"{threads} cores at {machine['cycles'] / 1e9:.2f} GHz; a cycle and core does at most {does}")
    print(f"128 x 128 x 32 cells, N = {EMITTERS}: {pairs:.2e} pairs. Limit of brute force {1e3 * operations:.0f} ms "
          f"(its operations, nothing fetched); its multiply-adds alone {1e3 * units:.0f} ms")  # fmt: skip
    for name, spent in took.items():
        print(f"{name:>14}: {1e3 * spent:4.0f} ms, {spent / operations:.2f} x the limit of brute force "
              f"({spent / units:.2f} x that of its multiply-adds alone)")  # fmt: skip


def _local_km(table: pd.DataFrame, grid: Grid) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Cells and emitters, km from the middle, float32."""
    alt = np.broadcast_to(grid.level_alt_m[:, None, None], grid.array_shape)
    lat, lon = np.broadcast_to(grid.lat[None, :, None], alt.shape), np.broadcast_to(grid.lon[None, None, :], alt.shape)
    points = [v.ravel() / 1e3 for v in geodetic_to_ecef(lat, lon, alt)]
    senders = [v / 1e3 for v in geodetic_to_ecef(*(table[c].to_numpy() for c in ("lat", "lon", "alt_m")))]
    middle = [p.mean() for p in points]
    return tuple(
        [(p - m).astype(np.float32) for p, m in zip(which, middle, strict=True)] for which in (points, senders)
    )  # type: ignore[return-value]


def bytes_of_an_update() -> None:
    """Both volumes, deflated: whole, and what changes in a second while 100 aircraft fly."""
    n = 100
    rng = np.random.default_rng(4)
    lat0, lon0, track = rng.uniform(45.5, 48.0, n), rng.uniform(5.6, 10.8, n), rng.uniform(0, 360, n)
    fold = TrackFold()
    for k in range(5):
        far = 230.0 * k / 111_320
        fold.apply(event_table(
            np.full(n, (1_000 + k) * 1_000_000), FIX, [f"a{i}" for i in range(n)], "bench",
            lat=lat0 + far * np.cos(np.radians(track)), lon=lon0 + 1.45 * far * np.sin(np.radians(track)),
            alt_m=np.linspace(1_000, 11_500, n),
            payload=[f'{{"speed_m_s": 230.0, "track_deg": {t}, "vertical_rate_m_s": 0.0}}' for t in track],
        ))  # fmt: skip
    for detail in DETAILS:
        spec = VolumeSpec(*BOX, detail=detail, low_dbm=-75.0, high_dbm=-40.0)
        old, new = (compute_volume_frame(spec, t, fold.snapshot(t)) for t in (1_004.5, 1_005.5))
        raw, whole, change = old.levels.nbytes, len(old.packed()), len(new.packed(old))
        print(f"{detail:>7}: {raw:8d} B raw, {whole:7d} whole, {change:7d} in 1 s ({100 * change / raw:.0f} %) "
              f"±{old.quantisation_db:.2f} dB, computed in {new.compute_ms:.0f} ms")  # fmt: skip


WATCH = """() => {
  const volume = probe.deep('.volume')[0], seen = window.seen = { pictures: [], updates: [], fineness: [] }
  let updates = volume.dataset.updates
  new MutationObserver(() => {
    const now = performance.now(), d = volume.dataset
    if (d.updates !== updates) { updates = d.updates; seen.updates.push(now) }
    if (d.pictures !== volume.counted) {
      volume.counted = d.pictures
      seen.pictures.push(now)
      seen.fineness.push(Number(d.fineness))
    }
  }).observe(volume, { attributes: true })
}"""


def pictures_per_second(url: str, seconds: float = 8.0, details: tuple[str, ...] = ("64x16", "128x32")) -> None:
    """Pictures and bytes on the wire of a page in headless Chromium, with its server on the same cores."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_ARGUMENTS)
        for detail in details:
            tab = Tab(browser, url)
            heard: list[int] = []
            tab.page.on("websocket", lambda ws, h=heard: ws.on("framereceived", lambda part: h.append(len(part))))
            tab.open(f"/volume?detail={detail}")
            tab.until("() => Number(probe.deep('.volume')[0]?.dataset.updates) > 1")
            box = tab.page.locator(".volume").bounding_box()
            assert box is not None
            tab.ask(WATCH)
            for name, moves, dragged in (
                ("still camera, aircraft move", True, False),
                ("camera dragged, aircraft move", True, True),
                ("camera dragged, paused", False, True),
            ):
                if not moves:
                    _pause(tab)
                if dragged:
                    _drag(tab, box, 2.0)  # it finds its fineness
                tab.ask("() => { for (const k in window.seen) window.seen[k] = [] }")
                heard.clear()
                started = time.perf_counter()
                _drag(tab, box, seconds) if dragged else tab.page.wait_for_timeout(1e3 * seconds)
                spent, seen = time.perf_counter() - started, tab.ask("window.seen")
                gaps = np.diff(seen["pictures"]) if len(seen["pictures"]) > 1 else np.array([np.nan])
                print(f"{detail:>7}, {name}: {len(seen['pictures']) / spent:5.1f} pictures/s, "
                      f"{np.median(gaps):4.0f} ms apart (95 %: {np.percentile(gaps, 95):4.0f} ms), rays at "
                      f"{100 * np.mean(seen['fineness'] or [np.nan]):.0f} % of the pixels across; "
                      + _wire(len(seen["updates"]), heard, spent, tab))  # fmt: skip
            tab.close()
        browser.close()


def _pause(tab: Tab) -> None:
    tab.page.locator("#picture").focus()
    tab.page.keyboard.press("Space")
    tab.until_word("paused")
    tab.until("() => probe.atMoment()")


def _drag(tab: Tab, box: FloatRect, seconds: float) -> None:
    """Turn the volume to and fro, sixty moves a second."""
    x, y, started = box["x"] + 0.4 * box["width"], box["y"] + 0.5 * box["height"], time.perf_counter()
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    while (t := time.perf_counter() - started) < seconds:
        tab.page.mouse.move(x + 120 * np.sin(1.2 * t), y + 20 * np.sin(0.7 * t))
        tab.page.wait_for_timeout(15)
    tab.page.mouse.up()


def _wire(updates: int, heard: list[int], spent: float, tab: Tab) -> str:
    if not updates:
        return f"{sum(heard) / spent / 1e3:.1f} kB/s on the wire"
    volume = int(tab.ask("probe.deep('.volume')[0].dataset.bytes"))
    return (f"{updates / spent:.1f} updates/s of {sum(heard) / updates / 1e3:.1f} kB on the wire, "
            f"the last of the volume {volume / 1e3:.1f} kB")  # fmt: skip


def with_a_server() -> None:
    """The page of a server of its own, on the recorded flights."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), FEED="sample", REDIS_URL="").start()
        try:
            pictures_per_second(server.url)
        finally:
            server.stop()


if __name__ == "__main__":
    against_the_limit()
    bytes_of_an_update()
    for address in sys.argv[1:]:
        with_a_server() if address == "page" else pictures_per_second(address)
